//! The loop: commands, finished attempts, the next wake.
//!
//! One task owns the schedule and everything that is held, so there is no lock and no task for each rotation. Attempts
//! run as short tasks of their own, bounded by the schedule's limits; the loop carries out what the schedule decides
//! and keeps what it must not know: tokens, handles, errors for people.

mod live;
mod looks;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::SignedDuration;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::attempt::{self, Context, Finished, MintOrder, Setup};
use crate::ports::Clock;
use crate::rotation::policy::Reason;
use crate::rotation::schedule::{Action, Insert, Outcome, RotationId, Schedule, State};
use crate::rotation::{Draw, Reading, RotationName};
use crate::status::RotationStatus;
use crate::telemetry::Event;

use live::Live;
use looks::{SourceSeen, Sources};

/// Commands that may wait for the loop. Housekeeping sends a few a minute and a reload one for each rotation; whoever
/// sends more waits.
pub const COMMANDS: usize = 256;

/// What others may ask of the engine.
pub enum Command {
    /// Puts a rotation in, or replaces the one of that name.
    Insert(Box<Setup>),
    /// Takes a rotation out; its sinks stay.
    Remove(RotationName),
    Rotate {
        name: RotationName,
        answer: oneshot::Sender<RotateAnswer>,
    },
    /// Are credentials in the sources still those that tokens were minted with?
    LookAtSources,
    /// Do the sinks still hold what was delivered?
    LookAtSinks,
    Status(oneshot::Sender<Vec<RotationStatus>>),
    /// No new attempts; the loop ends when those in flight have ended.
    Drain,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RotateAnswer {
    Accepted,
    Unknown,
    Suspended,
}

/// When the loop last turned, for the liveness probe.
#[derive(Default)]
pub struct Heartbeat(AtomicI64);

impl Heartbeat {
    fn beat(&self, now: Reading) {
        self.0.store(now.boot.0.as_secs(), Ordering::Relaxed);
    }

    /// How long ago the loop turned.
    #[must_use]
    pub fn age(&self, now: Reading) -> SignedDuration {
        SignedDuration::from_secs(now.boot.0.as_secs() - self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Error)]
pub enum EngineError {
    #[error(
        "an attempt ended unexpectedly: {0}. This is a defect; the process ends so that it is started afresh"
    )]
    AttemptPanicked(tokio::task::JoinError),
}

pub struct Engine {
    context: Context,
    draws: Box<dyn Draw>,
    schedule: Schedule,
    live: HashMap<RotationId, Live>,
    sources: Sources,
    commands: mpsc::Receiver<Command>,
    attempts: JoinSet<(RotationId, Finished)>,
    looks: JoinSet<SourceSeen>,
    heartbeat: Arc<Heartbeat>,
    draining: bool,
}

