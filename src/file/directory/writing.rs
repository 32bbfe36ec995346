//! A delivery, step by step: a new folder beside the current one, links for its keys, then the swap of `..data`.
//!
//! Everything before the swap can fail or be cut short without harm; everything after it is tidying up. The previous
//! folder stays until the next delivery.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Access, AtFlags, CWD, FlockOperation, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::looking::{is_folder, links_to_data, open_folder};
use super::{DATA, LARGEST_CONTENT, LARGEST_FILE, LOCK, MOST_FILES, Place, RECEIPT};
use crate::ports::{Handle, SinkError};
use crate::rotation::receipt::Receipt;
use crate::secret::Content;

const NEW_DATA: &str = "..data_tmp";
const NEW_LINK: &str = "..link_tmp";
/// Beginnings of the folders' names; a generation and a random number follow.
const DELIVERY: &str = "..g";
const PROBE: &str = "..probe_";

/// What a probe writes, so that a full disk shows itself before a token is minted.
const PROBE_BYTES: usize = 16 * 1024;

impl Place {
    pub(super) fn deliver(
        &self,
        against: &Handle,
        content: &Content,
        receipt: &Receipt,
    ) -> Result<Handle, SinkError> {
        check(content)?;
        let root = self.open_or_create()?;
        let root = root.as_fd();
        self.current(root)?; // refuses before anything is touched
        let _lock = self.lock(root)?;
        let current = self.current(root)?;
        if *current.name != *against.0 {
            return Err(SinkError::Conflict);
        }
        self.check_room(root, content, &current.name)?;
        self.clean(root, &current.name)?;

        let name = format!("{DELIVERY}{}_{:016x}", receipt.generation, rand::random::<u64>());
        let receipt = receipt.encode();
        let files = content.expose_all().chain([(RECEIPT, receipt.as_bytes())]);
        let swapped = self
            .write_folder(root, &name, files)
            .and_then(|()| content.keys().try_for_each(|key| self.link(root, key)))
            .and_then(|()| self.swap(root, &name));
        if let Err(error) = swapped {
            if super::looking::read_link(root, DATA).as_deref() != Ok(&name) {
                remove_folder(root, &name);
            }
            return Err(error);
        }
        self.unlink_stale(root, content);
        Ok(Handle::new(name))
    }

    /// Writes what a delivery would, and takes it away again.
    pub(super) fn probe(&self, against: &Handle) -> Result<(), SinkError> {
        let Some(root) = self.open()? else {
            return self.probe_parent();
        };
        let root = root.as_fd();
        if *self.current(root)?.name != *against.0 {
            return Err(SinkError::Conflict);
        }
        let name = format!("{PROBE}{:016x}", rand::random::<u64>());
        let written = self.write_folder(root, &name, [("probe", &[0; PROBE_BYTES][..])]);
        remove_folder(root, &name);
        written
    }

