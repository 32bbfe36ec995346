//! Sinks: what each is called, so that no two rotations deliver to one, and what may not be written.

use std::path::{Component, Path, PathBuf};

use super::sources::{mount, warn_of_data};
use crate::config::document::{
    DirectoryDocument, ForeignKeys, KubernetesSecretDocument, SinkDocument, VaultKvDocument,
};
use crate::config::findings::{Findings, Spanned};
use crate::config::shape::Slot;
use crate::config::spec::{DirectorySpec, KubernetesSecretSpec, SinkSpec, VaultKvSpec};
use crate::config::text::Table;
use std::collections::BTreeMap;

pub(super) fn check(sink: &SinkDocument, findings: &mut Findings) -> Option<SinkSpec> {
    match sink {
        SinkDocument::KubernetesSecret(secret) => {
            check_secret(secret, findings).map(SinkSpec::KubernetesSecret)
        }
        SinkDocument::VaultKv(kv) => check_kv(kv, findings).map(SinkSpec::VaultKv),
        SinkDocument::Directory(directory) => check_directory(directory, findings).map(SinkSpec::Directory),
    }
}

fn check_secret(secret: &KubernetesSecretDocument, findings: &mut Findings) -> Option<KubernetesSecretSpec> {
    if let Some(type_) = secret.type_.spanned().filter(|t| &*t.value == "kubernetes.io/service-account-token")
    {
        findings.mistake_with_help(
            type_.at,
            "Kubernetes fills Secrets of this type itself, and would do so with another token",
            "leave `type` out, or choose another",
        );
    }
    let labels = own_names(&secret.labels, "label", findings);
    let annotations = own_names(&secret.annotations, "annotation", findings);
    Some(KubernetesSecretSpec {
        namespace: secret.namespace.get()?.to_string(),
        name: secret.name.get()?.to_string(),
        type_: secret.type_.get().map_or("Opaque", |type_| type_).to_owned(),
        labels,
        annotations,
        adopt: secret.adopt.get().is_some_and(|flag| flag.0),
    })
}

/// Labels or annotations, without those that are Everbearer's own.
fn own_names<R, V: std::ops::Deref<Target = str>>(
    table: &Slot<Table<R, V>>,
    what: &str,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (name, Spanned { value, .. }) in table.get().iter().flat_map(|table| &table.entries) {
        if name.value.starts_with("everbearer.dev/") || name.value == "app.kubernetes.io/managed-by" {
            let help = "Everbearer writes it itself, to know its own Secrets";
            findings.mistake_with_help(name.at, format!("the {what} `{}` is reserved", name.value), help);
        } else {
            names.insert(name.value.clone(), value.to_string());
        }
    }
    names
}

fn check_kv(kv: &VaultKvDocument, findings: &mut Findings) -> Option<VaultKvSpec> {
    warn_of_data(&kv.path, findings);
    Some(VaultKvSpec {
        mount: mount(&kv.mount)?,
        path: kv.path.get()?.trim_matches('/').to_owned(),
        adopt: kv.adopt.get().is_some_and(|flag| flag.0),
        keep_foreign_keys: kv.foreign_keys.get().is_some_and(|word| word.0 == ForeignKeys::Keep),
    })
}

fn check_directory(directory: &DirectoryDocument, findings: &mut Findings) -> Option<DirectorySpec> {
    if let Some(mode) = directory.mode.spanned().filter(|mode| mode.value.0 & 0o007 != 0) {
        findings.warning(
            mode.at,
            "every user of the machine may read the token with this mode",
            "give the group the right instead: \"0440\"",
        );
    }
    let written = directory.path.spanned()?;
    let path = normalize(Path::new(&*written.value));
    if path.components().all(|part| matches!(part, Component::RootDir)) {
        findings.mistake(
            written.at,
            "this is the root directory, or the working directory: name a folder of its own",
        );
    }
    Some(DirectorySpec {
        path,
        mode: directory.mode.get().map_or(0o440, |mode| mode.0),
        owner: directory.owner.get().map(|id| id.0),
        group: directory.group.get().map(|id| id.0),
    })
}

/// Without `.`, `..` and doubled slashes; links are not looked at.
fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match normal.components().next_back() {
                Some(Component::Normal(_)) => drop(normal.pop()),
                Some(Component::RootDir | Component::Prefix(_)) => {}
                Some(Component::ParentDir | Component::CurDir) | None => normal.push(part),
            },
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => normal.push(part),
        }
    }
    normal
}
