//! One sink of a rotation: what is known of it, and when it is tried again.

use jiff::{SignedDuration, Timestamp};

use super::super::BETWEEN_REQUESTS;
use super::ANY_TIME;
use super::view::{SinkPhase, SinkView};
use crate::rotation::failure::{Backoff, FailureKind};
use crate::rotation::{BootInstant, Draw, Reading, SinkName};

/// What was learnt of a sink by looking or by writing.
#[derive(Clone, PartialEq, Debug)]
pub enum Look {
    /// It holds exactly the held token.
    InSync,
    /// It is ours and holds nothing of ours yet, or an older token.
    Behind {
        expires_at: Option<Timestamp>,
    },
    /// It is ours, and somebody else changed it.
    Drifted {
        expires_at: Option<Timestamp>,
    },
    /// It holds a verified token that is newer than ours.
    Overtaken,
    Failed {
        kind: FailureKind,
        refused: bool,
    },
}

pub(super) struct SinkEntry {
    pub(super) name: SinkName,
    pub(super) phase: SinkPhase,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) backoff: Backoff,
    pub(super) not_before: BootInstant,
}

impl SinkEntry {
    pub(super) fn new(name: SinkName) -> Self {
        Self {
            name,
            phase: SinkPhase::Pending,
            expires_at: None,
            backoff: Backoff::default(),
            not_before: ANY_TIME,
        }
    }

    pub(super) fn look(
        &mut self,
        look: &Look,
        held_expiry: Option<Timestamp>,
        usable: Option<SignedDuration>,
        now: Reading,
        draws: &mut dyn Draw,
    ) {
        (self.phase, self.expires_at) = match look {
            Look::InSync => (SinkPhase::InSync, held_expiry),
            Look::Behind { expires_at } => (SinkPhase::Pending, *expires_at),
            Look::Drifted { expires_at } => (SinkPhase::Drifted, *expires_at),
            Look::Overtaken => (SinkPhase::Pending, self.expires_at),
            Look::Failed { refused: true, .. } => (SinkPhase::Refused, self.expires_at),
            Look::Failed { refused: false, .. } => (SinkPhase::Failing, self.expires_at),
        };
        if let Look::Failed { kind, .. } = look {
            let pause = self.backoff.pause(*kind, usable, draws.draw()).max(BETWEEN_REQUESTS);
            self.not_before = now.boot.plus(pause);
        } else {
            self.backoff = Backoff::default();
            self.not_before = ANY_TIME;
        }
    }

    pub(super) fn view(&self) -> SinkView {
        SinkView { name: self.name.clone(), phase: self.phase, expires_at: self.expires_at }
    }
}
