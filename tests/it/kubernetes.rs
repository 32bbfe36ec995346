//! Secrets as sinks, against a real kube-apiserver.

mod delivery;
mod failure;
mod ownership;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use everbearer::config::spec::{KubernetesSecretSpec, KubernetesSpec};
use everbearer::kubernetes::{LazyClient, SecretSink};
use everbearer::ports::Handle;
use everbearer::rotation::receipt::{KeyedFingerprint, Receipt, ReceiptKey, SpecDigest};
use everbearer::rotation::{ClientCredentials, RotationName, UnitInterval, Validity};
use everbearer::secret::{Content, SecretText};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::apiserver::{ADMIN, ApiServer};

/// No error may show any of it.
const CANARY: &str = "canary-%+/\":ä";
const NAME: &str = "voice-token";
const ISSUER: &str = "bandwidth";

/// What the tests do with a namespace of their own, by an admin that is not the field manager of the sinks.
struct Cluster {
    namespace: String,
    secrets: Api<Secret>,
}

impl Cluster {
    async fn new() -> Self {
        let server = ApiServer::shared();
        let namespace = server.namespace().await;
        let secrets = Api::namespaced(server.client().await, &namespace);
        Self { namespace, secrets }
    }

    fn spec(&self) -> KubernetesSecretSpec {
        KubernetesSecretSpec {
            namespace: self.namespace.clone(),
            name: NAME.to_owned(),
            type_: "Opaque".to_owned(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            adopt: false,
        }
    }

    fn sink(&self) -> SecretSink {
        sink_of(ADMIN, "voice", self.spec())
    }

    fn adopting(&self) -> SecretSink {
        sink_of(ADMIN, "voice", KubernetesSecretSpec { adopt: true, ..self.spec() })
    }

    /// A Secret that somebody else makes.
    async fn create(&self, body: Value) -> Secret {
        let mut secret: Secret = serde_json::from_value(body).unwrap();
        secret.metadata.name = Some(NAME.to_owned());
        let params = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
        self.secrets.create(&params, &secret).await.unwrap()
    }

    /// What somebody else changes, as `kubectl patch` does.
    async fn edit(&self, patch: Value) -> Secret {
        let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        self.secrets.patch(NAME, &params, &Patch::Merge(patch)).await.unwrap()
    }

    async fn get(&self) -> Secret {
        self.secrets.get(NAME).await.unwrap()
    }
}

fn sink_of(user: &str, rotation: &str, spec: KubernetesSecretSpec) -> SecretSink {
    sink_at(ApiServer::shared().kubeconfig(user), "everbearer", rotation, spec)
}

fn sink_at(
    kubeconfig: PathBuf,
    installation: &str,
    rotation: &str,
    spec: KubernetesSecretSpec,
) -> SecretSink {
    let client = LazyClient::new(KubernetesSpec { kubeconfig: Some(kubeconfig), context: None });
    SecretSink::new(Arc::new(client), installation.into(), RotationName::parse(rotation).unwrap(), spec)
}

fn content(token: &str) -> Content {
    Content::new([
        ("access_token", SecretText::new(token)),
        ("expires_at", SecretText::new("2026-11-24T13:00:00Z")),
    ])
}

fn credentials() -> ClientCredentials {
    ClientCredentials { id: SecretText::new("id"), secret: SecretText::new(CANARY) }
}

/// A signed receipt of the rotation voice for this content.
fn receipt(generation: u64, content: &Content) -> Receipt {
    let issued_at = "2026-11-24T12:00:00.25Z".parse().unwrap();
    let unsigned = Receipt {
        installation: "everbearer".into(),
        rotation: RotationName::parse("voice").unwrap(),
        generation,
        validity: Validity::new(issued_at, SignedDuration::from_hours(1)),
        jitter: UnitInterval::new(0.5).unwrap(),
        spec: SpecDigest::of([]),
        render: SpecDigest::of([]),
        credentials: Some(KeyedFingerprint::of(&credentials())),
        source_version: None,
        handled_request: None,
        mac: None,
    };
    let key = ReceiptKey::from_credentials(&credentials());
    unsigned.signed(Some(&key), ISSUER, &NAME.into(), content)
}

fn absent() -> Handle {
    Handle::new("absent")
}

/// `key: base64(text)` for each, as a Secret's `data`.
fn data(pairs: &[(&str, &str)]) -> Value {
    let bytes = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
    json!(pairs.iter().map(|(key, text)| (*key, bytes(text))).collect::<BTreeMap<_, _>>())
}

/// The message, after a look for secrets in it and in the error's `Debug`.
fn told(error: &(impl std::error::Error + ?Sized)) -> String {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary"), "a secret shows: {shown}");
    error.to_string()
}

/// Field managers of an object, each once.
fn managers(secret: &Secret) -> Vec<&str> {
    let mut names: Vec<&str> = secret
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter_map(|entry| entry.manager.as_deref())
        .collect();
    names.dedup();
    names
}
