//! The login token: where it comes from, whether it looks changed, and what makes it unfit to be sent.
//!
//! A token's renewal is its owner's work here: an operator's, or Vault Agent's, whose sink file is followed. Logins
//! that we make ourselves will need renewing, and belong in this file.

use std::path::Path;
use std::time::SystemTime;

use subtle::ConstantTimeEq;
use tokio::io::AsyncReadExt;
use vaultrs::api::EndpointMiddleware;
use zeroize::{Zeroize, Zeroizing};

use super::VaultError;
use crate::config::spec::VaultAuthSpec;

/// Longer ones would not pass the header limits of the proxies that stand before Vaults.
const LONGEST_TOKEN: u64 = 16 * 1024;

/// A login token, in the form that vaultrs' requests take.
pub(super) struct Login {
    pub(super) middle: EndpointMiddleware,
    /// What the token's file looked like when it was read; `None` where there is no file.
    stamp: Option<Stamp>,
}

/// A file that looks the same is not read again. Two writes within one tick of the file system's clock can look the
/// same; then the old token's 403 makes us read again.
#[derive(PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Login {
    /// Reads the token now.
    pub(super) async fn make(auth: &VaultAuthSpec, namespace: Option<&str>) -> Result<Self, VaultError> {
        let (token, stamp) = match auth {
            VaultAuthSpec::Token { env } => (from_environment(env)?, None),
            VaultAuthSpec::TokenFile { path } => from_file(path).await?,
        };
        let middle = EndpointMiddleware {
            token: token.as_str().to_owned(),
            version: "v1".to_owned(),
            wrap: None,
            namespace: namespace.map(ToOwned::to_owned),
        };
        Ok(Self { middle, stamp })
    }

    /// Whether the token should be read again before it is used. One `stat` for a file, nothing for the environment,
    /// which cannot change. A file that is gone says nothing about the token that we hold.
    pub(super) async fn looks_changed(&self, auth: &VaultAuthSpec) -> bool {
        match auth {
            VaultAuthSpec::Token { .. } => false,
            VaultAuthSpec::TokenFile { path } => match tokio::fs::metadata(path).await {
                Ok(metadata) => self.stamp != Some(Stamp::of(&metadata)),
                Err(_) => false,
            },
        }
    }

    pub(super) fn has_token_of(&self, other: &Self) -> bool {
        self.middle.token.as_bytes().ct_eq(other.middle.token.as_bytes()).into()
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        self.middle.token.zeroize();
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self { modified: metadata.modified().ok(), length: metadata.len(), inode: metadata.ino() }
    }
}

fn from_environment(name: &str) -> Result<Zeroizing<String>, VaultError> {
    let place = format!("the environment variable {name}");
    let lasting = |why: String| VaultError::NoLogin { why, may_pass: false };
    match std::env::var(name) {
        Ok(text) => fit(&Zeroizing::new(text), &place).map_err(lasting),
        Err(std::env::VarError::NotPresent) => {
            Err(lasting(format!("{place} is not set; start Everbearer with a Vault token in it")))
        }
        Err(std::env::VarError::NotUnicode(_)) => Err(lasting(format!("{place} holds no text"))),
    }
}

async fn from_file(path: &Path) -> Result<(Zeroizing<String>, Option<Stamp>), VaultError> {
    let place = format!("the token file {}", path.display());
    let passing = |why: String| VaultError::NoLogin { why, may_pass: true };
    let unreadable = |e: std::io::Error| passing(format!("{place} cannot be read: {e}"));
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    // The stamp is taken first: what is written later makes the file look changed.
    let stamp = Stamp::of(&file.metadata().await.map_err(unreadable)?);
    let mut text = Zeroizing::new(String::new());
    let read = file.take(LONGEST_TOKEN + 1).read_to_string(&mut text).await.map_err(unreadable)?;
    if read as u64 > LONGEST_TOKEN {
        return Err(passing(format!("{place} is longer than {LONGEST_TOKEN} bytes; it is no token")));
    }
    Ok((fit(&text, &place).map_err(passing)?, Some(stamp)))
}

/// Trims white space, and refuses what no header can carry: vaultrs would panic over it.
fn fit(text: &str, place: &str) -> Result<Zeroizing<String>, String> {
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("{place} is empty"));
    }
    if token.starts_with('{') {
        return Err(format!(
            "{place} holds JSON, not a bare token; turn off wrapping and encryption of Vault Agent's sink"
        ));
    }
    match token.bytes().position(|byte| !byte.is_ascii_graphic()) {
        Some(position) => {
            Err(format!("{place} holds no token: its byte {} is none that a token has", position + 1))
        }
        None => Ok(Zeroizing::new(token.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_trimmed_and_unfit_ones_named_without_being_shown() {
        let of = |text: &str| fit(text, "the file");
        assert_eq!(of(" s.canary\r\n").unwrap().as_str(), "s.canary");
        for (text, expected) in [
            ("", "the file is empty"),
            (" \n", "the file is empty"),
            ("s.can\nary", "the file holds no token: its byte 6 is none that a token has"),
            ("s.canäry", "the file holds no token: its byte 6 is none that a token has"),
        ] {
            assert_eq!(of(text).unwrap_err(), expected);
        }
        assert!(of(r#"{"token":"s.canary"}"#).unwrap_err().contains("holds JSON"));
    }
}
