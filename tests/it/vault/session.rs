//! The login and the exchange: tokens that change, servers that are sealed, gone, redirecting or no Vault at all.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use everbearer::config::spec::{VaultAuthSpec, VaultSpec};
use everbearer::ports::{Source, SourceError};
use everbearer::rotation::failure::{Classify, FailureKind};
use everbearer::vault::VaultSession;
use reqwest::Method;
use serde_json::json;

use super::{by_file, by_root, session, source_at, told};
use crate::support::openbao::OpenBao;

/// Answers every connection with these bytes and counts them.
fn scripted(answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, count)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

async fn fetch_from(address: &str) -> SourceError {
    source_at(session(address, by_root()), "secret", "x").fetch().await.unwrap_err()
}

#[tokio::test]
async fn a_token_file_is_followed_when_it_changes() {
    let bao = OpenBao::shared();
    bao.put("secret", "session/followed", json!({"client_id": "a", "client_secret": "b"})).await;
    let policy = r#"path "secret/data/session/followed" { capabilities = ["read"] }"#;
    let (first, second) = (bao.token("followed", policy).await, bao.token("followed", policy).await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let source = source_at(session(&bao.address, by_file(&path)), "secret", "session/followed");

    let early = source.fetch().await.unwrap_err();
    assert!(told(&early).contains("cannot be read: No such file"), "{early}");
    assert_eq!(early.kind(), FailureKind::Transient, "Vault Agent may just not have logged in yet");

    std::fs::write(&path, format!("{first}\n")).unwrap();
    source.fetch().await.expect("the newline after the token does not matter");

    std::fs::write(&path, "s.canary-token").unwrap();
    told(
        &source.fetch().await.expect_err("the new token is used at once, although the old one is still good"),
    );
    std::fs::write(&path, &second).unwrap();
    bao.revoke(&first).await;
    source.fetch().await.expect("and so is the next one");

    std::fs::write(&path, "").unwrap();
    source.fetch().await.expect("a file that is being written does not cost the token in hand");
    std::fs::remove_file(&path).unwrap();
    source.fetch().await.expect("nor does one that is gone");

    bao.revoke(&second).await;
    let error = source.fetch().await.unwrap_err();
    assert!(told(&error).contains("Vault answers 403 to the token in hand, and the token file"), "{error}");
}

#[tokio::test]
async fn a_refused_token_is_read_again_although_its_file_looks_the_same() {
    let bao = OpenBao::shared();
    bao.put("secret", "session/same", json!({"client_id": "a", "client_secret": "b"})).await;
    let policy = r#"path "secret/data/session/same" { capabilities = ["read"] }"#;
    let (first, second) = (bao.token("same", policy).await, bao.token("same", policy).await);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &first).unwrap();
    let source = source_at(session(&bao.address, by_file(file.path())), "secret", "session/same");
    source.fetch().await.unwrap();

    let modified = file.path().metadata().unwrap().modified().unwrap();
    assert_eq!(first.len(), second.len());
    std::fs::write(file.path(), &second).unwrap();
    file.as_file().set_modified(modified).unwrap();
    bao.revoke(&first).await;
    source.fetch().await.expect("the 403 made us read the file again");
}

