//! The one description of what the configuration's text may be: a [`Shape`] both reads a node and gives its JSON
//! Schema, so the schema cannot promise what reading refuses.
//!
//! Reading never stops at a mistake. A part that cannot be read leaves a gap ([`Slot::Broken`]) that later checks
//! step over, so that every mistake is found in one pass. serde cannot do this: it stops at the first.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::findings::{Findings, Place, Spanned, join};
use super::tree::{Entry, Node, Value};

pub(super) trait Shape: Sized {
    /// Whether a value of this kind may be printed. Only kinds that nobody mistakes for a secret say yes.
    const SHOW: bool = false;

    /// `None` if something was wrong, which has been reported then.
    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self>;

    fn schema(schemas: &mut Schemas) -> Json;
}

/// What stands under a key.
#[derive(Debug, Default)]
pub(super) enum Slot<T> {
    #[default]
    Absent,
    /// Something that has been reported as a mistake.
    Broken(Place),
    /// Boxed, since most keys of most sections are absent: 10,000 rotations would else take twice the memory.
    Put(Box<Spanned<T>>),
}

impl<T> Slot<T> {
    pub(super) fn get(&self) -> Option<&T> {
        self.spanned().map(|spanned| &spanned.value)
    }

    pub(super) fn spanned(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Put(spanned) => Some(spanned),
            Self::Absent | Self::Broken(_) => None,
        }
    }

    /// Where it was written, right or wrong.
    pub(super) fn place(&self) -> Option<Place> {
        match self {
            Self::Absent => None,
            Self::Broken(at) => Some(*at),
            Self::Put(spanned) => Some(spanned.at),
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// Which keys of a section were written, right or wrong, and where.
pub(super) trait Written {
    fn written(&self) -> Vec<(&'static str, Place)>;
}

/// The definitions that a schema refers to.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, Json>);

/// One key of a section, for the schema.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) required: bool,
    pub(super) schema: Json,
}

impl Schemas {
    /// Adds a map with exactly these keys, and returns the reference to it. `more` are keywords besides.
    pub(super) fn define(&mut self, name: &str, about: &str, keys: &[Key], more: Json) -> Json {
        let name = name.trim_end_matches("Document");
        let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
        let properties: Map<String, Json> =
            keys.iter().map(|key| (key.name.to_owned(), described(key.schema.clone(), key.about))).collect();
        let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if let (Some(schema), Json::Object(more)) = (schema.as_object_mut(), more) {
            schema.extend(more);
        }
        self.0.insert(name.to_owned(), described(schema, about));
        json!({"$ref": format!("#/$defs/{name}")})
    }

    /// The whole schema, whose root is the definition that is referred to.
    pub(super) fn into_schema(mut self, root: &Json) -> Json {
        let name = root["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")).unwrap_or_default();
        let mut schema = self.0.remove(name).unwrap_or_default();
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        schema["title"] = json!("Everbearer configuration");
        schema["$defs"] = json!(self.0);
        schema
    }
}

fn described(mut schema: Json, about: &str) -> Json {
    let lines: Vec<&str> = about.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    schema["description"] = json!(lines.join(" "));
    schema
}

/// A map whose keys are known, while it is being read.
pub(super) struct Section<'n, 'a> {
    at: Place,
    entries: &'n [Entry<'a>],
    /// Known keys that an unknown key was probably meant to be.
    meant: Vec<String>,
}

impl Section<'_, '_> {
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }
}

/// Opens a map and reports its unknown keys.
pub(super) fn open<'n, 'a>(
    node: &'n Node<'a>,
    known: &[&str],
    findings: &mut Findings,
) -> Option<Section<'n, 'a>> {
    let Value::Map(entries) = &node.value else {
        let help = format!("its keys are {}", known.join(", "));
        unexpected(node, "a map", Some(help), findings);
        return None;
    };
    let mut meant = Vec::new();
    for entry in entries.iter().filter(|entry| !known.contains(&&*entry.key)) {
        let help = findings.suggest(&entry.key, known.iter().copied());
        meant.extend(super::findings::nearest(&entry.key, known.iter().copied()).map(str::to_owned));
        let (at, message) = if entry.is_printable() {
            (entry.at, format!("unknown key {}", entry.key))
        } else {
            (
                entry.at.parent(),
                "unknown key (not shown, for it may be a value in the wrong place)".to_owned(),
            )
        };
        match help {
            Some(help) => findings.mistake_with_help(at, message, help),
            None => findings.mistake(at, message),
        }
    }
    Some(Section { at: node.at, entries, meant })
}

