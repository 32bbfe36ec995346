//! Whose a Secret is: by label, annotations, and what the API server says of who owns which field.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::core::ObjectMeta;

use super::MANAGER;
use super::error::words;
use crate::ports::SinkError;

pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub(super) const ROTATION: &str = "everbearer.dev/rotation";
pub(super) const INSTALLATION: &str = "everbearer.dev/installation";
pub(super) const RECEIPT: &str = "everbearer.dev/receipt";
pub(super) const EXPIRES_AT: &str = "everbearer.dev/expires-at";

pub(super) enum Owner {
    Us,
    /// Another rotation or installation of Everbearer: never taken over, or the two would fight for ever.
    Rival(String),
    /// Somebody else, in words.
    Other(String),
}

pub(super) fn owner(secret: &Secret, installation: &str, rotation: &str) -> Owner {
    let label = text(secret.metadata.labels.as_ref(), MANAGED_BY);
    let their_rotation = text(secret.metadata.annotations.as_ref(), ROTATION);
    let their_installation = text(secret.metadata.annotations.as_ref(), INSTALLATION);
    if label != Some(MANAGER) {
        let by = label.map(|label| format!(", managed by {label}")).unwrap_or_default();
        return Owner::Other(format!("it was not made by Everbearer{by}"));
    }
    match (their_installation, their_rotation) {
        (Some(theirs), _) if theirs != installation => {
            let theirs = words(theirs);
            Owner::Rival(format!("it belongs to the installation {theirs}, this is {installation}"))
        }
        (_, Some(theirs)) if theirs != rotation => {
            let theirs = words(theirs);
            Owner::Rival(format!("it belongs to the rotation {theirs}, this is {rotation}"))
        }
        (Some(_), Some(_)) => Owner::Us,
        _ => Owner::Other("it has our label, but not our annotations".into()),
    }
}

pub(super) fn refused_rival(at: &str, why: &str) -> SinkError {
    let advice = "Take another name, or delete it once nobody writes it any more";
    SinkError::Refused { why: format!("{at}: {why}"), advice: advice.into() }
}

/// Without `adopt`, nothing that is somebody else's is taken over.
pub(super) fn refused(at: &str, why: &str) -> SinkError {
    let advice = "Take another name, delete it, or set adopt: true";
    SinkError::Refused { why: format!("{at}: {why}"), advice: advice.into() }
}

fn text<'a>(map: Option<&'a BTreeMap<String, String>>, key: &str) -> Option<&'a str> {
    map?.get(key).map(String::as_str)
}

/// Keys of `data` that we applied and nobody has changed since.
pub(super) fn our_data_keys(metadata: &ObjectMeta) -> Vec<String> {
    let managed = metadata.managed_fields.iter().flatten();
    let ours = managed.filter(|entry| entry.manager.as_deref() == Some(MANAGER));
    ours.filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:data")?.as_object())
        .flat_map(|fields| fields.keys().filter_map(|key| Some(key.strip_prefix("f:")?.to_owned())))
        .collect()
}
