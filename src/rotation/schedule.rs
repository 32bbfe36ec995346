//! The state machine of all rotations: what runs next, and what an outcome changes.
//!
//! Pure: the engine passes readings of the clocks and random draws in, carries out the [`Action`]s that come out, and
//! records their outcomes. [`Schedule::take_due`] and [`Schedule::next_wake`] read the same plan, so they cannot
//! disagree. Every event costs O(log n).

mod budget;
mod cron;
mod entry;
mod lane;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub use cron::{CronLine, CronMistake};
pub use entry::{Look, SinkPhase, SinkView, State, View};

use entry::{Entry, Plan};
use lane::Lane;

use super::failure::FailureKind;
use super::policy::{Held, Policy, Reason};
use super::receipt::{KeyedFingerprint, SpecDigest};
use super::{BootInstant, Draw, Reading, RotationName, SinkName, UnitInterval};

/// Work on sinks that runs at once, over all rotations: observations at start, repairs. Enough to fill the pipes to
/// one API server and one Vault, few enough to leave them room for others.
const SINK_WORK_AT_ONCE: usize = 64;

/// Two requests of one rotation are never closer than this.
const BETWEEN_REQUESTS: SignedDuration = SignedDuration::from_secs(1);

/// Stands for one rotation while it is in the schedule; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RotationId(u64);

/// A rotation as it enters the schedule.
#[derive(Clone, Debug)]
pub struct Insert {
    pub name: RotationName,
    pub issuer: Arc<str>,
    /// Requests to the issuer at once.
    pub max_concurrent: usize,
    pub policy: Policy,
    pub spec: SpecDigest,
    pub sinks: Vec<SinkName>,
    /// Renders what it is given: it is never due and never minting.
    pub is_basic: bool,
}

/// What the engine is to carry out for one rotation. Each rotation has at most one at a time.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Fetch the credentials and look at every sink. Writes and mints nothing.
    Observe,
    /// Fetch, mint, and deliver to every sink.
    Mint { reason: Reason, generation: u64, jitter: UnitInterval, spec: SpecDigest, lateness: SignedDuration },
    /// Deliver the held token to these sinks.
    Deliver { sinks: Vec<SinkName> },
}

/// How an action ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    Observed {
        /// `None`: the credentials could not be fetched.
        seen: Option<KeyedFingerprint>,
        /// The token that the engine holds now, if it found one of a higher generation than before.
        adopted: Option<Held>,
        sinks: Vec<(SinkName, Look)>,
        /// The worst failure, if any: the observation is repeated.
        failure: Option<FailureKind>,
    },
    Minted {
        held: Held,
        sinks: Vec<(SinkName, Look)>,
    },
    /// Nothing was minted, as far as we know, and no sink was touched.
    MintFailed {
        kind: FailureKind,
        maybe_minted: bool,
        seen: Option<KeyedFingerprint>,
        /// What was learnt of the sinks on the way.
        sinks: Vec<(SinkName, Look)>,
    },
    Delivered {
        sinks: Vec<(SinkName, Look)>,
    },
}

pub struct Schedule {
    entries: HashMap<RotationId, Entry>,
    ids: HashMap<RotationName, RotationId>,
    last_id: u64,
    by_wall: BTreeSet<(Timestamp, RotationId)>,
    by_boot: BTreeSet<(BootInstant, RotationId)>,
    issuers: BTreeMap<Arc<str>, Lane>,
    sink_work: Lane,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            ids: HashMap::new(),
            last_id: 0,
            by_wall: BTreeSet::new(),
            by_boot: BTreeSet::new(),
            issuers: BTreeMap::new(),
            sink_work: Lane::new(SINK_WORK_AT_ONCE),
        }
    }
}

