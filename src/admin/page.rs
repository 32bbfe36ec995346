//! The page for people: one file, no script, nothing from elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use sha2::{Digest as _, Sha256};

use crate::status::{RotationStatus, Status};
use crate::words::relative;

const STYLE: &str = include_str!("page.css");
const TEMPLATE: &str = include_str!("page.html");

/// The page and its content security policy.
pub(super) fn render(status: &Status, now: Timestamp) -> (String, String) {
    let mut rows: Vec<&RotationStatus> = status.rotations.iter().collect();
    // What is wrong comes first, then what expires next.
    rows.sort_by_key(|row| (is_well(row), row.expires_at.unwrap_or(Timestamp::MAX), row.name.clone()));
    let rows: Vec<_> = rows.into_iter().map(|row| cells(row, now)).collect();
    let mut environment = Environment::new();
    let page = environment.add_template("page.html", TEMPLATE).and_then(|()| {
        environment.get_template("page.html")?.render(context! {
            style => STYLE,
            version => &status.version,
            config => Value::from(Serde(&status.config)),
            now => now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            unwell => status.rotations.iter().filter(|row| !is_well(row)).count(),
            rows => rows,
        })
    });
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'; base-uri 'none'");
    (page.unwrap_or_else(|_| "the page's template is broken".into()), policy)
}

fn is_well(row: &RotationStatus) -> bool {
    matches!(row.state.as_str(), "fresh" | "due" | "minting")
        && row.sinks.iter().all(|sink| sink.state == "in_sync")
}

fn cells(row: &RotationStatus, now: Timestamp) -> Value {
    let lifetime = row.issued_at.zip(row.expires_at);
    let left = lifetime.map(|(from, to)| {
        let whole = to.duration_since(from).as_secs_f64();
        (100.0 * to.duration_since(now).as_secs_f64() / whole).clamp(0.0, 100.0).round()
    });
    let errors: Vec<_> = row
        .last_error
        .iter()
        .map(|error| (row.issuer.as_str(), error))
        .chain(row.sinks.iter().filter_map(|sink| Some((sink.sink.as_str(), sink.last_error.as_ref()?))))
        .map(|(at, error)| context! { at, message => &error.message, code => &error.code, ago => relative(error.at, now) })
        .collect();
    context! {
        name => &row.name,
        issuer => &row.issuer,
        state => &row.state,
        left,
        expires => row.expires_at.map(|at| relative(at, now)),
        due => row.due_at.map(|at| relative(at, now)),
        failures => row.consecutive_failures,
        sinks => Value::from(Serde(&row.sinks)),
        errors,
    }
}
