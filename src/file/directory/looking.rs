//! What is in the folder now, and whether it is ours. Nothing here writes.

use std::ffi::CStr;
use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;

use super::failure::explain;
use super::{DATA, LARGEST_CONTENT, LARGEST_FILE, MOST_FILES, Place, RECEIPT};
use crate::file::reading::{Opened, ReadError};
use crate::ports::{Found, Handle, Observed, SinkError};
use crate::rotation::receipt::Receipt;
use crate::secret::{Content, SecretBytes};

/// A receipt is far smaller; one above this is not ours.
const LARGEST_RECEIPT: usize = 64 * 1024;
/// Entries that are looked at before we say that the folder is somebody else's.
const MOST_ENTRIES: usize = 4096;
/// Names in a message.
const MOST_NAMED: usize = 5;

/// The current folder, as `..data` names it.
pub(super) struct Current {
    /// `""` where there is no `..data`.
    pub(super) name: String,
    /// `None` where nothing was delivered, or where the folder that `..data` names is gone.
    pub(super) delivered: Option<Delivered>,
}

pub(super) struct Delivered {
    folder: OwnedFd,
    /// `None`: ours, but of a format that we cannot read.
    receipt: Option<Receipt>,
}

impl Place {
    pub(super) fn observe(&self) -> Result<Observed, SinkError> {
        let Some(root) = self.open()? else {
            return Ok(Observed { handle: Handle::new(""), found: None });
        };
        let current = self.current(root.as_fd())?;
        let found = match current.delivered {
            Some(Delivered { folder, receipt }) => {
                let content = self.content(root.as_fd(), folder.as_fd())?;
                // Of a folder that was replaced and removed while we read, only a part would have been seen.
                if read_link(root.as_fd(), DATA).as_ref() != Ok(&current.name) {
                    return Err(SinkError::Conflict);
                }
                Some(Found { receipt, content })
            }
            None => None,
        };
        Ok(Observed { handle: Handle::new(current.name), found })
    }

    /// `None` if there is no such folder yet.
    pub(super) fn open(&self) -> Result<Option<OwnedFd>, SinkError> {
        match open_folder(CWD, &self.path, OFlags::empty()) {
            Ok(root) => Ok(Some(root)),
            Err(Errno::NOENT) if self.path.is_symlink() => {
                Err(self.unfit("is a link that leads nowhere. Remove it, or create the folder that it names"))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR) => {
                Err(self.unfit("is no folder, or one above it is none. Choose another path"))
            }
            Err(error) => Err(explain(&format!("opening {}", self.path.display()), error)),
        }
    }

    /// Refuses a folder that is not ours.
    pub(super) fn current(&self, root: BorrowedFd<'_>) -> Result<Current, SinkError> {
        let name = match read_link(root, DATA) {
            Ok(name) => name,
            Err(Errno::NOENT) => {
                self.refuse_others(root)?;
                return Ok(Current { name: String::new(), delivered: None });
            }
            Err(Errno::INVAL) => return Err(self.refused("its `..data` is no link")),
            Err(error) => return Err(self.explain("reading the link ..data of", error)),
        };
        if !name.starts_with("..") || name.len() == 2 || name.contains('/') {
            return Err(self.refused("its `..data` leads elsewhere"));
        }
        match open_folder(root, &name, OFlags::NOFOLLOW) {
            Ok(folder) => {
                let receipt = self.receipt(root, folder.as_fd(), &name)?;
                Ok(Current { name, delivered: Some(Delivered { folder, receipt }) })
            }
            Err(Errno::NOENT) if read_link(root, DATA).as_ref() == Ok(&name) => {
                self.refuse_others(root)?;
                Ok(Current { name, delivered: None })
            }
            Err(Errno::NOENT) => Err(SinkError::Conflict),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(self.refused("its `..data` leads to no folder")),
            Err(error) => Err(self.explain("opening the current folder of", error)),
        }
    }