impl Schedule {
    /// Puts a rotation in, or replaces the one of that name: its held token, failures and budget stay, its pause ends,
    /// and its sinks are looked at before anything else.
    pub fn insert(&mut self, insert: Insert, now: Reading) -> RotationId {
        self.issuers
            .entry(insert.issuer.clone())
            .or_insert_with(|| Lane::new(insert.max_concurrent))
            .resize(insert.max_concurrent);
        let id = if let Some(id) = self.ids.get(&insert.name) {
            *id
        } else {
            self.last_id += 1;
            let id = RotationId(self.last_id);
            self.ids.insert(insert.name.clone(), id);
            id
        };
        self.unqueue(id);
        match self.entries.remove(&id) {
            Some(old) => self.entries.insert(id, old.replaced_by(insert)),
            None => self.entries.insert(id, Entry::new(insert)),
        };
        self.queue(id, now);
        id
    }

    /// Takes a rotation out; its sinks stay. What still runs for it ends unrecorded, and keeps its place until then: a
    /// rotation of that name that comes back meanwhile waits for it.
    pub fn remove(&mut self, name: &RotationName) -> Option<RotationId> {
        let id = self.id(name)?;
        self.unqueue(id);
        let entry = self.entries.get_mut(&id)?;
        if entry.running.is_some() {
            entry.leaving = true;
        } else {
            self.entries.remove(&id);
            self.ids.remove(name);
        }
        Some(id)
    }

    #[must_use]
    pub fn id(&self, name: &RotationName) -> Option<RotationId> {
        let id = self.ids.get(name).copied()?;
        self.entries.get(&id).filter(|entry| !entry.leaving).map(|_| id)
    }

    /// Somebody asks for a rotation now. It also ends a pause, unless the issuer asked for the pause.
    pub fn request(&mut self, id: RotationId, now: Reading) {
        self.change(id, now, Entry::request);
    }

    /// The sinks are to be looked at again.
    pub fn look_at_sinks(&mut self, id: RotationId, now: Reading) {
        self.change(id, now, Entry::look_again);
    }

    /// The source was looked at outside of an attempt. Changed credentials end any pause.
    pub fn credentials_seen(&mut self, id: RotationId, seen: KeyedFingerprint, now: Reading) {
        self.change(id, now, |entry| entry.credentials_seen(seen));
    }

    /// Everything that is to start now, earliest expiry first within each limit. The draws become the jitter of the
    /// tokens that are minted.
    pub fn take_due(&mut self, now: Reading, draws: &mut dyn Draw) -> Vec<(RotationId, Action)> {
        while let Some(id) = self.pop_due(now) {
            self.queue(id, now);
        }
        let mut started = Vec::new();
        for lane in LaneName::all(&self.issuers) {
            while let Some(id) = self.lane(&lane).and_then(Lane::next) {
                if let Some(action) = self.start(id, &lane, now, draws) {
                    started.push((id, action));
                }
                self.queue(id, now);
            }
        }
        started
    }

    /// Records how an action ended. An outcome for a rotation that left meanwhile is ignored.
    pub fn record(&mut self, id: RotationId, outcome: Outcome, now: Reading, draws: &mut dyn Draw) {
        self.unqueue(id);
        let Some(mut entry) = self.entries.remove(&id) else { return };
        self.free_lane(&entry);
        if entry.leaving {
            self.ids.remove(&entry.name);
            return;
        }
        entry.record(outcome, now, draws);
        self.entries.insert(id, entry);
        self.queue(id, now);
    }

    /// How long until [`Self::take_due`] has something to do by itself; `None`: not before an outcome or a command.
    #[must_use]
    pub fn next_wake(&self, now: Reading) -> Option<SignedDuration> {
        if self.sink_work.could_start() || self.issuers.values().any(Lane::could_start) {
            return Some(SignedDuration::ZERO);
        }
        let by_wall = self.by_wall.first().map(|(wall, _)| wall.duration_since(now.wall));
        let by_boot = self.by_boot.first().map(|(boot, _)| boot.0.saturating_sub(now.boot.0));
        by_wall.into_iter().chain(by_boot).min().map(|span| span.max(SignedDuration::ZERO))
    }

