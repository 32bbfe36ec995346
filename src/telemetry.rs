//! What the process tells: each decision is one [`Event`], and one [`Telemetry::emit`] writes both its log line and
//! its metric, so that the two cannot disagree.
//!
//! Only series without a rotation live in the registry here; those of each rotation are written from the engine's
//! state at a scrape (`admin/metrics.rs`), since kept in the registry they cost 4.4 kB a rotation.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use prometheus::{Gauge, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use tracing::{debug, info, warn};

use crate::ports::{IssuerError, SinkError, SourceError};
use crate::rotation::failure::Classify as _;
use crate::rotation::{RotationName, SinkName};

pub const TOKEN_REQUEST_OUTCOMES: [&str; 6] =
    ["success", "credential_rejected", "permanent", "throttled", "transient", "malformed"];
pub const SINK_KINDS: [&str; 3] = ["kubernetesSecret", "vaultKv", "directory"];
const SINK_RESULTS: [&str; 3] = ["success", "refused", "error"];
pub const SOURCE_KINDS: [&str; 3] = ["vault", "files", "env"];
const RESULTS: [&str; 2] = ["success", "error"];

/// Something that happened. Fields are names, numbers and errors that are free of secrets.
pub enum Event<'a> {
    SourceFetched {
        source: &'a str,
        kind: &'static str,
        error: Option<&'a SourceError>,
    },
    SourceWarned {
        source: &'a str,
        warning: &'static str,
    },
    TokenRequested {
        rotation: &'a RotationName,
        issuer: &'a str,
        took: SignedDuration,
        error: Option<&'a IssuerError>,
    },
    SinkWritten {
        rotation: &'a RotationName,
        sink: &'a SinkName,
        kind: &'static str,
        generation: u64,
        error: Option<&'a SinkError>,
    },
    RotationStarted {
        rotation: &'a RotationName,
        reason: &'static str,
        generation: u64,
        late: SignedDuration,
    },
    RotationDelivered {
        rotation: &'a RotationName,
        generation: u64,
        expires_at: Option<Timestamp>,
        sinks: usize,
        behind: usize,
    },
    RotationFailed {
        rotation: &'a RotationName,
        stage: &'static str,
        code: &'static str,
        kind: &'static str,
        message: &'a str,
        retry_at: Option<Timestamp>,
    },
    TokenAdopted {
        rotation: &'a RotationName,
        generation: u64,
        expires_at: Option<Timestamp>,
    },
    SinkFailed {
        rotation: &'a RotationName,
        sink: &'a SinkName,
        code: &'static str,
        message: &'a str,
    },
    SinkDrifted {
        rotation: &'a RotationName,
        sink: &'a SinkName,
    },
    LeadCut {
        rotation: &'a RotationName,
        lifetime: SignedDuration,
    },
    LifetimeShort {
        rotation: &'a RotationName,
        lifetime: SignedDuration,
    },
    CredentialsChanged {
        rotation: &'a RotationName,
    },
    ConfigInForce {
        rotations: usize,
        at: Timestamp,
    },
    ConfigRejected {
        message: &'a str,
    },
}

pub struct Telemetry {
    pub registry: Registry,
    token_requests: IntCounterVec,
    token_request_duration: HistogramVec,
    lateness: Histogram,
    sink_writes: IntCounterVec,
    source_fetches: IntCounterVec,
    reload_success: Gauge,
    reload_timestamp: Gauge,
}

impl Telemetry {
    /// # Errors
    /// Only if two metrics had one name, which the tests rule out.
    pub fn new() -> Result<Arc<Self>, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let duration = HistogramVec::new(
            HistogramOpts::new("everbearer_token_request_duration_seconds", "Time a token request took")
                .buckets(vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
            &["issuer"],
        )?;
        registry.register(Box::new(duration.clone()))?;
        let lateness = Histogram::with_opts(
            HistogramOpts::new(
                "everbearer_rotation_lateness_seconds",
                "Start of an attempt after it was due",
            )
            .buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0]),
        )?;
        registry.register(Box::new(lateness.clone()))?;
        let build =
            IntGaugeVec::new(Opts::new("everbearer_build_info", "The running version"), &["version"])?;
        registry.register(Box::new(build.clone()))?;
        build.get_metric_with_label_values(&[env!("CARGO_PKG_VERSION")])?.set(1);
        let telemetry = Self {
            token_requests: counter(
                "everbearer_token_requests_total",
                "Token requests by how they ended",
                &["issuer", "outcome"],
            )?,
            sink_writes: counter(
                "everbearer_sink_writes_total",
                "Deliveries to sinks by how they ended",
                &["kind", "result"],
            )?,
            source_fetches: counter(
                "everbearer_source_fetches_total",
                "Fetches of client credentials by how they ended",
                &["kind", "result"],
            )?,
            reload_success: gauge(
                "everbearer_config_reload_success",
                "Whether the last configuration that was read is in force",
            )?,
            reload_timestamp: gauge(
                "everbearer_config_reload_timestamp_seconds",
                "When the configuration in force was loaded",
            )?,
            token_request_duration: duration,
            lateness,
            registry,
        };
        telemetry.start_at_zero()?;
        Ok(Arc::new(telemetry))
    }

    fn start_at_zero(&self) -> Result<(), prometheus::Error> {
        for kind in SINK_KINDS {
            for result in SINK_RESULTS {
                self.sink_writes.get_metric_with_label_values(&[kind, result])?;
            }
        }
        for kind in SOURCE_KINDS {
            for result in RESULTS {
                self.source_fetches.get_metric_with_label_values(&[kind, result])?;
            }
        }
        Ok(())
    }

    /// Makes the series of an issuer exist before its first request.
    pub fn issuer_known(&self, issuer: &str) {
        for outcome in TOKEN_REQUEST_OUTCOMES {
            let _ = self.token_requests.get_metric_with_label_values(&[issuer, outcome]);
        }
        let _ = self.token_request_duration.get_metric_with_label_values(&[issuer]);
    }

    /// Removes the series of an issuer that left the configuration.
    pub fn issuer_gone(&self, issuer: &str) {
        for outcome in TOKEN_REQUEST_OUTCOMES {
            let _ = self.token_requests.remove_label_values(&[issuer, outcome]);
        }
        let _ = self.token_request_duration.remove_label_values(&[issuer]);
    }

    pub fn emit(&self, event: &Event<'_>) {
        self.count(event);
        log(event);
    }

    fn count(&self, event: &Event<'_>) {
        match event {
            Event::SourceFetched { kind, error, .. } => {
                increment(&self.source_fetches, &[kind, if error.is_none() { "success" } else { "error" }]);
            }
            Event::TokenRequested { issuer, took, error, .. } => {
                if let Some(outcome) = error.map_or(Some("success"), IssuerError::outcome) {
                    increment(&self.token_requests, &[issuer, outcome]);
                    if let Ok(histogram) = self.token_request_duration.get_metric_with_label_values(&[issuer])
                    {
                        histogram.observe(took.as_secs_f64());
                    }
                }
            }
            Event::SinkWritten { kind, error, .. } => {
                let result = match error {
                    None => "success",
                    Some(SinkError::Refused { .. }) => "refused",
                    Some(_) => "error",
                };
                increment(&self.sink_writes, &[kind, result]);
            }
            Event::RotationStarted { late, .. } => self.lateness.observe(late.as_secs_f64()),
            Event::ConfigInForce { at, .. } => {
                self.reload_success.set(1.0);
                self.reload_timestamp.set(at.as_duration().as_secs_f64());
            }
            Event::ConfigRejected { .. } => self.reload_success.set(0.0),
            Event::SourceWarned { .. }
            | Event::RotationDelivered { .. }
            | Event::RotationFailed { .. }
            | Event::TokenAdopted { .. }
            | Event::SinkFailed { .. }
            | Event::SinkDrifted { .. }
            | Event::LeadCut { .. }
            | Event::LifetimeShort { .. }
            | Event::CredentialsChanged { .. } => {}
        }
    }
}

