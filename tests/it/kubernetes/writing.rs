//! What a delivery writes, and which state it insists on replacing.

use everbearer::ports::{Handle, Sink as _};
use k8s_openapi::ByteString;
use kube::api::DeleteParams;
use serde_json::json;

use super::fixture::{Fixture, NAME, shown};

#[tokio::test]
async fn a_first_delivery_creates_exactly_the_documented_object() {
    let fixture = Fixture::new().await;
    let sink = fixture.sink();
    let observed = sink.observe().await.unwrap();
    assert_eq!(observed.handle, Handle::new("absent"));
    assert!(observed.found.is_none());
    let (content, receipt) = fixture.delivery(1);
    let handle = sink.deliver(&observed.handle, &content, &receipt).await.unwrap();

    let mut secret = fixture.secrets.get(NAME).await.unwrap();
    let (uid, version) =
        (secret.metadata.uid.take().unwrap(), secret.metadata.resource_version.take().unwrap());
    assert_eq!(handle, Handle::new(format!("{uid}/{version}")), "the next write need not look");
    let data = secret.data.take().unwrap();
    let held: Vec<_> = data.iter().map(|(key, ByteString(value))| (key.as_str(), &value[..])).collect();
    assert_eq!(held, content.expose_all().collect::<Vec<_>>());
    let managers = secret.metadata.managed_fields.take().unwrap();
    let managers: Vec<_> = managers.iter().map(|m| (m.manager.as_deref(), m.operation.as_deref())).collect();
    assert_eq!(managers, [(Some("everbearer"), Some("Apply"))]);
    secret.metadata.creation_timestamp = None;
    assert_eq!(
        serde_json::to_value(secret).unwrap(),
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": NAME, "namespace": fixture.namespace,
                "labels": {"app.kubernetes.io/managed-by": "everbearer", "team": "voice"},
                "annotations": {
                    "note": "for the dialler",
                    "everbearer.dev/rotation": "voice",
                    "everbearer.dev/installation": "prod",
                    "everbearer.dev/expires-at": "2026-11-24T13:00:00Z",
                    "everbearer.dev/receipt": receipt.encode(),
                },
            },
        }),
    );
}

#[tokio::test]
async fn a_delivered_receipt_is_found_again_and_verifies() {
    let fixture = Fixture::new().await;
    fixture.deliver(7).await.unwrap();
    let observed = fixture.sink().observe().await.unwrap();
    let (content, receipt) = fixture.delivery(7);
    let found = observed.found.as_ref().unwrap();
    assert_eq!((&found.receipt, &found.content), (&Some(receipt), &content));
    assert_eq!(fixture.verified(&observed), Some(7));
}

#[tokio::test]
async fn a_second_delivery_replaces_the_first_and_what_it_no_longer_names() {
    let fixture = Fixture::new().await;
    let sink = fixture.sink();
    let handle = fixture.deliver(1).await.unwrap();
    let next = fixture.with(|spec| spec.annotations.clear());
    let handle = next.deliver_against(&next.sink(), &handle, 2).await.unwrap();
    let observed = sink.observe().await.unwrap();
    assert_eq!((&observed.handle, next.verified(&observed)), (&handle, Some(2)));
    assert!(next.object().await["metadata"]["annotations"].get("note").is_none());

    // A rotation that leaves a default key out takes it away.
    let (content, receipt) = next.delivery(3);
    let one = content.expose_all().take(1).map(|(key, value)| (key.to_owned(), value.to_vec()));
    let one = everbearer::secret::Content::new(one);
    sink.deliver(&handle, &one, &receipt).await.unwrap();
    let keys: Vec<_> = fixture_keys(&next).await;
    assert_eq!(keys, ["access_token"]);
}

#[tokio::test]
async fn what_others_keep_in_our_secret_stays_and_does_not_spoil_the_receipt() {
    let fixture = Fixture::new().await;
    fixture.deliver(1).await.unwrap();
    let theirs = json!({
        "data": {"theirs": "eA=="},
        "metadata": {"labels": {"theirs": "x"}, "annotations": {"theirs": "x"}},
    });
    fixture.merge("kubectl-edit", theirs).await;
    let observed = fixture.sink().observe().await.unwrap();
    assert_eq!(fixture.verified(&observed), Some(1), "their keys are not taken for ours");
    fixture.deliver(2).await.unwrap();
    let object = fixture.object().await;
    assert_eq!(object["data"]["theirs"], "eA==");
    assert_eq!(object["metadata"]["labels"]["theirs"], "x");
    assert_eq!(object["metadata"]["annotations"]["theirs"], "x");
}

#[tokio::test]
async fn a_value_that_somebody_changed_is_drift_and_written_over() {
    let fixture = Fixture::new().await;
    fixture.deliver(1).await.unwrap();
    fixture.merge("kubectl-edit", json!({"data": {"access_token": "eA=="}})).await;
    let observed = fixture.sink().observe().await.unwrap();
    assert_eq!(fixture.verified(&observed), None);
    fixture.deliver(1).await.unwrap();
    assert_eq!(fixture.verified(&fixture.sink().observe().await.unwrap()), Some(1));
}

#[tokio::test]
async fn an_emptied_secret_is_ours_and_empty() {
    let fixture = Fixture::new().await;
    fixture.deliver(1).await.unwrap();
    let nothing = json!({"data": null, "metadata": {"annotations": {"everbearer.dev/receipt": null}}});
    fixture.merge("kubectl-edit", nothing).await;
    assert!(fixture.sink().observe().await.unwrap().found.is_none());
    fixture.deliver(1).await.unwrap();
    assert_eq!(fixture.verified(&fixture.sink().observe().await.unwrap()), Some(1));
}

