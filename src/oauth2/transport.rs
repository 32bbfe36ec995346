//! What it means that no whole response came.
//!
//! The words are ours, but for those of TLS about a certificate: errors of the HTTP client show the URL with its
//! query.

use std::error::Error;
use std::io;

use jiff::SignedDuration;

use crate::ports::IssuerError;

/// Certificates may name a hundred hosts.
const LONGEST_WORDS: usize = 300;

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) connect: SignedDuration,
    pub(super) total: SignedDuration,
}

/// Classifies an error of sending a request or of reading its response.
///
/// Only what failed before there was a connection has minted nothing for certain.
pub(super) fn classify(error: &reqwest::Error, timeouts: Timeouts) -> IssuerError {
    let transport = |why, maybe_minted| IssuerError::Transport { why, maybe_minted };
    if error.is_builder() {
        // Ruled out when the endpoint was built, or a scheme that `https_only` refuses.
        return IssuerError::Unfit {
            why: "the token request cannot be built. Check `tokenUrl` and `headers`",
        };
    }
    if !error.is_connect() {
        return if error.is_timeout() {
            transport(format!("no complete answer within {}", seconds(timeouts.total)), true)
        } else {
            transport(broken(error), true)
        };
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return IssuerError::Tls { why: shortened(tls.to_string()) };
    }
    if error.is_timeout() {
        return transport(format!("no connection within {}", seconds(timeouts.connect)), false);
    }
    match proxy(error) {
        Some(Proxy::WantsCredentials) => IssuerError::Unexpected {
            status: 407,
            advice: "The proxy wants credentials: check HTTPS_PROXY and NO_PROXY",
        },
        Some(Proxy::Refuses) => transport("the proxy does not connect to it".to_owned(), false),
        None if is_dns(error) => transport("its name cannot be resolved".to_owned(), false),
        None => transport(broken(error), false),
    }
}

/// The kind of the innermost I/O error: "connection refused", "connection reset", ….
fn broken(error: &reqwest::Error) -> String {
    match find::<io::Error>(error) {
        Some(error) => error.kind().to_string(),
        None => "the connection broke before the answer was complete".to_owned(),
    }
}

/// The words of the cause that says what is wrong; the outer ones only say where. Not for errors of a request.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    shortened(causes(error).last().map(ToString::to_string).unwrap_or_default())
}

enum Proxy {
    WantsCredentials,
    Refuses,
}

/// The client's errors about a CONNECT are of a private type; their words are fixed.
fn proxy(error: &reqwest::Error) -> Option<Proxy> {
    let words = causes(error).map(ToString::to_string).find(|words| words.starts_with("tunnel error:"))?;
    Some(if words.contains("proxy authorization required") {
        Proxy::WantsCredentials
    } else {
        Proxy::Refuses
    })
}

fn is_dns(error: &reqwest::Error) -> bool {
    error.is_dns() || causes(error).any(|cause| cause.to_string().starts_with("dns error"))
}

/// The innermost cause of a type. An `io::Error` hides what it wraps from `source()`, so it is asked itself.
fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).filter_map(|cause| cause.downcast_ref::<E>()).last()
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let first: &'a (dyn Error + 'static) = error;
    std::iter::successors(Some(first), |cause: &&'a (dyn Error + 'static)| inner(*cause))
}

fn inner<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => cause.source(),
    }
}

fn shortened(words: String) -> String {
    match words.char_indices().nth(LONGEST_WORDS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

fn seconds(span: SignedDuration) -> String {
    format!("{} s", span.as_secs_f64())
}

#[cfg(test)]
mod tests;