    /// The receipt of a folder that is ours; `None` if it says so in a format that we do not know.
    fn receipt(
        &self,
        root: BorrowedFd<'_>,
        folder: BorrowedFd<'_>,
        name: &str,
    ) -> Result<Option<Receipt>, SinkError> {
        let read = Opened::open(folder, Path::new(RECEIPT), OFlags::NOFOLLOW)
            .and_then(|file| file.read(LARGEST_RECEIPT));
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(ReadError::Io(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(self.explain("reading the receipt in", error));
            }
            Err(_) if read_link(root, DATA).as_deref() != Ok(name) => return Err(SinkError::Conflict),
            Err(_) => return Err(self.refused("its current folder holds no receipt of ours")),
        };
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let Ok(marks) = serde_json::from_str::<Marks>(text) else {
            return Err(self.refused("the receipt in it cannot be read"));
        };
        if *marks.installation != *self.installation || marks.rotation != self.rotation.as_str() {
            let why = format!(
                "it belongs to rotation {:?} of installation {:?}",
                short(&marks.rotation),
                short(&marks.installation)
            );
            return Err(self.refused(&why));
        }
        Ok(Receipt::decode(text))
    }

    /// What consumers see: the files of the current folder that their link in the root leads to.
    fn content(&self, root: BorrowedFd<'_>, folder: BorrowedFd<'_>) -> Result<Content, SinkError> {
        let mut pairs: Vec<(String, SecretBytes)> = Vec::new();
        let mut allowed = LARGEST_CONTENT;
        for name in self.names(folder)?.into_iter().filter(|name| name != RECEIPT).take(MOST_FILES) {
            if !links_to_data(root, &name) {
                continue;
            }
            let read = Opened::open(folder, Path::new(&name), OFlags::NOFOLLOW)
                .and_then(|file| file.read(LARGEST_FILE.min(allowed)));
            match read {
                Ok(bytes) => {
                    allowed -= bytes.len();
                    pairs.push((name, SecretBytes::from(bytes.to_vec()))); // an exact copy
                }
                // Not written by us, then; leaving it out makes the content differ, which is drift.
                Err(ReadError::NoFile | ReadError::TooLarge) => {}
                Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(SinkError::Conflict);
                }
                Err(ReadError::Io(error)) => {
                    return Err(self.explain(&format!("reading {name} in"), error));
                }
            }
        }
        Ok(Content::new(pairs))
    }

    /// Refuses a folder without a delivery of ours that holds something already.
    fn refuse_others(&self, root: BorrowedFd<'_>) -> Result<(), SinkError> {
        let others: Vec<String> = self
            .names(root)?
            .into_iter()
            // A fresh ext4 volume holds `lost+found`; links are left by a first delivery that was cut short.
            .filter(|name| !name.starts_with('.') && name != "lost+found" && !links_to_data(root, name))
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let mut named: Vec<String> =
            others.iter().take(MOST_NAMED).map(|n| format!("{:?}", short(n))).collect();
        if others.len() > MOST_NAMED {
            named.push(format!("{} more", others.len() - MOST_NAMED));
        }
        Err(self.refused(&format!("it holds {}", named.join(", "))))
    }

    /// Names of a folder's entries, sorted, without `.` and `..`.
    pub(super) fn names(&self, folder: BorrowedFd<'_>) -> Result<Vec<String>, SinkError> {
        let failed = |error: Errno| self.explain("listing", error);
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(failed)?.take(MOST_ENTRIES) {
            let name = shown(entry.map_err(failed)?.file_name());
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn explain(&self, doing: &str, error: impl Into<std::io::Error>) -> SinkError {
        explain(&format!("{doing} {}", self.path.display()), error)
    }

    pub(super) fn refused(&self, why: &str) -> SinkError {
        SinkError::Refused {
            why: format!("{}: {why}", self.path.display()),
            advice: "Choose another path, or empty this folder".to_owned(),
        }
    }

    fn unfit(&self, why: &str) -> SinkError {
        SinkError::Unfit { why: format!("{} {why}", self.path.display()) }
    }
}

/// What any format of a receipt tells.
#[derive(Deserialize)]
struct Marks {
    installation: String,
    rotation: String,
}

pub(super) fn open_folder(
    at: impl AsFd,
    path: impl rustix::path::Arg,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

pub(super) fn read_link(root: BorrowedFd<'_>, name: &str) -> Result<String, Errno> {
    rustix::fs::readlinkat(root, name, Vec::new()).map(|target| shown(&target))
}

/// Whether the entry is the link that a delivery makes for a key of this name.
pub(super) fn links_to_data(root: BorrowedFd<'_>, name: &str) -> bool {
    read_link(root, name).is_ok_and(|target| target.strip_prefix("..data/") == Some(name))
}

pub(super) fn is_folder(root: BorrowedFd<'_>, name: &str) -> bool {
    rustix::fs::statat(root, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// A name that is no UTF-8 is never one of ours, so that its exact bytes do not matter.
fn shown(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
