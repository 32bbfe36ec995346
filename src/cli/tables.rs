//! Tables for people.

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use jiff::Timestamp;

use crate::app::check::{Check, Report};
use crate::status::{RotationStatus, Status};
use crate::words::relative;

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    table
}

/// What runs now, and below it each error with where it happened.
pub(super) fn status(status: &Status, now: Timestamp) -> String {
    let mut rows = table(&["rotation", "state", "expires", "next attempt", "sinks", "failures"]);
    for row in &status.rotations {
        rows.add_row([
            Cell::new(&row.name),
            Cell::new(&row.state).fg(color(&row.state)),
            Cell::new(row.expires_at.map_or("–".into(), |at| relative(at, now))),
            Cell::new(row.due_at.map_or("–".into(), |at| relative(at, now))),
            Cell::new(sinks(row)),
            Cell::new(row.consecutive_failures),
        ]);
    }
    let mut text = format!("{rows}\n");
    if let Some(error) = &status.config.error {
        text.push_str(&format!(
            "\nThe configuration on disk is refused; the one before it stays in force:\n{error}\n"
        ));
    }
    text.push_str(&errors(&status.rotations));
    text
}

/// How a pass ended.
pub(super) fn pass(rotations: &[RotationStatus]) -> String {
    let mut rows = table(&["rotation", "state", "expires at", "sinks"]);
    for row in rotations {
        rows.add_row([
            Cell::new(&row.name),
            Cell::new(&row.state).fg(color(&row.state)),
            Cell::new(
                row.expires_at.map_or("–".into(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
            ),
            Cell::new(sinks(row)),
        ]);
    }
    format!("{rows}\n{}", errors(rotations))
}

fn sinks(row: &RotationStatus) -> String {
    let in_sync = row.sinks.iter().filter(|sink| sink.state == "in_sync").count();
    let mut text = format!("{in_sync}/{} in sync", row.sinks.len());
    for sink in row.sinks.iter().filter(|sink| sink.state != "in_sync") {
        text.push_str(&format!("\n{}: {}", sink.sink, sink.state));
    }
    text
}

fn errors(rotations: &[RotationStatus]) -> String {
    let mut text = String::new();
    for row in rotations {
        if let Some(error) = &row.last_error {
            text.push_str(&format!("\n{} ({}, {}): {}\n", row.name, error.stage, error.code, error.message));
        }
        for sink in &row.sinks {
            if let Some(error) = &sink.last_error {
                text.push_str(&format!(
                    "\n{}, {} ({}): {}\n",
                    row.name, sink.sink, error.code, error.message
                ));
            }
        }
    }
    text
}

/// The plan of a configuration.
pub(super) fn check(report: &Report) -> String {
    let mut text = String::new();
    for rotation in &report.rotations {
        let url = rotation.token_url.as_ref().map(|url| format!(" at {url}")).unwrap_or_default();
        text.push_str(&format!("{}\n", rotation.name));
        text.push_str(&format!("  source  {}{}\n", rotation.source, verdict(rotation.source_check.as_ref())));
        text.push_str(&format!("  issuer  {}{url}\n", rotation.issuer));
        text.push_str(&format!("  rotates {}\n", rotation.rotates));
        for sink in &rotation.sinks {
            text.push_str(&format!("  sink    {}{}\n", sink.sink, verdict(sink.check.as_ref())));
        }
        text.push('\n');
    }
    let plural = if report.rotations.len() == 1 { "" } else { "s" };
    let wrong = if report.is_ok() { "nothing is wrong" } else { "see ✗ above" };
    text.push_str(&format!("{} rotation{plural}; {wrong}\n", report.rotations.len()));
    text
}

fn verdict(check: Option<&Check>) -> String {
    check.map_or(String::new(), |check| {
        format!("\n          {} {}", if check.ok { "✓" } else { "✗" }, check.message)
    })
}

fn color(state: &str) -> Color {
    match state {
        "fresh" | "minting" => Color::Green,
        "due" | "pending" | "suspended" => Color::Yellow,
        _ => Color::Red,
    }
}
