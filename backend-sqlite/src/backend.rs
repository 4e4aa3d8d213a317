//! The engine as the rest of the program sees it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use osis_core::backend::{Backend, Problem, Scope, Snapshot};
use osis_core::batch::{Batch, Commit};
use osis_core::error::{Error, Result};
use osis_core::schema::Schema;
use osis_host::worker::Worker;
use tokio::sync::watch;

use crate::catalog::Catalog;
use crate::committer::Committer;
use crate::config::SqliteConfig;
use crate::copying::Step;
use crate::readers::Readers;
use crate::setup;
use crate::snapshot::{Source, SqliteSnapshot};
use crate::watcher;
use crate::writer::Writer;

/// A store in a SQLite file.
///
/// Several of them, in one process or in several on one host, may have the same file open.
pub struct SqliteBackend {
    source: Arc<Source>,
    watcher: Worker,
}

impl SqliteBackend {
    /// Opens the store in a file, which is made if it is missing. Blocks while it looks at the
    /// file, shortly.
    ///
    /// A new store takes the wanted schema (without one, the built-in). An existing one keeps its
    /// own, unless [`SqliteConfig::schema`] says otherwise. Safe when several processes open a new
    /// file at the same moment: one sets it up, all see the same.
    ///
    /// # Errors
    /// `Invalid` where the file lies on a shared file system, is not a store, is of a newer
    /// format, or holds a schema that would lose something; `Corrupt` where it is damaged;
    /// `Unavailable` where it cannot be opened or another program locks it.
    pub fn open(config: SqliteConfig, wanted: Option<Schema>) -> Result<Self> {
        let (catalog, ticket) = setup::open(config, wanted)?;
        let catalog = Arc::new(catalog);
        let committer = Committer::open(&catalog).map_err(|failure| catalog.explain(&failure))?;
        let watcher = watcher::start(&catalog)?;
        let readers = Readers::new(Arc::clone(&catalog));
        let writer = Writer::start(committer, ticket)?;
        Ok(Self {
            source: Arc::new(Source {
                catalog,
                readers,
                writer,
            }),
            watcher,
        })
    }

    /// The absolute path of the database.
    pub fn path(&self) -> &Path {
        &self.catalog().path
    }

    fn catalog(&self) -> &Catalog {
        &self.source.catalog
    }
}

#[async_trait]
impl Backend for SqliteBackend {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.catalog().schema
    }

    async fn apply(&self, batches: Vec<Batch>) -> Vec<Result<Commit>> {
        self.source.writer.apply(batches).await
    }

    async fn snapshot(&self, scope: Scope, deadline: Option<Instant>) -> Result<Box<dyn Snapshot>> {
        let mut snapshot = SqliteSnapshot::new(Arc::clone(&self.source), scope, deadline);
        if scope == Scope::Search {
            snapshot.take_complete(None).await?;
        }
        Ok(Box::new(snapshot))
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.catalog().peers.commits()
    }

    async fn inspect(&self) -> Result<Vec<Problem>> {
        let scope = Scope::Consistent;
        let mut snapshot = SqliteSnapshot::new(Arc::clone(&self.source), scope, None);
        snapshot.inspect().await
    }

    async fn copying(&self) -> Result<Option<String>> {
        let mut snapshot = SqliteSnapshot::new(Arc::clone(&self.source), Scope::Single, None);
        snapshot.copying().await
    }

    async fn begin_copy(&self, of: &str) -> Result<()> {
        let step = Step::Begin(of.to_owned());
        self.source.writer.copy(step).await.map(|_| ())
    }

    async fn end_copy(&self, seq: u64) -> Result<u64> {
        self.source.writer.copy(Step::End(seq)).await
    }

    async fn close(&self) -> Result<()> {
        self.source.readers.close().await;
        let source = Arc::clone(&self.source);
        let closing = tokio::task::spawn_blocking(move || source.writer.close());
        closing
            .await
            .map_err(|error| Error::internal("the writer did not close", error))?;
        self.watcher.close();
        Ok(())
    }
}

// What was sent to the writer is finished, and the log is folded into the file by whoever closes
// last.
impl Drop for SqliteBackend {
    fn drop(&mut self) {
        self.watcher.close();
        self.source.writer.close();
    }
}

impl fmt::Debug for SqliteBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBackend")
            .field("path", &self.catalog().path)
            .finish_non_exhaustive()
    }
}
