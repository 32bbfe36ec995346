//! Log lines on stderr.

use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use super::LogFormat;

/// Libraries that print what a server said, or an error line of their own for what we tell already.
const SILENCED: &str =
    "rustify=off,vaultrs=off,kube_client=off,rustls_platform_verifier=off,tokio_cron_scheduler=warn";

/// Starts logging by `--log-level`, else `RUST_LOG`, else at info; `quiet` commands show warnings of nobody by default.
///
/// Below info only our own events are logged, whatever the filter says: HTTP clients write requests, with their headers
/// and bodies, at debug and trace.
pub(super) fn start(format: LogFormat, level: Option<&str>, quiet: bool) {
    let asked = level.map(str::to_owned).or_else(|| std::env::var("RUST_LOG").ok());
    let filter = match &asked {
        Some(asked) => format!("{asked},{SILENCED}"),
        None if quiet => "off".to_owned(),
        None => format!("info,{SILENCED}"),
    };
    let ours_below_info = filter_fn(|metadata| {
        *metadata.level() <= Level::INFO || metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    });
    let filter = EnvFilter::builder().parse_lossy(filter);
    let layer = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let layer = match format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.with_ansi(super::output::ErrStyle::detect().color).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(ours_below_info).with_filter(filter)).init();
}
