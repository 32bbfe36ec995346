//! Fetches credentials, makes sure that somebody can take a token, mints one, and delivers it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::SignedDuration;

use super::deliver::deliver_to;
use super::{Context, Finished, Known, OBSERVE_TIMEOUT, Problem, SINKS_AT_ONCE, Setup, SinkPort, SinkReport};
use super::{Token, looks, within};
use crate::ports::{Found, Handle, IssuerError};
use crate::rotation::failure::{Classify, FailureKind};
use crate::rotation::policy::Held;
use crate::rotation::receipt::{KeyedFingerprint, Receipt, ReceiptKey, SpecDigest};
use crate::rotation::schedule::{Look, Outcome};
use crate::rotation::{MintedToken, Reading, SinkName, UnitInterval, Validity};
use crate::telemetry::Event;

/// The last resort against an adapter that hangs; issuers have a timeout of their own, 30 s by default.
const MINT_TIMEOUT: Duration = Duration::from_secs(600);
/// Between the rejection of a credential and the try with a changed one.
const BEFORE_SECOND_REQUEST: SignedDuration = SignedDuration::from_secs(1);

/// What the schedule decided about the token to mint.
pub struct MintOrder {
    pub generation: u64,
    pub jitter: UnitInterval,
    pub spec: SpecDigest,
    pub sinks: Vec<(SinkName, SinkKnown)>,
}

/// What is known of a sink before a mint.
#[derive(Clone, Debug)]
pub struct SinkKnown {
    pub handle: Option<Handle>,
    /// This process has written it: a sink that was only read may still refuse a write.
    pub proven: bool,
}

/// Carries out `Action::Mint`.
pub async fn mint(setup: &Setup, order: MintOrder, context: &Context) -> Finished {
    let known = match setup.source.fetch(context).await {
        Ok(known) => known,
        Err(error) => {
            let problem = Problem::new("fetch", &*error, context.clock.read().wall);
            return failed(error.kind(), false, None, vec![], problem);
        }
    };
    let key = signing_key(setup, &known);
    let unknown = Unknown { setup, key: key.as_deref(), generation: order.generation, context };
    let (handles, mut reports) = unknown.look(order.sinks).await;
    if reports.iter().any(|report| report.look == Look::Overtaken) {
        // Somebody has minted meanwhile: that token is looked at first.
        return Finished {
            outcome: Outcome::Delivered { sinks: looks(&reports) },
            token: None,
            sinks: reports,
            problem: None,
        };
    }
    if handles.is_empty() {
        return no_sink_can_take_a_token(&known, reports, context);
    }
    let (known, asked, minted) = match ask(setup, known, context).await {
        Ok(answer) => answer,
        Err((known, error)) => {
            let problem = Problem::new("mint", &error, context.clock.read().wall);
            return failed(error.kind(), error.maybe_minted(), Some(known.fingerprint), reports, problem);
        }
    };
    let rendered = match setup.templates.render(&setup.name, &minted) {
        Ok(rendered) => rendered,
        Err(error) => {
            let problem = Problem::new("render", &error, context.clock.read().wall);
            return failed(error.kind(), true, Some(known.fingerprint), reports, problem);
        }
    };
    let receipt = Receipt {
        spec: order.spec,
        ..receipt(setup, &known, order.generation, order.jitter, minted.validity)
    };
    let key = signing_key(setup, &known);
    let token = Arc::new(Token { content: rendered, receipt, key, credentials: Some(known.fingerprint) });
    reports.extend(deliver_to(setup, &token, handles, context).await);
    let held = Held::minted(&token.receipt, known.fingerprint, asked);
    Finished {
        outcome: Outcome::Minted { held, sinks: looks(&reports) },
        token: Some(token),
        sinks: reports,
        problem: None,
    }
}

/// Looks at sinks before a mint: nothing is minted before one of them has been seen to be writable.
struct Unknown<'a> {
    setup: &'a Setup,
    key: Option<&'a ReceiptKey>,
    /// Of the token that is to be minted.
    generation: u64,
    context: &'a Context,
}

