//! A real etcd and kube-apiserver with RBAC, dead with this process.
//!
//! Lacks controllers and kubelets: a deleted namespace stays, no service account gets a token by itself, and nobody
//! mounts a Secret.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, PostParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::{Client, core::ObjectMeta};

/// May do everything.
pub(crate) const ADMIN: &str = "admin";
/// May do what a test grants.
pub(crate) const LIMITED: &str = "limited";
/// May do nothing but what everybody may.
pub(crate) const STRANGER: &str = "stranger";
const USERS: [(&str, &str); 3] = [(ADMIN, "system:masters"), (LIMITED, "nobodies"), (STRANGER, "nobodies")];

const POLL: Duration = Duration::from_millis(50);
/// 60 s: a cold, busy machine needs ten.
const POLLS_UNTIL_READY: u32 = 1200;

pub(crate) struct ApiServer {
    /// `https://127.0.0.1:port`.
    pub(crate) address: String,
    folder: PathBuf,
}

impl ApiServer {
    /// The server that the tests of this process share; each makes a namespace of its own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<ApiServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let programs = ["etcd", "kube-apiserver"].map(program);
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // Another process may take a free port before the servers do.
        for attempt in 0..3 {
            let (started, starting) = mpsc::channel();
            // The death signal fires when the *thread* that spawned a server ends, so this one never does.
            let programs = programs.clone();
            std::thread::spawn(move || {
                let folder = fresh_folder(attempt);
                let [client, peer, secure] = free_ports();
                let [etcd, apiserver] = programs.map(|program| command(&folder, &program));
                let mut servers = [
                    start_etcd(etcd, &folder, client, peer),
                    start_apiserver(apiserver, &folder, client, secure),
                ];
                let server = Self { address: format!("https://127.0.0.1:{secure}"), folder };
                if !server.wait_until_ready(&mut servers) {
                    let _ = started.send(None);
                    return;
                }
                let _ = started.send(Some(server));
                loop {
                    std::thread::park();
                }
            });
            if let Some(server) = starting.recv().expect("the servers' thread says why it failed") {
                return server;
            }
        }
        panic!("the API server ended at once, three times; its logs are in {}", env!("CARGO_TARGET_TMPDIR"))
    }

    /// A kubeconfig file that logs in as one of the users above.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.kubeconfig"))
    }

    /// A client for the calling test: a pooled connection would belong to the runtime of another.
    pub(crate) async fn client(&self) -> Client {
        let config = Kubeconfig::read_from(self.kubeconfig(ADMIN)).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        Client::try_from(config).unwrap()
    }

    /// Makes a namespace that no other test has.
    pub(crate) async fn namespace(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        Api::all(self.client().await).create(&PostParams::default(), &namespace).await.unwrap();
        name
    }

    /// False if a server ended.
    fn wait_until_ready(&self, servers: &mut [Child]) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut told = false;
        for _ in 0..POLLS_UNTIL_READY {
            if servers.iter_mut().any(|server| server.try_wait().is_ok_and(|exit| exit.is_some())) {
                for server in servers {
                    let _ = (server.kill(), server.wait());
                }
                return false;
            }
            if !told {
                told = self.write_kubeconfigs();
            }
            if told && runtime.block_on(self.is_ready()) {
                return true;
            }
            std::thread::sleep(POLL);
        }
        panic!(
            "the API server was not ready after {:?}; see {}",
            POLL * POLLS_UNTIL_READY,
            self.folder.display()
        )
    }

    async fn is_ready(&self) -> bool {
        let request = axum::http::Request::get("/readyz").body(Vec::new()).unwrap();
        let answer = self.client().await.request_text(request).await;
        answer.is_ok_and(|text| text == "ok")
    }

    /// False as long as the server has not made its certificate.
    fn write_kubeconfigs(&self) -> bool {
        let ca = self.folder.join("certs/apiserver.crt");
        if !fs::read_to_string(&ca).is_ok_and(|pem| pem.ends_with("-----END CERTIFICATE-----\n")) {
            return false;
        }
        for (user, _) in USERS {
            let config = serde_json::json!({
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
                "clusters": [{"name": "test", "cluster": {"server": self.address, "certificate-authority": ca}}],
                "users": [{"name": user, "user": {"token": format!("test-{user}")}}],
            });
            fs::write(self.kubeconfig(user), config.to_string()).unwrap();
        }
        true
    }
}

/// Named after this process; those of earlier ones are removed.
fn fresh_folder(attempt: u32) -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(parent).unwrap().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix("apiserver-")?.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir_all(entry.path()); // another test process may be at it too
        }
    }
    let folder = parent.join(format!("apiserver-{}-{attempt}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let tokens = USERS.map(|(user, group)| format!("test-{user},{user},{user},\"{group}\"\n")).concat();
    fs::write(folder.join("tokens.csv"), tokens).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(folder.join("sa.key"), key.serialize_pem()).unwrap();
    fs::write(folder.join("sa.pub"), key.public_key_pem()).unwrap();
    folder
}

fn free_ports() -> [u16; 3] {
    // All are held before the first is given back, so that they differ.
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn start_etcd(mut command: Command, folder: &Path, client: u16, peer: u16) -> Child {
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    command.arg("--data-dir").arg(folder.join("etcd")).args(["--unsafe-no-fsync", "--log-level", "warn"]);
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}")]);
    command.spawn().expect("setpriv (util-linux) starts etcd")
}

fn start_apiserver(mut command: Command, folder: &Path, etcd: u16, secure: u16) -> Child {
    command
        .args(["--etcd-servers", &format!("http://127.0.0.1:{etcd}")])
        .arg("--cert-dir")
        .arg(folder.join("certs"))
        .args(["--bind-address", "127.0.0.1", "--secure-port", &secure.to_string()])
        .arg("--token-auth-file")
        .arg(folder.join("tokens.csv"))
        .args(["--authorization-mode", "RBAC"])
        .args(["--service-account-issuer", "https://kubernetes.default.svc"])
        .arg("--service-account-key-file")
        .arg(folder.join("sa.pub"))
        .arg("--service-account-signing-key-file")
        .arg(folder.join("sa.key"))
        .args(["--service-cluster-ip-range", "10.0.0.0/24", "--endpoint-reconciler-type", "none"])
        .args(["--disable-admission-plugins", "ServiceAccount"]);
    command.spawn().expect("setpriv (util-linux) starts kube-apiserver")
}

fn command(folder: &Path, program: &Path) -> Command {
    let log = folder.join(program.file_name().unwrap()).with_extension("log");
    let log = fs::File::create(log).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .env_clear() // no ETCD_* of whoever runs the tests
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    command
}

fn program(name: &str) -> PathBuf {
    let folder =
        std::env::var_os("KUBEBUILDER_ASSETS").map_or_else(|| super::parts().join("bin"), PathBuf::from);
    let program = folder.join(name);
    assert!(
        program.exists(),
        "there is no {name} at {}: run `make parts`, or set KUBEBUILDER_ASSETS",
        program.display()
    );
    program
}
