//! Looks at every sink, verifies what is found there, and chooses the token to hold.

use std::sync::Arc;

use futures::StreamExt as _;
use jiff::Timestamp;

use super::{Context, Finished, Known, OBSERVE_TIMEOUT, Problem, SINKS_AT_ONCE, Setup, SinkPort, SinkReport};
use super::{Token, looks, within};
use crate::ports::{Found, Observed, SinkError, SourceError};
use crate::render::{RenderError, reread};
use crate::rotation::adoption::{Candidate, choose};
use crate::rotation::failure::{Classify as _, FailureKind};
use crate::rotation::policy::Held;
use crate::rotation::receipt::{Receipt, ReceiptKey};
use crate::rotation::schedule::{Look, Outcome};
use crate::rotation::{Reading, SinkName};
use crate::secret::Content;

/// Nobody mints so often; a higher one in a receipt without a MAC is made up.
const HIGHEST_UNVERIFIED: u64 = 1 << 48;

type Answer = Result<Arc<Known>, Arc<SourceError>>;

/// Carries out `Action::Observe`. With a token in hand the source is not asked: the token's own key verifies.
pub async fn observe(setup: &Setup, held: Option<Arc<Token>>, context: &Context) -> Finished {
    let fetch = async { if held.is_some() { None } else { Some(setup.source.fetch(context).await) } };
    let looks_at_sinks = futures::stream::iter(setup.sinks.iter().cloned())
        .map(|sink| async move {
            let observed = within(OBSERVE_TIMEOUT, sink.port.observe()).await;
            (sink, observed)
        })
        .buffered(SINKS_AT_ONCE)
        .collect::<Vec<_>>();
    let (known, observed) = tokio::join!(fetch, looks_at_sinks);
    let now = context.clock.read();
    let keys = Keys::new(setup, known.as_ref(), held.as_deref());
    let expected = match &held {
        _ if !setup.issuer.is_basic => None,
        Some(held) => Some(held.clone()),
        None => render_basic(setup, known.as_ref(), now).await,
    };

    let mut verified = Vec::new();
    for (index, (sink, result)) in observed.iter().enumerate() {
        if let Ok(Observed { found: Some(found), .. }) = result
            && let Some(token) = keys.verify(setup, &sink.name, found, expected.as_deref()).await
        {
            verified.push((index, token));
        }
    }
    let (chosen, unrendered) = choose_token(setup, held.as_ref(), &verified, now);
    let reports = report(observed, &verified, chosen.as_ref(), known.as_ref(), now.wall);
    let mut finished = finish(setup, held.as_ref(), chosen, known, reports, now);
    if finished.problem.is_none() {
        finished.problem = unrendered.map(|error| Problem::new("render", &error, now.wall));
    }
    finished
}

/// Keys that may verify a receipt.
struct Keys {
    file: Option<Arc<ReceiptKey>>,
    current: Option<Arc<ReceiptKey>>,
    held: Option<Arc<ReceiptKey>>,
}

impl Keys {
    fn new(setup: &Setup, known: Option<&Answer>, held: Option<&Token>) -> Self {
        Self {
            file: setup.receipt_key.clone(),
            current: known.and_then(|known| known.as_ref().ok()).map(|known| known.key.clone()),
            held: held.and_then(|held| held.key.clone()),
        }
    }

    /// The token in `found`, if it was put there by a holder of one of our keys. A Basic credential has no MAC and is
    /// compared with what the source says.
    async fn verify(
        &self,
        setup: &Setup,
        sink: &SinkName,
        found: &Found,
        expected: Option<&Token>,
    ) -> Option<Arc<Token>> {
        let receipt = found.receipt.as_ref()?;
        if setup.issuer.is_basic {
            let expected = expected.filter(|expected| expected.content == found.content)?;
            // Without a MAC nothing in the receipt is believed but a generation within reason.
            let generation = receipt.generation.min(HIGHEST_UNVERIFIED);
            let receipt = Receipt { generation, ..expected.receipt.clone() };
            return Some(Arc::new(token(found, &receipt, None, expected.credentials)));
        }
        let verifies =
            |key: &Arc<ReceiptKey>| receipt.verifies(key, &setup.issuer.name, sink, &found.content);
        let mut key =
            [&self.file, &self.current, &self.held].into_iter().flatten().find(|key| verifies(key)).cloned();
        if key.is_none()
            && self.file.is_none()
            && let Some(version) = &receipt.source_version
        {
            // Made with the credentials before these: they still vouch for what they minted.
            key = setup.source.key_of_version(version).await.filter(verifies);
        }
        Some(Arc::new(token(found, receipt, Some(key?), receipt.credentials)))
    }
}

fn token(
    found: &Found,
    receipt: &Receipt,
    key: Option<Arc<ReceiptKey>>,
    credentials: Option<crate::rotation::receipt::KeyedFingerprint>,
) -> Token {
    let content = Content::new(found.content.expose_all().map(|(k, v)| (k, v.to_vec())));
    Token { content, receipt: Receipt { mac: None, ..receipt.clone() }, key, credentials }
}

