//! Builds the client for the API server: which cluster, with which credentials, through which proxy.
//!
//! Building sends nothing, so a daemon starts while the API server is down. There are no retries in here: the engine
//! has its own pace, and kube's fifteen tries would outlive every deadline.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::client::AuthError;
use kube::config::{Cluster, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;
use tokio::sync::OnceCell;

use super::call::CallError;
use crate::config::spec::KubernetesSpec;

/// A write has 4 s in all, so that one that meets a dead address still fails as unreachable, not as a timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Ends connections that nobody waits for any more; each request has its own, shorter deadline.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);

/// For files on a slow disk and an exec plugin that asks a cloud.
const MAKE_DEADLINE: Duration = Duration::from_secs(8);

/// Why there is no client. Nothing was sent yet: the configuration or the machine has to change.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error(
        "no Kubernetes cluster is known: we run in no pod, and neither `kubernetes.kubeconfig` nor KUBECONFIG names a kubeconfig file"
    )]
    NoCluster,
    #[error("{file} cannot be used: {why}")]
    Kubeconfig { file: String, why: String },
    #[error(
        "the pod's own access to the API server cannot be used: {why}. Is automountServiceAccountToken off?"
    )]
    InCluster { why: String },
    #[error("the proxy for the Kubernetes API server cannot be used: {why}")]
    Proxy { why: String },
    #[error("no client for the Kubernetes API server can be made: {why}")]
    Unusable { why: String },
}

/// The client for `spec`: its kubeconfig and context; else the pod's own service account; else KUBECONFIG.
///
/// Must be called inside the tokio runtime that will use it. A kubeconfig's exec plugin runs here, and blocks.
pub fn client(spec: &KubernetesSpec) -> Result<Client, ClientError> {
    connection(spec).map(|connection| connection.client)
}

pub(super) struct Connection {
    pub(super) client: Client,
    /// `https://10.96.0.1:443`, for messages.
    pub(super) server: String,
}

fn connection(spec: &KubernetesSpec) -> Result<Connection, ClientError> {
    let mut config = load(spec)?;
    let url = &config.cluster_url;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let server =
        format!("{}://{}{port}", url.scheme_str().unwrap_or_default(), url.host().unwrap_or_default());
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(SILENCE_TIMEOUT);
    config.write_timeout = Some(SILENCE_TIMEOUT);
    config.reset_reader_on_write = true; // or a connection's idle time would count against its next answer
    config.default_retry = false;
    let client = Client::try_from(config).map_err(unusable)?;
    Ok(Connection { client, server })
}

/// A client that is made at the first call, so that a missing kubeconfig fails that call and not the start; the next
/// call looks again. Sinks share one.
pub struct LazyClient {
    spec: KubernetesSpec,
    made: OnceCell<Connection>,
}

impl LazyClient {
    #[must_use]
    pub fn new(spec: KubernetesSpec) -> Self {
        Self { spec, made: OnceCell::new() }
    }

    pub(super) async fn get(&self) -> Result<&Connection, CallError> {
        let make = || async {
            let spec = self.spec.clone();
            // Files are read, and an exec plugin may run for seconds.
            let made = tokio::task::spawn_blocking(move || connection(&spec));
            match tokio::time::timeout(MAKE_DEADLINE, made).await {
                Ok(Ok(made)) => made.map_err(|e| CallError::NoClient { why: e.to_string() }),
                Ok(Err(_)) => Err(CallError::NoClient { why: "making the client failed".to_owned() }),
                Err(_) => Err(CallError::TimedOut { seconds: MAKE_DEADLINE.as_secs() }),
            }
        };
        self.made.get_or_try_init(make).await
    }
}

fn load(spec: &KubernetesSpec) -> Result<Config, ClientError> {
    let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if in_pod && spec.kubeconfig.is_none() && spec.context.is_none() {
        let mut config = Config::incluster().map_err(|e| ClientError::InCluster { why: e.to_string() })?;
        config.proxy_url = environment_proxy(&config.cluster_url, variable)?;
        return Ok(config);
    }
    let (file, mut kubeconfig) = read_kubeconfig(spec.kubeconfig.as_ref())?;
    if let Some(context) = &spec.context {
        kubeconfig.current_context = Some(context.clone());
    }
    let own_proxy =
        current_cluster(&kubeconfig).and_then(|c| c.proxy_url.clone()).filter(|url| !url.is_empty());
    let mut config = Config::try_from(kubeconfig)
        .map_err(|e| ClientError::Kubeconfig { why: without_contents(&e), file })?;
    // kube looks for the *proxy's* host in NO_PROXY, not the server's, so its own choice is set aside.
    config.proxy_url = match own_proxy {
        Some(url) => Some(parse_proxy(&url)?),
        None => environment_proxy(&config.cluster_url, variable)?,
    };
    Ok(config)
}

fn read_kubeconfig(path: Option<&PathBuf>) -> Result<(String, Kubeconfig), ClientError> {
    let (file, read) = match path {
        Some(path) => (path.display().to_string(), Kubeconfig::read_from(path).map(Some)),
        None => ("the kubeconfig in KUBECONFIG".to_owned(), Kubeconfig::from_env()),
    };
    match read {
        Ok(Some(kubeconfig)) => Ok((file, kubeconfig)),
        Ok(None) => Err(ClientError::NoCluster),
        Err(e) => Err(ClientError::Kubeconfig { why: without_contents(&e), file }),
    }
}

