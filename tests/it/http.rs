//! The daemon's HTTP side: guards, metrics, reload.

use std::path::PathBuf;

use everbearer::secret::SecretText;
use jiff::SignedDuration;
use reqwest::{Client, StatusCode};

use crate::end_to_end::emulator;
use crate::support::process::{Daemon, Ended, all_in_sync};

struct World {
    folder: tempfile::TempDir,
    provider: everbearer::demo::emulator::Emulator,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("id"), "jdoe").unwrap();
        std::fs::write(folder.path().join("secret"), "example secret").unwrap();
        let provider = emulator("example secret", SignedDuration::from_secs(600)).await;
        Self { folder, provider }
    }

    fn rotation(&self, name: &str) -> String {
        let at = self.folder.path().display();
        format!(
            "- {{name: {name}, issuer: bandwidth, source: {{files: {{clientId: '{at}/id', clientSecret: '{at}/secret'}}}}, \
             sinks: [{{directory: {{path: '{at}/{name}'}}}}]}}\n"
        )
    }

    fn write(&self, rotations: &str, more: &str) -> PathBuf {
        let path = self.folder.path().join("config.yaml");
        let url = self.provider.token_url();
        let text = format!(
            "issuers: {{bandwidth: {{preset: bandwidth, tokenUrl: '{url}'}}}}\n{more}rotations:\n{rotations}"
        );
        // As an editor does: beside it, then renamed.
        std::fs::write(self.folder.path().join("config.new"), text).unwrap();
        std::fs::rename(self.folder.path().join("config.new"), &path).unwrap();
        path
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_may_ask_is_answered() {
    let world = World::new().await;
    let config = world.write(&world.rotation("voice"), "admin: {allowRotate: true}\n");
    let daemon = Daemon::start(&config, |_| {});
    daemon.until("delivered", all_in_sync).await;
    let client = Client::new();
    let get =
        |path: &str, host: &str| client.get(format!("{}{path}", daemon.url)).header("Host", host).send();
    for (path, host, expected) in [
        ("/status", "localhost:1", StatusCode::OK),
        ("/status", "evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("/metrics", "evil.example", StatusCode::MISDIRECTED_REQUEST),
        ("/livez", "127.0.0.1", StatusCode::OK),
        ("/readyz", "localhost", StatusCode::OK),
        ("/nothing", "localhost", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(get(path, host).await.unwrap().status(), expected, "{path} as {host}");
    }
    let rotate = |name: &str| client.post(format!("{}/rotations/{name}/rotate", daemon.url));
    assert_eq!(
        rotate("voice").send().await.unwrap().status(),
        StatusCode::FORBIDDEN,
        "a form could send this"
    );
    let asked = rotate("voice").header("Everbearer-Request", "1").send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::ACCEPTED);
    let gone = rotate("gone").header("Everbearer-Request", "1").send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    daemon.until("rotated", |row| all_in_sync(row) && world.provider.tokens_issued() == 2).await;

    let beyond = ["run", "--listen", "0.0.0.0:0", "--config", config.to_str().unwrap()];
    let refused = Ended::run(&beyond);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("admin.bearerFile"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bearer_guards_what_tells_of_rotations() {
    let world = World::new().await;
    let file = world.folder.path().join("bearer");
    std::fs::write(&file, "an example bearer\n").unwrap();
    let admin = format!("admin: {{bearerFile: '{}'}}\n", file.display());
    let daemon = Daemon::start(&world.write(&world.rotation("voice"), &admin), |_| {});
    let client = Client::new();
    for (path, bearer, expected) in [
        ("/status", None, 401),
        ("/", None, 401),
        ("/status", Some("wrong"), 401),
        ("/status", Some("an example bearer"), 200),
        ("/metrics", None, 200),
        ("/livez", None, 200),
    ] {
        let request = client.get(format!("{}{path}", daemon.url));
        let request = if let Some(bearer) = bearer { request.bearer_auth(bearer) } else { request };
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected, "{path} with {bearer:?}");
    }
    let status = Ended::run(&["status", "--addr", &daemon.url, "--bearer-file", file.to_str().unwrap()]);
    assert!(status.stdout.contains("voice"), "{}", status.all());
    assert_eq!(Ended::run(&["status", "--addr", &daemon.url]).code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pod_network_sees_metrics_and_health_alone() {
    let world = World::new().await;
    let config = world.write(&world.rotation("voice"), "");
    let daemon = Daemon::start(&config, |command| {
        command.args(["--metrics-listen", "127.0.0.1:0"]);
    });
    daemon.until("delivered", all_in_sync).await;
    let address = daemon.metrics_address.clone().expect("it tells where it listens");
    for (path, expected) in
        [("/metrics", 200), ("/livez", 200), ("/readyz", 200), ("/", 404), ("/status", 404)]
    {
        // By whatever name a scraper likes.
        let request = Client::new().get(format!("http://{address}{path}")).header("Host", "pod.example");
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{path}");
        if path == "/metrics" {
            let kind = response.headers()["content-type"].to_str().unwrap();
            assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_exist_from_the_start_and_go_with_their_rotation() {
    let world = World::new().await;
    world.provider.outage(true);
    let config = world.write(&(world.rotation("voice") + &world.rotation("numbers")), "");
    let daemon = Daemon::start(&config, |_| {});
    let text = daemon.text("/metrics").await;
    for expected in [
        "everbearer_build_info{version=",
        "everbearer_token_expiration_timestamp_seconds{rotation=\"voice\"} 0",
        "everbearer_token_lifetime_seconds{rotation=\"voice\"} 0",
        "everbearer_rotation_due_timestamp_seconds{rotation=\"voice\"}",
        "everbearer_rotation_last_success_timestamp_seconds{rotation=\"voice\"} 0",
        "everbearer_rotation_consecutive_failures{rotation=\"voice\"}",
        "everbearer_rotations_total{rotation=\"voice\",result=\"success\"} 0",
        "everbearer_rotations_total{rotation=\"voice\",result=\"error\"}",
        "everbearer_token_requests_total{issuer=\"bandwidth\",outcome=\"success\"} 0",
        "everbearer_token_requests_total{issuer=\"bandwidth\",outcome=\"credential_rejected\"} 0",
        "everbearer_token_request_duration_seconds_count{issuer=\"bandwidth\"}",
        "everbearer_sink_writes_total{kind=\"vaultKv\",result=\"refused\"} 0",
        "everbearer_source_fetches_total{kind=\"env\",result=\"error\"} 0",
        "everbearer_config_reload_success 1",
        "everbearer_config_reload_timestamp_seconds",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    world.write(&world.rotation("voice"), "");
    daemon.signal("HUP");
    let gone = async {
        while daemon.text("/metrics").await.contains("numbers") {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("its series go");
    world.provider.outage(false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_put_in_force_and_a_broken_one_changes_nothing() {
    let world = World::new().await;
    let config = world.write(&world.rotation("voice"), "");
    let daemon = Daemon::start(&config, |_| {});
    daemon.until("delivered", all_in_sync).await;
    let until = async |what: &str, is: &dyn Fn(&everbearer::status::Status) -> bool| {
        let wait = async {
            while !is(&daemon.status().await) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(50), wait)
            .await
            .unwrap_or_else(|_| panic!("never {what}"));
    };

    // No signal: the change of the file is seen.
    world.write(&(world.rotation("voice") + &world.rotation("numbers")), "");
    until("two rotations", &|status| status.rotations.len() == 2 && status.rotations.iter().all(all_in_sync))
        .await;
    assert_eq!(world.provider.tokens_issued(), 2, "the one that was there is left alone");

    std::fs::write(&config, "rotations: [{nam: x}]").unwrap();
    until("rejected", &|status| status.config.state == "rejected").await;
    let status = daemon.status().await;
    assert!(status.config.error.unwrap().contains("config.yaml:1:14: rotations[0].nam: unknown key nam"));
    assert_eq!(status.rotations.len(), 2, "the old configuration stays in force");
    assert!(daemon.text("/metrics").await.contains("everbearer_config_reload_success 0"));
    assert!(daemon.text("/").await.contains("refused"));

    // A changed secret and a mended file: both are picked up.
    world.provider.set_client_secret(SecretText::new("another example secret"));
    std::fs::write(world.folder.path().join("secret"), "another example secret").unwrap();
    world.write(&world.rotation("voice"), "defaults: {sourceInterval: 1s}\n");
    until("mended", &|status| status.config.state == "in_force" && status.rotations.len() == 1).await;
    daemon.until("minted anew", |row| all_in_sync(row) && world.provider.tokens_issued() == 3).await;
    assert!(world.folder.path().join("numbers/access_token").exists(), "its sinks stay");
}