/// What a Basic rotation's sinks are to hold. Asks nobody: a Basic issuer only renders.
async fn render_basic(setup: &Setup, known: Option<&Answer>, now: Reading) -> Option<Arc<Token>> {
    let known = known?.as_ref().ok()?;
    let minted = setup.issuer.port.mint(&known.credentials, now.wall).await.ok()?;
    let content = setup.templates.render(&setup.name, &minted).ok()?;
    let receipt = super::mint::receipt(setup, known, 1, crate::rotation::UnitInterval::ZERO, None);
    Some(Arc::new(Token { content, receipt, key: None, credentials: Some(known.fingerprint) }))
}

/// The token to hold, if any was verified or is in hand already, and why it could not be rendered anew.
fn choose_token(
    setup: &Setup,
    held: Option<&Arc<Token>>,
    verified: &[(usize, Arc<Token>)],
    now: Reading,
) -> (Option<Arc<Token>>, Option<RenderError>) {
    let all: Vec<&Arc<Token>> = held.into_iter().chain(verified.iter().map(|(_, token)| token)).collect();
    let candidates: Vec<Candidate> = all
        .iter()
        .map(|token| Candidate {
            generation: token.receipt.generation,
            usable: Held::adopted(&token.receipt, None, &setup.policy, now).is_usable(now),
        })
        .collect();
    let Some(choice) = choose(&candidates) else { return (None, None) };
    let (chosen, error) = match rerendered(setup, all[choice.index]) {
        Ok(token) => (token, None),
        Err(error) => (all[choice.index].clone(), Some(error)),
    };
    if choice.generation == chosen.receipt.generation {
        return (Some(chosen), error);
    }
    let content = Content::new(chosen.content.expose_all().map(|(k, v)| (k, v.to_vec())));
    let receipt = Receipt { generation: choice.generation, ..chosen.receipt.clone() };
    let token = Token { content, receipt, key: chosen.key.clone(), credentials: chosen.credentials };
    (Some(Arc::new(token)), error)
}

/// Templates may have changed since the token was delivered: it is rendered again from itself, where its default keys
/// tell it. Where they do not, or where a template wants what only the token response had, the content stays as it is
/// until the next token.
fn rerendered(setup: &Setup, token: &Arc<Token>) -> Result<Arc<Token>, RenderError> {
    if token.receipt.render == setup.templates.digest() {
        return Ok(token.clone());
    }
    let Some(material) = reread(&token.content) else { return Ok(token.clone()) };
    let minted = crate::rotation::MintedToken { material, validity: token.receipt.validity };
    let content = setup.templates.render(&setup.name, &minted)?;
    let receipt = Receipt { render: setup.templates.digest(), ..token.receipt.clone() };
    Ok(Arc::new(Token { content, receipt, key: token.key.clone(), credentials: token.credentials }))
}

fn report(
    observed: Vec<(Arc<SinkPort>, Result<Observed, SinkError>)>,
    verified: &[(usize, Arc<Token>)],
    chosen: Option<&Arc<Token>>,
    known: Option<&Answer>,
    at: Timestamp,
) -> Vec<SinkReport> {
    let cannot_verify = chosen.is_none() && known.is_some_and(Result::is_err);
    let judge = |index: usize, found: Option<&Found>| {
        let Some(found) = found else { return Look::Behind { expires_at: None } };
        let expires_at =
            found.receipt.as_ref().and_then(|r| r.validity).map(crate::rotation::Validity::expires_at);
        let token = verified.iter().find(|(i, _)| *i == index).map(|(_, token)| token);
        match (token, chosen) {
            (Some(token), Some(chosen))
                if token.content == chosen.content && token.receipt == chosen.receipt =>
            {
                Look::InSync
            }
            (Some(_), _) => Look::Behind { expires_at },
            (None, _) if cannot_verify => Look::Behind { expires_at },
            (None, _) => Look::Drifted { expires_at },
        }
    };
    observed
        .into_iter()
        .enumerate()
        .map(|(index, (sink, result))| match result {
            Ok(Observed { handle, found }) => {
                SinkReport::ok(&sink, judge(index, found.as_ref()), Some(handle))
            }
            Err(error) => SinkReport::failed(&sink, "observe", &error, at),
        })
        .collect()
}

fn finish(
    setup: &Setup,
    held: Option<&Arc<Token>>,
    chosen: Option<Arc<Token>>,
    known: Option<Answer>,
    sinks: Vec<SinkReport>,
    now: Reading,
) -> Finished {
    let mut problem = None;
    let mut failure: Option<FailureKind> = None;
    if let Some(Err(error)) = &known {
        problem = Some(Problem::new("fetch", &**error, now.wall));
        failure = Some(error.kind());
    }
    let all_failed = sinks.iter().all(|sink| sink.problem.is_some());
    if failure.is_none() && all_failed {
        failure = sinks.iter().find_map(|sink| match sink.look {
            Look::Failed { kind, .. } => Some(kind),
            _ => None,
        });
        problem = sinks.iter().find_map(|sink| sink.problem.clone());
    }
    let token = chosen.filter(|token| held.is_none_or(|held| !Arc::ptr_eq(held, token)));
    let adopted =
        token.as_ref().map(|token| Held::adopted(&token.receipt, token.credentials, &setup.policy, now));
    let seen = known.and_then(Result::ok).map(|known| known.fingerprint);
    let outcome = Outcome::Observed { seen, adopted, sinks: looks(&sinks), failure };
    Finished { outcome, token, sinks, problem }
}
