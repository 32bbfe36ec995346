//! A provider on loopback that speaks Bandwidth's wire format: a token endpoint, and a resource that takes the tokens.
//!
//! It stands in for the provider in `everbearer demo` and in tests, on purpose with a clock of its own: whether a
//! token is good is judged here and nowhere else. It has no TLS, no users and no memory of single tokens; a token is
//! good if its signature is ours and its `exp` lies ahead. What is said on the wire is in `emulator/wire.rs`.

mod wire;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::wire::{Refusal, Signer};
use crate::secret::SecretText;

/// The path of the guide's token URL.
pub const TOKEN_PATH: &str = "/api/v1/oauth2/token";
/// An API that wants a Bearer token; the path is ours.
pub const RESOURCE_PATH: &str = "/api/v2/resource";

/// Bandwidth keeps two secrets for a client id, so that they can be replaced without a gap.
const SECRETS_PER_CLIENT: usize = 2;
/// A token request is some hundred bytes.
const BODY_LIMIT: usize = 16 * 1024;
/// More scripted answers than this are a mistake of the caller.
const SCRIPT_LIMIT: usize = 1_000;
/// Every answer is made at once, so whatever is still open then is idle.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The emulator's own clock.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

#[derive(Debug, Clone)]
pub struct EmulatorConfig {
    pub client_id: String,
    pub client_secret: SecretText,
    /// Of every token; whole seconds count, at least one.
    pub lifetime: SignedDuration,
    /// Port 0 takes any free port; see [`Emulator::address`].
    pub listen: SocketAddr,
}

/// A running emulator. Dropping it stops it too, without waiting.
pub struct Emulator {
    provider: Arc<Provider>,
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<io::Result<()>>,
}

struct Provider {
    client_id: String,
    lifetime: SignedDuration,
    signer: Signer,
    now: Now,
    secrets: Mutex<VecDeque<SecretText>>,
    scripted: Mutex<VecDeque<(u16, String)>>,
    outage: AtomicBool,
    token_requests: AtomicU64,
    tokens_issued: AtomicU64,
}

