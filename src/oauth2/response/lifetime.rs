//! How long a token is good: the shortest of what its witnesses say.
//!
//! A lifetime is a span. Where a witness names an instant of the issuer's clock, it is taken against another instant
//! of that clock: the JWT's `iat`, or the response's `Date`. No signature is verified; claims can only shorten.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use zeroize::Zeroizing;

use super::fields::Fields;
use crate::rotation::LONGEST_LIFETIME;

/// Seconds since the epoch above this are milliseconds: the year 5138 is no expiry, though 1973 in milliseconds is
/// none either.
const FIRST_MILLISECONDS: f64 = 1e11;

/// What a JWT says of itself; for an opaque token there is none.
pub(super) struct Claims(Fields);

impl Claims {
    /// The claims of a signed JWT in compact form (RFC 7515 §7.1). `None` for any other token.
    pub(super) fn read(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let json = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
        Fields::object(&json).map(Self)
    }

    /// Whether an `access_token_id` contradicts the `jti`. Bandwidth's guide: "It will be the same as the jti claim
    /// within the access token."
    pub(super) fn differs_from(&self, access_token_id: Option<&str>) -> bool {
        match (access_token_id, self.0.text("jti")) {
            (Some(id), Some(jti)) => id != jti,
            (None, _) | (_, None) => false,
        }
    }

    /// Seconds since the epoch.
    fn instant(&self, claim: &str) -> Option<f64> {
        self.0.value(claim).and_then(number)
    }
}

/// The smallest positive span of all witnesses; `None` if there is none. The error says what cannot be meant.
pub(super) fn shortest(
    fields: &Fields,
    claims: Option<&Claims>,
    date: Option<Timestamp>,
    asked_at: Timestamp,
    default_lifetime: SignedDuration,
) -> Result<Option<SignedDuration>, &'static str> {
    let told = match expires_in(fields)? {
        Some(span) => Some(span),
        None => expires_at(fields, date, asked_at, default_lifetime)?,
    };
    let expires = claims.and_then(|claims| claims.instant("exp"));
    let issued = claims.and_then(|claims| claims.instant("iat"));
    let between = |from: Option<f64>| expires.zip(from).and_then(|(to, from)| span(to - from));
    let witnesses = [told, between(issued), between(date.map(seconds))];
    Ok(witnesses.into_iter().flatten().min())
}

/// RFC 6749 §5.1: seconds; `null` counts as absent. Sent as a string or a float by some.
fn expires_in(fields: &Fields) -> Result<Option<SignedDuration>, &'static str> {
    let Some(value) = present(fields, "expires_in") else { return Ok(None) };
    let seconds = number(value).ok_or("expires_in is no number")?;
    span(seconds).map(Some).ok_or("expires_in is not positive")
}

/// The instant that some send in place of `expires_in`.
///
/// Without a `Date` there is only our own clock to set it against, and that may be wrong: then it may shorten what
/// would count otherwise, and no more.
fn expires_at(
    fields: &Fields,
    date: Option<Timestamp>,
    asked_at: Timestamp,
    default_lifetime: SignedDuration,
) -> Result<Option<SignedDuration>, &'static str> {
    let Some(value) = present(fields, "expires_at").or_else(|| present(fields, "expires_on")) else {
        return Ok(None);
    };
    let expires = instant(value).ok_or("its expiry is neither a number of seconds nor an RFC 3339 time")?;
    match date {
        Some(date) => span(expires - seconds(date)).map(Some).ok_or("its expiry has passed"),
        None => Ok(span(expires - seconds(asked_at)).map(|own| own.min(default_lifetime))),
    }
}

fn present<'a>(fields: &'a Fields, key: &str) -> Option<&'a Value> {
    fields.value(key).filter(|value| !value.is_null())
}

fn instant(value: &Value) -> Option<f64> {
    if let Some(number) = number(value) {
        return Some(if number >= FIRST_MILLISECONDS { number / 1000.0 } else { number });
    }
    value.as_str()?.trim().parse().ok().map(seconds)
}

/// A finite number, also in a string.
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

/// Exact to the microsecond for any date that matters.
fn seconds(instant: Timestamp) -> f64 {
    instant.as_duration().as_secs_f64()
}

/// A positive span, cut down to whole milliseconds and to [`LONGEST_LIFETIME`].
fn span(seconds: f64) -> Option<SignedDuration> {
    if seconds >= LONGEST_LIFETIME.as_secs_f64() {
        return Some(LONGEST_LIFETIME);
    }
    let span = SignedDuration::try_from_secs_f64(seconds).ok()?;
    let millis = i64::try_from(span.as_millis()).ok()?;
    Some(SignedDuration::from_millis(millis)).filter(SignedDuration::is_positive)
}
