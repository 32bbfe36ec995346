//! What a failure means for the next try: its class, and how long to wait for it.

use jiff::SignedDuration;

use super::UnitInterval;

/// The class of a failure decides its pace. See [`Backoff::pause`] for the numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// Likely to pass by itself: a timeout, a reset, a 5xx.
    Transient,
    /// The other side asked for patience. `retry_after` is a span, at most 24 h.
    Throttled { retry_after: Option<SignedDuration> },
    /// The issuer does not know these client credentials (RFC 6749 §5.2 `invalid_client`, `invalid_grant`).
    CredentialRejected,
    /// Will not pass without a change of configuration, credentials or rights. `named`: the other side said what is
    /// wrong by an error code; a bare one may as well be a firewall or a deploy that ends in a minute.
    Permanent { named: bool },
}

impl FailureKind {
    /// The word for logs, status and tests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled { .. } => "throttled",
            Self::CredentialRejected => "credential_rejected",
            Self::Permanent { .. } => "permanent",
        }
    }
}

/// Every error of a port says its class and a stable code.
pub trait Classify: std::error::Error + Send + Sync + 'static {
    fn kind(&self) -> FailureKind;
    /// A stable word in `snake_case`, from a bounded set or an RFC's registry.
    fn code(&self) -> &'static str;
}

/// `Retry-After` is believed up to this.
pub const LONGEST_RETRY_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// The doubling of transient pauses: failures in a row so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    #[must_use]
    pub fn failures(self) -> u32 {
        self.failures
    }

    /// Counts one more failure and returns how long to wait, given the usable time that is left of the token in hand
    /// (`None`: no usable token). `draw` spreads the pauses of many rotations.
    ///
    /// Transient: full jitter (uniform from 0) below a ceiling that doubles from 1 s. Permanent classes: the longest
    /// pause of their row, ± 10 %. A throttle waits for the longer of `Retry-After` and the transient pause.
    pub fn pause(
        &mut self,
        kind: FailureKind,
        usable: Option<SignedDuration>,
        draw: UnitInterval,
    ) -> SignedDuration {
        let doubled = SignedDuration::from_secs(1i64 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let longest = longest_pause(kind, usable);
        match kind {
            FailureKind::Transient => draw.of(doubled.min(longest)),
            FailureKind::Throttled { retry_after } => {
                let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
                draw.of(doubled.min(longest)).max(asked)
            }
            FailureKind::CredentialRejected | FailureKind::Permanent { .. } => {
                longest.mul_f64(0.9 + 0.2 * draw.value())
            }
        }
    }
}

/// The table of behaviour.md: a quarter of the usable time, between a floor and a ceiling of the class.
fn longest_pause(kind: FailureKind, usable: Option<SignedDuration>) -> SignedDuration {
    let (ceiling, floor, without_token) = match kind {
        FailureKind::Transient | FailureKind::Throttled { .. } => (150, 1, 30),
        FailureKind::Permanent { named: false } => (600, 30, 60),
        FailureKind::CredentialRejected => (300, 30, 300),
        FailureKind::Permanent { named: true } => (3600, 30, 600),
    };
    match usable {
        None => SignedDuration::from_secs(without_token),
        Some(left) => {
            (left / 4).min(SignedDuration::from_secs(ceiling)).max(SignedDuration::from_secs(floor))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind::{CredentialRejected, Permanent, Throttled, Transient};

    fn draw(value: f64) -> UnitInterval {
        UnitInterval::new(value).unwrap()
    }

    #[test]
    fn the_longest_pauses_are_those_of_the_table() {
        let bare = Permanent { named: false };
        let named = Permanent { named: true };
        // (class, usable seconds left, longest pause in seconds)
        for (kind, usable, expected) in [
            (Transient, Some(3600), 150),
            (Transient, Some(100), 25),
            (Transient, Some(2), 1),
            (Transient, None, 30),
            (Throttled { retry_after: None }, Some(3600), 150),
            (bare, Some(36_000), 600),
            (bare, Some(1200), 300),
            (bare, Some(40), 30),
            (bare, None, 60),
            (CredentialRejected, Some(36_000), 300),
            (CredentialRejected, Some(400), 100),
            (CredentialRejected, Some(0), 30),
            (CredentialRejected, None, 300),
            (named, Some(36_000), 3600),
            (named, Some(4000), 1000),
            (named, Some(10), 30),
            (named, None, 600),
        ] {
            assert_eq!(
                longest_pause(kind, usable.map(SignedDuration::from_secs)),
                SignedDuration::from_secs(expected),
                "{kind:?} with {usable:?} s left"
            );
        }
    }

    #[test]
    fn transient_pauses_double_from_one_second_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let almost_one = draw(0.999_999);
        let hour = Some(SignedDuration::from_hours(1));
        let seconds = [(); 10].map(|()| backoff.pause(Transient, hour, almost_one).as_secs() + 1);
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 150, 150]);
        assert_eq!(backoff.failures(), 10);
    }

    #[test]
    fn a_throttle_waits_for_the_longer_of_retry_after_and_the_backoff() {
        let hour = Some(SignedDuration::from_hours(1));
        let asked = |seconds| Throttled { retry_after: Some(SignedDuration::from_secs(seconds)) };
        assert_eq!(Backoff::default().pause(asked(77), hour, draw(0.5)), SignedDuration::from_secs(77));
        assert_eq!(Backoff::default().pause(asked(0), hour, draw(0.5)), SignedDuration::from_millis(500));
        assert_eq!(
            Backoff::default().pause(asked(1_000_000), hour, draw(0.5)),
            LONGEST_RETRY_AFTER,
            "no answer stops a rotation for longer than a day"
        );
    }

    #[test]
    fn permanent_pauses_vary_by_a_tenth() {
        let kind = Permanent { named: true };
        assert_eq!(Backoff::default().pause(kind, None, draw(0.0)), SignedDuration::from_secs(540));
        assert_eq!(Backoff::default().pause(kind, None, draw(0.5)), SignedDuration::from_secs(600));
    }
}
