//! Notices what other processes commit.
//!
//! SQLite tells a connection whether anybody else has committed since it last asked, for less than
//! a microsecond ([`PRAGMA data_version`](https://www.sqlite.org/pragma.html#pragma_data_version)).
//! One thread asks; reads need no notice, since they see every commit anyway.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use osis_core::error::{Error, Result};

use crate::catalog::Catalog;
use crate::connection::ReadConnection;
use crate::error::{Failure, Outcome};
use crate::history;

/// How long after it a foreign commit is noticed at the latest.
const POLL: Duration = Duration::from_millis(50);

/// The thread that notices.
#[derive(Debug)]
pub(crate) struct Watcher {
    stop: Sender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Watcher {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the database cannot be opened or the system gives no thread.
    pub(crate) fn start(catalog: &Arc<Catalog>) -> Result<Self> {
        let connection = ReadConnection::open(&catalog.config, &catalog.path)
            .map_err(|failure| catalog.explain(&failure))?;
        let (stop, stopped) = channel();
        let eyes = Eyes {
            connection,
            catalog: Arc::clone(catalog),
            version: 0,
        };
        let thread = std::thread::Builder::new()
            .name("osis-watcher".to_owned())
            .spawn(move || eyes.run(&stopped))
            .map_err(|error| Error::internal("the watcher's thread cannot be started", error))?;
        Ok(Self {
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Ends the thread. Blocks, shortly.
    pub(crate) fn close(&self) {
        // If it is gone already, there is nothing to stop.
        let _ = self.stop.send(());
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the watcher's thread broke off");
        }
    }
}

struct Eyes {
    connection: ReadConnection,
    catalog: Arc<Catalog>,
    version: i64,
}

impl Eyes {
    fn run(mut self, stopped: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(POLL) {
            if let Err(failure) = self.look() {
                tracing::debug!(
                    ?failure,
                    "commits of other processes could not be looked for"
                );
            }
        }
    }

    fn look(&mut self) -> Outcome<()> {
        let connection = &self.connection.connection;
        let version: i64 = connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if version == self.version {
            return Ok(());
        }
        match history::check_in_force(connection, &self.catalog) {
            Ok(seq) => self.catalog.announce(seq),
            // Kept by the catalog; there is nobody to tell here.
            Err(Failure::SchemaChanged) => {}
            Err(failure) => return Err(failure),
        }
        self.version = version;
        Ok(())
    }
}
