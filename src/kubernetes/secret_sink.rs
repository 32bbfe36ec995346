//! Keeps one Kubernetes Secret: server-side apply, precise ownership, and every write naming what it replaces.
//!
//! A write carries `metadata.uid` and `metadata.resourceVersion` of the Secret that was looked at; the API server
//! answers 409 if it is another by now, or gone. The first write, against nothing, carries a resourceVersion that no
//! object ever has: the API server ignores it when it creates and answers 409 when something is there after all. So
//! a Secret that appears between our look and our write, be it a stranger's or another replica's, is never touched,
//! not even for a moment. What is not ours is refused; what others keep in a Secret of ours stays.
//!
//! One Secret per sink. Watching for drift, Events and restarts of consumers are not here.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{GetParams, Patch, PatchParams};
use kube::core::{PartialObjectMeta, Request};

use super::apply::{ABSENT, Apply, Precondition};
use super::call::{CallError, call, plain};
use super::client::LazyClient;
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

/// Kubernetes fills Secrets of this type itself, and their tokens open the cluster.
const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";

const RIVAL: &str = "Name another Secret, or delete this one once nobody writes it any more, as after a rename; `adopt` does not help here";

pub struct SecretSink {
    client: Arc<LazyClient>,
    installation: Arc<str>,
    rotation: RotationName,
    spec: KubernetesSecretSpec,
}

impl SecretSink {
    #[must_use]
    pub fn new(
        client: Arc<LazyClient>,
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
            match written.map_err(|e| sink_error(e, self.place(), bytes)) {
                // It appeared after our look; the next look may adopt it.
                Err(SinkError::Refused { .. }) if self.spec.adopt => Err(SinkError::Conflict),
                result => result,
            }
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
        let type_ = secret.type_.as_deref().unwrap_or("Opaque");
        self.refuse_service_account_token(type_)?;
        let ours = self.require_ownership(&secret)?;
        let remove = format!(
            "delete it (`kubectl delete secret {name} -n {namespace}`): it is made anew from the held token"
        );
        if type_ != self.spec.type_ {
            let wanted = &self.spec.type_;
            return Err(SinkError::Unfit {
                why: format!(
                    "Secret {namespace}/{name} has type {type_} and should have {wanted}, which Kubernetes never changes. Set `type: {type_}`, or {remove}"
                ),
            });
        }
        if secret.immutable == Some(true) {
            return Err(SinkError::Unfit {
                why: format!(
                    "somebody made Secret {namespace}/{name} immutable, which nobody can undo. To go on, {remove}"
                ),
            });
        }
        let handle = handle(&secret.metadata).map_err(|e| sink_error(e, self.place(), 0))?;
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
            // Two rotations that both adopt would take it from each other for ever.
            Owner::OtherInstallation(other) => {
                let (other, ours) = (plain(&other), &self.installation);
                return refused(format!("belongs to the installation {other}, and we are {ours}"), RIVAL);
            }
            Owner::OtherRotation(other) => {
                let (other, ours) = (plain(&other), &self.rotation);
                return refused(format!("belongs to the rotation {other}, and this is {ours}"), RIVAL);
            }
            Owner::Stranger => {
                format!(
                    "was not made by Everbearer but by {}",
                    plain(&ownership::other_managers(&secret.metadata))
                )
            }
        };
        let keys = ownership::list(secret.data.iter().flatten().map(|(key, _)| key.as_str()));
        let whose = if keys.is_empty() { whose } else { format!("{whose} (keys {keys})") };
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
    ) -> Result<Handle, CallError> {
        let precondition = Precondition::of(against);
        let mut parameters = PatchParams::apply(FIELD_MANAGER);
        parameters.force = precondition.uid.is_some();
        parameters.dry_run = delivery.is_none();
        let marks = Apply::new(&self.spec, &self.installation, self.rotation.as_str(), precondition);
        let body = match delivery {
            Some((content, receipt)) => marks.with(content, receipt),
            None => marks,
        };
        // The answer is the metadata alone, so that the token does not come back.
        let request = self.request().patch_metadata(&self.spec.name, &parameters, &Patch::Apply(body));
        call::<PartialObjectMeta<Secret>>(&self.client, request, WRITE_DEADLINE)
            .await
            .and_then(|o| handle(&o.metadata))
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

/// `uid/resourceVersion`.
fn handle(metadata: &ObjectMeta) -> Result<Handle, CallError> {
    match (metadata.uid.as_deref(), metadata.resource_version.as_deref()) {
        (Some(uid), Some(version)) if !uid.is_empty() && !version.is_empty() => {
            Ok(Handle::new(format!("{uid}/{version}")))
        }
        _ => Err(CallError::Unreadable { why: "its answer names no uid and resourceVersion" }),
    }
}
