//! What a token request says: its form, its fixed headers, and the `Authorization` header made of the credentials.
//!
//! One way of client authentication per request (RFC 6749 §2.3). Pure; sending is `oauth2.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::config::spec::{ClientAuth, OAuth2Spec};
use crate::ports::IssuerError;
use crate::rotation::ClientCredentials;

const GRANT: &str = "client_credentials";

/// The form of a client credentials request (RFC 6749 §4.4.2), `application/x-www-form-urlencoded`. What is empty is
/// left out: §3.2 counts it as omitted, and some providers do not. The configuration's check rules out that anything
/// stands twice.
pub(super) fn form(spec: &OAuth2Spec) -> String {
    let scope = spec.scopes.join(" ");
    let own =
        [("grant_type", GRANT), ("scope", &scope), ("audience", spec.audience.as_deref().unwrap_or(""))];
    let further = spec.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let given = own.into_iter().chain(further).filter(|(_, value)| !value.is_empty());
    form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish()
}

/// The headers that do not depend on credentials. The specification's own may replace `Accept` and `User-Agent`; those
/// that are the client's own business are ruled out by the configuration's check.
pub(super) fn headers(spec: &OAuth2Spec) -> Result<HeaderMap, IssuerError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("everbearer/", env!("CARGO_PKG_VERSION"))),
    );
    for (name, value) in &spec.headers {
        let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return Err(IssuerError::Unfit { why: "one of the issuer's `headers` is not a valid header" });
        };
        // Some providers take an API key in a header.
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The `Authorization` header. Credentials that cannot be sent this way are refused before anything is.
pub(super) fn authorization(
    auth: ClientAuth,
    credentials: &ClientCredentials,
) -> Result<HeaderValue, IssuerError> {
    let (id, secret) = (credentials.id.expose(), credentials.secret.expose());
    let unfit = |why| Err(IssuerError::Unfit { why });
    if id.is_empty() {
        return unfit("the client id is empty. Put it into the source");
    }
    if secret.is_empty() {
        return unfit("the client secret is empty. Put it into the source");
    }
    // RFC 7617 §2 forbids them in Basic credentials, RFC 6749 appendix A.1 and A.2 in any client id and secret.
    if id.chars().any(char::is_control) {
        return unfit(
            "the client id holds control characters, such as a line break. Correct it in the source",
        );
    }
    if secret.chars().any(char::is_control) {
        return unfit(
            "the client secret holds control characters, such as a line break. Correct it in the source",
        );
    }
    let pair = Zeroizing::new(match auth {
        // RFC 6749 §2.3.1: each one form-urlencoded, so that a colon in the id is no separator.
        ClientAuth::ClientSecretBasic => format!("{}:{}", *encoded(id), *encoded(secret)),
        ClientAuth::ClientSecretBasicRaw if id.contains(':') => {
            return unfit(
                "the client id contains a colon, which `clientAuth: client_secret_basic_raw` cannot send: the id ends \
                 at the first colon. Use client_secret_basic, or correct the id in the source",
            );
        }
        ClientAuth::ClientSecretBasicRaw => format!("{id}:{secret}"),
    });
    let text = Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(pair.as_bytes()))));
    // Base64 always fits a header.
    let Ok(mut value) = HeaderValue::from_str(&text) else {
        return unfit("the client credentials do not fit a header");
    };
    value.set_sensitive(true);
    Ok(value)
}

/// RFC 6749 appendix B: `application/x-www-form-urlencoded` over UTF-8.
fn encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

#[cfg(test)]
mod tests;
