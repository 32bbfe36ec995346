//! One rotation in the schedule: its facts, its plan, and what an outcome changes.

mod sink;
mod view;

pub use sink::Look;
pub use view::{SinkPhase, SinkView, State, View};

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use self::sink::SinkEntry;
use super::budget::MintBudget;
use super::{Action, BETWEEN_REQUESTS, Insert, LaneName, Outcome};
use crate::rotation::failure::{Backoff, FailureKind};
use crate::rotation::policy::{self, Facts, Held, Policy, Reason, When};
use crate::rotation::receipt::{KeyedFingerprint, SpecDigest};
use crate::rotation::{BootInstant, Draw, Reading, RotationName, SinkName, Validity};

/// What an entry wants: nothing by itself, to wait, or to start.
pub(super) enum Plan {
    Nothing,
    Wait(When),
    Ready(Work),
}

#[derive(Clone, Copy)]
pub(super) enum Work {
    Observe,
    Mint(Reason, When),
    Deliver,
}

pub(super) struct Running {
    pub(super) lane: LaneName,
    reason: Option<Reason>,
    /// The configuration or the credentials changed meanwhile: its failure says nothing of what is in force now.
    stale: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "facts that do not exclude each other")]
pub(super) struct Entry {
    pub(super) name: RotationName,
    pub(super) issuer: Arc<str>,
    policy: Policy,
    spec: SpecDigest,
    held: Option<Held>,
    seen: Option<KeyedFingerprint>,
    requested: bool,
    tick: Option<Timestamp>,
    /// Nothing is minted before the sinks have been looked at with the credentials in hand.
    observed: bool,
    observe_at: Option<BootInstant>,
    observe_backoff: Backoff,
    backoff: Backoff,
    not_before: BootInstant,
    last_request: Option<BootInstant>,
    budget: MintBudget,
    failures: u32,
    last_failure: Option<FailureKind>,
    /// The last mint failed: only the next one that succeeds makes up for it.
    mint_failed: bool,
    is_basic: bool,
    sinks: Vec<SinkEntry>,
    pub(super) running: Option<Running>,
    /// Taken out while an attempt was under way.
    pub(super) leaving: bool,
    pub(super) queued_wall: Option<Timestamp>,
    pub(super) queued_boot: Option<BootInstant>,
    pub(super) waiting: Option<(LaneName, BootInstant)>,
}

const ANY_TIME: BootInstant = When::AT_ONCE.boot;
const NEVER: BootInstant = BootInstant(SignedDuration::MAX);

impl Entry {
    pub(super) fn new(insert: Insert) -> Self {
        let sinks = insert.sinks.into_iter().map(SinkEntry::new).collect();
        Self {
            name: insert.name,
            issuer: insert.issuer,
            policy: insert.policy,
            spec: insert.spec,
            held: None,
            seen: None,
            requested: false,
            tick: None,
            observed: false,
            observe_at: Some(ANY_TIME),
            observe_backoff: Backoff::default(),
            backoff: Backoff::default(),
            not_before: ANY_TIME,
            last_request: None,
            budget: MintBudget::default(),
            failures: 0,
            last_failure: None,
            mint_failed: false,
            is_basic: insert.is_basic,
            sinks,
            running: None,
            leaving: false,
            queued_wall: None,
            queued_boot: None,
            waiting: None,
        }
    }

    /// A changed configuration ends any pause; what was minted and counted stays.
    pub(super) fn replaced_by(self, insert: Insert) -> Self {
        let mut old_sinks = self.sinks;
        let mut new = Self::new(insert);
        for sink in &mut new.sinks {
            if let Some(at) = old_sinks.iter().position(|old| old.name == sink.name) {
                *sink = SinkEntry {
                    backoff: Backoff::default(),
                    not_before: ANY_TIME,
                    ..old_sinks.swap_remove(at)
                };
            }
        }
        new.held = self.held;
        new.seen = self.seen;
        new.requested = self.requested;
        new.last_request = self.last_request;
        new.budget = self.budget;
        new.failures = self.failures;
        new.last_failure = self.last_failure;
        new.mint_failed = self.mint_failed;
        new.running = self.running.map(|running| Running { stale: true, ..running });
        // With a token in hand the sinks tell nothing that must be known before the next mint.
        new.observed = self.observed && new.held.is_some();
        new.set_tick();
        new
    }

    pub(super) fn request(&mut self) {
        self.requested = true;
        if !matches!(self.last_failure, Some(FailureKind::Throttled { .. })) {
            self.end_pause();
        }
    }

    pub(super) fn look_again(&mut self) {
        self.observe_at.get_or_insert(ANY_TIME);
    }

    pub(super) fn credentials_seen(&mut self, seen: KeyedFingerprint) {
        if self.seen.replace(seen) != Some(seen) {
            self.end_pause();
            if let Some(running) = &mut self.running {
                running.stale = true;
            }
        }
    }

