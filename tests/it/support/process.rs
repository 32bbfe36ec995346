//! The built binary as a process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use everbearer::status::{RotationStatus, Status};

/// How long anything may take before the test fails; a pass never waits for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a status.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everbearer"));
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
    command
}

/// A command that ends by itself, with both of its outputs as text.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        Self {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    pub(crate) fn run(arguments: &[&str]) -> Self {
        Self::of(binary().args(arguments))
    }

    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// `everbearer run`, killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    /// Lines of its log, gathered by a thread so that its pipe never fills.
    log: std::thread::JoinHandle<String>,
    pub(crate) url: String,
    /// Of `--metrics-listen`.
    pub(crate) metrics_address: Option<String>,
}

impl Daemon {
    /// Starts it on a free port, with a log of JSON lines.
    pub(crate) fn start(config: &Path, adjust: impl FnOnce(&mut Command)) -> Self {
        let mut command = binary();
        command.args(["run", "--listen", "127.0.0.1:0", "--log-format", "json", "--config"]).arg(config);
        adjust(&mut command);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, address) = mpsc::channel();
        let log = std::thread::spawn(move || {
            let mut all = String::new();
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|length| length > 0) {
                let fields: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                if fields["event"] == "Listening" {
                    let text = |name: &str| fields[name].as_str().map(str::to_owned);
                    let _ = sender.send((text("address"), text("metrics")));
                }
                all.push_str(&line);
                line.clear();
            }
            let _ = stderr.read_to_string(&mut all);
            all
        });
        if let Ok((Some(address), metrics_address)) = address.recv_timeout(PATIENCE) {
            return Self { child, log, url: format!("http://{address}"), metrics_address };
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("the daemon did not listen:\n{}", log.join().unwrap());
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        reqwest::get(format!("{}{path}", self.url)).await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn status(&self) -> Status {
        serde_json::from_str(&self.text("/status").await).unwrap()
    }

    /// The one rotation, once it is as wanted.
    pub(crate) async fn until(&self, wanted: &str, is: impl Fn(&RotationStatus) -> bool) -> RotationStatus {
        let mut last = None;
        let look = async {
            loop {
                let row = self.status().await.rotations.into_iter().next();
                if let Some(row) = row.clone().filter(&is) {
                    return row;
                }
                last = row;
                tokio::time::sleep(LOOK).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        found.unwrap_or_else(|_| panic!("never {wanted}; at the end: {last:#?}"))
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Ends it by SIGTERM; its exit status and log.
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        self.signal("TERM");
        let status = self.child.wait().unwrap();
        (status, self.take_log())
    }

    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.take_log()
    }

    fn take_log(&mut self) -> String {
        std::mem::replace(&mut self.log, std::thread::spawn(String::new)).join().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn all_in_sync(row: &RotationStatus) -> bool {
    row.state == "fresh" && row.sinks.iter().all(|sink| sink.state == "in_sync")
}
