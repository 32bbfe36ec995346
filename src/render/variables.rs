//! What a template may refer to. It reads a JWT's claims without verifying them: they are the issuer's business.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use minijinja::Value;
use minijinja::value::Serde;
use serde_json::Map;
use zeroize::Zeroizing;

use super::{authorization, whole_seconds};
use crate::rotation::{Material, MintedToken, RotationName};

/// Every variable that some kind of token defines.
pub(super) const NAMES: [&str; 10] = [
    "access_token",
    "token_type",
    "authorization",
    "issued_at",
    "expires_at",
    "rotation",
    "username",
    "password",
    "claims",
    "response",
];

const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The variables of one token. What it does not have is absent, so that using it is an error.
pub(super) fn of(rotation: &RotationName, token: &MintedToken) -> Value {
    let mut all: Vec<(&str, Value)> = vec![
        ("rotation", rotation.as_str().into()),
        ("authorization", authorization(&token.material).expose().into()),
    ];
    match &token.material {
        Material::Bearer { access_token, token_type, response } => {
            all.push(("access_token", access_token.expose().into()));
            all.push(("token_type", (&**token_type).into()));
            let claims = claims(access_token.expose());
            all.extend(claims.map(|claims| ("claims", Serde(claims).into())));
            let response = response.as_ref().and_then(|text| json_object(text.expose().as_bytes()));
            all.extend(response.map(|fields| ("response", Serde(fields).into())));
        }
        Material::Basic { username, password } => {
            all.push(("token_type", "Basic".into()));
            all.push(("username", username.expose().into()));
            all.push(("password", password.expose().into()));
        }
    }
    if let Some(validity) = token.validity {
        all.push(("issued_at", whole_seconds(validity.issued_at()).into()));
        all.push(("expires_at", whole_seconds(validity.expires_at()).into()));
    }
    Value::from_pairs(all)
}

/// The payload of a signed JWT (RFC 7519 §3); `None` for an opaque token.
fn claims(access_token: &str) -> Option<Map<String, serde_json::Value>> {
    let mut parts = access_token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None; // an encrypted one has five parts
    }
    json_object(&Zeroizing::new(BASE64URL.decode(payload).ok()?))
}

fn json_object(text: &[u8]) -> Option<Map<String, serde_json::Value>> {
    serde_json::from_slice(text).ok()
}
