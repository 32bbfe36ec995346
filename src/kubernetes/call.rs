//! One request to the API server, with a deadline, a bounded answer and nothing logged.
//!
//! kube's own `Api` logs the whole body of an answer that it cannot read, and the message of every refusal; both may
//! hold what a Secret holds. So requests are built with kube and sent with its client, but read here.

use std::error::Error as StdError;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use jiff::SignedDuration;
use kube::Client;
use kube::client::{AuthError, Body};
use kube::core::Status;
use serde::de::DeserializeOwned;

use super::client::{Connection, LazyClient};

/// A Secret holds 1 MiB at most, base64 and metadata make it about 2 MiB.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Why a request did not yield what it asked for.
#[derive(Debug)]
pub(super) enum CallError {
    /// There is no client: the configuration or the machine has to change.
    NoClient {
        why: String,
    },
    Unreachable {
        why: String,
    },
    TimedOut {
        seconds: u64,
    },
    /// Our own credentials cannot be read or made; no request was sent.
    NoCredentials {
        why: String,
    },
    /// The request itself could not be built.
    Unbuildable,
    /// Success, by its status, but no answer that we can read.
    Unreadable {
        why: &'static str,
    },
    Refused(Box<Refusal>),
}

/// An answer that is no success. `status` may quote what was sent: `explain` picks what may be shown.
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) status: Status,
    pub(super) retry_after: Option<SignedDuration>,
}

impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refusal").field("code", &self.code).finish_non_exhaustive()
    }
}

pub(super) type BuiltRequest = Result<http::Request<Vec<u8>>, kube::core::request::Error>;

/// Sends a request and reads its answer, all within `deadline`.
pub(super) async fn call<T: DeserializeOwned>(
    client: &LazyClient,
    request: BuiltRequest,
    deadline: Duration,
) -> Result<T, CallError> {
    // The error of a request that cannot be built may quote its body.
    let mut request = request.map_err(|_| CallError::Unbuildable)?;
    if let Ok(agent) = concat!("everbearer/", env!("CARGO_PKG_VERSION")).parse() {
        request.headers_mut().insert("user-agent", agent);
    }
    let Connection { client, server } = client.get().await?;
    match tokio::time::timeout(deadline, exchange(client, request)).await {
        Ok(Err(CallError::Unreachable { why })) => {
            Err(CallError::Unreachable { why: format!("{server}: {why}") })
        }
        Ok(answer) => answer,
        Err(_) => Err(CallError::TimedOut { seconds: deadline.as_secs() }),
    }
}

async fn exchange<T: DeserializeOwned>(
    client: &Client,
    request: http::Request<Vec<u8>>,
) -> Result<T, CallError> {
    let answer = client.send(request.map(Body::from)).await.map_err(|e| not_sent(&e))?;
    let code = answer.status();
    let retry_after = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()).and_then(seconds);
    let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
    if !code.is_success() {
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        return Err(CallError::Refused(Box::new(refusal(code.as_u16(), &body, retry_after))));
    }
    let body = body.map_err(|_| CallError::Unreadable { why: "its answer was cut short or too long" })?;
    serde_json::from_slice(&body.to_bytes())
        .map_err(|_| CallError::Unreadable { why: "its answer is not the object that was asked for" })
}

fn refusal(code: u16, body: &[u8], retry_after: Option<SignedDuration>) -> Refusal {
    // A proxy or a load balancer may answer in HTML: then the code alone has to do.
    let status: Status = serde_json::from_slice(body).unwrap_or_default();
    let in_body = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    let retry_after =
        retry_after.or_else(|| (in_body > 0).then(|| SignedDuration::from_secs(i64::from(in_body))));
    Refusal { code, status, retry_after }
}

/// The API server sends seconds only (RFC 9110 §10.2.3 would allow a date too).
fn seconds(text: &str) -> Option<SignedDuration> {
    text.trim().parse::<u32>().ok().map(|s| SignedDuration::from_secs(i64::from(s)))
}

fn not_sent(error: &kube::Error) -> CallError {
    // Outer errors often quote the inner one; the innermost says what happened on the wire.
    let mut why = String::new();
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<AuthError>() {
            return CallError::NoCredentials { why: credentials_words(error) };
        }
        why = error.to_string();
        next = error.source();
    }
    CallError::Unreachable { why: plain(&why) }
}

/// An exec plugin's error holds all that it printed, tokens included.
fn credentials_words(error: &AuthError) -> String {
    match error {
        AuthError::ReadTokenFile(e, path) => format!("{}: {e}", path.display()),
        AuthError::AuthExecStart(e) => format!("the kubeconfig's exec plugin does not start: {e}"),
        _ => "the kubeconfig's credentials cannot be renewed (try `kubectl auth whoami` with it)".to_owned(),
    }
}

/// One printable line of bounded length.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}
