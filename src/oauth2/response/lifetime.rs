//! How long a token lives: the least that any witness says.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::ports::IssuerError;

/// Instants of another machine's clock become spans of that clock before they are believed: `exp − iat`, and
/// `exp − Date`. `None`: no witness at all.
pub(super) fn of(
    fields: &Map<String, Value>,
    claims: Option<&Map<String, Value>>,
    date: Option<Timestamp>,
    asked_at: Timestamp,
) -> Result<Option<SignedDuration>, IssuerError> {
    let now = date.unwrap_or(asked_at);
    let told = match expires_in(fields)? {
        Some(span) => Some(span),
        None => expires_at(fields)?.map(|instant| instant.duration_since(now)),
    };
    if told.is_some_and(|span| !span.is_positive()) {
        return Err(IssuerError::Malformed {
            why: "the token has expired already, by the response's own account",
        });
    }
    let claim = |name: &str| claims.and_then(|claims| claims.get(name)).and_then(seconds);
    let by_claims = claim("exp").zip(claim("iat")).map(|(exp, iat)| exp - iat);
    let by_date = claim("exp").zip(date).map(|(exp, date)| exp - date.as_duration().as_secs_f64());
    let witnesses = by_claims.into_iter().chain(by_date).filter_map(span).filter(SignedDuration::is_positive);
    Ok(told.into_iter().chain(witnesses).min())
}

/// RFC 6749 §5.1: seconds. Some send them as text or with a fraction; null and absent are the same.
fn expires_in(fields: &Map<String, Value>) -> Result<Option<SignedDuration>, IssuerError> {
    match fields.get("expires_in") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let span = seconds(value).and_then(span);
            span.map(Some).ok_or(IssuerError::Malformed { why: "expires_in is no number of seconds" })
        }
    }
}

/// `expires_at` or `expires_on`: Unix seconds or RFC 3339.
fn expires_at(fields: &Map<String, Value>) -> Result<Option<Timestamp>, IssuerError> {
    let Some(value) = ["expires_at", "expires_on"].iter().find_map(|name| fields.get(*name)) else {
        return Ok(None);
    };
    let instant = match (seconds(value), value) {
        (Some(unix), _) => span(unix).and_then(|span| Timestamp::UNIX_EPOCH.checked_add(span).ok()),
        (None, Value::String(text)) => text.parse().ok(),
        (None, Value::Null) => return Ok(None),
        _ => None,
    };
    instant.map(Some).ok_or(IssuerError::Malformed { why: "expires_at is no instant" })
}

/// A finite number, as one or as text.
fn seconds(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// Beyond what a span can hold, the longest one: the caller cuts it to ten years.
fn span(seconds: f64) -> Option<SignedDuration> {
    SignedDuration::try_from_secs_f64(seconds.clamp(-1e15, 1e15)).ok()
}
