//! The least that we may be allowed, and what is said where a right, a quota or a policy is in the way.

use std::time::Duration;

use everbearer::ports::Sink as _;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::fixture::{Fixture, NAME, shown};
use crate::support::apiserver::{ADMIN, ApiServer, RESTRICTED};

fn object<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Lets the restricted user do this to our Secret alone, and waits until the API server knows.
async fn allow(namespace: &str, verbs: &[&str]) {
    let admin = ApiServer::shared().client(ADMIN);
    let rules = json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": [NAME], "verbs": verbs});
    let role: Role = object(json!({"metadata": {"name": "everbearer"}, "rules": [rules]}));
    let binding: RoleBinding = object(json!({
        "metadata": {"name": "everbearer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "everbearer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": RESTRICTED}],
    }));
    Api::namespaced(admin.clone(), namespace).create(&PostParams::default(), &role).await.unwrap();
    Api::namespaced(admin, namespace).create(&PostParams::default(), &binding).await.unwrap();
    let reviews: Api<SelfSubjectAccessReview> = Api::all(ApiServer::shared().client(RESTRICTED));
    let asked = json!({"namespace": namespace, "resource": "secrets", "name": NAME, "verb": verbs[0]});
    let review = object(json!({"metadata": {}, "spec": {"resourceAttributes": asked}}));
    for _ in 0..200 {
        let answer: SelfSubjectAccessReview = reviews.create(&PostParams::default(), &review).await.unwrap();
        if answer.status.unwrap().allowed {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the role in {namespace} never takes effect");
}

#[tokio::test]
async fn get_create_and_patch_on_one_name_are_enough() {
    let fixture = Fixture::new().await.acting_as(RESTRICTED);
    allow(&fixture.namespace, &["get", "create", "patch"]).await;
    let sink = fixture.sink();
    let absent = sink.observe().await.unwrap().handle;
    sink.probe(&absent).await.unwrap();
    let handle = fixture.deliver_against(&sink, &absent, 1).await.unwrap();
    sink.probe(&handle).await.unwrap();
    fixture.deliver_against(&sink, &handle, 2).await.unwrap();
    assert_eq!(fixture.verified(&sink.observe().await.unwrap()), Some(2));
}

#[tokio::test]
async fn each_missing_right_is_named_with_the_way_to_check_it() {
    for (missing, granted) in
        [("get", ["create", "patch"]), ("create", ["get", "patch"]), ("patch", ["get", "create"])]
    {
        let fixture = Fixture::new().await.acting_as(RESTRICTED);
        allow(&fixture.namespace, &granted).await;
        let (code, message) = shown(fixture.deliver(1).await);
        assert_eq!(code, "sink_forbidden");
        let advice = format!(
            "restricted may not {missing} Secret {ns}/voice-token. Everbearer needs get, create and patch on secrets \
             in namespace {ns} (resourceNames may narrow all three to voice-token). Check with `kubectl auth can-i \
             {missing} secrets/voice-token -n {ns} --as restricted`",
            ns = fixture.namespace,
        );
        assert!(message.contains(&advice), "{message}");
        if missing != "get" {
            let sink = fixture.sink();
            let absent = sink.observe().await.unwrap().handle;
            let (code, message) = shown(sink.probe(&absent).await);
            assert!(
                code == "sink_forbidden" && message.contains(&advice),
                "the probe says the same: {message}"
            );
        }
    }
}

#[tokio::test]
async fn a_used_up_quota_is_named() {
    let fixture = Fixture::new().await;
    let quotas: Api<ResourceQuota> = Api::namespaced(ApiServer::shared().client(ADMIN), &fixture.namespace);
    let quota = object(json!({"metadata": {"name": "tiny"}, "spec": {"hard": {"secrets": "0"}}}));
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    let counted = json!({"status": {"hard": {"secrets": "0"}, "used": {"secrets": "0"}}});
    quotas.patch_status("tiny", &PatchParams::default(), &Patch::Merge(counted)).await.unwrap();
    let sink = fixture.sink();
    let absent = sink.observe().await.unwrap().handle;
    let mut last = String::new();
    for _ in 0..100 {
        // The API server may see the quota before its status, and not know what is used.
        last = match sink.probe(&absent).await {
            Ok(()) => continue,
            refused => shown(refused).1,
        };
        if last.contains("quota tiny of namespace") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{last}");
}

#[tokio::test]
async fn an_admission_policy_is_named_and_what_it_quotes_is_not() {
    let fixture = Fixture::new().await;
    let (admin, namespace) = (ApiServer::shared().client(ADMIN), &fixture.namespace);
    let policy: ValidatingAdmissionPolicy = object(json!({
        "metadata": {"name": format!("no-tokens-{namespace}")},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}]},
            "validations": [{
                "expression": "false",
                "messageExpression": "'token ' + string(object.data['access_token']) + ' is denied'"}],
        },
    }));
    let binding: ValidatingAdmissionPolicyBinding = object(json!({
        "metadata": {"name": format!("no-tokens-{namespace}")},
        "spec": {
            "policyName": format!("no-tokens-{namespace}"), "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
        },
    }));
    Api::all(admin.clone()).create(&PostParams::default(), &policy).await.unwrap();
    Api::all(admin).create(&PostParams::default(), &binding).await.unwrap();
    let sink = fixture.sink();
    let absent = sink.observe().await.unwrap().handle;
    for _ in 0..200 {
        if sink.probe(&absent).await.is_err() {
            let (code, message) = shown(fixture.deliver_against(&sink, &absent, 1).await);
            assert_eq!(code, "sink_forbidden");
            assert!(message.contains(&format!("admission policy no-tokens-{namespace}")), "{message}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the policy never takes effect");
}
