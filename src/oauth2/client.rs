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

use super::Problem;
use crate::config::spec::OAuth2Spec;

/// Below what servers and load balancers commonly keep a connection for, so that we seldom write into a closed one.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The token endpoint's address, if it may be used (RFC 6749 §3.2).
pub(super) fn endpoint(text: &str, allow_insecure: bool) -> Result<Url, Problem> {
    let url = Url::parse(text).map_err(|_| Problem::Address { why: "it is no URL" })?;
    let loopback = is_loopback(&url);
    match url.scheme() {
        "https" => {}
        "http" if loopback || allow_insecure => {}
        "http" => return Err(Problem::Insecure),
        _ => return Err(Problem::Address { why: "it is neither https:// nor http://" }),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::Address {
            why: "it holds a user name or password; credentials come from a source",
        });
    }
    if url.fragment().is_some() {
        return Err(Problem::Address { why: "it holds a fragment (#…)" });
    }
    Ok(url)
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

pub(super) fn build(spec: &OAuth2Spec, url: &Url) -> Result<Client, Problem> {
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(duration(spec.connect_timeout))
        .timeout(duration(spec.timeout))
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(spec.max_concurrent);
    if is_loopback(url) {
        // A proxy's loopback is not ours.
        builder = builder.no_proxy();
    }
    builder = if url.scheme() == "http" {
        // No certificate is looked at, so that no root store needs to be there; a minimal container has none.
        builder.tls_certs_only([])
    } else {
        let own = spec.ca_file.as_deref().map(certificates).transpose()?.unwrap_or_default();
        builder.https_only(true).tls_certs_merge(own)
    };
    builder.build().map_err(|error| Problem::Client { why: innermost(&error) })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, Problem> {
    let problem = |why: String| Problem::CaFile { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| problem(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(problem("it holds no certificate in PEM form".to_owned())),
    }
}

/// The configuration lets only positive spans pass.
fn duration(span: SignedDuration) -> Duration {
    span.unsigned_abs()
}

/// The cause that says what is wrong; the outer ones only say where.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
