//! The check of a document's meaning, and its translation into a [`Config`].
//!
//! Each function here translates what it can and reports the rest, so that one pass finds every mistake.

mod issuer;
mod rotation;
mod sink;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::Value;

use super::document::{Document, Interval, Vault};
use super::mistake::Mistake;
use super::place::Path;
use super::spec::{AdminSpec, Config, KubernetesSpec, VaultAuthSpec, VaultSpec};
use super::tree::Node;
use super::value;

/// Environment variables that the configuration falls back on, as an argument: this layer reads nothing.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Collects mistakes and warnings with their places.
struct Report<'a> {
    root: &'a Node,
    mistakes: &'a mut Vec<Mistake>,
    warnings: &'a mut Vec<Mistake>,
}

impl Report<'_> {
    fn mistake(&mut self, path: &Path, message: impl Into<Arc<str>>, help: Option<String>) {
        let mistake = Mistake::new(self.root.nearest(path).place, message).at(self.root, path);
        self.mistakes.push(Mistake { help: help.map(Into::into), ..mistake });
    }

    fn warning(&mut self, path: &Path, message: impl Into<Arc<str>>) {
        self.warnings.push(Mistake::new(self.root.nearest(path).place, message).at(self.root, path));
    }

    /// A value that reads from text, or its default.
    fn read<T>(
        &mut self,
        path: &Path,
        text: Option<&str>,
        default: T,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        match text.map(read) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(message)) => {
                self.mistake(path, message, None);
                default
            }
        }
    }

    /// Whether the document gives this key, even if what it gives is refused.
    fn gives(&self, path: &Path, key: &str) -> bool {
        self.root.nearest(path).key_place(key).is_some()
    }

    fn line(&self, path: &Path) -> usize {
        self.root.nearest(path).place.line
    }
}

pub(super) fn check(
    root: &Node,
    document: Document,
    environment: Environment<'_>,
    mistakes: &mut Vec<Mistake>,
    warnings: &mut Vec<Mistake>,
) -> Config {
    let mut report = Report { root, mistakes, warnings };
    let top = Path::default();
    let defaults = document.defaults.unwrap_or_default();
    let at = top.key("defaults");
    let source_interval =
        interval(&mut report, &at.key("sourceInterval"), defaults.source_interval.as_ref(), 60);
    let drift_interval =
        interval(&mut report, &at.key("driftInterval"), defaults.drift_interval.as_ref(), 300);
    let rotation_defaults = rotation::Defaults::new(&mut report, &at, &defaults);

    let vault = document.vault.as_ref().map(|vault| self::vault(&mut report, vault, environment));
    let issuers: BTreeMap<Arc<str>, _> = document
        .issuers
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, issuer)| {
            let at = top.key("issuers").key(&name);
            let spec = issuer::check(&mut report, &at, &issuer)?;
            Some((Arc::from(name), spec))
        })
        .collect();
    let rotations: Vec<_> = document
        .rotations
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .filter_map(|(index, rotation)| {
            let at = top.key("rotations").item(index);
            let context = rotation::Context {
                issuers: &issuers,
                defaults: &rotation_defaults,
                has_vault: document.vault.is_some(),
            };
            rotation::check(&mut report, &at, &rotation, &context).map(|spec| (at, spec))
        })
        .collect();
    if rotations.is_empty() && report.mistakes.is_empty() {
        report.warning(&top, "there is no rotation: nothing will be minted");
    }
    names_are_unique(&mut report, &rotations);
    sink::are_apart(&mut report, &rotations);
    let installation = document.installation.unwrap_or_else(|| "everbearer".into());
    if !(1..=128).contains(&installation.len()) || installation.chars().any(char::is_control) {
        report.mistake(&top.key("installation"), "1 to 128 characters are wanted here", None);
    }
    let admin = document.admin.unwrap_or_default();
    let kubernetes = document.kubernetes.unwrap_or_default();
    Config {
        installation: installation.into(),
        vault,
        kubernetes: KubernetesSpec {
            kubeconfig: kubernetes.kubeconfig.map(PathBuf::from),
            context: kubernetes.context,
        },
        issuers,
        rotations: rotations.into_iter().map(|(_, spec)| spec).collect(),
        source_interval,
        drift_interval,
        receipts_key_file: document.receipts.and_then(|receipts| receipts.key_file).map(PathBuf::from),
        admin: AdminSpec {
            allow_rotate: admin.allow_rotate.unwrap_or_default(),
            bearer_file: admin.bearer_file.map(PathBuf::from),
            allowed_hosts: admin.allowed_hosts.unwrap_or_default(),
        },
    }
}

