//! Rights that are missing, servers that refuse or are away, and what is told of it.

use std::path::Path;
use std::time::Duration;

use everbearer::config::spec::KubernetesSecretSpec;
use everbearer::ports::{Sink as _, SinkError};
use everbearer::rotation::failure::{Classify as _, FailureKind};
use everbearer::secret::{Content, SecretText};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ResourceQuota;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Resource;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{ADMIN, CANARY, Cluster, NAME, absent, content, receipt, sink_at, sink_of, told};
use crate::support::apiserver::{ApiServer, LIMITED, STRANGER};

const POLL: Duration = Duration::from_millis(50);
/// 30 s; the API server looks at new policies about once a second.
const POLLS_UNTIL_LOADED: u32 = 600;

/// Makes an object in the test's namespace.
async fn make<K>(cluster: &Cluster, object: Value)
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    K::DynamicType: Default,
{
    let object: K = serde_json::from_value(object).unwrap();
    let api = Api::namespaced(ApiServer::shared().client().await, &cluster.namespace);
    api.create(&PostParams::default(), &object).await.unwrap();
}

async fn grant(cluster: &Cluster, user: &str, rules: Value) {
    let metadata = json!({"name": "everbearer"});
    make::<Role>(cluster, json!({"metadata": metadata, "rules": rules})).await;
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "everbearer"});
    let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user});
    make::<RoleBinding>(cluster, json!({"metadata": metadata, "roleRef": role, "subjects": [subject]})).await;
}

#[tokio::test]
async fn a_user_without_rights_is_told_which_verbs_are_needed() {
    let cluster = Cluster::new().await;
    let sink = sink_of(STRANGER, "voice", cluster.spec());
    let content = content(CANARY);
    for (verb, error) in [
        ("get", sink.observe().await.unwrap_err()),
        ("patch", sink.probe(&absent()).await.unwrap_err()),
        ("patch", sink.deliver(&absent(), &content, &receipt(1, &content)).await.unwrap_err()),
    ] {
        assert!(matches!(error, SinkError::Forbidden { .. }), "{}", told(&error));
        let message = told(&error);
        let needs = "voice-token needs the verbs get, create and patch on secrets, by resourceNames";
        let lacks = format!("User \"stranger\" cannot {verb} resource \"secrets\"");
        assert!(message.contains(needs) && message.contains(&lacks), "{message}");
    }
}

#[tokio::test]
async fn the_documented_rights_on_one_secret_are_enough() {
    let cluster = Cluster::new().await;
    let rule = json!({
        "apiGroups": [""], "resources": ["secrets"], "resourceNames": [NAME], "verbs": ["get", "create", "patch"],
    });
    grant(&cluster, LIMITED, json!([rule])).await;
    let sink = sink_of(LIMITED, "voice", cluster.spec());
    let mut handle = sink.observe().await.unwrap().handle;
    for generation in 1..=2 {
        sink.probe(&handle).await.unwrap();
        let content = content(&format!("token {generation}"));
        handle = sink.deliver(&handle, &content, &receipt(generation, &content)).await.unwrap();
        let seen = sink.observe().await.unwrap();
        assert_eq!((&seen.handle, seen.found.unwrap().content), (&handle, content));
    }
    let other = KubernetesSecretSpec { name: "other".to_owned(), ..cluster.spec() };
    let error = sink_of(LIMITED, "voice", other).observe().await.unwrap_err();
    assert!(matches!(error, SinkError::Forbidden { .. }), "{}", told(&error));
}

#[tokio::test]
async fn a_right_to_patch_without_one_to_create_is_found_by_the_probe() {
    let cluster = Cluster::new().await;
    grant(
        &cluster,
        LIMITED,
        json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "patch"]}]),
    )
    .await;
    let error = sink_of(LIMITED, "voice", cluster.spec()).probe(&absent()).await.unwrap_err();
    assert!(matches!(error, SinkError::Forbidden { .. }), "{}", told(&error));
    assert!(told(&error).contains("cannot create resource"), "{error}");
}

