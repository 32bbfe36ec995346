//! What is told to people about a configuration: every mistake with its place, as log lines or with the line and a
//! caret. Holds nothing but what may be printed; where values have been masked is `snippet.rs`.

use std::fmt;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    Severity, SourceCode, SourceSpan, SpanContents,
};

use super::snippet::Snippet;

/// One thing that is wrong, or in [`Loaded::warnings`](super::Loaded) doubtful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub file: Arc<str>,
    /// `None` if the file could not be read.
    pub position: Option<Position>,
    /// `rotations[0].sinks[1].directory`, counted within the file; empty for the document as a whole.
    pub path: String,
    /// Name of the rotation that it lies in.
    pub rotation: Option<String>,
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    pub(super) snippet: Option<Snippet>,
}

/// Line and column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// `file:line:column: path: message (help)`, on one line.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if let Some(place) = self.place() {
            write!(f, " {place}:")?;
        }
        write!(f, " {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl Mistake {
    /// Path and rotation, as far as there are any.
    fn place(&self) -> Option<String> {
        match &self.rotation {
            Some(rotation) => Some(format!("{} (rotation {rotation})", self.path)),
            None => (!self.path.is_empty()).then(|| self.path.clone()),
        }
    }

    /// For a terminal: the message, the line with a caret, and the help.
    #[must_use]
    pub fn render(&self, severity: Severity, color: bool) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let report = Report { mistake: self, severity };
        let mut text = String::new();
        let handler =
            GraphicalReportHandler::new_themed(theme).with_context_lines(0).with_width(120).with_links(false);
        match handler.render_report(&mut text, &report) {
            Ok(()) => text,
            // A handler that fails must not hide the mistake.
            Err(fmt::Error) => format!("{self}\n"),
        }
    }
}

/// Every mistake of a configuration, or everything doubtful in it, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mistakes {
    pub mistakes: Vec<Mistake>,
}

impl std::error::Error for Mistakes {}

/// One line for each mistake.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{mistake}")?;
        }
        Ok(())
    }
}

impl Mistakes {
    /// For a terminal: each mistake with its line. `severity` is the heading's.
    #[must_use]
    pub fn render(&self, severity: Severity, color: bool) -> String {
        self.mistakes.iter().map(|mistake| mistake.render(severity, color) + "\n").collect()
    }
}

/// A mistake as miette wants to see it.
struct Report<'a> {
    mistake: &'a Mistake,
    severity: Severity,
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mistake.fmt(f)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.mistake.snippet, self.mistake.place()) {
            // The path stands under the caret then.
            (Some(_), _) | (None, None) => f.write_str(&self.mistake.message)?,
            (None, Some(place)) => write!(f, "{place}: {}", self.mistake.message)?,
        }
        match (&self.mistake.snippet, self.mistake.position) {
            (None, None) => write!(f, " [{}]", self.mistake.file),
            (None, Some(Position { line, column })) => write!(f, " [{}:{line}:{column}]", self.mistake.file),
            (Some(_), _) => Ok(()),
        }
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.mistake.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.mistake.snippet.as_ref().map(|_| self.mistake as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let snippet = self.mistake.snippet.as_ref()?;
        let label = LabeledSpan::new(self.mistake.place(), snippet.start, snippet.width);
        Some(Box::new(std::iter::once(label)))
    }
}

/// The source of a mistake is its one line, under the number that it has in the file.
impl SourceCode for Mistake {
    fn read_span<'a>(
        &'a self,
        _span: &SourceSpan,
        _before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (Some(snippet), Some(position)) = (&self.snippet, self.position) else {
            return Err(MietteError::OutOfBounds);
        };
        let whole = SourceSpan::from((0, snippet.text.len()));
        Ok(Box::new(MietteSpanContents::new_named(
            self.file.to_string(),
            snippet.text.as_bytes(),
            whole,
            position.line - 1,
            position.column - 1,
            1,
        )))
    }
}
