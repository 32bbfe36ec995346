//! Mints access tokens at an OAuth 2.0 token endpoint (RFC 6749 §4.4).
//!
//! Asking is here and in `request`; what an answer means is in `response`, which is pure. Nothing of a body, a header
//! or a URL's query ever reaches an error.

pub mod presets;
mod request;
pub mod response;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::config::spec::OAuth2Spec;
use crate::ports::{Issuer, IssuerError};
use crate::rotation::{ClientCredentials, MintedToken};
use presets::Resolved;
use response::Headers;

/// A token response is a few kilobytes; a body beyond this is not read on.
const LARGEST_BODY: usize = 1024 * 1024;
/// Shorter than the keep-alive of most servers, so that a request rarely meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(20);

pub struct TokenEndpoint {
    issuer: Arc<str>,
    spec: OAuth2Spec,
    resolved: Resolved,
    /// Made at the first request: a CA file that cannot be read then fails that request, and the next one looks again.
    client: Mutex<Option<Client>>,
    warned_of_type: AtomicBool,
}

impl TokenEndpoint {
    #[must_use]
    pub fn new(issuer: Arc<str>, spec: &OAuth2Spec) -> Self {
        Self {
            issuer,
            resolved: presets::resolve(spec),
            spec: spec.clone(),
            client: Mutex::new(None),
            warned_of_type: AtomicBool::new(false),
        }
    }

    async fn client(&self) -> Result<Client, IssuerError> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref() {
            return Ok(client.clone());
        }
        let mut builder = Client::builder()
            .user_agent(concat!("everbearer/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(std_span(self.spec.connect_timeout))
            .timeout(std_span(self.spec.timeout))
            .pool_idle_timeout(IDLE);
        if let Some(path) = &self.spec.ca_file {
            for certificate in read_certificates(path).await? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        if request::is_loopback(&self.resolved.token_url) {
            builder = builder.no_proxy();
        }
        let made =
            builder.build().map_err(|_| IssuerError::Tls { why: "there is no usable CA store".into() })?;
        Ok(client.insert(made).clone())
    }

    async fn ask(
        &self,
        credentials: &ClientCredentials,
        asked_at: Timestamp,
    ) -> Result<MintedToken, IssuerError> {
        let client = self.client().await?;
        let request = request::build(&client, &self.spec, &self.resolved, credentials)?;
        let response = client.execute(request).await.map_err(|error| transport(&error))?;
        let status = response.status().as_u16();
        let headers =
            Headers { date: header(&response, "date"), retry_after: header(&response, "retry-after") };
        let body = read_body(response).await?;
        let answer = response::read(status, &headers, &body, asked_at, self.spec.default_lifetime)?;
        if answer.token_type_was_absent && !self.warned_of_type.swap(true, Ordering::Relaxed) {
            tracing::warn!(event = "TokenTypeAbsent", issuer = %self.issuer, "taken as Bearer");
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

    fn accepts(&self, credentials: &ClientCredentials) -> Result<(), IssuerError> {
        request::authorization(self.resolved.client_auth, credentials).map(|_| ())
    }
}

fn std_span(span: SignedDuration) -> Duration {
    Duration::try_from(span).unwrap_or_default()
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

async fn read_certificates(path: &PathBuf) -> Result<Vec<Certificate>, IssuerError> {
    let unreadable = |why: String| IssuerError::Tls { why: format!("caFile {}: {why}", path.display()) };
    let pem = tokio::fs::read(path).await.map_err(|error| unreadable(error.kind().to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(unreadable("it holds no PEM certificate".into())),
    }
}

/// The body in chunks, up to the cap; zeroed when it has been read.
async fn read_body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, IssuerError> {
    // The whole capacity at once: a growing buffer would leave unzeroed copies behind.
    let expected =
        response.content_length().map_or(16 * 1024, |length| usize::try_from(length).unwrap_or(usize::MAX));
    let mut body = Zeroizing::new(Vec::with_capacity(expected.min(LARGEST_BODY)));
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(body),
            Ok(Some(chunk)) if body.len() + chunk.len() <= LARGEST_BODY => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(IssuerError::Malformed { why: "the body is larger than 1 MiB" }),
            Err(error) => return Err(transport(&error)),
        }
    }
}

/// Whether the request may have reached the endpoint decides whether it may have minted.
fn transport(error: &reqwest::Error) -> IssuerError {
    let tls = causes(error).find_map(|cause| {
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause.downcast_ref::<rustls::Error>().or(inner.and_then(|inner| inner.downcast_ref()))
    });
    if let Some(tls) = tls
        && error.is_connect()
    {
        return IssuerError::Tls { why: tls.to_string() };
    }
    if error.is_connect() {
        let why = if error.is_timeout() { "no connection in time" } else { "no connection" };
        return IssuerError::Transport { why: format!("{why}{}", root_cause(error)), maybe_minted: false };
    }
    let why = if error.is_timeout() { "no answer in time" } else { "the connection broke" };
    IssuerError::Transport { why: why.into(), maybe_minted: true }
}

/// What the operating system said, which names no URL.
fn root_cause(error: &reqwest::Error) -> String {
    let last = causes(error).last().and_then(|last| last.downcast_ref::<std::io::Error>());
    last.map(|io| format!(": {io}")).unwrap_or_default()
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}
