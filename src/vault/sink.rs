//! A token in a path of a KV version 2 engine, its receipt beside it as one more field of the same write.
//!
//! Every write carries check-and-set on the version that was observed, also that of a deleted one, so two writers
//! never overwrite each other. Whose path it is, is told by the receipt in the data (`ownership.rs`); Vault keeps
//! `custom_metadata` apart from the data, so nothing relies on it. Where other keys are to be kept, they are read
//! again before each write and put back byte for byte: nothing of others is held in memory in between. There a path
//! that holds none of our keys needs no `adopt`, for nothing of theirs is written over.
//!
//! Where other keys are refused, a path with keys and no receipt is; a key that somebody adds to a path which is
//! already ours is drift, and goes with the next delivery (Vault keeps the earlier version).
//!
//! Lacks KV version 1, and a limit on the number of versions that Vault keeps (its default is ten).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::value::RawValue;

use super::kv::{self, Field, KvPath, Read, Value};
use super::ownership::{Owner, owner_of};
use super::wording::name_keys;
use super::{RECEIPT_KEY, VaultError, VaultSession};
use crate::config::spec::VaultKvSpec;
use crate::ports::{Found, Handle, Observed, Sink, SinkError};
use crate::rotation::RotationName;
use crate::rotation::receipt::Receipt;
use crate::secret::Content;

/// Integrated storage takes entries up to about this size.
const LARGEST_CONTENT: usize = 1024 * 1024;

pub struct KvSink {
    session: Arc<VaultSession>,
    at: KvPath,
    adopt: bool,
    keep_foreign_keys: bool,
    installation: Arc<str>,
    rotation: RotationName,
    our_keys: BTreeSet<Arc<str>>,
}

impl KvSink {
    /// `our_keys` are the keys that the rotation delivers: where foreign keys are kept, they are what tells ours from
    /// theirs. A key that the rotation once delivered and no longer does counts as foreign then, and stays.
    #[must_use]
    pub fn new(
        session: Arc<VaultSession>,
        spec: &VaultKvSpec,
        installation: Arc<str>,
        rotation: RotationName,
        our_keys: BTreeSet<Arc<str>>,
    ) -> Self {
        Self {
            session,
            at: KvPath::new(&spec.mount, &spec.path),
            adopt: spec.adopt,
            keep_foreign_keys: spec.keep_foreign_keys,
            installation,
            rotation,
            our_keys,
        }
    }

