//! No secret in any output: the whole job with canaries, at `RUST_LOG=trace`, with each stage failing once.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};
use everbearer::secret::SecretText;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;

use crate::end_to_end::emulator;
use crate::support::apiserver::{ADMIN, ApiServer};
use crate::support::openbao::{OpenBao, ROOT_TOKEN, ROOT_TOKEN_VARIABLE};
use crate::support::process::{Daemon, Ended, all_in_sync, binary};

const SECRET: &str = "canary%one+se/cret\"with:é";
const TOKEN: &str = "canary%two+to/ken\"with:signs";

/// Every form in which a text could slip through.
fn forms(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let percent = |lower: bool| -> String {
        let encode = |byte: &u8| match byte {
            b if b.is_ascii_alphanumeric() => char::from(*b).to_string(),
            b if lower => format!("%{b:02x}"),
            b => format!("%{b:02X}"),
        };
        bytes.iter().map(encode).collect()
    };
    let json = json!(text).to_string();
    let escaped: String = text.chars().flat_map(char::escape_default).collect();
    let mut forms = vec![
        text.to_owned(),
        url::form_urlencoded::byte_serialize(bytes).collect(),
        percent(false),
        percent(true),
        json.trim_matches('"').to_owned(),
        json!(json.trim_matches('"')).to_string().trim_matches('"').to_owned(),
        escaped,
        text.replace('&', "&amp;").replace('"', "&quot;").replace('/', "&#x2f;"),
        text.replace('"', "&quot;"),
        text.replace('"', "&#34;"),
        hex.to_uppercase(),
        hex,
        format!("{bytes:?}").trim_matches(['[', ']']).to_owned(),
    ];
    for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        for offset in 0..3 {
            // What stands before it is unknown: the first group that depends on it is cut, and the last one.
            let padded = [&vec![0; offset][..], bytes].concat();
            let encoded = engine.encode(padded);
            let from = if offset == 0 { 0 } else { 4 };
            let to = encoded.len() - encoded.len() % 4;
            forms.push(encoded[from..to].to_owned());
        }
    }
    forms
}

/// Outputs with their names, and what must not be in them.
#[derive(Default)]
struct Outputs(Vec<(String, String)>);

impl Outputs {
    fn add(&mut self, name: &str, text: impl Into<String>) {
        self.0.push((name.to_owned(), text.into()));
    }

