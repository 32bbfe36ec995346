//! The client against raw sockets: exact bytes out, and whatever may come back.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use jiff::SignedDuration;

use super::testing::{answer, credentials, read_request, response, serve, spec};
use super::*;
use crate::config::spec::Preset;
use crate::rotation::Material;
use crate::rotation::failure::{Classify as _, FailureKind};

mod environment;
mod failures;
mod secrecy;
mod tls;

pub(super) fn asked_at() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

pub(super) const TOKEN: &str = r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#;

pub(super) fn endpoint(spec: &OAuth2Spec) -> TokenEndpoint {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    TokenEndpoint::new("corp".into(), spec)
}

pub(super) async fn mint(spec: &OAuth2Spec) -> Result<MintedToken, IssuerError> {
    endpoint(spec).mint(&credentials("jdoe", "correct-horse-battery-staple"), asked_at()).await
}

#[tokio::test]
async fn the_guides_request_on_the_wire() {
    let (url, server) = answer(response("200 OK", "", TOKEN)).await;
    let spec = OAuth2Spec { preset: Some(Preset::Bandwidth), ..spec(&url) };
    let minted = mint(&spec).await.unwrap();
    let host = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let expected = format!(
        "POST /api/v1/oauth2/token HTTP/1.1\r\n\
         accept: application/json\r\n\
         content-type: application/x-www-form-urlencoded\r\n\
         user-agent: everbearer/{}\r\n\
         authorization: Basic amRvZTpjb3JyZWN0LWhvcnNlLWJhdHRlcnktc3RhcGxl\r\n\
         host: {host}\r\n\
         content-length: 29\r\n\
         \r\n\
         grant_type=client_credentials",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(server.await.unwrap().0, expected);
    let validity = minted.validity.unwrap();
    assert_eq!((validity.issued_at(), validity.lifetime().as_secs()), (asked_at(), 60));
}

#[tokio::test]
async fn a_generic_request_on_the_wire() {
    let (url, server) = answer(response("201 Created", "", TOKEN)).await;
    let spec = OAuth2Spec {
        scopes: vec!["read".into(), "write".into()],
        audience: Some("https://api.example".into()),
        parameters: vec![("tenant".into(), "a b".into())],
        headers: vec![("X-Api-Key".into(), "k".into()), ("User-Agent".into(), "corp".into())],
        ..spec(&format!("{url}?version=2"))
    };
    let issuer = endpoint(&spec);
    issuer.mint(&credentials("a:b", " %&+£€"), asked_at()).await.unwrap();
    let (request, ()) = server.await.unwrap();
    let (head, form) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().filter(|line| !line.starts_with("host: ")).collect();
    assert_eq!(lines.remove(0), "POST /api/v1/oauth2/token?version=2 HTTP/1.1");
    lines.sort_unstable();
    // a%3Ab:+%25%26%2B%C2%A3%E2%82%AC
    let expected = [
        "accept: application/json",
        "authorization: Basic YSUzQWI6KyUyNSUyNiUyQiVDMiVBMyVFMiU4MiVBQw==",
        "content-length: 92",
        "content-type: application/x-www-form-urlencoded",
        "user-agent: corp",
        "x-api-key: k",
    ];
    assert_eq!(lines, expected);
    assert_eq!(
        form,
        "grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fapi.example&tenant=a+b"
    );
}

#[tokio::test]
async fn a_connection_serves_again() {
    let (url, server) = serve(|mut connection, first| async move {
        connection.write_all(response("200 OK", "", TOKEN).as_bytes()).await.unwrap();
        let second = read_request(&mut connection).await;
        connection.write_all(response("200 OK", "", TOKEN).as_bytes()).await.unwrap();
        first == second
    })
    .await;
    let (issuer, credentials) = (endpoint(&spec(&url)), credentials("id", "secret"));
    issuer.mint(&credentials, asked_at()).await.unwrap();
    issuer.mint(&credentials, asked_at()).await.unwrap();
    assert!(server.await.unwrap().1, "two equal requests on one connection");
}

#[tokio::test]
async fn a_plain_address_elsewhere_is_asked_by_permission_only() {
    for url in
        ["http://idp.example/token", "http://10.0.0.1/token", "ftp://127.0.0.1/token", "no address", ""]
    {
        let error = mint(&spec(url)).await.expect_err(url);
        assert!(matches!(error, IssuerError::Unfit { .. }), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn unfit_credentials_send_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = OAuth2Spec {
        preset: Some(Preset::Bandwidth),
        ..spec(&format!("http://{}", listener.local_addr().unwrap()))
    };
    let (issuer, unfit) = (endpoint(&spec), credentials("a:b", "secret"));
    assert!(matches!(issuer.accepts(&unfit), Err(IssuerError::Unfit { .. })));
    assert!(issuer.accepts(&credentials("ab", "secret")).is_ok());
    let error = issuer.mint(&unfit, asked_at()).await.unwrap_err();
    assert!(matches!(error, IssuerError::Unfit { .. }), "{error:?}");
    assert!(futures::FutureExt::now_or_never(listener.accept()).is_none(), "nobody connected");
}

#[tokio::test]
async fn the_emulator_takes_what_it_gave() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = crate::demo::emulator::EmulatorConfig {
        client_id: "id%+/é".to_owned(),
        client_secret: crate::secret::SecretText::new("s%+/\": é"),
        lifetime: SignedDuration::from_mins(5),
        listen: "127.0.0.1:0".parse().unwrap(),
    };
    let emulator =
        crate::demo::emulator::Emulator::start(config, std::sync::Arc::new(asked_at)).await.unwrap();
    let spec = OAuth2Spec { preset: Some(Preset::Bandwidth), ..spec(&emulator.token_url()) };
    let issuer = endpoint(&spec);
    let minted = issuer.mint(&credentials("id%+/é", "s%+/\": é"), asked_at()).await.unwrap();
    assert_eq!(minted.validity.unwrap().lifetime(), SignedDuration::from_mins(5));
    let Material::Bearer { access_token, token_type, .. } = &minted.material else {
        panic!("no Bearer token")
    };
    assert!(emulator.accepts(&format!("{token_type} {}", access_token.expose())));

    let error = issuer.mint(&credentials("id%+/é", "wrong"), asked_at()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (FailureKind::CredentialRejected, "invalid_client"));
    emulator.outage(true);
    let error = issuer.mint(&credentials("id%+/é", "s%+/\": é"), asked_at()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (FailureKind::Transient, "temporarily_unavailable"));
    assert_eq!((emulator.token_requests(), emulator.tokens_issued()), (3, 1));
}
