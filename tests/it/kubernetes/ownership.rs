//! What is not ours: refused by name, and left as it is to the byte.

use everbearer::ports::Sink as _;
use serde_json::{Value, json};

use super::fixture::{Fixture, INSTALLATION, shown};

#[tokio::test]
async fn a_foreign_secret_is_refused_by_name_and_left_as_it_is() {
    let fixture = Fixture::new().await;
    fixture.create("kubectl-create", json!({"data": {"password": "Y2FuYXJ5"}})).await;
    let before = fixture.object().await;
    let (code, message) = shown(fixture.deliver(1).await);
    assert_eq!(code, "sink_refused");
    for part in ["was not made by Everbearer but by kubectl-create", "(keys password)", "`adopt: true`"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(fixture.object().await, before);
}

#[tokio::test]
async fn a_foreign_secret_that_appears_after_our_look_is_left_without_a_trace() {
    // Whether it holds our keys or others, and also where adoption is allowed, for nobody has looked at it.
    for (data, adopt) in [
        (json!({}), false),
        (json!({"access_token": "eA=="}), false),
        (json!({"access_token": "eA=="}), true),
        (json!({"a": "eA=="}), true),
    ] {
        let fixture = Fixture::new().await.with(|spec| spec.adopt = adopt);
        let sink = fixture.sink();
        let absent = sink.observe().await.unwrap().handle;
        fixture.create("helm", json!({"data": data})).await;
        let before = fixture.object().await;
        let (code, message) = shown(fixture.deliver_against(&sink, &absent, 1).await);
        let refused = code == "sink_refused" && message.contains("helm") && !adopt;
        assert!(code == "sink_conflict" || refused, "{message}");
        assert_eq!(fixture.object().await, before);
        if !adopt {
            assert_eq!(shown(sink.observe().await).0, "sink_refused", "the look that follows");
        }
    }
}

#[tokio::test]
async fn adoption_takes_over_what_it_writes_and_keeps_the_rest() {
    let fixture = Fixture::new().await.with(|spec| spec.adopt = true);
    fixture.create("kubectl-create", json!({"data": {"access_token": "eA==", "theirs": "eA=="}})).await;
    let observed = fixture.sink().observe().await.unwrap();
    assert!(observed.found.is_none(), "what a stranger wrote is no token of ours");
    fixture.sink().probe(&observed.handle).await.unwrap();
    fixture.deliver(1).await.unwrap();
    let strict = fixture.with(|spec| spec.adopt = false);
    let observed = strict.sink().observe().await.unwrap();
    assert_eq!(strict.verified(&observed), Some(1), "it is ours from now on");
    assert_eq!(strict.object().await["data"]["theirs"], "eA==");
}

#[tokio::test]
async fn a_secret_of_another_rotation_or_installation_is_refused_even_with_adopt() {
    let fixture = Fixture::new().await.with(|spec| spec.adopt = true);
    fixture.deliver(1).await.unwrap();
    let before = fixture.object().await;
    let rivals = [
        ("fax", INSTALLATION, "belongs to the rotation voice, and this is fax"),
        ("voice", "staging", "belongs to the installation prod, and we are staging"),
    ];
    for (rotation, installation, part) in rivals {
        let (code, message) = shown(fixture.sink_of(rotation, installation).observe().await);
        assert_eq!(code, "sink_refused");
        assert!(message.contains(part) && message.contains("`adopt` does not help"), "{message}");
    }
    assert_eq!(fixture.object().await, before);
}

#[tokio::test]
async fn a_secret_that_lost_our_label_is_no_longer_ours() {
    let fixture = Fixture::new().await;
    fixture.deliver(1).await.unwrap();
    let unlabelled = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "helm"}}});
    fixture.merge("helm", unlabelled).await;
    let (code, message) = shown(fixture.sink().observe().await);
    assert!(code == "sink_refused" && message.contains("helm"), "{message}");
}

#[tokio::test]
async fn an_immutable_secret_and_another_type_are_explained() {
    let cases: [(Value, &str, &str); 3] = [
        (json!({"immutable": true}), "sink_unfit", "immutable"),
        (json!({"type": "example.com/other"}), "sink_unfit", "Set `type: example.com/other`"),
        (
            json!({"type": "kubernetes.io/service-account-token",
                "metadata": {"annotations": {"kubernetes.io/service-account.name": "default"}}}),
            "sink_refused",
            "which Kubernetes fills itself",
        ),
    ];
    for (body, expected_code, part) in cases {
        let fixture = Fixture::new().await.with(|spec| spec.adopt = true);
        fixture.create("kubectl-create", body).await;
        let before = fixture.object().await;
        let (code, message) = shown(fixture.deliver(1).await);
        assert!(code == expected_code && message.contains(part), "{code} {message}");
        assert_eq!(fixture.object().await, before);
    }
}

#[tokio::test]
async fn our_own_secret_made_immutable_is_explained() {
    let fixture = Fixture::new().await;
    fixture.deliver(1).await.unwrap();
    fixture.merge("kubectl-edit", json!({"immutable": true})).await;
    let (code, message) = shown(fixture.deliver(2).await);
    assert!(code == "sink_unfit" && message.contains("kubectl delete secret voice-token"), "{message}");
}
