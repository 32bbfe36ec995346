//! What is known of the providers: data, and how a specification overrides it field by field.

use crate::config::spec::{ClientAuth, OAuth2Spec, Preset};

/// What a preset sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// As the configuration names it.
    pub name: &'static str,
    pub token_url: &'static str,
    pub client_auth: ClientAuth,
    /// Where these values are written down.
    pub source: &'static str,
}

/// The issuer's own values, where neither the specification nor a preset says otherwise.
const DEFAULT_CLIENT_AUTH: ClientAuth = ClientAuth::ClientSecretBasic;

#[must_use]
pub fn defaults(preset: Preset) -> Defaults {
    match preset {
        // "The header value before encoding should take the form Basic <ClientID>:<ClientSecret>": no form-urlencoding.
        Preset::Bandwidth => Defaults {
            name: "bandwidth",
            token_url: "https://id.bandwidth.com/api/v1/oauth2/token",
            client_auth: ClientAuth::ClientSecretBasicRaw,
            source: "Bandwidth, guide \"Credentials\" (https://dev.bandwidth.com/docs/credentials), \"Bearer Authentication\"",
        },
    }
}

/// What counts after preset and defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub token_url: String,
    pub client_auth: ClientAuth,
}

/// The specification's own fields before the preset's, and those before the defaults. The configuration's check makes
/// sure that there is a preset or a token URL.
#[must_use]
pub fn resolve(spec: &OAuth2Spec) -> Resolved {
    let preset = spec.preset.map(defaults);
    let token_url = spec.token_url.as_deref().or(preset.map(|preset| preset.token_url));
    let client_auth = spec.client_auth.or(preset.map(|preset| preset.client_auth));
    Resolved {
        token_url: token_url.unwrap_or_default().to_owned(),
        client_auth: client_auth.unwrap_or(DEFAULT_CLIENT_AUTH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth2::testing::spec;

    #[test]
    fn bandwidth_takes_the_guides_address_and_the_raw_header() {
        let spec = OAuth2Spec { preset: Some(Preset::Bandwidth), token_url: None, ..spec("") };
        let resolved = resolve(&spec);
        assert_eq!(resolved.token_url, "https://id.bandwidth.com/api/v1/oauth2/token");
        assert_eq!(resolved.client_auth, ClientAuth::ClientSecretBasicRaw);
    }

    #[test]
    fn every_field_of_a_preset_can_be_overridden() {
        let spec = OAuth2Spec {
            preset: Some(Preset::Bandwidth),
            client_auth: Some(ClientAuth::ClientSecretBasic),
            ..spec("https://api.bandwidth.com/api/v1/oauth2/token")
        };
        let resolved = resolve(&spec);
        assert_eq!(resolved.token_url, "https://api.bandwidth.com/api/v1/oauth2/token");
        assert_eq!(resolved.client_auth, ClientAuth::ClientSecretBasic);
    }

    #[test]
    fn without_a_preset_the_header_is_encoded_as_the_rfc_has_it() {
        assert_eq!(resolve(&spec("https://idp.example/token")).client_auth, ClientAuth::ClientSecretBasic);
    }
}
