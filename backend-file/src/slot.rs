//! A place for what a process derives: claimed while it runs, taken over by the next.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use osis_core::error::Result;

use crate::error::io_error;

/// A cache directory that this process has to itself.
///
/// The claim is a lock on a file of this host, which the system takes back when the process ends,
/// however it ends. On a volume that hosts share no slot lies: locks do not hold there.
#[derive(Debug)]
pub(crate) struct Slot {
    directory: PathBuf,
    _lock: File,
}

impl Slot {
    /// Claims the lowest slot below a directory that nobody has.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn claim(below: &Path) -> Result<Self> {
        let mut number = 0_u32;
        loop {
            let directory = below.join(format!("cache-{number}"));
            // All that is in it is for its owner's eyes, as secret fields may be among it.
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(|error| io_error(&directory, &error))?;
            let path = directory.join("lock");
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(|error| io_error(&path, &error))?;
            match file.try_lock() {
                Ok(()) => {
                    return Ok(Self {
                        directory,
                        _lock: file,
                    });
                }
                Err(TryLockError::WouldBlock) => number += 1,
                Err(TryLockError::Error(error)) => return Err(io_error(&path, &error)),
            }
        }
    }

    /// Whether another process has a slot beside this one.
    pub(crate) fn has_others(&self) -> bool {
        let beside = (0_u32..).map(|number| self.beside(&format!("cache-{number}")));
        let mut taken = beside.take_while(|directory| directory.is_dir());
        taken.any(|directory| {
            directory != self.directory
                && File::open(directory.join("lock")).is_ok_and(|file| {
                    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
                })
        })
    }

    /// A file that all slots share: what orders the processes of this host.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.with_file_name(name)
    }

    /// Where the catalogue is saved.
    pub(crate) fn catalogue(&self) -> PathBuf {
        self.directory.join("catalogue")
    }

    /// Where the large fields are.
    pub(crate) fn bodies(&self) -> PathBuf {
        self.directory.join("bodies")
    }

    /// Where the text index is.
    pub(crate) fn text(&self) -> PathBuf {
        self.directory.join("text")
    }
}
