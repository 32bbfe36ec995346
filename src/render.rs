//! The keys that a sink holds, made from a token: the default ones, and those that the user writes as templates.
//!
//! A template sees the token and nothing else: no file, no environment, no other template, no clock. Its work and
//! its output are bounded. An error names the key and the line, never a value and never the template's text, for
//! both may hold secrets. What templates handle inside the engine (minijinja's values, parsed claims) is freed but
//! not zeroed; what this file allocates itself is.

mod variables;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{Timestamp, TimestampRound, Unit};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::rotation::failure::{Classify, FailureKind};
use crate::rotation::receipt::SpecDigest;
use crate::rotation::{Material, MintedToken, RotationName};
use crate::secret::{Content, SecretBytes, SecretText};

/// Bytes that one template may write. A Kubernetes Secret holds 1 MiB in all.
const LARGEST_VALUE: usize = 512 * 1024;

/// Steps of one template: minijinja counts about one for each instruction and for each 64 bytes of data, so this
/// also bounds what a template allocates (some 6 MB). It is also well above what [`LARGEST_VALUE`] costs.
const FUEL: u64 = 100_000;

/// Every key that some kind of token has by default.
const DEFAULT_KEYS: [&str; 6] =
    ["access_token", "token_type", "authorization", "expires_at", "username", "password"];

/// Names that sinks use for their own ends.
pub(crate) const RESERVED_KEYS: [&str; 3] = [".receipt.json", ".everbearer.lock", "everbearer_receipt"];

/// What makes a sink's content out of a token: `keys` of the configuration, checked.
pub struct Templates {
    keys: Box<[Key]>,
    digest: SpecDigest,
}

struct Key {
    name: Arc<str>,
    /// `None` leaves a default key out.
    template: Option<Box<str>>,
}

impl Templates {
    /// Checks names, syntax and variables of all templates; the first mistake is returned.
    pub fn new(keys: &BTreeMap<String, Option<String>>) -> Result<Self, RenderError> {
        for (key, template) in keys {
            check_name(key)?;
            match template {
                Some(template) => check_template(key, template)?,
                None if DEFAULT_KEYS.contains(&key.as_str()) => {}
                None => return Err(RenderError::NothingToLeaveOut { key: key.clone() }),
            }
        }
        let digest = digest(keys);
        let keys = keys.iter().map(|(name, template)| Key {
            name: name.as_str().into(),
            template: template.as_deref().map(Into::into),
        });
        Ok(Self { keys: keys.collect(), digest })
    }

    /// The content of every sink of `rotation` for this token. The same token and templates make the same bytes.
    pub fn render(&self, rotation: &RotationName, token: &MintedToken) -> Result<Content, RenderError> {
        let mut pairs: Vec<(Arc<str>, SecretBytes)> = default_pairs(token)
            .into_iter()
            .filter(|(key, _)| !self.keys.iter().any(|own| &*own.name == *key))
            .map(|(key, value)| (Arc::from(key), SecretBytes::from(value)))
            .collect();
        if self.keys.iter().any(|key| key.template.is_some()) {
            let variables = variables::of(rotation, token);
            for Key { name, template } in &self.keys {
                if let Some(template) = template {
                    pairs.push((Arc::clone(name), render_one(name, template, &variables)?));
                }
            }
        }
        Ok(Content::new(pairs))
    }

    /// Changes when the same token would make another content: the sinks are then served again, without a mint.
    #[must_use]
    pub fn digest(&self) -> SpecDigest {
        self.digest
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: a template may hold a secret that the user wrote into it.
        f.debug_set().entries(self.keys.iter().map(|key| &key.name)).finish()
    }
}

