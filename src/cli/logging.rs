//! Log lines on stderr.

use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use super::LogFormat;

/// One failed Vault call would be four error lines of these, which print what the server said.
const DEFAULT: &str = "info,rustify=off,vaultrs=off,tokio_cron_scheduler=warn";

/// Starts logging by `--log-level`, else `RUST_LOG`, else at info; `quiet` commands show warnings of nobody by default.
///
/// Below info only our own events are logged, whatever the filter says: HTTP clients write requests, with their headers
/// and bodies, at debug and trace.
pub(super) fn start(format: LogFormat, level: Option<&str>, quiet: bool) {
    let asked = level.map(str::to_owned).or_else(|| std::env::var("RUST_LOG").ok());
    let filter = match &asked {
        Some(asked) => format!("{asked},rustify=off,vaultrs=off,tokio_cron_scheduler=warn"),
        None => (if quiet { "off" } else { DEFAULT }).to_owned(),
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
