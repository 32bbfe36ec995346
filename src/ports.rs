//! The traits by which the engine reaches the world, and their errors.
//!
//! The engine decides and knows no adapter; an adapter acts and decides nothing. Each port has a recording fake in
//! `tests/it/support`. Every error says its class by an exhaustive match, and its message says what happened and what
//! to do next; a message never carries a byte that came from a secret or from a response body.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use crate::rotation::failure::{Classify, FailureKind};
use crate::rotation::receipt::Receipt;
use crate::rotation::{ClientCredentials, MintedToken, Reading, SourceVersion};
use crate::secret::Content;

/// Where client credentials are read.
pub trait Source: Send + Sync {
    /// Reads the credentials as they are now, past any cache.
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, SourceError>>;

    /// The credentials of an earlier version, so that a receipt that was made with them still verifies.
    /// `Ok(None)` where the source keeps no earlier versions, which is the default.
    fn fetch_version<'a>(
        &'a self,
        _version: &'a SourceVersion,
    ) -> BoxFuture<'a, Result<Option<Fetched>, SourceError>> {
        Box::pin(async { Ok(None) })
    }
}

#[derive(Debug, Clone)]
pub struct Fetched {
    pub credentials: ClientCredentials,
    pub version: SourceVersion,
    /// Things worth a warning that did not hinder the fetch, such as a newline that was trimmed.
    pub warning: Option<&'static str>,
}

/// Mints access tokens, or renders Basic credentials.
pub trait Issuer: Send + Sync {
    /// One request. `asked_at` is the reading that was taken before the request is sent; the validity starts there.
    fn mint<'a>(
        &'a self,
        credentials: &'a ClientCredentials,
        asked_at: Timestamp,
    ) -> BoxFuture<'a, Result<MintedToken, IssuerError>>;

    /// Whether these credentials could be sent at all; asks nobody.
    fn accepts(&self, _credentials: &ClientCredentials) -> Result<(), IssuerError> {
        Ok(())
    }
}

/// Where a token is delivered.
pub trait Sink: Send + Sync {
    /// Looks at what the sink holds. A sink that is not ours is [`SinkError::Refused`], unless it is to be adopted.
    fn observe(&self) -> BoxFuture<'_, Result<Observed, SinkError>>;

    /// Asks, by a dry run where the store has one, whether a delivery would be accepted. Writes nothing that stays.
    fn probe<'a>(&'a self, against: &'a Handle) -> BoxFuture<'a, Result<(), SinkError>>;

    /// Writes the content and its receipt in one request, replacing exactly what `against` names.
    /// [`SinkError::Conflict`] if the sink has changed since: look again.
    fn deliver<'a>(
        &'a self,
        against: &'a Handle,
        content: &'a Content,
        receipt: &'a Receipt,
    ) -> BoxFuture<'a, Result<Handle, SinkError>>;
}

#[derive(Debug)]
pub struct Observed {
    /// What a write must replace.
    pub handle: Handle,
    /// `None`: the sink is empty, or ours without our keys, or about to be adopted.
    pub found: Option<Found>,
}

/// What an earlier delivery left in a sink that is ours.
#[derive(Debug)]
pub struct Found {
    /// `None` if the sink is ours but its receipt is missing or cannot be read: that is drift.
    pub receipt: Option<Receipt>,
    /// Every key that the sink holds but the receipt, foreign keys left out where they are to be kept.
    pub content: Content,
}

/// Names the exact state of a sink that a write replaces. Opaque to the engine; each adapter writes its own:
/// `uid/resourceVersion` of a Secret, a KV version, the name of a directory's current folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handle(pub Arc<str>);

impl Handle {
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

/// Reads and waits for time. `clock.rs` has the only real one.
pub trait Clock: Send + Sync {
    fn read(&self) -> Reading;

    /// Returns when `deadline` has come by either of its clocks, or earlier: the caller looks again. A real clock
    /// returns after 5 s at the latest, so that a step or a suspend is noticed soon.
    fn sleep_until(&self, deadline: Reading) -> BoxFuture<'_, ()>;
}

/// Why a source did not yield credentials. `at` says where, by names that the user wrote.
#[derive(Debug, Error)]
pub enum SourceError {
    #[error("{at} cannot be reached: {why}")]
    Unreachable { at: String, why: String },
    #[error("{at} did not answer within {seconds} s")]
    Timeout { at: String, seconds: u64 },
    #[error("{at} asks to wait: {why}")]
    Throttled { at: String, why: String, retry_after: Option<SignedDuration> },
    #[error("{at} does not exist. {advice}")]
    Missing { at: String, advice: String },
    #[error("{at} must not be read by us: {why}")]
    Forbidden { at: String, why: String },
    #[error("{at} holds nothing usable: {why}")]
    Unusable { at: String, why: String },
}

impl Classify for SourceError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => FailureKind::Transient,
            Self::Throttled { retry_after, .. } => FailureKind::Throttled { retry_after: *retry_after },
            Self::Missing { .. } | Self::Forbidden { .. } | Self::Unusable { .. } => {
                FailureKind::Permanent { named: false }
            }
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "source_unreachable",
            Self::Timeout { .. } => "source_timeout",
            Self::Throttled { .. } => "source_throttled",
            Self::Missing { .. } => "source_missing",
            Self::Forbidden { .. } => "source_forbidden",
            Self::Unusable { .. } => "source_unusable",
        }
    }
}

