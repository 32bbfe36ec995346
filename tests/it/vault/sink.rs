//! Tokens into KV version 2: whose path it is, what a write replaces, and whose keys survive it.

use std::collections::BTreeSet;
use std::sync::Arc;

use everbearer::config::spec::VaultKvSpec;
use everbearer::ports::{Handle, Sink, SinkError};
use everbearer::rotation::receipt::{KeyedFingerprint, Receipt, SpecDigest};
use everbearer::rotation::{ClientCredentials, RotationName, UnitInterval, Validity};
use everbearer::secret::{Content, SecretText};
use everbearer::vault::{KvSink, RECEIPT_KEY, VaultSession};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{CANARY, by_file, root_session, session, told};
use crate::support::openbao::OpenBao;

#[derive(Clone, Copy, Default)]
struct Options {
    adopt: bool,
    keep_foreign_keys: bool,
}

const KEEP: Options = Options { adopt: false, keep_foreign_keys: true };
const ADOPT: Options = Options { adopt: true, keep_foreign_keys: false };

fn sink_of(session: Arc<VaultSession>, rotation: &str, mount: &str, path: &str, options: Options) -> KvSink {
    let Options { adopt, keep_foreign_keys } = options;
    let spec = VaultKvSpec { mount: mount.to_owned(), path: path.to_owned(), adopt, keep_foreign_keys };
    let our_keys: BTreeSet<Arc<str>> = ["access_token".into(), "expires_at".into()].into();
    KvSink::new(session, &spec, "everbearer".into(), RotationName::parse(rotation).unwrap(), our_keys)
}

fn sink(path: &str, options: Options) -> KvSink {
    sink_of(root_session(), "voice", "secret", path, options)
}

fn content(token: &str) -> Content {
    Content::new([
        ("access_token", SecretText::new(token)),
        ("expires_at", SecretText::new("2026-11-24T13:00:00Z")),
    ])
}

fn receipt(installation: &str, rotation: &str, generation: u64) -> Receipt {
    let credentials = ClientCredentials { id: SecretText::new("id"), secret: SecretText::new(CANARY) };
    let issued_at = "2026-11-24T12:00:00Z".parse().unwrap();
    Receipt {
        installation: installation.into(),
        rotation: RotationName::parse(rotation).unwrap(),
        generation,
        validity: Validity::new(issued_at, SignedDuration::from_hours(1)),
        jitter: UnitInterval::new(0.5).unwrap(),
        spec: SpecDigest::of([]),
        render: SpecDigest::of([]),
        credentials: Some(KeyedFingerprint::of(&credentials)),
        source_version: None,
        handled_request: None,
        mac: None,
    }
}

fn ours(generation: u64) -> Receipt {
    receipt("everbearer", "voice", generation)
}

fn handle(text: &str) -> Handle {
    Handle::new(text)
}

#[tokio::test]
async fn a_first_and_a_second_delivery_are_seen_again_with_their_receipts() {
    let sink = sink("sink/deliveries", Options::default());
    let empty = sink.observe().await.unwrap();
    assert_eq!(empty.handle, handle("0"));
    assert!(empty.found.is_none());

    let first = sink.deliver(&empty.handle, &content(CANARY), &ours(1)).await.unwrap();
    let seen = sink.observe().await.unwrap();
    assert_eq!((&seen.handle, &first), (&handle("1"), &handle("1")));
    let found = seen.found.unwrap();
    assert_eq!(found.receipt, Some(ours(1)));
    assert_eq!(found.content, content(CANARY));

    let second = sink.deliver(&first, &content("two"), &ours(2)).await.unwrap();
    assert_eq!(second, handle("2"));
    let (version, data) = OpenBao::shared().get("secret", "sink/deliveries").await.unwrap();
    assert_eq!(version, 2);
    let expected =
        json!({"access_token": "two", "expires_at": "2026-11-24T13:00:00Z", RECEIPT_KEY: ours(2).encode()});
    assert_eq!(data, expected, "token and receipt are one write");
}

#[tokio::test]
async fn a_write_in_between_is_a_conflict_and_stays() {
    let bao = OpenBao::shared();
    for (path, options) in [("sink/conflict", Options::default()), ("sink/conflict-keep", KEEP)] {
        let sink = sink(path, options);
        let first = sink.deliver(&handle("0"), &content("one"), &ours(1)).await.unwrap();
        let theirs = json!({"by": "someone else"});
        bao.put("secret", path, theirs.clone()).await;
        for stale in [&first, &handle("0"), &handle("9"), &handle("no version")] {
            let error = sink.deliver(stale, &content("two"), &ours(2)).await.unwrap_err();
            assert!(matches!(error, SinkError::Conflict), "{stale}: {error}");
        }
        assert_eq!(bao.get("secret", path).await.unwrap(), (2, theirs));
    }
}

