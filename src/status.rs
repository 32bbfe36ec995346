//! The status document: what `/status` serves and `everbearer status` reads. Field names are a promise.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Status {
    pub version: String,
    pub leader: bool,
    pub config: ConfigStatus,
    pub rotations: Vec<RotationStatus>,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct ConfigStatus {
    /// `in_force`, or `rejected` while an older one is in force.
    pub state: String,
    pub loaded_at: Option<Timestamp>,
    pub error: Option<String>,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct RotationStatus {
    pub name: String,
    pub issuer: String,
    pub state: String,
    pub reason: Option<String>,
    pub issued_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub due_at: Option<Timestamp>,
    pub last_success_at: Option<Timestamp>,
    pub consecutive_failures: u32,
    pub last_error: Option<ErrorStatus>,
    pub sinks: Vec<SinkStatus>,
    /// Counters for `everbearer_rotations_total`; not part of the document.
    #[serde(skip)]
    pub succeeded: u64,
    #[serde(skip)]
    pub failed: u64,
    /// Basic credentials do not end: no expiry, lifetime or due series.
    #[serde(skip)]
    pub is_basic: bool,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct SinkStatus {
    pub sink: String,
    pub state: String,
    pub expires_at: Option<Timestamp>,
    pub last_error: Option<ErrorStatus>,
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct ErrorStatus {
    pub stage: String,
    pub code: String,
    pub kind: String,
    pub message: String,
    pub at: Timestamp,
}
