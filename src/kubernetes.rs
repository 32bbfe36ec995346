//! Kubernetes as a neighbour: the client for its API server, and the sink that keeps a Secret.
//!
//! Every request goes through `call`, which bounds its time and its answer and lets no byte of an answer reach a
//! log; what an answer means for a sink is said in `explain`, and whose a Secret is in `ownership`. A Secret as
//! a source, watches, Events and the Lease are not here yet.

mod apply;
mod call;
mod client;
mod explain;
mod ownership;
mod secret_sink;

pub use client::{ClientError, LazyClient, client};
pub use secret_sink::SecretSink;
