//! The engine as the rest of the program sees it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use osis_core::backend::{Backend, Problem, Scope, Snapshot, Unserved};
use osis_core::batch::{Batch, Commit};
use osis_core::error::{Error, Result};
use osis_core::schema::Schema;
use osis_host::turn::Ticket;
use osis_host::worker::Worker;
use tokio::sync::{Semaphore, watch};

use crate::config::FileConfig;
use crate::error::io_error;
use crate::keeper::Keeper;
use crate::open::{self, Opened};
use crate::shared::Shared;
use crate::snapshot::Source;
use crate::text::TextIndex;
use crate::writer::Writer;

/// How soon commits of other processes are noticed without a read.
const FOLLOW: Duration = Duration::from_millis(50);

/// A store of OTOML files in a directory.
///
/// Several of them, in one process or in several, on one host or on several, may have the same
/// directory open.
pub struct FileBackend {
    source: Arc<Source>,
    parts: Arc<Parts>,
}

/// What works on its own while the store is open.
struct Parts {
    writer: Writer,
    keeper: Keeper,
    follower: Worker,
}

impl FileBackend {
    /// Opens the store in a directory, which is made if it is missing. Blocks: a store without a
    /// usable cache is read whole.
    ///
    /// A new store takes the wanted schema (without one, the built-in). An existing one keeps its
    /// own, unless [`FileConfig::schema`] says otherwise.
    ///
    /// # Errors
    /// `Invalid` where the directory holds something else, is of a newer format, or holds a schema
    /// that would lose something; `Corrupt` where the log is damaged; `Unavailable` where it cannot
    /// be read or written.
    pub fn open(config: FileConfig, wanted: Option<Schema>) -> Result<Self> {
        let Opened {
            shared,
            tree,
            saved,
            applied,
        } = open::open(config, wanted)?;
        let (text, follower) = TextIndex::open(
            &shared.slot.text(),
            &shared.schema,
            Arc::clone(&shared.bodies),
            &shared.lineage.built,
            shared.state(),
        )?;
        shared.follow(follower);
        shared.catch_up()?;
        let lock = shared.slot.beside("turn.lock");
        let ticket = Ticket::open(&lock).map_err(|error| io_error(&lock, &error))?;
        let writer = Writer::start(Arc::clone(&shared), ticket)?;
        let keeper = Keeper::start(Arc::clone(&shared), (tree, saved), applied, writer.submit())?;
        let follower = {
            let shared = Arc::clone(&shared);
            Worker::every(FOLLOW, "osis-follower", move || {
                if let Err(error) = shared.follow_log() {
                    tracing::debug!(%error, "commits of other processes could not be looked for");
                }
            })
            .map_err(|error| Error::internal("the follower's thread cannot be started", error))?
        };
        let cpus = std::thread::available_parallelism().map_or(4, usize::from);
        Ok(Self {
            source: Arc::new(Source {
                shared,
                text,
                scans: Arc::new(Semaphore::new(cpus.max(4))),
            }),
            parts: Arc::new(Parts {
                writer,
                keeper,
                follower,
            }),
        })
    }

    /// The absolute path of the directory.
    pub fn directory(&self) -> &Path {
        self.source.shared.root()
    }

    /// Waits until what people changed in files while no process ran is taken in, or refused, but
    /// not longer than `longest`; whether it came to it. Blocks. Called again, it is about what was
    /// changed before the call.
    ///
    /// Edits are taken in without this call as well, moments later.
    pub fn take_in(&self, longest: Duration) -> bool {
        self.parts.keeper.take_in(longest)
    }

    /// Names the building from scratch that the cache comes from.
    #[cfg(test)]
    pub(crate) fn lineage(&self) -> String {
        self.source.shared.lineage.built.clone()
    }

    /// Runs what waits for the disk where it holds up nobody.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let source = Arc::clone(&self.source);
        let working = tokio::task::spawn_blocking(move || work(&source.shared));
        working
            .await
            .map_err(|error| Error::internal("the call broke off", error))?
    }

    /// Waits until every acknowledged commit is in its objects' files. Blocks.
    pub fn settle(&self) {
        self.parts.keeper.settle();
    }
}

/// Finishes what is under way. The keeper's edits go through the writer, which ends after it.
fn close(source: &Source, parts: &Parts) {
    parts.follower.close();
    parts.keeper.close();
    parts.writer.close();
    source.shared.forget_followers();
    source.text.close();
}

#[async_trait]
impl Backend for FileBackend {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.source.shared.schema
    }

    async fn apply(&self, batches: Vec<Batch>) -> Vec<Result<Commit>> {
        self.parts.writer.apply(batches).await
    }

    async fn snapshot(&self, _: Scope, deadline: Option<Instant>) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(self.source.snapshot(deadline).await?))
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.source.shared.commits.subscribe()
    }

    fn problems(&self) -> Vec<Problem> {
        let shared = &self.source.shared;
        let problems = shared.problems.list().into_iter();
        problems
            .map(|(path, fault)| shared.problem(&path, fault.line, fault.message))
            .collect()
    }

    async fn inspect(&self) -> Result<Vec<Problem>> {
        let mut problems = self.problems();
        let source = Arc::clone(&self.source);
        let damage = self
            .blocking(move |shared| crate::damage::find(shared, &source.text))
            .await?;
        // What was noted of the log while opening is among it, unless it was mended since.
        problems.retain(|known| !known.path.starts_with("log/"));
        problems.extend(damage);
        Ok(problems)
    }

    async fn repair(&self) -> Result<Vec<Problem>> {
        self.blocking(crate::damage::mend).await
    }

    async fn unserved(&self) -> Result<Vec<Unserved>> {
        self.blocking(crate::keeper::unserved).await
    }

    async fn set_aside(&self, path: &str) -> Result<String> {
        let path = path.to_owned();
        self.blocking(move |shared| crate::keeper::set_aside(shared, &path))
            .await
    }

    async fn copying(&self) -> Result<Option<String>> {
        self.blocking(|shared| shared.log.copying()).await
    }

    async fn begin_copy(&self, of: &str) -> Result<()> {
        let of = of.to_owned();
        self.blocking(move |shared| shared.log.begin_copy(&of))
            .await
    }

    async fn end_copy(&self, seq: u64) -> Result<u64> {
        self.blocking(move |shared| crate::copying::end(shared, seq))
            .await
    }

    async fn close(&self) -> Result<()> {
        let (source, parts) = (Arc::clone(&self.source), Arc::clone(&self.parts));
        let closing = tokio::task::spawn_blocking(move || close(&source, &parts));
        closing
            .await
            .map_err(|error| Error::internal("the store did not close", error))
    }
}

// What was sent to the writer is finished, and folded into the objects' files.
impl Drop for FileBackend {
    fn drop(&mut self) {
        close(&self.source, &self.parts);
    }
}

impl fmt::Debug for FileBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileBackend")
            .field("directory", &self.directory())
            .finish_non_exhaustive()
    }
}