/// Reads what stands under one key.
pub(super) fn slot<T: Shape>(
    section: &Section<'_, '_>,
    key: &str,
    required: bool,
    findings: &mut Findings,
) -> Slot<T> {
    match section.entries.iter().find(|entry| entry.key == key) {
        Some(entry) => read_spanned(&entry.value, findings)
            .map_or(Slot::Broken(entry.at), |put| Slot::Put(Box::new(put))),
        None if required => {
            findings.mistake(section.at, format!("{key} is missing"));
            Slot::Broken(section.at)
        }
        // It stands there misspelt, and that has been reported.
        None if section.meant.iter().any(|meant| meant == key) => Slot::Broken(section.at),
        None => Slot::Absent,
    }
}

fn read_spanned<T: Shape>(node: &Node<'_>, findings: &mut Findings) -> Option<Spanned<T>> {
    let at = Place { show: T::SHOW, ..node.at };
    T::read(node, findings).map(|value| Spanned { at, value })
}

/// Reports a node of a wrong kind. Says which kind was found, never the value.
pub(super) fn unexpected(node: &Node<'_>, expected: &str, help: Option<String>, findings: &mut Findings) {
    let found = match &node.value {
        Value::Refused => return,
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Scalar { .. } if node.is_null() => "nothing",
        Value::Scalar { text, plain } => match Scalar::of(text, *plain) {
            Scalar::Flag(_) => "true or false",
            Scalar::Number => "a number",
            Scalar::Text => "text",
        },
    };
    let message = format!("expected {expected}, found {found}");
    match help {
        Some(help) => findings.mistake_with_help(node.at, message, help),
        None => findings.mistake(node.at, message),
    }
}

/// What a scalar is by YAML 1.2's core schema, if it is not null.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Flag(bool),
    Number,
    Text,
}

impl Scalar {
    pub(super) fn of(text: &str, plain: bool) -> Self {
        let radix =
            |prefix, radix| text.strip_prefix(prefix).is_some_and(|t| u64::from_str_radix(t, radix).is_ok());
        match text {
            _ if !plain => Self::Text,
            "true" | "True" | "TRUE" => Self::Flag(true),
            "false" | "False" | "FALSE" => Self::Flag(false),
            _ if radix("0x", 16) || radix("0o", 8) => Self::Number,
            // `inf` and `nan` are numbers to Rust and text to YAML.
            _ if text.bytes().any(|b| b.is_ascii_digit()) && text.parse::<f64>().is_ok() => Self::Number,
            _ => Self::Text,
        }
    }
}

/// A list of `MIN` to `MAX` elements, without those that were wrong.
#[derive(Debug)]
pub(super) struct List<T, const MIN: usize = 0, const MAX: usize = 1_000_000> {
    pub(super) items: Vec<Spanned<T>>,
}

impl<T: Shape, const MIN: usize, const MAX: usize> Shape for List<T, MIN, MAX> {
    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        let Value::List(nodes) = &node.value else {
            unexpected(
                node,
                "a list",
                node.is_null().then(|| "write `[]` for an empty list".to_owned()),
                findings,
            );
            return None;
        };
        if !(MIN..=MAX).contains(&nodes.len()) {
            let wanted = if nodes.len() < MIN { format!("at least {MIN}") } else { format!("at most {MAX}") };
            findings.mistake(node.at, format!("this list takes {wanted}, and has {}", nodes.len()));
            return None;
        }
        // Exact: collecting what is filtered would make room for four where there is one sink.
        let mut items = Vec::with_capacity(nodes.len());
        items.extend(nodes.iter().filter_map(|item| read_spanned(item, findings)));
        Some(Self { items })
    }

    fn schema(schemas: &mut Schemas) -> Json {
        json!({"type": "array", "items": T::schema(schemas), "minItems": MIN, "maxItems": MAX})
    }
}

/// A value that may be `null`.
#[derive(Debug)]
pub(super) struct Nullable<T>(pub(super) Option<T>);

impl<T: Shape> Shape for Nullable<T> {
    const SHOW: bool = T::SHOW;

    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        if node.is_null() { Some(Self(None)) } else { T::read(node, findings).map(|value| Self(Some(value))) }
    }

    fn schema(schemas: &mut Schemas) -> Json {
        json!({"anyOf": [T::schema(schemas), {"type": "null"}]})
    }
}

