//! Arguments, diagnostics and exit codes.
//!
//! What a command was asked for goes to stdout; logs, progress and diagnostics go to stderr. Exit codes: 0 done, 1
//! failed at run time, 2 the configuration or the arguments are wrong.

#![allow(clippy::doc_markdown)] // clap shows these texts as they are

mod client;
mod logging;
mod output;
mod tables;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio_util::sync::CancellationToken;

use crate::app::daemon::{Daemon, Options, RunError};
use crate::app::{check, once};
use crate::config::{self, Loaded};
use crate::demo;
use crate::rotation::RotationName;
use output::{ErrStyle, print};

/// Done; warnings do not change it.
const DONE: u8 = 0;
/// Failed at run time.
const FAILED: u8 = 1;
/// The configuration or the arguments are wrong.
const WRONG: u8 = 2;

/// Keeps a valid bearer token wherever workloads look for one.
#[derive(Parser)]
#[command(name = "everbearer", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Args)]
struct LogArgs {
    /// How log lines are written to stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Which events are logged, such as `info` or `everbearer=debug`; RUST_LOG does the same
    #[arg(long, global = true, value_name = "FILTER")]
    log_level: Option<String>,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the daemon
    Run(RunArgs),
    /// Makes one pass: adopts or mints, delivers, and ends
    Once(OnceArgs),
    /// Explains a configuration and finds its mistakes; mints and writes nothing
    Check(CheckArgs),
    /// Shows what a running daemon does
    Status(StatusArgs),
    /// Asks a running daemon for a rotation now
    Rotate(RotateArgs),
    /// Shows the whole job on embedded parts
    Demo(DemoArgs),
    /// Prints the JSON Schema of the configuration
    Schema,
}

#[derive(Args)]
struct ConfigArgs {
    /// A file or a folder (*.yaml, by name); may be given several times
    #[arg(long = "config", value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Status page, status, metrics and health
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
    /// Metrics and health alone, for the pod network
    #[arg(long, value_name = "ADDR")]
    metrics_listen: Option<SocketAddr>,
}

#[derive(Args)]
struct OnceArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this rotation; may be given several times
    #[arg(long = "rotation", value_name = "NAME")]
    rotations: Vec<String>,
    /// How long to retry, such as 60s or 2m
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = output::span)]
    timeout: Duration,
}

#[derive(Args)]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Also log in, fetch, and ask every sink by dry run
    #[arg(long)]
    online: bool,
    #[arg(short, long, value_enum, default_value_t = CheckOutput::Text)]
    output: CheckOutput,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum CheckOutput {
    Text,
    Json,
}

#[derive(Args)]
struct Remote {
    /// Where the daemon listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9464")]
    addr: String,
    /// File with the bearer of admin.bearerFile
    #[arg(long, value_name = "PATH")]
    bearer_file: Option<PathBuf>,
}

#[derive(Args)]
struct StatusArgs {
    #[command(flatten)]
    remote: Remote,
    #[arg(short, long, value_enum, default_value_t = StatusOutput::Table)]
    output: StatusOutput,
    /// Only these rotations
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum StatusOutput {
    Table,
    Json,
}

#[derive(Args)]
struct RotateArgs {
    /// Rotations to run now
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    remote: Remote,
    /// Also where a new token ends the old one
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
struct DemoArgs {
    /// Ends after this span; exit code 0 only if the provider accepted the delivered token throughout
    #[arg(long = "for", value_name = "SPAN", value_parser = output::span)]
    length: Option<Duration>,
    /// Takes the provider down for this span, once
    #[arg(long, value_name = "SPAN", value_parser = output::span)]
    outage: Option<Duration>,
}

/// Parses the arguments and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print(); // a closed terminal has no reader
            return ExitCode::from(if error.use_stderr() { WRONG } else { DONE });
        }
    };
    // Everything that speaks TLS uses this provider; a second one in the process would make kube panic.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return ExitCode::from(FAILED);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(FAILED, &format!("the async runtime cannot start: {error}")),
    };
    // A blocking read that hangs on a dead mount must not hold up the end of the process.
    let code = runtime.block_on(run(cli));
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

