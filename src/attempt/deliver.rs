//! Writes the held token to sinks, each on its own.

use std::sync::Arc;

use futures::StreamExt as _;

use super::{
    Context, DELIVER_TIMEOUT, Finished, OBSERVE_TIMEOUT, SINKS_AT_ONCE, Setup, SinkPort, SinkReport,
};
use super::{Token, looks, within};
use crate::ports::{Found, Handle, SinkError};
use crate::rotation::SinkName;
use crate::rotation::schedule::{Look, Outcome};
use crate::telemetry::Event;

/// A write that is refused because the sink has changed is tried again after a look, this often.
const LOOKS_AGAIN: usize = 2;

/// Carries out `Action::Deliver`. `sinks` come with what is known of them: without a handle, a look comes first.
pub async fn deliver(
    setup: &Setup,
    token: Arc<Token>,
    sinks: Vec<(SinkName, Option<Handle>)>,
    context: &Context,
) -> Finished {
    let sinks = deliver_to(setup, &token, sinks, context).await;
    Finished { outcome: Outcome::Delivered { sinks: looks(&sinks) }, token: None, sinks, problem: None }
}

pub(super) async fn deliver_to(
    setup: &Setup,
    token: &Token,
    sinks: Vec<(SinkName, Option<Handle>)>,
    context: &Context,
) -> Vec<SinkReport> {
    futures::stream::iter(setup.pick(sinks))
        .map(|(sink, handle)| async move { deliver_one(setup, token, &sink, handle, context).await })
        .buffer_unordered(SINKS_AT_ONCE)
        .collect()
        .await
}

async fn deliver_one(
    setup: &Setup,
    token: &Token,
    sink: &SinkPort,
    mut handle: Option<Handle>,
    context: &Context,
) -> SinkReport {
    let failed = |stage, error: SinkError| SinkReport::failed(sink, stage, &error, context.clock.read().wall);
    let key = token.key.as_deref();
    let signed = token.receipt.clone().signed(key, &setup.issuer.name, &sink.name, &token.content);
    for _ in 0..=LOOKS_AGAIN {
        let against = if let Some(known) = handle.take() {
            known
        } else {
            match within(OBSERVE_TIMEOUT, sink.port.observe()).await {
                Err(error) => return failed("observe", error),
                Ok(observed) => match observed.found.map(|found| compare(setup, token, sink, &found)) {
                    Some(Comparison::Newer) => return SinkReport::ok(sink, Look::Overtaken, None),
                    // Unchanged content is not written again.
                    Some(Comparison::Same) => {
                        return SinkReport::ok(sink, Look::InSync, Some(observed.handle));
                    }
                    Some(Comparison::Other) | None => observed.handle,
                },
            }
        };
        let written = within(DELIVER_TIMEOUT, sink.port.deliver(&against, &token.content, &signed)).await;
        context.telemetry.emit(&Event::SinkWritten {
            rotation: &setup.name,
            sink: &sink.name,
            kind: sink.kind,
            generation: token.receipt.generation,
            error: written.as_ref().err(),
        });
        match written {
            Ok(handle) => return SinkReport::ok(sink, Look::InSync, Some(handle)),
            Err(SinkError::Conflict) => {}
            Err(error) => return failed("deliver", error),
        }
    }
    failed("deliver", SinkError::Conflict)
}

enum Comparison {
    Same,
    /// Verified, and of a higher generation: somebody else minted. Never overwritten.
    Newer,
    Other,
}

fn compare(setup: &Setup, token: &Token, sink: &SinkPort, found: &Found) -> Comparison {
    let Some(receipt) = &found.receipt else { return Comparison::Other };
    let verified = token
        .key
        .as_ref()
        .is_some_and(|key| receipt.verifies(key, &setup.issuer.name, &sink.name, &found.content));
    let same_receipt = crate::rotation::receipt::Receipt { mac: None, ..receipt.clone() } == token.receipt;
    if same_receipt && found.content == token.content && (verified || token.key.is_none()) {
        Comparison::Same
    } else if verified && receipt.generation > token.receipt.generation {
        Comparison::Newer
    } else {
        Comparison::Other
    }
}