impl Unknown<'_> {
    /// Splits the sinks into those that can be written now, with their handles, and reports of the others.
    async fn look(
        &self,
        sinks: Vec<(SinkName, SinkKnown)>,
    ) -> (Vec<(SinkName, Option<Handle>)>, Vec<SinkReport>) {
        let looked: Vec<_> = futures::stream::iter(self.setup.pick(sinks))
            .map(|(sink, known)| async move { self.look_at(&sink, known).await })
            .buffered(SINKS_AT_ONCE)
            .collect()
            .await;
        let mut writable = Vec::new();
        let mut reports = Vec::new();
        for result in looked {
            match result {
                Ok(sink) => writable.push(sink),
                Err(report) => reports.push(report),
            }
        }
        (writable, reports)
    }

    async fn look_at(
        &self,
        sink: &SinkPort,
        known: SinkKnown,
    ) -> Result<(SinkName, Option<Handle>), SinkReport> {
        if known.proven && known.handle.is_some() {
            return Ok((sink.name.clone(), known.handle));
        }
        let look = async {
            let observed = within(OBSERVE_TIMEOUT, sink.port.observe()).await?;
            if observed.found.as_ref().is_some_and(|found| self.is_newer(sink, found)) {
                return Ok(None);
            }
            within(OBSERVE_TIMEOUT, sink.port.probe(&observed.handle)).await?;
            Ok(Some(observed.handle))
        };
        match look.await {
            Ok(Some(handle)) => Ok((sink.name.clone(), Some(handle))),
            Ok(None) => Err(SinkReport::ok(sink, Look::Overtaken, None)),
            Err(error) => Err(SinkReport::failed(sink, "observe", &error, self.context.clock.read().wall)),
        }
    }

    /// A verified token of at least the generation that we are about to mint.
    fn is_newer(&self, sink: &SinkPort, found: &Found) -> bool {
        found.receipt.as_ref().zip(self.key).is_some_and(|(receipt, key)| {
            receipt.generation >= self.generation
                && receipt.verifies(key, &self.setup.issuer.name, &sink.name, &found.content)
        })
    }
}

fn no_sink_can_take_a_token(known: &Known, reports: Vec<SinkReport>, context: &Context) -> Finished {
    let problem = reports.iter().find_map(|report| report.problem.clone()).unwrap_or(Problem {
        stage: "observe",
        code: "no_sink",
        kind: "permanent",
        message: "the rotation has no sink".into(),
        at: context.clock.read().wall,
    });
    let kind = reports.iter().find_map(|report| match report.look {
        Look::Failed { kind, .. } => Some(kind),
        _ => None,
    });
    let kind = kind.unwrap_or(FailureKind::Permanent { named: true });
    failed(kind, false, Some(known.fingerprint), reports, problem)
}

/// One request; a second one if the credentials were rejected and the source has others by now.
async fn ask(
    setup: &Setup,
    known: Arc<Known>,
    context: &Context,
) -> Result<(Arc<Known>, Reading, MintedToken), (Arc<Known>, IssuerError)> {
    match ask_once(setup, &known, context).await {
        Ok((asked, minted)) => Ok((known, asked, minted)),
        Err(error) if error.kind() == FailureKind::CredentialRejected => {
            let again = setup.source.fetch_again(context).await;
            match again {
                Ok(changed) if changed.fingerprint != known.fingerprint => {
                    let now = context.clock.read();
                    let until = Reading {
                        wall: now.wall.checked_add(BEFORE_SECOND_REQUEST).unwrap_or(now.wall),
                        boot: now.boot.plus(BEFORE_SECOND_REQUEST),
                    };
                    while context.clock.read().boot < until.boot {
                        context.clock.sleep_until(until).await;
                    }
                    match ask_once(setup, &changed, context).await {
                        Ok((asked, minted)) => Ok((changed, asked, minted)),
                        Err(error) => Err((changed, error)),
                    }
                }
                _ => Err((known, error)),
            }
        }
        Err(error) => Err((known, error)),
    }
}

async fn ask_once(
    setup: &Setup,
    known: &Known,
    context: &Context,
) -> Result<(Reading, MintedToken), IssuerError> {
    let asked = context.clock.read();
    let answer =
        tokio::time::timeout(MINT_TIMEOUT, setup.issuer.port.mint(&known.credentials, asked.wall)).await;
    let answer = answer.unwrap_or_else(|_| {
        Err(IssuerError::Transport { why: "no answer at all".into(), maybe_minted: true })
    });
    if !setup.issuer.is_basic {
        context.telemetry.emit(&Event::TokenRequested {
            rotation: &setup.name,
            issuer: &setup.issuer.name,
            took: context.clock.read().boot.duration_since(asked.boot),
            error: answer.as_ref().err(),
        });
    }
    answer.map(|minted| (asked, minted))
}

/// The key file's where there is one, else the credentials' own; Basic has none.
fn signing_key(setup: &Setup, known: &Known) -> Option<Arc<ReceiptKey>> {
    if setup.issuer.is_basic {
        return None;
    }
    setup.receipt_key.clone().or_else(|| Some(known.key.clone()))
}

/// The receipt of a token that was made with these credentials, without a MAC.
pub(super) fn receipt(
    setup: &Setup,
    known: &Known,
    generation: u64,
    jitter: UnitInterval,
    validity: Option<Validity>,
) -> Receipt {
    Receipt {
        installation: setup.installation.clone(),
        rotation: setup.name.clone(),
        generation,
        validity,
        jitter,
        spec: setup.spec,
        render: setup.templates.digest(),
        credentials: (!setup.issuer.is_basic).then_some(known.fingerprint),
        source_version: Some(known.version.clone()),
        handled_request: None,
        mac: None,
    }
}

fn failed(
    kind: FailureKind,
    maybe_minted: bool,
    seen: Option<KeyedFingerprint>,
    sinks: Vec<SinkReport>,
    problem: Problem,
) -> Finished {
    let outcome = Outcome::MintFailed { kind, maybe_minted, seen, sinks: looks(&sinks) };
    Finished { outcome, token: None, sinks, problem: Some(problem) }
}
