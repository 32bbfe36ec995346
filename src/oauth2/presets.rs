//! What is known of providers, as data. Every field may be overridden in the configuration.

use crate::config::spec::{ClientAuth, OAuth2Spec, Preset};

struct PresetData {
    token_url: &'static str,
    client_auth: ClientAuth,
}

/// Bandwidth's guide "Credentials", section "Bearer Authentication": `POST https://id.bandwidth.com/api/v1/oauth2/token`
/// with `Basic base64(ClientID:ClientSecret)`, neither of them percent-encoded first.
const BANDWIDTH: PresetData = PresetData {
    token_url: "https://id.bandwidth.com/api/v1/oauth2/token",
    client_auth: ClientAuth::ClientSecretBasicRaw,
};

/// A spec with its preset filled in.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub token_url: String,
    pub client_auth: ClientAuth,
}

/// The configuration's check makes sure that either a preset or a token URL is there.
#[must_use]
pub fn resolve(spec: &OAuth2Spec) -> Resolved {
    let preset = spec.preset.map(|preset| match preset {
        Preset::Bandwidth => BANDWIDTH,
    });
    let from_preset = preset.as_ref();
    let token_url = spec.token_url.clone().or_else(|| from_preset.map(|preset| preset.token_url.to_owned()));
    let client_auth = spec.client_auth.or_else(|| from_preset.map(|preset| preset.client_auth));
    Resolved {
        token_url: token_url.unwrap_or_default(),
        client_auth: client_auth.unwrap_or(ClientAuth::ClientSecretBasic),
    }
}
