//! The live demo: the whole job on embedded parts.
//!
//! Three emulated providers on loopback, client credentials in files, tokens into directories, and the real daemon in
//! between. A judge reads the directories as a workload would and asks the provider, by the provider's own clock,
//! whether each token is good.

pub mod emulator;
mod judge;
pub mod view;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::app::daemon::{Daemon, Options};
use crate::clock::SystemClock;
use crate::config::{self, File};
use crate::engine::Command;
use crate::ports::Clock as _;
use crate::secret::SecretText;
use crate::status::RotationStatus;

use emulator::{Emulator, EmulatorConfig};
use judge::Judge;
use view::{Picture, Plain, Screen};

/// Without a terminal nobody can end it, so it ends by itself.
const LENGTH_WITHOUT_TERMINAL: Duration = Duration::from_secs(30);
/// Names of the rotations and lifetimes of their tokens in seconds: short enough to see several in half a minute.
const ROTATIONS: [(&str, i64); 3] = [("voice", 10), ("messaging", 16), ("numbers", 24)];
/// An outage of up to this share of a lifetime expires nothing.
const BRIDGED: f64 = 0.33;
/// Between two pictures.
const FRAME: Duration = Duration::from_millis(100);

/// Runs the demo; true if no sink ever held a token that its provider refused.
pub async fn run(length: Option<Duration>, outage: Option<Duration>) -> anyhow::Result<bool> {
    let mut screen = Screen::open_if_terminal()?;
    let length = length.or_else(|| screen.is_none().then_some(LENGTH_WITHOUT_TERMINAL));
    let folder = tempfile::Builder::new().prefix("everbearer-demo-").tempdir()?;
    let providers = providers(outage).await?;
    let daemon = daemon(folder.path(), &providers).await?;
    let mut show = Show {
        engine: daemon.engine.clone(),
        notes: vec![
            format!("status page  http://{}/", daemon.address),
            format!("metrics      http://{}/metrics", daemon.address),
            format!("tokens       {}", folder.path().join("sinks").display()),
        ],
        plain: Plain::default(),
        outage: outage.map(|span| Outage { begins: outage_begins(span), ends: outage_begins(span) + span }),
        judge: Judge::new(&folder.path().join("sinks"), ROTATIONS.map(|(name, _)| name)),
        providers,
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(daemon.run(stop.clone()));
    let shown = show.until_the_end(length, &mut screen, &running).await;
    drop(screen); // gives the terminal back before anything is said
    stop.cancel();
    running.await??;
    shown?;
    let judge = show.judge;
    println_to_user(&judge.verdict());
    Ok(judge.all_accepted())
}

/// The time of the outage's begin: while everything is fresh, so that the rotations fall into it.
fn outage_begins(span: Duration) -> Duration {
    lifetimes(Some(span))[0].mul_f64(0.42)
}

/// With an outage the lifetimes are as long as it takes to bridge it.
fn lifetimes(outage: Option<Duration>) -> [Duration; 3] {
    ROTATIONS.map(|(_, seconds)| {
        let usual = Duration::from_secs(seconds.unsigned_abs());
        let bridging = outage.map_or(Duration::ZERO, |span| {
            Duration::from_secs(span.div_f64(BRIDGED).as_secs() + 1).max(Duration::from_secs(20))
        });
        usual.max(bridging)
    })
}

async fn providers(outage: Option<Duration>) -> anyhow::Result<Vec<Emulator>> {
    let mut providers = Vec::new();
    for lifetime in lifetimes(outage) {
        let config = EmulatorConfig {
            client_id: "demo-client".into(),
            client_secret: SecretText::new("demo-client-secret"),
            lifetime: SignedDuration::try_from(lifetime)?,
            listen: ([127, 0, 0, 1], 0).into(),
        };
        let now = Arc::new(|| SystemClock.read().wall);
        providers.push(Emulator::start(config, now).await.context("the provider emulator cannot listen")?);
    }
    Ok(providers)
}

async fn daemon(folder: &Path, providers: &[Emulator]) -> anyhow::Result<Daemon> {
    std::fs::write(folder.join("client_id"), "demo-client\n")?;
    std::fs::write(folder.join("client_secret"), "demo-client-secret\n")?;
    let folder = folder.display();
    let mut text = String::from("issuers:\n");
    for ((name, _), provider) in ROTATIONS.iter().zip(providers) {
        let url = provider.token_url();
        text += &format!("  {name}: {{preset: bandwidth, tokenUrl: {url:?}, timeout: 2s}}\n");
    }
    text += "rotations:\n";
    for (name, _) in ROTATIONS {
        text += &format!(
            "  - name: {name}
    issuer: {name}
    source: {{files: {{clientId: '{folder}/client_id', clientSecret: '{folder}/client_secret'}}}}
    sinks: [{{directory: {{path: '{folder}/sinks/{name}'}}}}]
"
        );
    }
    let file = File { name: "demo.yaml".into(), text };
    let loaded = config::parse(vec![file], &|_| None)?;
    let options = Options { paths: vec![], listen: ([127, 0, 0, 1], 0).into(), metrics_listen: None };
    Ok(Daemon::start(options, loaded).await?)
}

struct Outage {
    begins: Duration,
    ends: Duration,
}

struct Show {
    engine: tokio::sync::mpsc::Sender<Command>,
    notes: Vec<String>,
    plain: Plain,
    outage: Option<Outage>,
    judge: Judge,
    providers: Vec<Emulator>,
}

impl Show {
    async fn until_the_end(
        &mut self,
        length: Option<Duration>,
        screen: &mut Option<Screen>,
        running: &tokio::task::JoinHandle<anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        if screen.is_none() {
            self.notes.iter().for_each(|note| println_to_user(note));
        }
        let began = SystemClock.read().boot;
        let mut interval = tokio::time::interval(FRAME);
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                _ = &mut interrupted => return Ok(()),
            }
            let elapsed =
                Duration::try_from(SystemClock.read().boot.duration_since(began)).unwrap_or_default();
            if running.is_finished() || length.is_some_and(|length| elapsed >= length) {
                return Ok(());
            }
            let is_down = self.weather(elapsed);
            self.judge.look(&self.providers);
            let picture = self.picture(is_down).await?;
            match screen {
                Some(screen) => {
                    screen.draw(&picture)?;
                    if screen.was_left()? {
                        return Ok(());
                    }
                }
                None => self.plain.tell(&picture).iter().for_each(|line| println_to_user(line)),
            }
        }
    }

    /// Takes the providers down and up by plan.
    fn weather(&self, elapsed: Duration) -> bool {
        let is_down =
            self.outage.as_ref().is_some_and(|outage| (outage.begins..outage.ends).contains(&elapsed));
        self.providers.iter().for_each(|provider| provider.outage(is_down));
        is_down
    }

    async fn picture(&self, is_down: bool) -> anyhow::Result<Picture> {
        let (answer, rows) = oneshot::channel();
        self.engine.send(Command::Status(answer)).await?;
        let rows: Vec<RotationStatus> = rows.await?;
        let issued: u64 = self.providers.iter().map(Emulator::tokens_issued).sum();
        let requests: u64 = self.providers.iter().map(Emulator::token_requests).sum();
        let provider = if is_down { "DOWN, as asked for by --outage" } else { "up" };
        Ok(Picture {
            headline: format!("provider {provider} · {requests} token requests · {issued} tokens issued"),
            alarm: is_down,
            verdict: self.judge.verdict(),
            notes: self.notes.clone(),
            rows,
            now: SystemClock.read().wall,
        })
    }
}

/// The demo's own output is what it was asked for.
fn println_to_user(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{line}"); // a reader that has gone misses nothing
}
