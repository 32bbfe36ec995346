//! A Secret as a sink.
//!
//! Every write is a server-side apply that names what it replaces: uid and resourceVersion of a Secret that was
//! seen, or that there is none. A late write is refused, and what appears in between is never touched.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::error::Failure;
use super::ownership::{EXPIRES_AT, INSTALLATION, MANAGED_BY, Owner, RECEIPT, ROTATION};
use super::ownership::{our_data_keys, owner, refused, refused_rival};
use super::{LazyClient, MANAGER};
use crate::config::spec::KubernetesSecretSpec;
use crate::ports::{Found, Handle, Observed, Sink, SinkError};
use crate::rotation::RotationName;
use crate::rotation::receipt::Receipt;
use crate::secret::Content;

const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Under a lock that is given up after 6 s without renewal, a write must end inside it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(4);
/// The API server's own limit for the data of a Secret.
const LARGEST_SECRET: usize = 1024 * 1024;
/// The handle of a Secret that does not exist.
const ABSENT: &str = "absent";
/// An apply that names this version makes a Secret or is a conflict: etcd writes its first object as version 2.
const VERSION_OF_NONE: &str = "1";

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

    fn at(&self) -> String {
        format!("Secret {}/{}", self.spec.namespace, self.spec.name)
    }

    async fn api(&self) -> Result<Api<Secret>, SinkError> {
        Ok(Api::namespaced(self.client.client().await?, &self.spec.namespace))
    }

    async fn look(&self) -> Result<Observed, SinkError> {
        let api = self.api().await?;
        let secret = within(READ_TIMEOUT, api.get_opt(&self.spec.name)).await;
        let secret = secret.map_err(|failure| failure.told(&self.at()))?;
        let Some(secret) = secret else {
            return Ok(Observed { handle: Handle::new(ABSENT), found: None });
        };
        let handle = self.handle(&secret)?;
        match owner(&secret, &self.installation, self.rotation.as_str()) {
            Owner::Rival(why) => return Err(refused_rival(&self.at(), &why)),
            Owner::Other(why) if !self.spec.adopt => return Err(refused(&self.at(), &why)),
            Owner::Other(_) => {
                self.fits(&secret)?;
                return Ok(Observed { handle, found: None });
            }
            Owner::Us => self.fits(&secret)?,
        }
        let annotations = secret.metadata.annotations.as_ref();
        let receipt = annotations.and_then(|a| Receipt::decode(a.get(RECEIPT)?));
        let mut data = secret.data.unwrap_or_default();
        // What belongs to others stays behind and is not looked at.
        let ours = our_data_keys(&secret.metadata);
        let ours = ours.into_iter().filter_map(|key| data.remove(&key).map(|value| (key, value.0)));
        Ok(Observed { handle, found: Some(Found { receipt, content: Content::new(ours) }) })
    }

    /// What no write can change.
    fn fits(&self, secret: &Secret) -> Result<(), SinkError> {
        let at = self.at();
        if secret.immutable == Some(true) {
            let why = format!("{at} is immutable; delete it and it is made anew");
            return Err(SinkError::Unfit { why });
        }
        let theirs = secret.type_.as_deref().unwrap_or("Opaque");
        if theirs != self.spec.type_ {
            let ours = &self.spec.type_;
            let why = format!(
                "{at} has the type {theirs}, wanted is {ours}, and Kubernetes changes no type; delete it and it is \
                 made anew, or set type: {theirs}"
            );
            return Err(SinkError::Unfit { why });
        }
        Ok(())
    }

    fn handle(&self, secret: &Secret) -> Result<Handle, SinkError> {
        match (&secret.metadata.uid, &secret.metadata.resource_version) {
            (Some(uid), Some(version)) => Ok(Handle::new(format!("{uid}/{version}"))),
            _ => Err(SinkError::Unreachable { why: format!("the answer about {} is incomplete", self.at()) }),
        }
    }

    async fn apply(&self, against: &Handle, body: &Value, dry_run: bool) -> Result<Secret, Failure> {
        let api = self.api().await?;
        let known = against.0.split_once('/');
        let mut body = body.clone();
        let version = known.map_or(VERSION_OF_NONE, |(_, version)| version);
        body["metadata"]["resourceVersion"] = version.into();
        if let Some((uid, _)) = known {
            body["metadata"]["uid"] = uid.into();
        }
        let params = PatchParams {
            field_manager: Some(MANAGER.into()),
            force: known.is_some(),
            dry_run,
            field_validation: None,
        };
        within(WRITE_TIMEOUT, api.patch(&self.spec.name, &params, &Patch::Apply(&body))).await
    }

    /// Everything but the data and the receipt.
    fn body(&self) -> Value {
        let mut labels: Map<String, Value> =
            self.spec.labels.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        labels.insert(MANAGED_BY.into(), MANAGER.into());
        let mut annotations: Map<String, Value> =
            self.spec.annotations.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        annotations.insert(ROTATION.into(), self.rotation.as_str().into());
        annotations.insert(INSTALLATION.into(), (&*self.installation).into());
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.spec.name,
                "namespace": self.spec.namespace,
                "labels": labels,
                "annotations": annotations,
            },
            "type": self.spec.type_,
        })
    }
}

impl Sink for SecretSink {
    fn observe(&self) -> BoxFuture<'_, Result<Observed, SinkError>> {
        Box::pin(self.look())
    }

    fn probe<'a>(&'a self, against: &'a Handle) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            match self.apply(against, &self.body(), true).await {
                // Some types require keys, and a probe has no data.
                Err(failure) if !failure.is_only_about_data() => Err(failure.told(&self.at())),
                _ => Ok(()),
            }
        })
    }

    fn deliver<'a>(
        &'a self,
        against: &'a Handle,
        content: &'a Content,
        receipt: &'a Receipt,
    ) -> BoxFuture<'a, Result<Handle, SinkError>> {
        Box::pin(async move {
            if content.size() > LARGEST_SECRET {
                return Err(SinkError::TooLarge { bytes: content.size(), limit: LARGEST_SECRET });
            }
            let mut body = self.body();
            let annotations = &mut body["metadata"]["annotations"];
            annotations[RECEIPT] = receipt.encode().into();
            if let Some(validity) = receipt.validity {
                let whole = jiff::Timestamp::from_second(validity.expires_at().as_second());
                annotations[EXPIRES_AT] = whole.unwrap_or(validity.expires_at()).to_string().into();
            }
            let data = content.expose_all().map(|(k, v)| (k.to_owned(), Value::from(STANDARD.encode(v))));
            body["data"] = data.collect();
            let written = self.apply(against, &body, false).await;
            self.handle(&written.map_err(|failure| failure.told(&self.at()))?)
        })
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result.map_err(Failure::Answered),
        Err(_) => Err(Failure::Told(SinkError::Timeout { seconds: limit.as_secs() })),
    }
}
