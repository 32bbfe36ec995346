//! Who may ask: a check of the `Host` header against rebinding, and of the bearer.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::Admin;

/// A bearer longer than this is a mistake, not a secret.
const LONGEST_BEARER: u64 = 4096;

pub(super) struct Hosts {
    pub(super) admin: Arc<Admin>,
    pub(super) listening: SocketAddr,
}

/// A page elsewhere can bind its own name to our address and then read what its visitor's browser gets from us; the
/// name it came by gives it away.
pub(super) async fn host(State(guard): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let allowed = &guard.admin.settings.load().allowed_hosts.clone();
    if host_of(request.headers(), request.uri())
        .is_some_and(|host| is_allowed(&host, guard.listening, allowed))
    {
        next.run(request).await
    } else {
        let text = "this Host is not allowed: use a loopback name, or list it in admin.allowedHosts\n";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    }
}

/// The host without its port.
fn host_of(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let text = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.host())?;
    let authority: axum::http::uri::Authority = text.parse().ok()?;
    Some(authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())
}

fn is_allowed(host: &str, listening: SocketAddr, allowed: &[String]) -> bool {
    let by_address =
        host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || address == listening.ip());
    host == "localhost" || by_address || allowed.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Where `admin.bearerFile` is set, `/status`, `/` and the POST want what it holds. Read for each request, so that a
/// changed file counts at once.
pub(super) async fn bearer(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let settings = admin.settings.load_full();
    let Some(file) = &settings.bearer_file else { return next.run(request).await };
    let Some(expected) = read_bearer(file).await else {
        let text = "admin.bearerFile is empty or cannot be read; nobody is let in until it can\n";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if bool::from(given.as_bytes().ct_eq(expected.as_bytes())) {
        next.run(request).await
    } else {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"everbearer\"")];
        (StatusCode::UNAUTHORIZED, challenge, "a bearer is needed\n").into_response()
    }
}

async fn read_bearer(file: &Path) -> Option<Zeroizing<String>> {
    use tokio::io::AsyncReadExt as _;
    let mut text = Zeroizing::new(String::new());
    let opened = tokio::fs::File::open(file).await.ok()?;
    opened.take(LONGEST_BEARER).read_to_string(&mut text).await.ok()?;
    let trimmed = text.trim_end();
    (!trimmed.is_empty()).then(|| Zeroizing::new(trimmed.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_the_listening_address_and_listed_names_are_allowed() {
        let listening: SocketAddr = "10.1.2.3:9464".parse().unwrap();
        let listed = ["status.example".to_owned()];
        for (host, expected) in [
            ("localhost:9464", true),
            ("LocalHost", true),
            ("127.0.0.1:1", true),
            ("127.8.8.8", true),
            ("[::1]:9464", true),
            ("10.1.2.3:9464", true),
            ("10.1.2.4:9464", false),
            ("Status.Example:443", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            let found = host_of(&headers, &Uri::from_static("/"));
            let allowed = found.is_some_and(|host| is_allowed(&host, listening, &listed));
            assert_eq!(allowed, expected, "{host:?}");
        }
        assert_eq!(host_of(&HeaderMap::new(), &Uri::from_static("/")), None, "no Host at all");
    }
}
