//! Kinds of text that the configuration knows. Each is a [`Rule`]: what is expected, by which pattern editors can
//! tell, and the check itself. None looks further than its own text.

use std::marker::PhantomData;
use std::ops::Deref;

use serde_json::{Value as Json, json};

use super::findings::{Findings, Place, Spanned, nearest, quote};
use super::shape::{Scalar, Schemas, Shape, unexpected};
use super::tree::{Node, Value};
use crate::rotation::RotationName;

pub(super) trait Rule {
    /// "expected …".
    const WHAT: &'static str;
    /// Whether the text may be printed.
    const SHOW: bool = false;
    /// For editors: a regular expression that accepts at least what `check` does.
    const PATTERN: Option<&'static str> = None;
    /// Bytes.
    const LONGEST: usize = 1024;

    fn check(text: &str) -> bool;
}

/// Text that follows a rule.
#[derive(Debug)]
pub(super) struct Text<R> {
    text: String,
    rule: PhantomData<R>,
}

impl<R> Deref for Text<R> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl<R: Rule> Shape for Text<R> {
    const SHOW: bool = R::SHOW;

    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        let text = text_of(node, R::WHAT, R::SHOW, findings)?;
        if let Err(message) = judge::<R>(text) {
            findings.mistake(Place { show: R::SHOW, ..node.at }, message);
            return None;
        }
        Some(Self { text: text.to_owned(), rule: PhantomData })
    }

    fn schema(_: &mut Schemas) -> Json {
        text_schema::<R>()
    }
}

/// The text of a node, or `None` with a mistake if it is anything else.
pub(super) fn text_of<'n>(
    node: &'n Node<'_>,
    what: &str,
    show: bool,
    findings: &mut Findings,
) -> Option<&'n str> {
    let help = match &node.value {
        Value::Scalar { text, plain } if !node.is_null() => match Scalar::of(text, *plain) {
            Scalar::Text => return Some(text),
            Scalar::Flag(_) | Scalar::Number if show => Some(format!("write it in quotes: \"{text}\"")),
            Scalar::Flag(_) | Scalar::Number => Some("write it in quotes".to_owned()),
        },
        _ => None,
    };
    unexpected(node, what, help, findings);
    None
}

fn judge<R: Rule>(text: &str) -> Result<(), String> {
    if text.len() > R::LONGEST {
        return Err(format!("this is {} bytes long, and {} is the limit here", text.len(), R::LONGEST));
    }
    match R::check(text) {
        true => Ok(()),
        false if text.is_empty() => Err(format!("expected {}, found empty text", R::WHAT)),
        false if R::SHOW => Err(format!("expected {}, found {}", R::WHAT, quote(text))),
        false => Err(format!("expected {}, and this is none", R::WHAT)),
    }
}

fn text_schema<R: Rule>() -> Json {
    let mut schema = json!({"type": "string", "maxLength": R::LONGEST});
    if !R::check("") {
        schema["minLength"] = json!(1);
    }
    if let Some(pattern) = R::PATTERN {
        schema["pattern"] = json!(pattern);
    }
    schema
}

/// A map with free keys that follow a rule, in the order of the file, without the entries that were wrong.
#[derive(Debug)]
pub(super) struct Table<R, V> {
    pub(super) entries: Vec<(Spanned<String>, Spanned<V>)>,
    /// Keys whose entries were wrong.
    pub(super) broken: Vec<String>,
    rule: PhantomData<R>,
}

impl<R: Rule, V: Shape> Shape for Table<R, V> {
    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            unexpected(
                node,
                "a map",
                node.is_null().then(|| "write `{}` for an empty map".to_owned()),
                findings,
            );
            return None;
        };
        let mut table =
            Self { entries: Vec::with_capacity(entries.len()), broken: Vec::new(), rule: PhantomData };
        for entry in entries {
            let printable = entry.is_printable();
            let key_at = if printable { entry.at } else { entry.at.parent() };
            let verdict = judge::<R>(&entry.key).map_err(|message| {
                let safe = printable || !R::SHOW;
                if safe { message } else { format!("expected {} as a key, and this is none", R::WHAT) }
            });
            if let Err(message) = &verdict {
                findings.mistake(key_at, message.clone());
            }
            let value_at = Place { show: V::SHOW, ..entry.value.at };
            match V::read(&entry.value, findings) {
                Some(value) if verdict.is_ok() => {
                    let key = Spanned { at: key_at, value: entry.key.clone().into_owned() };
                    table.entries.push((key, Spanned { at: value_at, value }));
                }
                _ => table.broken.push(entry.key.clone().into_owned()),
            }
        }
        Some(table)
    }

    fn schema(schemas: &mut Schemas) -> Json {
        json!({"type": "object", "propertyNames": text_schema::<R>(), "additionalProperties": V::schema(schemas)})
    }
}

/// One of a list of words.
pub(super) trait Word: Sized + Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

#[derive(Debug)]
pub(super) struct OneOf<W>(pub(super) W);

impl<W: Word> Shape for OneOf<W> {
    const SHOW: bool = true;

    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        let words = || W::WORDS.iter().map(|(word, _)| *word);
        let list = words().collect::<Vec<_>>().join(", ");
        let text = text_of(node, &format!("one of: {list}"), true, findings)?;
        if let Some((_, value)) = W::WORDS.iter().find(|(word, _)| *word == text) {
            return Some(Self(*value));
        }
        let help = nearest(text, words()).map(|near| format!("did you mean {near}?"));
        let at = Place { show: true, ..node.at };
        let message = format!("expected one of: {list}; found {}", quote(text));
        match help {
            Some(help) => findings.mistake_with_help(at, message, help),
            None => findings.mistake(at, message),
        }
        None
    }

    fn schema(_: &mut Schemas) -> Json {
        json!({"enum": W::WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>()})
    }
}