impl Emulator {
    /// Binds and serves until it is stopped or dropped.
    pub async fn start(config: EmulatorConfig, now: Now) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let provider = Arc::new(Provider {
            client_id: config.client_id,
            lifetime: config.lifetime,
            signer: Signer::new(format!("http://{address}")),
            now,
            secrets: Mutex::new(VecDeque::from([config.client_secret])),
            scripted: Mutex::default(),
            outage: AtomicBool::new(false),
            token_requests: AtomicU64::new(0),
            tokens_issued: AtomicU64::new(0),
        });
        let app = Router::new()
            .route(TOKEN_PATH, post(token))
            .route(RESOURCE_PATH, get(resource))
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .with_state(Arc::clone(&provider));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(stopped).into_future());
        Ok(Self { provider, address, stop, server })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn token_url(&self) -> String {
        format!("http://{}{TOKEN_PATH}", self.address)
    }

    #[must_use]
    pub fn resource_url(&self) -> String {
        format!("http://{}{RESOURCE_PATH}", self.address)
    }

    /// From now on this is the only secret that is accepted.
    pub fn set_client_secret(&self, secret: SecretText) {
        *lock(&self.provider.secrets) = VecDeque::from([secret]);
    }

    /// Accepts this secret as well. A client has two at most: a third one ends the oldest.
    pub fn add_client_secret(&self, secret: SecretText) {
        let mut secrets = lock(&self.provider.secrets);
        secrets.push_back(secret);
        if secrets.len() > SECRETS_PER_CLIENT {
            secrets.pop_front();
        }
    }

    /// Accepts this secret no longer. Tokens that were minted with it stay good.
    pub fn remove_client_secret(&self, secret: &SecretText) {
        lock(&self.provider.secrets).retain(|known| known != secret);
    }

    /// While on, the token endpoint answers 503; the resource goes on, as the two are separate at a provider.
    pub fn outage(&self, on: bool) {
        self.provider.outage.store(on, Ordering::SeqCst);
    }

    /// The next token request that nothing else answers gets this, whatever it asks. Several are served in order.
    /// A status that is none counts as 500; more than a thousand waiting answers are dropped.
    pub fn fail_with(&self, status: u16, body: impl Into<String>) {
        let mut scripted = lock(&self.provider.scripted);
        if scripted.len() < SCRIPT_LIMIT {
            scripted.push_back((status, body.into()));
        }
    }

    /// Requests to the token endpoint, whatever came of them.
    #[must_use]
    pub fn token_requests(&self) -> u64 {
        self.provider.token_requests.load(Ordering::SeqCst)
    }

    #[must_use]
    pub fn tokens_issued(&self) -> u64 {
        self.provider.tokens_issued.load(Ordering::SeqCst)
    }

    /// Whether the resource would take this `Authorization` header now, by the emulator's own clock.
    #[must_use]
    pub fn accepts(&self, authorization: &str) -> bool {
        self.provider.signer.accepts(authorization, (self.provider.now)())
    }

    /// Takes no new connection, finishes what is in flight, and says how the server ended. A client that keeps a
    /// connection open without asking anything is waited for only a moment.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stop.cancel();
        let Ok(ended) = tokio::time::timeout(STOP_TIMEOUT, &mut self.server).await else {
            self.server.abort();
            return Ok(());
        };
        ended.map_err(io::Error::other)?
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn token(State(provider): State<Arc<Provider>>, headers: HeaderMap, body: Bytes) -> Response {
    provider.token_requests.fetch_add(1, Ordering::SeqCst);
    if provider.outage.load(Ordering::SeqCst) {
        return provider.answer(503, "{\"error\":\"temporarily_unavailable\"}".to_owned());
    }
    if let Some((status, body)) = lock(&provider.scripted).pop_front() {
        return provider.answer(status, body);
    }
    match provider.mint(&headers, &body) {
        Ok(Some(body)) => {
            provider.tokens_issued.fetch_add(1, Ordering::SeqCst);
            provider.answer(200, body)
        }
        Ok(None) => provider.answer(500, "{\"error\":\"server_error\"}".to_owned()),
        Err(refusal) => {
            let mut response = provider.answer(refusal.status(), refusal.body());
            if refusal == Refusal::InvalidClient {
                challenge(&mut response, "Basic realm=\"token endpoint\"");
            }
            response
        }
    }
}

async fn resource(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    let sent = text(&headers, &header::AUTHORIZATION);
    if sent.is_some_and(|sent| provider.signer.accepts(sent, (provider.now)())) {
        return provider.answer(200, "{\"status\":\"ok\"}".to_owned());
    }
    let mut response = provider.answer(401, "{\"error\":\"invalid_token\"}".to_owned());
    // RFC 6750 §3: no error code where no token was sent.
    challenge(
        &mut response,
        if sent.is_some() { "Bearer realm=\"api\", error=\"invalid_token\"" } else { "Bearer realm=\"api\"" },
    );
    response
}

impl Provider {
    /// The body of a successful answer; `None` if it could not be signed.
    fn mint(&self, headers: &HeaderMap, body: &[u8]) -> Result<Option<String>, Refusal> {
        let sent = text(headers, &header::AUTHORIZATION).and_then(wire::basic_credentials);
        let known = sent.is_some_and(|(id, secret)| {
            id == self.client_id && lock(&self.secrets).iter().any(|s| *s == secret)
        });
        if !known {
            return Err(Refusal::InvalidClient);
        }
        wire::check_form(text(headers, &header::CONTENT_TYPE), body)?;
        let issued = self.signer.issue(&self.client_id, (self.now)(), self.lifetime);
        Ok(issued.ok().and_then(|response| serde_json::to_string(&response).ok()))
    }

    /// Dated by our own clock, and not to be stored (RFC 6749 §5.1).
    fn answer(&self, status: u16, body: String) -> Response {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&(self.now)()).unwrap_or_default();
        let headers = [
            (header::DATE, date),
            (header::CONTENT_TYPE, "application/json".to_owned()),
            (header::CACHE_CONTROL, "no-store".to_owned()),
            (header::PRAGMA, "no-cache".to_owned()),
        ];
        (status, headers, body).into_response()
    }
}

fn challenge(response: &mut Response, value: &'static str) {
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static(value));
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A panic elsewhere leaves these simple values whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
