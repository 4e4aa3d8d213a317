//! The pool of connections that read.
//!
//! Scans and searches take turns at so many connections as were configured; point reads have some
//! of their own, so that none waits behind a slow search.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use osis_core::error::{Error, Result};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use crate::catalog::Catalog;
use crate::connection::{Limit, ReadConnection};
use crate::transaction::roll_back;

/// Connections beyond those for scans and searches.
const POINT_READERS: usize = 4;
/// How long closing waits for reads that are under way.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// A few rows by their names.
    Point,
    /// Anything that may take long.
    Scan,
}

/// The pool.
#[derive(Debug)]
pub(crate) struct Readers {
    catalog: Arc<Catalog>,
    idle: Mutex<Vec<ReadConnection>>,
    all: Arc<Semaphore>,
    scans: Arc<Semaphore>,
    total: u32,
}

impl Readers {
    /// A pool without connections: they are opened when they are wanted.
    pub(crate) fn new(catalog: Arc<Catalog>) -> Arc<Self> {
        let scans = catalog.config.readers.clamp(1, 1000);
        let total = scans + POINT_READERS;
        Arc::new(Self {
            catalog,
            idle: Mutex::new(Vec::new()),
            all: Arc::new(Semaphore::new(total)),
            scans: Arc::new(Semaphore::new(scans)),
            total: u32::try_from(total).unwrap_or(u32::MAX),
        })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// `Unavailable` after the deadline and when the pool is closed; those of SQLite for a new
    /// connection.
    pub(crate) async fn take(
        self: &Arc<Self>,
        weight: Weight,
        deadline: Option<Instant>,
    ) -> Result<Reader> {
        // Always in this order, so that nobody who holds a connection waits for a turn to scan.
        let scan = match weight {
            Weight::Scan => Some(permit(&self.scans, deadline).await?),
            Weight::Point => None,
        };
        let place = permit(&self.all, deadline).await?;
        let idle = self.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => ReadConnection::open(
                &self.catalog.config,
                &self.catalog.path,
                &self.catalog.schema,
            )
            .map_err(|failure| self.catalog.explain(&failure))?,
        };
        connection.limit.set(deadline);
        let pool = Arc::clone(self);
        Ok(Reader {
            connection: Some(connection),
            pool,
            weight,
            _place: place,
            _scan: scan,
        })
    }

    /// Waits for what is under way and closes all connections.
    pub(crate) async fn close(&self) {
        let until = Instant::now() + CLOSE_WAIT;
        let all = timeout_at(until.into(), self.all.acquire_many(self.total)).await;
        if all.is_err() {
            tracing::warn!("some reads are still under way while the store closes");
        }
        self.all.close();
        self.scans.close();
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<ReadConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn permit(
    semaphore: &Arc<Semaphore>,
    deadline: Option<Instant>,
) -> Result<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(semaphore).try_acquire_owned() {
        return Ok(permit);
    }
    let waiting = Arc::clone(semaphore).acquire_owned();
    let permit = match deadline {
        Some(deadline) => timeout_at(deadline.into(), waiting)
            .await
            .map_err(|_| Error::too_late())?,
        None => waiting.await,
    };
    permit.map_err(|_| Error::closed())
}

/// A connection that is taken from the pool and goes back there; whatever transaction is open on
/// it then is ended, so that no reader holds the log for ever.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Option<ReadConnection>,
    pool: Arc<Readers>,
    weight: Weight,
    _place: OwnedSemaphorePermit,
    _scan: Option<OwnedSemaphorePermit>,
}

impl Reader {
    /// The connection.
    pub(crate) fn connection(&self) -> &Connection {
        &self.whole().connection
    }

    /// What stops what runs on it.
    pub(crate) fn limit(&self) -> &Arc<Limit> {
        &self.whole().limit
    }

    /// What it may be used for.
    pub(crate) fn serves(&self, weight: Weight) -> bool {
        self.weight == Weight::Scan || self.weight == weight
    }

    fn whole(&self) -> &ReadConnection {
        self.connection
            .as_ref()
            .expect("the connection is taken out in drop alone")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        // A limit that is over would stop the rollback too.
        connection.limit.set(None);
        if roll_back(&connection.connection) && !self.pool.all.is_closed() {
            self.pool.lock().push(connection);
        }
    }
}
