//! Copies of a store's files, as of one commit, while others write.
//!
//! SQLite's backup API reads the pages through a connection. In steps by itself it begins anew at each
//! commit of another process and, beside busy writers, never ends. Here the connection is in a read
//! transaction, which pins one state of the database, so steps go on where they were. Writers wait
//! for nothing; only the write-ahead log cannot be folded beyond that state before the end.
//!
//! Source: <https://www.sqlite.org/c3ref/backup_finish.html>.
//!
//! A place is kept for log types in files of their own: their connections' read transactions must
//! begin under one turn of the writers, so that all files are as of one commit, and each be
//! copied as the main file is, before it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use osis_core::error::Result;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::connection::Limit;
use crate::error::{Failure, Outcome};
use crate::setup::unusable;

/// How many pages are copied between two looks at the time limit: 16 MiB.
const PAGES: i32 = 4096;
/// What a database is called in a copy of a store, in the place of the name that it has.
const STEM: &str = "store";

/// The file of a copy's directory that holds the main database.
pub(crate) fn main_file(directory: &Path) -> PathBuf {
    directory.join(format!("{STEM}.db"))
}

/// Copies the database, as the open transaction sees it, into a directory, durably.
///
/// # Errors
/// Those of SQLite and of the file system, about the copy.
pub(crate) fn copy(connection: &Connection, directory: &Path, limit: &Limit) -> Result<()> {
    let path = main_file(directory);
    let shown = path.display().to_string();
    // SQLite would let the umask decide who may read secrets.
    let mut options = OpenOptions::new();
    let made = options.create_new(true).write(true).mode(0o600).open(&path);
    made.map_err(|error| unusable(&shown, &error))?;
    copy_pages(connection, &path, limit).map_err(|failure| failure.explain(&shown))?;
    sync(&path)
        .and_then(|()| sync(directory))
        .map_err(|error| unusable(&shown, &error))
}

fn copy_pages(connection: &Connection, path: &Path, limit: &Limit) -> Outcome<()> {
    let mut target = Connection::open(path)?;
    // It is synced once, at the end.
    target.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(connection, &mut target)?;
    loop {
        if limit.is_over() {
            return Err(Failure::TooLate);
        }
        match backup.step(PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => return Err(Failure::Fault("the copy is in use".to_owned())),
        }
    }
}

/// Makes a file that SQLite does not have open, or the names in a directory, durable.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