#[tokio::test]
async fn a_wrong_token_is_forbidden_and_not_shown() {
    let bao = OpenBao::shared();
    bao.put("secret", "session/wrong", json!({"client_id": "a", "client_secret": "b"})).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s.canary-token").unwrap();
    let session = session(&bao.address, by_file(file.path()));
    let error = source_at(session.clone(), "secret", "session/wrong").fetch().await.unwrap_err();
    assert!(told(&error).contains("the login token is expired or revoked"), "{error}");
    assert!(matches!(error, SourceError::Forbidden { .. }));
    assert!(!format!("{session:?}").contains("canary"));
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_named() {
    let auth = VaultAuthSpec::Token { env: "EVERBEARER_TEST_UNSET".to_owned() };
    let error = source_at(session("http://127.0.0.1:1", auth), "secret", "x").fetch().await.unwrap_err();
    assert!(told(&error).contains("the environment variable EVERBEARER_TEST_UNSET is not set"), "{error}");
    assert_eq!(error.kind(), FailureKind::Permanent { named: false });
}

#[tokio::test]
async fn a_sealed_and_a_stopped_server_are_transient() {
    let bao = OpenBao::start();
    bao.put("secret", "x", json!({"client_id": "a", "client_secret": "b"})).await;
    let source = source_at(session(&bao.address, by_root()), "secret", "x");
    source.fetch().await.unwrap();
    bao.seal().await;
    let sealed = source.fetch().await.unwrap_err();
    assert!(told(&sealed).contains("sealed"), "{sealed}");
    assert_eq!(sealed.kind(), FailureKind::Transient);
    let gone = fetch_from("http://127.0.0.1:1").await;
    assert!(told(&gone).contains("cannot be reached: http://127.0.0.1:1: Connection refused"), "{gone}");
    assert_eq!(gone.kind(), FailureKind::Transient);
}

#[tokio::test]
async fn a_redirect_is_not_followed_so_that_the_token_goes_nowhere_else() {
    let (elsewhere, visits) = scripted(answer("200 OK", "", "{}"));
    let location = format!("Location: {elsewhere}/v1/secret/data/x\r\n");
    let (standby, asked) = scripted(answer("307 Temporary Redirect", &location, ""));
    let error = fetch_from(&standby).await;
    assert!(told(&error).contains("standby (status 307)"), "{error}");
    assert_eq!(error.kind(), FailureKind::Transient);
    assert_eq!((asked.load(Ordering::SeqCst), visits.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test]
async fn answers_that_are_not_vaults_are_transient_and_not_quoted() {
    let long = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "canary ".repeat(700_000));
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{\"canary\":".to_owned();
    for (script, expected) in [
        (answer("200 OK", "", "<html>canary</html>"), "it is no JSON"),
        (answer("200 OK", "", r#"{"data":{"value":"canary"}}"#), "is the mount one?"),
        (answer("404 Not Found", "", "<html>canary</html>"), "a 404 that is not Vault's own"),
        (answer("502 Bad Gateway", "", "canary"), "answers 502"),
        (long, "longer than"),
        (short, "cannot be reached: http"),
    ] {
        let (address, _) = scripted(script);
        let error = fetch_from(&address).await;
        assert!(told(&error).contains(expected), "{error}");
        assert_eq!(error.kind(), FailureKind::Transient, "{error}");
    }
}

#[tokio::test]
async fn vault_that_asks_for_patience_is_believed() {
    let (address, _) =
        scripted(answer("429 Too Many Requests", "Retry-After: 17\r\n", r#"{"errors":["x"]}"#));
    let error = fetch_from(&address).await;
    let retry_after = Some(jiff::SignedDuration::from_secs(17));
    assert_eq!(error.kind(), FailureKind::Throttled { retry_after });
}

#[tokio::test]
async fn a_ca_file_is_needed_only_by_a_call_and_named_if_it_is_unfit() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no certificate").unwrap();
    for (path, expected) in [
        (file.path().to_owned(), "it holds no certificate in PEM form"),
        ("/nowhere/ca.pem".into(), "it cannot be read: No such file"),
    ] {
        let spec = VaultSpec {
            address: "https://127.0.0.1:1".to_owned(),
            namespace: None,
            ca_file: Some(path.clone()),
            auth: by_root(),
        };
        let session = Arc::new(VaultSession::new(&spec).unwrap());
        let error = source_at(session, "secret", "x").fetch().await.unwrap_err();
        assert!(told(&error).contains(&format!("vault.caFile {}: {expected}", path.display())), "{error}");
    }
}

#[tokio::test]
async fn a_private_ca_is_trusted_only_where_the_ca_file_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let bao = OpenBao::start_with_tls(folder.path()).await;
    bao.put("secret", "x", json!({"client_id": "a", "client_secret": "b"})).await;
    let source = |ca_file: Option<PathBuf>| {
        let spec = VaultSpec { address: bao.address.clone(), namespace: None, ca_file, auth: by_root() };
        source_at(Arc::new(VaultSession::new(&spec).unwrap()), "secret", "x")
    };
    source(bao.ca_file.clone()).fetch().await.unwrap();
    let error = source(None).fetch().await.unwrap_err();
    assert!(told(&error).contains("Check vault.caFile"), "{error}");
}

#[tokio::test]
async fn a_namespace_is_asked_in_every_request() {
    let bao = OpenBao::shared();
    for (path, body) in [
        ("sys/namespaces/team", json!({})),
        ("team/sys/mounts/inner", json!({"type": "kv", "options": {"version": "2"}})),
    ] {
        let (status, answer) = bao.request(Method::POST, path, Some(body)).await;
        assert!(status < 300, "{path}: {status} {answer}");
    }
    bao.put("team/inner", "x", json!({"client_id": "a", "client_secret": "b"})).await;
    let spec = VaultSpec {
        address: bao.address.clone(),
        namespace: Some("team".into()),
        ca_file: None,
        auth: by_root(),
    };
    source_at(Arc::new(VaultSession::new(&spec).unwrap()), "inner", "x").fetch().await.unwrap();
    assert!(source_at(session(&bao.address, by_root()), "inner", "x").fetch().await.is_err());
}

#[test]
fn settings_that_can_never_work_are_refused_at_once() {
    let of = |address: &str, namespace: Option<&str>| {
        let spec = VaultSpec {
            address: address.to_owned(),
            namespace: namespace.map(ToOwned::to_owned),
            ca_file: None,
            auth: by_root(),
        };
        VaultSession::new(&spec).map(|session| session.address().to_owned())
    };
    assert_eq!(of("https://vault.example:8200/", Some("team-a/")).unwrap(), "https://vault.example:8200");
    for (address, namespace) in [
        ("vault.example:8200", None),
        ("", None),
        ("ftp://vault.example", None),
        ("https://user:canary@vault.example", None),
        ("https://vault.example/prefix", None),
        ("https://vault.example?x=1", None),
        ("https://vault.example", Some("a\nb")),
    ] {
        told(&of(address, namespace).unwrap_err());
    }
}
