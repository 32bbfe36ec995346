//! Client credentials from two keys of a path in a KV version 2 engine.
//!
//! Lacks a cache and a clock: every fetch is a read. Equal sources are fetched once by whoever holds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::kv::{self, Field, KvPath, Read};
use super::wording::name_keys;
use super::{VaultError, VaultSession};
use crate::config::spec::VaultSourceSpec;
use crate::ports::{Fetched, Source, SourceError};
use crate::rotation::{ClientCredentials, SourceVersion};
use crate::secret::SecretText;

pub struct KvSource {
    session: Arc<VaultSession>,
    at: KvPath,
    id_key: String,
    secret_key: String,
}

impl KvSource {
    #[must_use]
    pub fn new(session: Arc<VaultSession>, spec: &VaultSourceSpec) -> Self {
        Self {
            session,
            at: KvPath::new(&spec.mount, &spec.path),
            id_key: spec.id_key.clone(),
            secret_key: spec.secret_key.clone(),
        }
    }

    /// As messages name it: `vault secret/bandwidth/voice`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("vault {}", self.at)
    }

    async fn read_current(&self) -> Result<Fetched, SourceError> {
        match kv::read(&self.session, &self.at, None).await {
            Ok(Read::Present { version, fields }) => self.credentials(version, &fields),
            Ok(Read::Deleted { version }) => Err(SourceError::Missing {
                at: self.describe(),
                advice: format!(
                    "Its latest version, {version}, is deleted or destroyed: write the credentials again, or \
                     `vault kv undelete -mount={} -versions={version} {}`",
                    self.at.mount, self.at.path
                ),
            }),
            Ok(Read::Missing) => Err(self.failed(&VaultError::Missing)),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Versions that are gone, or never held these keys, are not there: nothing was made with them.
    async fn read_version(&self, version: &SourceVersion) -> Result<Option<Fetched>, SourceError> {
        let Some(number) = version.0.parse::<u64>().ok().filter(|number| *number > 0) else {
            return Ok(None);
        };
        match kv::read(&self.session, &self.at, Some(number)).await {
            Ok(Read::Present { version, fields }) => Ok(self.credentials(version, &fields).ok()),
            Ok(Read::Deleted { .. } | Read::Missing) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn credentials(&self, version: u64, fields: &BTreeMap<String, Field>) -> Result<Fetched, SourceError> {
        let (id, id_trimmed) = self.value(fields, &self.id_key)?;
        let (secret, secret_trimmed) = self.value(fields, &self.secret_key)?;
        Ok(Fetched {
            credentials: ClientCredentials { id, secret },
            version: SourceVersion(version.to_string().into()),
            warning: (id_trimmed || secret_trimmed).then_some(
                "a newline at the end of a credential in Vault was trimmed; write it without one (`printf` instead \
                 of `echo`)",
            ),
        })
    }

    /// The value of a key, and whether a newline at its end was trimmed.
    fn value(&self, fields: &BTreeMap<String, Field>, key: &str) -> Result<(SecretText, bool), SourceError> {
        let unusable = |why: String| SourceError::Unusable { at: self.describe(), why };
        let field = fields.get(key).ok_or_else(|| unusable(missing_key(fields, key)))?;
        let text = field
            .text()
            .map_err(|kind| unusable(format!("its key {key} is {kind}; write it as a string, in quotes")))?;
        let trimmed = text.expose().trim_end_matches(['\r', '\n']);
        if trimmed.is_empty() {
            return Err(unusable(format!(
                "its key {key} is empty; write the value that the issuer gave you"
            )));
        }
        if trimmed.len() == text.expose().len() {
            return Ok((text, false));
        }
        Ok((SecretText::new(trimmed), true))
    }

    fn failed(&self, error: &VaultError) -> SourceError {
        let at = self.describe();
        match error {
            VaultError::Timeout { seconds } => SourceError::Timeout { at, seconds: *seconds },
            VaultError::RateLimited { retry_after, .. } => {
                SourceError::Throttled { at, why: error.to_string(), retry_after: *retry_after }
            }
            VaultError::Missing => SourceError::Missing {
                at,
                advice: format!(
                    "Look with `vault kv get -mount={} {}`, and correct mount and path, or write the credentials there; the \
                     mount must be KV version 2",
                    self.at.mount, self.at.path
                ),
            },
            VaultError::NoMount => SourceError::Missing {
                at,
                advice: format!(
                    "No secrets engine is mounted at {}: `vault secrets list` shows the mounts of this namespace",
                    self.at.mount
                ),
            },
            VaultError::Forbidden => SourceError::Forbidden {
                at,
                why: format!(
                    "{error}. The policy needs: path \"{}\" {{ capabilities = [\"read\"] }}",
                    self.at.in_policies()
                ),
            },
            VaultError::NoLogin { may_pass: false, .. } | VaultError::Rejected { .. } => {
                SourceError::Forbidden { at, why: error.to_string() }
            }
            VaultError::Setting { .. }
            | VaultError::NoLogin { may_pass: true, .. }
            | VaultError::Unreachable { .. }
            | VaultError::Sealed
            | VaultError::Uninitialised
            | VaultError::Standby { .. }
            | VaultError::CasMismatch
            | VaultError::Behind
            | VaultError::TooLarge
            | VaultError::Server { .. }
            | VaultError::Malformed { .. } => SourceError::Unreachable { at, why: error.to_string() },
        }
    }
}

impl Source for KvSource {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, SourceError>> {
        Box::pin(self.read_current())
    }

    fn fetch_version<'a>(
        &'a self,
        version: &'a SourceVersion,
    ) -> BoxFuture<'a, Result<Option<Fetched>, SourceError>> {
        Box::pin(self.read_version(version))
    }
}

fn missing_key(fields: &BTreeMap<String, Field>, key: &str) -> String {
    let held = name_keys(fields.keys());
    format!(
        "it has no key {key}; it holds {held}. Write the key, or name the right one in the rotation's source"
    )
}
