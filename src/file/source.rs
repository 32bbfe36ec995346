//! Client credentials from two files, as kubelet mounts a Secret or as Vault Agent and systemd write them.
//!
//! Both files are read as one: a Secret that kubelet swaps between the two reads never yields the id of one
//! generation with the secret of another. There is no watch; the engine looks again every `sourceInterval`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rustix::fs::{CWD, OFlags};
use zeroize::Zeroizing;

use super::bounded::{Bounded, LIMIT_SECONDS};
use super::reading::{Opened, ReadError};
use crate::credential::{self, LONGEST_CREDENTIAL};
use crate::ports::{Fetched, Source, SourceError};
use crate::rotation::{ClientCredentials, SourceVersion};
use crate::secret::SecretText;

/// Tries for a moment in which neither file changes.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

pub struct FileSource {
    paths: Arc<Paths>,
    bounded: Bounded,
}

struct Paths {
    id: PathBuf,
    secret: PathBuf,
}

impl FileSource {
    /// The files that hold the client id and the client secret; relative ones start at the working directory.
    #[must_use]
    pub fn new(id_path: impl Into<PathBuf>, secret_path: impl Into<PathBuf>) -> Self {
        let paths = Paths { id: id_path.into(), secret: secret_path.into() };
        Self { paths: Arc::new(paths), bounded: Bounded::default() }
    }
}

impl Source for FileSource {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, SourceError>> {
        Box::pin(async {
            let paths = Arc::clone(&self.paths);
            let at = || format!("{} or {}", shown(&self.paths.id), shown(&self.paths.secret));
            let read = self.bounded.run(move || paths.read()).await;
            read.unwrap_or_else(|_stuck| Err(SourceError::Timeout { at: at(), seconds: LIMIT_SECONDS }))
        })
    }
}

impl Paths {
    fn read(&self) -> Result<Fetched, SourceError> {
        let mut tries = 1..=TRIES;
        loop {
            let last = tries.next().is_none_or(|number| number == TRIES);
            match self.read_once() {
                // While a folder is swapped, its old files may vanish before the new ones are found.
                Err(SourceError::Missing { .. }) if !last && self.is_swapped() => {}
                Ok(None) if !last => {}
                Ok(None) => {
                    let why = "it changed each time while it was read".to_owned();
                    return Err(SourceError::Unreachable { at: shown(&self.secret), why });
                }
                Ok(Some(fetched)) => return Ok(fetched),
                Err(error) => return Err(error),
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
    }

    /// Both files as they were at one moment; `None` if one of them changed meanwhile.
    fn read_once(&self) -> Result<Option<Fetched>, SourceError> {
        let (id, secret) = (open(&self.id)?, open(&self.secret)?);
        let (id_bytes, secret_bytes) = (read(&id, &self.id)?, read(&secret, &self.secret)?);
        // The id's file is still in its place after the secret's was opened: they were there together. Asked before
        // anything is parsed, for a file that is being written may be empty.
        if !(id.is_still(&self.id) && secret.is_still(&self.secret)) {
            return Ok(None);
        }
        let credentials = ClientCredentials {
            id: parse(&id_bytes, &self.id)?,
            secret: parse(&secret_bytes, &self.secret)?,
        };
        let version = format!("{},{}", id.version(), secret.version());
        Ok(Some(Fetched { credentials, version: SourceVersion(version.into()), warning: None }))
    }

    /// Whether one of the files is in a folder that is swapped by a `..data` link.
    fn is_swapped(&self) -> bool {
        [&self.id, &self.secret].iter().any(|path| path.with_file_name("..data").is_symlink())
    }
}

fn open(path: &Path) -> Result<Opened, SourceError> {
    Opened::open(CWD, path, OFlags::empty()).map_err(|error| explain(path, error))
}

fn read(file: &Opened, path: &Path) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    file.read(LONGEST_CREDENTIAL).map_err(|error| explain(path, error))
}

/// A newline at the end is what files end in, so that it is trimmed without a word.
fn parse(bytes: &[u8], path: &Path) -> Result<SecretText, SourceError> {
    match credential::parse(bytes) {
        Ok(parsed) => Ok(parsed.text),
        Err(why) => Err(SourceError::Unusable { at: shown(path), why: why.to_owned() }),
    }
}

fn shown(path: &Path) -> String {
    format!("the file {}", path.display())
}

fn explain(path: &Path, error: ReadError) -> SourceError {
    use std::io::ErrorKind;
    let at = shown(path);
    let error = match error {
        ReadError::Io(error) => error,
        ReadError::NoFile => {
            return SourceError::Unusable { at, why: "it is no regular file".to_owned() };
        }
        ReadError::TooLarge => {
            return SourceError::Unusable { at, why: "it is larger than 64 KiB".to_owned() };
        }
    };
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            let advice = if path.is_absolute() {
                "Create it, or correct the path in the rotation's source"
            } else {
                "Create it, or write its absolute path (this one starts at the working directory)"
            };
            SourceError::Missing { at, advice: advice.to_owned() }
        }
        ErrorKind::PermissionDenied => {
            let user = rustix::process::geteuid().as_raw();
            let why = format!("{error}. Let user {user}, as whom Everbearer runs, read it");
            SourceError::Forbidden { at, why }
        }
        _ => SourceError::Unreachable { at, why: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
