//! YAML text to a tree of nodes that know their places.
//!
//! Built from the parser's events rather than by a ready loader, because this tree keeps the place of every key,
//! reports every duplicate key (with both places) and never expands anything: aliases, tags and further documents are
//! refused, and depth is bounded. It does not know what any key means.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::findings::{Findings, Place, quote};

/// The deepest meaningful value is eight steps down; this leaves room for mistakes and none for stack overflows.
const DEEPEST: usize = 32;

#[derive(Debug)]
pub(super) struct Node<'a> {
    /// A scalar's own place. A map's or list's is its key's, if it has one, for that is where people look.
    pub(super) at: Place,
    pub(super) value: Value<'a>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    Scalar {
        text: Cow<'a, str>,
        /// Written without quotes, so that `true` and `5` are not text.
        plain: bool,
    },
    List(Vec<Node<'a>>),
    /// In the order of the file, no key twice.
    Map(Vec<Entry<'a>>),
    /// Something that has been reported as a mistake already.
    Refused,
}

#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) at: Place,
    pub(super) value: Node<'a>,
}

impl Entry<'_> {
    /// Whether the key may be printed. Somebody who writes `token: {hunter2}` has written a secret as a key without a
    /// value, and a long or odd key is none of ours.
    pub(super) fn is_printable(&self) -> bool {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
        !self.value.is_null() && (1..=63).contains(&self.key.len()) && self.key.chars().all(word)
    }
}

impl Node<'_> {
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// The tree of the only document in `text`; an empty file gives a null. `None` if the text is no YAML at all.
pub(super) fn plant<'a>(file: u16, text: &'a str, findings: &mut Findings) -> Option<Node<'a>> {
    let mut builder =
        Builder { file, ascii: text.is_ascii().then_some(text), stack: Vec::new(), root: None, findings };
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(both) => both,
            Err(error) => {
                let at = builder.place(Span::empty(*error.marker()));
                builder.findings.mistake(at, format!("this is not YAML: {}", error.info()));
                return None;
            }
        };
        match builder.take(event, span) {
            Step::On => {}
            Step::End => break,
            Step::Abort => return None,
        }
    }
    Some(builder.root.unwrap_or(Node {
        at: Place { file, line: 1, ..Place::default() },
        value: Value::Scalar { text: Cow::Borrowed(""), plain: true },
    }))
}

enum Step {
    On,
    End,
    Abort,
}

enum Frame<'a> {
    List { at: Place, items: Vec<Node<'a>> },
    Map { at: Place, entries: Vec<Entry<'a>>, key: Key<'a> },
}

/// What a map waits for.
enum Key<'a> {
    Awaited,
    Read(Cow<'a, str>, Place),
    Refused,
}

struct Builder<'a, 'f> {
    file: u16,
    /// The file's text, if characters are bytes in it.
    ascii: Option<&'a str>,
    stack: Vec<Frame<'a>>,
    root: Option<Node<'a>>,
    findings: &'f mut Findings,
}

impl<'a> Builder<'a, '_> {
    fn take(&mut self, event: Event<'a>, span: Span) -> Step {
        let at = self.place(span);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                self.findings.mistake_with_help(
                    Place { depth: 0, ..at },
                    "a second YAML document begins here, and one file holds one",
                    "put it into a file of its own: --config may be given several times and may be a folder",
                );
                return Step::End;
            }
            Event::Alias(_) => {
                let blamed = self.blamed(at);
                self.findings.mistake_with_help(
                    blamed,
                    "a YAML alias (`*name`) is not supported",
                    "write the value out",
                );
                self.attach(Node { at, value: Value::Refused });
            }
            Event::Scalar(text, style, _, tag) => {
                let value = match self.check_tag(tag.as_deref(), at) {
                    Ok(tagged) => Value::Scalar {
                        text: self.borrow(text, at),
                        plain: style == ScalarStyle::Plain && !tagged,
                    },
                    Err(()) => Value::Refused,
                };
                self.attach(Node { at, value });
            }
            Event::SequenceStart(_, tag) | Event::MappingStart(_, tag) if self.stack.len() >= DEEPEST => {
                drop(tag);
                self.findings.mistake(at, format!("this is nested deeper than {DEEPEST} levels"));
                return Step::Abort;
            }
            Event::SequenceStart(_, tag) => {
                let _ = self.check_tag(tag.as_deref(), at);
                self.stack.push(Frame::List { at: self.collection_place(at), items: Vec::new() });
            }
            Event::MappingStart(_, tag) => {
                let _ = self.check_tag(tag.as_deref(), at);
                let at = self.collection_place(at);
                self.stack.push(Frame::Map { at, entries: Vec::new(), key: Key::Awaited });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Step::On
    }

    /// The same text as a part of the file: the parser makes a copy of each, which is half of the tree's memory.
    fn borrow(&self, text: Cow<'a, str>, at: Place) -> Cow<'a, str> {
        let Some(source) = self.ascii else { return text };
        // One further inside quotes.
        let spot = |start: usize| source.get(start..start + text.len()).filter(|part| **part == *text);
        match spot(at.offset as usize).or_else(|| spot(at.offset as usize + 1)) {
            Some(part) => Cow::Borrowed(part),
            None => text,
        }
    }

    fn close(&mut self) {
        let node = match self.stack.pop() {
            Some(Frame::List { at, items }) => Node { at, value: Value::List(exact(items)) },
            Some(Frame::Map { at, entries, .. }) => {
                Node { at, value: Value::Map(exact(without_duplicates(entries, self.findings))) }
            }
            None => return,
        };
        self.attach(node);
    }

    fn attach(&mut self, node: Node<'a>) {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => match std::mem::replace(key, Key::Awaited) {
                Key::Awaited => *key = as_key(node, self.findings),
                Key::Refused => {}
                Key::Read(key, at) => {
                    let place = if node.at.width == 0 { at } else { node.at };
                    entries.push(Entry { key, at, value: Node { at: place, ..node } });
                }
            },
        }
    }

    /// Reports every tag but `!!str`, which makes text of what would otherwise be a number.
    fn check_tag(&mut self, tag: Option<&Tag>, at: Place) -> Result<bool, ()> {
        match tag {
            None => Ok(false),
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
            Some(_) => {
                let blamed = self.blamed(at);
                self.findings.mistake_with_help(
                    blamed,
                    "a YAML tag (`!name`) is not supported",
                    "write the value without it",
                );
                Err(())
            }
        }
    }

    /// Where a key would come next there is no path to it yet, so its map is named.
    fn blamed(&self, at: Place) -> Place {
        match self.stack.last() {
            Some(Frame::Map { key: Key::Awaited, .. }) => at.parent(),
            _ => at,
        }
    }

    fn collection_place(&self, at: Place) -> Place {
        match self.stack.last() {
            Some(Frame::Map { key: Key::Read(_, key_at), .. }) => *key_at,
            _ => Place { width: 1, ..at },
        }
    }

    fn place(&self, span: Span) -> Place {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            file: self.file,
            offset: narrow(span.start.index()),
            width: narrow(span.end.index().saturating_sub(span.start.index())),
            line: narrow(span.start.line().max(1)),
            column: narrow(span.start.col()),
            depth: u16::try_from(self.stack.len()).unwrap_or(u16::MAX),
            show: false,
        }
    }
}

