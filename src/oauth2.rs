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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use jiff::Timestamp;
use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Client, Response};
use tokio::sync::OnceCell;
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

/// A token endpoint. Holds a connection pool and no credentials.
pub struct TokenEndpoint {
    issuer: Arc<str>,
    spec: Arc<OAuth2Spec>,
    auth: ClientAuth,
    timeouts: Timeouts,
    /// Made at the first request: a CA file that cannot be read fails that request, and the next one looks again.
    ready: OnceCell<Ready>,
    warned_of_token_type: AtomicBool,
}

/// What is the same in every request.
struct Ready {
    client: Client,
    url: Url,
    headers: HeaderMap,
    form: String,
}

impl TokenEndpoint {
    /// Reads no file and connects to nothing yet.
    #[must_use]
    pub fn new(issuer: Arc<str>, spec: &OAuth2Spec) -> Self {
        Self {
            issuer,
            auth: presets::resolve(spec).client_auth,
            timeouts: Timeouts { connect: spec.connect_timeout, total: spec.timeout },
            spec: Arc::new(spec.clone()),
            ready: OnceCell::new(),
            warned_of_token_type: AtomicBool::new(false),
        }
    }

    async fn ready(&self) -> Result<&Ready, IssuerError> {
        let build = || async {
            let spec = Arc::clone(&self.spec);
            let built = tokio::task::spawn_blocking(move || Ready::build(&spec)).await;
            // Only a runtime that shuts down drops the task.
            built.unwrap_or(Err(IssuerError::Unfit { why: "the token endpoint's client was not made" }))
        };
        self.ready.get_or_try_init(build).await
    }

    async fn ask(
        &self,
        credentials: &ClientCredentials,
        asked_at: Timestamp,
    ) -> Result<MintedToken, IssuerError> {
        let authorization = request::authorization(self.auth, credentials)?;
        let Ready { client, url, headers, form } = self.ready().await?;
        let request = client
            .post(url.clone())
            .headers(headers.clone())
            .header(header::AUTHORIZATION, authorization)
            .body(form.clone());
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
        let answer = response::read(&head, &body, asked_at, self.spec.default_lifetime)?;
        if answer.warnings.token_type_absent && !self.warned_of_token_type.swap(true, Ordering::Relaxed) {
            tracing::warn!(event = "TokenTypeAbsent", issuer = %self.issuer, "taken as Bearer");
        }
        Ok(answer.token)
    }
}

impl Ready {
    fn build(spec: &OAuth2Spec) -> Result<Self, IssuerError> {
        let url = Url::parse(&presets::resolve(spec).token_url)
            .map_err(|_| IssuerError::Unfit { why: "`tokenUrl` is no URL" })?;
        Ok(Self {
            client: client::build(spec, &url)?,
            url,
            headers: request::headers(spec)?,
            form: request::form(spec),
        })
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

    fn accepts(&self, credentials: &ClientCredentials) -> Result<(), IssuerError> {
        request::authorization(self.auth, credentials).map(|_| ())
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
