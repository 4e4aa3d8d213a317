//! The ticket between processes: who may write next.
//!
//! SQLite alone lets waiting writers sleep and try again, so under load some never get a turn. A
//! lock on a file beside the database queues them. It decides nothing about safety, which is
//! SQLite's affair: it makes waiting fair.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A place in the queue of writers.
#[derive(Debug)]
pub(crate) struct Ticket {
    file: File,
}

/// The turn to write; it ends when this goes.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    file: &'a File,
    /// Whether somebody else had the turn when we came.
    pub(crate) waited: bool,
}

impl Ticket {
    /// The file beside the database that holds the lock. It is never deleted: whoever waits for a
    /// lock on a deleted file waits for nobody.
    pub(crate) fn path(database: &Path) -> PathBuf {
        let mut name = database.as_os_str().to_owned();
        name.push("-osis-lock");
        name.into()
    }

    /// Opens the lock file, which is made if it is missing.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open(database: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(Self::path(database))?;
        Ok(Self { file })
    }

    /// Waits for the turn.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn take(&self) -> io::Result<Turn<'_>> {
        let waited = match self.file.try_lock() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => {
                self.file.lock()?;
                true
            }
            Err(TryLockError::Error(error)) => return Err(error),
        };
        Ok(Turn {
            file: &self.file,
            waited,
        })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::error!(%error, "the writers' lock cannot be given back");
        }
    }
}
