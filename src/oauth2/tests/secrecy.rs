//! Canaries in credentials, tokens and responses show in no error and no log line, whatever goes wrong.

use std::io;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tracing_subscriber::fmt::MakeWriter;

use super::*;

const ID: &str = "canary-id%+/\"é";
const SECRET: &str = "canary-secret%+/\":é";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// Catches everything that this thread logs while the guard lives.
    fn catch(&self) -> tracing::subscriber::DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

fn assert_clean(case: &str, shown: &str) {
    let urlencoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let forms = [
        "canary".to_owned(),
        STANDARD.encode(format!("{ID}:{SECRET}")),
        STANDARD.encode(format!("{}:{}", urlencoded(ID), urlencoded(SECRET))),
        STANDARD.encode(SECRET),
        STANDARD.encode(ID),
    ];
    for form in forms {
        assert!(!shown.contains(&form), "{case} shows {form}: {shown}");
    }
}

#[tokio::test]
async fn an_endpoint_that_echoes_everything_gets_nothing_into_errors_or_logs() {
    let log = Log::default();
    let _guard = log.catch();
    // Each row: how the request is echoed. `{}` is its text in one line, `[]` the same as a JSON text.
    let rows = [
        ("an unknown code", "400 No", "", r#"{"error":[],"error_description":[]}"#),
        ("a known code", "401 No", "", r#"{"error":"invalid_client","error_description":[],"error_uri":[]}"#),
        ("a status text", "500 {}", "", "{}"),
        ("a redirect", "302 Found", "location: https://elsewhere.example/?q={}\r\n", ""),
        ("headers", "403 No", "www-authenticate: {}\r\nretry-after: {}\r\ndate: {}\r\n", "{}"),
        ("a header that is none", "200 OK", "{}\r\n", "{}"),
        ("a page", "200 OK", "content-type: text/html\r\n", "<html>{}</html>"),
        ("a token", "200 OK", "", r#"{"access_token":[],"token_type":[],"expires_in":[]}"#),
        ("a type", "200 OK", "", r#"{"access_token":"canary","token_type":[]}"#),
        ("a lifetime", "200 OK", "", r#"{"access_token":"canary","expires_in":[]}"#),
        ("broken JSON", "200 OK", "", r#"{"access_token":[],"#),
        ("no HTTP at all", "{}", "{}", "{}"),
    ];
    for (case, status, headers, body) in rows {
        for auth in [ClientAuth::ClientSecretBasic, ClientAuth::ClientSecretBasicRaw] {
            let (url, server) = serve(move |mut connection, request| async move {
                let line = format!("{SECRET} {}", request.replace("\r\n", " "));
                let echo = |text: &str| {
                    text.replace("[]", &serde_json::to_string(&line).unwrap()).replace("{}", &line)
                };
                let answer = response(&echo(status), &echo(headers), &echo(body));
                connection.write_all(answer.as_bytes()).await.unwrap();
            })
            .await;
            let spec = OAuth2Spec {
                client_auth: Some(auth),
                headers: vec![("X-Api-Key".into(), "canary".into())],
                parameters: vec![("api_key".into(), "canary".into())],
                ..spec(&format!("{url}?key=canary"))
            };
            let issuer = endpoint(&spec);
            let error = issuer.mint(&credentials(ID, SECRET), asked_at()).await.expect_err(case);
            assert_clean(case, &format!("{error} {error:?} {} {issuer:?}", error.code()));
            server.await.unwrap();
        }
    }
    assert!(!log.text().is_empty(), "the HTTP client logs at this level");
    assert_clean("the log", &log.text());
}

#[tokio::test]
async fn a_refused_connection_does_not_show_the_query() {
    let log = Log::default();
    let _guard = log.catch();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token?key=canary", listener.local_addr().unwrap());
    drop(listener);
    let error = endpoint(&spec(&url)).mint(&credentials(ID, SECRET), asked_at()).await.unwrap_err();
    assert_clean("the error", &format!("{error} {error:?}"));
    assert_clean("the log", &log.text());
}

#[tokio::test]
async fn a_missing_token_type_is_told_once() {
    let log = Log::default();
    let _guard = log.catch();
    let typeless = response("200 OK", "", r#"{"access_token":"canary","expires_in":60}"#);
    let (url, server) = serve(|mut connection, _| async move {
        connection.write_all(typeless.as_bytes()).await.unwrap();
        read_request(&mut connection).await;
        connection.write_all(typeless.as_bytes()).await.unwrap();
    })
    .await;
    let (issuer, credentials) = (endpoint(&spec(&url)), credentials(ID, SECRET));
    issuer.mint(&credentials, asked_at()).await.unwrap();
    issuer.mint(&credentials, asked_at()).await.unwrap();
    server.await.unwrap();
    let text = log.text();
    let warnings: Vec<_> = text.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("issuer=corp") && warnings[0].contains("TokenTypeAbsent"),
        "{}",
        warnings[0]
    );
    assert_clean("the log", &text);
}