/// Why an issuer gave no token. Messages name status and error code, never the body (it may echo secrets).
#[derive(Debug, Error)]
pub enum IssuerError {
    /// DNS, connect, reset, a body cut short, no answer in time. `answered`: the request may have minted a token
    /// whose answer was lost.
    #[error("the token endpoint could not be reached: {why}")]
    Transport { why: String, maybe_minted: bool },
    #[error("the token endpoint answered {status}: it is in trouble itself")]
    Server { status: u16, code: Option<&'static str> },
    #[error("the token endpoint asks for patience (status {status})")]
    Throttled { status: u16, retry_after: Option<SignedDuration> },
    #[error("the token endpoint's answer makes no sense: {why}")]
    Malformed { why: &'static str },
    #[error("the token endpoint rejects the client credentials ({}, status {status}). Compare them with what the provider shows, and put the right ones into the source", code.unwrap_or("no error code"))]
    CredentialRejected { status: u16, code: Option<&'static str> },
    #[error("the token endpoint refuses the request ({code}, status {status}). {advice}")]
    Refused { status: u16, code: &'static str, advice: &'static str },
    #[error("the token endpoint answered {status}. {advice}")]
    Unexpected { status: u16, advice: &'static str },
    #[error(
        "the TLS connection to the token endpoint failed: {why}. Check caFile and the endpoint's certificate"
    )]
    Tls { why: String },
    /// The credentials cannot be used with this issuer at all; no request was sent.
    #[error("{why}")]
    Unfit { why: &'static str },
}

impl Classify for IssuerError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Transport { .. } | Self::Server { .. } | Self::Malformed { .. } => FailureKind::Transient,
            Self::Throttled { retry_after, .. } => FailureKind::Throttled { retry_after: *retry_after },
            Self::CredentialRejected { .. } => FailureKind::CredentialRejected,
            Self::Refused { .. } | Self::Unfit { .. } => FailureKind::Permanent { named: true },
            Self::Unexpected { .. } | Self::Tls { .. } => FailureKind::Permanent { named: false },
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Transport { .. } => "transport",
            Self::Server { code, .. } => code.unwrap_or("server_error"),
            Self::Throttled { .. } => "throttled",
            Self::Malformed { .. } => "malformed",
            Self::CredentialRejected { code, .. } => code.unwrap_or("unauthorized"),
            Self::Refused { code, .. } => code,
            Self::Unexpected { .. } => "unexpected_status",
            Self::Tls { .. } => "tls",
            Self::Unfit { .. } => "unfit_credentials",
        }
    }
}

impl IssuerError {
    /// The value of `everbearer_token_requests_total{outcome}`; `None` where no request was sent.
    #[must_use]
    pub fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Transport { .. } | Self::Server { .. } => Some("transient"),
            Self::Throttled { .. } => Some("throttled"),
            Self::Malformed { .. } => Some("malformed"),
            Self::CredentialRejected { .. } => Some("credential_rejected"),
            Self::Refused { .. } | Self::Unexpected { .. } | Self::Tls { .. } => Some("permanent"),
            Self::Unfit { .. } => None,
        }
    }

    /// Whether the issuer may have minted a token that we never saw; it counts against the mint budget.
    #[must_use]
    pub fn maybe_minted(&self) -> bool {
        match self {
            Self::Transport { maybe_minted, .. } => *maybe_minted,
            Self::Malformed { .. } => true,
            Self::Server { .. }
            | Self::Throttled { .. }
            | Self::CredentialRejected { .. }
            | Self::Refused { .. }
            | Self::Unexpected { .. }
            | Self::Tls { .. }
            | Self::Unfit { .. } => false,
        }
    }
}

/// Why a sink could not be looked at or written.
#[derive(Debug, Error)]
pub enum SinkError {
    #[error("the sink cannot be reached: {why}")]
    Unreachable { why: String },
    #[error("the sink did not answer within {seconds} s")]
    Timeout { seconds: u64 },
    #[error("the sink asks to wait: {why}")]
    Throttled { why: String, retry_after: Option<SignedDuration> },
    #[error("the sink changed under our hands; it is looked at again before the next write")]
    Conflict,
    /// Not ours, and `adopt` is not set.
    #[error("the sink is not ours: {why}. {advice}")]
    Refused { why: String, advice: String },
    #[error("we may not write here: {why}")]
    Forbidden { why: String },
    /// A namespace, mount or parent folder is missing, a disk is full, a type cannot be changed, ….
    #[error("the sink cannot take the delivery: {why}")]
    Unfit { why: String },
    #[error("the content of {bytes} bytes is too large: {limit} is the limit here")]
    TooLarge { bytes: usize, limit: usize },
}

impl Classify for SinkError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Conflict => FailureKind::Transient,
            Self::Throttled { retry_after, .. } => FailureKind::Throttled { retry_after: *retry_after },
            Self::Refused { .. } | Self::Forbidden { .. } | Self::Unfit { .. } => {
                FailureKind::Permanent { named: false }
            }
            Self::TooLarge { .. } => FailureKind::Permanent { named: true },
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "sink_unreachable",
            Self::Timeout { .. } => "sink_timeout",
            Self::Throttled { .. } => "sink_throttled",
            Self::Conflict => "sink_conflict",
            Self::Refused { .. } => "sink_refused",
            Self::Forbidden { .. } => "sink_forbidden",
            Self::Unfit { .. } => "sink_unfit",
            Self::TooLarge { .. } => "sink_too_large",
        }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