    /// As messages name it: `vault secret/tokens/voice`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("vault {}", self.at)
    }

    async fn look(&self) -> Result<Observed, SinkError> {
        match kv::read(&self.session, &self.at, None).await {
            Ok(Read::Present { version, fields }) => {
                Ok(Observed { handle: handle(version), found: self.found(&fields)? })
            }
            Ok(Read::Deleted { version }) => Ok(Observed { handle: handle(version), found: None }),
            Ok(Read::Missing) => Ok(Observed { handle: handle(0), found: None }),
            Err(error) => Err(self.failed(&error, "read")),
        }
    }

    /// What is ours of these fields; refused if they are not ours to write over.
    fn found(&self, fields: &BTreeMap<String, Field>) -> Result<Option<Found>, SinkError> {
        match owner_of(fields, &self.installation, &self.rotation) {
            Owner::Us { receipt } => Ok(Some(Found { receipt, content: self.content(fields) })),
            Owner::Nobody => Ok(None),
            Owner::Other { installation, rotation } => Err(SinkError::Refused {
                why: format!(
                    "{} holds the receipt of the rotation {rotation} of the installation {installation}",
                    self.describe()
                ),
                advice: format!(
                    "Give each rotation a path of its own; if that one no longer delivers here, delete the path or \
                     its field {RECEIPT_KEY}"
                ),
            }),
            Owner::Unknown if self.adopt => Ok(None),
            Owner::Unknown if self.keep_foreign_keys && !self.overlaps(fields) => Ok(None),
            Owner::Unknown => Err(SinkError::Refused {
                why: format!("{} holds {} and no receipt of ours", self.describe(), name_keys(fields.keys())),
                advice: "Choose an empty path, or set adopt: true to write over what is there".to_owned(),
            }),
        }
    }

    /// Whether somebody has put keys there that we would write over.
    fn overlaps(&self, fields: &BTreeMap<String, Field>) -> bool {
        fields.keys().any(|key| key == RECEIPT_KEY || self.our_keys.contains(key.as_str()))
    }

    fn content(&self, fields: &BTreeMap<String, Field>) -> Content {
        let ours = fields.iter().filter(|(key, _)| {
            *key != RECEIPT_KEY && (!self.keep_foreign_keys || self.our_keys.contains(key.as_str()))
        });
        // We write strings only; anything else is drift, whatever its bytes.
        Content::new(
            ours.map(|(key, field)| (key.as_str(), field.text().unwrap_or_else(|_| field.json().clone()))),
        )
    }

    async fn ask_for_rights(&self, against: &Handle) -> Result<(), SinkError> {
        let held = match kv::capabilities(&self.session, &self.at).await {
            Ok(Some(held)) => held,
            // Roles without the default policy may not ask, and an answer that we do not know tells nothing.
            Ok(None)
            | Err(
                VaultError::Forbidden
                | VaultError::Malformed { .. }
                | VaultError::Rejected { .. }
                | VaultError::NoMount,
            ) => return Ok(()),
            Err(error) => return Err(self.failed(&error, "update")),
        };
        let has = |right: &str| held.iter().any(|r| r == right || r == "root");
        // The first write creates; those after it update, so the right to do so is asked for before the first.
        let needed: &[&str] = if version_of(against)? == 0 { &["create", "update"] } else { &["update"] };
        if !held.iter().any(|right| right == "deny") && needed.iter().all(|right| has(right)) {
            return Ok(());
        }
        Err(SinkError::Forbidden {
            why: format!(
                "the policy of the login token allows {} at {}, and a delivery needs {}. {}",
                held.join(", "),
                self.at.in_policies(),
                needed.join(" and "),
                self.policy_line()
            ),
        })
    }

    fn policy_line(&self) -> String {
        format!(
            "Add to it: path \"{}\" {{ capabilities = [\"create\", \"read\", \"update\"] }}",
            self.at.in_policies()
        )
    }

    async fn write(
        &self,
        against: &Handle,
        content: &Content,
        receipt: &Receipt,
    ) -> Result<Handle, SinkError> {
        let version = version_of(against)?;
        let receipt = receipt.encode();
        let bytes = content.size() + RECEIPT_KEY.len() + receipt.len();
        if bytes > LARGEST_CONTENT {
            return Err(SinkError::TooLarge { bytes, limit: LARGEST_CONTENT });
        }
        let theirs = self.foreign_fields(version, content).await?;
        let mut fields = BTreeMap::new();
        for (key, field) in &theirs {
            let json: &RawValue = serde_json::from_str(field.json().expose())
                .map_err(|_| unfit(format!("the foreign key {key} cannot be kept as it is")))?;
            fields.insert(key.as_str(), Value::Json(json));
        }
        for (key, value) in content.expose_all() {
            let text = std::str::from_utf8(value)
                .map_err(|_| unfit(format!("the value of {key} is no UTF-8 text")))?;
            fields.insert(key, Value::Text(text));
        }
        fields.insert(RECEIPT_KEY, Value::Text(&receipt));
        match kv::write(&self.session, &self.at, version, &fields).await {
            Ok(written) => Ok(handle(written)),
            Err(VaultError::TooLarge) => Err(SinkError::TooLarge { bytes, limit: LARGEST_CONTENT }),
            Err(error) => Err(self.failed(&error, "update")),
        }
    }

    /// The fields of others in exactly this version, if they are to be kept.
    async fn foreign_fields(
        &self,
        version: u64,
        content: &Content,
    ) -> Result<BTreeMap<String, Field>, SinkError> {
        if !self.keep_foreign_keys || version == 0 {
            return Ok(BTreeMap::new());
        }
        // By its number: a standby that lags behind cannot hand us an earlier one, and check-and-set tells a later one.
        match kv::read(&self.session, &self.at, Some(version)).await {
            Ok(Read::Present { mut fields, .. }) => {
                let delivered: BTreeSet<&str> = content.keys().collect();
                fields.retain(|key, _| {
                    key != RECEIPT_KEY
                        && !self.our_keys.contains(key.as_str())
                        && !delivered.contains(key.as_str())
                });
                Ok(fields)
            }
            Ok(Read::Deleted { .. }) => Ok(BTreeMap::new()),
            Ok(Read::Missing) => Err(SinkError::Conflict),
            Err(error) => Err(self.failed(&error, "read")),
        }
    }

    fn failed(&self, error: &VaultError, right: &str) -> SinkError {
        match error {
            VaultError::Timeout { seconds } => SinkError::Timeout { seconds: *seconds },
            VaultError::RateLimited { retry_after, .. } => {
                SinkError::Throttled { why: error.to_string(), retry_after: *retry_after }
            }
            VaultError::CasMismatch | VaultError::Behind => SinkError::Conflict,
            VaultError::Forbidden => SinkError::Forbidden {
                why: format!("{error} ({right} at {}). {}", self.at.in_policies(), self.policy_line()),
            },
            VaultError::NoLogin { may_pass: false, .. } => SinkError::Forbidden { why: error.to_string() },
            VaultError::NoMount | VaultError::Missing => unfit(format!(
                "no KV version 2 engine is mounted at {}; mount one there, or correct the sink's mount \
                 (`vault secrets list`)",
                self.at.mount
            )),
            VaultError::Rejected { .. } | VaultError::TooLarge => unfit(error.to_string()),
            VaultError::Setting { .. }
            | VaultError::NoLogin { may_pass: true, .. }
            | VaultError::Unreachable { .. }
            | VaultError::Sealed
            | VaultError::Uninitialised
            | VaultError::Standby { .. }
            | VaultError::Server { .. }
            | VaultError::Malformed { .. } => SinkError::Unreachable { why: error.to_string() },
        }
    }
}

impl Sink for KvSink {
    fn observe(&self) -> BoxFuture<'_, Result<Observed, SinkError>> {
        Box::pin(self.look())
    }

    fn probe<'a>(&'a self, against: &'a Handle) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(self.ask_for_rights(against))
    }

    fn deliver<'a>(
        &'a self,
        against: &'a Handle,
        content: &'a Content,
        receipt: &'a Receipt,
    ) -> BoxFuture<'a, Result<Handle, SinkError>> {
        Box::pin(self.write(against, content, receipt))
    }
}

/// The number that check-and-set takes: the current version, 0 if there never was one.
fn handle(version: u64) -> Handle {
    Handle::new(version.to_string())
}

/// A handle that is not ours names a state that cannot be: look again.
fn version_of(handle: &Handle) -> Result<u64, SinkError> {
    handle.0.parse().map_err(|_| SinkError::Conflict)
}

fn unfit(why: String) -> SinkError {
    SinkError::Unfit { why }
}