async fn run(cli: Cli) -> ExitCode {
    let quiet = matches!(cli.command, Command::Demo(_));
    logging::start(cli.log.log_format, cli.log.log_level.as_deref(), quiet);
    match cli.command {
        Command::Run(args) => daemon(args).await,
        Command::Once(args) => one_pass(args).await,
        Command::Check(args) => check_config(args).await,
        Command::Status(args) => client::status(args).await,
        Command::Rotate(args) => client::rotate(args).await,
        Command::Demo(args) => match demo::run(args.length, args.outage).await {
            Ok(true) => ExitCode::from(DONE),
            Ok(false) => ExitCode::from(FAILED),
            Err(error) => output::fail(FAILED, &format!("{error:#}")),
        },
        Command::Schema => print(&serde_json::to_string_pretty(&config::schema()).unwrap_or_default()),
    }
}

/// The configuration, or the exit code after every mistake was shown. Warnings are shown in either case.
fn load(args: &ConfigArgs) -> Result<Loaded, ExitCode> {
    match config::load(&args.paths, &|name| std::env::var(name).ok()) {
        Ok(loaded) => {
            let warnings = loaded.warnings.render(miette::Severity::Warning, ErrStyle::detect().color);
            output::diagnose(&warnings);
            Ok(loaded)
        }
        Err(mistakes) => {
            output::diagnose(&mistakes.render(miette::Severity::Error, ErrStyle::detect().color));
            let count = mistakes.mistakes.len();
            let plural = if count == 1 { "" } else { "s" };
            output::diagnose(&format!("{count} mistake{plural} in the configuration; nothing was touched\n"));
            Err(ExitCode::from(WRONG))
        }
    }
}

async fn daemon(args: RunArgs) -> ExitCode {
    let loaded = match load(&args.config) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let options =
        Options { paths: args.config.paths, listen: args.listen, metrics_listen: args.metrics_listen };
    let daemon = match Daemon::start(options, loaded).await {
        Ok(daemon) => daemon,
        Err(RunError::Failed(error)) => return output::fail(FAILED, &format!("{error:#}")),
        Err(wrong) => return output::fail(WRONG, &wrong.to_string()),
    };
    let metrics = daemon.metrics_address.map(|address| address.to_string());
    tracing::info!(event = "Listening", address = %daemon.address, metrics);
    match daemon.run(CancellationToken::new()).await {
        Ok(()) => ExitCode::from(DONE),
        Err(error) => output::fail(FAILED, &format!("{error:#}")),
    }
}

async fn one_pass(args: OnceArgs) -> ExitCode {
    let loaded = match load(&args.config) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let known: Vec<&RotationName> = loaded.config.rotations.iter().map(|rotation| &rotation.name).collect();
    let mut names = Vec::new();
    for name in &args.rotations {
        match known.iter().find(|known| known.as_str() == name) {
            Some(name) => names.push((*name).clone()),
            None => {
                return output::fail(
                    WRONG,
                    &format!("--rotation {name}: the configuration has none of that name"),
                );
            }
        }
    }
    match once::once(&loaded.config, &names, args.timeout).await {
        Ok(pass) => {
            output::diagnose(&tables::pass(&pass.rotations));
            ExitCode::from(if pass.usable { DONE } else { FAILED })
        }
        Err(error) => output::fail(FAILED, &error.to_string()),
    }
}

async fn check_config(args: CheckArgs) -> ExitCode {
    let loaded = match load(&args.config) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let report = if args.online {
        match check::online(&loaded.config).await {
            Ok(report) => report,
            Err(error) => return output::fail(FAILED, &error.to_string()),
        }
    } else {
        check::explain(&loaded.config)
    };
    let text = match args.output {
        CheckOutput::Json => serde_json::to_string_pretty(&report).unwrap_or_default(),
        CheckOutput::Text => tables::check(&report),
    };
    let printed = print(&text);
    if report.is_ok() { printed } else { ExitCode::from(FAILED) }
}
