//! One HTTP exchange with Vault: bounded in time and in bytes, its outcome classified by status.
//!
//! Lacks retries and logins (`session.rs`) and any knowledge of what is asked (`kv.rs`). Redirects are not followed:
//! the login token would go wherever the answer points.

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::VaultError;

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// From the first byte sent to the last one received, and for a whole call with its login and second try.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Less than the keep-alive of the load balancers that stand before Vaults, so that we never send on a connection
/// that the other side is closing.
const POOL_IDLE: Duration = Duration::from_secs(20);

/// What a burst opens beyond these is closed after it.
const MOST_IDLE: usize = 8;

/// A KV entry is at most about 1 MiB (the limit of integrated storage); escaped as JSON it may be several times that.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

/// What came back, zeroed when dropped: it holds secrets.
pub(super) type Body = Zeroizing<Vec<u8>>;

/// An answer that is no error by itself. A 404 may be one of several things, which its body tells.
#[derive(Debug)]
pub(super) enum Answer {
    Found(Body),
    NotFound(Body),
}

/// Builds the client. `http://` needs no certificates at all, and a machine may have none. Proxies are the
/// environment's (`HTTPS_PROXY`, `NO_PROXY`, …), but never between us and our own host, as with Vault's own client.
pub(super) async fn client(address: &Url, ca_file: Option<&Path>) -> Result<reqwest::Client, VaultError> {
    let bounded = || {
        let builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(MOST_IDLE)
            .user_agent(concat!("everbearer/", env!("CARGO_PKG_VERSION")));
        if is_loopback(address) { builder.no_proxy() } else { builder }
    };
    let built = match ca_file {
        _ if address.scheme() == "http" => bounded().tls_certs_only([]).build(),
        None => bounded().build(),
        Some(path) => {
            let certificates = certificates(path).await?;
            // Beside the system's certificates; instead of them where the machine has none.
            bounded()
                .tls_certs_merge(certificates.clone())
                .build()
                .or_else(|_| bounded().tls_certs_only(certificates).build())
        }
    };
    built.map_err(|e| VaultError::Setting {
        why: format!(
            "no HTTPS client for Vault could be built: {}. Check vault.caFile and SSL_CERT_FILE",
            root_cause(&e)
        ),
    })
}

fn is_loopback(address: &Url) -> bool {
    match address.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

async fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, VaultError> {
    let setting =
        |why: String| VaultError::Setting { why: format!("vault.caFile {}: {why}", path.display()) };
    let pem = tokio::fs::read(path).await.map_err(|e| setting(format!("it cannot be read: {e}")))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(setting("it holds no certificate in PEM form".into())),
    }
}

/// Sends and reads. `address` is for messages.
pub(super) async fn exchange(
    http: &reqwest::Client,
    request: reqwest::Request,
    address: &str,
) -> Result<Answer, VaultError> {
    let lost = |e: reqwest::Error| failure(&e, address);
    let mut response = http.execute(request).await.map_err(lost)?;
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let mut body = Body::default();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(VaultError::Malformed { why: format!("it is longer than {LONGEST_ANSWER} bytes") });
        }
        body.extend_from_slice(&chunk);
    }
    classify(status, retry_after, body)
}

/// The table of Vault's statuses, with the phrases that tell apart what shares one.
fn classify(status: u16, retry_after: Option<SignedDuration>, body: Body) -> Result<Answer, VaultError> {
    let says = |phrase: &str| String::from_utf8_lossy(&body).contains(phrase);
    match status {
        200..=299 => Ok(Answer::Found(body)),
        404 if says("no handler for route") => Err(VaultError::NoMount),
        404 => Ok(Answer::NotFound(body)),
        400 if says("check-and-set parameter did not match") => Err(VaultError::CasMismatch),
        412 => Err(VaultError::Behind),
        403 => Err(VaultError::Forbidden),
        413 => Err(VaultError::TooLarge),
        400 | 500 if says("too large") => Err(VaultError::TooLarge),
        400 | 503 if says("not yet initialized") => Err(VaultError::Uninitialised),
        501 => Err(VaultError::Uninitialised),
        503 if says("sealed") => Err(VaultError::Sealed),
        // A standby that cannot forward says so in a 500; 472 and 473 are the health endpoint's.
        500 if says("node not active") || says("node not found") => Err(VaultError::Standby { status }),
        300..=399 | 472 | 473 => Err(VaultError::Standby { status }),
        429 => Err(VaultError::RateLimited { status, retry_after }),
        503 if retry_after.is_some() => Err(VaultError::RateLimited { status, retry_after }),
        408 | 425 | 500..=599 => Err(VaultError::Server { status }),
        _ => Err(VaultError::Rejected { status }),
    }
}