    fn end_pause(&mut self) {
        self.backoff = Backoff::default();
        self.not_before = ANY_TIME;
        if self.observe_at.is_some() {
            self.observe_at = Some(ANY_TIME);
        }
    }

    /// What is wanted now. The only place that decides it: the wakes and the lanes are filled from here.
    pub(super) fn plan(&self, now: Reading) -> Plan {
        if self.running.is_some() {
            return Plan::Nothing;
        }
        // Each clock's nearest moment by itself: the other one may be stepped before it comes.
        let mut soonest = When { wall: None, boot: NEVER };
        let mut wait = |when: When| {
            soonest.wall = soonest.wall.into_iter().chain(when.wall).min();
            soonest.boot = soonest.boot.min(when.boot);
        };
        let look = self.observe_at.is_some_and(|not_before| now.boot >= not_before);
        if look && !self.observed {
            return Plan::Ready(Work::Observe);
        }
        self.observe_at.into_iter().for_each(|boot| wait(When { wall: None, boot }));
        if self.observed && !self.policy.suspended {
            for (reason, when) in policy::wanted(&self.policy, self.facts()) {
                let gate = self.gate(reason, now);
                match (when.has_come(now), now.boot >= gate) {
                    (true, true) => return Plan::Ready(Work::Mint(reason, when)),
                    (true, false) => wait(When { wall: None, boot: gate }),
                    (false, _) => wait(When { wall: when.wall, boot: when.boot.max(gate) }),
                }
            }
            // After what is due: a sink that hangs must not hold up a mint for the others.
            if look {
                return Plan::Ready(Work::Observe);
            }
            if self.held.as_ref().is_some_and(|held| held.is_usable(now)) {
                for sink in self.sinks.iter().filter(|sink| sink.phase != SinkPhase::InSync) {
                    if now.boot >= sink.not_before {
                        return Plan::Ready(Work::Deliver);
                    }
                    wait(When { wall: None, boot: sink.not_before });
                }
            }
        }
        if look {
            return Plan::Ready(Work::Observe);
        }
        let nothing = soonest.wall.is_none() && soonest.boot == NEVER;
        if nothing { Plan::Nothing } else { Plan::Wait(soonest) }
    }

    /// The pause, the distance between two requests, and the mint budget.
    fn gate(&self, reason: Reason, now: Reading) -> BootInstant {
        let distance = self.last_request.map_or(ANY_TIME, |last| last.plus(BETWEEN_REQUESTS));
        let budget = self.budget.opens(reason, self.policy.mint_budget, self.lifetime(), now.boot);
        self.not_before.max(distance).max(budget)
    }

