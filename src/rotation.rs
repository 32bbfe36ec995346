//! The domain's values: what a rotation is called, what it mints with, and how long a token is good.
//!
//! Everything below `rotation/` is pure: time and randomness come in as arguments, nothing goes out but values.

pub mod adoption;
pub mod failure;
pub mod policy;
pub mod receipt;
pub mod schedule;

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::secret::SecretText;

/// The name of a rotation: 1–63 characters `[a-z0-9-]`, starting and ending with a letter or digit, so that it is
/// fit for a metric label, a URL segment and a Kubernetes label value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RotationName(Arc<str>);

impl RotationName {
    /// `None` if the text is not fit (see the type).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fit = (1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        fit.then(|| Self(text.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RotationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RotationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a token goes, as people and metrics name it: `kubernetesSecret/apps/voice-token`,
/// `vaultKv/secret/tokens/voice`, `directory/run/everbearer/voice`.
pub type SinkName = Arc<str>;

/// What a source yields: client id and client secret (RFC 6749 §2.3.1), or username and password for Basic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCredentials {
    pub id: SecretText,
    pub secret: SecretText,
}

/// What a source says of the version that it returned: a KV version, a modification time, a content hash.
/// It only hints at a change; whether credentials changed is decided by their fingerprint.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct SourceVersion(pub Arc<str>);

/// When a token was asked for and when it ends, both by our wall clock. `issued_at < expires_at`.
///
/// `issued_at` is taken before the request is sent, so that latency only shortens the believed lifetime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    issued_at: Timestamp,
    expires_at: Timestamp,
}

/// A lifetime above this counts as this: ten years of 365 days.
pub const LONGEST_LIFETIME: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

impl Validity {
    /// `lifetime` must be positive; one above [`LONGEST_LIFETIME`] is cut to it. `None` for anything else.
    #[must_use]
    pub fn new(issued_at: Timestamp, lifetime: SignedDuration) -> Option<Self> {
        if !lifetime.is_positive() {
            return None;
        }
        let expires_at = issued_at.checked_add(lifetime.min(LONGEST_LIFETIME)).ok()?;
        Some(Self { issued_at, expires_at })
    }

    /// `None` unless `issued_at < expires_at`.
    #[must_use]
    pub fn between(issued_at: Timestamp, expires_at: Timestamp) -> Option<Self> {
        Self::new(issued_at, expires_at.duration_since(issued_at))
    }

    #[must_use]
    pub fn issued_at(self) -> Timestamp {
        self.issued_at
    }

    #[must_use]
    pub fn expires_at(self) -> Timestamp {
        self.expires_at
    }

    #[must_use]
    pub fn lifetime(self) -> SignedDuration {
        self.expires_at.duration_since(self.issued_at)
    }

    /// A token counts as expired this long before it expires: 10 s, or a tenth of its lifetime if that is less.
    /// Providers ask for it: the Bandwidth guide says 5–10 s of 3600.
    #[must_use]
    pub fn used_up_margin(self) -> SignedDuration {
        SignedDuration::from_secs(10).min(self.lifetime() / 10)
    }
}

/// What an issuer gave us, before templates are applied.
#[derive(Debug)]
pub struct MintedToken {
    pub material: Material,
    /// `None` for Basic credentials, which do not end.
    pub validity: Option<Validity>,
}

/// The secret part of a [`MintedToken`].
#[derive(Debug)]
pub enum Material {
    Bearer {
        access_token: SecretText,
        /// As it goes into the header: `Bearer`.
        token_type: Arc<str>,
        /// The whole token response as JSON text, for templates. Absent for a token that was adopted from a sink.
        response: Option<SecretText>,
    },
    Basic {
        username: SecretText,
        password: SecretText,
    },
}

/// Both clocks, read together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// `CLOCK_REALTIME`: may be stepped by an administrator or by NTP.
    pub wall: Timestamp,
    /// `CLOCK_BOOTTIME`: never stepped, and goes on during suspend.
    pub boot: BootInstant,
}

/// Time since some fixed point before the process began, by a clock that nobody steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BootInstant(pub SignedDuration);

impl BootInstant {
    #[must_use]
    pub fn duration_since(self, earlier: Self) -> SignedDuration {
        self.0 - earlier.0
    }

    /// Saturates at the ends of the range, some 292 billion years away.
    #[must_use]
    pub fn plus(self, span: SignedDuration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

/// A number from 0 up to but not including 1. Random draws enter the core as this type.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct UnitInterval(f64);

impl UnitInterval {
    pub const ZERO: Self = Self(0.0);

    /// `None` unless `0 <= value < 1`.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        (0.0..1.0).contains(&value).then_some(Self(value))
    }

    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// This share of a span.
    #[must_use]
    pub fn of(self, span: SignedDuration) -> SignedDuration {
        span.mul_f64(self.0)
    }
}

/// Where the core's randomness comes from: the process's generator in production, a seeded one in tests.
pub trait Draw: Send {
    fn draw(&mut self) -> UnitInterval;
}
