//! A bound on how much runs at once, with a queue that lets the earliest expiry pass first.

use std::collections::BTreeSet;

use crate::rotation::BootInstant;
use crate::rotation::schedule::RotationId;

/// One issuer's requests, or all work on sinks. Waiting rotations stand here by what they would lose first; the queue
/// holds at most one place for each rotation.
#[derive(Debug)]
pub(super) struct Lane {
    capacity: usize,
    running: usize,
    waiting: BTreeSet<(BootInstant, RotationId)>,
}

impl Lane {
    /// A capacity of 0 would stop its rotations for ever and counts as 1.
    #[must_use]
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), running: 0, waiting: BTreeSet::new() }
    }

    pub(super) fn resize(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
    }

    pub(super) fn wait(&mut self, expiry: BootInstant, id: RotationId) {
        self.waiting.insert((expiry, id));
    }

    pub(super) fn leave(&mut self, expiry: BootInstant, id: RotationId) {
        self.waiting.remove(&(expiry, id));
    }

    #[must_use]
    pub(super) fn could_start(&self) -> bool {
        self.running < self.capacity && !self.waiting.is_empty()
    }

    /// The waiting rotation that is to start now, if there is room.
    pub(super) fn next(&mut self) -> Option<RotationId> {
        if self.running >= self.capacity {
            return None;
        }
        self.waiting.pop_first().map(|(_, id)| id)
    }

    pub(super) fn started(&mut self) {
        self.running += 1;
    }

    pub(super) fn finished(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}
