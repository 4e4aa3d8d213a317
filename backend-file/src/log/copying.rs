//! That the store is an unfinished copy of another, and where its change feed begins afterwards.
//!
//! The log itself goes on as it was: its entries before that are folded and packed like all others.
//! Only the feed does not tell of them, for its readers know the seqs of another store.

use std::io::{self, ErrorKind};

use osis_core::error::Result;

use super::Log;
use crate::error::io_error;

impl Log {
    /// What the store is an unfinished copy of.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn copying(&self) -> Result<Option<String>> {
        let path = self.layout.log_copying();
        let bytes = self.read_optional(&path)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Notes durably what the store is a copy of.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn begin_copy(&self, of: &str) -> Result<()> {
        let path = self.layout.log_copying();
        let noted = self.replace(&path, of.as_bytes());
        noted.map_err(|error| io_error(&path, &error))
    }

    /// Notes durably that the feed begins at a seq, and that the copy is finished.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn end_copy(&self, begins: u64) -> Result<()> {
        self.begin_feed(begins)?;
        let path = self.layout.log_copying();
        let ended = match self.files.remove(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => self.sync_parent(&path),
        };
        ended.map_err(|error| io_error(&path, &error))
    }

    /// Notes durably that the feed begins at a seq, unless it begins later already.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn begin_feed(&self, begins: u64) -> Result<()> {
        if self.feed_begins()? >= begins {
            return Ok(());
        }
        let path = self.layout.log_feed();
        let noted = self.replace(&path, super::oldest::text(begins).as_bytes());
        noted.map_err(|error| io_error(&path, &error))
    }

    /// The lowest seq from which the feed may be read, apart from what the log still has. One look.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn feed_begins(&self) -> Result<u64> {
        let path = self.layout.log_feed();
        let begins: io::Result<u64> = self.noted_seq(&path, &self.feed_begins);
        begins.map_err(|error| io_error(&path, &error))
    }
}
