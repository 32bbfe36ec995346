//! A real kube-apiserver with its etcd, RBAC on, on free ports of 127.0.0.1, dead with this process.
//!
//! Lacks controllers, a scheduler and nodes: a deleted namespace stays terminating for ever, quotas count nothing.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use everbearer::config::spec::KubernetesSpec;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};

/// May do everything: group `system:masters`.
pub(crate) const ADMIN: &str = "admin";
/// May do what a test binds to it in its own namespace, and nothing else.
pub(crate) const RESTRICTED: &str = "restricted";
const USERS: [&str; 2] = [ADMIN, RESTRICTED];

const POLL: Duration = Duration::from_millis(100);
/// Two minutes: a cold, busy machine needs 15 s.
const POLLS_UNTIL_READY: u32 = 1200;

pub(crate) struct ApiServer {
    folder: PathBuf,
    namespaces: AtomicU32,
}

impl ApiServer {
    /// The server that the tests of this process share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<ApiServer, String>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref().unwrap_or_else(|why| panic!("{why}"))
    }

    /// A kubeconfig with this user's bearer token.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.kubeconfig"))
    }

    /// `https://127.0.0.1:PORT`
    pub(crate) fn address(&self) -> String {
        let kubeconfig = std::fs::read_to_string(self.kubeconfig(ADMIN)).unwrap();
        let kubeconfig: serde_json::Value = serde_json::from_str(&kubeconfig).unwrap();
        kubeconfig["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned()
    }

    pub(crate) fn spec(&self, user: &str) -> KubernetesSpec {
        KubernetesSpec { kubeconfig: Some(self.kubeconfig(user)), context: None }
    }

    /// A client for the runtime of one test.
    pub(crate) fn client(&self, user: &str) -> kube::Client {
        everbearer::kubernetes::client(&self.spec(user)).unwrap()
    }

    /// A fresh namespace, with a name that no other test has.
    pub(crate) async fn namespace(&self) -> String {
        let name = format!("it-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.clone());
        Api::all(self.client(ADMIN)).create(&PostParams::default(), &namespace).await.unwrap();
        name
    }

    fn start() -> Result<Self, String> {
        let folder = fresh_folder();
        let (tell, told) = channel();
        let inside = folder.clone();
        // Children die with the *thread* that started them, and the threads of tests end early.
        let parked = move || {
            let parts = start_parts(&inside, &tell);
            loop {
                std::thread::park();
                let _ = &parts;
            }
        };
        std::thread::Builder::new().name("apiserver".into()).spawn(parked).unwrap();
        told.recv().map_err(|_| "the thread that starts kube-apiserver panicked".to_owned())??;
        Ok(Self { folder, namespaces: AtomicU32::new(0) })
    }
}

fn start_parts(folder: &Path, tell: &Sender<Result<(), String>>) -> Option<Parts> {
    // Another process may take a free port before its server does.
    let mut outcome = Err(String::new());
    for _ in 0..3 {
        outcome = Parts::start(folder);
        if !matches!(&outcome, Err(why) if why.contains("address already in use")) {
            break;
        }
    }
    let (parts, told) = match outcome {
        Ok(parts) => (Some(parts), Ok(())),
        Err(why) => (None, Err(why)),
    };
    tell.send(told).unwrap();
    parts
}

struct Parts {
    etcd: Child,
    apiserver: Child,
}

impl Parts {
    fn start(folder: &Path) -> Result<Self, String> {
        let [etcd_port, peer_port, port] = free_ports();
        let ca = write_keys(folder);
        write_users(folder, port, &ca);
        let etcd = spawn_etcd(folder, etcd_port, peer_port)?;
        let mut parts = Self { etcd, apiserver: spawn_apiserver(folder, etcd_port, port)? };
        parts.wait_until_ready(folder)?;
        Ok(parts)
    }

    fn wait_until_ready(&mut self, folder: &Path) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let spec = KubernetesSpec { kubeconfig: Some(folder.join("admin.kubeconfig")), context: None };
            let client = everbearer::kubernetes::client(&spec).map_err(|e| e.to_string())?;
            for _ in 0..POLLS_UNTIL_READY {
                let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
                let answer = tokio::time::timeout(Duration::from_secs(5), client.request_text(request)).await;
                if let Ok(Ok(text)) = answer
                    && text == "ok"
                {
                    return Ok(());
                }
                for (name, child) in [("etcd", &mut self.etcd), ("kube-apiserver", &mut self.apiserver)] {
                    if let Some(status) = child.try_wait().unwrap() {
                        return Err(format!("{name} ended with {status}:\n{}", tail(folder, name)));
                    }
                }
                tokio::time::sleep(POLL).await;
            }
            Err(format!("kube-apiserver is not ready in time:\n{}", tail(folder, "kube-apiserver")))
        })
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for child in [&mut self.apiserver, &mut self.etcd] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn spawn_etcd(folder: &Path, port: u16, peer_port: u16) -> Result<Child, String> {
    let client_url = format!("http://127.0.0.1:{port}");
    let peer_url = format!("http://127.0.0.1:{peer_port}");
    let mut command = program("etcd")?;
    command
        .arg("--data-dir")
        .arg(folder.join("etcd-data"))
        .arg(format!("--listen-client-urls={client_url}"))
        .arg(format!("--advertise-client-urls={client_url}"))
        .arg(format!("--listen-peer-urls={peer_url}"))
        .arg(format!("--initial-advertise-peer-urls={peer_url}"))
        .arg(format!("--initial-cluster=default={peer_url}"))
        .args(["--unsafe-no-fsync", "--log-level=warn"]);
    Ok(spawn(command, folder, "etcd"))
}

