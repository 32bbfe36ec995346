//! From text to a [`Config`], or to every mistake in the text, each with its place, its path and what to do.
//!
//! ```text
//! files ──▶ tree ──▶ document ──▶ meaning ──▶ spec          what a Config is made of
//! (disk)   (YAML,   (every key,   (what the   (domain
//!          places)   one by one)   keys mean   types)
//!              │          │        together)
//!              └──────────┴─────▶ findings ──▶ mistake      what people are told
//! ```
//!
//! No step ends at its first mistake: what cannot be read leaves a gap that the next step walks round. The JSON Schema
//! comes from the same description of the keys as reading does (`shape`, `document`).
//!
//! There is no `${ENV}` and no secret in a configuration: secrets come from sources. Should somebody write one into it
//! all the same, no message shows it (`snippet`). What only running can tell (a file that is missing, a refused login)
//! is none of this layer's business.

mod document;
mod files;
mod findings;
mod meaning;
mod merge;
mod mistake;
mod report;
mod shape;
mod snippet;
pub mod spec;
mod text;
mod tree;
mod values;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use files::File;
pub use mistake::{Mistake, Mistakes, Position};
pub use spec::Config;

use document::Document;
use files::Unread;
use findings::{Findings, Place};
use shape::{Schemas, Shape};

/// A configuration without mistakes.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// What works but is probably not meant. Warnings change no exit code.
    pub warnings: Mistakes,
}

/// What an environment variable holds. An argument, so that nothing below [`load`] reads the process's own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads files and folders (`*.yaml`, `*.yml` and `*.json` by name) and merges them: `rotations` are joined, `issuers` united,
/// and anything else may be defined once. The environment gives `VAULT_ADDR` and nothing else.
pub fn load(paths: &[PathBuf], environment: Environment<'_>) -> Result<Loaded, Mistakes> {
    let mut unread = Vec::new();
    if paths.is_empty() {
        let message = "no configuration is given".to_owned();
        unread.push(Unread {
            name: "--config".to_owned(),
            message,
            help: Some("name a file or a folder".to_owned()),
        });
    }
    let files = files::read_all(paths, &mut unread);
    read(&files, unread, environment)
}

/// The same without the disk.
#[allow(clippy::needless_pass_by_value, reason = "files are read for this and for nothing else")]
pub fn parse(files: Vec<File>, environment: Environment<'_>) -> Result<Loaded, Mistakes> {
    read(&files, Vec::new(), environment)
}

/// JSON Schema (draft 2020-12) of what [`parse`] takes.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut schemas = Schemas::default();
    let root = Document::schema(&mut schemas);
    schemas.into_schema(&root)
}

fn read(files: &[File], unread: Vec<Unread>, environment: Environment<'_>) -> Result<Loaded, Mistakes> {
    let names = files.iter().map(|file| file.name.display().to_string()).collect();
    // A byte order mark is no content, and the columns of the first line do not count it.
    let texts: Vec<&str> = files.iter().map(|file| file.text.trim_start_matches('\u{feff}')).collect();
    let mut findings = Findings::new(names);
    let complete = unread.is_empty();
    for Unread { name, message, help } in unread {
        findings.unread_file(name, message, help);
    }
    let mut whole = Document { at: Place { line: 1, ..Place::default() }, ..Document::default() };
    // A file that could not be read may define what is missing in the others.
    let mut complete = complete;
    for (index, text) in texts.iter().enumerate() {
        let tree = tree::plant(u16::try_from(index).unwrap_or(u16::MAX), text, &mut findings);
        complete &= tree.is_some();
        let document =
            tree.filter(|tree| !tree.is_null()).and_then(|tree| Document::read(&tree, &mut findings));
        if let Some(document) = document {
            whole.merge(document, &mut findings);
        }
    }
    let config = meaning::check(&whole, complete, environment, &mut findings);
    drop(whole);
    let warnings = report::tell(&texts, &findings.files, findings.warnings);
    let mistakes = report::tell(&texts, &findings.files, findings.mistakes);
    match config {
        Some(config) if mistakes.is_empty() => {
            Ok(Loaded { config, warnings: Mistakes { mistakes: warnings } })
        }
        _ => Err(Mistakes { mistakes }),
    }
}