/// A look each second at the most; 0 for never.
fn interval(
    report: &mut Report<'_>,
    path: &Path,
    interval: Option<&Interval>,
    default: i64,
) -> Option<SignedDuration> {
    let text = match interval.map(|interval| &interval.0) {
        None => return Some(SignedDuration::from_secs(default)),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    if text == "0" {
        return None;
    }
    match value::duration(&text) {
        Ok(span) if span.is_zero() => None,
        Ok(span) if span >= SignedDuration::from_secs(1) => Some(span),
        Ok(_) => {
            report.mistake(path, "at least 1s is wanted here, or 0 for never", None);
            None
        }
        Err(message) => {
            report.mistake(path, format!("{message}, or 0 for never"), None);
            None
        }
    }
}

fn vault(report: &mut Report<'_>, vault: &Vault, environment: Environment<'_>) -> VaultSpec {
    let at = Path::default().key("vault");
    let given = vault.address.clone();
    let address = given.or_else(|| environment("VAULT_ADDR")).unwrap_or_default();
    let address = address.trim_end_matches('/').to_owned();
    if address.is_empty() && !report.gives(&at, "address") {
        let help = "set vault.address, or the environment variable VAULT_ADDR";
        report.mistake(&at, "the address of Vault is missing", Some(help.into()));
    } else {
        match issuer::web_address(&address) {
            Err(message) => report.mistake(&at.key("address"), message, None),
            Ok(url) if url.scheme() == "http" && !issuer::is_loopback(&url) => {
                let text = "http:// sends the login token and every secret in the clear; use https://";
                report.mistake(&at.key("address"), text, None);
            }
            Ok(_) => {}
        }
    }
    let auth = vault.auth.clone().unwrap_or_default();
    let auth = match (auth.token, auth.token_file) {
        (_, Some(file)) => VaultAuthSpec::TokenFile { path: file.path.unwrap_or_default().into() },
        (Some(token), None) => VaultAuthSpec::Token { env: token.env.unwrap_or_default() },
        (None, None) => {
            if !report.gives(&at, "auth") {
                let help = "for example auth: {token: {env: VAULT_TOKEN}}";
                report.mistake(&at, "how to log in to Vault is missing", Some(help.into()));
            }
            VaultAuthSpec::Token { env: "VAULT_TOKEN".into() }
        }
    };
    let empty = match &auth {
        VaultAuthSpec::Token { env } => env.is_empty(),
        VaultAuthSpec::TokenFile { path } => path.as_os_str().is_empty(),
    };
    if empty {
        report.mistake(&at.key("auth"), "env or path must not be empty", None);
    }
    VaultSpec {
        address,
        namespace: vault.namespace.clone(),
        ca_file: vault.ca_file.clone().map(PathBuf::from),
        auth,
    }
}

fn names_are_unique(report: &mut Report<'_>, rotations: &[(Path, super::spec::RotationSpec)]) {
    let mut seen: HashMap<&str, &Path> = HashMap::new();
    for (at, rotation) in rotations {
        if let Some(first) = seen.insert(rotation.name.as_str(), at) {
            let line = report.line(&first.key("name"));
            let text = format!("two rotations are called {}; the other one is in line {line}", rotation.name);
            report.mistake(&at.key("name"), text, None);
        }
    }
}
