//! Every key that a configuration may have. This is what `everbearer schema` shows and what is read; what the keys
//! mean together is `meaning.rs`. Documentation comments here are the descriptions that editors show.

use serde_json::json;

use super::shape::{List, Nullable, choice, section};
use super::spec::{ClientAuth, Preset};
use super::text::{
    AnyText, CronText, EnvironmentName, FilePath, FreeText, HeaderName, HeaderValue, HostName,
    InstallationName, IssuerName, KvPath, LabelKey, LabelValue, Name, Namespace, ObjectName, OneOf,
    ParameterName, Scope, SecretType, SinkKey, Table, Text, VaultKey, Word, ZoneName,
};
use super::values::{FileMode, Flag, HttpUrl, Interval, Percent, Span, Whole};

/// Ten years: a longer lifetime counts as that anyway.
const TEN_YEARS: u64 = 3650 * DAY;
const DAY: u64 = 86_400_000;

pub(super) type RenewAt = Percent<1, 99>;
pub(super) type Jitter = Percent<0, 50>;
pub(super) type MintBudget = Whole<1, 1000>;
/// A look more often than each second would be a load and no help.
pub(super) type LookInterval = Interval<1000, DAY>;
/// 4294967295 means "leave it" to chown.
pub(super) type UserId = Whole<0, 4_294_967_294>;

section! {
    /// Configuration of Everbearer: which access tokens to mint, and where to deliver them.
    Document {
        /// Access to Vault. Needed by `vault` sources and `vaultKv` sinks only.
        optional "vault" => vault: VaultDocument,
        /// Where tokens are minted, by name.
        optional "issuers" => issuers: Table<IssuerName, IssuerDocument>,
        /// What rotations have that do not say otherwise.
        optional "defaults" => defaults: DefaultsDocument,
        /// What tells our sinks from those of another installation. Default: `everbearer`.
        optional "installation" => installation: Text<InstallationName>,
        /// How receipts are authenticated.
        optional "receipts" => receipts: ReceiptsDocument,
        /// The rotations: each mints one token and delivers it to its sinks.
        optional "rotations" => rotations: List<RotationDocument>,
        /// Access to the Kubernetes API. Default: in-cluster, else `KUBECONFIG`.
        optional "kubernetes" => kubernetes: KubernetesDocument,
        /// What the HTTP interface allows.
        optional "admin" => admin: AdminDocument,
    }
}

section! {
    /// Access to Vault.
    VaultDocument {
        /// URL of the server, such as `https://vault.example:8200`. Default: `VAULT_ADDR` of the environment.
        optional "address" => address: HttpUrl,
        /// Namespace of Vault Enterprise.
        optional "namespace" => namespace: Text<KvPath>,
        /// PEM file with the certificate authorities that the server's certificate is checked against.
        optional "caFile" => ca_file: Text<FilePath>,
        /// How to log in.
        required "auth" => auth: VaultAuthDocument,
    }
}

choice! {
    /// How to log in to Vault: exactly one of the keys.
    VaultAuthDocument {
        /// A token from the environment.
        "token" => Token(VaultTokenDocument),
        /// A token from a file, followed when it changes, such as Vault Agent's sink.
        "tokenFile" => TokenFile(VaultTokenFileDocument),
    }
}

section! {
    /// A token from the environment.
    VaultTokenDocument {
        /// Name of the environment variable that holds the token.
        required "env" => env: Text<EnvironmentName>,
    }
}

section! {
    /// A token from a file.
    VaultTokenFileDocument {
        /// The file.
        required "path" => path: Text<FilePath>,
    }
}

