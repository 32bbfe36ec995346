//! Client credentials out of KV version 2: good ones, earlier ones, and every kind of bad ones.

use everbearer::ports::{Source, SourceError};
use everbearer::rotation::SourceVersion;
use everbearer::rotation::failure::{Classify, FailureKind};
use serde_json::{Value, json};

use super::{CANARY, by_file, root_session, session, source_at, told};
use crate::support::openbao::OpenBao;

async fn failure_at(mount: &str, path: &str) -> SourceError {
    source_at(root_session(), mount, path).fetch().await.unwrap_err()
}

fn version(text: &str) -> SourceVersion {
    SourceVersion(text.into())
}

#[tokio::test]
async fn credentials_come_with_their_version() {
    let bao = OpenBao::shared();
    bao.put("secret", "source/good", json!({"client_id": "old", "client_secret": "old"})).await;
    bao.put("secret", "source/good", json!({"client_id": "voice", "client_secret": CANARY, "more": 1})).await;
    let source = source_at(root_session(), "/secret/", "source/good/");
    let fetched = source.fetch().await.unwrap();
    assert_eq!(fetched.credentials.id.expose(), "voice");
    assert_eq!(fetched.credentials.secret.expose(), CANARY);
    assert_eq!(fetched.version, version("2"));
    assert_eq!(fetched.warning, None);
    assert_eq!(source.describe(), "vault secret/source/good");
}

#[tokio::test]
async fn paths_with_odd_characters_are_read_as_they_are_written() {
    let bao = OpenBao::shared();
    bao.put("secret", "source/odd%20a%2Bb%C3%A4", json!({"client_id": "a", "client_secret": "b"})).await;
    assert!(source_at(root_session(), "secret", "source/odd a+bä").fetch().await.is_ok());
}

#[tokio::test]
async fn a_newline_at_the_end_is_trimmed_with_a_warning() {
    let bao = OpenBao::shared();
    bao.put("secret", "source/newline", json!({"client_id": "voice", "client_secret": "s3cret\r\n"})).await;
    let fetched = source_at(root_session(), "secret", "source/newline").fetch().await.unwrap();
    assert_eq!(fetched.credentials.secret.expose(), "s3cret");
    assert!(fetched.warning.unwrap().contains("newline"));
}

#[tokio::test]
async fn bad_data_is_named_by_key_and_never_by_value() {
    let bao = OpenBao::shared();
    let cases: [(&str, Value, &str); 8] = [
        (
            "no-key",
            json!({"a": CANARY, "b": CANARY, "client_id": CANARY}),
            "it has no key client_secret; it holds the keys a, b, client_id.",
        ),
        ("empty", json!({}), "it has no key client_id; it holds no key at all."),
        ("number", json!({"client_id": 42, "client_secret": CANARY}), "its key client_id is a number;"),
        (
            "object",
            json!({"client_id": "a", "client_secret": {"x": CANARY}}),
            "its key client_secret is an object;",
        ),
        ("null", json!({"client_id": "a", "client_secret": null}), "its key client_secret is null;"),
        ("blank", json!({"client_id": "a", "client_secret": ""}), "its key client_secret is empty;"),
        ("newline-only", json!({"client_id": "\n", "client_secret": CANARY}), "its key client_id is empty;"),
        ("list", json!({"client_id": [CANARY], "client_secret": CANARY}), "its key client_id is a list;"),
    ];
    for (name, data, expected) in cases {
        let path = format!("source/bad/{name}");
        bao.put("secret", &path, data).await;
        let error = failure_at("secret", &path).await;
        let message = told(&error);
        assert!(
            message.starts_with(&format!("vault secret/{path} holds nothing usable: {expected}")),
            "{message}"
        );
        assert_eq!(error.code(), "source_unusable");
    }
}

#[tokio::test]
async fn a_missing_a_deleted_and_a_destroyed_path_and_a_missing_mount_are_told_apart() {
    let bao = OpenBao::shared();
    let good = json!({"client_id": "a", "client_secret": CANARY});
    bao.put("secret", "source/deleted", good.clone()).await;
    bao.delete("secret", "source/deleted").await;
    bao.put("secret", "source/destroyed", good).await;
    bao.destroy("secret", "source/destroyed", 1).await;
    for (mount, path, expected) in [
        (
            "secret",
            "source/never",
            "vault secret/source/never does not exist. Look with `vault kv get -mount=secret source/never`",
        ),
        ("secret", "source/deleted", "Its latest version, 1, is deleted"),
        ("secret", "source/destroyed", "Its latest version, 1, is deleted or destroyed"),
        ("nowhere", "x", "No secrets engine is mounted at nowhere"),
    ] {
        let error = failure_at(mount, path).await;
        assert!(told(&error).contains(expected), "{error}");
        assert_eq!((error.code(), error.kind()), ("source_missing", FailureKind::Permanent { named: false }));
    }
}

#[tokio::test]
async fn an_earlier_version_is_read_while_vault_keeps_it() {
    let bao = OpenBao::shared();
    for secret in ["one", "two", "three"] {
        bao.put("secret", "source/versions", json!({"client_id": "a", "client_secret": secret})).await;
    }
    let source = source_at(root_session(), "secret", "source/versions");
    assert!(
        source.fetch_version(&version("0")).await.unwrap().is_none(),
        "Vault takes 0 for the current version"
    );
    bao.put("secret", "source/versions", json!({"other": "x"})).await;
    bao.destroy("secret", "source/versions", 1).await;
    let second = source.fetch_version(&version("2")).await.unwrap().unwrap();
    assert_eq!(second.credentials.secret.expose(), "two");
    assert_eq!(second.version, version("2"));
    for gone in ["1", "4", "9", "", "not a number", "sha256:ab"] {
        assert!(source.fetch_version(&version(gone)).await.unwrap().is_none(), "{gone:?}");
    }
    bao.delete("secret", "source/versions").await;
    assert!(source.fetch_version(&version("3")).await.unwrap().is_some(), "only the latest was deleted");
}

#[tokio::test]
async fn a_token_without_the_right_is_told_the_policy_line_that_it_needs() {
    let bao = OpenBao::shared();
    bao.put("secret", "source/forbidden", json!({"client_id": "a", "client_secret": CANARY})).await;
    let token = bao.token("elsewhere", r#"path "secret/data/elsewhere" { capabilities = ["read"] }"#).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &token).unwrap();
    let source = source_at(session(&bao.address, by_file(file.path())), "secret", "source/forbidden");
    let error = source.fetch().await.unwrap_err();
    let message = told(&error);
    assert!(
        message.contains(r#"path "secret/data/source/forbidden" { capabilities = ["read"] }"#),
        "{message}"
    );
    assert!(!message.contains(&token));
    assert_eq!(error.code(), "source_forbidden");
}

#[tokio::test]
async fn a_rate_limit_is_a_throttle() {
    let bao = OpenBao::shared();
    bao.mount("limited").await;
    bao.put("limited", "x", json!({"client_id": "a", "client_secret": "b"})).await;
    bao.limit("limited", 1).await;
    let source = source_at(root_session(), "limited", "x");
    let outcomes = [source.fetch().await, source.fetch().await];
    let error =
        outcomes.into_iter().find_map(Result::err).expect("the second request in a minute is over the limit");
    assert!(matches!(error.kind(), FailureKind::Throttled { .. }), "{error}");
    told(&error);
}