/// Seconds only: Vault never sends the other form, a date, and the schedule caps what is believed.
fn retry_after(headers: &HeaderMap) -> Option<SignedDuration> {
    let seconds: u32 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(SignedDuration::from_secs(seconds.into()))
}

fn failure(error: &reqwest::Error, address: &str) -> VaultError {
    if error.is_timeout() {
        // Both limits are named: the one for connecting is the shorter.
        let limit = if error.is_connect() { CONNECT_TIMEOUT } else { CALL_TIMEOUT };
        return VaultError::Timeout { seconds: limit.as_secs() };
    }
    let mut why = root_cause(error);
    if why.contains("certificate") {
        why.push_str(". Check vault.caFile and the name in the server's certificate");
    }
    VaultError::Unreachable { address: address.to_owned(), why }
}

/// The innermost cause, such as "Connection refused (os error 111)". The outer ones repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_the_table_says() {
        let wait = Some(SignedDuration::from_secs(3));
        let rate_limited = |status| VaultError::RateLimited { status, retry_after: wait };
        for (status, body, retry_after, expected) in [
            (403, r#"{"errors":["permission denied"]}"#, None, VaultError::Forbidden),
            (
                404,
                r#"{"errors":["no handler for route \"x/data/y\". route entry not found."]}"#,
                None,
                VaultError::NoMount,
            ),
            (
                400,
                r#"{"errors":["check-and-set parameter did not match the current version"]}"#,
                None,
                VaultError::CasMismatch,
            ),
            (412, r#"{"errors":["required index state not present"]}"#, None, VaultError::Behind),
            (413, r#"{"errors":["http: request body too large"]}"#, None, VaultError::TooLarge),
            (500, r#"{"errors":["put failed due to value being too large"]}"#, None, VaultError::TooLarge),
            (503, r#"{"errors":["Vault is sealed"]}"#, None, VaultError::Sealed),
            (503, r#"{"errors":["Vault is sealed"]}"#, wait, VaultError::Sealed),
            (503, "<html>busy</html>", None, VaultError::Server { status: 503 }),
            (503, "<html>busy</html>", wait, rate_limited(503)),
            (400, r#"{"errors":["server is not yet initialized"]}"#, None, VaultError::Uninitialised),
            (501, "{}", None, VaultError::Uninitialised),
            (307, "", None, VaultError::Standby { status: 307 }),
            (472, "{}", None, VaultError::Standby { status: 472 }),
            (473, "{}", None, VaultError::Standby { status: 473 }),
            (
                500,
                r#"{"errors":["local node not active but active cluster node not found"]}"#,
                None,
                VaultError::Standby { status: 500 },
            ),
            (429, r#"{"errors":["rate limit quota exceeded"]}"#, wait, rate_limited(429)),
            (500, r#"{"errors":["internal error"]}"#, None, VaultError::Server { status: 500 }),
            (502, "", None, VaultError::Server { status: 502 }),
            (400, r#"{"errors":["no data provided"]}"#, None, VaultError::Rejected { status: 400 }),
            (405, "", None, VaultError::Rejected { status: 405 }),
        ] {
            let outcome = classify(status, retry_after, Body::new(body.into()));
            assert_eq!(outcome.map(|_| ()), Err(expected), "{status} {body}");
        }
        assert!(matches!(classify(200, None, Body::default()), Ok(Answer::Found(_))));
        assert!(matches!(
            classify(404, None, Body::new(br#"{"errors":[]}"#.to_vec())),
            Ok(Answer::NotFound(_))
        ));
    }

    #[test]
    fn retry_after_that_is_no_number_of_seconds_is_ignored() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(of(" 7 "), Some(SignedDuration::from_secs(7)));
        for odd in ["-1", "1.5", "soon", "99999999999999999999", "Tue, 24 Nov 2026 12:00:00 GMT"] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }
}
