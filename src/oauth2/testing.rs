//! What the tests of this layer share.

use jiff::SignedDuration;

use crate::config::spec::OAuth2Spec;
use crate::rotation::ClientCredentials;
use crate::secret::SecretText;

/// A specification with the defaults of the configuration.
pub(super) fn spec(token_url: &str) -> OAuth2Spec {
    OAuth2Spec {
        preset: None,
        token_url: Some(token_url.to_owned()),
        client_auth: None,
        scopes: vec![],
        audience: None,
        parameters: vec![],
        headers: vec![],
        default_lifetime: SignedDuration::from_hours(1),
        max_concurrent: 8,
        connect_timeout: SignedDuration::from_secs(5),
        timeout: SignedDuration::from_secs(30),
        allow_insecure: false,
        ca_file: None,
    }
}

pub(super) fn credentials(id: &str, secret: &str) -> ClientCredentials {
    ClientCredentials { id: SecretText::new(id), secret: SecretText::new(secret) }
}
