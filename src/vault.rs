//! Vault and `OpenBao` as neighbours: a session that keeps itself logged in, a KV source and a KV sink.
//!
//! ```text
//! KvSource ┐                                                ┌ login.rs      the login token, followed when it changes
//!          ├ kv.rs (KV v2 requests) ─ session.rs (one call) ┤
//! KvSink   ┘                                                └ transport.rs  one HTTP exchange, bounded
//! ```
//!
//! Requests, headers and paths are vaultrs' (its request types and its middleware); the exchange itself is ours,
//! because vaultrs' own reads bodies without a limit, drops `Retry-After` and the secret's version, logs the server's
//! words, and prints tokens in its errors. Nothing of vaultrs' errors or settings leaves this module: what went wrong
//! is a [`VaultError`], told by status and by a few phrases that we know, never by quoting an answer.
//!
//! Lacks, for now: KV version 1, logins other than a token, several addresses, reads that are consistent across the
//! nodes of a cluster.

mod error;
mod kv;
mod login;
mod ownership;
mod session;
mod sink;
mod source;
mod transport;
mod wording;

pub use error::VaultError;
pub use session::VaultSession;
pub use sink::KvSink;
pub use source::KvSource;

/// The field of a KV path that holds the receipt; no template may make a key of this name.
pub const RECEIPT_KEY: &str = "everbearer_receipt";
