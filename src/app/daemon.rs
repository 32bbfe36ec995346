//! `everbearer run`: the engine, housekeeping, the HTTP listeners, reloads, and an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use super::reload::FileWatch;
use super::reload::{self, ReloadError};
use crate::admin::{self, Admin, Settings};
use crate::attempt::Context;
use crate::clock::{SystemClock, SystemDraw};
use crate::config::{Config, Loaded, Mistakes};
use crate::engine::{Command, Engine};
use crate::housekeeping::{Housekeeping, Intervals};
use crate::status::ConfigStatus;
use crate::telemetry::{Event, Telemetry};

/// In flight attempts get this long after SIGTERM; Kubernetes kills after 30 s.
const DRAIN: Duration = Duration::from_secs(25);
/// Once the engine has ended, requests to us get this long: a client that sends half of one must not hold up the end.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

pub struct Options {
    /// The configuration's files, watched since before they were read.
    pub watch: FileWatch,
    pub listen: SocketAddr,
    pub metrics_listen: Option<SocketAddr>,
}

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration or the arguments are wrong: exit code 2.
    #[error("{0}")]
    Mistakes(Mistakes),
    #[error("{0}")]
    Arguments(String),
    /// Failed at run time: exit code 1.
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for RunError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// A running daemon.
pub struct Daemon {
    watch: FileWatch,
    signals: Signals,
    config: Config,
    context: Context,
    pub engine: mpsc::Sender<Command>,
    admin: Arc<Admin>,
    housekeeping: Option<(Intervals, Housekeeping)>,
    tasks: JoinSet<anyhow::Result<&'static str>>,
    stopping: CancellationToken,
    /// Where the status page is, with the port that was really taken.
    pub address: SocketAddr,
    pub metrics_address: Option<SocketAddr>,
}

