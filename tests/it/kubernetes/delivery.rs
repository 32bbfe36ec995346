//! What a delivery makes of a Secret that is absent or ours.

use everbearer::ports::{Sink as _, SinkError};
use everbearer::rotation::receipt::{Receipt, ReceiptKey};
use kube::api::DeleteParams;
use serde_json::json;

use super::{CANARY, Cluster, ISSUER, NAME, absent, content, credentials, data, managers, receipt, told};

#[tokio::test]
async fn a_first_delivery_makes_exactly_the_documented_object() {
    let cluster = Cluster::new().await;
    let sink = cluster.sink();
    let empty = sink.observe().await.unwrap();
    assert_eq!(empty.handle, absent());
    assert!(empty.found.is_none());

    let content = content(CANARY);
    let handle = sink.deliver(&empty.handle, &content, &receipt(1, &content)).await.unwrap();
    let secret = cluster.get().await;
    assert_eq!(managers(&secret), ["everbearer"]);
    let mut made = serde_json::to_value(&secret).unwrap();
    let metadata = made["metadata"].as_object_mut().unwrap();
    let version = (metadata.remove("uid").unwrap(), metadata.remove("resourceVersion").unwrap());
    assert_eq!(
        &*handle.0,
        format!("{}/{}", version.0.as_str().unwrap(), version.1.as_str().unwrap()),
        "the handle names what was written"
    );
    for set_by_the_server in ["managedFields", "creationTimestamp"] {
        metadata.remove(set_by_the_server).unwrap();
    }
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": NAME,
            "namespace": cluster.namespace,
            "labels": {"app.kubernetes.io/managed-by": "everbearer"},
            "annotations": {
                "everbearer.dev/rotation": "voice",
                "everbearer.dev/installation": "everbearer",
                "everbearer.dev/expires-at": "2026-11-24T13:00:00Z",
                "everbearer.dev/receipt": receipt(1, &content).encode(),
            },
        },
        "type": "Opaque",
        "data": data(&[("access_token", CANARY), ("expires_at", "2026-11-24T13:00:00Z")]),
    });
    assert_eq!(made, expected, "nothing else, and never immutable");
    let receipt = Receipt::decode(&secret.metadata.annotations.unwrap()["everbearer.dev/receipt"]).unwrap();
    let key = ReceiptKey::from_credentials(&credentials());
    assert!(receipt.verifies(&key, ISSUER, &NAME.into(), &content));
}

#[tokio::test]
async fn a_second_delivery_replaces_the_first_and_reads_back_equal() {
    let cluster = Cluster::new().await;
    let sink = cluster.sink();
    let one = everbearer::secret::Content::new([
        ("access_token", vec![0xff_u8, 0, b'\n']),
        ("dropped-later", b"x".to_vec()),
    ]);
    let first = sink.deliver(&absent(), &one, &receipt(1, &one)).await.unwrap();
    let seen = sink.observe().await.unwrap();
    assert_eq!(seen.handle, first);
    let found = seen.found.unwrap();
    assert_eq!((found.receipt, found.content), (Some(receipt(1, &one)), one), "any bytes come back");

    let two = content("two");
    let second = sink.deliver(&first, &two, &receipt(2, &two)).await.unwrap();
    assert_ne!(second, first);
    let seen = sink.observe().await.unwrap();
    assert_eq!(seen.handle, second);
    let found = seen.found.unwrap();
    assert_eq!((found.receipt, &found.content), (Some(receipt(2, &two)), &two));
    let keys: Vec<String> = cluster.get().await.data.unwrap().into_keys().collect();
    assert_eq!(keys, ["access_token", "expires_at"], "a key that is no longer delivered goes");
}

#[tokio::test]
async fn what_others_put_into_our_secret_stays_and_is_not_read() {
    let cluster = Cluster::new().await;
    let sink = cluster.sink();
    let one = content("one");
    sink.deliver(&absent(), &one, &receipt(1, &one)).await.unwrap();
    cluster
        .edit(json!({
            "metadata": {"labels": {"team": "voice"}, "annotations": {"note": "keep"}},
            "data": data(&[("theirs", "stays")]),
        }))
        .await;
    let seen = sink.observe().await.unwrap();
    let found = seen.found.unwrap();
    assert_eq!((found.receipt, &found.content), (Some(receipt(1, &one)), &one));

    let two = content("two");
    sink.deliver(&seen.handle, &two, &receipt(2, &two)).await.unwrap();
    let secret = cluster.get().await;
    let text = |key: &str| String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap();
    assert_eq!((text("theirs"), text("access_token")), ("stays".to_owned(), "two".to_owned()));
    assert_eq!(secret.metadata.labels.as_ref().unwrap()["team"], "voice");
    assert_eq!(secret.metadata.annotations.as_ref().unwrap()["note"], "keep");
    assert_eq!(sink.observe().await.unwrap().found.unwrap().content, two);
}