/// The token inside a content whose receipt has been verified, so that changed templates can be applied to it
/// without a mint. `None` where the default keys do not tell it: left out, or overridden with something else.
#[must_use]
pub fn reread(content: &Content) -> Option<Material> {
    let text = |key: &str| content.expose(key).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let authorization = text("authorization")?;
    if let (Some(access_token), Some(token_type)) = (text("access_token"), text("token_type")) {
        let agreed = authorization.strip_prefix(token_type)?.strip_prefix(' ')? == access_token;
        return (agreed && !access_token.is_empty()).then(|| Material::Bearer {
            access_token: SecretText::new(access_token),
            token_type: token_type.into(),
            response: None,
        });
    }
    let (username, password) = (SecretText::new(text("username")?), SecretText::new(text("password")?));
    let agreed = basic_authorization(&username, &password).expose() == authorization;
    agreed.then_some(Material::Basic { username, password })
}

/// The keys of a token without any template.
fn default_pairs(token: &MintedToken) -> Vec<(&'static str, SecretText)> {
    let mut pairs = match &token.material {
        Material::Bearer { access_token, token_type, response: _ } => {
            vec![("access_token", access_token.clone()), ("token_type", SecretText::new(&**token_type))]
        }
        Material::Basic { username, password } => {
            vec![("username", username.clone()), ("password", password.clone())]
        }
    };
    pairs.push(("authorization", authorization(&token.material)));
    if let Some(validity) = token.validity {
        pairs.push(("expires_at", SecretText::new(whole_seconds(validity.expires_at()))));
    }
    pairs
}

/// The whole value of the HTTP header (RFC 6750 §2.1, RFC 7617 §2).
fn authorization(material: &Material) -> SecretText {
    match material {
        Material::Bearer { access_token, token_type, response: _ } => {
            joined(&[token_type, " ", access_token.expose()])
        }
        Material::Basic { username, password } => basic_authorization(username, password),
    }
}

fn basic_authorization(username: &SecretText, password: &SecretText) -> SecretText {
    let pair = joined(&[username.expose(), ":", password.expose()]);
    // Encoded into a buffer of the exact size: one that grows would leave copies behind.
    let encoded_len = base64::encoded_len(pair.expose().len(), true).unwrap_or_default();
    let mut encoded = Zeroizing::new(String::with_capacity(encoded_len));
    STANDARD.encode_string(pair.expose(), &mut encoded);
    joined(&["Basic ", &encoded])
}

/// The parts in one allocation of the exact size.
fn joined(parts: &[&str]) -> SecretText {
    let mut whole = String::with_capacity(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        whole.push_str(part);
    }
    SecretText::new(whole)
}

/// RFC 3339, UTC, whole seconds, never later than the instant itself.
fn whole_seconds(instant: Timestamp) -> String {
    let down = TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor);
    instant.round(down).unwrap_or(instant).to_string()
}

/// The same names for every kind of sink: those that a Kubernetes Secret takes.
fn check_name(key: &str) -> Result<(), RenderError> {
    let refused = |why| Err(RenderError::Name { key: key.chars().take(64).collect(), why });
    if !(1..=253).contains(&key.len()) {
        return refused("a key has 1 to 253 characters");
    }
    if !key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return refused("a key consists of letters, digits, `-`, `_` and `.`");
    }
    if key == "." || key.starts_with("..") {
        return refused("a key that begins with `..` would hide among a folder's own links");
    }
    if RESERVED_KEYS.contains(&key) {
        return refused("Everbearer uses this name itself");
    }
    Ok(())
}

fn check_template(key: &str, template: &str) -> Result<(), RenderError> {
    let engine = engine();
    let parsed = engine.template_from_str(template).map_err(|error| explain(key, &error))?;
    let mut unknown: Vec<String> = parsed.undeclared_variables(false).into_iter().collect();
    unknown.retain(|name| {
        !variables::NAMES.contains(&name.as_str()) && !engine.globals().any(|(global, _)| global == name)
    });
    unknown.sort(); // of several, always the same one is named
    match unknown.into_iter().next() {
        Some(name) => Err(RenderError::UnknownVariable { key: key.to_owned(), name }),
        None => Ok(()),
    }
}

fn render_one(key: &str, template: &str, variables: &minijinja::Value) -> Result<SecretBytes, RenderError> {
    let engine = engine();
    let parsed = engine.template_from_str(template).map_err(|error| explain(key, &error))?;
    let mut output = Output::default();
    match parsed.render_captured_to(variables.clone(), &mut output) {
        Ok(_) => Ok(SecretBytes::from(output.bytes.to_vec())), // an exact copy; the buffer itself is zeroed
        Err(_) if output.overflowed => {
            Err(RenderError::TooLarge { key: key.to_owned(), limit: LARGEST_VALUE })
        }
        Err(error) => Err(explain(key, &error)),
    }
}