    #[must_use]
    pub fn view(&self, id: RotationId, now: Reading) -> Option<View> {
        self.entries.get(&id).map(|entry| entry.view(now))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn change(&mut self, id: RotationId, now: Reading, change: impl FnOnce(&mut Entry)) {
        self.unqueue(id);
        if let Some(entry) = self.entries.get_mut(&id) {
            change(entry);
        }
        self.queue(id, now);
    }

    fn pop_due(&mut self, now: Reading) -> Option<RotationId> {
        let by_wall = self.by_wall.first().filter(|(wall, _)| *wall <= now.wall).map(|(_, id)| *id);
        let by_boot = self.by_boot.first().filter(|(boot, _)| *boot <= now.boot).map(|(_, id)| *id);
        let id = by_wall.or(by_boot)?;
        self.unqueue(id);
        Some(id)
    }

    /// Puts a rotation where its plan says: into a lane if it could run now, else among the wakes.
    fn queue(&mut self, id: RotationId, now: Reading) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        match entry.plan(now) {
            Plan::Nothing => {}
            Plan::Wait(when) => {
                entry.queued_wall = when.wall;
                entry.queued_boot = Some(when.boot);
                if let Some(wall) = when.wall {
                    self.by_wall.insert((wall, id));
                }
                self.by_boot.insert((when.boot, id));
            }
            Plan::Ready(work) => {
                let expiry = entry.expiry_by_boot();
                let lane = LaneName::of(&work, &entry.issuer);
                entry.waiting = Some((lane.clone(), expiry));
                if let Some(lane) = self.lane(&lane) {
                    lane.wait(expiry, id);
                }
            }
        }
    }

    fn unqueue(&mut self, id: RotationId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(wall) = entry.queued_wall.take() {
            self.by_wall.remove(&(wall, id));
        }
        if let Some(boot) = entry.queued_boot.take() {
            self.by_boot.remove(&(boot, id));
        }
        if let Some((lane, expiry)) = entry.waiting.take()
            && let Some(lane) = self.lane(&lane)
        {
            lane.leave(expiry, id);
        }
    }

    fn start(
        &mut self,
        id: RotationId,
        from: &LaneName,
        now: Reading,
        draws: &mut dyn Draw,
    ) -> Option<Action> {
        let entry = self.entries.get_mut(&id)?;
        entry.waiting = None;
        let Plan::Ready(work) = entry.plan(now) else { return None };
        let lane = LaneName::of(&work, &entry.issuer);
        if lane != *from {
            return None; // what it wants changed while it waited: it queues for that, and there may be no room
        }
        let action = entry.start(work, lane.clone(), now, draws);
        if let Some(lane) = self.lane(&lane) {
            lane.started();
        }
        Some(action)
    }

    fn free_lane(&mut self, entry: &Entry) {
        if let Some(running) = &entry.running
            && let Some(lane) = self.lane(&running.lane.clone())
        {
            lane.finished();
        }
    }

    fn lane(&mut self, name: &LaneName) -> Option<&mut Lane> {
        match name {
            LaneName::SinkWork => Some(&mut self.sink_work),
            LaneName::Issuer(issuer) => self.issuers.get_mut(issuer),
        }
    }
}

/// Which limit an action runs under.
#[derive(Clone, PartialEq, Debug)]
enum LaneName {
    SinkWork,
    Issuer(Arc<str>),
}

impl LaneName {
    fn of(work: &entry::Work, issuer: &Arc<str>) -> Self {
        match work {
            entry::Work::Observe | entry::Work::Deliver => Self::SinkWork,
            entry::Work::Mint(..) => Self::Issuer(issuer.clone()),
        }
    }

    fn all(issuers: &BTreeMap<Arc<str>, Lane>) -> Vec<Self> {
        let could_start = issuers.iter().filter(|(_, lane)| lane.could_start());
        std::iter::once(Self::SinkWork)
            .chain(could_start.map(|(name, _)| Self::Issuer(name.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests;