/// Declares rules: name, whether it may be printed, what is expected, the check, and a pattern if one tells.
macro_rules! rules {
    ($($name:ident $show:literal $what:literal $check:expr $(, pattern $pattern:literal)? $(, longest $longest:literal)?;)+) => {
        $(
            #[doc = $what]
            #[derive(Debug)]
            pub(super) struct $name;

            impl Rule for $name {
                const WHAT: &'static str = $what;
                const SHOW: bool = $show;
                $(const PATTERN: Option<&'static str> = Some($pattern);)?
                $(const LONGEST: usize = $longest;)?

                fn check(text: &str) -> bool {
                    let check: fn(&str) -> bool = $check;
                    check(text)
                }
            }
        )+
    };
}

rules! {
    Name true "a name of 1–63 of a-z, 0-9 and -, with a letter or digit at both ends"
        |t| RotationName::parse(t).is_some(), pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", longest 63;
    InstallationName true "a name of 1–128 characters"
        |t| !t.is_empty() && !t.contains(char::is_control), longest 128;
    IssuerName true "a name of 1–63 letters, digits, -, _ and ."
        |t| !t.is_empty() && t.bytes().all(is_name_byte), pattern "^[-._a-zA-Z0-9]+$", longest 63;
    FilePath false "the path of a file" |t| !t.is_empty() && !t.contains('\0'), longest 4096;
    EnvironmentName false "the name of an environment variable"
        |t| t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !t.is_empty() && !t.as_bytes()[0].is_ascii_digit(),
        pattern "^[A-Za-z_][A-Za-z0-9_]*$", longest 255;
    FreeText false "text" |t| !t.is_empty() && !t.contains('\0');
    AnyText false "text" |t| !t.contains('\0'), longest 65536;
    Scope false "one OAuth scope: visible ASCII without spaces, quotes and backslashes (RFC 6749 §3.3)"
        |t| !t.is_empty() && t.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
        pattern r"^[\x21\x23-\x5b\x5d-\x7e]+$";
    ParameterName true "the name of a form field" |t| !t.is_empty() && !t.contains(char::is_control), longest 255;
    HeaderName true "the name of an HTTP header (RFC 9110 §5.1)"
        |t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)),
        pattern r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", longest 255;
    HeaderValue false "the value of an HTTP header: printable ASCII, no line break"
        |t| t.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b)), pattern r"^[\t\x20-\x7e]*$", longest 4096;
    HostName true "a host name or address without scheme, port and path"
        |t| !t.is_empty() && t.bytes().all(|b| is_name_byte(b) || matches!(b, b':' | b'[' | b']')), longest 253;
    Namespace true "a namespace (RFC 1123 label): 1–63 of a-z, 0-9 and -, with a letter or digit at both ends"
        is_label, pattern "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", longest 63;
    ObjectName true "a name (RFC 1123 subdomain): a-z, 0-9, - and ., with a letter or digit at both ends of each part"
        is_subdomain, pattern r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", longest 253;
    LabelKey true "a label or annotation key: an optional prefix/, and 1–63 of letters, digits, -, _ and ."
        is_qualified, pattern r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", longest 317;
    LabelValue false "a label value: at most 63 of letters, digits, -, _ and ., with a letter or digit at both ends"
        |t| t.is_empty() || is_qualified_name(t), pattern "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", longest 63;
    CronText true "a cron line of five fields" |t| !t.is_empty(), longest 255;
    ZoneName true "an IANA time zone, such as Europe/Berlin" |t| !t.is_empty(), longest 63;
    SecretType true "the type of a Secret, such as Opaque"
        |t| !t.is_empty() && t.bytes().all(|b| is_name_byte(b) || b == b'/'), pattern "^[-._/a-zA-Z0-9]+$", longest 253;
    SinkKey true "a key: letters, digits, -, _ and ., not beginning with two dots"
        |t| !t.is_empty() && t != "." && !t.starts_with("..") && t.bytes().all(is_name_byte),
        pattern "^[-._a-zA-Z0-9]+$", longest 253;
    KvPath false "a path in Vault: names with single slashes between them, nothing like ?, # or .. in it"
        is_kv_path;
    VaultKey false "the name of a key in Vault" |t| !t.is_empty() && !t.contains(char::is_control), longest 512;
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_subdomain(text: &str) -> bool {
    // Kubernetes limits the whole to 253 and not each part to 63.
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.split('.').all(part)
}

fn is_qualified_name(text: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63 && ends(bytes.first()) && ends(bytes.last()) && text.bytes().all(is_name_byte)
}

fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => prefix.len() <= 253 && is_subdomain(prefix) && is_qualified_name(name),
        None => is_qualified_name(text),
    }
}

fn is_kv_path(text: &str) -> bool {
    let odd = |c: char| c.is_control() || matches!(c, '?' | '#' | '%' | '\\');
    let part = |part: &str| !matches!(part, "" | "." | "..");
    !text.contains(odd) && text.trim_matches('/').split('/').all(part)
}
