//! What the environment decides: proxies and root certificates. A process's environment cannot be changed safely under
//! threads, so each test runs [`a_mint_asked_for_by_a_parent`] in a child process.

use std::ffi::OsStr;

use super::tls::{authority, ca_file, serve_tls};
use super::*;

const URL: &str = "EVERBEARER_TEST_TOKEN_URL";
const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Does nothing in an ordinary run.
#[tokio::test]
async fn a_mint_asked_for_by_a_parent() {
    if let Ok(url) = std::env::var(URL) {
        let spec = OAuth2Spec { allow_insecure: true, ..spec(&url) };
        mint(&spec).await.unwrap();
    }
}

fn assert_minted<'a>(url: &str, environment: impl IntoIterator<Item = (&'a str, &'a OsStr)>) {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    for name in PROXIES.iter().chain(&["NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"]) {
        child.env_remove(name);
    }
    let run = child
        .args(["--exact", "oauth2::tests::environment::a_mint_asked_for_by_a_parent"])
        .env(URL, url)
        .envs(environment)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && shown.contains("1 passed"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_is_never_asked_through_a_proxy() {
    let (url, server) = answer(response("200 OK", "", TOKEN)).await;
    assert_minted(&url, PROXIES.map(|name| (name, OsStr::new(NOWHERE))));
    server.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_asked_in_either_case() {
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let (proxy, server) = answer(response("200 OK", "", TOKEN)).await;
        let proxy = proxy.strip_suffix("/api/v1/oauth2/token").unwrap();
        assert_minted("http://idp.example/token", [(name, OsStr::new(proxy))]);
        let (request, ()) = server.await.unwrap();
        assert!(request.starts_with("POST http://idp.example/token HTTP/1.1\r\n"), "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_is_honoured_in_either_case() {
    for name in ["NO_PROXY", "no_proxy"] {
        let (url, server) = answer(response("200 OK", "", TOKEN)).await;
        // Linux takes it for this machine; we do not count it as loopback.
        let url = url.replace("127.0.0.1", "0.0.0.0");
        assert_minted(&url, [("HTTP_PROXY", OsStr::new(NOWHERE)), (name, OsStr::new("idp.example,0.0.0.0"))]);
        server.await.unwrap();
    }
}

#[test]
fn ssl_cert_file_is_honoured() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority("own"));
    let (url, server) = serve_tls(&authority, "localhost");
    assert_minted(&url, [("SSL_CERT_FILE", ca_file(folder.path(), &authority).as_os_str())]);
    assert!(server.join().unwrap());
}
