//! Where something stands in the text, and the list of what was found wrong or doubtful there.
//!
//! Findings name a place only. Their paths, rotation names and snippets are worked out when reading has ended, so that
//! a document without mistakes pays for none of them.

/// A stretch of one file. Ordered by file, then by position.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Place {
    pub(super) file: u16,
    /// Characters from the start of the file.
    pub(super) offset: u32,
    /// Characters.
    pub(super) width: u32,
    /// From 1.
    pub(super) line: u32,
    /// Characters from the start of the line, from 0.
    pub(super) column: u32,
    /// How many steps of the YAML path lead here: a key and its value have the same.
    pub(super) depth: u16,
    /// Whether the value that stands here may be printed. Off unless the value's kind says that it is no secret.
    pub(super) show: bool,
}

impl Place {
    /// The same spot, meaning the map or list that it stands in.
    pub(super) fn parent(self) -> Self {
        Self { depth: self.depth.saturating_sub(1), ..self }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub(super) at: Place,
    pub(super) value: T,
}

/// One thing that is wrong or doubtful. `at` is `None` where a file could not be read at all.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) at: Option<Place>,
    pub(super) file: u16,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// How many known words are compared for one configuration: some thousand mistakes with some thousand issuers would
/// else take minutes, and nobody reads so many suggestions.
const COMPARISONS: usize = 50_000;
/// How many for one mistake.
const CANDIDATES: usize = 1000;

/// Everything found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) files: Vec<String>,
    pub(super) mistakes: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
    compared: usize,
}

impl Findings {
    pub(super) fn new(files: Vec<String>) -> Self {
        Self { files, ..Self::default() }
    }

    pub(super) fn mistake(&mut self, at: Place, message: impl Into<String>) {
        self.mistakes.push(finding(at, message.into(), None));
    }

    pub(super) fn mistake_with_help(
        &mut self,
        at: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.mistakes.push(finding(at, message.into(), Some(help.into())));
    }

    pub(super) fn warning(&mut self, at: Place, message: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(finding(at, message.into(), Some(help.into())));
    }

    /// A mistake of a whole file, which has no tree.
    pub(super) fn unread_file(&mut self, name: String, message: String, help: Option<String>) {
        let file = u16::try_from(self.files.len()).unwrap_or(u16::MAX);
        self.files.push(name);
        self.mistakes.push(Finding { at: None, file, message, help });
    }

    /// How another place is named in a message: `conf/a.yaml:3:5`.
    pub(super) fn name_place(&self, at: Place) -> String {
        format!("{}:{}:{}", self.files[usize::from(at.file)], at.line, at.column + 1)
    }

    /// "did you mean …?" if some known word is near, else the list of all of them if there are few.
    pub(super) fn suggest<'k>(
        &mut self,
        word: &str,
        known: impl IntoIterator<Item = &'k str> + Clone,
    ) -> Option<String> {
        if self.compared >= COMPARISONS {
            return None;
        }
        self.compared += known.clone().into_iter().take(CANDIDATES).count();
        if let Some(near) = nearest(word, known.clone()) {
            return Some(format!("did you mean {near}?"));
        }
        let all: Vec<&str> = known.into_iter().take(31).collect();
        (1..=30).contains(&all.len()).then(|| format!("known here: {}", all.join(", ")))
    }
}

fn finding(at: Place, message: String, help: Option<String>) -> Finding {
    Finding { at: Some(at), file: at.file, message, help }
}

/// The known word that was probably meant: equal but for case, dashes and underscores, or at most a third of its
/// letters away.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // The distance costs length times length, so a text that is no word at all is not measured.
    if word.len() > 63 {
        return None;
    }
    let bare = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let word = bare(word);
    known
        .into_iter()
        .take(CANDIDATES)
        .map(|candidate| (strsim::damerau_levenshtein(&word, &bare(candidate)), candidate))
        .filter(|(distance, candidate)| distance * 3 <= candidate.len().max(word.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A short text in quotes, control characters escaped.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 40;
    let cut: String = text.chars().take(LONGEST).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("`{}{dots}`", cut.escape_debug())
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn join(words: &[&str], last: &str) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}
