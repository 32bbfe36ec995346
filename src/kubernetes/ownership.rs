//! Whose a Secret is, and which of its keys are ours: read from its metadata, pure.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

/// The name under which we apply: `metadata.managedFields[].manager`.
pub(super) const FIELD_MANAGER: &str = "everbearer";
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub(super) const RECEIPT: &str = "everbearer.dev/receipt";
pub(super) const ROTATION: &str = "everbearer.dev/rotation";
pub(super) const INSTALLATION: &str = "everbearer.dev/installation";
pub(super) const EXPIRES_AT: &str = "everbearer.dev/expires-at";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Us,
    /// Another rotation of our installation, or this one under the name that it had before.
    OtherRotation(String),
    OtherInstallation(String),
    /// Not made by any Everbearer, or no longer marked as such.
    Stranger,
}

/// Ours are exactly those with our label and both our annotations.
pub(super) fn owner(metadata: &ObjectMeta, installation: &str, rotation: &str) -> Owner {
    let marked = metadata.labels.as_ref().and_then(|l| l.get(MANAGED_BY)).is_some_and(|v| v == FIELD_MANAGER);
    let (its_installation, its_rotation) =
        (annotation(metadata, INSTALLATION), annotation(metadata, ROTATION));
    match (its_installation, its_rotation) {
        (Some(i), _) if i != installation => Owner::OtherInstallation(i.to_owned()),
        (Some(_), Some(r)) if r != rotation => Owner::OtherRotation(r.to_owned()),
        (Some(_), Some(_)) if marked => Owner::Us,
        _ => Owner::Stranger,
    }
}

pub(super) fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// The keys of `data` that we applied. `None` where nothing at all is recorded as ours, as after a restore from a
/// backup that drops `managedFields`: then every key may be ours, and the receipt's MAC decides.
pub(super) fn our_keys(metadata: &ObjectMeta) -> Option<BTreeSet<&str>> {
    let mut ours = entries(metadata)
        .filter(|e| e.manager.as_deref() == Some(FIELD_MANAGER) && e.operation.as_deref() == Some("Apply"))
        .peekable();
    ours.peek()?;
    let keys = ours
        .filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:data")?.as_object())
        .flat_map(|fields| fields.keys())
        .filter_map(|field| field.strip_prefix("f:"))
        .collect();
    Some(keys)
}

/// Who else wrote to it, in words: `kubectl-create, helm`.
pub(super) fn other_managers(metadata: &ObjectMeta) -> String {
    let names: BTreeSet<&str> =
        entries(metadata).filter_map(|e| e.manager.as_deref()).filter(|m| *m != FIELD_MANAGER).collect();
    if names.is_empty() { "someone unrecorded".to_owned() } else { list(names) }
}

fn entries(metadata: &ObjectMeta) -> impl Iterator<Item = &ManagedFieldsEntry> {
    metadata.managed_fields.iter().flatten()
}

/// `a, b, c and 4 more`, so that a message stays short.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        0..=5 => shown,
        more => format!("{shown} and {} more", more - 5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn metadata(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn ours_needs_the_label_and_both_annotations() {
        let marked = |label: &str, installation: Option<&str>, rotation: Option<&str>| {
            let mut annotations = serde_json::Map::new();
            annotations.extend(installation.map(|i| (INSTALLATION.to_owned(), json!(i))));
            annotations.extend(rotation.map(|r| (ROTATION.to_owned(), json!(r))));
            let metadata = metadata(json!({"labels": {MANAGED_BY: label}, "annotations": annotations}));
            owner(&metadata, "prod", "voice")
        };
        assert_eq!(marked("everbearer", Some("prod"), Some("voice")), Owner::Us);
        assert_eq!(marked("helm", Some("prod"), Some("voice")), Owner::Stranger);
        assert_eq!(marked("everbearer", Some("prod"), None), Owner::Stranger);
        assert_eq!(marked("everbearer", None, Some("voice")), Owner::Stranger);
        assert_eq!(marked("everbearer", Some("prod"), Some("fax")), Owner::OtherRotation("fax".into()));
        assert_eq!(
            marked("everbearer", Some("test"), Some("voice")),
            Owner::OtherInstallation("test".into())
        );
        assert_eq!(owner(&ObjectMeta::default(), "prod", "voice"), Owner::Stranger);
    }

    #[test]
    fn only_applied_keys_are_ours() {
        let metadata = metadata(json!({"managedFields": [
            {"manager": "everbearer", "operation": "Apply", "fieldsV1": {"f:data": {".": {}, "f:a": {}, "f:f:b": {}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:data": {"f:c": {}}}},
        ]}));
        assert_eq!(our_keys(&metadata), Some(["a", "f:b"].into()));
        assert_eq!(other_managers(&metadata), "kubectl-edit");
    }

    #[test]
    fn nothing_recorded_is_told_from_nothing_owned() {
        let emptied = metadata(json!({"managedFields": [
            {"manager": "everbearer", "operation": "Apply", "fieldsV1": {"f:type": {}}}]}));
        assert_eq!(our_keys(&emptied), Some(BTreeSet::new()));
        assert_eq!(our_keys(&metadata(json!({"managedFields": []}))), None);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list(["a", "b"]), "a, b");
        assert_eq!(list(["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
    }
}
