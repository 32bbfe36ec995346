//! Whose a Secret is, and that nobody else's is touched.

use everbearer::config::spec::KubernetesSecretSpec;
use everbearer::ports::{Sink as _, SinkError};
use serde_json::{Value, json};

use super::{ADMIN, CANARY, Cluster, absent, content, data, managers, receipt, sink_at, sink_of, told};
use crate::support::apiserver::ApiServer;

/// Secrets that others made, with what the refusal says.
fn foreign() -> [(Value, &'static str); 4] {
    let labelled = |by: &str, annotations: Value| {
        json!({
            "metadata": {"labels": {"app.kubernetes.io/managed-by": by}, "annotations": annotations},
            "data": data(&[("other", "theirs")]),
        })
    };
    [
        (json!({"data": data(&[("access_token", "theirs")])}), "it was not made by Everbearer. "),
        (json!({"metadata": {"labels": {"a": "b"}}}), "it was not made by Everbearer. "),
        (labelled("Helm", json!({"a": "b"})), "it was not made by Everbearer, managed by Helm. "),
        (labelled("everbearer", json!({})), "it has our label, but not our annotations. "),
    ]
}

#[tokio::test]
async fn a_foreign_secret_is_refused_and_left_as_it_is() {
    for (body, expected) in foreign() {
        let cluster = Cluster::new().await;
        let theirs = cluster.create(body).await;
        let error = cluster.sink().observe().await.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{}", told(&error));
        let message = told(&error);
        let at = format!("Secret {}/voice-token: {expected}", cluster.namespace);
        assert!(message.contains(&at) && message.contains("adopt: true"), "{message}");
        assert_eq!(cluster.get().await, theirs);
    }
}

#[tokio::test]
async fn a_foreign_secret_that_appears_after_the_look_is_not_touched_and_then_refused() {
    for (body, _) in foreign() {
        let cluster = Cluster::new().await;
        for sink in [cluster.sink(), cluster.adopting()] {
            assert_eq!(sink.observe().await.unwrap().handle, absent());
        }
        let theirs = cluster.create(body).await;
        let content = content(CANARY);
        for sink in [cluster.sink(), cluster.adopting()] {
            for error in [
                sink.probe(&absent()).await.unwrap_err(),
                sink.deliver(&absent(), &content, &receipt(1, &content)).await.unwrap_err(),
            ] {
                assert!(matches!(error, SinkError::Conflict), "{}", told(&error));
            }
        }
        assert_eq!(cluster.get().await, theirs, "not even a new resourceVersion");
        let error = cluster.sink().observe().await.unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{}", told(&error));
    }
}

#[tokio::test]
async fn adopt_takes_a_foreign_secret_over_and_keeps_what_is_not_ours() {
    for (body, _) in foreign() {
        let cluster = Cluster::new().await;
        let theirs = cluster.create(body).await;
        let sink = cluster.adopting();
        let seen = sink.observe().await.unwrap();
        assert!(seen.found.is_none(), "their content is not a token of ours");
        sink.probe(&seen.handle).await.unwrap();
        assert_eq!(cluster.get().await, theirs, "a probe writes nothing");

        let content = content(CANARY);
        let handle = sink.deliver(&seen.handle, &content, &receipt(1, &content)).await.unwrap();
        for sink in [cluster.sink(), cluster.adopting()] {
            let seen = sink.observe().await.unwrap();
            assert_eq!(seen.handle, handle, "ours from now on, with or without adopt");
            let found = seen.found.unwrap();
            assert_eq!((found.receipt, &found.content), (Some(receipt(1, &content)), &content));
        }
        let secret = cluster.get().await;
        assert_eq!(secret.metadata.uid, theirs.metadata.uid);
        for (key, value) in theirs.data.iter().flatten().filter(|(key, _)| *key != "access_token") {
            assert_eq!(&secret.data.as_ref().unwrap()[key], value);
        }
        assert!(managers(&secret).contains(&"everbearer"));
    }
}

#[tokio::test]
async fn another_installation_and_another_rotation_are_refused_even_if_they_were_to_be_adopted() {
    let cluster = Cluster::new().await;
    let content = content(CANARY);
    cluster.sink().deliver(&absent(), &content, &receipt(1, &content)).await.unwrap();
    let kubeconfig = ApiServer::shared().kubeconfig(ADMIN);
    let cases = [
        ("second", "voice", "it belongs to the installation everbearer, this is second. "),
        ("everbearer", "other", "it belongs to the rotation voice, this is other. "),
    ];
    for (installation, rotation, expected) in cases {
        for adopt in [false, true] {
            let spec = KubernetesSecretSpec { adopt, ..cluster.spec() };
            let error =
                sink_at(kubeconfig.clone(), installation, rotation, spec).observe().await.unwrap_err();
            assert!(matches!(error, SinkError::Refused { .. }), "{}", told(&error));
            let message = told(&error);
            assert!(message.contains(expected) && !message.contains("adopt"), "{message}");
        }
    }
}

#[tokio::test]
async fn an_immutable_secret_and_another_type_are_explained() {
    let cases = [
        (json!({"immutable": true}), "is immutable; delete it and it is made anew"),
        (
            json!({"type": "example.com/token"}),
            "has the type example.com/token, wanted is Opaque, and Kubernetes changes no type; delete it and it is \
             made anew, or set type: example.com/token",
        ),
    ];
    for (body, expected) in cases {
        let cluster = Cluster::new().await;
        cluster.create(body).await;
        let error = cluster.adopting().observe().await.unwrap_err();
        assert!(matches!(error, SinkError::Unfit { .. }), "{}", told(&error));
        assert!(told(&error).contains(expected), "{error}");
    }

    // One of ours that was frozen, or whose type was changed in the config.
    let cluster = Cluster::new().await;
    let content = content(CANARY);
    cluster.sink().deliver(&absent(), &content, &receipt(1, &content)).await.unwrap();
    let spec = KubernetesSecretSpec { type_: "example.com/token".to_owned(), ..cluster.spec() };
    let retyped = sink_of(ADMIN, "voice", spec).observe().await.unwrap_err();
    assert!(told(&retyped).contains("has the type Opaque, wanted is example.com/token"), "{retyped}");
    cluster.edit(json!({"immutable": true})).await;
    let frozen = cluster.sink().observe().await.unwrap_err();
    assert!(told(&frozen).contains("is immutable"), "{frozen}");
}