    fn assert_clean(&self, canaries: &[String]) {
        for canary in canaries {
            for form in forms(canary) {
                assert!(form.len() >= 12, "{form:?} would be found by chance");
                for (name, text) in &self.0 {
                    if let Some(at) = text.find(&form) {
                        let from = text[..at].rfind('\n').map_or(0, |at| at + 1);
                        let shown: String = text[from..].chars().take(400).collect();
                        panic!("{name} shows {form:?}: {shown}");
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_any_output_whatever_fails() {
    let mount = "canary";
    OpenBao::shared().mount(mount).await;
    let provider = emulator(SECRET, SignedDuration::from_secs(600)).await;
    let namespace = ApiServer::shared().namespace().await;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    // Somebody else's folder: the sink stage fails.
    std::fs::create_dir(folder.path().join("voice")).unwrap();
    std::fs::write(folder.path().join("voice/theirs"), "x").unwrap();
    let config = folder.path().join("config.yaml");
    let text = format!(
        "vault: {{address: '{}', auth: {{token: {{env: {ROOT_TOKEN_VARIABLE}}}}}}}\n\
         kubernetes: {{kubeconfig: '{}'}}\n\
         issuers: {{bandwidth: {{preset: bandwidth, tokenUrl: '{}'}}}}\n\
         defaults: {{sourceInterval: 1s, driftInterval: 1s}}\nadmin: {{allowRotate: true}}\n\
         rotations:\n- name: voice\n  issuer: bandwidth\n  source: {{vault: {{mount: {mount}, path: voice}}}}\n  \
         sinks:\n  - kubernetesSecret: {{namespace: {namespace}, name: voice-token}}\n  \
         - vaultKv: {{mount: {mount}, path: tokens/voice}}\n  - directory: {{path: '{at}/voice'}}\n",
        OpenBao::shared().address,
        ApiServer::shared().kubeconfig(ADMIN).display(),
        provider.token_url(),
    );
    std::fs::write(&config, text).unwrap();
    let mut outputs = Outputs::default();
    let mut gather = |name: &str, arguments: &[&str]| {
        let mut command = binary();
        command.args(arguments).env("RUST_LOG", "trace").env(ROOT_TOKEN_VARIABLE, ROOT_TOKEN);
        let ended = Ended::of(&mut command);
        outputs.add(name, format!("{}{}", ended.stdout, ended.stderr));
        ended
    };
    let path = config.to_str().unwrap();

    // The source lacks the key: the fetch stage fails.
    OpenBao::shared().put(mount, "voice", json!({"client_id": "jdoe", "wrong_key": SECRET})).await;
    let daemon = Daemon::start(&config, |command| {
        command.env("RUST_LOG", "trace").env(ROOT_TOKEN_VARIABLE, ROOT_TOKEN);
    });
    daemon.until("failed at fetch", |row| row.last_error.as_ref().is_some_and(|e| e.stage == "fetch")).await;
    assert_eq!(gather("check --online, no key", &["check", "--online", "--config", path]).code, 1);
    let fetch_failed = [daemon.text("/status").await, daemon.text("/").await];

    // The provider rejects, and echoes everything that it got: the mint stage fails.
    let echo = format!(
        "{{\"error\":\"invalid_scope\",\"error_description\":{},\"access_token\":{}}}",
        json!(SECRET),
        json!(TOKEN)
    );
    provider.fail_with(400, echo.clone());
    provider.fail_with(500, echo);
    provider.fail_with(200, format!("<html>{SECRET} {TOKEN}</html>"));
    // Then it issues the canary, without a lifetime that a JWT would tell.
    provider.fail_with(
        200,
        json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 600, "extra": SECRET})
            .to_string(),
    );
    OpenBao::shared().put(mount, "voice", json!({"client_id": "jdoe", "client_secret": SECRET})).await;
    daemon.until("failed at mint", |row| row.last_error.as_ref().is_some_and(|e| e.stage == "mint")).await;
    let mint_failed = [daemon.text("/status").await, daemon.text("/").await, daemon.text("/metrics").await];
    for _ in 0..3 {
        // A permanent pause is long; a request ends it.
        let before = daemon.status().await.rotations[0].consecutive_failures;
        gather("rotate", &["rotate", "voice", "--addr", &daemon.url]);
        daemon
            .until("tried again", |row| row.consecutive_failures != before || row.last_success_at.is_some())
            .await;
        if daemon.status().await.rotations[0].expires_at.is_some() {
            break;
        }
    }
    daemon
        .until("delivered but for the directory", |row| {
            row.sinks.iter().filter(|sink| sink.state == "in_sync").count() == 2
                && row.sinks.iter().any(|sink| sink.state == "refused")
        })
        .await;
    gather("status", &["status", "--addr", &daemon.url]);
    gather("status as JSON", &["status", "-o", "json", "--addr", &daemon.url]);
    gather("check", &["check", "--config", path]);
    gather("check as JSON", &["check", "-o", "json", "--config", path]);
    gather("check --online", &["check", "--online", "-o", "json", "--config", path]);
    gather("once", &["once", "--timeout", "3s", "--config", path]);
    std::fs::remove_file(folder.path().join("voice/theirs")).unwrap();
    gather("once, all well", &["once", "--timeout", "20s", "--config", path]);
    daemon.until("delivered everywhere", all_in_sync).await;
    let well = [daemon.text("/status").await, daemon.text("/").await, daemon.text("/metrics").await];

    // It was there to be found: the sinks hold the canary.
    let delivered = std::fs::read_to_string(folder.path().join("voice/access_token")).unwrap();
    assert_eq!(delivered, TOKEN);
    let secrets: Api<Secret> = Api::namespaced(ApiServer::shared().client(ADMIN), &namespace);
    let metadata = secrets.get("voice-token").await.unwrap().metadata;
    let receipt = std::fs::read_to_string(folder.path().join("voice/..data/.receipt.json")).unwrap();
    let (_, log) = daemon.terminate();
    assert!(log.contains("RotationDelivered") || log.contains("RotationLeftSinksBehind"));
    outputs.add("the daemon's log", log);
    outputs.add("the Secret's metadata", serde_json::to_string(&metadata).unwrap());
    outputs.add("the receipt", receipt);
    for text in fetch_failed.into_iter().chain(mint_failed).chain(well) {
        outputs.add("a page", text);
    }
    outputs.add("Debug", format!("{:?}", SecretText::new(SECRET)));
    outputs.assert_clean(&[SECRET.into(), TOKEN.into(), format!("jdoe:{SECRET}"), format!("Bearer {TOKEN}")]);
}

#[test]
fn every_form_of_a_canary_would_be_found() {
    let sample = forms(SECRET);
    for shown in [
        format!("x{SECRET}y"),
        base64::engine::general_purpose::STANDARD.encode(format!("id:{SECRET}")),
        base64::engine::general_purpose::STANDARD.encode(format!("ab:{SECRET}!")),
        base64::engine::general_purpose::URL_SAFE.encode(format!("abc:{SECRET}!!")),
        url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect(),
        json!({ "s": SECRET }).to_string(),
    ] {
        assert!(sample.iter().any(|form| shown.contains(form)), "{shown}");
    }
}
