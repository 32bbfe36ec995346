//! Why a call to Vault yielded nothing. Messages are our own words: an answer's text may echo what was sent.
//!
//! The adapters turn these into the errors of their ports, adding where; this file knows no port.

use jiff::SignedDuration;
use thiserror::Error;

#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum VaultError {
    /// A setting, or a file that a setting names, cannot be used.
    #[error("{why}")]
    Setting { why: String },
    /// There is no token to call with. `may_pass`: a file may yet appear; an environment variable will not.
    #[error("there is no Vault login: {why}")]
    NoLogin { why: String, may_pass: bool },
    /// DNS, connect, TLS, reset, a body cut short.
    #[error("{address}: {why}")]
    Unreachable { address: String, why: String },
    #[error("Vault did not answer within {seconds} s")]
    Timeout { seconds: u64 },
    #[error("Vault is sealed; it serves nothing until someone unseals it")]
    Sealed,
    #[error("Vault is not initialised; run `vault operator init`")]
    Uninitialised,
    #[error(
        "the node that answers is a standby (status {status}); vault.address must name the active node, or a load \
         balancer that finds it"
    )]
    Standby { status: u16 },
    #[error("Vault limits the rate of our requests (status {status})")]
    RateLimited { status: u16, retry_after: Option<SignedDuration> },
    /// Vault says the same to an unknown token and to one without the right.
    #[error("Vault answers 403: the login token is expired or revoked, or its policy does not allow this")]
    Forbidden,
    #[error("there is nothing at this path")]
    Missing,
    #[error("no secrets engine is mounted here")]
    NoMount,
    #[error("someone else wrote in between")]
    CasMismatch,
    /// 412: a standby has not yet seen the state that it was asked to have.
    #[error("the node that answers has not caught up with the others")]
    Behind,
    #[error("Vault says that the value is too large")]
    TooLarge,
    #[error("Vault answers {status}; it is in trouble itself, and its log says why")]
    Server { status: u16 },
    #[error("Vault refuses the request (status {status}); its audit log says why")]
    Rejected { status: u16 },
    #[error("Vault's answer makes no sense: {why}")]
    Malformed { why: String },
}
