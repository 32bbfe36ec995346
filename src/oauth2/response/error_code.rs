//! What a failure means: by its `error` code where that is known, by its status where it is not.
//!
//! The code of a response is never repeated: a known one becomes a word of ours, an unknown one
//! `unknown_error_code`, for it might echo what we sent. `error_description` is not even read.

use jiff::Timestamp;
use serde_json::Value;

use super::fields::Fields;
use super::{Head, retry_after};
use crate::ports::IssuerError;

/// An `error` code that says what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// The client credentials are not accepted.
    Credential(&'static str),
    /// The endpoint is in trouble.
    Trouble(&'static str),
    /// The endpoint is asked too often.
    Patience,
    /// The request will not be accepted as it is.
    Request { code: &'static str, advice: &'static str },
}

impl Known {
    /// From RFC 6749 §5.2 and §4.1.2.1, RFC 8628 §3.5, RFC 8707 §2, RFC 9396 §5 and RFC 9449 §5 and §8.
    fn from_code(code: &str) -> Option<Self> {
        let request = |code, advice| Some(Self::Request { code, advice });
        match code {
            "invalid_client" => Some(Self::Credential("invalid_client")),
            "invalid_grant" => Some(Self::Credential("invalid_grant")),
            "server_error" => Some(Self::Trouble("server_error")),
            "temporarily_unavailable" => Some(Self::Trouble("temporarily_unavailable")),
            "slow_down" => Some(Self::Patience),
            "invalid_scope" => {
                request("invalid_scope", "Compare `scopes` with what the provider lets this client have")
            }
            "unauthorized_client" => request(
                "unauthorized_client",
                "The client may not use the grant client_credentials: allow it at the provider",
            ),
            "unsupported_grant_type" => request(
                "unsupported_grant_type",
                "This endpoint does not offer the grant client_credentials: check `tokenUrl`",
            ),
            "invalid_target" => {
                request("invalid_target", "Compare `audience` with what the provider lets this client have")
            }
            "invalid_request" => request(
                "invalid_request",
                "Compare `clientAuth`, `scopes`, `audience` and `parameters` with the provider's documentation",
            ),
            "access_denied" => request(
                "access_denied",
                "The provider does not let this client have what it asks for: compare `audience` and `scopes` \
                 with the client's rights",
            ),
            "invalid_authorization_details" => request(
                "invalid_authorization_details",
                "Compare `authorization_details` in `parameters` with the provider's documentation",
            ),
            "invalid_dpop_proof" => request("invalid_dpop_proof", DPOP),
            "use_dpop_nonce" => request("use_dpop_nonce", DPOP),
            _ => None,
        }
    }

    /// A 401 is about authentication, whatever the code: Keycloak answers a wrong client secret with
    /// `unauthorized_client`, Auth0 with `access_denied`.
    fn on_401(self) -> Self {
        match self {
            Self::Request { code: code @ ("unauthorized_client" | "access_denied"), .. } => {
                Self::Credential(code)
            }
            Self::Request { .. } | Self::Credential(_) | Self::Trouble(_) | Self::Patience => self,
        }
    }

    fn into_error(self, status: u16) -> IssuerError {
        match self {
            Self::Credential(code) => IssuerError::CredentialRejected { status, code: Some(code) },
            Self::Trouble(code) => IssuerError::Server { status, code: Some(code) },
            Self::Patience => IssuerError::Throttled { status, retry_after: None },
            Self::Request { code, advice } => IssuerError::Refused { status, code, advice },
        }
    }
}

const DPOP: &str = "The provider binds tokens to a key (DPoP), which a plain header cannot carry: ask it for Bearer \
                    tokens for this client";

/// What an `error` field means on a status that does not decide by itself: 200, 201, 400.
pub(super) fn named(status: u16, error: &Value) -> IssuerError {
    match error.as_str().and_then(Known::from_code) {
        Some(known) => known.into_error(status),
        None => unknown(status),
    }
}

fn unknown(status: u16) -> IssuerError {
    IssuerError::Refused {
        status,
        code: "unknown_error_code",
        advice: "Its error code is in no RFC and is not repeated here, since it may echo what was sent. Ask for a \
                 token with curl, or see the provider's logs",
    }
}

/// What any status but a 2xx means. `fields`: the body, if it could be read.
pub(super) fn failure(head: &Head<'_>, fields: Option<&Fields>, asked_at: Timestamp) -> IssuerError {
    let status = head.status;
    let error = fields.and_then(Fields::error);
    let known = error.and_then(Value::as_str).and_then(Known::from_code);
    let retry_after = || retry_after::read(head.retry_after, head.date().unwrap_or(asked_at));
    match (status, known) {
        (429, _) => IssuerError::Throttled { status, retry_after: retry_after() },
        (503, known) => match retry_after() {
            Some(span) => IssuerError::Throttled { status, retry_after: Some(span) },
            None => trouble(status, known),
        },
        // RFC 9110 §15: a status out of range counts as a 5xx.
        (0..=99 | 500.., known) => trouble(status, known),
        (401, Some(known)) => known.on_401().into_error(status),
        (400..=499, Some(known)) => known.into_error(status),
        (401, None) => IssuerError::CredentialRejected { status, code: None },
        (408 | 421 | 425, None) => IssuerError::Server { status, code: None },
        (400, None) if error.is_some() => unknown(status),
        _ => IssuerError::Unexpected { status, advice: advice(status) },
    }
}

/// The status decides; only a code that says the same is passed on.
fn trouble(status: u16, known: Option<Known>) -> IssuerError {
    let code = match known {
        Some(Known::Trouble(code)) => Some(code),
        Some(Known::Credential(_) | Known::Patience | Known::Request { .. }) | None => None,
    };
    IssuerError::Server { status, code }
}

/// What to do about a status that came without a code.
fn advice(status: u16) -> &'static str {
    match status {
        300..=399 => {
            "Redirects are not followed, since they could carry the client credentials elsewhere: put the final \
             address into `tokenUrl`"
        }
        403 => "A firewall or proxy may stand in the way, or the provider bars this client or network",
        404 | 405 | 410 => "There is no token endpoint at this address: check `tokenUrl`",
        407 => "A proxy stands in the way and wants credentials: check HTTPS_PROXY and NO_PROXY",
        400..=499 => "It gives no error code: check `tokenUrl`, or see the provider's logs",
        _ => "No token endpoint answers so: check `tokenUrl` and what stands in between",
    }
}
