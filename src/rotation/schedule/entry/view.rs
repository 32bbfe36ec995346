//! A rotation as status and metrics show it.

use jiff::Timestamp;

use super::Entry;
use super::sink::SinkEntry;
use crate::rotation::failure::FailureKind;
use crate::rotation::policy::{self, Reason, When};
use crate::rotation::{Reading, SinkName, Validity};

/// A sink's `state` in status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SinkPhase {
    InSync,
    Pending,
    Failing,
    Refused,
    Drifted,
}

impl SinkPhase {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in_sync",
            Self::Pending => "pending",
            Self::Failing => "failing",
            Self::Refused => "refused",
            Self::Drifted => "drifted",
        }
    }
}

/// A rotation's `state` in status: the first that holds, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Suspended,
    Minting,
    /// No usable token, and a failure that does not pass by itself.
    Blocked,
    /// Never delivered.
    Pending,
    Expired,
    /// A usable token, but the last attempt failed.
    Degraded,
    Due,
    Fresh,
}

impl State {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspended => "suspended",
            Self::Minting => "minting",
            Self::Blocked => "blocked",
            Self::Pending => "pending",
            Self::Expired => "expired",
            Self::Degraded => "degraded",
            Self::Due => "due",
            Self::Fresh => "fresh",
        }
    }
}

/// A rotation as status and metrics show it.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    pub state: State,
    /// Why it runs or is due.
    pub reason: Option<Reason>,
    /// Of the held token, or else of the longest that was seen in a sink and could not be verified yet.
    pub issued_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    /// The next planned attempt, pauses included.
    pub due_at: Option<Timestamp>,
    pub consecutive_failures: u32,
    pub sinks: Vec<SinkView>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct SinkView {
    pub name: SinkName,
    pub phase: SinkPhase,
    pub expires_at: Option<Timestamp>,
}

impl Entry {
    pub(in crate::rotation::schedule) fn view(&self, now: Reading) -> View {
        let validity = self.held.as_ref().and_then(|held| held.validity);
        let reported = self.sinks.iter().filter_map(|sink| sink.expires_at).max();
        let wants = policy::wanted(&self.policy, self.facts());
        let due = wants.map(|(reason, when)| {
            let gate = self.gate(reason, now);
            let gate = When { wall: None, boot: gate };
            (reason, when.has_come(now), if gate.until(now) > when.until(now) { gate } else { when })
        });
        let next = due.min_by_key(|(.., when)| when.until(now));
        let due_at = next.as_ref().filter(|_| !self.policy.suspended).map(|(.., when)| match when.wall {
            Some(wall) if !when.has_come(now) && wall.duration_since(now.wall) <= when.until(now) => wall,
            _ => now.wall.checked_add(when.until(now)).unwrap_or(Timestamp::MAX),
        });
        let running = self.running.as_ref().and_then(|running| running.reason);
        View {
            state: self.state(now, next.as_ref().is_some_and(|(_, has_come, _)| *has_come)),
            reason: running.or(next.and_then(|(reason, has_come, _)| has_come.then_some(reason))),
            issued_at: validity.map(Validity::issued_at),
            expires_at: validity.map(Validity::expires_at).or(reported),
            due_at: due_at.filter(|_| self.observed),
            consecutive_failures: self.failures,
            sinks: self.sinks.iter().map(SinkEntry::view).collect(),
        }
    }

    fn state(&self, now: Reading, due: bool) -> State {
        let reported = || self.sinks.iter().filter_map(|sink| sink.expires_at).max();
        // While nothing could be verified yet, what the sinks' receipts say is the best that is known.
        let unverified = self.held.is_none() && reported().is_some_and(|expiry| expiry > now.wall);
        let usable = self.held.as_ref().is_some_and(|held| held.is_usable(now)) || unverified;
        let delivered = self.sinks.iter().any(|s| s.phase == SinkPhase::InSync || s.expires_at.is_some());
        let stuck = match self.last_failure {
            Some(FailureKind::CredentialRejected | FailureKind::Permanent { .. }) => true,
            Some(FailureKind::Transient | FailureKind::Throttled { .. }) | None => false,
        };
        if self.policy.suspended {
            State::Suspended
        } else if !self.is_basic && self.running.as_ref().is_some_and(|running| running.reason.is_some()) {
            State::Minting
        } else if !usable && stuck {
            State::Blocked
        } else if !delivered {
            State::Pending
        } else if !usable {
            State::Expired
        } else if self.failures > 0 {
            State::Degraded
        } else if due && self.held.is_some() && !self.is_basic {
            State::Due
        } else {
            State::Fresh
        }
    }
}
