//! What every part of an open store knows of it, and what its parts tell each other.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use osis_core::error::Error;
use osis_core::schema::{Schema, Type, TypeId};
use tokio::sync::watch;

use crate::config::SqliteConfig;
use crate::error::Failure;
use crate::statements::{Statements, TypeStatements};
use crate::text_cache::TextCache;

/// What every part of an open store knows of it.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// How it was opened.
    pub(crate) config: SqliteConfig,
    /// The absolute path of the database.
    pub(crate) path: PathBuf,
    /// The path in messages.
    pub(crate) file: String,
    /// The schema in force.
    pub(crate) schema: Arc<Schema>,
    /// The hash under which the schema stands in the database.
    pub(crate) schema_hash: String,
    /// The statements made from it.
    pub(crate) statements: Statements,
    /// What is kept of the text indexes.
    pub(crate) text: TextCache,
    /// The seq of the last commit that was seen.
    pub(crate) commits: watch::Sender<u64>,
    /// Another process has put another schema in force.
    stale: AtomicBool,
}

impl Catalog {
    /// Of a store that was set up.
    pub(crate) fn new(
        config: SqliteConfig,
        path: PathBuf,
        schema: Schema,
        schema_hash: String,
        seq: u64,
    ) -> Self {
        Self {
            config,
            file: path.display().to_string(),
            path,
            statements: Statements::new(&schema),
            text: TextCache::new(&schema),
            schema: Arc::new(schema),
            schema_hash,
            commits: watch::Sender::new(seq),
            stale: AtomicBool::new(false),
        }
    }

    /// A type with its statements.
    pub(crate) fn of(&self, type_id: TypeId) -> (&Type, &TypeStatements) {
        (&self.schema.types[type_id], self.statements.of(type_id))
    }

    /// What callers are told of a failure.
    pub(crate) fn explain(&self, failure: &Failure) -> Error {
        if let Failure::Fault(what) = failure {
            tracing::error!(file = self.file, what, "the engine failed");
        }
        failure.explain(&self.file)
    }

    /// Wakes those who wait for commits.
    pub(crate) fn announce(&self, seq: u64) {
        self.commits.send_if_modified(|last| {
            let newer = seq > *last;
            *last = seq.max(*last);
            newer
        });
    }

    /// Looks at the schema's hash in the database, and refuses while it is another.
    pub(crate) fn check_schema(&self, hash: &str) -> Result<(), Failure> {
        let stale = hash != self.schema_hash;
        if stale != self.stale.swap(stale, Ordering::Relaxed) && stale {
            tracing::error!(
                file = self.file,
                "another process has changed the schema; restart this one"
            );
        }
        self.check_fresh()
    }

    /// Refuses while another schema was seen in force.
    pub(crate) fn check_fresh(&self) -> Result<(), Failure> {
        if self.stale.load(Ordering::Relaxed) {
            Err(Failure::SchemaChanged)
        } else {
            Ok(())
        }
    }
}
