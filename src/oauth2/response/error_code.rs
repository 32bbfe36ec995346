//! Error codes (RFC 6749 §5.2 and its extensions), and what each asks of whom.

use serde_json::{Map, Value};

use crate::ports::IssuerError;

/// The `error` of an answer, as one of the known words, or as unknown.
pub(super) fn of(fields: &Map<String, Value>) -> Option<&'static str> {
    let code = match fields.get("error")? {
        Value::String(code) => code.as_str(),
        Value::Null | Value::Bool(false) => return None,
        _ => "",
    };
    let known = KNOWN.iter().find(|known| **known == code);
    Some(known.copied().unwrap_or(UNKNOWN))
}

const UNKNOWN: &str = "unknown_error_code";

const KNOWN: [&str; 10] = [
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "server_error",
    "slow_down",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// For statuses on which the code decides: 200, 201 and 4xx.
pub(super) fn classify(status: u16, code: &'static str) -> IssuerError {
    match code {
        // An unknown code on a 401 says no more than the status does.
        UNKNOWN if status == 401 => IssuerError::CredentialRejected { status, code: None },
        UNKNOWN if !matches!(status, 200 | 201 | 400) => without_code(status),
        "invalid_client" | "invalid_grant" => IssuerError::CredentialRejected { status, code: Some(code) },
        "server_error" | "temporarily_unavailable" => IssuerError::Server { status, code: Some(code) },
        "slow_down" => IssuerError::Throttled { status, retry_after: None },
        _ => IssuerError::Refused { status, code, advice: advice(code) },
    }
}

pub(super) fn without_code(status: u16) -> IssuerError {
    match status {
        401 => IssuerError::CredentialRejected { status, code: None },
        403 => {
            IssuerError::Unexpected { status, advice: "A firewall, or the provider's own list of addresses?" }
        }
        404 => {
            IssuerError::Unexpected { status, advice: "Is tokenUrl the whole path of the token endpoint?" }
        }
        407 => IssuerError::Unexpected { status, advice: "The proxy wants credentials of its own" },
        _ => IssuerError::Unexpected {
            status,
            advice: "Check tokenUrl, and what stands between us and the provider",
        },
    }
}

fn advice(code: &str) -> &'static str {
    match code {
        "invalid_scope" => {
            "The provider does not know or does not grant a scope; compare scopes with what it shows"
        }
        "unauthorized_client" => {
            "The provider does not let this client use the grant client_credentials; allow it there"
        }
        "unsupported_grant_type" => "The endpoint does not do client_credentials; is tokenUrl the right one?",
        "invalid_target" => {
            "The provider does not know the audience; compare it with what the provider shows"
        }
        "invalid_request" => {
            "A parameter is missing or wrong; compare parameters with the provider's documentation"
        }
        _ => "The provider says why in a code that is not in RFC 6749; its own log will tell",
    }
}
