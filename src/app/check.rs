//! `everbearer check`: what a configuration means, and with `--online` whether everything in it can be reached.
//!
//! Mints and writes nothing: sources are fetched, sinks are looked at and probed by dry run.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::build::{BuildError, Builder, source_name};
use crate::attempt::{Context, Setup};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::config::spec::{IssuerSpec, RotationSpec};
use crate::oauth2;
use crate::ports::Observed;
use crate::rotation::policy::Lead;
use crate::telemetry::Telemetry;
use crate::words::span;

/// For each call of the online check.
const CALL: Duration = Duration::from_secs(20);

/// The plan of a configuration, rotation by rotation.
#[derive(Serialize, Debug)]
pub struct Report {
    pub rotations: Vec<RotationReport>,
}

#[derive(Serialize, Debug)]
pub struct RotationReport {
    pub name: String,
    pub source: String,
    pub issuer: String,
    /// Where tokens are minted; absent for Basic.
    pub token_url: Option<String>,
    pub rotates: String,
    pub sinks: Vec<SinkReport>,
    /// Of the fetch, with `--online`.
    pub source_check: Option<Check>,
}

#[derive(Serialize, Debug)]
pub struct SinkReport {
    pub sink: String,
    /// With `--online`.
    pub check: Option<Check>,
}

/// `ok` with what was found, or what is wrong and what to do.
#[derive(Serialize, Debug)]
pub struct Check {
    pub ok: bool,
    pub message: String,
}

impl Report {
    #[must_use]
    pub fn is_ok(&self) -> bool {
        let checks = self.rotations.iter().flat_map(|rotation| {
            rotation.source_check.iter().chain(rotation.sinks.iter().filter_map(|sink| sink.check.as_ref()))
        });
        checks.into_iter().all(|check| check.ok)
    }
}

/// What the configuration says, from its text alone.
#[must_use]
pub fn explain(config: &Config) -> Report {
    let rotations = config.rotations.iter().map(|rotation| RotationReport {
        name: rotation.name.to_string(),
        source: source_name(&rotation.source),
        issuer: rotation.issuer.to_string(),
        token_url: match &config.issuers[&rotation.issuer] {
            IssuerSpec::OAuth2(spec) => Some(oauth2::presets::resolve(spec).token_url),
            IssuerSpec::Basic => None,
        },
        rotates: rotates(rotation, &config.issuers[&rotation.issuer]),
        sinks: rotation
            .sinks
            .iter()
            .map(|sink| SinkReport { sink: sink.name().to_string(), check: None })
            .collect(),
        source_check: None,
    });
    Report { rotations: rotations.collect() }
}

/// When a rotation runs, in words.
fn rotates(rotation: &RotationSpec, issuer: &IssuerSpec) -> String {
    if rotation.suspend {
        return "never: suspended".into();
    }
    if *issuer == IssuerSpec::Basic {
        return "when the source changes".into();
    }
    let lead = match rotation.lead {
        Lead::RenewAt(share) => format!("when {:.0} % of the lifetime have passed", share * 100.0),
        Lead::RenewBefore(before) => format!("{} before expiry", span(before)),
    };
    let jitter = format!("up to {:.0} % of the lead earlier", rotation.jitter * 100.0);
    let schedule = rotation.schedule.as_ref().map(|line| format!(", and at {line:?}")).unwrap_or_default();
    format!("{lead}, {jitter}{schedule}")
}

/// The same, and every source fetched and every sink probed.
pub async fn online(config: &Config) -> Result<Report, OnlineError> {
    let context = Context { clock: Arc::new(SystemClock), telemetry: Telemetry::new()? };
    let mut builder = Builder::new(config)?;
    let mut report = explain(config);
    for (rotation, report) in config.rotations.iter().zip(&mut report.rotations) {
        let setup = builder.setup(rotation)?;
        report.source_check = Some(source_check(&setup, &context).await);
        for (sink, report) in setup.sinks.iter().zip(&mut report.sinks) {
            report.check = Some(sink_check(&*sink.port, &context).await);
        }
    }
    Ok(report)
}

#[derive(Debug, thiserror::Error)]
pub enum OnlineError {
    #[error("{0}")]
    Build(#[from] BuildError),
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

async fn source_check(setup: &Setup, context: &Context) -> Check {
    let known = match tokio::time::timeout(CALL, setup.source.fetch(context)).await {
        Err(_) => return Check { ok: false, message: "no answer in time".into() },
        Ok(Err(error)) => return Check { ok: false, message: error.to_string() },
        Ok(Ok(known)) => known,
    };
    match setup.issuer.port.accepts(&known.credentials) {
        Ok(()) => Check { ok: true, message: format!("fetched, version {}", known.version.0) },
        Err(error) => Check { ok: false, message: error.to_string() },
    }
}

async fn sink_check(sink: &dyn crate::ports::Sink, context: &Context) -> Check {
    let look = async {
        let Observed { handle, found } = sink.observe().await?;
        sink.probe(&handle).await?;
        Ok::<_, crate::ports::SinkError>(found)
    };
    match tokio::time::timeout(CALL, look).await {
        Err(_) => Check { ok: false, message: "no answer in time".into() },
        Ok(Err(error)) => Check { ok: false, message: error.to_string() },
        Ok(Ok(None)) => Check { ok: true, message: "can be written, holds nothing of ours yet".into() },
        Ok(Ok(Some(found))) => {
            let expires = found.receipt.and_then(|receipt| receipt.validity).map(|validity| {
                let left = validity.expires_at().duration_since(context.clock.read().wall);
                if left.is_positive() {
                    format!(" that expires in {}", span(left))
                } else {
                    " that has expired".into()
                }
            });
            Check {
                ok: true,
                message: format!("can be written, holds a token{}", expires.unwrap_or_default()),
            }
        }
    }
}
