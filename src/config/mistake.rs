//! Mistakes in a configuration, each with its place, and how people are shown them.
//!
//! A configuration holds no secret, but somebody may have put one where it does not belong, and that is when a
//! mistake is shown. So a snippet shows only values of keys whose values are harmless.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::place::{Path, Step};
use super::tree::{Kind, Node};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteSpanContents};

/// Where something stands. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index into the files of the configuration.
    pub file: usize,
    pub line: usize,
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub place: Place,
    /// `rotations[0].sinks[1].kubernetesSecret`
    pub path: String,
    pub rotation: Option<Arc<str>>,
    pub message: Arc<str>,
    pub help: Option<Arc<str>>,
}

impl Mistake {
    pub(super) fn new(place: Place, message: impl Into<Arc<str>>) -> Self {
        Self { place, path: String::new(), rotation: None, message: message.into(), help: None }
    }

    /// The same mistake with its path, and the name of the rotation that it is in.
    pub(super) fn at(mut self, root: &Node, path: &Path) -> Self {
        self.path = path.to_string();
        if let [Step::Key(rotations), Step::Item(index), ..] = &path[..]
            && rotations == "rotations"
        {
            let name = Path::default().key("rotations").item(*index).key("name");
            if let Kind::Scalar(serde_json::Value::String(name)) = &root.nearest(&name).kind {
                self.rotation = Some(name.as_str().into());
            }
        }
        self
    }
}

/// A file as it was read.
#[derive(Debug, Clone)]
pub struct File {
    pub name: PathBuf,
    pub text: String,
}

/// Every mistake of a configuration, in the order of the files.
#[derive(Debug, Clone)]
pub struct Mistakes {
    pub files: Vec<File>,
    pub mistakes: Vec<Mistake>,
}

impl Mistakes {
    pub(super) fn new(files: Vec<File>, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| mistake.place);
        Self { files, mistakes }
    }

    /// For people: each mistake with the line that it is in. `severity` is the heading's word.
    #[must_use]
    pub fn render(&self, severity: miette::Severity, color: bool) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(110);
        let mut out = String::new();
        for mistake in &self.mistakes {
            let shown = Shown::new(self, mistake, severity);
            if handler.render_report(&mut out, &shown).is_err() {
                out.push_str(&self.line(mistake));
            }
        }
        out
    }

    fn line(&self, mistake: &Mistake) -> String {
        let Place { file, line, column } = mistake.place;
        let name = self.files.get(file).map(|file| file.name.display().to_string()).unwrap_or_default();
        let rotation =
            mistake.rotation.as_ref().map(|name| format!(" (rotation {name})")).unwrap_or_default();
        let path = if mistake.path.is_empty() { String::new() } else { format!("{}: ", mistake.path) };
        let help = mistake.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{name}:{line}:{column}: {path}{}{rotation}{help}", mistake.message)
    }
}

/// One line each: `file:line:column: path: message`.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.line(mistake))?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// A mistake as miette takes it.
#[derive(Debug)]
struct Shown {
    message: String,
    help: Option<String>,
    severity: miette::Severity,
    line: Line,
    label: LabeledSpan,
}

impl Shown {
    fn new(all: &Mistakes, mistake: &Mistake, severity: miette::Severity) -> Self {
        let Place { file, line, column } = mistake.place;
        let file = all.files.get(file);
        let text = file.and_then(|file| file.text.lines().nth(line.saturating_sub(1))).unwrap_or_default();
        let text = masked(text);
        let before: usize = text.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
        let word = text[before..].find([' ', ':', ',', '}', ']']).unwrap_or(text.len() - before);
        let rotation = mistake.rotation.as_ref().map(|name| format!("rotation {name}: ")).unwrap_or_default();
        let label = (!mistake.path.is_empty()).then(|| mistake.path.clone());
        Self {
            message: format!("{rotation}{}", mistake.message),
            help: mistake.help.as_ref().map(ToString::to_string),
            severity,
            line: Line {
                name: file.map(|file| file.name.display().to_string()).unwrap_or_default(),
                number: line,
                text,
            },
            label: LabeledSpan::new(label, before, word),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl miette::Diagnostic for Shown {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.line)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(self.label.clone())))
    }
}

/// The one line of a file that is shown: its neighbours could show what must not be.
#[derive(Debug)]
struct Line {
    name: String,
    number: usize,
    text: String,
}

impl miette::SourceCode for Line {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        _before: usize,
        _after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        if span.offset() > self.text.len() {
            return Err(miette::MietteError::OutOfBounds);
        }
        let whole = (0, self.text.len()).into();
        let contents = MietteSpanContents::new_named(
            self.name.clone(),
            self.text.as_bytes(),
            whole,
            self.number.saturating_sub(1),
            self.text[..span.offset()].chars().count(),
            1,
        );
        Ok(Box::new(contents))
    }
}

/// Keys whose values a snippet may show: names, numbers, durations, paths of files.
const HARMLESS: [&str; 40] = [
    "name",
    "issuer",
    "preset",
    "type",
    "clientAuth",
    "grant",
    "scopes",
    "audience",
    "defaultLifetime",
    "maxConcurrent",
    "connectTimeout",
    "timeout",
    "allowInsecure",
    "caFile",
    "renewAt",
    "renewBefore",
    "jitter",
    "sourceInterval",
    "driftInterval",
    "mintBudget",
    "installation",
    "keyFile",
    "mount",
    "path",
    "kvVersion",
    "cron",
    "timeZone",
    "suspend",
    "namespace",
    "adopt",
    "foreignKeys",
    "mode",
    "owner",
    "group",
    "kubeconfig",
    "context",
    "allowRotate",
    "bearerFile",
    "allowedHosts",
    "env",
];

/// `  - key: value` keeps its key; the value only if it is harmless. A line without a key shows nothing of itself.
fn masked(line: &str) -> String {
    let start = line.find(|c: char| !c.is_whitespace() && c != '-').unwrap_or(line.len());
    let Some(colon) = line[start..].find(':').map(|at| start + at) else {
        let indent = &line[..start];
        return if start == line.len() { line.to_owned() } else { format!("{indent}…") };
    };
    let key = line[start..colon].trim();
    let is_word = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if !is_word {
        return format!("{}…", &line[..start]);
    }
    let value = line[colon + 1..].trim();
    if value.is_empty() || (HARMLESS.contains(&key) && !value.starts_with(['{', '[', '|', '>'])) {
        line.to_owned()
    } else {
        format!("{}: …", &line[..colon])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_shows_keys_and_only_harmless_values() {
        for (line, expected) in [
            ("    renewAt: 5O%", "    renewAt: 5O%"),
            ("  - name: voice", "  - name: voice"),
            ("clientSecret: hunter2", "clientSecret: …"),
            ("  headers: {X-Api-Key: hunter2}", "  headers: …"),
            ("  tokenUrl: https://u:hunter2@h/", "  tokenUrl: …"),
            ("  - hunter2", "  - …"),
            ("hunter2 hunter2: hunter2", "…"),
            ("vault:", "vault:"),
            ("", ""),
        ] {
            assert_eq!(masked(line), expected);
        }
    }
}
