//! From the specs of a configuration to the ports of its rotations.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::attempt::{IssuerPort, Setup, SharedSource, SinkPort};
use crate::basic::BasicIssuer;
use crate::config::Config;
use crate::config::spec::{IssuerSpec, OAuth2Spec, RotationSpec, SinkSpec, SourceSpec};
use crate::environment::EnvSource;
use crate::file::directory::DirectorySink;
use crate::file::source::FileSource;
use crate::kubernetes::{LazyClient, SecretSink};
use crate::oauth2::{self, TokenEndpoint};
use crate::ports::{Issuer, Sink, Source};
use crate::render::{RenderError, Templates};
use crate::rotation::policy::Policy;
use crate::rotation::receipt::{ReceiptKey, SpecDigest};
use crate::secret::SecretBytes;
use crate::vault::{KvSink, KvSource, VaultError, VaultSession};

/// A receipts' key is 32 random bytes; a file much longer is something else.
const LONGEST_KEY_FILE: usize = 4096;

/// Why a configuration without mistakes cannot be put in force all the same.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("receipts.keyFile {}: {why}. Write 32 random bytes into it, or remove the key from the configuration", path.display())]
    KeyFile { path: PathBuf, why: String },
    #[error("vault: {0}")]
    Vault(#[from] VaultError),
    #[error("rotation {rotation}: {error}")]
    Templates { rotation: String, error: RenderError },
}

/// Builds rotations of one configuration; equal sources, issuers and neighbours are shared.
pub struct Builder<'a> {
    config: &'a Config,
    vault: Option<Arc<VaultSession>>,
    kubernetes: Arc<LazyClient>,
    receipt_key: Option<Arc<ReceiptKey>>,
    sources: HashMap<SourceSpec, Arc<SharedSource>>,
    issuers: HashMap<Arc<str>, IssuerPort>,
}

impl<'a> Builder<'a> {
    pub fn new(config: &'a Config) -> Result<Self, BuildError> {
        Ok(Self {
            vault: config.vault.as_ref().map(VaultSession::new).transpose()?.map(Arc::new),
            kubernetes: Arc::new(LazyClient::new(config.kubernetes.clone())),
            receipt_key: config.receipts_key_file.as_ref().map(read_key).transpose()?.map(Arc::new),
            sources: HashMap::new(),
            issuers: HashMap::new(),
            config,
        })
    }

    pub fn setup(&mut self, rotation: &RotationSpec) -> Result<Setup, BuildError> {
        let templates = Templates::new(&rotation.keys)
            .map_err(|error| BuildError::Templates { rotation: rotation.name.to_string(), error })?;
        let issuer = self.issuer(&rotation.issuer);
        let spec = &self.config.issuers[&rotation.issuer];
        let sinks =
            rotation.sinks.iter().filter_map(|sink| self.sink(rotation, sink, issuer.is_basic)).collect();
        Ok(Setup {
            name: rotation.name.clone(),
            installation: self.config.installation.clone(),
            policy: policy(rotation, spec),
            spec: digest(spec, &rotation.source),
            source: self.source(&rotation.source),
            receipt_key: self.receipt_key.clone(),
            issuer,
            sinks,
            templates,
        })
    }

    fn issuer(&mut self, name: &Arc<str>) -> IssuerPort {
        if let Some(issuer) = self.issuers.get(name) {
            return issuer.clone();
        }
        let (port, is_basic, max_concurrent): (Arc<dyn Issuer>, bool, usize) =
            match &self.config.issuers[name] {
                IssuerSpec::Basic => (Arc::new(BasicIssuer), true, 64),
                IssuerSpec::OAuth2(spec) => {
                    (Arc::new(TokenEndpoint::new(name.clone(), spec)), false, spec.max_concurrent)
                }
            };
        let issuer = IssuerPort { name: name.clone(), port, is_basic, max_concurrent };
        self.issuers.insert(name.clone(), issuer.clone());
        issuer
    }

    fn source(&mut self, spec: &SourceSpec) -> Arc<SharedSource> {
        if let Some(source) = self.sources.get(spec) {
            return source.clone();
        }
        let port: Option<Box<dyn Source>> = match spec {
            SourceSpec::Vault(spec) => {
                let session = self.vault.clone();
                session.map(|session| Box::new(KvSource::new(session, spec)) as _)
            }
            SourceSpec::Files { id, secret } => Some(Box::new(FileSource::new(id.clone(), secret.clone()))),
            SourceSpec::Env { id, secret } => Some(Box::new(EnvSource::new(id.clone(), secret.clone()))),
        };
        // The configuration's check refuses Vault sources without the section `vault`.
        let port = port.unwrap_or_else(|| Box::new(EnvSource::new("VAULT_SECTION", "IS_MISSING")));
        let source = Arc::new(SharedSource::new(source_name(spec), spec.kind(), port));
        self.sources.insert(spec.clone(), source.clone());
        source
    }

