//! Keeps one Kubernetes Secret: server-side apply, precise ownership, and every write naming what it replaces.
//!
//! A write carries `metadata.uid` and `metadata.resourceVersion` of the Secret that was looked at; the API server
//! answers 409 if it is another by now, or gone. The first write, against nothing, carries a resourceVersion that no
//! object ever has: the API server ignores it when it creates and answers 409 when something is there after all. So
//! a Secret that appears between our look and our write, be it a stranger's or another replica's, is never touched,
//! not even for a moment. What is not ours is refused; what others keep in a Secret of ours stays.
//!
//! One Secret per sink. Watching for drift, Events and restarts of consumers are not here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{GetParams, Patch, PatchParams};
use kube::core::{PartialObjectMeta, Request};
use serde::{Serialize, Serializer};

use super::call::{CallError, call, plain};
use super::explain::{LARGEST_SECRET, Place, TAKE_OVER, only_a_dry_run_fails, sink_error};
use super::ownership::{self, FIELD_MANAGER, Owner};
use crate::config::spec::KubernetesSecretSpec;
use crate::ports::{Found, Handle, Observed, Sink, SinkError};
use crate::rotation::RotationName;
use crate::rotation::receipt::Receipt;
use crate::secret::{Content, SecretBytes};

/// Ends inside the 6 s after which a leader gives up (behaviour.md, "Start, stop, failover").
const WRITE_DEADLINE: Duration = Duration::from_secs(4);
const READ_DEADLINE: Duration = Duration::from_secs(10);

/// The handle of a Secret that is not there.
const ABSENT: &str = "absent";
/// etcd gives its first write revision 2, so no object has this one.
const NEVER: &str = "1";
/// Kubernetes fills Secrets of this type itself, and their tokens open the cluster.
const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";

pub struct SecretSink {
    client: Client,
    installation: Arc<str>,
    rotation: RotationName,
    spec: KubernetesSecretSpec,
}

impl SecretSink {
    /// `client` as made by [`super::client`]: without retries of its own.
    #[must_use]
    pub fn new(
        client: Client,
        installation: Arc<str>,
        rotation: RotationName,
        spec: KubernetesSecretSpec,
    ) -> Self {
        Self { client, installation, rotation, spec }
    }
}

impl Sink for SecretSink {
    fn observe(&self) -> BoxFuture<'_, Result<Observed, SinkError>> {
        self.look().boxed()
    }

    fn probe<'a>(&'a self, against: &'a Handle) -> BoxFuture<'a, Result<(), SinkError>> {
        async move {
            match self.apply(against, None).await {
                Err(error) if !only_a_dry_run_fails(&error) => Err(sink_error(error, self.place(), 0)),
                _ => Ok(()),
            }
        }
        .boxed()
    }

    fn deliver<'a>(
        &'a self,
        against: &'a Handle,
        content: &'a Content,
        receipt: &'a Receipt,
    ) -> BoxFuture<'a, Result<Handle, SinkError>> {
        async move {
            let bytes = content.size();
            if bytes > LARGEST_SECRET {
                return Err(SinkError::TooLarge { bytes, limit: LARGEST_SECRET });
            }
            let written = self.apply(against, Some((content, receipt))).await;
            written.map(|metadata| handle(&metadata)).map_err(|e| sink_error(e, self.place(), bytes))
        }
        .boxed()
    }
}

impl SecretSink {
    async fn look(&self) -> Result<Observed, SinkError> {
        let request = self.request().get(&self.spec.name, &GetParams::default());
        match call::<Secret>(&self.client, request, READ_DEADLINE).await {
            Ok(secret) => self.judge(secret),
            // A missing namespace answers alike, and shows at the first write.
            Err(CallError::Refused(r)) if r.code == 404 && r.status.reason == "NotFound" => {
                self.refuse_service_account_token(&self.spec.type_)?;
                Ok(Observed { handle: Handle::new(ABSENT), found: None })
            }
            Err(error) => Err(sink_error(error, self.place(), 0)),
        }
    }

    /// What a Secret that is there means for us.
    fn judge(&self, secret: Secret) -> Result<Observed, SinkError> {
        let Place { namespace, name } = self.place();
        let metadata = &secret.metadata;
        let type_ = secret.type_.as_deref().unwrap_or("Opaque");
        self.refuse_service_account_token(type_)?;
        let ours = self.require_ownership(&secret)?;
        let remove = format!(
            "Delete it (`kubectl delete secret {name} -n {namespace}`), and it is made anew from the held token"
        );
        if type_ != self.spec.type_ {
            let wanted = &self.spec.type_;
            return Err(SinkError::Unfit {
                why: format!(
                    "Secret {namespace}/{name} has type {type_} and should have {wanted}, which Kubernetes never changes. {remove}, or set `type: {type_}`"
                ),
            });
        }
        if secret.immutable == Some(true) {
            return Err(SinkError::Unfit {
                why: format!(
                    "somebody made Secret {namespace}/{name} immutable, which nobody can undo. {remove}"
                ),
            });
        }
        let handle = handle(metadata);
        Ok(Observed { handle, found: if ours { found(secret) } else { None } })
    }

