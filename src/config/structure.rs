//! The check of a document against its schema: unknown keys, wrong types, missing keys, each with its place.
//!
//! What is wrong is reported and left out, so that the meaning of the rest can be checked in the same pass.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use serde_json::Value;

use super::document::Document;
use super::mistake::Mistake;
use super::place::{Path, Step};
use super::suggestion::did_you_mean;
use super::tree::{Kind, Node};

/// JSON Schema (draft 2020-12) of a configuration.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Document).to_value();
    without_null_defaults(&mut schema);
    schema
}

/// Every field may be absent; that it would be null then is our own affair.
fn without_null_defaults(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(properties)) = map.get_mut("properties") {
                properties.values_mut().for_each(without_null);
            }
            map.values_mut().for_each(without_null_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null_defaults),
        _ => {}
    }
}

fn without_null(property: &mut Value) {
    let Value::Object(property) = property else { return };
    property.remove("default");
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            property.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(mut choices)) = property.remove("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(one)] = &choices[..] {
            property.extend(one.clone());
        } else {
            property.insert("anyOf".into(), Value::Array(choices));
        }
    }
}

/// The document, without what is reported.
pub(super) fn check(root: &Node, mistakes: &mut Vec<Mistake>) -> Document {
    let mut json = root.to_json();
    let schema = schema();
    let Ok(validator) = jsonschema::validator_for(&schema) else {
        mistakes.push(Mistake::new(root.place, "the built-in schema is broken: a defect of Everbearer"));
        return Document::default();
    };
    let mut spoilt = Vec::new();
    for error in validator.iter_errors(&json) {
        report(root, &error, &schema, &mut spoilt, mistakes);
    }
    // The last first: removing an item must not move another that is to be removed.
    spoilt.sort();
    spoilt.dedup();
    for path in spoilt.iter().rev() {
        remove(&mut json, path);
    }
    serde_json::from_value(json).unwrap_or_else(|error| {
        // Only a schema that is laxer than the types leads here.
        mistakes
            .push(Mistake::new(root.place, format!("this cannot be read ({:?} error)", error.classify())));
        Document::default()
    })
}

fn report(
    root: &Node,
    error: &ValidationError<'_>,
    schema: &Value,
    spoilt: &mut Vec<Path>,
    mistakes: &mut Vec<Mistake>,
) {
    let path: Path = error.instance_path().segments().map(step).collect();
    let node = root.nearest(&path);
    let mut mistake = |place, path: &Path, message: String, help: Option<String>| {
        mistakes.push(Mistake { help: help.map(Into::into), ..Mistake::new(place, message).at(root, path) });
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = known_keys(schema, error.schema_path().as_str());
            for key in unexpected {
                let place = node.key_place(key).unwrap_or(node.place);
                let whole = path.with(Step::Key(key.clone()));
                mistake(place, &whole, format!("unknown key {key}"), Some(did_you_mean(key, &known)));
                spoilt.push(whole);
            }
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            mistake(node.place, &path, format!("{key} is missing"), None);
        }
        ValidationErrorKind::MinProperties { .. } | ValidationErrorKind::MaxProperties { .. } => {
            let known = known_keys(schema, error.schema_path().as_str()).join(", ");
            let found = match &node.kind {
                Kind::Map(entries) if entries.is_empty() => "none".into(),
                Kind::Map(entries) => {
                    entries.iter().map(|(key, ..)| key.as_str()).collect::<Vec<_>>().join(" and ")
                }
                _ => "something else".into(),
            };
            mistake(node.place, &path, format!("exactly one of {known} is wanted; found: {found}"), None);
            spoilt.push(path);
        }
        kind => {
            mistake(node.place, &path, describe(kind, node), None);
            spoilt.push(path);
        }
    }
}

fn describe(kind: &ValidationErrorKind, node: &Node) -> String {
    let found = match &node.kind {
        Kind::Scalar(Value::Null) => "nothing",
        Kind::Scalar(Value::Bool(_)) => "true or false",
        Kind::Scalar(Value::Number(_)) => "a number",
        Kind::Scalar(_) => "text",
        Kind::List(_) => "a list",
        Kind::Map(_) => "keys with values",
    };
    match kind {
        ValidationErrorKind::Type { kind } => format!("{} is wanted here, not {found}", wanted(kind)),
        ValidationErrorKind::Enum { options } => {
            let options: Vec<&str> =
                options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let nearest = match &node.kind {
                Kind::Scalar(Value::String(text)) if text.len() <= 40 => {
                    super::suggestion::nearest(text, &options)
                }
                _ => None,
            };
            let nearest = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
            format!("one of {} is wanted here{nearest}", options.join(", "))
        }
        ValidationErrorKind::Minimum { limit } => format!("at least {limit} is wanted here"),
        ValidationErrorKind::Maximum { limit } => format!("at most {limit} is allowed here"),
        ValidationErrorKind::MinItems { limit } => format!("at least {limit} is wanted in this list"),
        ValidationErrorKind::MaxItems { limit } => format!("at most {limit} are allowed in this list"),
        _ => "this does not fit the schema".into(),
    }
}

fn wanted(kind: &TypeKind) -> String {
    let word = |name: &str| match name {
        "object" => "a map of keys and values",
        "array" => "a list",
        "string" => "text (in quotes, if it looks like a number)",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        _ => "nothing",
    };
    match kind {
        TypeKind::Single(one) => word(one.as_str()).into(),
        TypeKind::Multiple(several) => {
            several.into_iter().map(|one| word(one.as_str())).collect::<Vec<_>>().join(" or ")
        }
    }
}

/// The keys beside a keyword of the schema, such as `/$defs/Rotation/additionalProperties`.
fn known_keys(schema: &Value, keyword: &str) -> Vec<String> {
    let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties =
        schema.pointer(parent).and_then(|object| object.get("properties")).and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

fn step(segment: LocationSegment<'_>) -> Step {
    match segment {
        LocationSegment::Property(key) => Step::Key(key.into_owned()),
        LocationSegment::Index(index) => Step::Item(index),
    }
}

fn remove(json: &mut Value, path: &Path) {
    let Some((last, parents)) = path.0.split_last() else {
        *json = Value::Object(serde_json::Map::new());
        return;
    };
    let mut at = json;
    for step in parents {
        let child = match step {
            Step::Key(key) => at.get_mut(key),
            Step::Item(index) => at.get_mut(*index),
        };
        let Some(child) = child else { return };
        at = child;
    }
    match (at, last) {
        (Value::Object(map), Step::Key(key)) => {
            map.remove(key);
        }
        // An item keeps its place, so that the paths of its neighbours stay true.
        (Value::Array(items), Step::Item(index)) => {
            if let Some(item) = items.get_mut(*index) {
                *item = if item.is_object() {
                    Value::Object(serde_json::Map::new())
                } else {
                    Value::String(String::new())
                };
            }
        }
        _ => {}
    }
}
