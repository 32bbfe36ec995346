//! `everbearer once`: one pass of the same engine, until every sink holds a usable token or time is up.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::build::{BuildError, Builder};
use crate::attempt::Context;
use crate::clock::{SystemClock, SystemDraw};
use crate::config::Config;
use crate::engine::{Command, Engine};
use crate::ports::Clock as _;
use crate::rotation::{RotationName, Validity};
use crate::status::{ErrorStatus, RotationStatus, SinkStatus};
use crate::telemetry::Telemetry;

/// Between two looks at the engine's state.
const LOOK: Duration = Duration::from_millis(50);

/// A request in flight when time is up may still end: the issuer's own timeout is 30 s by default.
const IN_FLIGHT: Duration = Duration::from_secs(35);

/// How the pass ended: the rotations as they are, and whether every sink holds a usable token.
pub struct Pass {
    pub rotations: Vec<RotationStatus>,
    pub usable: bool,
}

/// Runs the rotations of these names, or all.
pub async fn once(config: &Config, names: &[RotationName], timeout: Duration) -> Result<Pass, OnceError> {
    let telemetry = Telemetry::new()?;
    let clock = Arc::new(SystemClock);
    let context = Context { clock: clock.clone(), telemetry };
    let (engine, commands, _) = Engine::new(context, Box::new(SystemDraw));
    let engine = tokio::spawn(engine.run());
    let mut builder = Builder::new(config)?;
    let chosen = |name: &RotationName| names.is_empty() || names.contains(name);
    for rotation in config.rotations.iter().filter(|rotation| chosen(&rotation.name)) {
        let setup = Box::new(builder.setup(rotation)?);
        commands.send(Command::Insert(setup)).await.map_err(|_| OnceError::EngineGone)?;
    }
    let waited = tokio::time::timeout(timeout, until_settled(&commands, &clock)).await;
    // A mint in flight is not thrown away at the last moment: what it brings counts.
    let _ = tokio::time::timeout(IN_FLIGHT, until_none_is_minting(&commands)).await;
    let rotations = rows(&commands).await?;
    if let Ok(Err(error)) = waited {
        return Err(error);
    }
    let now = clock.read().wall;
    let usable = rotations.iter().all(|row| row.state == "suspended" || all_sinks_usable(row, now));
    let _ = commands.send(Command::Drain).await;
    engine.await??;
    Ok(Pass { rotations, usable })
}

#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    #[error("{0}")]
    Build(#[from] BuildError),
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("the engine has ended")]
    EngineGone,
    #[error("{0}")]
    Engine(#[from] crate::engine::EngineError),
    #[error("{0}")]
    Task(#[from] tokio::task::JoinError),
}

async fn rows(commands: &mpsc::Sender<Command>) -> Result<Vec<RotationStatus>, OnceError> {
    let (answer, rows) = oneshot::channel();
    commands.send(Command::Status(answer)).await.map_err(|_| OnceError::EngineGone)?;
    rows.await.map_err(|_| OnceError::EngineGone)
}

async fn until_settled(commands: &mpsc::Sender<Command>, clock: &SystemClock) -> Result<(), OnceError> {
    loop {
        let now = clock.read().wall;
        if rows(commands).await?.iter().all(|row| is_settled(row, now)) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn until_none_is_minting(commands: &mpsc::Sender<Command>) -> Result<(), OnceError> {
    while rows(commands).await?.iter().any(|row| row.state == "minting") {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Nothing more is to be expected of this rotation in a short while. Retries of a permanent error would come too late
/// for a pass: it wants a person.
fn is_settled(row: &RotationStatus, now: Timestamp) -> bool {
    let is_permanent = |error: &ErrorStatus| error.kind == "permanent" || error.kind == "credential_rejected";
    let is_stuck = |error: &Option<ErrorStatus>| error.as_ref().is_some_and(is_permanent);
    let done_or_stuck = |sink: &SinkStatus| sink.state == "in_sync" || is_stuck(&sink.last_error);
    match row.state.as_str() {
        "suspended" => true,
        "minting" | "due" => false,
        "fresh" | "degraded" if row.sinks.iter().all(done_or_stuck) => true,
        // A usable token is on its way to a sink that has not refused it.
        "fresh" | "degraded"
            if row.sinks.iter().any(|sink| !done_or_stuck(sink) && sink.last_error.is_none()) =>
        {
            row.last_error.as_ref().is_some_and(|error| error.stage == "fetch") && all_sinks_usable(row, now)
        }
        _ => {
            let source_down = row.last_error.as_ref().is_some_and(|error| error.stage == "fetch");
            is_stuck(&row.last_error) || (source_down && all_sinks_usable(row, now))
        }
    }
}

fn all_sinks_usable(row: &RotationStatus, now: Timestamp) -> bool {
    row.sinks.iter().all(|sink| {
        if row.is_basic {
            return sink.state == "in_sync";
        }
        let Some(expires_at) = sink.expires_at else { return false };
        let left = expires_at.duration_since(now);
        let margin = row
            .issued_at
            .and_then(|issued_at| Validity::between(issued_at, expires_at))
            .map_or(jiff::SignedDuration::from_secs(10), Validity::used_up_margin);
        sink.state != "drifted" && left > margin
    })
}