section! {
    /// Where tokens are minted: an OAuth 2.0 token endpoint, or `type: basic`.
    IssuerDocument {
        /// `oauth2`, the default, or `basic`: then nothing is minted, and username and password are rendered as a Basic
        /// header. `basic` goes with no other key.
        optional "type" => type_: OneOf<IssuerType>,
        /// Token URL and client authentication of a known provider; other keys override it.
        optional "preset" => preset: OneOf<Preset>,
        /// URL of the token endpoint. `http` is for loopback only, unless `allowInsecure` is set.
        optional "tokenUrl" => token_url: HttpUrl,
        /// How the client authenticates. `client_secret_basic` form-encodes id and secret first (RFC 6749 §2.3.1),
        /// `client_secret_basic_raw` sends them as they are.
        optional "clientAuth" => client_auth: OneOf<ClientAuth>,
        /// The OAuth grant. Default: `client_credentials`.
        optional "grant" => grant: OneOf<Grant>,
        /// Scopes to ask for.
        optional "scopes" => scopes: List<Text<Scope>>,
        /// Audience to ask for.
        optional "audience" => audience: Text<FreeText>,
        /// Further form fields of the token request. No place for secrets.
        optional "parameters" => parameters: Table<ParameterName, Text<AnyText>>,
        /// Further headers of the token request. No place for secrets.
        optional "headers" => headers: Table<HeaderName, Text<HeaderValue>>,
        /// Lifetime of a token, where neither the response nor the token itself tells. Default: `1h`.
        optional "defaultLifetime" => default_lifetime: Span<5000, TEN_YEARS>,
        /// Requests at one time. Default: `8`.
        optional "maxConcurrent" => max_concurrent: Whole<1, 1024>,
        /// How long to wait for a connection. Default: `5s`.
        optional "connectTimeout" => connect_timeout: Span<100, 60_000>,
        /// How long a request may take as a whole. Default: `30s`.
        optional "timeout" => timeout: Span<100, 300_000>,
        /// Allows `http` to another host than loopback: client secrets then travel in the clear. Default: `false`.
        optional "allowInsecure" => allow_insecure: Flag,
        /// PEM file with the certificate authorities that the endpoint's certificate is checked against.
        optional "caFile" => ca_file: Text<FilePath>,
    }
    where json!({
        "if": {"properties": {"type": {"const": "basic"}}, "required": ["type"]},
        "then": {"maxProperties": 1},
        "else": {"anyOf": [{"required": ["preset"]}, {"required": ["tokenUrl"]}]},
    })
}

/// `type` of an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IssuerType {
    OAuth2,
    Basic,
}

impl Word for IssuerType {
    const WORDS: &'static [(&'static str, Self)] = &[("oauth2", Self::OAuth2), ("basic", Self::Basic)];
}

impl Word for Preset {
    const WORDS: &'static [(&'static str, Self)] = &[("bandwidth", Self::Bandwidth)];
}

impl Word for ClientAuth {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("client_secret_basic", Self::ClientSecretBasic),
        ("client_secret_basic_raw", Self::ClientSecretBasicRaw),
    ];
}

/// OAuth grants: the only one so far, so that its name is reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    ClientCredentials,
}

impl Word for Grant {
    const WORDS: &'static [(&'static str, Self)] = &[("client_credentials", Self::ClientCredentials)];
}

section! {
    /// What rotations have that do not say otherwise.
    DefaultsDocument {
        /// When a new token is wanted: the share of the lifetime that has passed, 1% to 99%. Default: `50%`.
        optional "renewAt" => renew_at: RenewAt,
        /// By how much of the lead a rotation may be earlier, at random, 0% to 50%. Default: `10%`.
        optional "jitter" => jitter: Jitter,
        /// How often sources are looked at for changed credentials; 0 is never. Default: `60s`.
        optional "sourceInterval" => source_interval: LookInterval,
        /// How often sinks are looked at for changes by others; 0 is never. Default: `5m`.
        optional "driftInterval" => drift_interval: LookInterval,
        /// How many tokens one rotation may mint in one lifetime. Default: `10`.
        optional "mintBudget" => mint_budget: MintBudget,
    }
}