#[tokio::test]
async fn a_restore_that_dropped_the_managed_fields_still_verifies() {
    let fixture = Fixture::new().await;
    fixture.deliver(4).await.unwrap();
    let mut backup = fixture.object().await;
    fixture.secrets.delete(NAME, &DeleteParams::default()).await.unwrap();
    for field in ["uid", "resourceVersion", "managedFields", "creationTimestamp"] {
        backup["metadata"].as_object_mut().unwrap().remove(field);
    }
    fixture.create("velero", backup).await;
    assert_eq!(fixture.verified(&fixture.sink().observe().await.unwrap()), Some(4));
    fixture.deliver(5).await.unwrap();
    assert_eq!(fixture.verified(&fixture.sink().observe().await.unwrap()), Some(5));
}

#[tokio::test]
async fn a_stale_handle_is_a_conflict() {
    let fixture = Fixture::new().await;
    let sink = fixture.sink();
    let old = fixture.deliver(1).await.unwrap();
    fixture.deliver_against(&sink, &old, 2).await.unwrap();
    let before = fixture.object().await;
    assert_eq!(shown(fixture.deliver_against(&sink, &old, 3).await).0, "sink_conflict");
    assert_eq!(shown(sink.probe(&old).await).0, "sink_conflict");
    assert_eq!(fixture.object().await, before);
}

#[tokio::test]
async fn a_secret_deleted_in_between_is_a_conflict_and_made_anew_after_a_look() {
    let fixture = Fixture::new().await;
    let sink = fixture.sink();
    let handle = fixture.deliver(1).await.unwrap();
    fixture.secrets.delete(NAME, &DeleteParams::default()).await.unwrap();
    assert_eq!(shown(fixture.deliver_against(&sink, &handle, 2).await).0, "sink_conflict");
    assert!(fixture.secrets.get_opt(NAME).await.unwrap().is_none(), "a late write brings nothing back");
    fixture.deliver(2).await.unwrap();
    // Deleted and made again: another uid.
    assert_eq!(shown(fixture.deliver_against(&sink, &handle, 3).await).0, "sink_conflict");
}

#[tokio::test]
async fn two_first_deliveries_of_the_same_rotation_do_not_overwrite_each_other() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.sink(), fixture.sink());
    let absent = one.observe().await.unwrap().handle;
    fixture.deliver_against(&one, &absent, 2).await.unwrap();
    assert_eq!(shown(fixture.deliver_against(&two, &absent, 1).await).0, "sink_conflict");
    assert_eq!(fixture.verified(&two.observe().await.unwrap()), Some(2));
}

#[tokio::test]
async fn of_several_writers_against_one_state_one_succeeds() {
    let fixture = Fixture::new().await;
    let sinks: Vec<_> = (0..5).map(|_| fixture.sink()).collect();
    for (state, first) in [("nothing", 1), ("a Secret of ours", 11)] {
        let handle = sinks[0].observe().await.unwrap().handle;
        let writes = sinks.iter().zip(first..).map(|(sink, n)| fixture.deliver_against(sink, &handle, n));
        let written = futures::future::join_all(writes).await;
        assert_eq!(written.iter().filter(|result| result.is_ok()).count(), 1, "against {state}");
        for lost in written.into_iter().filter(Result::is_err) {
            assert_eq!(shown(lost).0, "sink_conflict", "against {state}");
        }
    }
}

#[tokio::test]
async fn a_receipt_that_somebody_spoiled_is_none() {
    let fixture = Fixture::new().await;
    fixture.deliver(1).await.unwrap();
    fixture
        .merge("kubectl-edit", json!({"metadata": {"annotations": {"everbearer.dev/receipt": "{}"}}}))
        .await;
    let found = fixture.sink().observe().await.unwrap().found.unwrap();
    assert!(found.receipt.is_none());
}

#[tokio::test]
async fn a_probe_changes_nothing() {
    let fixture = Fixture::new().await;
    let sink = fixture.sink();
    let absent = sink.observe().await.unwrap().handle;
    sink.probe(&absent).await.unwrap();
    assert!(fixture.secrets.get_opt(NAME).await.unwrap().is_none());
    let handle = fixture.deliver(1).await.unwrap();
    let before = fixture.object().await;
    sink.probe(&handle).await.unwrap();
    assert_eq!(fixture.object().await, before);
}

#[tokio::test]
async fn types_that_ask_for_keys_pass_the_probe_and_take_a_delivery() {
    let fixture = Fixture::new().await.with(|spec| spec.type_ = "kubernetes.io/basic-auth".into());
    let sink = fixture.sink();
    let absent = sink.observe().await.unwrap().handle;
    sink.probe(&absent).await.unwrap();
    let keys = ["username", "password"].map(|key| (key, b"x".to_vec()));
    let (content, receipt) = (everbearer::secret::Content::new(keys), fixture.delivery(1).1);
    let handle = sink.deliver(&absent, &content, &receipt).await.unwrap();
    sink.probe(&handle).await.unwrap();
}

async fn fixture_keys(fixture: &Fixture) -> Vec<String> {
    fixture.object().await["data"].as_object().unwrap().keys().cloned().collect()
}
