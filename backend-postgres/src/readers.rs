//! The pool of connections that read.
//!
//! Scans and searches take turns at so many connections as were configured, less one for point
//! reads, so that those do not wait behind slow searches.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
};
use futures_util::FutureExt as _;
use osis_core::error::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use crate::catalog::Catalog;
use crate::connection::Connector;
use crate::error::{Failure, Outcome, cannot_connect};
use crate::sql::Link;

/// How each snapshot begins.
const READING: &str = "ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// A few rows by their names.
    Point,
    /// Anything that may take long.
    Scan,
}

/// The pool.
pub(crate) struct Readers {
    catalog: Arc<Catalog>,
    connector: Connector,
    pool: Pool,
    scans: Arc<Semaphore>,
}

impl Readers {
    /// A pool without connections: they are made when they are wanted.
    ///
    /// # Errors
    /// If the pool cannot be made.
    pub(crate) fn new(catalog: &Arc<Catalog>, connector: Connector) -> Result<Self> {
        let manager = Manager::from_config(
            connector.config().clone(),
            connector.tls().clone(),
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let size = catalog.config.pool.max(1);
        let pool = Pool::builder(manager).max_size(size).build();
        Ok(Self {
            catalog: Arc::clone(catalog),
            connector,
            pool: pool.map_err(|error| Error::internal("no pool of connections", error))?,
            scans: Arc::new(Semaphore::new(size.saturating_sub(1).max(1))),
        })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// `Unavailable` after the deadline, when the pool is closed, and where there is no connection
    /// to be had.
    pub(crate) async fn take(&self, weight: Weight, deadline: Option<Instant>) -> Result<Reader> {
        // Always in this order, so that nobody who holds a connection waits for a turn to scan.
        let taking = async {
            let scan = match weight {
                Weight::Scan => {
                    let turn = Arc::clone(&self.scans).acquire_owned().await;
                    Some(turn.map_err(|_| Error::closed())?)
                }
                Weight::Point => None,
            };
            Ok((
                self.pool
                    .get()
                    .await
                    .map_err(|error| self.explain(&error))?,
                scan,
            ))
        };
        let (client, scan) = match deadline {
            Some(deadline) => timeout_at(deadline.into(), taking)
                .await
                .map_err(|_| Error::too_late())??,
            None => taking.await?,
        };
        Ok(Reader {
            client: Some(client),
            connector: self.connector.clone(),
            weight,
            in_transaction: false,
            busy: AtomicBool::new(false),
            _scan: scan,
        })
    }

    /// Lets go of all connections; those in use go when they come back.
    pub(crate) fn close(&self) {
        self.pool.close();
        self.scans.close();
    }

    fn explain(&self, error: &PoolError) -> Error {
        match error {
            PoolError::Backend(error) => self
                .catalog
                .explain(&cannot_connect(error, &self.catalog.place)),
            PoolError::Closed => Error::closed(),
            other => self
                .catalog
                .explain(&Failure::Unreachable(other.to_string())),
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

/// A connection that is taken from the pool and goes back there, unless something still runs on it:
/// then that is cancelled, for nobody waits for it.
pub(crate) struct Reader {
    client: Option<Object>,
    connector: Connector,
    weight: Weight,
    in_transaction: bool,
    busy: AtomicBool,
    _scan: Option<OwnedSemaphorePermit>,
}

impl Reader {
    /// The connection.
    ///
    /// # Errors
    /// None while the reader lives.
    pub(crate) fn link(&self) -> Outcome<Link<'_>> {
        let client: Option<&ClientWrapper> = self.client.as_deref();
        Ok(Link {
            client: client.ok_or_else(|| Failure::Fault("a reader is gone".to_owned()))?,
            pooler: self.connector.pooler(),
        })
    }

    /// What it may be used for.
    pub(crate) fn serves(&self, weight: Weight) -> bool {
        self.weight == Weight::Scan || self.weight == weight
    }

    /// Whether what it sees stays as it is.
    pub(crate) fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// From now on it sees the store as it is at the first read. What begins the transaction is on
    /// its way when this returns; if it failed, so would the read.
    pub(crate) fn begin(&mut self) -> Outcome<()> {
        let begin = self.connector.begin(READING);
        let _ = self.link()?.client.batch_execute(&begin).now_or_never();
        self.in_transaction = true;
        Ok(())
    }

    /// Marks it as used by a call that is under way, or not any more.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// Whether a call on it was given up.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        if !self.is_busy() {
            if self.in_transaction {
                // Sent by the first look; whoever has the connection next comes behind it.
                let _ = client.batch_execute("ROLLBACK").now_or_never();
            }
            return;
        }
        let client = Object::take(client);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (token, tls) = (client.cancel_token(), self.connector.tls().clone());
        runtime.spawn(async move {
            if let Err(error) = token.cancel_query(tls).await {
                tracing::debug!(%error, "a read that was given up could not be cancelled");
            }
            drop(client);
        });
    }
}
