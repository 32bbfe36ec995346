//! What the engine keeps of one rotation beside the schedule: the token, the handles, and what to tell people.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::attempt::{Finished, Problem, Setup, SinkKnown, SinkReport, Token};
use crate::ports::Handle;
use crate::rotation::schedule::{Look, Outcome, SinkPhase, View};
use crate::rotation::{Reading, SinkName, Validity};
use crate::status::{ErrorStatus, RotationStatus, SinkStatus};
use crate::telemetry::{Event, Telemetry};

/// Below this, two requests a second apart cannot keep a token valid.
const SHORTEST_SUPPORTED: SignedDuration = SignedDuration::from_secs(5);

pub(super) struct Live {
    pub(super) setup: Arc<Setup>,
    pub(super) token: Option<Arc<Token>>,
    /// What the next write of each sink replaces; a sink without one is looked at first.
    handles: HashMap<SinkName, Handle>,
    /// Sinks that this process has written.
    proven: HashSet<SinkName>,
    sink_problems: HashMap<SinkName, Problem>,
    problem: Option<Problem>,
    last_success_at: Option<Timestamp>,
    succeeded: u64,
    failed: u64,
}

/// What is left of a finished attempt for the schedule, and the problem to tell.
pub(super) struct Kept {
    pub(super) outcome: Outcome,
    pub(super) problem: Option<Problem>,
}

impl Live {
    pub(super) fn new(setup: Arc<Setup>) -> Self {
        Self {
            setup,
            token: None,
            handles: HashMap::new(),
            proven: HashSet::new(),
            sink_problems: HashMap::new(),
            problem: None,
            last_success_at: None,
            succeeded: 0,
            failed: 0,
        }
    }

    /// The token and the counters stay; handles are forgotten, for a sink of the same name may be another one now.
    pub(super) fn replaced_by(self, setup: Arc<Setup>) -> Self {
        let mut sink_problems = self.sink_problems;
        sink_problems.retain(|name, _| setup.sinks.iter().any(|sink| sink.name == *name));
        Self { setup, handles: HashMap::new(), proven: HashSet::new(), sink_problems, ..self }
    }

    pub(super) fn all_sinks(&self) -> Vec<(SinkName, SinkKnown)> {
        let names = self.setup.sinks.iter().map(|sink| sink.name.clone()).collect();
        let known = |name: &SinkName, handle| SinkKnown { handle, proven: self.proven.contains(name) };
        let sinks = self.handles_of(names).into_iter();
        sinks.map(|(name, handle)| (name.clone(), known(&name, handle))).collect()
    }

    pub(super) fn handles_of(&self, sinks: Vec<SinkName>) -> Vec<(SinkName, Option<Handle>)> {
        sinks
            .into_iter()
            .map(|name| {
                let handle = self.handles.get(&name).cloned();
                (name, handle)
            })
            .collect()
    }

    pub(super) fn keep(&mut self, finished: Finished, telemetry: &Telemetry, now: Reading) -> Kept {
        let Finished { outcome, token, sinks, problem } = finished;
        let rotation = &self.setup.name;
        if let Some(token) = token {
            let (generation, validity) = (token.receipt.generation, token.receipt.validity);
            if matches!(outcome, Outcome::Observed { .. }) {
                let expires_at = validity.map(Validity::expires_at);
                telemetry.emit(&Event::TokenAdopted { rotation, generation, expires_at });
            }
            self.token = Some(token);
        }
        let whole = problem.is_none() && sinks.iter().all(|sink| sink.problem.is_none());
        match outcome {
            Outcome::Observed { .. } => {}
            Outcome::Minted { .. } | Outcome::Delivered { .. } if whole => {
                self.succeeded += 1;
                self.last_success_at = Some(now.wall);
            }
            Outcome::Minted { .. } | Outcome::Delivered { .. } | Outcome::MintFailed { .. } => {
                self.failed += 1;
            }
        }
        match &outcome {
            Outcome::MintFailed { .. } => self.problem.clone_from(&problem),
            Outcome::Minted { .. } => self.problem = None,
            Outcome::Observed { failure: Some(_), .. } if self.token.is_none() => {
                self.problem.clone_from(&problem);
            }
            // What a look shows to be over: the source answered, or some sink did.
            Outcome::Observed { failure: None, seen, .. } => {
                let over = |problem: &Problem| {
                    matches!(problem.stage, "observe" | "render")
                        || (problem.stage == "fetch" && seen.is_some())
                };
                if problem.is_some() {
                    self.problem.clone_from(&problem); // a template that does not fit the held token
                } else if self.problem.as_ref().is_some_and(over) {
                    self.problem = None;
                }
            }
            Outcome::Observed { .. } | Outcome::Delivered { .. } => {}
        }
        let wrote = matches!(outcome, Outcome::Minted { .. } | Outcome::Delivered { .. });
        for report in sinks {
            if report.look != Look::InSync {
                self.proven.remove(&report.name);
            } else if wrote {
                self.proven.insert(report.name.clone());
            }
            self.keep_sink(report, telemetry);
        }
        Kept { outcome, problem }
    }

