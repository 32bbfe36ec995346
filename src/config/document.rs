//! The shape of a configuration as it is written. `everbearer schema` is derived from these types, and the check of a
//! document's structure from that schema, so that neither can know a key that the other does not.
//!
//! Every field is optional here, also where the schema requires it: what the check of the structure has reported is
//! left out before the document is read, and what is there is checked for its meaning all the same.

#![allow(clippy::doc_markdown)] // the schema shows these texts as they are

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// Declares types whose fields are all optional in Rust; `required` says which are not in the schema. That an absent field
/// would be null there is taken out of the schema in `structure.rs`.
macro_rules! document {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {$(
        #[derive(Deserialize, JsonSchema, Debug, Default, Clone)]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        $(#[$doc])*
        pub(super) struct $name {
            $(
                $(#[$field_doc])*
                pub(super) $field: Option<$type>,
            )*
        }
    )*};
}

document! {
    /// Configuration of Everbearer.
    Document {
        /// The Vault or OpenBao that sources and sinks of kind `vault` and `vaultKv` are in.
        vault: Vault,
        /// Where tokens are minted, by name.
        issuers: BTreeMap<String, Issuer>,
        /// What counts for every rotation that does not say otherwise.
        defaults: Defaults,
        /// Tells our sinks from those of another installation. Default: everbearer.
        installation: String,
        receipts: Receipts,
        rotations: Vec<Rotation>,
        kubernetes: Kubernetes,
        admin: Admin,
    }

    Vault {
        /// Base URL, such as `https://vault.example:8200`. Default: the environment variable VAULT_ADDR.
        address: String,
        namespace: String,
        /// PEM file with the certificate authority of the server.
        ca_file: String,
        /// How to log in: exactly one of its keys.
        auth: VaultAuth,
    }

    #[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
    VaultAuth {
        /// A token from an environment variable.
        token: EnvName,
        /// A token from a file, read again when it changes: the sink of Vault Agent.
        token_file: FilePath,
    }

    EnvName {
        /// Name of the environment variable.
        env: String,
    }

    FilePath {
        path: String,
    }

    /// A token endpoint, or `type: basic` for user and password as they are.
    Issuer {
        /// Default: oauth2.
        r#type: IssuerType,
        /// Token URL and client authentication of a provider; every other key may override it.
        preset: PresetName,
        /// The token endpoint (RFC 6749 §3.2).
        token_url: String,
        /// How the client proves itself. Default: client_secret_basic.
        client_auth: ClientAuthName,
        /// Default: client_credentials.
        grant: GrantName,
        scopes: Vec<String>,
        audience: String,
        /// Further form fields of the request. No secrets.
        parameters: BTreeMap<String, String>,
        /// Further headers of the request. No secrets.
        headers: BTreeMap<String, String>,
        /// Counts when neither `expires_in` nor the token itself tells. Default: 1h.
        default_lifetime: String,
        /// Requests at once. Default: 8.
        #[schemars(range(min = 1, max = 1024))]
        max_concurrent: usize,
        /// Default: 5s.
        connect_timeout: String,
        /// For the whole request. Default: 30s.
        timeout: String,
        /// Allows http:// to another host than loopback.
        allow_insecure: bool,
        /// PEM file with the certificate authority of the server.
        ca_file: String,
    }

    Defaults {
        /// Share of the lifetime after which a token is replaced. Default: 50%.
        renew_at: String,
        /// Share of the lead by which a rotation may come earlier. Default: 10%.
        jitter: String,
        /// How often sources are looked at for changed credentials; 0 turns it off. Default: 60s.
        source_interval: Interval,
        /// How often sinks are looked at for changes by others; 0 turns it off. Default: 5m.
        drift_interval: Interval,
        /// Tokens per lifetime before only what is due passes. Default: 10.
        #[schemars(range(min = 1, max = 1000))]
        mint_budget: u32,
    }

    Receipts {
        /// File with 32 random bytes, the key of the receipts' MAC. Default: derived from the client secret.
        key_file: String,
    }

    /// One unit: a source, an issuer, and the sinks that the token is delivered to.
    #[schemars(extend("required" = ["name", "issuer", "source", "sinks"]))]
    Rotation {
        /// 1 to 63 of a-z, 0-9 and -.
        name: String,
        /// Name of an issuer.
        issuer: String,
        /// Where the client credentials are: exactly one of its keys.
        source: Source,
        /// Share of the lifetime after which the token is replaced: 1% to 99%.
        renew_at: String,
        /// How long before expiry the token is replaced. Excludes renewAt.
        renew_before: String,
        jitter: String,
        #[schemars(range(min = 1, max = 1000))]
        mint_budget: u32,
        /// Forced rotations besides.
        schedule: Schedule,
        /// Stops the rotation and leaves its sinks.
        suspend: bool,
        #[schemars(length(min = 1, max = 64))]
        sinks: Vec<Sink>,
        /// Further keys by template; null leaves a default key out.
        keys: BTreeMap<String, Option<String>>,
    }

    #[schemars(extend("required" = ["cron"]))]
    Schedule {
        /// Five fields: minute, hour, day of month, month, day of week.
        cron: String,
        /// IANA name. Default: UTC.
        time_zone: String,
    }

    #[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
    Source {
        /// A path of a KV engine.
        vault: VaultSource,
        /// Two files.
        files: Pair,
        /// Two environment variables.
        env: Pair,
    }

    #[schemars(extend("required" = ["path"]))]
    VaultSource {
        /// Mount of the KV engine. Default: secret.
        mount: String,
        path: String,
        /// Only 2 so far, which is the default.
        #[schemars(range(min = 2, max = 2))]
        kv_version: u32,
        /// Default: client_id.
        client_id_key: String,
        /// Default: client_secret.
        client_secret_key: String,
        /// For Basic. Default: username.
        username_key: String,
        /// For Basic. Default: password.
        password_key: String,
    }

    /// clientId and clientSecret, or username and password for Basic.
    Pair {
        client_id: String,
        client_secret: String,
        username: String,
        password: String,
    }

    /// Where the token goes: exactly one of its keys.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
    Sink {
        kubernetes_secret: KubernetesSecret,
        vault_kv: VaultKv,
        directory: Directory,
    }

    #[schemars(extend("required" = ["namespace", "name"]))]
    KubernetesSecret {
        namespace: String,
        name: String,
        /// Default: Opaque.
        r#type: String,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        /// Takes over a Secret that is not ours.
        adopt: bool,
    }

    #[schemars(extend("required" = ["path"]))]
    VaultKv {
        /// Mount of the KV engine. Default: secret.
        mount: String,
        path: String,
        /// Only 2 so far, which is the default.
        #[schemars(range(min = 2, max = 2))]
        kv_version: u32,
        /// Takes over a path that is not ours.
        adopt: bool,
        /// What to do about keys of others in the path. Default: refuse.
        foreign_keys: ForeignKeys,
    }

    #[schemars(extend("required" = ["path"]))]
    Directory {
        path: String,
        /// File mode in octal, in quotes. Default: "0440".
        mode: String,
        /// Numeric user id. Default: ours.
        owner: u32,
        /// Numeric group id. Default: ours.
        group: u32,
    }

    Kubernetes {
        /// Default: in-cluster, else the environment variable KUBECONFIG.
        kubeconfig: String,
        context: String,
    }

    Admin {
        /// Lets POST /rotations/NAME/rotate work. Default: false.
        allow_rotate: bool,
        /// File with the bearer that the status page and the POST want.
        bearer_file: String,
        /// Host names by which the status page may be reached, besides loopback.
        allowed_hosts: Vec<String>,
    }
}

/// A duration as text, or the number 0.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(transparent)]
#[schemars(extend("type" = ["string", "integer"]))]
pub(super) struct Interval(#[schemars(with = "String")] pub(super) serde_json::Value);

#[derive(Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum IssuerType {
    Oauth2,
    Basic,
}

#[derive(Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum PresetName {
    Bandwidth,
}

#[derive(Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum ClientAuthName {
    ClientSecretBasic,
    ClientSecretBasicRaw,
}

#[derive(Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum GrantName {
    ClientCredentials,
}

#[derive(Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum ForeignKeys {
    Refuse,
    Keep,
}
