//! The object that a delivery applies, and what must be there for the API server to take it. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use super::ownership::{EXPIRES_AT, FIELD_MANAGER, INSTALLATION, MANAGED_BY, RECEIPT, ROTATION};
use crate::config::spec::KubernetesSecretSpec;
use crate::ports::Handle;
use crate::rotation::receipt::Receipt;
use crate::secret::Content;

/// The handle of a Secret that is not there.
pub(super) const ABSENT: &str = "absent";
/// etcd gives its first write revision 2, so no object has this one.
const NEVER: &str = "1";

/// What must be there for a write to happen. Without a uid: nothing at all.
#[derive(Clone, Copy)]
pub(super) struct Precondition<'a> {
    pub(super) uid: Option<&'a str>,
    resource_version: &'a str,
}

impl<'a> Precondition<'a> {
    pub(super) fn of(handle: &'a Handle) -> Self {
        match handle.0.split_once('/') {
            Some((uid, resource_version)) => Self { uid: Some(uid), resource_version },
            None => Self { uid: None, resource_version: NEVER },
        }
    }
}

/// Our own type, for `Secret` prints its bytes and would hold the token a second time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Apply<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    #[serde(rename = "type")]
    type_: &'a str,
    /// Never `stringData`: the API server would not record its keys as ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<BTreeMap<&'a str, Base64<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    resource_version: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, Cow<'a, str>>,
}

impl<'a> Apply<'a> {
    /// The marks of ownership and what the user wants on the Secret; nothing of a token.
    pub(super) fn new(
        spec: &'a KubernetesSecretSpec,
        installation: &'a str,
        rotation: &'a str,
        Precondition { uid, resource_version }: Precondition<'a>,
    ) -> Self {
        let mut labels: BTreeMap<_, _> = spec.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let mut annotations: BTreeMap<_, Cow<'_, str>> =
            spec.annotations.iter().map(|(k, v)| (k.as_str(), v.into())).collect();
        labels.insert(MANAGED_BY, FIELD_MANAGER);
        annotations.insert(ROTATION, rotation.into());
        annotations.insert(INSTALLATION, installation.into());
        let metadata = Metadata { name: &spec.name, uid, resource_version, labels, annotations };
        Self { api_version: "v1", kind: "Secret", metadata, type_: &spec.type_, data: None }
    }

    pub(super) fn with(mut self, content: &'a Content, receipt: &Receipt) -> Self {
        self.data = Some(content.expose_all().map(|(key, value)| (key, Base64(value))).collect());
        let annotations = &mut self.metadata.annotations;
        annotations.insert(RECEIPT, receipt.encode().into());
        if let Some(validity) = receipt.validity {
            annotations.insert(EXPIRES_AT, format!("{:.0}", validity.expires_at()).into());
        }
        self
    }
}

struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::SecretText;

    fn spec() -> KubernetesSecretSpec {
        KubernetesSecretSpec {
            namespace: "apps".into(),
            name: "voice-token".into(),
            type_: "Opaque".into(),
            labels: [("team".to_owned(), "voice".to_owned()), (MANAGED_BY.into(), "me".into())].into(),
            annotations: [(ROTATION.to_owned(), "forged".to_owned())].into(),
            adopt: false,
        }
    }

    #[test]
    fn a_write_against_nothing_demands_a_version_that_nothing_has() {
        let (spec, handle) = (spec(), Handle::new(ABSENT));
        let apply = Apply::new(&spec, "prod", "voice", Precondition::of(&handle));
        assert_eq!(
            serde_json::to_value(apply).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {
                    "name": "voice-token", "resourceVersion": "1",
                    "labels": {"team": "voice", MANAGED_BY: "everbearer"},
                    "annotations": {ROTATION: "voice", INSTALLATION: "prod"},
                }
            }),
            "the user's own label and annotation do not win over our marks"
        );
    }

    #[test]
    fn a_later_write_names_uid_and_version() {
        let (spec, handle) = (spec(), Handle::new("some-uid/42"));
        let apply =
            serde_json::to_value(Apply::new(&spec, "prod", "voice", Precondition::of(&handle))).unwrap();
        assert_eq!(apply["metadata"]["uid"], "some-uid");
        assert_eq!(apply["metadata"]["resourceVersion"], "42");
    }

    #[test]
    fn values_are_base64() {
        let content = Content::new([("access_token", SecretText::new("a/ü"))]);
        let value = Base64(content.expose("access_token").unwrap());
        assert_eq!(serde_json::to_value(value).unwrap(), "YS/DvA==");
    }
}
