//! Values that are not just text: switches, numbers, spans of time, percentages, file modes, addresses.

use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use url::Url;

use super::findings::{Findings, Place, quote};
use super::shape::{Scalar, Schemas, Shape, unexpected};
use super::text::text_of;
use super::tree::{Node, Value};

/// `true` or `false`.
#[derive(Debug)]
pub(super) struct Flag(pub(super) bool);

impl Shape for Flag {
    const SHOW: bool = true;

    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        if let Value::Scalar { text, plain } = &node.value
            && let Scalar::Flag(flag) = Scalar::of(text, *plain)
        {
            return Some(Self(flag));
        }
        unexpected(node, "true or false", None, findings);
        None
    }

    fn schema(_: &mut Schemas) -> Json {
        json!({"type": "boolean"})
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug)]
pub(super) struct Whole<const MIN: u32, const MAX: u32>(pub(super) u32);

impl<const MIN: u32, const MAX: u32> Shape for Whole<MIN, MAX> {
    const SHOW: bool = true;

    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        let expected = if MIN == MAX {
            format!("{MIN}, the only one supported")
        } else {
            format!("a whole number from {MIN} to {MAX}")
        };
        match &node.value {
            Value::Scalar { text, plain } if Scalar::of(text, *plain) == Scalar::Number => {
                match text.parse::<u32>().ok().filter(|number| (MIN..=MAX).contains(number)) {
                    Some(number) => return Some(Self(number)),
                    None => {
                        findings.mistake(shown(node), format!("expected {expected}, found {}", quote(text)));
                    }
                }
            }
            Value::Scalar { text, plain: false } if text.parse::<u32>().is_ok() => {
                unexpected(node, &expected, Some("leave out the quotes".to_owned()), findings);
            }
            _ => unexpected(node, &expected, None, findings),
        }
        None
    }

    fn schema(_: &mut Schemas) -> Json {
        json!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

/// A share from `MIN` to `MAX` per cent, such as `50%` or `12.5%`; holds 0.5, 0.125.
#[derive(Debug)]
pub(super) struct Percent<const MIN: u32, const MAX: u32>(pub(super) f64);

impl<const MIN: u32, const MAX: u32> Shape for Percent<MIN, MAX> {
    const SHOW: bool = true;

    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        let expected = format!("a percentage from {MIN}% to {MAX}%");
        if let Some(number) = number_of(node) {
            let help = format!("write the unit: `{number}%`");
            findings.mistake_with_help(shown(node), format!("expected {expected}, found a number"), help);
            return None;
        }
        let text = text_of(node, &expected, true, findings)?;
        let share = parse_percent(text).filter(|p| (f64::from(MIN)..=f64::from(MAX)).contains(p));
        if share.is_none() {
            findings.mistake(shown(node), format!("expected {expected}, found {}", quote(text)));
        }
        share.map(|percent| Self(percent / 100.0))
    }

    fn schema(_: &mut Schemas) -> Json {
        json!({"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3})?%$"})
    }
}

fn parse_percent(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |t: &str| (1..=3).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_digit());
    (digits(whole) && digits(part)).then(|| number.parse().ok()).flatten()
}

/// A span of `MIN` to `MAX` milliseconds, such as `90s`, `20m`, `1h30m`, `7d`.
#[derive(Debug)]
pub(super) struct Span<const MIN: u64, const MAX: u64>(pub(super) SignedDuration);

const SPAN_PATTERN: &str = "^([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$";

impl<const MIN: u64, const MAX: u64> Shape for Span<MIN, MAX> {
    const SHOW: bool = true;

    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        let expected =
            format!("a span of time from {} to {}, such as 90s or 1h30m", show_span(MIN), show_span(MAX));
        if let Some(number) = number_of(node) {
            let help = format!("write the unit: `{number}s`, `{number}m` or `{number}h`");
            findings.mistake_with_help(shown(node), format!("expected {expected}; found a number"), help);
            return None;
        }
        let text = text_of(node, &expected, true, findings)?;
        let span = parse_span(text).filter(|millis| (MIN..=MAX).contains(millis));
        if span.is_none() {
            findings.mistake(shown(node), format!("expected {expected}; found {}", quote(text)));
        }
        span.map(|millis| Self(SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))))
    }

    fn schema(_: &mut Schemas) -> Json {
        json!({"type": "string", "minLength": 2, "pattern": SPAN_PATTERN})
    }
}

