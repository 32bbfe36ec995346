//! The whole job on real parts: client credentials in OpenBao, a token in a Secret of a real API server, an OpenBao
//! path and a directory, by the built binary.

use std::path::Path;
use std::sync::Arc;

use everbearer::clock::SystemClock;
use everbearer::demo::emulator::{Emulator, EmulatorConfig};
use everbearer::ports::Clock as _;
use everbearer::secret::SecretText;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;

use crate::support::apiserver::{ADMIN, ApiServer};
use crate::support::openbao::{OpenBao, ROOT_TOKEN_VARIABLE};
use crate::support::process::{Daemon, all_in_sync};

/// Long enough that a restart falls between two rotations, short enough to see one: due after half of it.
const LIFETIME: SignedDuration = SignedDuration::from_secs(16);

pub(crate) async fn emulator(secret: &str, lifetime: SignedDuration) -> Emulator {
    let config = EmulatorConfig {
        client_id: "jdoe".into(),
        client_secret: SecretText::new(secret),
        lifetime,
        listen: ([127, 0, 0, 1], 0).into(),
    };
    Emulator::start(config, Arc::new(|| SystemClock.read().wall)).await.unwrap()
}

struct World {
    provider: Emulator,
    namespace: String,
    mount: String,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let mount = "e2e".to_owned();
        OpenBao::shared().mount(&mount).await;
        let world = Self {
            provider: emulator("first example secret", LIFETIME).await,
            namespace: ApiServer::shared().namespace().await,
            mount,
            folder: tempfile::tempdir().unwrap(),
        };
        world.put_secret("first example secret").await;
        let config = format!(
            "vault: {{address: '{}', auth: {{token: {{env: {ROOT_TOKEN_VARIABLE}}}}}}}\n\
             kubernetes: {{kubeconfig: '{}'}}\n\
             issuers: {{bandwidth: {{preset: bandwidth, tokenUrl: '{}'}}}}\n\
             defaults: {{sourceInterval: 1s, driftInterval: 1s}}\n\
             rotations:\n\
             - name: voice\n  issuer: bandwidth\n  renewAt: 50%\n  \
               source: {{vault: {{mount: {mount}, path: bandwidth/voice}}}}\n  sinks:\n  \
               - kubernetesSecret: {{namespace: {namespace}, name: voice-token}}\n  \
               - vaultKv: {{mount: {mount}, path: tokens/voice}}\n  \
               - directory: {{path: '{folder}/voice'}}\n  \
               keys: {{token.json: '{{\"token\": {{{{ access_token | tojson }}}}}}'}}\n",
            OpenBao::shared().address,
            ApiServer::shared().kubeconfig(ADMIN).display(),
            world.provider.token_url(),
            mount = world.mount,
            namespace = world.namespace,
            folder = world.folder.path().display(),
        );
        std::fs::write(world.config(), config).unwrap();
        world
    }

    fn config(&self) -> std::path::PathBuf {
        self.folder.path().join("everbearer.yaml")
    }

    async fn put_secret(&self, secret: &str) {
        let data = json!({"client_id": "jdoe", "client_secret": secret});
        OpenBao::shared().put(&self.mount, "bandwidth/voice", data).await;
    }

    fn start(&self) -> Daemon {
        Daemon::start(&self.config(), |command| {
            command.env(ROOT_TOKEN_VARIABLE, crate::support::openbao::ROOT_TOKEN);
        })
    }

    /// The header value that each of the three sinks holds, as a workload would read it.
    async fn held(&self) -> [String; 3] {
        let secrets: Api<Secret> = Api::namespaced(ApiServer::shared().client(ADMIN), &self.namespace);
        let secret = secrets.get("voice-token").await.unwrap();
        let in_secret = String::from_utf8(secret.data.unwrap()["authorization"].0.clone()).unwrap();
        let (_, data) = OpenBao::shared().get(&self.mount, "tokens/voice").await.unwrap();
        let in_vault = data["authorization"].as_str().unwrap().to_owned();
        let in_folder = std::fs::read_to_string(self.folder.path().join("voice/authorization")).unwrap();
        [in_secret, in_vault, in_folder]
    }

    /// All sinks hold the same token, and the provider takes it.
    async fn assert_served(&self) -> String {
        let [one, two, three] = self.held().await;
        assert_eq!(one, two);
        assert_eq!(two, three);
        assert!(self.provider.accepts(&one), "the provider refuses what the sinks hold");
        one
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_in_vault_become_a_token_in_a_secret_a_vault_path_and_a_directory() {
    let world = World::new().await;

    // The first delivery.
    let daemon = world.start();
    daemon.until("delivered", all_in_sync).await;
    let first = world.assert_served().await;
    assert_eq!(world.provider.tokens_issued(), 1);
    let json = std::fs::read_to_string(world.folder.path().join("voice/token.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(format!("Bearer {}", json["token"].as_str().unwrap()), first);
    assert_owned_and_mode(&world.folder.path().join("voice/..data/access_token"));

    // Somebody empties a sink: it is served again with the held token.
    std::fs::remove_file(world.folder.path().join("voice/..data")).unwrap();
    daemon
        .until("repaired", |row| all_in_sync(row) && world.folder.path().join("voice/authorization").exists())
        .await;
    assert_eq!(world.assert_served().await, first);
    assert_eq!(world.provider.tokens_issued(), 1, "a repair costs no mint");

    // A renewal.
    daemon.until("renewed", |row| all_in_sync(row) && world.provider.tokens_issued() == 2).await;
    let second = world.assert_served().await;
    assert_ne!(first, second);

    // A restart with a fresh token asks for none, after SIGTERM and after SIGKILL.
    let (status, _) = daemon.terminate();
    assert_eq!(status.code(), Some(0), "a clean end");
    let requests = world.provider.token_requests();
    let daemon = world.start();
    daemon.until("adopted", all_in_sync).await;
    daemon.kill();
    let daemon = world.start();
    daemon.until("adopted again", all_in_sync).await;
    assert_eq!(world.provider.token_requests(), requests, "a restart mints nothing that is fresh");
    assert_eq!(world.assert_served().await, second);

    // A changed client secret is picked up.
    world.provider.set_client_secret(SecretText::new("second example secret"));
    world.put_secret("second example secret").await;
    let issued = world.provider.tokens_issued();
    daemon.until("minted anew", |row| all_in_sync(row) && world.provider.tokens_issued() > issued).await;
    assert_ne!(world.assert_served().await, second);

    let (status, log) = daemon.terminate();
    assert_eq!(status.code(), Some(0), "{log}");
    world.assert_served().await;
}

fn assert_owned_and_mode(path: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o440);
}
