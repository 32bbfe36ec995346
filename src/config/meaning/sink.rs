//! What a sink's section means, and that no two sinks are one.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, PathBuf};

use jiff::SignedDuration;

use super::Report;
use super::rotation::kv_path;
use crate::config::document::{Directory, ForeignKeys, KubernetesSecret, Sink, VaultKv};
use crate::config::place::Path;
use crate::config::spec::{
    DirectorySpec, KubernetesSecretSpec, RotationSpec, SinkSpec, SourceSpec, VaultKvSpec,
};
use crate::config::value;
use crate::rotation::policy::Lead;

pub(super) fn check(report: &mut Report<'_>, at: &Path, sink: &Sink, has_vault: bool) -> Option<SinkSpec> {
    match sink {
        Sink { kubernetes_secret: Some(secret), .. } => {
            kubernetes_secret(report, &at.key("kubernetesSecret"), secret).map(SinkSpec::KubernetesSecret)
        }
        Sink { vault_kv: Some(kv), .. } => {
            let at = at.key("vaultKv");
            if !has_vault {
                let help = "add a section vault: with address and auth";
                report.mistake(&at, "a Vault sink needs the section vault", Some(help.into()));
            }
            vault_kv(report, &at, kv).map(SinkSpec::VaultKv)
        }
        Sink { directory: Some(directory), .. } => {
            self::directory(report, &at.key("directory"), directory).map(SinkSpec::Directory)
        }
        Sink { kubernetes_secret: None, vault_kv: None, directory: None } => None,
    }
}

fn kubernetes_secret(
    report: &mut Report<'_>,
    at: &Path,
    secret: &KubernetesSecret,
) -> Option<KubernetesSecretSpec> {
    let namespace = secret.namespace.clone()?;
    let name = secret.name.clone()?;
    if !is_dns_label(&namespace) {
        report.mistake(&at.key("namespace"), "this is not the name of a namespace (RFC 1123 label)", None);
    }
    let is_subdomain = name.len() <= 253 && name.split('.').all(is_dns_label);
    if !is_subdomain {
        report.mistake(&at.key("name"), "this is not the name of a Secret (RFC 1123 subdomain)", None);
    }
    let type_ = secret.r#type.clone().unwrap_or_else(|| "Opaque".into());
    if type_ == "kubernetes.io/service-account-token" {
        let text = "Kubernetes itself fills Secrets of this type; take Opaque";
        report.mistake(&at.key("type"), text, None);
    }
    let labels = secret.labels.clone().unwrap_or_default();
    let annotations = secret.annotations.clone().unwrap_or_default();
    check_metadata(report, &at.key("labels"), &labels, true);
    check_metadata(report, &at.key("annotations"), &annotations, false);
    let adopt = secret.adopt.unwrap_or_default();
    Some(KubernetesSecretSpec { namespace, name, type_, labels, annotations, adopt })
}

fn check_metadata(
    report: &mut Report<'_>,
    at: &Path,
    map: &BTreeMap<String, String>,
    values_are_labels: bool,
) {
    for (key, value) in map {
        let (prefix, name) = key.rsplit_once('/').map_or((None, key.as_str()), |(p, n)| (Some(p), n));
        let prefix_fit = prefix.is_none_or(|p| p.len() <= 253 && p.split('.').all(is_dns_label));
        if !prefix_fit || !is_qualified(name) {
            report.mistake(&at.key(key), "this is not the key of a label or annotation", None);
        } else if prefix == Some("everbearer.dev") || key == "app.kubernetes.io/managed-by" {
            report.mistake(&at.key(key), "this key is ours: we set it and decide by it", None);
        } else if values_are_labels && !value.is_empty() && !is_qualified(value) {
            let text = "a label's value is at most 63 of A-Z, a-z, 0-9, -, _ and .";
            report.mistake(&at.key(key), text, Some("annotations take any text".into()));
        }
    }
}

fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_qualified(text: &str) -> bool {
    let alphanumeric = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && alphanumeric(text.as_bytes().first())
        && alphanumeric(text.as_bytes().last())
}

fn vault_kv(report: &mut Report<'_>, at: &Path, kv: &VaultKv) -> Option<VaultKvSpec> {
    let (mount, path) = kv_path(report, at, kv.mount.as_deref(), kv.path.as_deref()?)?;
    Some(VaultKvSpec {
        mount,
        path,
        adopt: kv.adopt.unwrap_or_default(),
        keep_foreign_keys: kv.foreign_keys == Some(ForeignKeys::Keep),
    })
}

fn directory(report: &mut Report<'_>, at: &Path, directory: &Directory) -> Option<DirectorySpec> {
    let path = normal(directory.path.as_deref()?);
    if path.as_os_str().is_empty() || path.parent().is_none() {
        report.mistake(&at.key("path"), "a folder of its own is wanted here", None);
    }
    let mode = report.read(&at.key("mode"), directory.mode.as_deref(), 0o440, value::mode);
    Some(DirectorySpec { path, mode, owner: directory.owner, group: directory.group })
}

/// Without `.`, `..` and doubled slashes, by the text alone.
fn normal(text: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for component in PathBuf::from(text).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if path.file_name().is_some() => {
                path.pop();
            }
            other => path.push(other),
        }
    }
    path
}

/// No two sinks are one, and no sink is a source: each would overwrite the other for ever.
pub(super) fn are_apart(report: &mut Report<'_>, rotations: &[(Path, RotationSpec)]) {
    let mut seen: HashMap<crate::rotation::SinkName, (Path, &RotationSpec)> = HashMap::new();
    for (at, rotation) in rotations {
        for (index, sink) in rotation.sinks.iter().enumerate() {
            let at = at.key("sinks").item(index);
            let name = sink.name();
            if let Some((first, other)) = seen.get(&name) {
                let line = report.line(first);
                let text =
                    format!("{name} is a sink twice: of rotation {} in line {line} already", other.name);
                report.mistake(&at, text, Some("give each rotation a sink of its own".into()));
            } else {
                seen.insert(name, (at, rotation));
            }
        }
    }
    for (at, rotation) in rotations {
        if let SourceSpec::Vault(source) = &rotation.source {
            let as_sink = format!("vaultKv/{}/{}", source.mount, source.path);
            if let Some((first, other)) = seen.get(as_sink.as_str()) {
                let line = report.line(first);
                let text = format!("this source is the sink of rotation {} in line {line}", other.name);
                report.mistake(&at.key("source").key("vault"), text, None);
            }
        }
    }
}

/// kubelet's own delay eats a short lead.
pub(super) fn warn_of_kubelet(report: &mut Report<'_>, at: &Path, sinks: &[SinkSpec], lead: Lead) {
    let feeds_kubelet = sinks.iter().any(|sink| matches!(sink, SinkSpec::KubernetesSecret(_)));
    if feeds_kubelet && matches!(lead, Lead::RenewBefore(span) if span < SignedDuration::from_mins(5)) {
        let text = "kubelet shows a changed Secret within 90 s: with a lead under 5m an outage of the token \
                    endpoint of a few minutes reaches the pods";
        report.warning(&at.key("renewBefore"), text);
    }
}