section! {
    /// How receipts are authenticated.
    ReceiptsDocument {
        /// File with a random key of 32 bytes. Default: a key derived from each client secret.
        required "keyFile" => key_file: Text<FilePath>,
    }
}

section! {
    /// Access to the Kubernetes API.
    KubernetesDocument {
        /// A kubeconfig file.
        optional "kubeconfig" => kubeconfig: Text<FilePath>,
        /// A context of the kubeconfig.
        optional "context" => context: Text<FreeText>,
    }
}

section! {
    /// What the HTTP interface allows.
    AdminDocument {
        /// Whether `POST /rotations/NAME/rotate` is there. Default: `false`.
        optional "allowRotate" => allow_rotate: Flag,
        /// File with the bearer that guards the interface.
        optional "bearerFile" => bearer_file: Text<FilePath>,
        /// Names besides loopback and the listening address by which the interface may be reached.
        optional "allowedHosts" => allowed_hosts: List<Text<HostName>>,
    }
}

section! {
    /// One rotation: source, issuer, sinks.
    RotationDocument {
        /// Its name, unique in the configuration: 1–63 of a-z, 0-9 and -.
        required "name" => name: Text<Name>,
        /// Name of its issuer.
        required "issuer" => issuer: Text<IssuerName>,
        /// Where the client credentials are read.
        required "source" => source: SourceDocument,
        /// When a new token is wanted: the share of the lifetime that has passed, 1% to 99%.
        optional "renewAt" => renew_at: RenewAt,
        /// When a new token is wanted: this long before the old one expires. Instead of `renewAt`.
        optional "renewBefore" => renew_before: Span<1000, TEN_YEARS>,
        /// By how much of the lead this rotation may be earlier, at random, 0% to 50%.
        optional "jitter" => jitter: Jitter,
        /// How many tokens may be minted in one lifetime.
        optional "mintBudget" => mint_budget: MintBudget,
        /// Rotations at fixed times, besides those that expiry asks for.
        optional "schedule" => schedule: ScheduleDocument,
        /// Stops this rotation; its sinks stay as they are. Default: `false`.
        optional "suspend" => suspend: Flag,
        /// Where the token is delivered.
        required "sinks" => sinks: List<SinkDocument, 1, 64>,
        /// Keys besides the default ones, or in their place: name to template. `null` leaves a default key out.
        optional "keys" => keys: Table<SinkKey, Nullable<Text<AnyText>>>,
    }
    where json!({"not": {"required": ["renewAt", "renewBefore"]}})
}

section! {
    /// Rotations at fixed times.
    ScheduleDocument {
        /// A cron line of five fields, such as `0 3 * * *`.
        required "cron" => cron: Text<CronText>,
        /// IANA name of the time zone, such as `Europe/Berlin`. Default: `UTC`.
        optional "timeZone" => time_zone: Text<ZoneName>,
    }
}

choice! {
    /// Where client credentials are read: exactly one of the keys.
    SourceDocument {
        /// A path of Vault's KV engine.
        "vault" => Vault(VaultSourceDocument),
        /// Two files.
        "files" => Files(FilesSourceDocument),
        /// Two environment variables.
        "env" => Env(EnvSourceDocument),
    }
}

section! {
    /// A path of Vault's KV engine, version 2.
    VaultSourceDocument {
        /// Where the engine is mounted. Default: `secret`.
        optional "mount" => mount: Text<KvPath>,
        /// Path below the mount, without `data/`.
        required "path" => path: Text<KvPath>,
        /// Version of the engine: 2.
        optional "kvVersion" => kv_version: Whole<2, 2>,
        /// Key of the client id. Default: `client_id`.
        optional "clientIdKey" => client_id_key: Text<VaultKey>,
        /// Key of the client secret. Default: `client_secret`.
        optional "clientSecretKey" => client_secret_key: Text<VaultKey>,
        /// Key of the username, for a Basic issuer. Default: `username`.
        optional "usernameKey" => username_key: Text<VaultKey>,
        /// Key of the password, for a Basic issuer. Default: `password`.
        optional "passwordKey" => password_key: Text<VaultKey>,
    }
}