#[tokio::test]
async fn a_key_of_ours_that_somebody_edits_reads_as_changed_and_is_written_over() {
    let cluster = Cluster::new().await;
    let sink = cluster.sink();
    let one = content("one");
    let edits = [
        json!({"data": data(&[("access_token", "edited")])}),
        json!({"data": {"access_token": null}}),
        json!({"data": null}),
        json!({"metadata": {"managedFields": [{}]}}),
    ];
    let mut handle = absent();
    for edit in edits {
        sink.deliver(&handle, &one, &receipt(1, &one)).await.unwrap();
        cluster.edit(edit.clone()).await;
        let seen = sink.observe().await.unwrap();
        assert_ne!(seen.found.unwrap().content, one, "{edit}");
        handle = sink.deliver(&seen.handle, &one, &receipt(1, &one)).await.unwrap();
        assert_eq!(sink.observe().await.unwrap().found.unwrap().content, one, "{edit}");
    }
}

#[tokio::test]
async fn a_receipt_that_somebody_spoils_or_removes_is_none() {
    let cluster = Cluster::new().await;
    let sink = cluster.sink();
    let one = content("one");
    sink.deliver(&absent(), &one, &receipt(1, &one)).await.unwrap();
    for value in [json!("spoilt"), json!(null)] {
        cluster.edit(json!({"metadata": {"annotations": {"everbearer.dev/receipt": value}}})).await;
        let found = sink.observe().await.unwrap().found.unwrap();
        assert_eq!((found.receipt, &found.content), (None, &one));
    }
}

#[tokio::test]
async fn a_change_in_between_is_a_conflict_and_stays() {
    let cluster = Cluster::new().await;
    let sink = cluster.sink();
    let (one, two) = (content("one"), content(CANARY));
    let stale = sink.deliver(&absent(), &one, &receipt(1, &one)).await.unwrap();
    let edited = cluster.edit(json!({"metadata": {"labels": {"team": "voice"}}})).await;
    for error in [
        sink.deliver(&stale, &two, &receipt(2, &two)).await.unwrap_err(),
        sink.probe(&stale).await.unwrap_err(),
    ] {
        assert!(matches!(error, SinkError::Conflict), "{}", told(&error));
    }
    assert_eq!(cluster.get().await, edited);
}

#[tokio::test]
async fn a_secret_that_was_deleted_is_a_conflict_and_then_made_anew() {
    let cluster = Cluster::new().await;
    let sink = cluster.sink();
    let (one, two) = (content("one"), content(CANARY));
    let stale = sink.deliver(&absent(), &one, &receipt(1, &one)).await.unwrap();
    cluster.secrets.delete(NAME, &DeleteParams::default()).await.unwrap();
    let error = sink.deliver(&stale, &two, &receipt(2, &two)).await.unwrap_err();
    assert!(matches!(error, SinkError::Conflict), "{}", told(&error));
    assert!(cluster.secrets.get_opt(NAME).await.unwrap().is_none());

    let seen = sink.observe().await.unwrap();
    assert_eq!(seen.handle, absent());
    assert!(seen.found.is_none());
    let anew = sink.deliver(&seen.handle, &two, &receipt(2, &two)).await.unwrap();
    let error = sink.deliver(&stale, &one, &receipt(1, &one)).await.unwrap_err();
    assert!(matches!(error, SinkError::Conflict), "another object of the same name: {}", told(&error));
    assert_eq!(sink.observe().await.unwrap().handle, anew);
}

#[tokio::test]
async fn a_secret_of_ours_that_appears_in_between_is_not_written_over() {
    let cluster = Cluster::new().await;
    let (one, two) = (content("one"), content(CANARY));
    let newer = cluster.sink().deliver(&absent(), &one, &receipt(2, &one)).await.unwrap();
    let error = cluster.sink().deliver(&absent(), &two, &receipt(1, &two)).await.unwrap_err();
    assert!(matches!(error, SinkError::Conflict), "{}", told(&error));
    assert_eq!(cluster.sink().observe().await.unwrap().handle, newer);
}

#[tokio::test]
async fn of_several_first_deliveries_and_of_several_next_ones_one_succeeds() {
    let cluster = Cluster::new().await;
    let mut handle = absent();
    for round in 1..=2 {
        let writers = (0..8).map(|i| {
            let (sink, handle) = (cluster.sink(), handle.clone());
            async move {
                let content = content(&format!("token {round} {i}"));
                let delivered = sink.deliver(&handle, &content, &receipt(round, &content)).await;
                delivered.map(|handle| (handle, content))
            }
        });
        let mut won = None;
        for outcome in futures::future::join_all(writers).await {
            match outcome {
                Ok(winner) => assert!(won.replace(winner).is_none(), "two writers of one state succeed"),
                Err(error) => assert!(matches!(error, SinkError::Conflict), "{}", told(&error)),
            }
        }
        let (written, content) = won.expect("one succeeds");
        let seen = cluster.sink().observe().await.unwrap();
        assert_eq!((&seen.handle, seen.found.unwrap().content), (&written, content));
        handle = written;
    }
}
