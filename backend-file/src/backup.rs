//! A copy of the store in another directory, as of one commit: a store by itself, which opens like any
//! other.
//!
//! A snapshot of this engine is a value in memory that does not change, however many hosts go on
//! writing. So the copy is made from it: the objects' files ([`crate::keeper::copy_out()`]), then a log
//! that has the records of the change feed up to the snapshot's commit. `store.toml` comes last.

use osis_core::backend::Snapshot as _;
use osis_core::error::{Error, ErrorKind, Result};

use crate::error::io_error;
use crate::files::Readers;
use crate::keeper;
use crate::layout::Layout;
use crate::log;
use crate::shared::Shared;
use crate::snapshot::FileSnapshot;
use crate::state::State;

/// How many records of the feed an entry of the copy's log holds.
const RECORDS: usize = 1000;
/// How often the log is copied anew because the store let go of the beginning meanwhile.
const TRIES: usize = 5;

/// Writes the files of the objects, and what a store has beside, apart from its log: whatever else comes
/// to lie in a store's directory and is not derived belongs here, and to the names that
/// [`crate::FileRestore`] moves. Blocks.
///
/// # Errors
/// Those of the file system and of the cache.
pub(crate) fn copy_files(shared: &Shared, state: &State, to: &Layout) -> Result<()> {
    keeper::copy_out(shared, state, to)?;
    let path = to.schema_file();
    let text = shared.schema.text.as_bytes();
    let written = shared.files.create(&path, text, Readers::Usual, false);
    written.map_err(|error| io_error(&path, &error))
}

/// Names the copy a store, and makes all of it durable. Blocks.
///
/// # Errors
/// Those of the file system.
pub(crate) fn finish(shared: &Shared, to: &Layout) -> Result<()> {
    let files = &*shared.files;
    let (from, path) = (shared.layout.store_file(), to.store_file());
    let written = files
        .read(&from)
        .and_then(|text| files.create(&path, &text, Readers::Usual, true))
        .and_then(|()| files.sync(to.root()))
        .and_then(|()| files.sync_all(to.root()));
    written.map_err(|error| io_error(&path, &error))
}

/// Writes the log of a copy: the feed up to the snapshot's commit.
///
/// # Errors
/// Those of the log and of the file system.
pub(crate) async fn copy_log(
    snapshot: &mut FileSnapshot,
    shared: &Shared,
    to: &Layout,
) -> Result<()> {
    for _ in 1..TRIES {
        match try_copy_log(snapshot, shared, to).await {
            Err(error) if matches!(error.kind(), ErrorKind::Gone { .. }) => {
                let log = to.log();
                std::fs::remove_dir_all(&log).map_err(|error| io_error(&log, &error))?;
            }
            done => return done,
        }
    }
    try_copy_log(snapshot, shared, to).await
}

async fn try_copy_log(snapshot: &mut FileSnapshot, shared: &Shared, to: &Layout) -> Result<()> {
    let last = snapshot.seq().await?;
    // What is asked for first tells where the feed begins.
    let begins = snapshot.changes(last, &[], 1).await?.oldest;
    let (files, schema) = (&*shared.files, &shared.schema);
    log::copy_out::begin(files, to, schema, begins)?;
    let mut since = begins;
    while since < last {
        let page = snapshot.changes(since, &[], RECORDS).await?;
        let next = page.next;
        if next <= since {
            let message = format!("the change feed does not go on behind {since}");
            return Err(Error::new(ErrorKind::Internal, message));
        }
        log::copy_out::add(files, to, schema, shared.log.writer(), since, page)?;
        since = next;
    }
    Ok(())
}
