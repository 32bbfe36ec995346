//! Mints access tokens at a token endpoint by the client credentials grant (RFC 6749 §4.4).
//!
//! One request per mint, with one way of client authentication; retries, pauses and concurrency are the engine's. What
//! a response means is decided in `oauth2/response.rs`, purely; what is known of providers is data in
//! `oauth2/presets.rs`. Neither a body nor a URL's query ever gets into an error or a log line.

pub mod presets;
pub mod response;

mod client;
mod request;
mod transport;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Client, Response};
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

use self::response::Head;
use self::transport::Timeouts;
use crate::config::spec::{ClientAuth, OAuth2Spec};
use crate::ports::{Issuer, IssuerError};
use crate::rotation::{ClientCredentials, MintedToken};

/// The largest body that is read. Tokens of 64 KiB exist; a megabyte is no token.
const BODY_LIMIT: usize = 1024 * 1024;
/// Room for a usual response without growing.
const USUAL_BODY: usize = 8 * 1024;

/// A token endpoint, ready to mint. Cheap to share; holds a connection pool and no credentials.
pub struct TokenEndpoint {
    issuer: Arc<str>,
    url: Url,
    auth: ClientAuth,
    headers: HeaderMap,
    form: String,
    default_lifetime: SignedDuration,
    timeouts: Timeouts,
    client: Client,
    warned_of_token_type: AtomicBool,
}

/// Why an endpoint cannot be used as it is specified.
#[derive(Debug, Error)]
#[error("issuer {issuer}: {problem}")]
pub struct BuildError {
    pub issuer: Arc<str>,
    pub problem: Problem,
}

#[derive(Debug, Error)]
pub enum Problem {
    #[error("it has neither a preset nor a `tokenUrl`")]
    NoTokenUrl,
    #[error("`tokenUrl` cannot be used: {why}")]
    Address { why: &'static str },
    #[error(
        "`tokenUrl` is http://, which would show the client secret to the network. Use https://, or set \
         `allowInsecure: true`"
    )]
    Insecure,
    #[error("the header `{name}` cannot be set: it is the client's own, or not a valid header")]
    Header { name: String },
    #[error("the parameter `{name}` cannot be set: it stands twice, or is no business of `parameters`")]
    Parameter { name: String },
    #[error("caFile {} cannot be used: {why}", path.display())]
    CaFile { path: PathBuf, why: String },
    /// Without a root store (the package `ca-certificates`), for example.
    #[error("no TLS client can be made: {why}")]
    Client { why: String },
}

impl TokenEndpoint {
    /// Reads the system's root certificates and `caFile`; connects to nothing.
    pub fn new(issuer: impl Into<Arc<str>>, spec: &OAuth2Spec) -> Result<Self, BuildError> {
        let issuer = issuer.into();
        Self::build(Arc::clone(&issuer), spec).map_err(|problem| BuildError { issuer, problem })
    }

    fn build(issuer: Arc<str>, spec: &OAuth2Spec) -> Result<Self, Problem> {
        let resolved = presets::resolve(spec);
        let url = client::endpoint(resolved.token_url.ok_or(Problem::NoTokenUrl)?, spec.allow_insecure)?;
        Ok(Self {
            issuer,
            client: client::build(spec, &url)?,
            url,
            auth: resolved.client_auth,
            headers: request::headers(spec)?,
            form: request::form(spec)?,
            default_lifetime: spec.default_lifetime,
            timeouts: Timeouts { connect: spec.connect_timeout, total: spec.timeout },
            warned_of_token_type: AtomicBool::new(false),
        })
    }

    async fn ask(
        &self,
        credentials: &ClientCredentials,
        asked_at: Timestamp,
    ) -> Result<MintedToken, IssuerError> {
        let authorization = request::authorization(self.auth, credentials)?;
        let request = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header(header::AUTHORIZATION, authorization)
            .body(self.form.clone());
        let mut response =
            request.send().await.map_err(|error| transport::classify(&error, self.timeouts))?;
        let body = match read_body(&mut response).await {
            Ok(body) => body,
            // Only a success needs its body: a failure's status says enough.
            Err(_) if !response.status().is_success() => Zeroizing::default(),
            Err(Unread::TooLarge) => {
                return Err(IssuerError::Malformed { why: "the body is larger than 1 MiB" });
            }
            Err(Unread::Broken(error)) => return Err(transport::classify(&error, self.timeouts)),
        };
        let head = Head {
            status: response.status().as_u16(),
            date: text(&response, &header::DATE),
            retry_after: text(&response, &header::RETRY_AFTER),
        };
        let answer = response::read(&head, &body, asked_at, self.default_lifetime)?;
        if answer.warnings.token_type_absent && !self.warned_of_token_type.swap(true, Ordering::Relaxed) {
            tracing::warn!(issuer = %self.issuer, "the token response has no token_type (RFC 6749 §5.1); taken as Bearer");
        }
        Ok(answer.token)
    }
}

impl Issuer for TokenEndpoint {
    fn mint<'a>(
        &'a self,
        credentials: &'a ClientCredentials,
        asked_at: Timestamp,
    ) -> BoxFuture<'a, Result<MintedToken, IssuerError>> {
        Box::pin(self.ask(credentials, asked_at))
    }
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoint").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

enum Unread {
    TooLarge,
    Broken(reqwest::Error),
}

/// The whole body, if it ends below the limit. The client's total timeout covers it.
async fn read_body(response: &mut Response) -> Result<Zeroizing<Vec<u8>>, Unread> {
    let mut body = Zeroizing::new(Vec::with_capacity(USUAL_BODY));
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + chunk.len() > BODY_LIMIT {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn text<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
