//! The HTTP client of one token endpoint: where it may connect, whom it trusts, how long it waits.
//!
//! No redirects (they could carry credentials elsewhere), no cookies, no decompression, no retries but those of
//! requests that provably were not sent. Roots: the system's, or `SSL_CERT_FILE` and `SSL_CERT_DIR` in their place,
//! and `caFile` besides. All are read when the client is built; a changed file needs a new client.

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::{Certificate, Client, redirect};
use url::{Host, Url};

use super::transport;
use crate::config::spec::OAuth2Spec;
use crate::ports::IssuerError;

/// Below what servers and load balancers commonly keep a connection for, so that we seldom write into a closed one.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Reads files, so it blocks for some milliseconds.
pub(super) fn build(spec: &OAuth2Spec, url: &Url) -> Result<Client, IssuerError> {
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(duration(spec.connect_timeout))
        .timeout(duration(spec.timeout))
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(spec.max_concurrent)
        .https_only(!spec.allow_insecure && !is_loopback(url));
    if is_loopback(url) {
        // A proxy's loopback is not ours.
        builder = builder.no_proxy();
    }
    builder = if url.scheme() == "http" {
        // No certificate is looked at, so that no root store needs to be there; a minimal container has none.
        builder.tls_certs_only([])
    } else {
        builder.tls_certs_merge(spec.ca_file.as_deref().map(certificates).transpose()?.unwrap_or_default())
    };
    // Without a root store (the package `ca-certificates`), for example.
    builder.build().map_err(|error| IssuerError::Tls { why: transport::innermost(&error) })
}

/// A host that is this machine for certain: 127.0.0.0/8, `::1`, `localhost` and names below it (RFC 6761 §6.3).
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, IssuerError> {
    let unusable = |why: &str| IssuerError::Tls { why: format!("caFile {}: {why}", path.display()) };
    let pem = std::fs::read(path).map_err(|error| unusable(&error.kind().to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(unusable("it holds no certificate in PEM form")),
    }
}

/// The configuration lets only positive spans pass.
fn duration(span: SignedDuration) -> Duration {
    span.unsigned_abs()
}

#[cfg(test)]
mod tests;