/// A label set of the wrong arity is a defect that the tests find; it must not stop the daemon.
fn increment(counter: &IntCounterVec, labels: &[&str]) {
    if let Ok(counter) = counter.get_metric_with_label_values(labels) {
        counter.inc();
    }
}

fn log(event: &Event<'_>) {
    match event {
        Event::SourceFetched { source, error: None, .. } => debug!(event = "SourceFetched", source),
        Event::SourceFetched { source, error: Some(error), .. } => {
            let message = error.to_string();
            warn!(event = "SourceFetchFailed", source, code = error.code(), error = message);
        }
        Event::SourceWarned { source, warning } => warn!(event = "SourceWarned", source, warning),
        Event::TokenRequested { rotation, issuer, took, error } => {
            let ms = took.as_millis();
            match error {
                None => debug!(event = "TokenIssued", %rotation, issuer, ms),
                Some(error) => {
                    debug!(event = "TokenRequestFailed", %rotation, issuer, ms, code = error.code());
                }
            }
        }
        Event::SinkWritten { rotation, sink, generation, error, .. } => match error {
            None => debug!(event = "SinkWritten", %rotation, sink = %sink, generation),
            Some(error) => debug!(event = "SinkWriteFailed", %rotation, sink = %sink, code = error.code()),
        },
        Event::RotationStarted { rotation, reason, generation, late } => {
            debug!(event = "RotationStarted", %rotation, reason, generation, late_ms = late.as_millis());
        }
        Event::RotationDelivered { rotation, generation, expires_at, sinks, behind } => {
            let expires_at = expires_at.map(tracing::field::display);
            if *behind == 0 {
                info!(event = "RotationDelivered", %rotation, generation, expires_at, sinks);
            } else {
                warn!(event = "RotationLeftSinksBehind", %rotation, generation, expires_at, sinks, behind);
            }
        }
        Event::RotationFailed { rotation, stage, code, kind, message, retry_at } => {
            let retry_at = retry_at.map(tracing::field::display);
            warn!(event = "RotationFailed", %rotation, stage, code, kind, retry_at, error = message);
        }
        Event::TokenAdopted { rotation, generation, expires_at } => {
            let expires_at = expires_at.map(tracing::field::display);
            info!(event = "TokenAdopted", %rotation, generation, expires_at);
        }
        Event::SinkFailed { rotation, sink, code, message } => {
            warn!(event = "SinkFailed", %rotation, sink = %sink, code, error = message);
        }
        Event::SinkDrifted { rotation, sink } => warn!(event = "SinkDrifted", %rotation, sink = %sink),
        Event::LeadCut { rotation, lifetime } => {
            let advice = "the lead is nine tenths of the lifetime or more; two thirds are used instead";
            warn!(event = "LeadCut", %rotation, lifetime_s = lifetime.as_secs(), advice);
        }
        Event::LifetimeShort { rotation, lifetime } => {
            let advice = "tokens that live for less than 5 s cannot be kept valid without gaps";
            warn!(event = "LifetimeShort", %rotation, lifetime_ms = lifetime.as_millis(), advice);
        }
        Event::CredentialsChanged { rotation } => info!(event = "CredentialsChanged", %rotation),
        Event::ConfigInForce { rotations, .. } => info!(event = "ConfigInForce", rotations),
        Event::ConfigRejected { message } => {
            let advice = "the old configuration stays in force";
            tracing::error!(event = "ConfigRejected", error = message, advice);
        }
    }
}
