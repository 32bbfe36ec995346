//! Kubernetes Secrets as sinks, by server-side apply.

mod client;
mod error;
mod ownership;
mod sink;

pub use client::LazyClient;
pub use sink::SecretSink;

/// Our field manager: what it owns in a Secret is ours, everything else stays as it is.
const MANAGER: &str = "everbearer";
