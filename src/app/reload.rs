//! Puts a configuration in force: at start, and again when its files change or SIGHUP comes.
//!
//! A configuration with a mistake changes nothing. One without is compared with the one in force, rotation by rotation,
//! and only what differs reaches the engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::build::{BuildError, Builder};
use crate::config::spec::RotationSpec;
use crate::config::{self, Config, Loaded, Mistakes};
use crate::engine::Command;

/// After the last change of a file: editors and ConfigMap updates touch several things in a row.
const QUIET: Duration = Duration::from_millis(300);
/// The files are compared this often even if no change was seen, since notifications get lost on some file systems.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Why a configuration was not put in force.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReloadError {
    #[error("{0}")]
    Mistakes(Mistakes),
    #[error("{0}")]
    Build(#[from] BuildError),
    #[error("the engine has ended")]
    EngineGone,
}

pub(super) fn load(paths: &[PathBuf]) -> Result<Loaded, Mistakes> {
    config::load(paths, &|name| std::env::var(name).ok())
}

/// Sends the engine what differs between the configuration in force and the new one.
pub(super) async fn put_in_force(
    old: Option<&Config>,
    new: &Config,
    engine: &mpsc::Sender<Command>,
) -> Result<(), ReloadError> {
    // Everything is built before anything is sent: a configuration is in force whole or not at all.
    let mut builder = Builder::new(new)?;
    let mut setups = Vec::new();
    for rotation in &new.rotations {
        if !old.is_some_and(|old| is_unchanged(old, new, rotation)) {
            setups.push(builder.setup(rotation)?);
        }
    }
    let gone = old.iter().flat_map(|old| &old.rotations).map(|rotation| &rotation.name);
    let gone = gone.filter(|name| new.rotations.iter().all(|rotation| rotation.name != **name));
    for name in gone {
        engine.send(Command::Remove(name.clone())).await.map_err(|_| ReloadError::EngineGone)?;
    }
    for setup in setups {
        engine.send(Command::Insert(Box::new(setup))).await.map_err(|_| ReloadError::EngineGone)?;
    }
    Ok(())
}

fn is_unchanged(old: &Config, new: &Config, rotation: &RotationSpec) -> bool {
    let same_surroundings = old.installation == new.installation
        && old.vault == new.vault
        && old.kubernetes == new.kubernetes
        && old.receipts_key_file == new.receipts_key_file;
    same_surroundings
        && old.issuers.get(&rotation.issuer) == new.issuers.get(&rotation.issuer)
        && old.rotations.contains(rotation)
}

/// Tells when the configuration's files may have changed.
pub(super) struct FileWatch {
    changes: mpsc::Receiver<()>,
    _watcher: Option<RecommendedWatcher>,
    paths: Arc<[PathBuf]>,
    seen: Vec<(PathBuf, u64)>,
}

impl FileWatch {
    /// Watches the folders that the files are in: a ConfigMap swaps a link beside them and never writes the file.
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let (sender, changes) = mpsc::channel(1); // one is enough to say that something changed
        let watcher = notify::recommended_watcher(move |_| {
            let _ = sender.try_send(());
        });
        let mut watcher = watcher.ok();
        for path in paths {
            let folder = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new(".")) };
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let result = watcher.as_mut().map(|watcher| watcher.watch(folder, RecursiveMode::NonRecursive));
            if let Some(Err(error)) = result {
                tracing::debug!(event = "WatchFailed", folder = %folder.display(), error = %error.kind_word());
            }
        }
        Self { changes, _watcher: watcher, paths: paths.into(), seen: contents(paths) }
    }

    /// Returns when the contents differ from those of the last return.
    pub(super) async fn changed(&mut self) {
        loop {
            match tokio::time::timeout(LOOK_AGAIN, self.changes.recv()).await {
                Ok(Some(())) => {
                    while tokio::time::timeout(QUIET, self.changes.recv()).await == Ok(Some(())) {}
                }
                Ok(None) => tokio::time::sleep(LOOK_AGAIN).await,
                Err(_) => {}
            }
            let now = contents(&self.paths);
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
    }
}

trait KindWord {
    fn kind_word(&self) -> String;
}

impl KindWord for notify::Error {
    fn kind_word(&self) -> String {
        format!("{:?}", self.kind)
    }
}

/// A hash of each file: only a changed content is a change.
fn contents(paths: &[PathBuf]) -> Vec<(PathBuf, u64)> {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        match std::fs::read_dir(path) {
            Ok(entries) => files.extend(entries.filter_map(|entry| Some(entry.ok()?.path()))),
            Err(_) => files.push(path.clone()),
        }
    }
    files.sort();
    files
        .into_iter()
        .filter(|path| !path.is_dir())
        .map(|path| {
            let mut hasher = DefaultHasher::new();
            std::fs::read(&path).ok().hash(&mut hasher);
            (path, hasher.finish())
        })
        .collect()
}