/// Reports unless exactly one of the keys is there.
pub(super) fn exactly_one(section: &Section<'_, '_>, known: &[&str], findings: &mut Findings) -> bool {
    let there: Vec<&str> = known.iter().copied().filter(|key| section.has(key)).collect();
    let found = match there.as_slice() {
        [_] => return true,
        // The key that is meant has been reported as unknown.
        [] if !section.meant.is_empty() => return false,
        [] => "none".to_owned(),
        [_, _] => format!("both {}", join(&there, "and")),
        more => join(more, "and"),
    };
    findings
        .mistake(section.at, format!("exactly one of {} is wanted here; found {found}", known.join(", ")));
    false
}

/// A map with known keys: reads into a struct of [`Slot`]s and describes itself. Doc comments become descriptions.
macro_rules! section {
    ($(#[doc = $doc:literal])+ $name:ident {
        $($(#[doc = $about:literal])+ $need:ident $key:literal => $field:ident: $shape:ty,)+
    } $(where $more:expr)?) => {
        $(#[doc = $doc])+
        #[derive(Debug, Default)]
        pub(super) struct $name {
            /// Where the map stands.
            #[allow(dead_code, reason = "only some sections are blamed as a whole")]
            pub(super) at: $crate::config::findings::Place,
            $($(#[doc = $about])+ pub(super) $field: $crate::config::shape::Slot<$shape>,)+
        }

        impl $crate::config::shape::Shape for $name {
            fn read(
                node: &$crate::config::tree::Node<'_>,
                findings: &mut $crate::config::findings::Findings,
            ) -> Option<Self> {
                use $crate::config::shape::{need, open, slot};
                let section = open(node, &[$($key),+], findings)?;
                Some(Self { at: node.at, $($field: slot(&section, $key, need!($need), findings),)+ })
            }

            fn schema(schemas: &mut $crate::config::shape::Schemas) -> serde_json::Value {
                use $crate::config::shape::{Key, Shape, need};
                let keys = [$(Key {
                    name: $key,
                    about: concat!($($about, "\n"),+),
                    required: need!($need),
                    schema: <$shape as Shape>::schema(schemas),
                }),+];
                let more = [serde_json::Value::Null $(, $more)?];
                let [.., more] = more;
                schemas.define(stringify!($name), concat!($($doc, "\n"),+), &keys, more)
            }
        }

        impl $crate::config::shape::Written for $name {
            fn written(&self) -> Vec<(&'static str, $crate::config::findings::Place)> {
                [$(($key, self.$field.place())),+].into_iter().filter_map(|(key, at)| Some((key, at?))).collect()
            }
        }
    };
}

/// A map with exactly one of several keys: reads into an enum and describes itself.
macro_rules! choice {
    ($(#[doc = $doc:literal])+ $name:ident {
        $($(#[doc = $about:literal])+ $key:literal => $variant:ident($shape:ty),)+
    }) => {
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub(super) enum $name {
            $($(#[doc = $about])+ $variant($shape),)+
        }

        impl $crate::config::shape::Shape for $name {
            fn read(
                node: &$crate::config::tree::Node<'_>,
                findings: &mut $crate::config::findings::Findings,
            ) -> Option<Self> {
                use $crate::config::shape::{Slot, exactly_one, open, slot};
                let known = [$($key),+];
                let section = open(node, &known, findings)?;
                let mut read = None;
                $(if let Slot::Put(put) = slot::<$shape>(&section, $key, false, findings) {
                    read = Some(Self::$variant(put.value));
                })+
                exactly_one(&section, &known, findings).then_some(read)?
            }

            fn schema(schemas: &mut $crate::config::shape::Schemas) -> serde_json::Value {
                use $crate::config::shape::{Key, Shape};
                let keys = [$(Key {
                    name: $key,
                    about: concat!($($about, "\n"),+),
                    required: false,
                    schema: <$shape as Shape>::schema(schemas),
                }),+];
                let more = serde_json::json!({"minProperties": 1, "maxProperties": 1});
                schemas.define(stringify!($name), concat!($($doc, "\n"),+), &keys, more)
            }
        }
    };
}

macro_rules! need {
    (required) => {
        true
    };
    (optional) => {
        false
    };
}

pub(super) use {choice, need, section};
