//! A certified OpenID provider, which nobody here wrote, as a generic issuer.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::json;

use crate::support::process::Ended;

/// What form-urlencoding must carry (RFC 6749 §2.3.1 has it before base64), within the visible ASCII that its appendix A
/// allows: this provider insists on both.
const SECRET: &str = "an+example/secret%with:signs&\"=";

struct Provider {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    url: String,
}

impl Provider {
    fn start() -> Self {
        let options = json!({
            "lifetime": 600,
            "clients": [{"client_id": "a:client", "client_secret": SECRET, "scope": "read write"}],
        });
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/parts/oidc-provider/server.mjs");
        let mut child = Command::new("node")
            .args([script, &options.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node is there; run `make parts`");
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let ready = line(&mut output);
        let url = ready.strip_prefix("ready ").expect("the provider starts; run `make parts`").to_owned();
        Self { child, input, output, url }
    }

    fn issued(&mut self) -> String {
        writeln!(self.input, "count").unwrap();
        line(&mut self.output)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

#[test]
fn a_certified_provider_takes_the_standard_header_and_one_token_serves_several_passes() {
    let mut provider = Provider::start();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    std::fs::write(folder.path().join("id"), "a:client\n").unwrap();
    std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    let config = folder.path().join("config.yaml");
    let text = format!(
        "issuers: {{corp: {{tokenUrl: '{}/token', scopes: [read]}}}}\n\
         rotations: [{{name: api, issuer: corp, source: {{files: {{clientId: '{at}/id', clientSecret: '{at}/secret'}}}}, \
         sinks: [{{directory: {{path: '{at}/sink'}}}}]}}]\n",
        provider.url
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    for pass in 1..=3 {
        let ended = Ended::run(&["once", "--config", config]);
        assert_eq!(ended.code, 0, "pass {pass}: {}", ended.stderr);
        assert_eq!(provider.issued(), "count 1", "pass {pass}");
    }
    let header = std::fs::read_to_string(folder.path().join("sink/authorization")).unwrap();
    assert!(header.starts_with("Bearer ") && header.len() > 40);

    std::fs::write(folder.path().join("secret"), "another").unwrap();
    let ended = Ended::run(&["once", "--config", config, "--timeout", "5s"]);
    assert!(ended.stderr.contains("invalid_client"), "{}", ended.stderr);
    let kept = std::fs::read_to_string(folder.path().join("sink/authorization")).unwrap();
    assert_eq!(kept, header, "a failure never harms a good token");
}