    fn keep_sink(&mut self, report: SinkReport, telemetry: &Telemetry) {
        let SinkReport { name, look, handle, problem } = report;
        match handle {
            Some(handle) => self.handles.insert(name.clone(), handle),
            None => self.handles.remove(&name),
        };
        if matches!(look, Look::Drifted { .. }) {
            telemetry.emit(&Event::SinkDrifted { rotation: &self.setup.name, sink: &name });
        }
        match problem {
            Some(problem) => {
                telemetry.emit(&Event::SinkFailed {
                    rotation: &self.setup.name,
                    sink: &name,
                    code: problem.code,
                    message: &problem.message,
                });
                self.sink_problems.insert(name, problem);
            }
            None => {
                self.sink_problems.remove(&name);
            }
        }
    }

    /// Tells how an attempt ended, once the schedule has drawn its conclusions.
    pub(super) fn tell(&self, view: &View, problem: Option<Problem>, telemetry: &Telemetry) {
        let rotation = &self.setup.name;
        if let Some(problem) = problem {
            telemetry.emit(&Event::RotationFailed {
                rotation,
                stage: problem.stage,
                code: problem.code,
                kind: problem.kind,
                message: &problem.message,
                retry_at: view.due_at,
            });
        }
    }

    /// Tells of a new token, once: how it was delivered and whether its lifetime fits the policy.
    pub(super) fn tell_minted(&self, view: &View, telemetry: &Telemetry) {
        let Some(token) = &self.token else { return };
        let rotation = &self.setup.name;
        telemetry.emit(&Event::RotationDelivered {
            rotation,
            generation: token.receipt.generation,
            expires_at: token.receipt.validity.map(Validity::expires_at),
            sinks: view.sinks.len(),
            behind: view.sinks.iter().filter(|sink| sink.phase != SinkPhase::InSync).count(),
        });
        let Some(lifetime) = token.receipt.validity.map(Validity::lifetime) else { return };
        if lifetime < SHORTEST_SUPPORTED {
            telemetry.emit(&Event::LifetimeShort { rotation, lifetime });
        }
        if self.setup.policy.lead(lifetime, token.receipt.jitter).1 {
            telemetry.emit(&Event::LeadCut { rotation, lifetime });
        }
    }

    pub(super) fn status(&self, view: &View) -> RotationStatus {
        let sinks = view.sinks.iter().map(|sink| SinkStatus {
            sink: sink.name.to_string(),
            state: sink.phase.as_str().into(),
            expires_at: sink.expires_at,
            last_error: self.sink_problems.get(&sink.name).map(error_status),
        });
        RotationStatus {
            name: self.setup.name.to_string(),
            issuer: self.setup.issuer.name.to_string(),
            state: view.state.as_str().into(),
            reason: view.reason.map(|reason| reason.as_str().into()),
            issued_at: view.issued_at,
            expires_at: view.expires_at,
            due_at: view.due_at,
            last_success_at: self.last_success_at,
            consecutive_failures: view.consecutive_failures,
            last_error: self.problem.as_ref().map(error_status),
            sinks: sinks.collect(),
            succeeded: self.succeeded,
            failed: self.failed,
            is_basic: self.setup.issuer.is_basic,
        }
    }
}

fn error_status(problem: &Problem) -> ErrorStatus {
    ErrorStatus {
        stage: problem.stage.into(),
        code: problem.code.into(),
        kind: problem.kind.into(),
        message: problem.message.clone(),
        at: problem.at,
    }
}
