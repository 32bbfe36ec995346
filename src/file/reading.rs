//! Reading a small file that may hold secrets: capped, never a pipe or device, every buffer zeroed.

use std::io;
use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use zeroize::Zeroizing;

pub(super) enum ReadError {
    Io(io::Error),
    /// A folder, pipe, socket or device.
    NoFile,
    TooLarge,
}

impl From<rustix::io::Errno> for ReadError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

pub(super) struct Opened {
    file: OwnedFd,
    stat: Stat,
}

impl Opened {
    /// `path` is taken relative to `folder`; further flags say, for example, whether a link is followed.
    pub(super) fn open(folder: impl AsFd, path: &Path, flags: OFlags) -> Result<Self, ReadError> {
        // Without NONBLOCK, opening a pipe would wait for its other end.
        let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(folder, path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(ReadError::NoFile);
        }
        Ok(Self { file, stat })
    }

    pub(super) fn read(&self, cap: usize) -> Result<Zeroizing<Vec<u8>>, ReadError> {
        let size = usize::try_from(self.stat.st_size).unwrap_or(usize::MAX);
        if size > cap {
            return Err(ReadError::TooLarge);
        }
        let mut bytes = Zeroizing::new(vec![0; size + 1]);
        let mut filled = 0;
        loop {
            if filled > cap {
                return Err(ReadError::TooLarge);
            }
            if filled == bytes.len() {
                // It has grown since, or is of a kind that tells no size. Once is enough.
                let mut larger = Zeroizing::new(vec![0; cap + 1]);
                larger[..filled].copy_from_slice(&bytes);
                bytes = larger;
            }
            match rustix::io::read(&self.file, &mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Modification time as text: a hint that the file is another one now. The size of a secret stays out.
    pub(super) fn version(&self) -> String {
        format!("{}.{:09}", self.stat.st_mtime, self.stat.st_mtime_nsec)
    }

    /// Whether the path still leads to the very file that was opened, unchanged since.
    pub(super) fn is_still(&self, path: &Path) -> bool {
        let identity =
            |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
        rustix::fs::stat(path).is_ok_and(|now| identity(&now) == identity(&self.stat))
    }
}
