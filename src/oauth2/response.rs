//! What a token endpoint's response means: a pure, total function from status, headers and bytes to an outcome.
//!
//! It follows the table "What a response means" row by row. It believes bytes, not content types; it verifies no
//! signature, for claims are only read to make a lifetime shorter; and its errors are made of `&'static str`, so that
//! no byte of a response can reach an output.

mod error_code;
mod fields;
mod lifetime;
mod retry_after;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use self::fields::Fields;
use self::lifetime::Claims;
use crate::ports::IssuerError;
use crate::rotation::{Material, MintedToken, Validity};
use crate::secret::SecretText;

/// No server takes a header beyond this, so a longer token would be of no use to anyone.
const LONGEST_TOKEN: usize = 64 * 1024;

/// A response but for its body. Headers that are no visible ASCII count as absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head<'a> {
    pub status: u16,
    /// `Date` (RFC 9110 §6.6.1).
    pub date: Option<&'a str>,
    /// `Retry-After` (RFC 9110 §10.2.3).
    pub retry_after: Option<&'a str>,
}

impl Head<'_> {
    fn date(&self) -> Option<Timestamp> {
        self.date.and_then(retry_after::http_date)
    }
}

/// A token, and what was odd about the way it came.
#[derive(Debug)]
pub struct Answer {
    pub token: MintedToken,
    pub warnings: Warnings,
    /// The response's `Date` minus the moment when we asked: the other clock's lead over ours, give or take the time
    /// that the request took. Information only.
    pub skew: Option<SignedDuration>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Warnings {
    /// RFC 6749 §5.1 requires `token_type`; we took it as `Bearer`.
    pub token_type_absent: bool,
    /// Neither the response nor the token said how long the token is good.
    pub lifetime_assumed: bool,
}

/// Reads one response. `asked_at` is our wall clock before the request was sent; the validity starts there.
pub fn read(
    head: &Head<'_>,
    body: &[u8],
    asked_at: Timestamp,
    default_lifetime: SignedDuration,
) -> Result<Answer, IssuerError> {
    match head.status {
        200 | 201 => success(head, body, asked_at, default_lifetime),
        202..=299 => malformed("a 2xx that is neither 200 nor 201 carries no token"),
        _ => Err(error_code::failure(head, Fields::read(body).ok().as_ref(), asked_at)),
    }
}

fn success(
    head: &Head<'_>,
    body: &[u8],
    asked_at: Timestamp,
    default_lifetime: SignedDuration,
) -> Result<Answer, IssuerError> {
    let fields = Fields::read(body).map_err(|why| IssuerError::Malformed { why })?;
    // Some providers answer 200 to everything (oauth-providers.md: GitHub), so an error counts before a token.
    if let Some(error) = fields.error() {
        return Err(error_code::named(head.status, error));
    }
    let access_token = access_token(&fields)?;
    let (token_type, token_type_absent) = token_type(&fields, head.status)?;
    let claims = Claims::read(access_token);
    if claims.as_ref().is_some_and(|claims| claims.differs_from(fields.text("access_token_id"))) {
        return malformed("access_token_id differs from the token's jti");
    }
    let date = head.date();
    let known = lifetime::shortest(&fields, claims.as_ref(), date, asked_at, default_lifetime)
        .map_err(|why| IssuerError::Malformed { why })?;
    let Some(validity) = Validity::new(asked_at, known.unwrap_or(default_lifetime)) else {
        return malformed("no expiry follows from it");
    };
    let token = MintedToken {
        material: Material::Bearer {
            access_token: SecretText::new(access_token),
            token_type,
            response: Some(fields.to_json()),
        },
        validity: Some(validity),
    };
    let warnings = Warnings { token_type_absent, lifetime_assumed: known.is_none() };
    Ok(Answer { token, warnings, skew: date.map(|date| date.duration_since(asked_at)) })
}

/// Visible ASCII only: anything else would break the header that the token is meant for (RFC 6750 §2.1).
fn access_token(fields: &Fields) -> Result<&str, IssuerError> {
    match fields.value("access_token") {
        None | Some(Value::Null) => malformed("it holds no access_token"),
        Some(Value::String(token)) if token.is_empty() => malformed("access_token is empty"),
        Some(Value::String(token)) if token.len() > LONGEST_TOKEN => {
            malformed("access_token is longer than 64 KiB")
        }
        Some(Value::String(token)) if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(token),
        Some(Value::String(_)) => malformed("access_token holds characters that do not fit a header"),
        Some(_) => malformed("access_token is no string"),
    }
}

/// `Bearer` in any case (RFC 6749 §5.1), and whether it was missing.
fn token_type(fields: &Fields, status: u16) -> Result<(Arc<str>, bool), IssuerError> {
    match fields.value("token_type") {
        None | Some(Value::Null) => Ok(("Bearer".into(), true)),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(("Bearer".into(), true)),
        Some(Value::String(text)) if text.trim().eq_ignore_ascii_case("bearer") => {
            Ok(("Bearer".into(), false))
        }
        Some(_) => Err(IssuerError::Refused {
            status,
            code: "unsupported_token_type",
            advice: "It issues tokens of another type than Bearer, which a plain header cannot carry. Ask the \
                     provider for Bearer tokens for this client",
        }),
    }
}

fn malformed<T>(why: &'static str) -> Result<T, IssuerError> {
    Err(IssuerError::Malformed { why })
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
