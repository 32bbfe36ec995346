//! The request for a token: a form in the body, the client's credentials in the header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Client, Request};
use url::form_urlencoded::byte_serialize;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::presets::Resolved;
use crate::config::spec::{ClientAuth, OAuth2Spec};
use crate::ports::IssuerError;
use crate::rotation::ClientCredentials;

pub(super) fn build(
    client: &Client,
    spec: &OAuth2Spec,
    resolved: &Resolved,
    credentials: &ClientCredentials,
) -> Result<Request, IssuerError> {
    let mut form = vec![("grant_type", "client_credentials".to_owned())];
    if !spec.scopes.is_empty() {
        form.push(("scope", spec.scopes.join(" ")));
    }
    if let Some(audience) = &spec.audience {
        form.push(("audience", audience.clone()));
    }
    // An empty parameter is left out: RFC 6749 §3.2 treats it as absent, and some providers do not.
    form.extend(spec.parameters.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.as_str(), v.clone())));
    let mut request = client
        .post(&resolved.token_url)
        .header(ACCEPT, "application/json")
        .header(AUTHORIZATION, authorization(resolved.client_auth, credentials)?)
        .form(&form);
    for (name, value) in &spec.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            request = request.header(name, value);
        }
    }
    request.build().map_err(|_| IssuerError::Unfit { why: "the token URL cannot be asked" })
}

/// `Basic …`, marked as sensitive so that no HTTP library prints it.
pub(super) fn authorization(
    method: ClientAuth,
    credentials: &ClientCredentials,
) -> Result<HeaderValue, IssuerError> {
    let (id, secret) = (credentials.id.expose(), credentials.secret.expose());
    let pair = Zeroizing::new(match method {
        // RFC 6749 §2.3.1: both are form-urlencoded before base64.
        ClientAuth::ClientSecretBasic => {
            let encode = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
            format!("{}:{}", *encode(id), *encode(secret))
        }
        ClientAuth::ClientSecretBasicRaw => {
            if id.contains(':') {
                return Err(IssuerError::Unfit {
                    why: "the client id contains a colon, which client_secret_basic_raw cannot carry: the server would \
                          read the rest of it as the secret. Use clientAuth: client_secret_basic if the provider \
                          takes it",
                });
            }
            if id.chars().chain(secret.chars()).any(char::is_control) {
                return Err(IssuerError::Unfit {
                    why: "the client id or secret contains a control character; put the right one into the source",
                });
            }
            format!("{id}:{secret}")
        }
    });
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let unfit = |_| IssuerError::Unfit { why: "the credentials do not fit into a header" };
    let mut value = HeaderValue::from_str(&text).map_err(unfit)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A proxy cannot reach our own loopback.
pub(super) fn is_loopback(url: &str) -> bool {
    match Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned())) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretText;

    fn header(method: ClientAuth, id: &str, secret: &str) -> Result<String, String> {
        let credentials = ClientCredentials { id: SecretText::new(id), secret: SecretText::new(secret) };
        let value = authorization(method, &credentials).map_err(|error| error.to_string())?;
        assert!(value.is_sensitive());
        Ok(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_raw_header_is_that_of_the_guide() {
        let value = header(ClientAuth::ClientSecretBasicRaw, "jdoe", "correct-horse-battery-staple");
        assert_eq!(value.unwrap(), "Basic amRvZTpjb3JyZWN0LWhvcnNlLWJhdHRlcnktc3RhcGxl");
    }

    #[test]
    fn the_standard_header_is_urlencoded_first() {
        let value = header(ClientAuth::ClientSecretBasic, "my:id", "a b%c+/é").unwrap();
        let pair = STANDARD.decode(value.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(pair).unwrap(), "my%3Aid:a+b%25c%2B%2F%C3%A9");
        // RFC 6749 §2.3.1's own example.
        let value = header(ClientAuth::ClientSecretBasic, "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw");
        assert_eq!(value.unwrap(), "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
    }

    #[test]
    fn what_the_raw_header_cannot_carry_is_refused_without_a_byte_of_it() {
        for (id, secret) in [("canary:id", "x"), ("id", "canary\nx"), ("canary\0", "x")] {
            let error = header(ClientAuth::ClientSecretBasicRaw, id, secret).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