    /// The nearest folder that exists must let us create one.
    fn probe_parent(&self) -> Result<(), SinkError> {
        let above =
            self.path.ancestors().skip(1).map(|p| if p.as_os_str().is_empty() { ".".as_ref() } else { p });
        for parent in above {
            let doing = || format!("creating a folder in {}", parent.display());
            match rustix::fs::accessat(CWD, parent, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS) {
                Ok(()) => {
                    return open_folder(CWD, parent, OFlags::empty())
                        .map(drop)
                        .map_err(|error| super::failure::explain(&doing(), error));
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(super::failure::explain(&doing(), error)),
            }
        }
        Ok(())
    }

    /// A file of someone else that stands where a new key's link must go is left alone.
    fn check_room(&self, root: BorrowedFd<'_>, content: &Content, current: &str) -> Result<(), SinkError> {
        for key in content.keys() {
            let taken = exists(root, key) && !links_to_data(root, key);
            let was_ours = !current.is_empty() && exists(root, &format!("{current}/{key}"));
            if taken && (!was_ours || is_folder(root, key)) {
                return Err(self.refused(&format!(
                    "it holds {key:?}, which we did not write, where a key of that name must go"
                )));
            }
        }
        Ok(())
    }

    fn open_or_create(&self) -> Result<OwnedFd, SinkError> {
        if let Some(root) = self.open()? {
            return Ok(root);
        }
        let failed = |error| self.explain("creating", error);
        DirBuilder::new().recursive(true).mode(0o755).create(&self.path).map_err(failed)?;
        let Some(root) = self.open()? else {
            return Err(SinkError::Conflict);
        };
        // Consumers must get in whatever our umask is; what is secret is guarded by the files' own modes.
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755))
            .map_err(|error| self.explain("creating", error))?;
        if let Some(parent) = self.path.parent() {
            let parent = if parent.as_os_str().is_empty() { ".".as_ref() } else { parent };
            let synced = open_folder(CWD, parent, OFlags::empty()).and_then(rustix::fs::fsync);
            synced.map_err(|error| self.explain("creating", error))?;
        }
        Ok(root)
    }

    /// Held until the file is closed, also by a crash. Another writer's lock is no reason to wait: look again.
    fn lock(&self, root: BorrowedFd<'_>) -> Result<OwnedFd, SinkError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(root, LOCK, flags, Mode::from_raw_mode(0o600))
            .map_err(|error| self.explain("opening the lock file in", error))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(Errno::WOULDBLOCK) => Err(SinkError::Conflict),
            Err(error) => Err(self.explain("locking", error)),
        }
    }

    /// Removes what crashes and earlier deliveries left. What cannot be removed does no harm, so it is no failure.
    fn clean(&self, root: BorrowedFd<'_>, current: &str) -> Result<(), SinkError> {
        for name in self.names(root)? {
            if name == NEW_DATA || name == NEW_LINK {
                let _ = rustix::fs::unlinkat(root, &*name, AtFlags::empty());
            } else if name != current && is_our_folder(&name) && is_folder(root, &name) {
                remove_folder(root, &name);
            }
        }
        Ok(())
    }

    fn write_folder<'a>(
        &self,
        root: BorrowedFd<'_>,
        name: &str,
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(), SinkError> {
        let failed = |error: Errno| self.explain("writing a new folder in", error);
        rustix::fs::mkdirat(root, name, Mode::RWXU).map_err(failed)?;
        let folder = open_folder(root, name, OFlags::NOFOLLOW).map_err(failed)?;
        for (key, bytes) in files {
            self.write_file(folder.as_fd(), key, bytes)?;
        }
        // Whoever may read the files may enter the folder; we must be able to remove it.
        let mode = 0o700 | (self.mode & 0o444) | ((self.mode & 0o444) >> 2);
        self.give(folder.as_fd(), mode).and_then(|()| rustix::fs::fsync(&folder)).map_err(failed)
    }

    fn write_file(&self, folder: BorrowedFd<'_>, key: &str, bytes: &[u8]) -> Result<(), SinkError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let written = rustix::fs::openat(folder, key, flags, Mode::RUSR | Mode::WUSR)
            .map_err(std::io::Error::from)
            .and_then(|file| {
                let mut file = File::from(file);
                file.write_all(bytes)?;
                self.give(file.as_fd(), self.mode)?;
                file.sync_all()
            });
        written.map_err(|error| self.explain(&format!("writing {key} in"), error))
    }

    fn give(&self, file: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
        // The mode first: once the file is another's, only a stronger right could change it.
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
        if self.owner.is_none() && self.group.is_none() {
            return Ok(());
        }
        rustix::fs::fchown(file, self.owner.map(Uid::from_raw), self.group.map(Gid::from_raw))
    }

    /// Before the swap, so that the swap completes the delivery. A new key's link leads nowhere until then.
    fn link(&self, root: BorrowedFd<'_>, key: &str) -> Result<(), SinkError> {
        if links_to_data(root, key) {
            return Ok(());
        }
        let linked = rustix::fs::symlinkat(format!("{DATA}/{key}"), root, NEW_LINK)
            .and_then(|()| rustix::fs::renameat(root, NEW_LINK, root, key));
        linked.map_err(|error| self.explain(&format!("linking {key} in"), error))
    }

    fn swap(&self, root: BorrowedFd<'_>, name: &str) -> Result<(), SinkError> {
        let swapped = rustix::fs::symlinkat(name, root, NEW_DATA)
            .and_then(|()| rustix::fs::fsync(root)) // the folder is on disk before a link names it
            .and_then(|()| rustix::fs::renameat(root, NEW_DATA, root, DATA))
            .and_then(|()| rustix::fs::fsync(root));
        swapped.map_err(|error| self.explain("swapping ..data of", error))
    }

    /// Links of keys that are no longer delivered. They lead nowhere by now, so that one that stays does no harm, and
    /// is no reason to call the delivery failed.
    fn unlink_stale(&self, root: BorrowedFd<'_>, content: &Content) {
        for name in self.names(root).unwrap_or_default() {
            if links_to_data(root, &name) && content.expose(&name).is_none() {
                let _ = rustix::fs::unlinkat(root, &*name, AtFlags::empty());
            }
        }
    }
}

/// The limits within which we read our own deliveries again.
fn check(content: &Content) -> Result<(), SinkError> {
    let largest = content.expose_all().map(|(_, bytes)| bytes.len()).max().unwrap_or_default();
    if largest > LARGEST_FILE {
        return Err(SinkError::TooLarge { bytes: largest, limit: LARGEST_FILE });
    }
    if content.size() > LARGEST_CONTENT {
        return Err(SinkError::TooLarge { bytes: content.size(), limit: LARGEST_CONTENT });
    }
    if content.keys().count() > MOST_FILES {
        return Err(SinkError::Unfit { why: format!("it takes at most {MOST_FILES} keys") });
    }
    let unfit =
        |key: &str| key.is_empty() || key == "." || key.starts_with("..") || key.contains(['/', '\0']);
    match content.keys().find(|key| unfit(key) || [RECEIPT, LOCK].contains(key)) {
        Some(key) => Err(SinkError::Unfit { why: format!("the key {key:?} cannot be a file name here") }),
        None => Ok(()),
    }
}

fn exists(root: BorrowedFd<'_>, name: &str) -> bool {
    rustix::fs::statat(root, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

fn is_our_folder(name: &str) -> bool {
    let random = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match (name.strip_prefix(PROBE), name.strip_prefix(DELIVERY).and_then(|rest| rest.split_once('_'))) {
        (Some(rest), _) => random(rest),
        (None, Some((generation, rest))) => generation.parse::<u64>().is_ok() && random(rest),
        (None, None) => false,
    }
}

/// As far as it can be removed; the next delivery tries again.
fn remove_folder(root: BorrowedFd<'_>, name: &str) {
    let Ok(folder) = open_folder(root, name, OFlags::NOFOLLOW) else { return };
    let Ok(entries) = rustix::fs::Dir::read_from(&folder) else { return };
    for entry in entries.flatten() {
        let _ = rustix::fs::unlinkat(&folder, entry.file_name(), AtFlags::empty());
    }
    let _ = rustix::fs::unlinkat(root, name, AtFlags::REMOVEDIR);
}