#[tokio::test]
async fn a_probe_writes_nothing() {
    let cluster = Cluster::new().await;
    let sink = cluster.sink();
    sink.probe(&absent()).await.unwrap();
    assert!(cluster.secrets.get_opt(NAME).await.unwrap().is_none());
    let content = content("one");
    let handle = sink.deliver(&absent(), &content, &receipt(1, &content)).await.unwrap();
    let before = cluster.get().await;
    sink.probe(&handle).await.unwrap();
    assert_eq!(cluster.get().await, before);
}

#[tokio::test]
async fn a_type_that_requires_keys_passes_the_probe_and_is_checked_by_the_delivery() {
    let cluster = Cluster::new().await;
    let spec = KubernetesSecretSpec { type_: "kubernetes.io/basic-auth".to_owned(), ..cluster.spec() };
    let sink = sink_of(ADMIN, "voice", spec);
    sink.probe(&absent()).await.unwrap();
    let wrong = content(CANARY);
    let error = sink.deliver(&absent(), &wrong, &receipt(1, &wrong)).await.unwrap_err();
    assert!(matches!(error, SinkError::Unfit { .. }), "{}", told(&error));
    assert!(told(&error).contains("invalid data[username], data[password]"), "{error}");

    let right = Content::new(["username", "password"].map(|key| (key, SecretText::new(CANARY))));
    let handle = sink.deliver(&absent(), &right, &receipt(1, &right)).await.unwrap();
    sink.probe(&handle).await.unwrap();

    let labels = [("team".to_owned(), "not a label".to_owned())].into();
    let error = sink_of(ADMIN, "voice", KubernetesSecretSpec { labels, ..cluster.spec() });
    let error = error.probe(&handle).await.unwrap_err();
    assert!(told(&error).contains("metadata.labels"), "what else is wrong is told by the probe: {error}");
}

#[tokio::test]
async fn a_missing_namespace_and_a_quota_are_explained() {
    let cluster = Cluster::new().await;
    let content = content(CANARY);
    let spec = KubernetesSecretSpec { namespace: "nowhere".to_owned(), ..cluster.spec() };
    let nowhere = sink_of(ADMIN, "voice", spec);
    assert_eq!(nowhere.observe().await.unwrap().handle, absent(), "the API server does not tell it apart");
    for error in [
        nowhere.probe(&absent()).await.unwrap_err(),
        nowhere.deliver(&absent(), &content, &receipt(1, &content)).await.unwrap_err(),
    ] {
        assert!(matches!(error, SinkError::Unfit { .. }), "{}", told(&error));
        let expected = "the namespace of Secret nowhere/voice-token does not exist; create it";
        assert!(told(&error).contains(expected), "{error}");
    }

    let quota = json!({
        "metadata": {"name": "few"},
        "spec": {"hard": {"secrets": "0"}},
        "status": {"hard": {"secrets": "0"}, "used": {"secrets": "0"}},
    });
    make::<ResourceQuota>(&cluster, quota.clone()).await;
    let quotas: Api<ResourceQuota> = Api::namespaced(ApiServer::shared().client().await, &cluster.namespace);
    // A controller would count; there is none here.
    let merge = Patch::Merge(json!({"status": quota["status"]}));
    quotas.patch_status("few", &PatchParams::default(), &merge).await.unwrap();
    let error = cluster.sink().deliver(&absent(), &content, &receipt(1, &content)).await.unwrap_err();
    assert!(matches!(error, SinkError::Unfit { .. }), "{}", told(&error));
    assert!(told(&error).contains("voice-token: exceeded quota: few"), "{error}");
}