impl Daemon {
    /// Puts the configuration in force and starts listening.
    pub async fn start(options: Options, loaded: Loaded) -> Result<Self, RunError> {
        let config = loaded.config;
        if !options.listen.ip().is_loopback() && config.admin.bearer_file.is_none() {
            return Err(RunError::Arguments(format!(
                "--listen {} is beyond loopback: set admin.bearerFile, which then guards the status page. For metrics \
                 and health alone there is --metrics-listen",
                options.listen
            )));
        }
        // As PID 1 a signal without a handler would be lost; and what cannot listen must not begin to mint.
        let signals = Signals::new()?;
        let listener = bind(options.listen).await?;
        let metrics_listener = match options.metrics_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let telemetry = Telemetry::new().context("metrics")?;
        let context = Context { clock: Arc::new(SystemClock), telemetry };
        let (engine, commands, heartbeat) = Engine::new(context.clone(), Box::new(SystemDraw));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { engine.run().await.map(|()| "engine").map_err(Into::into) });
        let admin = Arc::new(Admin {
            engine: commands.clone(),
            telemetry: context.telemetry.clone(),
            heartbeat,
            clock: context.clock.clone(),
            settings: ArcSwap::from_pointee(settings(&config, in_force(context.clock.read().wall))),
        });
        reload::put_in_force(None, &config, &commands)
            .await
            .map_err(|error| RunError::Failed(error.into()))?;
        context
            .telemetry
            .emit(&Event::ConfigInForce { rotations: config.rotations.len(), at: context.clock.read().wall });
        let mut daemon = Self {
            watch: options.watch,
            signals,
            config,
            context,
            engine: commands,
            admin,
            housekeeping: None,
            tasks,
            stopping: CancellationToken::new(),
            address: options.listen,
            metrics_address: None,
        };
        daemon.address = listener.local_addr().context("listener")?;
        daemon.serve(listener, admin::router(daemon.admin.clone(), daemon.address));
        if let Some(listener) = metrics_listener {
            daemon.metrics_address = Some(listener.local_addr().context("listener")?);
            daemon.serve(listener, admin::metrics_router(daemon.admin.clone()));
        }
        daemon.keep_house().await?;
        Ok(daemon)
    }

    fn serve(&mut self, listener: TcpListener, router: axum::Router) {
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stopping.cancelled_owned()).await?;
            Ok("listener")
        });
    }

    async fn keep_house(&mut self) -> anyhow::Result<()> {
        let intervals = Intervals { sources: self.config.source_interval, sinks: self.config.drift_interval };
        match self.housekeeping.take() {
            Some((same, jobs)) if same == intervals => self.housekeeping = Some((same, jobs)),
            old => {
                if let Some((_, jobs)) = old {
                    jobs.stop().await;
                }
                let jobs = Housekeeping::start(intervals, self.engine.clone()).await?;
                self.housekeeping = Some((intervals, jobs));
            }
        }
        Ok(())
    }

    /// Runs until SIGTERM, SIGINT or `stop`, then drains. An unexpected end of a task ends the process.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next() => {
                    let what = ended??;
                    anyhow::bail!("the {what} ended by itself");
                }
                _ = self.signals.terminate.recv() => break,
                _ = self.signals.interrupt.recv() => break,
                () = stop.cancelled() => break,
                () = stalled(self.housekeeping.as_ref()) => anyhow::bail!("housekeeping ended by itself"),
                _ = self.signals.hangup.recv() => self.reload().await,
                () = self.watch.changed() => self.reload().await,
            }
        }
        self.drain().await
    }

    async fn drain(mut self) -> anyhow::Result<()> {
        tracing::info!(event = "Stopping");
        let (housekeeping, mut tasks) = (self.housekeeping.take(), self.tasks);
        let ended = async {
            if let Some((_, jobs)) = housekeeping {
                jobs.stop().await;
            }
            let _ = self.engine.send(Command::Drain).await; // gone already is drained
            while let Some(ended) = tasks.join_next().await {
                if ended?? == "engine" {
                    break;
                }
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(DRAIN, ended).await.context(
            "attempts in flight did not end within 25 s; the sinks hold whole tokens all the same",
        )??;
        self.stopping.cancel();
        let answered = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_ANSWERS, answered).await; // what is left is cut off
        Ok(())
    }

    async fn reload(&mut self) {
        let loaded = match reload::load(self.watch.paths()) {
            Ok(loaded) => loaded,
            Err(mistakes) => return self.keep_old(&ReloadError::Mistakes(mistakes)),
        };
        let new = loaded.config;
        if !self.address.ip().is_loopback() && new.admin.bearer_file.is_none() {
            return self.keep_old_because("admin.bearerFile must stay while --listen is beyond loopback");
        }
        match reload::put_in_force(Some(&self.config), &new, &self.engine).await {
            Ok(()) => {
                let now = self.context.clock.read().wall;
                self.config = new;
                self.admin.settings.store(Arc::new(settings(&self.config, in_force(now))));
                self.context
                    .telemetry
                    .emit(&Event::ConfigInForce { rotations: self.config.rotations.len(), at: now });
                if let Err(error) = self.keep_house().await {
                    self.keep_old_because(&format!("housekeeping could not be started again: {error:#}"));
                }
            }
            Err(error) => self.keep_old(&error),
        }
    }

    fn keep_old(&self, error: &ReloadError) {
        self.keep_old_because(&error.to_string());
    }

    fn keep_old_because(&self, message: &str) {
        self.context.telemetry.emit(&Event::ConfigRejected { message });
        let loaded_at = self.admin.settings.load().config.loaded_at;
        let status = ConfigStatus { state: "rejected".into(), loaded_at, error: Some(message.to_owned()) };
        self.admin.settings.store(Arc::new(settings(&self.config, status)));
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn stalled(housekeeping: Option<&(Intervals, Housekeeping)>) {
    match housekeeping {
        Some((_, jobs)) => jobs.stalled().await,
        None => std::future::pending().await,
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

fn in_force(now: jiff::Timestamp) -> ConfigStatus {
    ConfigStatus { state: "in_force".into(), loaded_at: Some(now), error: None }
}

fn settings(config: &Config, status: ConfigStatus) -> Settings {
    Settings {
        allow_rotate: config.admin.allow_rotate,
        bearer_file: config.admin.bearer_file.clone(),
        allowed_hosts: config.admin.allowed_hosts.clone(),
        config: status,
    }
}
