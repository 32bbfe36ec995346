//! The three requests to a KV version 2 engine: read a version, write against a version, ask what we may do.
//!
//! Lacks an opinion on what the fields mean; that is the source's and the sink's. Reading takes vaultrs' request.
//! Writing has one of its own: vaultrs' carries values as a JSON tree, which would round numbers of others that are
//! only to be kept, and would leave tokens behind in memory.

use std::collections::BTreeMap;
use std::fmt;

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use rustify::errors::ClientError;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use vaultrs::api::kv2::requests::ReadSecretRequest;
use zeroize::Zeroizing;

use super::transport::Answer;
use super::{VaultError, VaultSession};
use crate::secret::SecretText;

/// A place in a KV engine, as the user wrote it, without slashes at either end of its parts.
#[derive(Clone, Debug)]
pub(super) struct KvPath {
    pub(super) mount: String,
    pub(super) path: String,
}

impl KvPath {
    pub(super) fn new(mount: &str, path: &str) -> Self {
        Self { mount: mount.trim_matches('/').to_owned(), path: path.trim_matches('/').to_owned() }
    }

    /// The path that policies speak of.
    pub(super) fn in_policies(&self) -> String {
        format!("{}/data/{}", self.mount, self.path)
    }
}

impl fmt::Display for KvPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.mount, self.path)
    }
}

#[derive(Debug)]
pub(super) enum Read {
    Present {
        version: u64,
        fields: BTreeMap<String, Field>,
    },
    /// Deleted or destroyed. Check-and-set goes on counting from its number.
    Deleted {
        version: u64,
    },
    /// There never was such a path, or such a version.
    Missing,
}

/// One field's value, as the JSON text that the server sent.
pub(super) struct Field(SecretText);

