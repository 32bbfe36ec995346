//! The text of a scrape: the registry, then the series of each rotation, family by family, from the status rows.

use std::fmt::Write as _;

use jiff::Timestamp;
use prometheus::{Registry, TextEncoder};

use crate::status::RotationStatus;

pub(super) fn text(registry: &Registry, rows: &[RotationStatus]) -> String {
    let mut out = String::new();
    let _ = TextEncoder::new().encode_utf8(&registry.gather(), &mut out); // a String takes everything
    family(&mut out, "everbearer_leader", "gauge", "Share of the work that this replica holds");
    out.push_str("everbearer_leader 1\n");
    rotation_families(&mut out, rows);
    out
}

/// A family: name, type, help, and its value for a row. `None`: the row has no such series.
type Family = (&'static str, &'static str, &'static str, fn(&RotationStatus) -> Option<f64>);

const FAMILIES: [Family; 6] = [
    (
        "everbearer_token_expiration_timestamp_seconds",
        "gauge",
        "When the token expires; 0: never minted",
        |row| (!row.is_basic).then(|| row.expires_at.map_or(0.0, seconds)),
    ),
    ("everbearer_token_lifetime_seconds", "gauge", "Lifetime of the token", |row| {
        let lifetime =
            row.issued_at.zip(row.expires_at).map(|(from, to)| to.duration_since(from).as_secs_f64());
        (!row.is_basic).then(|| lifetime.unwrap_or(0.0))
    }),
    (
        "everbearer_rotation_due_timestamp_seconds",
        "gauge",
        "The next planned attempt; 0: none is planned",
        |row| (!row.is_basic).then(|| row.due_at.map_or(0.0, seconds)),
    ),
    (
        "everbearer_rotation_last_success_timestamp_seconds",
        "gauge",
        "When every sink was last served",
        |row| Some(row.last_success_at.map_or(0.0, seconds)),
    ),
    (
        "everbearer_rotation_consecutive_failures",
        "gauge",
        "Attempts in a row that failed or left a sink behind",
        |row| Some(f64::from(row.consecutive_failures)),
    ),
    ("everbearer_rotation_suspended", "gauge", "Whether the configuration suspends the rotation", |row| {
        Some(f64::from(u8::from(row.state == "suspended")))
    }),
];

fn rotation_families(out: &mut String, rows: &[RotationStatus]) {
    for (name, kind, help, value) in FAMILIES {
        family(out, name, kind, help);
        for row in rows {
            if let Some(value) = value(row) {
                let _ = writeln!(out, "{name}{{rotation=\"{}\"}} {value}", row.name);
            }
        }
    }
    let name = "everbearer_rotations_total";
    family(out, name, "counter", "Attempts by how they ended");
    for row in rows {
        let _ = writeln!(out, "{name}{{rotation=\"{}\",result=\"success\"}} {}", row.name, row.succeeded);
        let _ = writeln!(out, "{name}{{rotation=\"{}\",result=\"error\"}} {}", row.name, row.failed);
    }
    let name = "everbearer_sink_expiration_timestamp_seconds";
    family(out, name, "gauge", "When the token that the sink holds expires; 0: it holds none");
    for row in rows.iter().filter(|row| !row.is_basic) {
        for sink in &row.sinks {
            let expiry = sink.expires_at.map_or(0.0, seconds);
            let sink = escaped(&sink.sink);
            let _ = writeln!(out, "{name}{{rotation=\"{}\",sink=\"{sink}\"}} {expiry}", row.name);
        }
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Seconds since the Unix epoch.
fn seconds(instant: Timestamp) -> f64 {
    instant.as_duration().as_secs_f64()
}

/// A label value by the text format's rules; rotation names need none.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