fn spawn_apiserver(folder: &Path, etcd_port: u16, port: u16) -> Result<Child, String> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
    let mut command = program("kube-apiserver")?;
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"))
        .arg(format!("--secure-port={port}"))
        .args([file("tls-cert-file", "tls.crt"), file("tls-private-key-file", "tls.key")])
        .args([file("cert-dir", "certs"), file("token-auth-file", "tokens.csv")])
        .args([file("service-account-key-file", "accounts.pub")])
        .args([file("service-account-signing-key-file", "accounts.key")])
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        .args(["--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24"])
        .args(["--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=RBAC"]);
    Ok(spawn(command, folder, "kube-apiserver"))
}

/// A command that is killed with the thread that starts it.
fn program(name: &str) -> Result<Command, String> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let parts = || {
        let cache = || match std::env::var_os("XDG_CACHE_HOME") {
            Some(cache) => PathBuf::from(cache),
            None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        };
        let parts = std::env::var_os("EVERBEARER_PARTS").map(PathBuf::from);
        parts.unwrap_or_else(|| cache().join("everbearer/parts")).join("bin")
    };
    let path = assets.unwrap_or_else(parts).join(name);
    if !path.exists() {
        return Err(format!("{} is missing: run `make parts`, or set KUBEBUILDER_ASSETS", path.display()));
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(path).stdin(Stdio::null());
    Ok(command)
}

fn spawn(mut command: Command, folder: &Path, name: &str) -> Child {
    let log = File::create(folder.join(format!("{name}.log"))).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn tail(folder: &Path, name: &str) -> String {
    let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// A folder named by our process id; those of processes that are gone are removed.
fn fresh_folder() -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR")).join("apiserver");
    std::fs::create_dir_all(&parent).unwrap();
    for entry in std::fs::read_dir(&parent).unwrap().flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let folder = parent.join(std::process::id().to_string());
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// The server's certificate, which is its own authority, and the key that signs service-account tokens.
fn write_keys(folder: &Path) -> String {
    let server =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let accounts = rcgen::KeyPair::generate().unwrap();
    std::fs::write(folder.join("tls.crt"), server.cert.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), server.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("accounts.key"), accounts.serialize_pem()).unwrap();
    std::fs::write(folder.join("accounts.pub"), accounts.public_key_pem()).unwrap();
    folder.join("tls.crt").display().to_string()
}

fn write_users(folder: &Path, port: u16, ca: &str) {
    for user in USERS {
        let kubeconfig = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "clusters": [{"name": "test", "cluster": {
                "server": format!("https://127.0.0.1:{port}"), "certificate-authority": ca}}],
            "users": [{"name": user, "user": {"token": format!("token-of-{user}")}}],
        });
        std::fs::write(folder.join(format!("{user}.kubeconfig")), kubeconfig.to_string()).unwrap();
    }
    let line = |user| {
        let groups = if user == ADMIN { "system:masters" } else { "" };
        format!("token-of-{user},{user},{user},\"{groups}\"\n")
    };
    std::fs::write(folder.join("tokens.csv"), USERS.map(line).concat()).unwrap();
}
