//! What the keys mean together: from a document that was read key by key to a [`Config`].
//!
//! Everything here can be told from the text alone. Checks go on after a mistake, and step over what reading has
//! reported already.

mod issuers;
mod rotations;
mod sinks;
mod sources;
mod templates;

use std::collections::HashSet;

use jiff::SignedDuration;

use super::Environment;
use super::document::{Document, VaultAuthDocument, VaultDocument};
use super::findings::{Findings, Place};
use super::shape::Slot;
use super::spec::{AdminSpec, Config, KubernetesSpec, VaultAuthSpec, VaultSpec};
use super::values::HttpUrl;
use crate::rotation::policy::Lead;

/// What rotations have that do not say otherwise.
struct Defaults {
    lead: Lead,
    jitter: f64,
    mint_budget: u32,
}

/// What a rotation is checked against.
struct Surroundings<'d> {
    issuers: issuers::Issuers<'d>,
    defaults: Defaults,
    /// Whether there is a `vault` section.
    vault: bool,
    /// Whether every file could be read: else what is missing may be in another one.
    complete: bool,
}

/// `None` if anything was wrong, here or while reading.
pub(super) fn check(
    document: &Document,
    complete: bool,
    environment: Environment<'_>,
    findings: &mut Findings,
) -> Option<Config> {
    let vault = document.vault.get().and_then(|vault| check_vault(vault, environment, findings));
    let defaults = document.defaults.get();
    let surroundings = Surroundings {
        issuers: issuers::check(document, findings),
        defaults: Defaults {
            lead: Lead::RenewAt(defaults.and_then(|d| d.renew_at.get()).map_or(0.5, |share| share.0)),
            jitter: defaults.and_then(|d| d.jitter.get()).map_or(0.1, |share| share.0),
            mint_budget: defaults.and_then(|d| d.mint_budget.get()).map_or(10, |number| number.0),
        },
        vault: !document.vault.is_absent(),
        complete,
    };
    let rotations = rotations::check(document, &surroundings, findings);
    if !findings.mistakes.is_empty() {
        return None;
    }
    warn_of_idle_parts(document, &rotations, findings);
    let interval = |interval: Option<Option<SignedDuration>>, default| {
        interval.unwrap_or(Some(SignedDuration::from_secs(default)))
    };
    Some(Config {
        installation: document.installation.get().map_or("everbearer", |name| name).into(),
        vault,
        kubernetes: kubernetes(document),
        issuers: surroundings.issuers.into_specs(),
        rotations,
        source_interval: interval(defaults.and_then(|d| d.source_interval.get()).map(|i| i.0), 60),
        drift_interval: interval(defaults.and_then(|d| d.drift_interval.get()).map(|i| i.0), 300),
        receipts_key_file: document.receipts.get().and_then(|r| r.key_file.get()).map(|path| (**path).into()),
        admin: admin(document),
    })
}

fn check_vault(
    vault: &VaultDocument,
    environment: Environment<'_>,
    findings: &mut Findings,
) -> Option<VaultSpec> {
    let address = vault_address(vault, environment, findings);
    let auth = match vault.auth.get() {
        Some(VaultAuthDocument::Token(token)) => {
            token.env.get().map(|env| VaultAuthSpec::Token { env: env.to_string() })
        }
        Some(VaultAuthDocument::TokenFile(file)) => {
            file.path.get().map(|path| VaultAuthSpec::TokenFile { path: (**path).into() })
        }
        None => None,
    };
    Some(VaultSpec {
        address: address?,
        namespace: vault.namespace.get().map(|namespace| namespace.trim_matches('/').to_owned()),
        ca_file: vault.ca_file.get().map(|path| (**path).into()),
        auth: auth?,
    })
}

fn vault_address(
    vault: &VaultDocument,
    environment: Environment<'_>,
    findings: &mut Findings,
) -> Option<String> {
    let from_environment;
    let (at, url): (Place, &HttpUrl) = match &vault.address {
        Slot::Put(address) => (address.at, &address.value),
        Slot::Broken(_) => return None,
        Slot::Absent => {
            let Some(text) = environment("VAULT_ADDR").filter(|text| !text.is_empty()) else {
                let help = "set it here, or set VAULT_ADDR in the environment";
                findings.mistake_with_help(vault.at, "address is missing", help);
                return None;
            };
            match HttpUrl::parse(text.trim()) {
                Ok(url) => from_environment = url,
                Err(message) => {
                    findings.mistake(vault.at, format!("VAULT_ADDR of the environment: {message}"));
                    return None;
                }
            }
            (vault.at, &from_environment)
        }
    };
    if url.is_insecure() {
        findings.warning(
            at,
            "Vault is reached by http at another host than loopback",
            "the login and all secrets travel in the clear; use https",
        );
    }
    Some(url.text.trim_end_matches('/').to_owned())
}

fn kubernetes(document: &Document) -> KubernetesSpec {
    document.kubernetes.get().map_or_else(KubernetesSpec::default, |kubernetes| KubernetesSpec {
        kubeconfig: kubernetes.kubeconfig.get().map(|path| (**path).into()),
        context: kubernetes.context.get().map(|name| name.to_string()),
    })
}

fn admin(document: &Document) -> AdminSpec {
    document.admin.get().map_or_else(AdminSpec::default, |admin| AdminSpec {
        allow_rotate: admin.allow_rotate.get().is_some_and(|flag| flag.0),
        bearer_file: admin.bearer_file.get().map(|path| (**path).into()),
        allowed_hosts: admin
            .allowed_hosts
            .get()
            .map(|hosts| hosts.items.iter().map(|host| host.value.to_string()).collect())
            .unwrap_or_default(),
    })
}

/// Parts that nothing uses are probably misspelt somewhere else.
fn warn_of_idle_parts(document: &Document, rotations: &[super::spec::RotationSpec], findings: &mut Findings) {
    if rotations.is_empty() {
        let at = document.rotations.place().unwrap_or(document.at);
        findings.warning(
            at,
            "there are no rotations",
            "nothing will be minted and delivered until there are some",
        );
        return;
    }
    let used: HashSet<&str> = rotations.iter().map(|rotation| &*rotation.issuer).collect();
    for (name, _) in document.issuers.get().iter().flat_map(|issuers| &issuers.entries) {
        if !used.contains(name.value.as_str()) {
            findings.warning(
                name.at,
                format!("no rotation uses the issuer `{}`", name.value),
                "remove it, or name it in a rotation's `issuer`",
            );
        }
    }
}
