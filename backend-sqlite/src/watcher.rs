//! Notices what other processes commit.
//!
//! SQLite tells a connection whether anybody else has committed since it last asked, for less than
//! a microsecond ([`PRAGMA data_version`](https://www.sqlite.org/pragma.html#pragma_data_version)).
//! One thread asks; reads need no notice, since they see every commit anyway.

use std::sync::Arc;
use std::time::Duration;

use osis_core::error::{Error, Result};
use osis_host::worker::Worker;

use crate::catalog::Catalog;
use crate::connection::ReadConnection;
use crate::error::{Failure, Outcome};
use crate::history;

/// How long after it a foreign commit is noticed at the latest.
const POLL: Duration = Duration::from_millis(50);

/// Starts the thread that notices.
///
/// # Errors
/// If the database cannot be opened or the system gives no thread.
pub(crate) fn start(catalog: &Arc<Catalog>) -> Result<Worker> {
    let connection = ReadConnection::open(&catalog.config, &catalog.path, &catalog.schema)
        .map_err(|failure| catalog.explain(&failure))?;
    let mut eyes = Eyes {
        connection,
        catalog: Arc::clone(catalog),
        version: 0,
    };
    let look = move || {
        if let Err(failure) = eyes.look() {
            tracing::debug!(
                ?failure,
                "commits of other processes could not be looked for"
            );
        }
    };
    Worker::every(POLL, "osis-watcher", look)
        .map_err(|error| Error::internal("the watcher's thread cannot be started", error))
}

struct Eyes {
    connection: ReadConnection,
    catalog: Arc<Catalog>,
    version: i64,
}

impl Eyes {
    fn look(&mut self) -> Outcome<()> {
        let connection = &self.connection.connection;
        let version: i64 = connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if version == self.version {
            return Ok(());
        }
        match history::check_in_force(connection, &self.catalog) {
            Ok(seq) => self.catalog.peers.announce(seq),
            // Kept by the catalog; there is nobody to tell here.
            Err(Failure::SchemaChanged) => {}
            Err(failure) => return Err(failure),
        }
        self.version = version;
        Ok(())
    }
}