/// Moved into a vector without room to spare, for most maps have one entry and a growing vector has room for four.
/// Shrinking in place would leave holes that nothing fits into.
fn exact<T>(grown: Vec<T>) -> Vec<T> {
    let mut exact = Vec::with_capacity(grown.len());
    exact.extend(grown);
    exact
}

fn as_key<'a>(node: Node<'a>, findings: &mut Findings) -> Key<'a> {
    match node.value {
        Value::Scalar { text, .. } => Key::Read(text, node.at),
        Value::Refused => Key::Refused,
        Value::List(_) | Value::Map(_) => {
            findings.mistake_with_help(
                node.at.parent(),
                "a key must be text, and this is a list or a map",
                "braces of a template (`{{ … }}`) that nobody has rendered look like this; quote them",
            );
            Key::Refused
        }
    }
}

/// Keeps the first of entries with one key and reports the others.
fn without_duplicates<'a>(entries: Vec<Entry<'a>>, findings: &mut Findings) -> Vec<Entry<'a>> {
    let repeated = repeated_keys(&entries);
    if repeated.is_empty() {
        return entries;
    }
    for (&later, &first) in &repeated {
        let entry = &entries[later];
        let name = if entry.is_printable() { quote(&entry.key) } else { "a key".to_owned() };
        let before = findings.name_place(entries[first].at);
        findings.mistake(entry.at.parent(), format!("{name} stands twice in one map; first at {before}"));
    }
    entries
        .into_iter()
        .enumerate()
        .filter(|(index, _)| !repeated.contains_key(index))
        .map(|(_, entry)| entry)
        .collect()
}

/// Index of each entry whose key stood before, to the index where it stood first.
fn repeated_keys(entries: &[Entry<'_>]) -> BTreeMap<usize, usize> {
    // Nearly all maps are small; a hash map for each would cost more than it saves.
    if entries.len() <= 8 {
        let first = |later: usize| (0..later).find(|&first| entries[first].key == entries[later].key);
        return (1..entries.len()).filter_map(|later| Some((later, first(later)?))).collect();
    }
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(entries.len());
    let mut repeated = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let first = *seen.entry(&entry.key).or_insert(index);
        if first != index {
            repeated.insert(index, first);
        }
    }
    repeated
}

/// The YAML path of a place (`rotations[0].sinks[1].directory`), and the name of the rotation that it lies in.
pub(super) fn path_of(root: &Node<'_>, place: Place) -> (String, Option<String>) {
    let mut path = String::new();
    let mut rotation = None;
    let mut node = root;
    for _ in 0..place.depth {
        match &node.value {
            Value::Map(entries) => {
                let after = entries.partition_point(|e| e.at.offset <= place.offset);
                let Some(entry) = after.checked_sub(1).and_then(|i| entries.get(i)) else { break };
                push_key(&mut path, entry);
                node = &entry.value;
            }
            Value::List(items) => {
                let after = items.partition_point(|item| item.at.offset <= place.offset);
                let Some(index) = after.checked_sub(1) else { break };
                if path == "rotations" {
                    rotation = rotation_name(&items[index]);
                }
                path.push('[');
                path.push_str(&index.to_string());
                path.push(']');
                node = &items[index];
            }
            Value::Scalar { .. } | Value::Refused => break,
        }
    }
    (path, rotation)
}

fn push_key(path: &mut String, entry: &Entry<'_>) {
    let key = if entry.is_printable() || entry.value.is_null() && is_identifier(&entry.key) {
        &*entry.key
    } else {
        "…"
    };
    if is_identifier(key) {
        path.push_str(if path.is_empty() { "" } else { "." });
        path.push_str(key);
    } else {
        path.extend(["[", key, "]"]);
    }
}

fn is_identifier(key: &str) -> bool {
    (1..=63).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn rotation_name(rotation: &Node<'_>) -> Option<String> {
    let Value::Map(entries) = &rotation.value else { return None };
    let name = &entries.iter().find(|e| e.key == "name")?.value;
    let Value::Scalar { text, .. } = &name.value else { return None };
    crate::rotation::RotationName::parse(text).map(|name| name.as_str().to_owned())
}
