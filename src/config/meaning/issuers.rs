//! Issuers: which kind each is, and what their keys mean together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::config::document::{Document, IssuerDocument, IssuerType};
use crate::config::findings::{Findings, Place, Spanned};
use crate::config::shape::{Slot, Written};
use crate::config::spec::{IssuerSpec, OAuth2Spec};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IssuerKind {
    OAuth2,
    Basic,
    /// A mistake hides it.
    Unclear,
}

/// What rotations may refer to.
pub(super) struct Issuers<'d> {
    specs: BTreeMap<Arc<str>, IssuerSpec>,
    kinds: HashMap<&'d str, IssuerKind>,
    /// Not one could be read, so that nothing is known about any.
    hidden: bool,
}

impl<'d> Issuers<'d> {
    /// `None`: there is no such issuer.
    pub(super) fn kind(&self, name: &str) -> Option<IssuerKind> {
        if self.hidden { Some(IssuerKind::Unclear) } else { self.kinds.get(name).copied() }
    }

    /// The name in the one allocation that all rotations share.
    pub(super) fn intern(&self, name: &str) -> Option<Arc<str>> {
        self.specs.get_key_value(name).map(|(name, _)| Arc::clone(name))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'d str> + Clone + '_ {
        self.kinds.keys().copied()
    }

    pub(super) fn into_specs(self) -> BTreeMap<Arc<str>, IssuerSpec> {
        self.specs
    }
}

pub(super) fn check<'d>(document: &'d Document, findings: &mut Findings) -> Issuers<'d> {
    let hidden = matches!(document.issuers, Slot::Broken(_));
    let mut issuers = Issuers { specs: BTreeMap::new(), kinds: HashMap::new(), hidden };
    let Some(table) = document.issuers.get() else { return issuers };
    issuers.kinds.extend(table.broken.iter().map(|name| (name.as_str(), IssuerKind::Unclear)));
    let mut places: HashMap<&str, Place> = HashMap::new();
    for (name, Spanned { value: issuer, .. }) in &table.entries {
        if let Some(first) = places.insert(&name.value, name.at) {
            let before = findings.name_place(first);
            findings
                .mistake(name.at, format!("the issuer `{}` is defined twice; first at {before}", name.value));
        }
        let kind = match &issuer.type_ {
            Slot::Put(type_) if type_.value.0 == IssuerType::Basic => IssuerKind::Basic,
            Slot::Put(_) | Slot::Absent => IssuerKind::OAuth2,
            Slot::Broken(_) => IssuerKind::Unclear,
        };
        issuers.kinds.insert(&name.value, kind);
        let spec = match kind {
            IssuerKind::OAuth2 => Some(IssuerSpec::OAuth2(check_oauth2(issuer, findings))),
            IssuerKind::Basic => check_basic(issuer, findings).then_some(IssuerSpec::Basic),
            IssuerKind::Unclear => None,
        };
        if let Some(spec) = spec {
            issuers.specs.insert(name.value.as_str().into(), spec);
        }
    }
    issuers
}

fn check_basic(issuer: &IssuerDocument, findings: &mut Findings) -> bool {
    let others: Vec<_> = issuer.written().into_iter().filter(|(key, _)| *key != "type").collect();
    for (key, at) in &others {
        findings.mistake_with_help(
            *at,
            format!("`{key}` does not go with `type: basic`"),
            "a Basic issuer mints nothing and asks nobody; leave `type` out for a token endpoint",
        );
    }
    others.is_empty()
}

/// The result is of use only if nothing was found.
fn check_oauth2(issuer: &IssuerDocument, findings: &mut Findings) -> OAuth2Spec {
    if issuer.preset.is_absent() && issuer.token_url.is_absent() {
        findings.mistake_with_help(
            issuer.at,
            "one of `preset`, `tokenUrl` is wanted here; found neither",
            "or `type: basic`, if the API takes no Bearer token",
        );
    }
    check_token_url(issuer, findings);
    check_parameters(issuer, findings);
    check_headers(issuer, findings);
    let span = |slot: Option<SignedDuration>, seconds| slot.unwrap_or(SignedDuration::from_secs(seconds));
    let connect_timeout = span(issuer.connect_timeout.get().map(|s| s.0), 5);
    let timeout = span(issuer.timeout.get().map(|s| s.0), 30);
    if let Some(at) = issuer.connect_timeout.place().filter(|_| connect_timeout > timeout) {
        findings.warning(at, "`connectTimeout` is longer than `timeout`", "it will never be reached");
    }
    OAuth2Spec {
        preset: issuer.preset.get().map(|word| word.0),
        token_url: issuer.token_url.get().map(|url| url.text.clone()),
        client_auth: issuer.client_auth.get().map(|word| word.0),
        scopes: issuer
            .scopes
            .get()
            .map(|l| l.items.iter().map(|s| s.value.to_string()).collect())
            .unwrap_or_default(),
        audience: issuer.audience.get().map(|audience| audience.to_string()),
        parameters: issuer.parameters.get().map(|table| pairs(&table.entries)).unwrap_or_default(),
        headers: issuer.headers.get().map(|table| pairs(&table.entries)).unwrap_or_default(),
        default_lifetime: span(issuer.default_lifetime.get().map(|s| s.0), 3600),
        max_concurrent: issuer.max_concurrent.get().map_or(8, |number| number.0 as usize),
        connect_timeout,
        timeout,
        allow_insecure: issuer.allow_insecure.get().is_some_and(|flag| flag.0),
        ca_file: issuer.ca_file.get().map(|path| (**path).into()),
    }
}

