//! A copy of a store back into its place.
//!
//! The copy is laid ready beside the database, where it is looked at as a store of its own. Then it
//! takes the database's name in one step. Who opens a store looks first whether the file is in
//! write-ahead mode, and does everything else under the writers' lock. So the old file is taken out of
//! that mode, which SQLite allows only to who has it open alone, and the lock is held until the new
//! one is there: nobody is left behind with the old one.

use std::fs;
use std::io::{self, ErrorKind as IoErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use osis_core::backend::{Backend, Restore};
use osis_core::error::{Error, Result};
use osis_host::turn::Ticket;
use rusqlite::{Connection, ErrorCode};

use crate::SqliteBackend;
use crate::backup::{main_file, sync};
use crate::config::SqliteConfig;
use crate::connection::{self, Missing};
use crate::error::{Failure, Outcome, unavailable};
use crate::setup::{Kind, kind, lock_path, prepare_place, unusable};

/// How long the writers' lock is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// What is beside a database and belongs to it.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A SQLite store that is being restored.
#[derive(Debug)]
pub struct SqliteRestore {
    config: SqliteConfig,
    /// Where the store is to be.
    path: PathBuf,
    /// Where it is laid ready.
    staged: PathBuf,
}

impl SqliteRestore {
    /// Lays what [`osis_core::backend::Snapshot::copy_into`] made ready beside the place that the
    /// configuration names. Blocks.
    ///
    /// # Errors
    /// `Invalid` where no store may be there; those of the file system.
    pub fn begin(config: SqliteConfig, from: &Path) -> Result<Self> {
        let path = prepare_place(&config)?;
        let staged = beside(&path, "-restoring");
        let restore = Self {
            config,
            path,
            staged,
        };
        let at = |error: io::Error| unusable(&restore.staged.display().to_string(), &error);
        restore.remove_staged().map_err(at)?;
        fs::copy(main_file(from), &restore.staged).map_err(at)?;
        sync(&restore.staged).map_err(at)?;
        Ok(restore)
    }

    fn remove_staged(&self) -> io::Result<()> {
        let own = std::iter::once(self.staged.clone());
        let beside = BESIDE.iter().map(|end| beside(&self.staged, end));
        let lock = std::iter::once(lock_path(&self.staged));
        own.chain(beside)
            .chain(lock)
            .try_for_each(|path| remove(&path))
    }

    /// Opens a database with nobody else having it open, and out of write-ahead mode. No other can
    /// read or write it as long as what is returned lives.
    fn alone(&self, path: &Path) -> Outcome<Connection> {
        let connection = connection::open(&self.config, path, Missing::Refuse)?;
        if kind(&connection)? == Kind::Foreign {
            return Err(Failure::Fault(
                "it is a database of another program".to_owned(),
            ));
        }
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| {
            row.get::<_, String>(0)
        })?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(connection)
    }

    /// Has the old database closed to all others, if there is one.
    fn close_old(&self) -> Result<Option<Connection>> {
        let shown = self.path.display().to_string();
        if fs::metadata(&self.path).map_or(0, |found| found.len()) == 0 {
            return Ok(None);
        }
        match self.alone(&self.path) {
            Ok(connection) => Ok(Some(connection)),
            Err(failure) if failure.is_busy() => Err(in_use(&shown)),
            // What is damaged is what backups are for.
            Err(Failure::Engine(error))
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) =>
            {
                tracing::warn!(file = shown, %error, "the damaged database is replaced");
                Ok(None)
            }
            Err(failure) => Err(Error::invalid(
                "store",
                format!(
                    "{shown} is no store that can be replaced ({}); move it away, then run osis \
                     restore again",
                    failure.explain(&shown)
                ),
            )),
        }
    }
}

impl Restore for SqliteRestore {
    fn open(&self) -> Result<Arc<dyn Backend>> {
        let config = SqliteConfig {
            path: self.staged.clone(),
            ..self.config.clone()
        };
        Ok(Arc::new(SqliteBackend::open(config, None)?))
    }

    fn put_in_place(self: Box<Self>) -> Result<()> {
        let shown = self.path.display().to_string();
        let at = |error: io::Error| unusable(&shown, &error);
        let staged = self
            .alone(&self.staged)
            .map_err(|failure| failure.explain(&self.staged.display().to_string()))?;
        drop(staged);
        sync(&self.staged).map_err(at)?;
        let ticket = Ticket::open(&lock_path(&self.path)).map_err(at)?;
        let turn = ticket.take_for(LOCK_WAIT).map_err(at)?;
        let turn = turn.ok_or_else(|| in_use(&shown))?;
        let old = self.close_old()?;
        for end in BESIDE.iter().filter(|_| old.is_none()) {
            // Of a damaged database, or of one that is gone: the new one must not take them for its own.
            remove(&beside(&self.path, end)).map_err(at)?;
        }
        fs::rename(&self.staged, &self.path).map_err(at)?;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        sync(directory).map_err(at)?;
        drop(old);
        drop(turn);
        Ok(())
    }
}

impl Drop for SqliteRestore {
    fn drop(&mut self) {
        if let Err(error) = self.remove_staged() {
            let staged = self.staged.display();
            tracing::warn!(%staged, %error, "what was laid ready could not be removed");
        }
    }
}

fn in_use(file: &str) -> Error {
    unavailable(
        None,
        format!(
            "{file} is in use; stop all that has it open (osis serve, Litestream), then run osis \
             restore again"
        ),
    )
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != IoErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
