//! The schema and the reading come from one description; these tests see to it that the leaves agree too.

use serde_json::{Value, json};

use super::*;
use crate::config::findings::Findings;
use crate::config::shape::Scalar;
use crate::config::tree::{self, Node};

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&config_schema()).unwrap()
}

fn config_schema() -> Value {
    super::super::schema()
}

fn to_json(text: &str) -> Value {
    fn convert(node: &Node<'_>) -> Value {
        match &node.value {
            tree::Value::List(items) => items.iter().map(convert).collect(),
            tree::Value::Map(entries) => {
                entries.iter().map(|entry| (entry.key.to_string(), convert(&entry.value))).collect()
            }
            tree::Value::Scalar { .. } if node.is_null() => Value::Null,
            tree::Value::Scalar { text, plain } => match Scalar::of(text, *plain) {
                Scalar::Flag(flag) => json!(flag),
                Scalar::Number => serde_json::from_str(text).unwrap(),
                Scalar::Text => json!(text),
            },
            tree::Value::Refused => panic!("none of the documents has such a value"),
        }
    }
    convert(&tree::plant(0, text, &mut Findings::new(vec!["a.yaml".into()])).unwrap())
}

#[test]
fn the_schema_accepts_what_is_read() {
    let validator = validator();
    let more =
        with_rotation("  renewAt: 12.5%\n  keys: {a: null, access_token: null}\n").replace("a: null, ", "");
    for text in [EXAMPLE, &more, "defaults: {sourceInterval: 0, driftInterval: '0'}", "{}", "rotations: []"] {
        assert!(parse_one(text).is_ok(), "{text}");
        let json = to_json(text);
        let errors: Vec<String> =
            validator.iter_errors(&json).map(|e| format!("{} {e}", e.instance_path())).collect();
        assert_eq!(errors, [""; 0], "{text}");
    }
}

#[test]
fn the_schema_refuses_what_is_refused_for_its_form() {
    let validator = validator();
    for text in [
        "colour: red",
        "installation: 5",
        "installation: ''",
        "installation: null",
        "rotations: {}",
        "vault: {address: 'https://v'}",
        "vault: {address: 'https://v', auth: {}}",
        "vault: {address: 'https://v', auth: {token: {env: A}, tokenFile: {path: b}}}",
        "vault: {address: 'https://v', auth: {token: {env: '9A'}}}",
        "vault: {address: 'v', auth: {token: {env: A}}}",
        "issuers: {a: {}}",
        "issuers: {a: {type: basic, timeout: 5s}}",
        "issuers: {a: {preset: other}}",
        "issuers: {a: {preset: bandwidth, timeout: 5}}",
        "issuers: {a: {preset: bandwidth, timeout: 5 s}}",
        "issuers: {a: {preset: bandwidth, maxConcurrent: 0}}",
        "issuers: {a: {preset: bandwidth, allowInsecure: 'true'}}",
        "issuers: {a: {preset: bandwidth, headers: {'a b': c}}}",
        "issuers: {a: {preset: bandwidth, parameters: {a: 1}}}",
        "issuers: {'a b': {preset: bandwidth}}",
        "defaults: {renewAt: 50}",
        "defaults: {renewAt: half}",
        "defaults: {sourceInterval: 60}",
        "receipts: {}",
        "rotations: [{name: a}]",
        "rotations: [{name: A, issuer: a, source: {env: {clientId: A, clientSecret: B}}, sinks: [{directory: {path: a}}]}]",
        "rotations: [{name: a, issuer: a, source: {env: {clientId: A}}, sinks: [{directory: {path: a}}]}]",
        "issuers: {a: {preset: bandwidth}}\nrotations: [{name: a, issuer: a, source: {env: {clientId: A, clientSecret: B, username: C}}, sinks: [{directory: {path: a}}]}]",
        "rotations: [{name: a, issuer: a, source: {env: {clientId: A, clientSecret: B}}, sinks: []}]",
        "rotations: [{name: a, issuer: a, source: {env: {clientId: A, clientSecret: B}}, sinks: [{directory: {path: a, mode: 440}}]}]",
        "rotations: [{name: a, issuer: a, renewAt: 5%, renewBefore: 5m, source: {env: {clientId: A, clientSecret: B}}, sinks: [{directory: {path: a}}]}]",
        "rotations: [{name: a, issuer: a, source: {env: {clientId: A, clientSecret: B}}, sinks: [{directory: {path: a}}], keys: {'a/b': c}}]",
    ] {
        assert!(parse_one(text).is_err(), "{text} is refused by reading");
        assert!(!validator.is_valid(&to_json(text)), "{text} is refused by the schema");
    }
}

#[test]
fn every_key_of_the_schema_is_described() {
    let schema = config_schema();
    jsonschema::meta::validate(&schema).unwrap();
    assert_eq!(schema["$schema"], json!("https://json-schema.org/draft/2020-12/schema"));
    let root = "the document".to_owned();
    for (name, definition) in schema["$defs"].as_object().unwrap().iter().chain([(&root, &schema)]) {
        assert!(definition["description"].as_str().is_some_and(|text| text.len() > 5), "{name}");
        for (key, property) in definition["properties"].as_object().unwrap() {
            assert!(property["description"].as_str().is_some_and(|text| text.len() > 5), "{name}.{key}");
        }
    }
    assert!(schema["$defs"]["Rotation"]["properties"]["sinks"]["description"].is_string());
}
