//! What the emulator says and understands: credentials, form, tokens, errors. Pure; the server around it is
//! `emulator.rs`.
//!
//! Source: Bandwidth's "Credentials" guide, section "Bearer Authentication", and RFC 6749 §5 where the guide is
//! silent (it shows no error response).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::RngExt as _;
use rand::distr::{Alphanumeric, SampleString as _};
use serde::{Deserialize, Serialize};

use crate::secret::SecretText;

/// As long as the `access_token_id` in the guide.
const TOKEN_ID_LENGTH: usize = 23;
/// The `kid` of the guide's example.
const KEY_ID: &str = "alohomora";

/// Why the token endpoint refuses (RFC 6749 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    InvalidClient,
    InvalidRequest,
    UnsupportedGrantType,
}

impl Refusal {
    pub(super) fn status(self) -> u16 {
        match self {
            Self::InvalidClient => 401,
            Self::InvalidRequest | Self::UnsupportedGrantType => 400,
        }
    }

    pub(super) fn body(self) -> String {
        let (code, description) = match self {
            Self::InvalidClient => ("invalid_client", "The client credentials are invalid."),
            Self::InvalidRequest => ("invalid_request", "The request is malformed."),
            Self::UnsupportedGrantType => {
                ("unsupported_grant_type", "Only the grant type client_credentials is supported.")
            }
        };
        serde_json::json!({"error": code, "error_description": description}).to_string()
    }
}

/// `Basic base64(ClientID:ClientSecret)`, both raw, as the guide has it. The id ends at the first colon.
pub(super) fn basic_credentials(header: &str) -> Option<(String, SecretText)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), SecretText::new(secret)))
}

/// Judges content type and form: `Ok` if they ask for client credentials.
pub(super) fn check_form(content_type: Option<&str>, body: &[u8]) -> Result<(), Refusal> {
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::InvalidRequest);
    }
    let mut grants = url::form_urlencoded::parse(body).filter(|(key, _)| key == "grant_type");
    // RFC 6749 §3.2: a parameter must not be repeated.
    match (grants.next(), grants.next()) {
        (Some((_, grant)), None) if grant == "client_credentials" => Ok(()),
        (Some(_), None) => Err(Refusal::UnsupportedGrantType),
        (None, _) | (Some(_), Some(_)) => Err(Refusal::InvalidRequest),
    }
}

/// A successful answer, in the order of the guide.
#[derive(Serialize)]
pub(super) struct TokenResponse {
    access_token: String,
    access_token_id: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    jti: String,
    /// Seconds since the Unix epoch, as all times in a JWT (RFC 7519 §2, `NumericDate`).
    iat: i64,
    exp: i64,
    #[serde(default)]
    accounts: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scope: String,
}

/// Signs and verifies with a key that was drawn at the start.
pub(super) struct Signer {
    issuer: String,
    key: [u8; 32],
}

impl Signer {
    pub(super) fn new(issuer: String) -> Self {
        Self { issuer, key: rand::rng().random() }
    }

    /// A token that is good from `now` on. Providers count in whole seconds, so it ends up to a second before
    /// `now + lifetime`; a lifetime below one second counts as one.
    pub(super) fn issue(
        &self,
        client_id: &str,
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> Result<TokenResponse, jsonwebtoken::errors::Error> {
        let expires_in = lifetime.as_secs().max(1);
        let jti = Alphanumeric.sample_string(&mut rand::rng(), TOKEN_ID_LENGTH);
        let iat = now.as_second();
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: client_id.to_owned(),
            jti: jti.clone(),
            iat,
            exp: iat.saturating_add(expires_in),
            accounts: vec!["9900000".to_owned()],
            roles: vec!["HTTP Messaging".to_owned(), "HTTP Voice".to_owned()],
            scope: "messaging voice".to_owned(),
        };
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::HS256) };
        let access_token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&self.key))?;
        Ok(TokenResponse { access_token, access_token_id: jti, token_type: "Bearer", expires_in })
    }

    /// Whether an `Authorization` header carries a token of ours that has not ended by `now`.
    pub(super) fn accepts(&self, header: &str, now: Timestamp) -> bool {
        let Some((scheme, token)) = header.split_once(' ') else { return false };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return false;
        }
        // The library would read the real clock and allow a minute; we judge `exp` ourselves, to the second.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.set_issuer(&[&self.issuer]);
        jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(&self.key), &validation)
            .is_ok_and(|data| now.as_second() < data.claims.exp)
    }
}
