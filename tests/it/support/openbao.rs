//! A real `OpenBao` in dev mode: KV version 2 mounted at `secret/`, everything in memory, dead with this process.
//!
//! Lacks a cluster and storage that outlives it; tests of those will start a server with a configuration file.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

/// Equal to a variable that cargo sets for every test, so that a test can log in by an environment variable.
pub(crate) const ROOT_TOKEN: &str = env!("CARGO_PKG_NAME");
pub(crate) const ROOT_TOKEN_VARIABLE: &str = "CARGO_PKG_NAME";

const POLL: Duration = Duration::from_millis(50);
/// 30 s: a cold, busy machine needs two or three.
const POLLS_UNTIL_READY: u32 = 600;

pub(crate) struct OpenBao {
    pub(crate) address: String,
    /// What signed the server's certificate, if it speaks TLS.
    pub(crate) ca_file: Option<PathBuf>,
    /// Dropped, it ends the server.
    _stop: Sender<()>,
}

impl OpenBao {
    /// The server that the tests of this process share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<OpenBao> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of one's own, to seal or to stop.
    pub(crate) fn start() -> Self {
        Self::start_with(None)
    }

    /// A server of one's own that speaks TLS, with a private CA of its own in this folder.
    pub(crate) async fn start_with_tls(folder: &Path) -> Self {
        let server = Self::start_with(Some(folder));
        for _ in 0..POLLS_UNTIL_READY {
            if server.request(Method::GET, "secret/config", None).await.0 == 200 {
                return server;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("OpenBao with TLS does not serve")
    }

    fn start_with(tls_folder: Option<&Path>) -> Self {
        let program = program();
        // Another process may take the free port before OpenBao does.
        for _ in 0..3 {
            if let Some(server) = Self::try_start(&program, tls_folder) {
                return server;
            }
        }
        panic!("OpenBao ended at once, three times; its logs are in {}", env!("CARGO_TARGET_TMPDIR"))
    }

    fn try_start(program: &Path, tls_folder: Option<&Path>) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let ca_file = tls_folder.map(|folder| folder.join("vault-ca.pem"));
        let scheme = if tls_folder.is_some() { "https" } else { "http" };
        let (stop, has_ended) = spawn(command(program, port, tls_folder));
        for _ in 0..POLLS_UNTIL_READY {
            if ca_file.as_ref().map_or_else(|| is_ready(port), |ca| ca.exists() && is_listening(port)) {
                return Some(Self { address: format!("{scheme}://127.0.0.1:{port}"), ca_file, _stop: stop });
            }
            if has_ended.recv_timeout(POLL).is_ok() {
                return None;
            }
        }
        panic!(
            "OpenBao was not ready after {:?}; its log is {}",
            POLL * POLLS_UNTIL_READY,
            log(port).display()
        )
    }

    /// One request with the root token; the status and the answer, `Null` if there is no JSON.
    pub(crate) async fn request(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        // A client for each request: a pooled connection would belong to the runtime of another test.
        let trusted = self
            .ca_file
            .iter()
            .map(|path| reqwest::Certificate::from_pem(&std::fs::read(path).unwrap()).unwrap());
        let http = reqwest::Client::builder().no_proxy().tls_certs_only(trusted).build().unwrap();
        let url = format!("{}/v1/{path}", self.address);
        let mut request = http.request(method, url).header("X-Vault-Token", ROOT_TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.request(Method::POST, path, Some(body)).await;
        assert!(status < 300, "POST {path}: {status} {answer}");
        answer
    }

    /// Mounts a KV version 2 engine and waits until it serves.
    pub(crate) async fn mount(&self, mount: &str) {
        self.post(&format!("sys/mounts/{mount}"), json!({"type": "kv", "options": {"version": "2"}})).await;
        for _ in 0..POLLS_UNTIL_READY {
            if self.request(Method::GET, &format!("{mount}/config"), None).await.0 == 200 {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("the mount {mount} does not serve");
    }

    /// Writes a new version of a KV path, whatever was there. Returns its number.
    pub(crate) async fn put(&self, mount: &str, path: &str, data: Value) -> u64 {
        let answer = self.post(&format!("{mount}/data/{path}"), json!({ "data": data })).await;
        answer["data"]["version"].as_u64().unwrap()
    }

    /// The current version's number and data; `None` if there is none or it is deleted.
    pub(crate) async fn get(&self, mount: &str, path: &str) -> Option<(u64, Value)> {
        let (status, answer) = self.request(Method::GET, &format!("{mount}/data/{path}"), None).await;
        (status == 200).then(|| {
            (answer["data"]["metadata"]["version"].as_u64().unwrap(), answer["data"]["data"].clone())
        })
    }

    /// Deletes the latest version of a KV path, as `vault kv delete` does.
    pub(crate) async fn delete(&self, mount: &str, path: &str) {
        let (status, answer) = self.request(Method::DELETE, &format!("{mount}/data/{path}"), None).await;
        assert_eq!(status, 204, "{answer}");
    }

    pub(crate) async fn destroy(&self, mount: &str, path: &str, version: u64) {
        self.post(&format!("{mount}/destroy/{path}"), json!({"versions": [version]})).await;
    }

    /// A login token with one policy, which is given as HCL.
    pub(crate) async fn token(&self, policy_name: &str, policy: &str) -> String {
        self.post(&format!("sys/policies/acl/{policy_name}"), json!({ "policy": policy })).await;
        let answer = self.post("auth/token/create", json!({"policies": [policy_name]})).await;
        answer["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn revoke(&self, token: &str) {
        self.post("auth/token/revoke", json!({ "token": token })).await;
    }

    /// At most this many requests a minute to a mount.
    pub(crate) async fn limit(&self, mount: &str, rate: u32) {
        let quota = json!({"path": mount, "rate": rate, "interval": "60s"});
        self.post(&format!("sys/quotas/rate-limit/{mount}"), quota).await;
    }

    pub(crate) async fn seal(&self) {
        self.post("sys/seal", json!({})).await;
    }
}

fn program() -> PathBuf {
    for variable in ["BAO_BIN", "VAULT_BIN"] {
        if let Some(path) = std::env::var_os(variable) {
            return path.into();
        }
    }
    let parts = std::env::var_os("EVERBEARER_PARTS").map_or_else(default_parts, PathBuf::from);
    let program = parts.join("bin/bao");
    assert!(
        program.exists(),
        "there is no OpenBao at {}: run `make parts`, or set BAO_BIN",
        program.display()
    );
    program
}

fn default_parts() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache.expect("HOME or XDG_CACHE_HOME is set").join("everbearer/parts")
}

/// Ends when the returned sender is dropped, or with this process; the receiver tells when it has ended.
fn spawn(mut command: Command) -> (Sender<()>, Receiver<()>) {
    let (stop, stopped) = mpsc::channel();
    let (ended, has_ended) = mpsc::channel();
    // The death signal fires when the *thread* that spawned the server ends, so one that waits for it spawns it.
    std::thread::spawn(move || {
        let mut child = command.spawn().expect("setpriv (util-linux) starts OpenBao");
        loop {
            match stopped.recv_timeout(POLL) {
                Err(RecvTimeoutError::Timeout) if child.try_wait().is_ok_and(|exit| exit.is_none()) => {}
                _ => break,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        let _ = ended.send(());
    });
    (stop, has_ended)
}

fn command(program: &Path, port: u16, tls_folder: Option<&Path>) -> Command {
    let log = std::fs::File::create(log(port)).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(["server", "-dev", "-dev-no-store-token"])
        .arg(format!("-dev-root-token-id={ROOT_TOKEN}"))
        .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
        .env_clear() // no VAULT_* or BAO_* of whoever runs the tests
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    if let Some(folder) = tls_folder {
        command.arg("-dev-tls").arg(format!("-dev-tls-cert-dir={}", folder.display()));
    }
    command
}

fn log(port: u16) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openbao-{port}.log"))
}

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Whether the server is unsealed, active, and has mounted `secret/`.
fn is_ready(port: u16) -> bool {
    let status = |path: &str| -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        write!(stream, "GET /v1/{path} HTTP/1.0\r\nX-Vault-Token: {ROOT_TOKEN}\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split_whitespace().nth(1).map(ToOwned::to_owned)
    };
    ["sys/health", "secret/config"].iter().all(|path| status(path).as_deref() == Some("200"))
}