fn pairs<V: std::ops::Deref<Target = str>>(
    entries: &[(Spanned<String>, Spanned<V>)],
) -> Vec<(String, String)> {
    entries.iter().map(|(name, value)| (name.value.clone(), value.value.to_string())).collect()
}

fn check_token_url(issuer: &IssuerDocument, findings: &mut Findings) {
    let insecure = issuer.token_url.spanned().filter(|url| url.value.is_insecure());
    match (&issuer.allow_insecure, insecure) {
        (Slot::Put(flag), None) if flag.value.0 && !matches!(issuer.token_url, Slot::Broken(_)) => {
            findings.warning(
                flag.at,
                "`allowInsecure` changes nothing here",
                "the token URL is https or on loopback; remove it",
            );
        }
        (Slot::Put(flag), Some(_)) if flag.value.0 => {}
        (Slot::Broken(_), _) | (_, None) => {}
        (_, Some(url)) => findings.mistake_with_help(
            url.at,
            "http to another host than loopback would send the client secret in the clear",
            "use https, or set `allowInsecure: true` if you mean it",
        ),
    }
}

const SECRETS_GO: &str =
    "the client credentials come from the rotation's `source` and are sent as `clientAuth` says";

fn check_parameters(issuer: &IssuerDocument, findings: &mut Findings) {
    for (name, _) in issuer.parameters.get().iter().flat_map(|table| &table.entries) {
        let key = match name.value.as_str() {
            "grant_type" => Some("grant"),
            "scope" => Some("scopes"),
            "audience" => Some("audience"),
            "client_id" | "client_secret" | "client_assertion" | "client_assertion_type" => {
                let message = format!("`{}` cannot be a parameter", name.value);
                findings.mistake_with_help(name.at, message, SECRETS_GO);
                None
            }
            other => {
                warn_if_secret(other, name.at, findings);
                None
            }
        };
        if let Some(key) = key {
            let message = format!("`{}` cannot be a parameter", name.value);
            findings.mistake_with_help(name.at, message, format!("set the issuer's `{key}` instead"));
        }
    }
}

fn warn_if_secret(name: &str, at: Place, findings: &mut Findings) {
    let lower = name.to_ascii_lowercase();
    let word = ["password", "secret", "token", "key", "assertion", "cookie"]
        .into_iter()
        .find(|word| lower.ends_with(word));
    if let Some(word) = word {
        findings.warning(
            at,
            format!("a name that ends in `{word}` looks like a secret"),
            "whoever may read the configuration reads it too",
        );
    }
}

fn check_headers(issuer: &IssuerDocument, findings: &mut Findings) {
    let mut seen: HashMap<String, Place> = HashMap::new();
    for (name, _) in issuer.headers.get().iter().flat_map(|table| &table.entries) {
        let lower = name.value.to_ascii_lowercase();
        match lower.as_str() {
            "authorization" | "proxy-authorization" => {
                findings.mistake_with_help(
                    name.at,
                    format!("`{}` cannot be set here", name.value),
                    SECRETS_GO,
                );
            }
            "host" | "content-length" | "content-type" | "transfer-encoding" | "connection" | "te"
            | "upgrade" | "accept-encoding" => {
                let help = "it follows from the request itself";
                findings.mistake_with_help(name.at, format!("`{}` cannot be set here", name.value), help);
            }
            _ => warn_if_secret(&lower, name.at, findings),
        }
        if let Some(first) = seen.insert(lower, name.at) {
            let before = findings.name_place(first);
            let message = format!(
                "the header `{}` stands twice, for case does not count; first at {before}",
                name.value
            );
            findings.mistake(name.at, message);
        }
    }
}
