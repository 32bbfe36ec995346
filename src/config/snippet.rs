//! The line that a mistake stands in, fit to be printed: keys and punctuation are kept, values are masked.
//!
//! A configuration holds no secrets by design, but people paste them into wrong places. So everything is masked that
//! is not known to be harmless: only the value that the mistake is about is shown, and only where its kind is one that
//! nobody mistakes for a secret (a duration, a percentage, a word from a list).

use std::collections::BTreeSet;
use std::ops::Range;

use super::findings::Place;
use super::tree::{Node, Value};

const MASK: &str = "•••";

/// Characters kept before and after the place, for a JSON file may be one line of megabytes.
const MARGIN: u32 = 60;

/// One line of text, and which bytes of it the caret stands under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snippet {
    pub(super) text: String,
    pub(super) start: usize,
    pub(super) width: usize,
}

/// Where a key or a value stands, in characters from the start of the file.
struct Scalar {
    start: u32,
    end: u32,
    printable: bool,
}

/// Cuts snippets out of one file.
pub(super) struct Cutter {
    text: Vec<char>,
    /// In the order of the text; `None` if the text is no YAML and so has no tree.
    scalars: Option<Vec<Scalar>>,
}

impl Cutter {
    pub(super) fn new(text: &str, root: Option<&Node<'_>>) -> Self {
        let scalars = root.map(|root| {
            let mut scalars = Vec::new();
            gather(root, &mut scalars);
            scalars
        });
        Self { text: text.chars().collect(), scalars }
    }

    /// `known` are the words that may be shown in front of a colon where there is no tree.
    pub(super) fn cut(&self, at: Place, known: &BTreeSet<String>) -> Option<Snippet> {
        let line_start = at.offset.checked_sub(at.column)?;
        let line_end = self.line_end(line_start);
        let from = at.offset.saturating_sub(MARGIN).max(line_start);
        let to = at.offset.saturating_add(at.width).saturating_add(MARGIN).min(line_end);
        let guessed = Vec::from_iter(self.known_key(line_start, line_end, known));
        let scalars = self.scalars.as_ref().unwrap_or(&guessed);
        let mut line = Line::default();
        if from > line_start {
            line.text.push_str("… ");
        }
        self.copy(from..to, at, scalars, &mut line);
        let (start, end) = line.caret.unwrap_or((line.text.len(), line.text.len()));
        if to < line_end {
            line.text.push_str(" …");
        }
        Some(Snippet { width: (end - start).max(1), start, text: line.text })
    }

    fn line_end(&self, start: u32) -> u32 {
        let rest = self.text.get(start as usize..).unwrap_or_default();
        let length = rest.iter().position(|c| matches!(c, '\n' | '\r')).unwrap_or(rest.len());
        start.saturating_add(narrow(length))
    }

    fn copy(&self, range: Range<u32>, at: Place, scalars: &[Scalar], line: &mut Line) {
        let mut here = range.start;
        while here < range.end {
            let before = line.next_byte();
            let stop = match scalar_at(scalars, here) {
                Some(scalar) => {
                    let stop = scalar.end.min(range.end);
                    if scalar.printable || (at.show && scalar.start == at.offset) {
                        line.text.extend(&self.text[here as usize..stop as usize]);
                    } else {
                        line.mask();
                    }
                    stop
                }
                None if self.comment_begins(here) => break,
                None => {
                    line.push_outside(self.text[here as usize]);
                    here + 1
                }
            };
            if (here..stop).contains(&at.offset) {
                line.caret = Some((before.min(line.text.len()), line.text.len()));
            }
            here = stop;
        }
        let kept = line.text.trim_end().len().max(line.caret.map_or(0, |(_, end)| end));
        line.text.truncate(kept);
    }

    fn comment_begins(&self, here: u32) -> bool {
        let before = here.checked_sub(1).and_then(|i| self.text.get(i as usize));
        self.text[here as usize] == '#' && before.is_none_or(|c| c.is_whitespace())
    }

    /// Text that is no YAML has no tree: of its line, only a first word that is one of our keys is shown.
    fn known_key(&self, from: u32, to: u32, known: &BTreeSet<String>) -> Option<Scalar> {
        let text = self.text.get(from as usize..to as usize)?;
        let indent = text.iter().position(|c| !matches!(c, ' ' | '-'))?;
        let length = text[indent..].iter().position(|&c| c == ':')?;
        let word: String = text[indent..indent + length].iter().collect();
        let start = from + narrow(indent);
        known.contains(&word).then(|| Scalar { start, end: start + narrow(length), printable: true })
    }
}

fn gather(node: &Node<'_>, scalars: &mut Vec<Scalar>) {
    let scalar = |at: Place, printable| Scalar {
        start: at.offset,
        end: at.offset.saturating_add(at.width),
        printable,
    };
    match &node.value {
        Value::Scalar { text, plain } => {
            // A value that is left out has its key's place, and that has been gathered.
            if !(*plain && text.is_empty()) {
                scalars.push(scalar(node.at, false));
            }
        }
        Value::Refused => {}
        Value::List(items) => items.iter().for_each(|item| gather(item, scalars)),
        Value::Map(entries) => {
            for entry in entries {
                scalars.push(scalar(entry.at, entry.is_printable()));
                gather(&entry.value, scalars);
            }
        }
    }
}

fn scalar_at(scalars: &[Scalar], here: u32) -> Option<&Scalar> {
    let after = scalars.partition_point(|s| s.start <= here);
    scalars.get(after.checked_sub(1)?).filter(|s| here < s.end)
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[derive(Default)]
struct Line {
    text: String,
    /// The bytes of `text` that the caret stands under.
    caret: Option<(usize, usize)>,
}

impl Line {
    /// Where the next character will stand, which is inside the mask if it is masked after a masked one.
    fn next_byte(&self) -> usize {
        if self.text.ends_with(MASK) { self.text.len() - MASK.len() } else { self.text.len() }
    }

    fn mask(&mut self) {
        if !self.text.ends_with(MASK) {
            self.text.push_str(MASK);
        }
    }

    /// A character that belongs to no key and no value: YAML's punctuation, or something that we do not understand.
    fn push_outside(&mut self, c: char) {
        match c {
            '\t' => self.text.push(' '),
            ' ' | '{' | '}' | '[' | ']' | ',' | ':' | '-' | '?' | '|' | '>' | '&' | '*' | '!' => {
                self.text.push(c);
            }
            _ => self.mask(),
        }
    }
}
