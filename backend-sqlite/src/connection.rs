//! Connections: how each is set up, and the time limit on what readers run.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use osis_core::schema::Schema;
use rusqlite::{Connection, OpenFlags};

use crate::config::SqliteConfig;
use crate::error::Outcome;
use crate::postings;

/// How many statements a connection keeps prepared.
const STATEMENTS_MAX: usize = 256;
/// Page cache of one connection, in KiB.
const CACHE_KIB: i64 = 8 * 1024;
/// To what the log shrinks after a checkpoint, in bytes.
const LOG_BYTES_KEPT: i64 = 64 << 20;
/// After how many steps of SQLite's machine the time limit is looked at: some tens of
/// microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 4000;

/// Whether a connection may make the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is made.
    Create,
    /// It must be there.
    Refuse,
}

/// Opens a connection that may write.
///
/// # Errors
/// Those of SQLite.
pub(crate) fn open(config: &SqliteConfig, path: &Path, missing: Missing) -> Outcome<Connection> {
    // No SQLITE_OPEN_URI, and the path is absolute: a file may be called `file:x?mode=ro`.
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if missing == Missing::Create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(config.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    if let Some(pages) = config.pages_max {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    rusqlite::vtab::array::load_module(&connection)?;
    Ok(connection)
}

/// A connection that only reads.
#[derive(Debug)]
pub(crate) struct ReadConnection {
    pub(crate) connection: Connection,
    pub(crate) limit: Arc<Limit>,
}

impl ReadConnection {
    /// Opens a connection that only reads. It opens the file as writers do, since a read-only one
    /// cannot make the shared memory that it needs.
    ///
    /// # Errors
    /// Those of SQLite.
    pub(crate) fn open(config: &SqliteConfig, path: &Path, schema: &Schema) -> Outcome<Self> {
        let mut connection = open(config, path, Missing::Refuse)?;
        postings::attach(&connection, schema)?;
        connection.pragma_update(None, "query_only", true)?;
        let limit = Arc::new(Limit::default());
        let watched = Arc::clone(&limit);
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || watched.is_over()))?;
        Ok(Self { connection, limit })
    }
}

/// When a read must stop.
#[derive(Debug, Default)]
pub(crate) struct Limit {
    /// Nanoseconds after [`START`]; 0: never.
    until: AtomicU64,
    /// Nobody waits for the answer any more.
    cancelled: AtomicBool,
}

/// Before every deadline that is ever asked for.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Limit {
    /// Sets the time limit of what is to run next.
    pub(crate) fn set(&self, deadline: Option<Instant>) {
        let until = deadline.map_or(0, |deadline| {
            let after = deadline.saturating_duration_since(*START);
            u64::try_from(after.as_nanos()).unwrap_or(u64::MAX).max(1)
        });
        self.until.store(until, Ordering::Relaxed);
        self.cancelled.store(false, Ordering::Relaxed);
    }

    /// Stops what runs.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether what runs must stop.
    pub(crate) fn is_over(&self) -> bool {
        if self.cancelled.load(Ordering::Relaxed) {
            return true;
        }
        let until = self.until.load(Ordering::Relaxed);
        until != 0 && START.elapsed() >= Duration::from_nanos(until)
    }
}