impl Engine {
    #[must_use]
    pub fn new(context: Context, draws: Box<dyn Draw>) -> (Self, mpsc::Sender<Command>, Arc<Heartbeat>) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let heartbeat = Arc::new(Heartbeat::default());
        heartbeat.beat(context.clock.read());
        let engine = Self {
            context,
            draws,
            schedule: Schedule::default(),
            live: HashMap::new(),
            sources: Sources::default(),
            commands,
            attempts: JoinSet::new(),
            looks: JoinSet::new(),
            heartbeat: heartbeat.clone(),
            draining: false,
        };
        (engine, sender, heartbeat)
    }

    /// Runs until [`Command::Drain`], or until every sender of commands is gone; then waits for what is in flight.
    pub async fn run(mut self) -> Result<(), EngineError> {
        let clock: Arc<dyn Clock> = self.context.clock.clone();
        loop {
            let now = clock.read();
            self.heartbeat.beat(now);
            if !self.draining {
                for (id, action) in self.schedule.take_due(now, &mut *self.draws) {
                    self.start(id, action, now);
                }
            }
            if self.draining && self.attempts.is_empty() {
                return Ok(());
            }
            let wake = self.schedule.next_wake(now).filter(|_| !self.draining);
            let deadline = later(now, wake.unwrap_or(SignedDuration::from_hours(24)));
            tokio::select! {
                biased;
                Some(joined) = self.attempts.join_next() => {
                    let (id, finished) = joined.map_err(EngineError::AttemptPanicked)?;
                    self.finish(id, finished);
                }
                Some(joined) = self.looks.join_next(), if !self.draining => {
                    let seen = joined.map_err(EngineError::AttemptPanicked)?;
                    self.source_seen(&seen);
                }
                command = self.commands.recv(), if !self.draining => self.obey(command),
                () = clock.sleep_until(deadline) => {}
            }
        }
    }

    fn obey(&mut self, command: Option<Command>) {
        let now = self.context.clock.read();
        match command {
            None | Some(Command::Drain) => {
                self.draining = true;
                self.looks.abort_all();
            }
            Some(Command::Insert(setup)) => self.insert(*setup, now),
            Some(Command::Remove(name)) => self.remove(&name),
            Some(Command::Rotate { name, answer }) => {
                let _ = answer.send(self.rotate(&name, now)); // whoever asked may have gone
            }
            Some(Command::LookAtSources) => {
                for source in self.sources.start_looking() {
                    self.looks.spawn(looks::look_at(source, self.context.clone()));
                }
            }
            Some(Command::LookAtSinks) => {
                let ids: Vec<RotationId> = self.live.keys().copied().collect();
                for id in ids {
                    self.schedule.look_at_sinks(id, now);
                }
            }
            Some(Command::Status(answer)) => {
                let _ = answer.send(self.status(now));
            }
        }
    }

    fn insert(&mut self, setup: Setup, now: Reading) {
        let insert = Insert {
            name: setup.name.clone(),
            issuer: setup.issuer.name.clone(),
            max_concurrent: setup.issuer.max_concurrent,
            policy: setup.policy.clone(),
            spec: setup.spec,
            sinks: setup.sinks.iter().map(|sink| sink.name.clone()).collect(),
            is_basic: setup.issuer.is_basic,
        };
        if !setup.issuer.is_basic {
            self.context.telemetry.issuer_known(&setup.issuer.name);
        }
        let id = self.schedule.insert(insert, now);
        let setup = Arc::new(setup);
        let live = match self.live.remove(&id) {
            Some(old) => {
                self.sources.leave(&old.setup.source, id);
                self.forget_issuer_unless_used(&old.setup.issuer.name, &setup.issuer.name);
                old.replaced_by(setup.clone())
            }
            None => Live::new(setup.clone()),
        };
        self.sources.join(&setup.source, id);
        self.live.insert(id, live);
    }

    fn remove(&mut self, name: &RotationName) {
        let Some(id) = self.schedule.remove(name) else { return };
        let Some(gone) = self.live.remove(&id) else { return };
        self.sources.leave(&gone.setup.source, id);
        self.forget_issuer_unless_used(&gone.setup.issuer.name, "");
    }

    fn forget_issuer_unless_used(&self, issuer: &str, new: &str) {
        if issuer != new && self.live.values().all(|live| *live.setup.issuer.name != *issuer) {
            self.context.telemetry.issuer_gone(issuer);
        }
    }

    fn rotate(&mut self, name: &RotationName, now: Reading) -> RotateAnswer {
        let Some(id) = self.schedule.id(name) else { return RotateAnswer::Unknown };
        if self.schedule.view(id, now).is_some_and(|view| view.state == State::Suspended) {
            return RotateAnswer::Suspended;
        }
        self.schedule.request(id, now);
        RotateAnswer::Accepted
    }

    fn start(&mut self, id: RotationId, action: Action, now: Reading) {
        let Some(live) = self.live.get(&id) else { return };
        let (setup, context) = (live.setup.clone(), self.context.clone());
        let token = live.token.clone();
        match action {
            Action::Observe => {
                self.attempts.spawn(async move { (id, attempt::observe(&setup, token, &context).await) });
            }
            Action::Mint { reason, generation, jitter, spec, lateness } => {
                if reason == Reason::CredentialsChanged {
                    context.telemetry.emit(&Event::CredentialsChanged { rotation: &setup.name });
                }
                context.telemetry.emit(&Event::RotationStarted {
                    rotation: &setup.name,
                    reason: reason.as_str(),
                    generation,
                    late: lateness,
                });
                let sinks = live.all_sinks();
                let order = MintOrder { generation, jitter, spec, sinks };
                self.attempts.spawn(async move { (id, attempt::mint(&setup, order, &context).await) });
            }
            Action::Deliver { sinks } => {
                let Some(token) = token else {
                    // The schedule delivers only what it was told that we hold.
                    debug_assert!(false, "nothing is held for {}", setup.name);
                    self.schedule.look_at_sinks(id, now);
                    return;
                };
                let sinks = live.handles_of(sinks);
                self.attempts
                    .spawn(async move { (id, attempt::deliver(&setup, token, sinks, &context).await) });
            }
        }
    }

    fn finish(&mut self, id: RotationId, finished: Finished) {
        let now = self.context.clock.read();
        let Some(live) = self.live.get_mut(&id) else {
            // Of a rotation that has left: nothing to hold, but its place is free.
            return self.schedule.record(id, finished.outcome, now, &mut *self.draws);
        };
        let kept = live.keep(finished, &self.context.telemetry, now);
        let minted = matches!(kept.outcome, Outcome::Minted { .. });
        self.schedule.record(id, kept.outcome, now, &mut *self.draws);
        if let Some(view) = self.schedule.view(id, now) {
            live.tell(&view, kept.problem, &self.context.telemetry);
            if minted {
                live.tell_minted(&view, &self.context.telemetry);
            }
        }
    }

    fn source_seen(&mut self, seen: &SourceSeen) {
        let now = self.context.clock.read();
        self.sources.looked(&seen.source);
        let Some(fingerprint) = seen.fingerprint else { return };
        for id in self.sources.rotations(&seen.source) {
            self.schedule.credentials_seen(id, fingerprint, now);
        }
    }

    fn status(&self, now: Reading) -> Vec<RotationStatus> {
        let mut rows: Vec<RotationStatus> = self
            .live
            .iter()
            .filter_map(|(id, live)| Some(live.status(&self.schedule.view(*id, now)?)))
            .collect();
        rows.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        rows
    }
}

fn later(now: Reading, span: SignedDuration) -> Reading {
    Reading { wall: now.wall.checked_add(span).unwrap_or(jiff::Timestamp::MAX), boot: now.boot.plus(span) }
}