#[tokio::test]
async fn an_admission_policy_that_quotes_the_token_is_named_and_not_quoted() {
    let content = content(CANARY);
    for reason in ["Forbidden", "Invalid"] {
        let cluster = Cluster::new().await;
        let name = format!("{}-{}", cluster.namespace, reason.to_lowercase());
        forbid(&cluster, &name, reason).await;
        let sink = cluster.sink();
        let mut refused = None;
        for _ in 0..POLLS_UNTIL_LOADED {
            let seen = sink.observe().await.unwrap();
            refused = sink.deliver(&seen.handle, &content, &receipt(1, &content)).await.err();
            if refused.is_some() {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        let error = refused.expect("the API server loads the policy in time");
        assert!(matches!(error, SinkError::Unfit { .. }), "{}", told(&error));
        let expected = format!("denied by ValidatingAdmissionPolicy '{name}'");
        assert!(told(&error).contains(&expected), "{error}");
    }
}

async fn forbid(cluster: &Cluster, name: &str, reason: &str) {
    let policy = json!({
        "matchConstraints": {"resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"], "operations": ["CREATE", "UPDATE"],
        }]},
        "validations": [{
            "expression": "false",
            "reason": reason,
            "messageExpression": "'it was ' + string(object.data.access_token)",
        }],
    });
    let here = json!({"kubernetes.io/metadata.name": cluster.namespace});
    let binding = json!({
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": {"matchLabels": here}},
    });
    let objects = [("ValidatingAdmissionPolicy", policy), ("ValidatingAdmissionPolicyBinding", binding)];
    for (kind, spec) in objects {
        let object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        });
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        admission(kind).await.create(&PostParams::default(), &object).await.unwrap();
    }
}

async fn admission(kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    Api::all_with(ApiServer::shared().client().await, &ApiResource::from_gvk(&kind))
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_sent() {
    let cluster = Cluster::new().await;
    let huge = Content::new([("access_token", SecretText::new("x".repeat(1024 * 1024)))]);
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    write_kubeconfig(kubeconfig.path(), "https://127.0.0.1:1");
    let sink = sink_at(kubeconfig.path().to_owned(), "everbearer", "voice", cluster.spec());
    let error = sink.deliver(&absent(), &huge, &receipt(1, &huge)).await.unwrap_err();
    assert!(matches!(error, SinkError::TooLarge { limit: 1_048_576, .. }), "{error}");

    let largest = Content::new([("k", SecretText::new("x".repeat(1024 * 1024 - 1)))]);
    cluster
        .sink()
        .deliver(&absent(), &largest, &receipt(1, &largest))
        .await
        .expect("the limit is not too low");
}

#[tokio::test]
async fn a_server_that_is_away_is_a_passing_failure_and_an_unusable_login_is_not() {
    let cluster = Cluster::new().await;
    let content = content(CANARY);
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    // Nothing listens there: the listener is closed, and its port was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    write_kubeconfig(kubeconfig.path(), &format!("https://127.0.0.1:{port}"));
    let sink = sink_at(kubeconfig.path().to_owned(), "everbearer", "voice", cluster.spec());
    for error in [
        sink.observe().await.unwrap_err(),
        sink.probe(&absent()).await.unwrap_err(),
        sink.deliver(&absent(), &content, &receipt(1, &content)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), FailureKind::Transient, "{}", told(&error));
        assert!(told(&error).contains("refused"), "the cause is told: {error}");
    }

    write_kubeconfig(kubeconfig.path(), &ApiServer::shared().address);
    let sink = sink_at(kubeconfig.path().to_owned(), "everbearer", "voice", cluster.spec());
    for error in [
        sink.observe().await.unwrap_err(),
        sink.deliver(&absent(), &content, &receipt(1, &content)).await.unwrap_err(),
    ] {
        assert!(matches!(error, SinkError::Forbidden { .. }), "{}", told(&error));
        assert!(told(&error).contains("does not know us (401)"), "{error}");
    }
}

/// As the admin's, with a token that nobody knows and another address.
fn write_kubeconfig(path: &Path, address: &str) {
    let text = std::fs::read_to_string(ApiServer::shared().kubeconfig(ADMIN)).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"]["token"] = "canary-login".into();
    config["clusters"][0]["cluster"]["server"] = address.into();
    std::fs::write(path, config.to_string()).unwrap();
}
