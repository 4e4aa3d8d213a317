//! The engine as the rest of the program sees it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use osis_core::backend::{Backend, Problem, Scope, Snapshot};
use osis_core::batch::{Batch, Commit};
use osis_core::error::{Error, ErrorKind, Result};
use osis_core::schema::Schema;
use osis_host::worker::Worker;
use tokio::sync::watch;

use crate::catalog::Catalog;
use crate::config::PostgresConfig;
use crate::connection::Connector;
use crate::copying::Step;
use crate::readers::Readers;
use crate::setup::Wanted;
use crate::snapshot::{PostgresSnapshot, Source};
use crate::watcher;
use crate::writer::Writer;

/// A store in a schema of a PostgreSQL database.
///
/// Any number of them, in one process or in several on any hosts, may have the same store open.
pub struct PostgresBackend {
    source: Arc<Source>,
    writer: Arc<Writer>,
    watcher: Worker,
}

impl PostgresBackend {
    /// Opens the store in a schema of a database, which is made if it is missing. Blocks until the
    /// server has answered.
    ///
    /// A new store takes the wanted schema (without one, the built-in). An existing one keeps its
    /// own, unless [`PostgresConfig::schema`] says otherwise. Safe when several processes open a new
    /// store at the same moment: one sets it up, all see the same.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached, refuses the user, is older than 15, or
    /// where the user lacks rights; `Invalid` where the schema of the database holds something else,
    /// a newer format, or a schema that would lose something.
    pub fn open(config: PostgresConfig, wanted: Option<Schema>) -> Result<Self> {
        let place = config.place();
        Self::start(config, Wanted::Any(wanted))?
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("{place} was not opened")))
    }

    /// Opens the store in a schema of a database with the schema that it has; nothing if there is no
    /// store.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_existing(config: PostgresConfig) -> Result<Option<Self>> {
        Self::start(config, Wanted::Existing)
    }

    fn start(config: PostgresConfig, wanted: Wanted) -> Result<Option<Self>> {
        let connector = Connector::new(&config)?;
        let Some((writer, catalog)) = Writer::start(config, connector.clone(), wanted)? else {
            return Ok(None);
        };
        let watcher = watcher::start(&catalog, connector.clone())?;
        let readers = Readers::new(&catalog, connector)?;
        Ok(Some(Self {
            source: Arc::new(Source { catalog, readers }),
            writer: Arc::new(writer),
            watcher,
        }))
    }

    fn catalog(&self) -> &Catalog {
        &self.source.catalog
    }
}

#[async_trait]
impl Backend for PostgresBackend {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.catalog().schema
    }

    async fn apply(&self, batches: Vec<Batch>) -> Vec<Result<Commit>> {
        self.writer.apply(batches).await
    }

    async fn snapshot(&self, scope: Scope, deadline: Option<Instant>) -> Result<Box<dyn Snapshot>> {
        let source = Arc::clone(&self.source);
        Ok(Box::new(PostgresSnapshot::new(source, scope, deadline)))
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.catalog().peers.commits()
    }

    async fn inspect(&self) -> Result<Vec<Problem>> {
        let source = Arc::clone(&self.source);
        PostgresSnapshot::new(source, Scope::Consistent, None)
            .inspect()
            .await
    }

    async fn copying(&self) -> Result<Option<String>> {
        let source = Arc::clone(&self.source);
        PostgresSnapshot::new(source, Scope::Single, None)
            .copying()
            .await
    }

    async fn begin_copy(&self, of: &str) -> Result<()> {
        let step = Step::Begin(of.to_owned());
        self.writer.copy(step).await.map(|_| ())
    }

    async fn end_copy(&self, seq: u64) -> Result<u64> {
        self.writer.copy(Step::End(seq)).await
    }

    async fn close(&self) -> Result<()> {
        self.source.readers.close();
        let writer = Arc::clone(&self.writer);
        let closing = tokio::task::spawn_blocking(move || writer.close());
        closing
            .await
            .map_err(|error| Error::internal("the writer did not close", error))?;
        self.watcher.close();
        Ok(())
    }
}

// What was sent to the writer is finished.
impl Drop for PostgresBackend {
    fn drop(&mut self) {
        self.watcher.close();
        self.writer.close();
    }
}

impl fmt::Debug for PostgresBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBackend")
            .field("place", &self.catalog().place)
            .finish_non_exhaustive()
    }
}
