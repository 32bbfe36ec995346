//! YAML as a tree in which every key and value knows its place. JSON is YAML.
//!
//! What a configuration has no use for is refused here, with its place: anchors and aliases (a few lines of them can
//! stand for gigabytes), tags, keys that are no text, keys that appear twice, and depth beyond reason.

use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Value;

use super::mistake::{Mistake, Place};
use super::place::Step;

/// Deeper than any configuration that means something.
const DEEPEST: usize = 32;

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Place, Node)>),
}

impl Node {
    pub(super) fn empty_map(file: usize) -> Self {
        Self { place: Place { file, line: 1, column: 1 }, kind: Kind::Map(vec![]) }
    }

    pub(super) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => {
                entries.iter().map(|(key, _, node)| (key.clone(), node.to_json())).collect()
            }
        }
    }

    /// The node at a path, or the deepest one on the way to it.
    pub(super) fn nearest<'a>(&'a self, path: &[Step]) -> &'a Node {
        let Some((first, rest)) = path.split_first() else { return self };
        let child = match (&self.kind, first) {
            (Kind::List(items), Step::Item(index)) => items.get(*index),
            (Kind::Map(entries), Step::Key(key)) => {
                entries.iter().find(|(name, ..)| name == key).map(|(.., node)| node)
            }
            _ => None,
        };
        child.map_or(self, |child| child.nearest(rest))
    }

    /// The place of a key of this map.
    pub(super) fn key_place(&self, key: &str) -> Option<Place> {
        let Kind::Map(entries) = &self.kind else { return None };
        entries.iter().find(|(name, ..)| name == key).map(|(_, place, _)| *place)
    }
}

/// Parses one file. A syntax error ends it; everything else is collected.
pub(super) fn parse(file: usize, text: &str, mistakes: &mut Vec<Mistake>) -> Option<Node> {
    let mut builder = Builder { file, mistakes, parser: Parser::new_from_str(text), failed: false };
    builder.document()
}

struct Builder<'a, 'text> {
    file: usize,
    mistakes: &'a mut Vec<Mistake>,
    parser: Parser<'text, saphyr_parser::StrInput<'text>>,
    failed: bool,
}

impl<'text> Builder<'_, 'text> {
    fn document(&mut self) -> Option<Node> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Some(Node::empty_map(self.file)),
                (event, span) => {
                    let root = self.node(event, span, 0)?;
                    self.expect_the_end();
                    let empty = matches!(root.kind, Kind::Scalar(Value::Null));
                    let root = if empty { Node::empty_map(self.file) } else { root };
                    return (!self.failed).then_some(root);
                }
            }
        }
    }

    /// A second document in a file would be lost without a word.
    fn expect_the_end(&mut self) {
        while let Some((event, span)) = self.next() {
            match event {
                Event::StreamEnd => return,
                Event::DocumentStart(_) => {
                    let text = "a file holds one document: put the next one into a file of its own";
                    self.mistake(span, text, None);
                    return;
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Option<(Event<'text>, Span)> {
        match self.parser.next_event()? {
            Ok(next) => Some(next),
            Err(error) => {
                let marker = *error.marker();
                let place = Place { file: self.file, line: marker.line(), column: marker.col() + 1 };
                let mut mistake = Mistake::new(place, format!("this is not YAML: {}", error.info()));
                mistake.help = Some("often an indentation, a missing quote or a tab".into());
                self.mistakes.push(mistake);
                self.failed = true;
                None
            }
        }
    }

    fn node(&mut self, event: Event<'text>, span: Span, depth: usize) -> Option<Node> {
        let place = self.place(span);
        if depth > DEEPEST {
            self.mistake(span, "this is nested deeper than any configuration", None);
            self.failed = true;
            return None;
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
            Event::Alias(_) => (1, false),
            _ => (0, false),
        };
        if anchor != 0 || tag {
            let help = "write the value out at each place where it counts";
            self.mistake(span, "anchors, aliases and tags are not supported", Some(help));
        }
        let kind = match event {
            Event::Scalar(text, style, ..) => Kind::Scalar(scalar(&text, style)),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            _ => Kind::Scalar(Value::Null),
        };
        Some(Node { place, kind })
    }

    fn list(&mut self, depth: usize) -> Option<Kind> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Some(Kind::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Kind> {
        let mut entries: Vec<(String, Place, Node)> = Vec::new();
        let mut seen = std::collections::HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Some(Kind::Map(entries));
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span, depth + 1)?;
            let name = match key.kind {
                Kind::Scalar(Value::String(name)) => name,
                // `1: …` and `true: …` read as what they look like.
                Kind::Scalar(other) => other.to_string(),
                Kind::List(_) | Kind::Map(_) => {
                    self.mistake(span, "a key must be text", None);
                    continue;
                }
            };
            if let Some(first) = seen.insert(name.clone(), key.place) {
                let text = format!("the key {name} appears twice; it first appears in line {}", first.line);
                self.mistake(span, &text, Some("remove one of the two"));
                continue;
            }
            entries.push((name, key.place, value));
        }
    }

    fn place(&self, span: Span) -> Place {
        Place { file: self.file, line: span.start.line(), column: span.start.col() + 1 }
    }

    fn mistake(&mut self, span: Span, message: &str, help: Option<&str>) {
        let mut mistake = Mistake::new(self.place(span), message);
        mistake.help = help.map(Arc::from);
        self.mistakes.push(mistake);
    }
}

/// A plain scalar by YAML 1.2's core schema: no `yes`, no octal with a leading zero, no dates.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || (digits.len() > 1 && digits.starts_with('0')) {
        return digits.strip_prefix("0.").and_then(|_| float(text));
    }
    text.parse::<i64>().ok().map(Value::from).or_else(|| float(text))
}

fn float(text: &str) -> Option<Value> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse::<f64>().ok().filter(|_| plain).and_then(serde_json::Number::from_f64).map(Value::Number)
}