impl Field {
    /// The string that the field is. `Err` says what it is instead.
    pub(super) fn text(&self) -> Result<SecretText, &'static str> {
        match self.0.expose().as_bytes().first() {
            Some(b'"') => {
                serde_json::from_str::<String>(self.0.expose()).map(SecretText::new).map_err(|_| "no text")
            }
            Some(b'{') => Err("an object"),
            Some(b'[') => Err("a list"),
            Some(b't' | b'f') => Err("a boolean"),
            Some(b'n') => Err("null"),
            _ => Err("a number"),
        }
    }

    pub(super) fn json(&self) -> &SecretText {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text moves through without a copy, so the one that is zeroed is the only one.
        let raw: Box<str> = Box::<RawValue>::deserialize(deserializer)?.into();
        Ok(Self(SecretText::new(raw)))
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Reads the current version, or the named one. (Version 0 means "current" to Vault, so nobody may ask for it.)
pub(super) async fn read(
    session: &VaultSession,
    at: &KvPath,
    version: Option<u64>,
) -> Result<Read, VaultError> {
    let request = ReadSecretRequest { mount: at.mount.clone(), path: at.path.clone(), version };
    match session.call(&request).await? {
        Answer::Found(body) => match parse::<Version>(&body)? {
            Version { data: Some(fields), metadata } => {
                Ok(Read::Present { version: metadata.version, fields })
            }
            Version { data: None, metadata } => Ok(Read::Deleted { version: metadata.version }),
        },
        // A 404 has two shapes: one names the version that was deleted, one lists no errors. A third is not Vault's.
        Answer::NotFound(body) => match parse::<Version>(&body) {
            Ok(deleted) => Ok(Read::Deleted { version: deleted.metadata.version }),
            Err(_) if serde_json::from_slice::<Errors>(&body).is_ok() => Ok(Read::Missing),
            Err(_) => Err(VaultError::Malformed {
                why: "a 404 that is not Vault's own; does vault.address name Vault itself?".to_owned(),
            }),
        },
    }
}

/// What a field is written as.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Value<'a> {
    Text(&'a str),
    /// Someone else's, put back byte for byte.
    Json(&'a RawValue),
}

/// Writes all fields if the current version is still `against` (0: there never was one). Returns the new version.
pub(super) async fn write(
    session: &VaultSession,
    at: &KvPath,
    against: u64,
    fields: &BTreeMap<&str, Value<'_>>,
) -> Result<u64, VaultError> {
    let body = WriteBody { options: Options { cas: against }, data: fields };
    let unfit = |_| VaultError::Setting { why: "the fields cannot be written as JSON".to_owned() };
    let request =
        Post { path: at.in_policies(), body: Zeroizing::new(serde_json::to_vec(&body).map_err(unfit)?) };
    match session.call(&request).await? {
        Answer::Found(body) => Ok(parse::<Metadata>(&body)?.version),
        Answer::NotFound(_) => Err(VaultError::Missing),
    }
}

/// What our policies allow at this path. `None` where the answer names nothing.
pub(super) async fn capabilities(
    session: &VaultSession,
    at: &KvPath,
) -> Result<Option<Vec<String>>, VaultError> {
    let path = at.in_policies();
    let body = serde_json::json!({"paths": [&path]}).to_string();
    let request = Post { path: "sys/capabilities-self".to_owned(), body: Zeroizing::new(body.into_bytes()) };
    match session.call(&request).await? {
        Answer::Found(body) => {
            let mut by_path: BTreeMap<String, Vec<String>> = parse(&body)?;
            Ok(by_path.remove(&path))
        }
        Answer::NotFound(_) => Ok(None),
    }
}

/// A request with a body that is JSON already.
struct Post {
    path: String,
    body: Zeroizing<Vec<u8>>,
}

impl Endpoint for Post {
    type Response = ();
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        RequestMethod::POST
    }

    fn body(&self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(Some(self.body.to_vec()))
    }
}

#[derive(Serialize)]
struct WriteBody<'a, 'b> {
    options: Options,
    data: &'a BTreeMap<&'b str, Value<'b>>,
}

#[derive(Serialize)]
struct Options {
    cas: u64,
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Version {
    data: Option<BTreeMap<String, Field>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(rename = "errors")]
    _errors: Vec<serde::de::IgnoredAny>,
}

/// serde's own message may quote the text, so only its kind and place are told.
fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, VaultError> {
    use serde_json::error::Category;
    let envelope: Envelope<T> = serde_json::from_slice(body).map_err(|e| VaultError::Malformed {
        why: match e.classify() {
            Category::Eof => "it ends too early".to_owned(),
            Category::Data => "it is not what a KV version 2 engine sends; is the mount one?".to_owned(),
            Category::Syntax | Category::Io => {
                format!("it is no JSON (line {}, column {})", e.line(), e.column())
            }
        },
    })?;
    Ok(envelope.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_make_no_sense_are_named_without_being_quoted() {
        for (body, expected) in [
            ("<html>canary</html>", "it is no JSON (line 1, column 1)"),
            (r#"{"data":{"data":{"a":"canary"#, "it ends too early"),
            (r#"{"data":{"a":"canary"}}"#, "it is not what a KV version 2 engine sends; is the mount one?"),
            (r#"{"data":null}"#, "it is not what a KV version 2 engine sends; is the mount one?"),
            (
                r#"{"data":{"data":"canary","metadata":{"version":1}}}"#,
                "it is not what a KV version 2 engine sends; is the mount one?",
            ),
            ("", "it ends too early"),
        ] {
            let error = parse::<Version>(body.as_bytes()).err();
            assert_eq!(error, Some(VaultError::Malformed { why: expected.to_owned() }), "{body}");
        }
    }

    #[test]
    fn fields_keep_the_exact_text_of_others_and_yield_strings_unescaped() {
        let body =
            br#"{"data": {"metadata": {"version":7}, "data": {"text":"a\"\u00e4", "list":[ 1], "none":null,
            "number":1.2345678901234568e+22, "yes":true, "map":{}}}}"#;
        let version: Version = parse(body).unwrap();
        let fields = version.data.unwrap();
        assert_eq!(version.metadata.version, 7);
        assert_eq!(fields["text"].text().unwrap().expose(), "a\"ä");
        assert_eq!(fields["number"].json().expose(), "1.2345678901234568e+22");
        assert_eq!(fields["list"].json().expose(), "[ 1]");
        for (key, expected) in [
            ("number", "a number"),
            ("list", "a list"),
            ("none", "null"),
            ("yes", "a boolean"),
            ("map", "an object"),
        ] {
            assert_eq!(fields[key].text().unwrap_err(), expected);
        }
        assert_eq!(format!("{:?}", fields["text"]), "[redacted]");
    }

    #[test]
    fn slashes_around_mount_and_path_do_not_matter() {
        let at = KvPath::new("/team/secret/", "tokens/voice/");
        assert_eq!(at.to_string(), "team/secret/tokens/voice");
        assert_eq!(at.in_policies(), "team/secret/data/tokens/voice");
    }
}