/// Cheap to make (the built-in filters are shared), so that no rotation holds one.
pub(crate) fn engine<'source>() -> Environment<'source> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    // What is written is what is delivered, the newline at its end included.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        engine.set_syntax(syntax);
    }
    engine
}

/// Drops everything of the engine's error but its kind and line: details and sources may echo values.
fn explain(key: &str, error: &minijinja::Error) -> RenderError {
    let (key, line) = (key.to_owned(), error.line().unwrap_or(1));
    match error.kind() {
        ErrorKind::SyntaxError | ErrorKind::BadEscape => RenderError::Syntax { key, line },
        ErrorKind::UndefinedError => RenderError::Undefined { key, line },
        ErrorKind::OutOfFuel => RenderError::OutOfFuel { key },
        kind => RenderError::Failed { key, line, kind: kind.to_string() },
    }
}

/// Collects a template's output up to [`LARGEST_VALUE`]; every buffer that it outgrows is zeroed.
#[derive(Default)]
struct Output {
    bytes: Zeroizing<Vec<u8>>,
    overflowed: bool,
}

impl io::Write for Output {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let needed = self.bytes.len() + more.len();
        if needed > LARGEST_VALUE {
            self.overflowed = true;
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        if needed > self.bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two().max(4096)));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whatever could be mistaken for another list of keys must not digest alike, hence the verb before each key.
fn digest(keys: &BTreeMap<String, Option<String>>) -> SpecDigest {
    let own = keys.iter().flat_map(|(key, template)| match template {
        Some(template) => vec![("template", key.as_str()), ("is", template.as_str())],
        None => vec![("leave out", key.as_str())],
    });
    // Another number when a release changes what the default keys hold.
    SpecDigest::of(std::iter::once(("default keys", "keys/1")).chain(own))
}

/// Why a content cannot be made. Nothing in it comes from a token or from a template's text but names.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RenderError {
    #[error("the key `{key}` cannot be used: {why}")]
    Name { key: String, why: &'static str },
    #[error("the key `{key}` is null, but there is no default key of this name to leave out ({})", DEFAULT_KEYS.join(", "))]
    NothingToLeaveOut { key: String },
    #[error("the template of key `{key}` does not parse: look at line {line} of it")]
    Syntax { key: String, line: usize },
    #[error("the template of key `{key}` uses `{name}`, which does not exist ({})", variables::NAMES.join(", "))]
    UnknownVariable { key: String, name: String },
    #[error(
        "the template of key `{key}` uses a value that this token does not have (line {line}). Ask `is defined` first, or leave the key out"
    )]
    Undefined { key: String, line: usize },
    #[error("the template of key `{key}` fails on line {line}: {kind}")]
    Failed { key: String, line: usize, kind: String },
    #[error("the template of key `{key}` does too much work. Shorten its loops")]
    OutOfFuel { key: String },
    #[error("the template of key `{key}` writes more than {limit} bytes")]
    TooLarge { key: String, limit: usize },
}

impl Classify for RenderError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Name { .. }
            | Self::NothingToLeaveOut { .. }
            | Self::Syntax { .. }
            | Self::UnknownVariable { .. }
            | Self::Undefined { .. }
            | Self::Failed { .. }
            | Self::OutOfFuel { .. }
            | Self::TooLarge { .. } => FailureKind::Permanent { named: true },
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Name { .. } | Self::NothingToLeaveOut { .. } => "key_invalid",
            Self::Syntax { .. } => "template_syntax",
            Self::UnknownVariable { .. } | Self::Undefined { .. } => "template_undefined",
            Self::Failed { .. } => "template_failed",
            Self::OutOfFuel { .. } | Self::TooLarge { .. } => "template_too_large",
        }
    }
}

#[cfg(test)]
mod tests;
