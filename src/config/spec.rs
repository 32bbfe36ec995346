//! What a configuration means, once every mistake in it has been ruled out. The engine's wiring (`app.rs`) matches on
//! these enums, once; adapters take the struct that is theirs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::rotation::RotationName;
use crate::rotation::policy::Lead;
use crate::rotation::schedule::CronLine;

#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What tells our sinks from another installation's.
    pub installation: Arc<str>,
    pub vault: Option<VaultSpec>,
    pub kubernetes: KubernetesSpec,
    pub issuers: BTreeMap<Arc<str>, IssuerSpec>,
    /// In the order of the files.
    pub rotations: Vec<RotationSpec>,
    /// How often sources are looked at; `None`: never.
    pub source_interval: Option<SignedDuration>,
    /// How often sinks are looked at for drift; `None`: never.
    pub drift_interval: Option<SignedDuration>,
    pub receipts_key_file: Option<PathBuf>,
    pub admin: AdminSpec,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VaultSpec {
    /// Without a trailing slash.
    pub address: String,
    pub namespace: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub auth: VaultAuthSpec,
}

#[derive(Debug, Clone, PartialEq)]
pub enum VaultAuthSpec {
    /// Name of the environment variable that holds the token.
    Token { env: String },
    /// Vault Agent's sink, followed when it changes.
    TokenFile { path: PathBuf },
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct KubernetesSpec {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct AdminSpec {
    pub allow_rotate: bool,
    pub bearer_file: Option<PathBuf>,
    pub allowed_hosts: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a handful of them exist")]
pub enum IssuerSpec {
    OAuth2(OAuth2Spec),
    /// API user and password, rendered as they are; nothing is minted.
    Basic,
}

/// Either `preset` or `token_url` is there; what is `None` is the preset's or the default.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuth2Spec {
    pub preset: Option<Preset>,
    pub token_url: Option<String>,
    pub client_auth: Option<ClientAuth>,
    pub scopes: Vec<String>,
    pub audience: Option<String>,
    /// Further form fields, in the order of the file.
    pub parameters: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    /// Counts when neither `expires_in` nor the token itself tells.
    pub default_lifetime: SignedDuration,
    pub max_concurrent: usize,
    pub connect_timeout: SignedDuration,
    pub timeout: SignedDuration,
    pub allow_insecure: bool,
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    Bandwidth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Id and secret form-urlencoded before base64 (RFC 6749 §2.3.1).
    ClientSecretBasic,
    /// Id and secret as they are before base64: what Bandwidth and many others take.
    ClientSecretBasicRaw,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RotationSpec {
    pub name: RotationName,
    pub issuer: Arc<str>,
    pub source: SourceSpec,
    pub lead: Lead,
    /// Share of the lead, 0 to 1, by which jitter may make a rotation earlier.
    pub jitter: f64,
    /// Tokens per lifetime.
    pub mint_budget: u32,
    pub schedule: Option<CronLine>,
    pub suspend: bool,
    pub sinks: Vec<SinkSpec>,
    /// Key to template; `None` leaves a default key out.
    pub keys: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SourceSpec {
    Vault(VaultSourceSpec),
    Files {
        id: PathBuf,
        secret: PathBuf,
    },
    /// Names of environment variables.
    Env {
        id: String,
        secret: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VaultSourceSpec {
    pub mount: String,
    pub path: String,
    /// Key of the client id, or of the username where the issuer is Basic.
    pub id_key: String,
    /// Key of the client secret or password.
    pub secret_key: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SinkSpec {
    KubernetesSecret(KubernetesSecretSpec),
    VaultKv(VaultKvSpec),
    Directory(DirectorySpec),
}

#[derive(Debug, Clone, PartialEq)]
pub struct KubernetesSecretSpec {
    pub namespace: String,
    pub name: String,
    /// The Secret's `type`; `Opaque` by default.
    pub type_: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub adopt: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct VaultKvSpec {
    pub mount: String,
    pub path: String,
    pub adopt: bool,
    /// Whether keys of others in the same path are kept; otherwise such a path is refused.
    pub keep_foreign_keys: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DirectorySpec {
    /// Absolute, or relative to the working directory.
    pub path: PathBuf,
    /// File mode bits, 0o440 by default.
    pub mode: u32,
    pub owner: Option<u32>,
    pub group: Option<u32>,
}

impl SinkSpec {
    /// The name that metrics, logs and receipts use for this sink.
    #[must_use]
    pub fn name(&self) -> crate::rotation::SinkName {
        match self {
            Self::KubernetesSecret(s) => format!("kubernetesSecret/{}/{}", s.namespace, s.name).into(),
            Self::VaultKv(s) => format!("vaultKv/{}/{}", s.mount, s.path).into(),
            Self::Directory(s) => {
                format!("directory/{}", s.path.to_string_lossy().trim_start_matches('/')).into()
            }
        }
    }

    /// The value of `everbearer_sink_writes_total{kind}`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::KubernetesSecret(_) => "kubernetesSecret",
            Self::VaultKv(_) => "vaultKv",
            Self::Directory(_) => "directory",
        }
    }
}

impl SourceSpec {
    /// The value of `everbearer_source_fetches_total{kind}`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vault(_) => "vault",
            Self::Files { .. } => "files",
            Self::Env { .. } => "env",
        }
    }
}
