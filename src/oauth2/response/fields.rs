//! The fields of a response body, JSON or form-encoded, whatever its content type says.
//!
//! Everything read is wiped when dropped, since it holds the token. Nesting is bounded by `serde_json` (128 levels),
//! size by the caller.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use zeroize::{Zeroize as _, Zeroizing};

use crate::secret::SecretText;

/// The fields that decide something. Two different values for one of them leave open which is meant.
const DECISIVE: [&str; 7] =
    ["access_token", "access_token_id", "token_type", "expires_in", "expires_at", "expires_on", "error"];

pub(super) struct Fields {
    map: Map<String, Value>,
    /// A decisive field stands twice, with different values.
    ambiguous: bool,
    /// Bytes of the body.
    size: usize,
}

impl Fields {
    /// Parses a body; on failure says why in words that hold nothing of it.
    pub(super) fn read(body: &[u8]) -> Result<Self, &'static str> {
        // Text in an old encoding spoils its own field only; a token is checked for ASCII later.
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}').trim();
        let mut fields = match text.as_bytes().first() {
            None => return Err("the body is empty"),
            Some(b'<') => {
                return Err("the body is HTML or XML, so it is probably no token endpoint that answers");
            }
            Some(b'{') => Self::from_json(text.as_bytes()).ok_or("the body is cut short or no valid JSON")?,
            Some(_) => Self::from_form(text).ok_or("the body is neither a JSON object nor form-encoded")?,
        };
        fields.size = text.len();
        if fields.ambiguous { Err("a field stands twice with different values") } else { Ok(fields) }
    }

    /// An unambiguous JSON object, such as a JWT's claims.
    pub(super) fn object(json: &[u8]) -> Option<Self> {
        Self::from_json(json).filter(|fields| !fields.ambiguous)
    }

    fn from_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// GitHub answers so unless asked for JSON.
    fn from_form(text: &str) -> Option<Self> {
        let plausible = text.contains('=') && !text.bytes().any(|b| b.is_ascii_whitespace() || b == b'{');
        let mut fields = Self::empty();
        for (key, value) in url::form_urlencoded::parse(text.as_bytes()).filter(|_| plausible) {
            fields.insert(key.into_owned(), Value::String(value.into_owned()));
        }
        plausible.then_some(fields)
    }

    fn empty() -> Self {
        Self { map: Map::new(), ambiguous: false, size: 0 }
    }

    /// The last value counts, as with most readers of JSON.
    fn insert(&mut self, key: String, value: Value) {
        if DECISIVE.contains(&key.as_str()) && self.map.get(&key).is_some_and(|earlier| *earlier != value) {
            self.ambiguous = true;
        }
        if let Some(mut earlier) = self.map.insert(key, value) {
            wipe(&mut earlier);
        }
    }

    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.value(key).and_then(Value::as_str)
    }

    /// The `error` field, unless it says that there is none: some providers always send it.
    pub(super) fn error(&self) -> Option<&Value> {
        self.value("error").filter(|value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            _ => true,
        })
    }

    /// The whole response as one JSON object, for templates.
    pub(super) fn to_json(&self) -> SecretText {
        // Large enough for all but odd escapes: a growing buffer would leave unwiped copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(self.size * 2));
        // Writing a map with text keys into memory cannot fail.
        let written = serde_json::to_writer(&mut *json, &self.map);
        SecretText::new(written.ok().and_then(|()| std::str::from_utf8(&json).ok()).unwrap_or("{}"))
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        self.map.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::empty();
                while let Some((key, value)) = access.next_entry()? {
                    fields.insert(key, value);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object)
    }
}
