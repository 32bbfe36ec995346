//! What the tests of this layer share.

use jiff::SignedDuration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::config::spec::OAuth2Spec;
use crate::rotation::ClientCredentials;
use crate::secret::SecretText;

/// A specification with the defaults of the configuration.
pub(super) fn spec(token_url: &str) -> OAuth2Spec {
    OAuth2Spec {
        preset: None,
        token_url: Some(token_url.to_owned()),
        client_auth: None,
        scopes: vec![],
        audience: None,
        parameters: vec![],
        headers: vec![],
        default_lifetime: SignedDuration::from_hours(1),
        max_concurrent: 8,
        connect_timeout: SignedDuration::from_secs(5),
        timeout: SignedDuration::from_secs(30),
        allow_insecure: false,
        ca_file: None,
    }
}

pub(super) fn credentials(id: &str, secret: &str) -> ClientCredentials {
    ClientCredentials { id: SecretText::new(id), secret: SecretText::new(secret) }
}

/// Answers one request on a raw socket, so that a test sees and says exact bytes.
///
/// `behave` gets the connection once the request has been read. The handle yields the request, and what `behave` made
/// of the connection.
pub(super) async fn serve<F, R>(behave: F) -> (String, JoinHandle<(String, R::Output)>)
where
    F: FnOnce(TcpStream, String) -> R + Send + 'static,
    R: Future<Output: Send + 'static> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1/oauth2/token", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let request = read_request(&mut connection).await;
        // Dropped only now: a second connection would have been refused.
        let made = behave(connection, request.clone()).await;
        drop(listener);
        (request, made)
    });
    (url, server)
}

/// Answers one request with these bytes and closes.
pub(super) async fn answer(bytes: impl Into<Vec<u8>>) -> (String, JoinHandle<(String, ())>) {
    let bytes = bytes.into();
    serve(|mut connection, _| async move { connection.write_all(&bytes).await.unwrap() }).await
}

/// A response with a correct length; `rest` is further header lines, each with its line break.
pub(super) fn response(status: &str, rest: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{rest}content-length: {}\r\n\r\n{body}", body.len())
}

pub(super) async fn read_request(connection: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text.into_owned();
            }
        }
        assert_ne!(connection.read_buf(&mut bytes).await.unwrap(), 0, "the request ends early: {bytes:?}");
    }
}
