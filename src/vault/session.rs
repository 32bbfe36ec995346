//! A standing login to one Vault, shared by every source and sink that uses it.
//!
//! Cheap to share and lock-free while the login is good; logging in is one at a time, so that a thousand rotations
//! that meet a new token read its file once. Lacks any knowledge of secrets engines (`kv.rs`).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustify::endpoint::{Endpoint, MiddleWare};
use tokio::sync::{Mutex, OnceCell};
use url::Url;

use super::VaultError;
use super::login::Login;
use super::transport::{self, Answer, CALL_TIMEOUT};
use crate::config::spec::{VaultAuthSpec, VaultSpec};

pub struct VaultSession {
    url: Url,
    /// The same as text without a slash at its end, for requests and messages.
    address: String,
    namespace: Option<String>,
    ca_file: Option<PathBuf>,
    auth: VaultAuthSpec,
    /// Made at the first call, so that a CA file which is missing at the start is only a failed call.
    http: OnceCell<reqwest::Client>,
    login: ArcSwapOption<Login>,
    logging_in: Mutex<()>,
}

impl VaultSession {
    /// Touches neither network nor files. Only settings that can never work are an error.
    pub fn new(spec: &VaultSpec) -> Result<Self, VaultError> {
        let setting = |why: &str| VaultError::Setting { why: why.to_owned() };
        let url = Url::parse(&spec.address)
            .map_err(|e| VaultError::Setting { why: format!("vault.address is no URL: {e}") })?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(setting("vault.address must start with https:// (or http://) and name a host"));
        }
        // vaultrs would put `v1` before a path, and messages show the address.
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(setting("vault.address must be scheme, host and port only"));
        }
        if spec.namespace.as_ref().is_some_and(|n| !n.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(setting("vault.namespace must be printable ASCII without spaces"));
        }
        Ok(Self {
            address: url.as_str().trim_end_matches('/').to_owned(),
            url,
            namespace: spec.namespace.clone(),
            ca_file: spec.ca_file.clone(),
            auth: spec.auth.clone(),
            http: OnceCell::new(),
            login: ArcSwapOption::empty(),
            logging_in: Mutex::new(()),
        })
    }

    /// Scheme, host and port, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// One request, logged in. A 403 makes us look for a newer login token, and try once more with it.
    pub(super) async fn call<E: Endpoint>(&self, endpoint: &E) -> Result<Answer, VaultError> {
        match tokio::time::timeout(CALL_TIMEOUT, self.call_unbounded(endpoint)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(VaultError::Timeout { seconds: CALL_TIMEOUT.as_secs() }),
        }
    }

    async fn call_unbounded<E: Endpoint>(&self, endpoint: &E) -> Result<Answer, VaultError> {
        let login = self.current_login().await?;
        match self.send(endpoint, &login).await {
            Err(VaultError::Forbidden) => match self.newer_login(&login).await? {
                Some(newer) => self.send(endpoint, &newer).await,
                None => Err(VaultError::Forbidden),
            },
            outcome => outcome,
        }
    }

    async fn send<E: Endpoint>(&self, endpoint: &E, login: &Login) -> Result<Answer, VaultError> {
        let http =
            self.http.get_or_try_init(|| transport::client(&self.url, self.ca_file.as_deref())).await?;
        let unfit = || VaultError::Setting { why: "mount and path make no valid URL".to_owned() };
        let mut request = endpoint.request(&self.address).map_err(|_| unfit())?;
        login.middle.request(endpoint, &mut request).map_err(|_| unfit())?;
        for name in ["x-vault-token", "x-vault-namespace"] {
            if let Some(value) = request.headers_mut().get_mut(name) {
                value.set_sensitive(true); // kept out of every library's debug output
            }
        }
        let request = reqwest::Request::try_from(request).map_err(|_| unfit())?;
        transport::exchange(http, request, &self.address).await
    }

    /// The login in hand, made anew if its file looks changed. A file that cannot be read just now (it may be half
    /// written) does not cost us the login in hand.
    async fn current_login(&self) -> Result<Arc<Login>, VaultError> {
        let held = self.login.load_full();
        if let Some(held) = &held
            && !held.looks_changed(&self.auth).await
        {
            return Ok(held.clone());
        }
        match (self.log_in_once(held.as_ref()).await, held) {
            (Err(_), Some(held)) => Ok(held),
            (outcome, _) => outcome,
        }
    }

    /// After a 403: a login with another token than `refused`, if there is one.
    async fn newer_login(&self, refused: &Arc<Login>) -> Result<Option<Arc<Login>>, VaultError> {
        match self.log_in_once(Some(refused)).await {
            Ok(login) => Ok((!login.has_token_of(refused)).then_some(login)),
            Err(VaultError::NoLogin { why, may_pass }) => Err(VaultError::NoLogin {
                why: format!("Vault answers 403 to the token in hand, and {why}"),
                may_pass,
            }),
            Err(other) => Err(other),
        }
    }

    /// Makes a login, unless somebody else has replaced `known` while we waited for our turn.
    async fn log_in_once(&self, known: Option<&Arc<Login>>) -> Result<Arc<Login>, VaultError> {
        let _turn = self.logging_in.lock().await;
        match (self.login.load_full(), known) {
            (Some(current), Some(known)) if !Arc::ptr_eq(&current, known) => return Ok(current),
            (Some(current), None) => return Ok(current),
            _ => {}
        }
        let login = Arc::new(Login::make(&self.auth, self.namespace.as_deref()).await?);
        self.login.store(Some(login.clone()));
        Ok(login)
    }
}

impl fmt::Debug for VaultSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultSession").field("address", &self.address).finish_non_exhaustive()
    }
}