/// How often something is done; `0` is never.
#[derive(Debug)]
pub(super) struct Interval<const MIN: u64, const MAX: u64>(pub(super) Option<SignedDuration>);

impl<const MIN: u64, const MAX: u64> Shape for Interval<MIN, MAX> {
    const SHOW: bool = true;

    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, .. } if matches!(&**text, "0" | "0s") => Some(Self(None)),
            _ => Span::<MIN, MAX>::read(node, findings).map(|span| Self(Some(span.0))),
        }
    }

    fn schema(schemas: &mut Schemas) -> Json {
        json!({"anyOf": [{"enum": [0, "0"]}, Span::<MIN, MAX>::schema(schemas)]})
    }
}

/// Milliseconds. Units in falling order, each once at most.
fn parse_span(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        if digits > 9 {
            return None;
        }
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*millis)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// In the largest unit that leaves no rest: the bounds are round.
fn show_span(millis: u64) -> String {
    match millis {
        m if m % 86_400_000 == 0 => format!("{}d", m / 86_400_000),
        m if m % 3_600_000 == 0 => format!("{}h", m / 3_600_000),
        m if m % 60_000 == 0 => format!("{}m", m / 60_000),
        m if m % 1000 == 0 => format!("{}s", m / 1000),
        m => format!("{m}ms"),
    }
}

/// Permission bits of a file, in quotes for else YAML reads a decimal number.
#[derive(Debug)]
pub(super) struct FileMode(pub(super) u32);

impl Shape for FileMode {
    const SHOW: bool = true;

    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        const EXPECTED: &str = "a file mode in quotes, such as \"0440\"";
        let text = text_of(node, EXPECTED, true, findings)?;
        let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        match u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= 0o777) {
            Some(mode) if mode & 0o400 == 0 => {
                findings.mistake(
                    shown(node),
                    "the owner must be allowed to read: a restart reads the receipt here",
                );
                None
            }
            Some(mode) => Some(Self(mode)),
            None => {
                findings.mistake(shown(node), format!("expected {EXPECTED}, found {}", quote(text)));
                None
            }
        }
    }

    fn schema(_: &mut Schemas) -> Json {
        json!({"type": "string", "pattern": "^0?[4-7][0-7]{2}$"})
    }
}

/// An absolute `http` or `https` URL without user, password and fragment. Never printed: it might hold a password.
#[derive(Debug)]
pub(super) struct HttpUrl {
    pub(super) text: String,
    pub(super) url: Url,
}

impl HttpUrl {
    /// The error says what is wrong, without the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = "expected an absolute URL, https://HOST/…";
        let url = Url::parse(text).map_err(|error| format!("{expected}: {error}"))?;
        let wrong = if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            "and this is of another scheme"
        } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            "and this has spaces in it"
        } else if !url.username().is_empty() || url.password().is_some() {
            "without user and password: credentials come from a source"
        } else if url.fragment().is_some() {
            "without a fragment (RFC 6749 §3.2)"
        } else {
            return Ok(Self { text: text.to_owned(), url });
        };
        Err(format!("{expected}, {wrong}"))
    }

    /// Whether it would send in the clear what it is given, to another machine.
    pub(super) fn is_insecure(&self) -> bool {
        let loopback = match self.url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.url.scheme() == "http" && !loopback
    }
}

impl Shape for HttpUrl {
    fn read(node: &Node<'_>, findings: &mut Findings) -> Option<Self> {
        let text = text_of(node, "an absolute URL, https://HOST/…", false, findings)?;
        Self::parse(text).map_err(|message| findings.mistake(node.at, message)).ok()
    }

    fn schema(_: &mut Schemas) -> Json {
        json!({"type": "string", "format": "uri", "pattern": "^[hH][tT][tT][pP][sS]?:[^#\\s]+$"})
    }
}

/// The text of a plain number, for advice.
fn number_of<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.value {
        Value::Scalar { text, plain } if Scalar::of(text, *plain) == Scalar::Number && text.len() <= 20 => {
            Some(text)
        }
        _ => None,
    }
}

fn shown(node: &Node<'_>) -> Place {
    Place { show: true, ..node.at }
}
