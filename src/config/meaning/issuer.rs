//! What an issuer's section means.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::SignedDuration;
use url::{Host, Url};

use super::Report;
use crate::config::document::{ClientAuthName, Issuer, IssuerType, PresetName};
use crate::config::place::Path;
use crate::config::spec::{ClientAuth, IssuerSpec, OAuth2Spec, Preset};
use crate::config::value;

pub(super) fn check(report: &mut Report<'_>, at: &Path, issuer: &Issuer) -> Option<IssuerSpec> {
    if issuer.r#type == Some(IssuerType::Basic) {
        let given = given_keys(issuer);
        if !given.is_empty() {
            let text = format!("a Basic issuer asks nobody, so it takes no {}", given.join(", "));
            report.mistake(at, text, Some("remove the keys, or type: basic".into()));
        }
        return Some(IssuerSpec::Basic);
    }
    if issuer.preset.is_none() && issuer.token_url.is_none() {
        if ["preset", "tokenUrl", "type"].iter().any(|key| report.gives(at, key)) {
            return None; // reported already
        }
        let help = "set tokenUrl, or preset: bandwidth, or type: basic";
        report.mistake(at, "where tokens are minted is missing", Some(help.into()));
        return None;
    }
    let allow_insecure = issuer.allow_insecure.unwrap_or_default();
    if let Some(url) = &issuer.token_url {
        token_url(report, &at.key("tokenUrl"), url, allow_insecure);
    }
    let parameters = issuer.parameters.clone().unwrap_or_default();
    check_parameters(report, &at.key("parameters"), &parameters);
    let headers = issuer.headers.clone().unwrap_or_default();
    check_headers(report, &at.key("headers"), &headers);
    let scopes = issuer.scopes.clone().unwrap_or_default();
    for (index, scope) in scopes.iter().enumerate() {
        // RFC 6749 §3.3
        let fit =
            !scope.is_empty() && scope.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'"' && b != b'\\');
        if !fit {
            let text = "a scope is printable ASCII without spaces, quotes and backslashes";
            report.mistake(&at.key("scopes").item(index), text, Some("one scope for each item".into()));
        }
    }
    let mut span = |key: &str, text: &Option<String>, default: i64, longest: i64| {
        let default = SignedDuration::from_secs(default);
        report.read(&at.key(key), text.as_deref(), default, |text| {
            let span = value::duration(text)?;
            let longest_span = SignedDuration::from_secs(longest);
            if span.is_zero() || span > longest_span {
                return Err(format!("more than 0 and at most {longest}s are wanted here"));
            }
            Ok(span)
        })
    };
    Some(IssuerSpec::OAuth2(OAuth2Spec {
        default_lifetime: span("defaultLifetime", &issuer.default_lifetime, 3600, 3650 * 86_400),
        connect_timeout: span("connectTimeout", &issuer.connect_timeout, 5, 60),
        timeout: span("timeout", &issuer.timeout, 30, 300),
        preset: issuer.preset.map(|PresetName::Bandwidth| Preset::Bandwidth),
        token_url: issuer.token_url.clone(),
        client_auth: issuer.client_auth.map(|name| match name {
            ClientAuthName::ClientSecretBasic => ClientAuth::ClientSecretBasic,
            ClientAuthName::ClientSecretBasicRaw => ClientAuth::ClientSecretBasicRaw,
        }),
        scopes,
        audience: issuer.audience.clone().filter(|audience| !audience.is_empty()),
        parameters: parameters.into_iter().collect(),
        headers: headers.into_iter().collect(),
        max_concurrent: issuer.max_concurrent.unwrap_or(8),
        allow_insecure,
        ca_file: issuer.ca_file.clone().map(PathBuf::from),
    }))
}

fn given_keys(issuer: &Issuer) -> Vec<&'static str> {
    [
        ("preset", issuer.preset.is_some()),
        ("tokenUrl", issuer.token_url.is_some()),
        ("clientAuth", issuer.client_auth.is_some()),
        ("grant", issuer.grant.is_some()),
        ("scopes", issuer.scopes.is_some()),
        ("audience", issuer.audience.is_some()),
        ("parameters", issuer.parameters.is_some()),
        ("headers", issuer.headers.is_some()),
        ("defaultLifetime", issuer.default_lifetime.is_some()),
        ("maxConcurrent", issuer.max_concurrent.is_some()),
        ("connectTimeout", issuer.connect_timeout.is_some()),
        ("timeout", issuer.timeout.is_some()),
        ("allowInsecure", issuer.allow_insecure.is_some()),
        ("caFile", issuer.ca_file.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, given)| given.then_some(key))
    .collect()
}

fn token_url(report: &mut Report<'_>, at: &Path, text: &str, allow_insecure: bool) {
    match web_address(text) {
        Err(message) => report.mistake(at, message, None),
        Ok(url) if url.scheme() == "http" && !is_loopback(&url) && !allow_insecure => {
            let text = "http:// to another host sends the client secret in the clear";
            report.mistake(at, text, Some("use https://, or allowInsecure: true where you know why".into()));
        }
        Ok(_) => {}
    }
}

/// An absolute http or https URL without user, password and fragment. The error shows nothing of it.
pub(super) fn web_address(text: &str) -> Result<Url, &'static str> {
    let url =
        Url::parse(text).map_err(|_| "an absolute URL such as https://idp.example/token is wanted here")?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("an https:// URL is wanted here");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL must hold no user and password: credentials come from the source");
    }
    if url.fragment().is_some() {
        return Err("a URL with a fragment (#…) is never what a server sees; remove it");
    }
    Ok(url)
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Fields that we set ourselves, and those that would put a secret into the configuration.
fn check_parameters(report: &mut Report<'_>, at: &Path, parameters: &BTreeMap<String, String>) {
    for name in parameters.keys() {
        let help = match name.as_str() {
            "" => "a field has a name",
            "grant_type" => "set grant",
            "scope" => "set scopes",
            "audience" => "set audience",
            "client_id" | "client_secret" | "client_assertion" => "credentials come from the source",
            _ => continue,
        };
        report.mistake(&at.key(name), format!("the parameter {name} cannot be set here"), Some(help.into()));
    }
}

fn check_headers(report: &mut Report<'_>, at: &Path, headers: &BTreeMap<String, String>) {
    const OURS: [&str; 7] = [
        "authorization",
        "connection",
        "content-type",
        "content-length",
        "host",
        "accept-encoding",
        "transfer-encoding",
    ];
    for (name, value) in headers {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            report.mistake(&at.key(name), "this is not the name of a header", None);
        } else if OURS.contains(&name.to_ascii_lowercase().as_str()) {
            report.mistake(&at.key(name), format!("the header {name} cannot be set here"), None);
        } else if !value.bytes().all(|b| b == b'\t' || (0x20..=0x7e).contains(&b)) {
            report.mistake(&at.key(name), "a header's value is printable ASCII in one line", None);
        }
    }
}
