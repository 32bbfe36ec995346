//! One rotation's work: fetch, mint, deliver, each with its timeout.
//!
//! An attempt carries out one [`Action`](crate::rotation::schedule::Action) and ends with what the schedule records
//! and what the engine keeps: the token, the handles to write against, and errors for people. It decides nothing about
//! time or retries.

mod deliver;
mod mint;
mod observe;
mod shared_source;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub use deliver::deliver;
pub use mint::{MintOrder, SinkKnown, mint};
pub use observe::observe;
pub use shared_source::{Known, SharedSource};

use crate::ports::{Clock, Handle, Issuer, Sink, SinkError};
use crate::render::Templates;
use crate::rotation::failure::Classify;
use crate::rotation::policy::Policy;
use crate::rotation::receipt::{KeyedFingerprint, Receipt, ReceiptKey, SpecDigest};
use crate::rotation::schedule::{Look, Outcome};
use crate::rotation::{RotationName, SinkName};
use crate::secret::Content;
use crate::telemetry::Telemetry;

/// A look at a sink, with room for one retry of the connection below.
const OBSERVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A write. Longer than any adapter's own timeout: it is the last resort against one that hangs.
const DELIVER_TIMEOUT: Duration = Duration::from_secs(15);
/// Sinks of one rotation that are worked on at once.
const SINKS_AT_ONCE: usize = 8;

/// Everything that one rotation works with.
pub struct Setup {
    pub name: RotationName,
    pub installation: Arc<str>,
    pub issuer: IssuerPort,
    pub source: Arc<SharedSource>,
    pub sinks: Vec<Arc<SinkPort>>,
    pub templates: Templates,
    pub policy: Policy,
    /// Digest of what changes the token.
    pub spec: SpecDigest,
    /// From `receipts.keyFile`; otherwise receipts are made with the client secret.
    pub receipt_key: Option<Arc<ReceiptKey>>,
}

impl Setup {
    /// The sinks of these names with what comes with each; names that left the configuration are left out.
    fn pick<T>(&self, sinks: Vec<(SinkName, T)>) -> Vec<(Arc<SinkPort>, T)> {
        let find = |name: &SinkName| self.sinks.iter().find(|sink| sink.name == *name).cloned();
        sinks.into_iter().filter_map(|(name, with)| Some((find(&name)?, with))).collect()
    }
}

#[derive(Clone)]
pub struct IssuerPort {
    pub name: Arc<str>,
    pub port: Arc<dyn Issuer>,
    /// Renders what it is given and asks nobody.
    pub is_basic: bool,
    pub max_concurrent: usize,
}

pub struct SinkPort {
    pub name: SinkName,
    /// The value of the `kind` label.
    pub kind: &'static str,
    pub port: Arc<dyn Sink>,
}

/// What attempts reach the rest of the process by.
#[derive(Clone)]
pub struct Context {
    pub clock: Arc<dyn Clock>,
    pub telemetry: Arc<Telemetry>,
}

/// The held token with its secret part: one for all sinks.
#[derive(Debug)]
pub struct Token {
    pub content: Content,
    /// Without a MAC: each sink gets its own.
    pub receipt: Receipt,
    pub key: Option<Arc<ReceiptKey>>,
    pub credentials: Option<KeyedFingerprint>,
}

/// How an attempt ended.
pub struct Finished {
    /// For the schedule.
    pub outcome: Outcome,
    /// The token to hold from now on, if it changed.
    pub token: Option<Arc<Token>>,
    pub sinks: Vec<SinkReport>,
    /// What stopped the attempt before the sinks.
    pub problem: Option<Problem>,
}

/// What an attempt learnt of one sink.
pub struct SinkReport {
    pub name: SinkName,
    pub look: Look,
    /// What the next write replaces; `None`: look before the next write.
    pub handle: Option<Handle>,
    pub problem: Option<Problem>,
}

/// An error as status shows it. Messages are free of secrets by the rule of every port.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    pub stage: &'static str,
    pub code: &'static str,
    pub kind: &'static str,
    pub message: String,
    pub at: Timestamp,
}

impl Problem {
    fn new(stage: &'static str, error: &dyn Classify, at: Timestamp) -> Self {
        Self { stage, code: error.code(), kind: error.kind().as_str(), message: error.to_string(), at }
    }
}

impl SinkReport {
    fn ok(sink: &SinkPort, look: Look, handle: Option<Handle>) -> Self {
        Self { name: sink.name.clone(), look, handle, problem: None }
    }

    fn failed(sink: &SinkPort, stage: &'static str, error: &SinkError, at: Timestamp) -> Self {
        let refused = matches!(error, SinkError::Refused { .. });
        Self {
            name: sink.name.clone(),
            look: Look::Failed { kind: error.kind(), refused },
            handle: None,
            problem: Some(Problem::new(stage, error, at)),
        }
    }
}

fn looks(reports: &[SinkReport]) -> Vec<(SinkName, Look)> {
    reports.iter().map(|report| (report.name.clone(), report.look.clone())).collect()
}

/// A deadline of our own round a call of a port, besides the adapter's.
async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, SinkError> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(SinkError::Timeout { seconds: limit.as_secs() }),
    }
}