    fn sink(&self, rotation: &RotationSpec, spec: &SinkSpec, is_basic: bool) -> Option<Arc<SinkPort>> {
        let (installation, name) = (self.config.installation.clone(), rotation.name.clone());
        let port: Arc<dyn Sink> = match spec {
            SinkSpec::KubernetesSecret(spec) => {
                Arc::new(SecretSink::new(self.kubernetes.clone(), installation, name, spec.clone()))
            }
            SinkSpec::VaultKv(spec) => {
                let keys = delivered_keys(rotation, is_basic);
                Arc::new(KvSink::new(self.vault.clone()?, spec, installation, name, keys))
            }
            SinkSpec::Directory(spec) => Arc::new(DirectorySink::new(installation, name, spec)),
        };
        Some(Arc::new(SinkPort { name: spec.name(), kind: spec.kind(), port }))
    }
}

/// The keys that a rotation delivers: defaults, those it adds, without those it leaves out.
fn delivered_keys(rotation: &RotationSpec, is_basic: bool) -> BTreeSet<Arc<str>> {
    let defaults: &[&str] = if is_basic {
        &["username", "password", "authorization"]
    } else {
        &["access_token", "token_type", "authorization", "expires_at"]
    };
    let mut keys: BTreeSet<Arc<str>> = defaults.iter().map(|key| Arc::from(*key)).collect();
    for (key, template) in &rotation.keys {
        if template.is_some() {
            keys.insert(key.as_str().into());
        } else {
            keys.remove(key.as_str());
        }
    }
    keys
}

/// How people read of a source, in logs and status.
pub(super) fn source_name(spec: &SourceSpec) -> String {
    match spec {
        SourceSpec::Vault(spec) => {
            format!("vault {}/{} ({}, {})", spec.mount, spec.path, spec.id_key, spec.secret_key)
        }
        SourceSpec::Files { id, secret } => format!("files {} and {}", id.display(), secret.display()),
        SourceSpec::Env { id, secret } => format!("environment {id} and {secret}"),
    }
}

fn policy(rotation: &RotationSpec, issuer: &IssuerSpec) -> Policy {
    let default_lifetime = match issuer {
        IssuerSpec::OAuth2(spec) => spec.default_lifetime,
        IssuerSpec::Basic => jiff::SignedDuration::from_hours(1),
    };
    Policy {
        lead: rotation.lead,
        jitter: rotation.jitter,
        feeds_kubelet: rotation.sinks.iter().any(|sink| matches!(sink, SinkSpec::KubernetesSecret(_))),
        mint_budget: rotation.mint_budget,
        default_lifetime,
        schedule: rotation.schedule.clone(),
        suspended: rotation.suspend,
    }
}

/// What changes the token, and nothing else: a mint follows every change of it. Parts are only ever added, and left out
/// where they are the default, so that an upgrade mints nothing.
fn digest(issuer: &IssuerSpec, source: &SourceSpec) -> SpecDigest {
    let mut parts: Vec<(&str, String)> = vec![("source", source_name(source))];
    match issuer {
        IssuerSpec::Basic => parts.push(("type", "basic".into())),
        IssuerSpec::OAuth2(spec) => oauth2_parts(spec, &mut parts),
    }
    SpecDigest::of(parts.iter().map(|(name, value)| (*name, value.as_str())))
}

fn oauth2_parts(spec: &OAuth2Spec, parts: &mut Vec<(&str, String)>) {
    let resolved = oauth2::presets::resolve(spec);
    parts.push(("tokenUrl", resolved.token_url.clone()));
    parts.push(("clientAuth", format!("{:?}", resolved.client_auth)));
    if !spec.scopes.is_empty() {
        parts.push(("scope", spec.scopes.join(" ")));
    }
    if let Some(audience) = &spec.audience {
        parts.push(("audience", audience.clone()));
    }
    for (name, value) in spec.parameters.iter().chain(&spec.headers) {
        parts.push(("parameter", name.clone()));
        parts.push(("value", value.clone()));
    }
}

fn read_key(path: &PathBuf) -> Result<ReceiptKey, BuildError> {
    let wrong = |why: String| BuildError::KeyFile { path: path.clone(), why };
    let bytes = std::fs::read(path).map_err(|error| wrong(format!("it cannot be read: {}", error.kind())))?;
    if !(32..=LONGEST_KEY_FILE).contains(&bytes.len()) {
        return Err(wrong(format!("it holds {} bytes", bytes.len())));
    }
    Ok(ReceiptKey::from_bytes(&SecretBytes::from(bytes)))
}