fn current_cluster(kubeconfig: &Kubeconfig) -> Option<&Cluster> {
    let wanted = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|c| c.name == *wanted)?.context.as_ref()?;
    kubeconfig.clusters.iter().find(|c| c.name == context.cluster)?.cluster.as_ref()
}

/// A kubeconfig holds credentials, and its parser quotes the line that it trips over.
fn without_contents(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(_) => "it is not a kubeconfig in YAML".to_owned(),
        KubeconfigError::ParseProxyUrl(_) => "HTTPS_PROXY or its proxy-url is no URL".to_owned(),
        KubeconfigError::ParseNoProxy(_) => {
            "NO_PROXY has an entry that is no host, address or network".to_owned()
        }
        KubeconfigError::ReadConfig(e, _) => e.to_string(),
        other => other.to_string(),
    }
}

/// An exec plugin's error holds all that the plugin printed, so only harmless errors are passed on.
fn unusable(error: kube::Error) -> ClientError {
    let why = match error {
        kube::Error::ProxyProtocolDisabled { .. } | kube::Error::ProxyProtocolUnsupported { .. } => {
            return ClientError::Proxy { why: "only http:// and https:// proxies are supported".to_owned() };
        }
        kube::Error::Auth(AuthError::ReadTokenFile(e, path)) => format!("{}: {e}", path.display()),
        kube::Error::Auth(AuthError::AuthExecStart(e)) => {
            format!("the kubeconfig's exec plugin does not start: {e}")
        }
        kube::Error::Auth(_) => {
            "the kubeconfig's credentials are unusable (try `kubectl auth whoami` with it)".to_owned()
        }
        kube::Error::RustlsTls(e) => e.to_string(),
        _ => "its settings contradict each other".to_owned(),
    };
    ClientError::Unusable { why }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The proxy that the environment names for `server`; `None` for loopback and for what `NO_PROXY` covers.
fn environment_proxy(
    server: &Uri,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Uri>, ClientError> {
    let first = |names: &[&str]| names.iter().find_map(|name| variable(name));
    let plain = server.scheme_str() == Some("http");
    let names: &[&str] = if plain { &["HTTP_PROXY", "http_proxy"] } else { &["HTTPS_PROXY", "https_proxy"] };
    let Some(proxy) = first(names) else { return Ok(None) };
    if is_loopback(server) {
        return Ok(None);
    }
    let exempt = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    let proxy = parse_proxy(&proxy)?;
    let matcher = Matcher::builder().all(proxy.to_string()).no(exempt).build();
    Ok(matcher.intercept(server).map(|_| proxy))
}

fn parse_proxy(url: &str) -> Result<Uri, ClientError> {
    let whole = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    // The URL may hold a password, so the message does not quote it.
    whole.parse().map_err(|_| ClientError::Proxy { why: "its URL cannot be read".to_owned() })
}

fn is_loopback(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables = &'static [(&'static str, &'static str)];

    const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://user:p%40ss@proxy:3128");

    fn chosen(server: &str, variables: Variables) -> Option<String> {
        let lookup =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        environment_proxy(&server.parse().unwrap(), lookup).unwrap().map(|uri| uri.to_string())
    }

    #[test]
    fn environment_names_the_proxy_unless_no_proxy_covers_the_server() {
        let whole = Some("http://user:p%40ss@proxy:3128/".to_owned());
        let cases: &[(&str, Variables, Option<String>)] = &[
            ("https://10.96.0.1:443", &[], None),
            ("https://10.96.0.1:443", &[PROXY], whole.clone()),
            ("https://10.96.0.1:443", &[PROXY, ("NO_PROXY", "10.96.0.0/12")], None),
            ("https://10.96.0.1:443", &[PROXY, ("NO_PROXY", "other, 10.96.0.1,")], None),
            ("https://api.corp.example:6443", &[PROXY, ("no_proxy", ".corp.example")], None),
            ("https://api.corp.example:6443", &[PROXY, ("NO_PROXY", "*")], None),
            ("https://api.corp.example:6443", &[PROXY, ("NO_PROXY", "proxy")], whole.clone()),
            ("https://127.0.0.1:6443", &[PROXY], None),
            ("https://[::1]:6443", &[PROXY], None),
            ("https://api:6443", &[("https_proxy", "proxy:3128")], Some("http://proxy:3128/".into())),
        ];
        for (server, variables, expected) in cases {
            assert_eq!(&chosen(server, variables), expected, "{server} with {variables:?}");
        }
    }

    #[test]
    fn a_broken_kubeconfig_is_named_and_never_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, "users: [{name: a, user: {token: canary-token}}, canary-token: {").unwrap();
        let spec = KubernetesSpec { kubeconfig: Some(path), context: None };
        let error = client(&spec).err().unwrap();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("kubeconfig cannot be used: it is not a kubeconfig in YAML"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn a_missing_kubeconfig_and_an_unknown_context_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        let spec = KubernetesSpec { kubeconfig: Some(path.clone()), context: Some("staging".into()) };
        assert!(client(&spec).err().unwrap().to_string().contains("No such file"));
        std::fs::write(&path, "{apiVersion: v1, kind: Config}").unwrap();
        assert!(client(&spec).err().unwrap().to_string().contains("staging"));
    }
}
