//! What cannot be brought about through a `TokenEndpoint` without an environment or a network of its own.

use super::*;
use crate::oauth2::testing::answer;

const TIMEOUTS: Timeouts =
    Timeouts { connect: SignedDuration::from_millis(1500), total: SignedDuration::from_secs(30) };

async fn error(builder: reqwest::ClientBuilder, url: &str) -> IssuerError {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let error = builder.build().unwrap().post(url).send().await.unwrap_err();
    classify(&error, TIMEOUTS)
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy()
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_minted_nothing() {
    // No resolver asks for a label of 64 characters: the limit is 63.
    let url = format!("http://{}.example/?canary", "a".repeat(64));
    match error(client(), &url).await {
        IssuerError::Transport { why, maybe_minted: false } => assert_eq!(why, "its name cannot be resolved"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_proxy_that_wants_credentials_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    drop(listener);
    let (url, server) =
        answer("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
    let proxy = reqwest::Proxy::https(&url).unwrap();
    let error = error(reqwest::Client::builder().proxy(proxy), "https://idp.example/token").await;
    assert!(matches!(error, IssuerError::Unexpected { status: 407, .. }), "{error:?}");
    assert!(server.await.unwrap().0.starts_with("CONNECT idp.example:443 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_proxy_that_does_not_connect_minted_nothing() {
    let (url, _server) = answer("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    let proxy = reqwest::Proxy::https(&url).unwrap();
    let error = error(reqwest::Client::builder().proxy(proxy), "https://idp.example/token").await;
    assert!(matches!(error, IssuerError::Transport { maybe_minted: false, .. }), "{error:?}");
    assert!(error.to_string().contains("the proxy does not connect to it"), "{error}");
}

#[test]
fn long_words_are_shortened_between_characters() {
    assert_eq!(shortened("é".repeat(LONGEST_WORDS)), "é".repeat(LONGEST_WORDS));
    assert_eq!(shortened("é".repeat(LONGEST_WORDS + 1)), format!("{}…", "é".repeat(LONGEST_WORDS)));
}