section! {
    /// Two files, read again when they change.
    FilesSourceDocument {
        /// File with the client id.
        optional "clientId" => client_id: Text<FilePath>,
        /// File with the client secret.
        optional "clientSecret" => client_secret: Text<FilePath>,
        /// File with the username, for a Basic issuer.
        optional "username" => username: Text<FilePath>,
        /// File with the password, for a Basic issuer.
        optional "password" => password: Text<FilePath>,
    }
    where pair_schema()
}

section! {
    /// Two environment variables.
    EnvSourceDocument {
        /// Variable with the client id.
        optional "clientId" => client_id: Text<EnvironmentName>,
        /// Variable with the client secret.
        optional "clientSecret" => client_secret: Text<EnvironmentName>,
        /// Variable with the username, for a Basic issuer.
        optional "username" => username: Text<EnvironmentName>,
        /// Variable with the password, for a Basic issuer.
        optional "password" => password: Text<EnvironmentName>,
    }
    where pair_schema()
}

/// Either pair, by the kind of the issuer.
fn pair_schema() -> serde_json::Value {
    json!({
        "maxProperties": 2,
        "anyOf": [{"required": ["clientId", "clientSecret"]}, {"required": ["username", "password"]}],
    })
}

choice! {
    /// Where a token is delivered: exactly one of the keys.
    SinkDocument {
        /// A Secret, made and kept by server-side apply.
        "kubernetesSecret" => KubernetesSecret(KubernetesSecretDocument),
        /// A path of Vault's KV engine.
        "vaultKv" => VaultKv(VaultKvDocument),
        /// A directory with a file for each key, replaced as a whole.
        "directory" => Directory(DirectoryDocument),
    }
}

section! {
    /// A Secret.
    KubernetesSecretDocument {
        /// Its namespace.
        required "namespace" => namespace: Text<Namespace>,
        /// Its name.
        required "name" => name: Text<ObjectName>,
        /// Its type. Default: `Opaque`.
        optional "type" => type_: Text<SecretType>,
        /// Further labels.
        optional "labels" => labels: Table<LabelKey, Text<LabelValue>>,
        /// Further annotations.
        optional "annotations" => annotations: Table<LabelKey, Text<AnyText>>,
        /// Takes over a Secret that is there and not ours. Default: `false`.
        optional "adopt" => adopt: Flag,
    }
}

section! {
    /// A path of Vault's KV engine, version 2.
    VaultKvDocument {
        /// Where the engine is mounted. Default: `secret`.
        optional "mount" => mount: Text<KvPath>,
        /// Path below the mount, without `data/`.
        required "path" => path: Text<KvPath>,
        /// Version of the engine: 2.
        optional "kvVersion" => kv_version: Whole<2, 2>,
        /// Takes over a path that holds something and is not ours. Default: `false`.
        optional "adopt" => adopt: Flag,
        /// What becomes of keys that others have written into the path: `refuse` (the default) or `keep`.
        optional "foreignKeys" => foreign_keys: OneOf<ForeignKeys>,
    }
}

/// `foreignKeys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForeignKeys {
    Refuse,
    Keep,
}

impl Word for ForeignKeys {
    const WORDS: &'static [(&'static str, Self)] = &[("refuse", Self::Refuse), ("keep", Self::Keep)];
}

section! {
    /// A directory with a file for each key.
    DirectoryDocument {
        /// The directory.
        required "path" => path: Text<FilePath>,
        /// Mode of the files, octal and in quotes. Default: `"0440"`.
        optional "mode" => mode: FileMode,
        /// Numeric user id that the files belong to. Default: ours.
        optional "owner" => owner: UserId,
        /// Numeric group id that the files belong to. Default: ours.
        optional "group" => group: UserId,
    }
}