    /// Whether it is ours already; `false`: it is to be adopted.
    fn require_ownership(&self, secret: &Secret) -> Result<bool, SinkError> {
        let Place { namespace, name } = self.place();
        let refused = |why: String, advice: &str| {
            Err(SinkError::Refused {
                why: format!("Secret {namespace}/{name} {why}"),
                advice: advice.to_owned(),
            })
        };
        let whose = match ownership::owner(&secret.metadata, &self.installation, self.rotation.as_str()) {
            Owner::Us => return Ok(true),
            // Two daemons that both adopt would take it from each other for ever.
            Owner::OtherInstallation(other) => {
                let other = plain(&other);
                return refused(
                    format!("belongs to Everbearer's installation {other}, and we are {}", self.installation),
                    "Give one of the two another Secret; if the other installation is gone, delete the Secret. `adopt` does not help here",
                );
            }
            Owner::OtherRotation(other) => {
                format!("belongs to our rotation {}, and this is {}", plain(&other), self.rotation)
            }
            Owner::Stranger => {
                format!("was not made by Everbearer but by {}", ownership::other_managers(&secret.metadata))
            }
        };
        let keys = secret.data.iter().flatten().map(|(key, _)| key.as_str());
        let whose = format!("{whose}, and holds the keys [{}]", ownership::list(keys));
        if !self.spec.adopt {
            return refused(whose, TAKE_OVER);
        }
        tracing::warn!(sink = %format_args!("kubernetesSecret/{namespace}/{name}"), "to be adopted by the next delivery: the Secret {whose}");
        Ok(false)
    }

    fn refuse_service_account_token(&self, type_: &str) -> Result<(), SinkError> {
        let Place { namespace, name } = self.place();
        if type_ != SERVICE_ACCOUNT_TOKEN {
            return Ok(());
        }
        Err(SinkError::Refused {
            why: format!(
                "Secret {namespace}/{name} has type {SERVICE_ACCOUNT_TOKEN}, which Kubernetes fills itself"
            ),
            advice: "Use type Opaque, and another Secret".to_owned(),
        })
    }

    /// Server-side apply of a delivery, or, without one, a dry run of a delivery without content.
    async fn apply(
        &self,
        against: &Handle,
        delivery: Option<(&Content, &Receipt)>,
    ) -> Result<ObjectMeta, CallError> {
        let precondition = Precondition::parse(against);
        let mut parameters = PatchParams::apply(FIELD_MANAGER);
        parameters.force = precondition.uid.is_some();
        parameters.dry_run = delivery.is_none();
        let body = Patch::Apply(self.body(precondition, delivery));
        // The answer is the metadata alone, so that the token does not come back.
        let request = self.request().patch_metadata(&self.spec.name, &parameters, &body);
        call::<PartialObjectMeta<Secret>>(&self.client, request, WRITE_DEADLINE).await.map(|o| o.metadata)
    }

    fn body<'a>(
        &'a self,
        precondition: Precondition<'a>,
        delivery: Option<(&'a Content, &Receipt)>,
    ) -> Apply<'a> {
        let mut labels: BTreeMap<&str, &str> =
            self.spec.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        labels.insert(ownership::MANAGED_BY, FIELD_MANAGER);
        let mut annotations: BTreeMap<&str, Cow<'_, str>> =
            self.spec.annotations.iter().map(|(key, value)| (key.as_str(), value.into())).collect();
        annotations.insert(ownership::ROTATION, self.rotation.as_str().into());
        annotations.insert(ownership::INSTALLATION, (&*self.installation).into());
        if let Some((_, receipt)) = delivery {
            annotations.insert(ownership::RECEIPT, receipt.encode().into());
            if let Some(validity) = receipt.validity {
                annotations.insert(ownership::EXPIRES_AT, format!("{:.0}", validity.expires_at()).into());
            }
        }
        let data = delivery.map(|(content, _)| content.expose_all().map(|(k, v)| (k, Base64(v))).collect());
        let Precondition { uid, resource_version } = precondition;
        let metadata = ApplyMetadata { name: &self.spec.name, uid, resource_version, labels, annotations };
        Apply { api_version: "v1", kind: "Secret", metadata, type_: &self.spec.type_, data }
    }

    fn request(&self) -> Request {
        Request::new(format!("/api/v1/namespaces/{}/secrets", self.spec.namespace))
    }

    fn place(&self) -> Place<'_> {
        Place { namespace: &self.spec.namespace, name: &self.spec.name }
    }
}

/// What a delivery left, foreign keys left out. `None` where nothing of ours is there but the marks.
fn found(secret: Secret) -> Option<Found> {
    let encoded = ownership::annotation(&secret.metadata, ownership::RECEIPT);
    let receipt = encoded.and_then(Receipt::decode);
    let ours = ownership::our_keys(&secret.metadata);
    let is_ours = |key: &str| ours.as_ref().is_none_or(|keys| keys.contains(key));
    let pairs: Vec<(String, SecretBytes)> = secret
        .data
        .unwrap_or_default()
        .into_iter()
        .filter(|(key, _)| is_ours(key))
        .map(|(key, value)| (key, SecretBytes::from(value.0)))
        .collect();
    (encoded.is_some() || !pairs.is_empty()).then(|| Found { receipt, content: Content::new(pairs) })
}

fn handle(metadata: &ObjectMeta) -> Handle {
    let uid = metadata.uid.as_deref().unwrap_or_default();
    Handle::new(format!("{uid}/{}", metadata.resource_version.as_deref().unwrap_or_default()))
}

/// What must be there for a write to happen. Without a uid: nothing at all.
#[derive(Clone, Copy)]
struct Precondition<'a> {
    uid: Option<&'a str>,
    resource_version: &'a str,
}

impl<'a> Precondition<'a> {
    fn parse(handle: &'a Handle) -> Self {
        match handle.0.split_once('/') {
            Some((uid, resource_version)) => Self { uid: Some(uid), resource_version },
            None => Self { uid: None, resource_version: NEVER },
        }
    }
}

/// The object that we apply. Our own type, for `Secret`'s would build a base64 copy of the token and print it.
#[derive(Serialize)]
struct Apply<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'static str,
    metadata: ApplyMetadata<'a>,
    #[serde(rename = "type")]
    type_: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<BTreeMap<&'a str, Base64<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApplyMetadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    resource_version: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, Cow<'a, str>>,
}

struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}