#[tokio::test]
async fn two_writers_of_one_version_never_both_succeed() {
    let sink = Arc::new(sink("sink/race", Options::default()));
    let writers = (0..8).map(|i| {
        let sink = sink.clone();
        async move { sink.deliver(&handle("0"), &content(&format!("token-{i}")), &ours(i)).await.is_ok() }
    });
    let won = futures::future::join_all(writers).await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_foreign_path_is_refused_and_untouched() {
    let bao = OpenBao::shared();
    let (other_rotation, other_installation) =
        (receipt("everbearer", "fax", 1), receipt("staging", "voice", 1));
    let cases: [(&str, Value, Options, &str); 9] = [
        (
            "plain",
            json!({"password": CANARY, "user": CANARY}),
            Options::default(),
            "holds the keys password, user and no receipt of ours. Choose an empty path, or set adopt: true",
        ),
        (
            "rotation",
            json!({"access_token": CANARY, RECEIPT_KEY: other_rotation.encode()}),
            Options::default(),
            "holds the receipt of the rotation fax of the installation everbearer",
        ),
        (
            "rotation-adopt",
            json!({"access_token": CANARY, RECEIPT_KEY: other_rotation.encode()}),
            ADOPT,
            "holds the receipt of the rotation fax of the installation everbearer",
        ),
        (
            "installation",
            json!({"access_token": CANARY, RECEIPT_KEY: other_installation.encode()}),
            Options::default(),
            "holds the receipt of the rotation voice of the installation staging",
        ),
        (
            "installation-keep",
            json!({RECEIPT_KEY: other_installation.encode()}),
            KEEP,
            "of the installation staging",
        ),
        (
            "garbage",
            json!({"access_token": "x", RECEIPT_KEY: CANARY}),
            Options::default(),
            "no receipt of ours",
        ),
        ("json", json!({RECEIPT_KEY: r#"{"canary": 1}"#}), Options::default(), "no receipt of ours"),
        (
            "object",
            json!({RECEIPT_KEY: {"installation": "everbearer", "rotation": "voice"}}),
            KEEP,
            "no receipt of ours",
        ),
        ("overlap", json!({"access_token": CANARY, "theirs": CANARY}), KEEP, "no receipt of ours"),
    ];
    for (name, data, options, expected) in cases {
        let path = format!("sink/foreign/{name}");
        bao.put("secret", &path, data.clone()).await;
        let error = sink(&path, options).observe().await.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{name}: {error}");
        let message = told(&error);
        assert!(
            message.contains(expected) && message.contains(&format!("vault secret/{path}")),
            "{name}: {message}"
        );
        assert_eq!(bao.get("secret", &path).await.unwrap(), (1, data), "{name}");
    }
}

#[tokio::test]
async fn an_adopted_path_is_replaced_whole() {
    let bao = OpenBao::shared();
    bao.put("secret", "sink/adopted", json!({"access_token": "theirs", "stale": "x"})).await;
    let sink = sink("sink/adopted", ADOPT);
    let seen = sink.observe().await.unwrap();
    assert!(seen.found.is_none(), "a token that is not ours is not believed");
    sink.deliver(&seen.handle, &content("ours"), &ours(1)).await.unwrap();
    let (version, data) = bao.get("secret", "sink/adopted").await.unwrap();
    assert_eq!((version, &data["access_token"], data.get("stale")), (2, &json!("ours"), None));
    assert!(sink.observe().await.unwrap().found.is_some());
}

#[tokio::test]
async fn foreign_keys_are_kept_as_they_are_and_are_no_part_of_our_content() {
    let bao = OpenBao::shared();
    let theirs =
        json!({"text": CANARY, "number": 1.234_567_890_123_456_8e22, "nested": {"list": [1, null, true]}});
    bao.put("secret", "sink/kept", theirs.clone()).await;
    let sink = sink("sink/kept", KEEP);
    let mut at = sink.observe().await.unwrap().handle;
    for generation in 1..=3 {
        at = sink.deliver(&at, &content("ours"), &ours(generation)).await.unwrap();
    }
    let (version, mut data) = bao.get("secret", "sink/kept").await.unwrap();
    assert_eq!(version, 4);
    let found = sink.observe().await.unwrap().found.unwrap();
    assert_eq!((found.receipt, found.content), (Some(ours(3)), content("ours")));
    for key in ["access_token", "expires_at", RECEIPT_KEY] {
        assert!(data.as_object_mut().unwrap().remove(key).is_some());
    }
    assert_eq!(data, theirs);
}

#[tokio::test]
async fn a_foreign_key_that_came_later_is_drift_where_such_keys_are_refused() {
    let bao = OpenBao::shared();
    let sink = sink("sink/drift", Options::default());
    bao.put("secret", "sink/drift", json!({"access_token": "one", "new": 7, RECEIPT_KEY: ours(1).encode()}))
        .await;
    let found = sink.observe().await.unwrap().found.unwrap();
    assert_eq!(found.receipt, Some(ours(1)));
    assert_eq!(found.content.keys().collect::<Vec<_>>(), ["access_token", "new"]);
    assert_eq!(found.content.expose("new"), Some(&b"7"[..]));
}

#[tokio::test]
async fn a_damaged_receipt_that_names_us_is_ours_without_a_receipt() {
    let damaged = ours(1).encode().replace("\"version\":1", "\"version\":99");
    OpenBao::shared().put("secret", "sink/damaged", json!({"access_token": "x", RECEIPT_KEY: damaged})).await;
    let found = sink("sink/damaged", Options::default()).observe().await.unwrap().found.unwrap();
    assert_eq!(found.receipt, None);
    assert_eq!(found.content.expose("access_token"), Some(&b"x"[..]));
}

#[tokio::test]
async fn a_deleted_version_is_written_over_by_its_number() {
    let bao = OpenBao::shared();
    for (path, options) in [("sink/deleted", Options::default()), ("sink/deleted-keep", KEEP)] {
        let sink = sink(path, options);
        let first = sink.deliver(&handle("0"), &content("one"), &ours(1)).await.unwrap();
        bao.delete("secret", path).await;
        let seen = sink.observe().await.unwrap();
        assert_eq!(seen.handle, first);
        assert!(seen.found.is_none());
        assert!(matches!(
            sink.deliver(&handle("0"), &content("x"), &ours(2)).await,
            Err(SinkError::Conflict)
        ));
        assert_eq!(sink.deliver(&seen.handle, &content("two"), &ours(2)).await.unwrap(), handle("2"));
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_told_before_or_by_the_write() {
    let bao = OpenBao::shared();
    let huge = Content::new([("access_token", SecretText::new("x".repeat(1024 * 1024)))]);
    let error =
        sink("sink/huge", Options::default()).deliver(&handle("0"), &huge, &ours(1)).await.unwrap_err();
    assert!(matches!(error, SinkError::TooLarge { limit: 1_048_576, .. }), "{error}");
    let binary = Content::new([("access_token", vec![0xff_u8])]);
    let error =
        sink("sink/binary", Options::default()).deliver(&handle("0"), &binary, &ours(1)).await.unwrap_err();
    assert!(matches!(error, SinkError::Unfit { .. }), "{error}");
    assert_eq!((bao.get("secret", "sink/huge").await, bao.get("secret", "sink/binary").await), (None, None));

    let nowhere = sink_of(root_session(), "voice", "nowhere", "x", Options::default());
    for error in [
        nowhere.observe().await.unwrap_err(),
        nowhere.deliver(&handle("0"), &content(CANARY), &ours(1)).await.unwrap_err(),
    ] {
        assert!(told(&error).contains("no KV version 2 engine is mounted at nowhere"), "{error}");
    }
}

#[tokio::test]
async fn a_probe_names_the_policy_line_that_a_delivery_lacks() {
    let bao = OpenBao::shared();
    // (rights, observed version, what the message names)
    let cases = [
        (
            r#"["read"]"#,
            "0",
            Some("allows read at secret/data/sink/probe, and a delivery needs create and update"),
        ),
        (r#"["read", "create"]"#, "0", Some("needs create and update")),
        (r#"["read", "create"]"#, "3", Some("a delivery needs update")),
        (r#"["deny"]"#, "3", Some("allows deny")),
        (r#"["read", "update"]"#, "3", None),
        (r#"["read", "create", "update"]"#, "0", None),
    ];
    for (i, (rights, version, expected)) in cases.into_iter().enumerate() {
        let policy = format!("path \"secret/data/sink/probe\" {{ capabilities = {rights} }}");
        let token = bao.token(&format!("probe-{i}"), &policy).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &token).unwrap();
        let session = session(&bao.address, by_file(file.path()));
        let sink = sink_of(session, "voice", "secret", "sink/probe", Options::default());
        match (sink.probe(&handle(version)).await, expected) {
            (Ok(()), None) => {}
            (Err(error @ SinkError::Forbidden { .. }), Some(expected)) => {
                let message = told(&error);
                assert!(message.contains(expected), "{message}");
                let line = r#"path "secret/data/sink/probe" { capabilities = ["create", "read", "update"] }"#;
                assert!(message.contains(line) && !message.contains(&token), "{message}");
            }
            (outcome, _) => panic!("{rights} at {version}: {outcome:?}"),
        }
    }
    assert!(bao.get("secret", "sink/probe").await.is_none(), "a probe writes nothing");
}

#[tokio::test]
async fn a_probe_that_may_not_ask_knows_nothing_and_a_write_without_the_right_is_forbidden() {
    let bao = OpenBao::shared();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "s.canary-token").unwrap();
    let sink = sink_of(session(&bao.address, by_file(file.path())), "voice", "secret", "sink/denied", KEEP);
    sink.probe(&handle("0")).await.expect("capabilities-self answers 403 to some roles that may write");
    let error = sink.deliver(&handle("0"), &content(CANARY), &ours(1)).await.unwrap_err();
    assert!(matches!(error, SinkError::Forbidden { .. }));
    assert!(told(&error).contains("(update at secret/data/sink/denied)"), "{error}");
}
