//! What a token response means: a pure function of status, headers and bytes, total over all of them.
//!
//! A message of an error here is one of ours; nothing of the body is ever repeated, for providers echo what they got.

mod error_code;
mod lifetime;
mod retry_after;

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::ports::IssuerError;
use crate::rotation::{Material, MintedToken, Validity};
use crate::secret::SecretText;

/// A header is cut at 8 to 64 KiB by servers; a token beyond this never arrives anywhere.
const LONGEST_TOKEN: usize = 64 * 1024;

/// The headers that matter.
#[derive(Debug, Default, Clone)]
pub struct Headers {
    /// `Date` (RFC 9110 §6.6.1), the provider's clock.
    pub date: Option<String>,
    /// `Retry-After` (RFC 9110 §10.2.3).
    pub retry_after: Option<String>,
}

#[derive(Debug)]
pub struct Answer {
    pub token: MintedToken,
    /// RFC 6749 §5.1 requires it; some providers leave it out, and mean `Bearer`.
    pub token_type_was_absent: bool,
}

/// Reads an answer to a request that was sent at `asked_at` by our clock. The lifetime counts from there.
pub fn read(
    status: u16,
    headers: &Headers,
    body: &[u8],
    asked_at: Timestamp,
    default_lifetime: SignedDuration,
) -> Result<Answer, IssuerError> {
    let date = headers.date.as_deref().and_then(retry_after::http_date);
    let fields = fields(body);
    let code = fields.as_ref().and_then(error_code::of);
    let retry_after = || {
        let now = date.unwrap_or(asked_at);
        headers.retry_after.as_deref().and_then(|text| retry_after::parse(text, now))
    };
    match status {
        200 | 201 => {
            if let Some(code) = code {
                return Err(error_code::classify(status, code));
            }
            let fields =
                fields.ok_or(IssuerError::Malformed { why: "the body is neither JSON nor a form" })?;
            token(&fields, date, asked_at, default_lifetime)
        }
        202..300 => Err(IssuerError::Malformed { why: "a success without a token" }),
        429 => Err(IssuerError::Throttled { status, retry_after: retry_after() }),
        503 if retry_after().is_some() => Err(IssuerError::Throttled { status, retry_after: retry_after() }),
        408 | 421 | 425 | 500.. => Err(IssuerError::Server { status, code: None }),
        300..400 => Err(IssuerError::Unexpected {
            status,
            advice: "Redirects are not followed, since they would carry the client secret elsewhere. Put the final \
                     address into tokenUrl",
        }),
        _ => Err(match code {
            Some(code) => error_code::classify(status, code),
            None => error_code::without_code(status),
        }),
    }
}

/// The fields of a JSON object, or of a form where somebody answers with one. Duplicate keys: the last one counts, as
/// for every JSON reader.
fn fields(body: &[u8]) -> Option<Map<String, Value>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(body) {
        return Some(fields);
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    let is_form = !text.is_empty() && !text.contains(['{', '<', '"', '\n', ' ']) && text.contains('=');
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    is_form.then(|| {
        pairs
            .map(|(key, value): (Cow<'_, str>, _)| (key.into_owned(), Value::from(value.into_owned())))
            .collect()
    })
}

fn token(
    fields: &Map<String, Value>,
    date: Option<Timestamp>,
    asked_at: Timestamp,
    default_lifetime: SignedDuration,
) -> Result<Answer, IssuerError> {
    let Some(Value::String(access_token)) = fields.get("access_token") else {
        return Err(IssuerError::Malformed { why: "there is no access_token that is text" });
    };
    if access_token.is_empty() || access_token.len() > LONGEST_TOKEN {
        return Err(IssuerError::Malformed { why: "the access_token is empty or longer than 64 KiB" });
    }
    // RFC 6750 §2.1 allows fewer; what is visible ASCII at least fits into a header.
    if !access_token.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
        return Err(IssuerError::Malformed { why: "the access_token holds what no header can carry" });
    }
    let token_type_was_absent = match fields.get("token_type") {
        None | Some(Value::Null) => true,
        Some(Value::String(name)) if name.eq_ignore_ascii_case("bearer") => false,
        Some(_) => {
            let advice = "The provider issues tokens of another type than Bearer, which no Authorization: Bearer header \
                          can carry; configure the client there for Bearer tokens";
            return Err(IssuerError::Refused { status: 200, code: "unsupported_token_type", advice });
        }
    };
    let claims = claims(access_token);
    if let (Some(id), Some(jti)) = (fields.get("access_token_id"), claims.as_ref().and_then(|c| c.get("jti")))
        && id != jti
    {
        return Err(IssuerError::Malformed { why: "access_token_id is not the token's own jti" });
    }
    let lifetime = lifetime::of(fields, claims.as_ref(), date, asked_at)?.unwrap_or(default_lifetime);
    let validity = Validity::new(asked_at, lifetime);
    let validity = validity.ok_or(IssuerError::Malformed { why: "the token has no lifetime" })?;
    let response = serde_json::to_string(fields).map(SecretText::new).ok();
    let material = Material::Bearer {
        access_token: SecretText::new(access_token.as_str()),
        token_type: Arc::from("Bearer"),
        response,
    };
    Ok(Answer { token: MintedToken { material, validity: Some(validity) }, token_type_was_absent })
}

/// The claims of a JWT (RFC 7519 §3). They are not verified, only the shorter lifetime is believed; an opaque token has
/// none.
fn claims(access_token: &str) -> Option<Map<String, Value>> {
    let mut parts = access_token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests;
