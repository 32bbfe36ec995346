//! One sink in a namespace of its own, and an administrator who looks behind it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use everbearer::config::spec::{KubernetesSecretSpec, SinkSpec};
use everbearer::kubernetes::{LazyClient, SecretSink};
use everbearer::ports::{Handle, Observed, Sink as _, SinkError};
use everbearer::rotation::failure::Classify as _;
use everbearer::rotation::receipt::{KeyedFingerprint, Receipt, ReceiptKey, SpecDigest};
use everbearer::rotation::{
    ClientCredentials, RotationName, SinkName, SourceVersion, UnitInterval, Validity,
};
use everbearer::secret::{Content, SecretText};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::Value;

use crate::support::apiserver::{ADMIN, ApiServer};

pub(super) const NAME: &str = "voice-token";
pub(super) const INSTALLATION: &str = "prod";
/// Part of every token that a test delivers.
const CANARY: &str = "canary-7f3a/+%\"é";

pub(super) struct Fixture {
    pub(super) namespace: String,
    pub(super) secrets: Api<Secret>,
    pub(super) spec: KubernetesSecretSpec,
    user: &'static str,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let namespace = ApiServer::shared().namespace().await;
        let spec = KubernetesSecretSpec {
            namespace: namespace.clone(),
            name: NAME.into(),
            type_: "Opaque".into(),
            labels: [("team".to_owned(), "voice".to_owned())].into(),
            annotations: [("note".to_owned(), "for the dialler".to_owned())].into(),
            adopt: false,
        };
        let secrets = Api::namespaced(ApiServer::shared().client(ADMIN), &namespace);
        Self { namespace, secrets, spec, user: ADMIN }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut KubernetesSecretSpec)) -> Self {
        change(&mut self.spec);
        self
    }

    pub(super) fn acting_as(mut self, user: &'static str) -> Self {
        self.user = user;
        self
    }

    pub(super) fn sink(&self) -> SecretSink {
        self.sink_of("voice", INSTALLATION)
    }

    pub(super) fn sink_of(&self, rotation: &str, installation: &str) -> SecretSink {
        let client = Arc::new(LazyClient::new(ApiServer::shared().spec(self.user)));
        SecretSink::new(
            client,
            installation.into(),
            RotationName::parse(rotation).unwrap(),
            self.spec.clone(),
        )
    }

    pub(super) fn sink_name(&self) -> SinkName {
        SinkSpec::KubernetesSecret(self.spec.clone()).name()
    }

    /// A token of this generation with its receipt.
    pub(super) fn delivery(&self, generation: u64) -> (Content, Receipt) {
        let token = format!("{CANARY}-{generation}");
        let content = Content::new([
            ("access_token", SecretText::new(token.clone())),
            ("authorization", SecretText::new(format!("Bearer {token}"))),
        ]);
        let receipt = unsigned(generation).signed(Some(&key()), "bandwidth", &self.sink_name(), &content);
        (content, receipt)
    }

    /// Looks, and delivers against what was seen.
    pub(super) async fn deliver(&self, generation: u64) -> Result<Handle, SinkError> {
        let sink = self.sink();
        let observed = sink.observe().await?;
        self.deliver_against(&sink, &observed.handle, generation).await
    }

    pub(super) async fn deliver_against(
        &self,
        sink: &SecretSink,
        handle: &Handle,
        generation: u64,
    ) -> Result<Handle, SinkError> {
        let (content, receipt) = self.delivery(generation);
        sink.deliver(handle, &content, &receipt).await
    }

    /// The generation of the receipt in the sink, if that verifies for what is in the sink.
    pub(super) fn verified(&self, observed: &Observed) -> Option<u64> {
        let found = observed.found.as_ref()?;
        let receipt = found.receipt.as_ref()?;
        receipt.verifies(&key(), "bandwidth", &self.sink_name(), &found.content).then_some(receipt.generation)
    }

    /// The whole object, managed fields included.
    pub(super) async fn object(&self) -> Value {
        serde_json::to_value(self.secrets.get(NAME).await.unwrap()).unwrap()
    }

    pub(super) async fn create(&self, manager: &str, body: Value) {
        let mut body = body;
        body["metadata"]["name"] = NAME.into();
        let parameters = PostParams { field_manager: Some(manager.into()), dry_run: false };
        self.secrets.create(&parameters, &serde_json::from_value(body).unwrap()).await.unwrap();
    }

    pub(super) async fn merge(&self, manager: &str, body: Value) {
        let parameters = PatchParams { field_manager: Some(manager.into()), ..PatchParams::default() };
        self.secrets.patch(NAME, &parameters, &Patch::Merge(body)).await.unwrap();
    }
}

fn credentials() -> ClientCredentials {
    ClientCredentials { id: SecretText::new("id"), secret: SecretText::new("canary-client-secret") }
}

fn key() -> ReceiptKey {
    ReceiptKey::from_credentials(&credentials())
}

fn unsigned(generation: u64) -> Receipt {
    let issued_at = "2026-11-24T12:00:00.123456789Z".parse().unwrap();
    Receipt {
        installation: INSTALLATION.into(),
        rotation: RotationName::parse("voice").unwrap(),
        generation,
        validity: Validity::new(issued_at, SignedDuration::from_hours(1)),
        jitter: UnitInterval::new(0.5).unwrap(),
        spec: SpecDigest::of([("token_url", "https://idp.example")]),
        render: SpecDigest::of([]),
        credentials: Some(KeyedFingerprint::of(&credentials())),
        source_version: Some(SourceVersion("3".into())),
        handled_request: None,
        mac: None,
    }
}

/// What an error shows to people, after a look that it shows nothing of a token.
pub(super) fn shown<T>(result: Result<T, SinkError>) -> (&'static str, String) {
    let error = result.err().expect("an error");
    assert_no_canary(&format!("{error} {error:?}"));
    (error.code(), error.to_string())
}

pub(super) fn assert_no_canary(text: &str) {
    let encoded = [STANDARD.encode(CANARY), URL_SAFE_NO_PAD.encode(CANARY)];
    for canary in ["canary", &encoded[0][..12], &encoded[1][..12]] {
        assert!(!text.contains(canary), "{text}");
    }
}
