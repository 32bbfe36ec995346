//! Where text goes: results to stdout, diagnostics to stderr, colour to terminals alone.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use super::{DONE, FAILED};

/// Whether stderr is to be coloured (`NO_COLOR` is honoured).
pub(super) struct ErrStyle {
    pub(super) color: bool,
}

impl ErrStyle {
    pub(super) fn detect() -> Self {
        Self { color: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }
}

/// The result of a command. A reader that has gone (`| head`) is no failure worth a word, but one for the exit code.
pub(super) fn print(text: &str) -> ExitCode {
    let written = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
    ExitCode::from(if written.is_ok() { DONE } else { FAILED })
}

pub(super) fn diagnose(text: &str) {
    let _ = write!(std::io::stderr().lock(), "{text}"); // nobody is left to be told
}

pub(super) fn fail(code: u8, text: &str) -> ExitCode {
    diagnose(&format!("everbearer: {text}\n"));
    ExitCode::from(code)
}

/// `30s`, `2m`, `1h`: for arguments.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| "a span such as 30s or 2m is wanted".to_owned())?;
    match Duration::try_from(span) {
        Ok(span) if !span.is_zero() && span <= Duration::from_secs(365 * 86_400) => Ok(span),
        _ => Err("a span from above 0 to a year is wanted".into()),
    }
}