    fn lifetime(&self) -> SignedDuration {
        let validity = self.held.as_ref().and_then(|held| held.validity);
        validity.map_or(self.policy.default_lifetime, Validity::lifetime)
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            held: self.held.as_ref(),
            spec: self.spec,
            seen: self.seen,
            requested: self.requested,
            tick: self.tick,
        }
    }

    /// Where this rotation stands among those that wait: whoever has no token is first, and among these whoever has
    /// failed least, so that sinks that hang cannot keep the others from their first look.
    pub(super) fn expiry_by_boot(&self) -> BootInstant {
        let failed = SignedDuration::from_secs(i64::from(self.failures));
        self.held.as_ref().map_or(ANY_TIME.plus(failed), Held::expires_by_boot)
    }

    pub(super) fn start(&mut self, work: Work, lane: LaneName, now: Reading, draws: &mut dyn Draw) -> Action {
        let reason = if let Work::Mint(reason, _) = work { Some(reason) } else { None };
        self.running = Some(Running { lane, reason, stale: false });
        match work {
            Work::Observe => {
                self.observe_at = None;
                Action::Observe
            }
            Work::Mint(reason, when) => {
                self.last_request = Some(now.boot);
                Action::Mint {
                    reason,
                    generation: self.held.as_ref().map_or(0, |held| held.generation).saturating_add(1),
                    jitter: draws.draw(),
                    spec: self.spec,
                    lateness: lateness(reason, when, now),
                }
            }
            Work::Deliver => {
                let behind =
                    self.sinks.iter().filter(|s| s.phase != SinkPhase::InSync && now.boot >= s.not_before);
                Action::Deliver { sinks: behind.map(|sink| sink.name.clone()).collect() }
            }
        }
    }

    pub(super) fn record(&mut self, outcome: Outcome, now: Reading, draws: &mut dyn Draw) {
        let stale = self.running.take().is_some_and(|running| running.stale);
        match outcome {
            Outcome::Observed { seen, adopted, sinks, failure } => {
                if let Some(seen) = seen.filter(|_| !stale) {
                    self.credentials_seen(seen);
                }
                if let Some(held) = adopted {
                    self.hold(held.keeping_age_of(self.held.as_ref()));
                }
                self.look_at(sinks, now, draws);
                if stale && failure.is_some() {
                    self.look_again();
                } else {
                    self.record_observation(failure, now, draws);
                }
            }
            Outcome::Minted { held, sinks } => {
                let lifetime = held.validity.map_or(self.policy.default_lifetime, Validity::lifetime);
                self.budget.count_issued(now.boot, self.policy.mint_budget, lifetime);
                self.last_request = Some(now.boot);
                if !stale {
                    self.seen = held.credentials.or(self.seen);
                }
                self.requested = false;
                self.mint_failed = false;
                self.backoff = Backoff::default();
                self.not_before = ANY_TIME;
                self.last_failure = None;
                self.hold(held);
                // A mint reaches every sink: one that is not mentioned is behind.
                for sink in &mut self.sinks {
                    sink.phase = SinkPhase::Pending;
                }
                self.look_at(sinks, now, draws);
                self.count_attempt();
            }
            Outcome::MintFailed { kind, maybe_minted, seen, sinks } => {
                if maybe_minted {
                    self.budget.count_lost(now.boot, self.policy.mint_budget);
                }
                self.last_request = Some(now.boot);
                self.look_at(sinks, now, draws);
                if stale {
                    return;
                }
                self.seen = seen.or(self.seen);
                self.mint_failed = true;
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(kind);
                let pause = self.backoff.pause(kind, self.usable(now), draws.draw());
                self.not_before = now.boot.plus(pause);
            }
            Outcome::Delivered { sinks } => {
                self.look_at(sinks, now, draws);
                self.count_attempt();
            }
        }
    }

    fn record_observation(&mut self, failure: Option<FailureKind>, now: Reading, draws: &mut dyn Draw) {
        match failure {
            None => {
                self.observed = true;
                self.observe_backoff = Backoff::default();
                if self.sinks.iter().any(|s| matches!(s.phase, SinkPhase::Failing | SinkPhase::Refused)) {
                    self.failures = self.failures.max(1);
                } else if !self.mint_failed && self.all_in_sync() {
                    self.failures = 0;
                    self.last_failure = None;
                }
            }
            // Known before: the next regular look is soon enough, and the held token is delivered all the same.
            Some(_) if self.observed => {}
            Some(kind) => {
                self.failures = self.failures.saturating_add(1);
                self.last_failure = Some(kind);
                let pause = self.observe_backoff.pause(kind, None, draws.draw()).max(BETWEEN_REQUESTS);
                self.observe_at = Some(now.boot.plus(pause));
            }
        }
    }

    /// An attempt that left a sink behind is a failed one, though nothing more is minted for it.
    fn count_attempt(&mut self) {
        if self.all_in_sync() {
            if !self.mint_failed {
                self.failures = 0;
                self.last_failure = None;
            }
        } else {
            self.failures = self.failures.saturating_add(1);
        }
    }

    fn all_in_sync(&self) -> bool {
        self.sinks.iter().all(|sink| sink.phase == SinkPhase::InSync)
    }

    fn hold(&mut self, held: Held) {
        self.held = Some(held);
        self.set_tick();
    }

    fn set_tick(&mut self) {
        let issued = self.held.as_ref().and_then(|held| held.validity).map(Validity::issued_at);
        self.tick = self.policy.schedule.as_ref().zip(issued).and_then(|(cron, at)| cron.next_after(at));
    }

    fn look_at(&mut self, looks: Vec<(SinkName, Look)>, now: Reading, draws: &mut dyn Draw) {
        let usable = self.usable(now);
        let held_expiry = self.held.as_ref().and_then(|held| held.validity).map(Validity::expires_at);
        for (name, look) in looks {
            let Some(sink) = self.sinks.iter_mut().find(|sink| sink.name == name) else { continue };
            if look == Look::Overtaken {
                // Nothing is minted before it is known what is newer.
                self.observe_at = Some(ANY_TIME);
                self.observed = false;
            }
            sink.look(&look, held_expiry, usable, now, draws);
        }
    }

    fn usable(&self, now: Reading) -> Option<SignedDuration> {
        let held = self.held.as_ref()?;
        match held.usable_left(now) {
            None => Some(SignedDuration::from_hours(1)), // Basic: no expiry bounds the pause, the table's ceiling does
            Some(left) => left.is_positive().then_some(left),
        }
    }
}

/// How late an attempt starts. Only what was planned for a moment can be late; the clock is the one that planned it.
fn lateness(reason: Reason, when: When, now: Reading) -> SignedDuration {
    let late = match (reason, when.wall) {
        (Reason::Due, _) => now.boot.duration_since(when.boot),
        (Reason::Scheduled, Some(wall)) => now.wall.duration_since(wall),
        _ => SignedDuration::ZERO,
    };
    late.max(SignedDuration::ZERO)
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({})", self.name)
    }
}
