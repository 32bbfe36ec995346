//! A source as rotations share it: equal sources are fetched once, however many rotations ask at the same time.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::Mutex;

use super::Context;
use crate::ports::{Fetched, Source, SourceError};
use crate::rotation::receipt::{KeyedFingerprint, ReceiptKey};
use crate::rotation::{BootInstant, ClientCredentials, SourceVersion};
use crate::telemetry::Event;

/// The last resort against an adapter that hangs; adapters have shorter timeouts of their own.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);

/// How old an answer may be that serves another rotation's attempt: long enough for a start with many rotations on one
/// source, short enough that a changed credential is used within seconds.
const SHARED_FOR: SignedDuration = SignedDuration::from_secs(5);

/// Credentials as they were fetched, with what is derived from them.
#[derive(Debug)]
pub struct Known {
    pub credentials: ClientCredentials,
    pub version: SourceVersion,
    pub fingerprint: KeyedFingerprint,
    pub key: Arc<ReceiptKey>,
}

impl Known {
    #[must_use]
    pub fn new(fetched: Fetched) -> Self {
        Self {
            fingerprint: KeyedFingerprint::of(&fetched.credentials),
            key: Arc::new(ReceiptKey::from_credentials(&fetched.credentials)),
            credentials: fetched.credentials,
            version: fetched.version,
        }
    }
}

type Answer = Result<Arc<Known>, Arc<SourceError>>;

pub struct SharedSource {
    port: Box<dyn Source>,
    /// How people and the grouping of equal sources name it.
    pub name: Arc<str>,
    /// The value of the `kind` label.
    pub kind: &'static str,
    /// The lock is held while a fetch is under way, so that those who come meanwhile share its answer.
    last: Mutex<Option<(BootInstant, Answer)>>,
}

impl SharedSource {
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, kind: &'static str, port: Box<dyn Source>) -> Self {
        Self { port, name: name.into(), kind, last: Mutex::new(None) }
    }

    /// The credentials, at most a few seconds old.
    pub async fn fetch(&self, context: &Context) -> Answer {
        self.fetch_if_older(SHARED_FOR, context).await
    }

    /// The credentials as they are now, unless another fetch has begun after this call.
    pub async fn fetch_again(&self, context: &Context) -> Answer {
        self.fetch_if_older(SignedDuration::ZERO, context).await
    }

    async fn fetch_if_older(&self, age: SignedDuration, context: &Context) -> Answer {
        let wanted_since = BootInstant(context.clock.read().boot.0 - age);
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = last.as_ref()
            && *at > wanted_since
        {
            return answer.clone();
        }
        let began = context.clock.read().boot;
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, self.port.fetch()).await.unwrap_or_else(|_| {
            Err(SourceError::Timeout { at: self.name.to_string(), seconds: FETCH_TIMEOUT.as_secs() })
        });
        let error = fetched.as_ref().err();
        context.telemetry.emit(&Event::SourceFetched { source: &self.name, kind: self.kind, error });
        let answer = fetched
            .map(|fetched| {
                if let Some(warning) = fetched.warning {
                    context.telemetry.emit(&Event::SourceWarned { source: &self.name, warning });
                }
                Arc::new(Known::new(fetched))
            })
            .map_err(Arc::new);
        *last = Some((began, answer.clone()));
        answer
    }

    /// The key of an earlier version of the credentials, where the source keeps them.
    pub async fn key_of_version(&self, version: &SourceVersion) -> Option<Arc<ReceiptKey>> {
        let fetched =
            tokio::time::timeout(FETCH_TIMEOUT, self.port.fetch_version(version)).await.ok()?.ok()??;
        Some(Arc::new(ReceiptKey::from_credentials(&fetched.credentials)))
    }
}
