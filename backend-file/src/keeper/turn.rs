//! Whose turn it is to fold, among the processes of one host.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::shared::Shared;

/// How long another process may have the turn before that is told: a turn is some hundred files.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose turn it is to fold, among the processes of one host.
///
/// Two processes that fold the same object at once would each find a file that it does not know.
/// On a volume that hosts share there is no such turn, since locks do not hold there.
#[derive(Debug)]
pub(super) struct Turn {
    path: PathBuf,
    is_needed: bool,
    file: Option<File>,
    /// Since when another process has it, at each try.
    refused_since: Option<Instant>,
}

/// The turn; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Held(Option<File>);

impl Turn {
    /// Of a store.
    pub(super) fn of(shared: &Shared) -> Self {
        Self {
            path: shared.layout.derived().join("fold.lock"),
            is_needed: !shared.is_network,
            file: None,
            refused_since: None,
        }
    }

    /// The lock's file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the turn; nothing if another process has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn take(&mut self) -> io::Result<Option<Held>> {
        if !self.is_needed {
            return Ok(Some(Held(None)));
        }
        let file = match &self.file {
            Some(file) => file.try_clone()?,
            None => self.open()?,
        };
        match file.try_lock() {
            Ok(()) => {
                self.refused_since = None;
                Ok(Some(Held(Some(file))))
            }
            Err(TryLockError::WouldBlock) => {
                self.refused_since.get_or_insert_with(Instant::now);
                Ok(None)
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether another process has had it for so long that it may be stopped.
    pub(super) fn is_stuck(&self) -> bool {
        self.refused_since
            .is_some_and(|since| since.elapsed() > PATIENCE)
    }

    /// As if another process had had it for long.
    #[cfg(test)]
    pub(super) fn wait_long(&mut self) {
        self.refused_since = Instant::now().checked_sub(PATIENCE * 2);
    }

    /// Opens the lock's file once: what is cloned from it shares its lock.
    fn open(&mut self) -> io::Result<File> {
        if let Some(derived) = self.path.parent() {
            std::fs::create_dir_all(derived)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)?;
        let again = file.try_clone()?;
        self.file = Some(file);
        Ok(again)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            // It fails only where there is no lock.
            let _ = file.unlock();
        }
    }
}
