//! Vault as source and sink, against a real `OpenBao`; what it never answers comes from a socket with a script.

mod session;
mod sink;
mod source;

use std::path::Path;
use std::sync::Arc;

use everbearer::config::spec::{VaultAuthSpec, VaultSourceSpec, VaultSpec};
use everbearer::vault::{KvSource, VaultSession};

use crate::support::openbao::{OpenBao, ROOT_TOKEN_VARIABLE};

/// No error may show any of it.
const CANARY: &str = "canary-%+/\":ä";

fn session(address: &str, auth: VaultAuthSpec) -> Arc<VaultSession> {
    let spec = VaultSpec { address: address.to_owned(), namespace: None, ca_file: None, auth };
    Arc::new(VaultSession::new(&spec).unwrap())
}

fn root_session() -> Arc<VaultSession> {
    session(&OpenBao::shared().address, by_root())
}

fn by_root() -> VaultAuthSpec {
    VaultAuthSpec::Token { env: ROOT_TOKEN_VARIABLE.to_owned() }
}

fn by_file(path: &Path) -> VaultAuthSpec {
    VaultAuthSpec::TokenFile { path: path.to_owned() }
}

fn source_at(session: Arc<VaultSession>, mount: &str, path: &str) -> KvSource {
    let spec = VaultSourceSpec {
        mount: mount.to_owned(),
        path: path.to_owned(),
        id_key: "client_id".to_owned(),
        secret_key: "client_secret".to_owned(),
    };
    KvSource::new(session, &spec)
}

/// The message, after a look for secrets in it and in the error's `Debug`.
fn told(error: &(impl std::error::Error + ?Sized)) -> String {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary"), "a secret shows: {shown}");
    error.to_string()
}
