//! What every part of an open store knows of it, and what its parts tell each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use osis_core::error::Error;
use osis_core::schema::{Schema, Type, TypeId};
use tokio::sync::watch;

use crate::config::PostgresConfig;
use crate::error::Failure;
use crate::statements::{Statements, TypeStatements};

/// What every part of an open store knows of it.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// How it was opened.
    pub(crate) config: PostgresConfig,
    /// Where it is, in messages.
    pub(crate) place: String,
    /// Tells this store from all others.
    pub(crate) store_id: String,
    /// The schema in force.
    pub(crate) schema: Arc<Schema>,
    /// The hash under which the schema stands in the database.
    pub(crate) schema_hash: String,
    /// The statements made from it.
    pub(crate) statements: Statements,
    /// The seq of the last commit that was seen.
    pub(crate) commits: watch::Sender<u64>,
    /// Another process has put another schema in force.
    stale: AtomicBool,
}

/// What a store is found to be when it is opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The schema in force.
    pub(crate) schema: Schema,
    /// The hash under which it stands in the database.
    pub(crate) hash: String,
    /// Tells the store from all others.
    pub(crate) store_id: String,
    /// The last commit.
    pub(crate) seq: u64,
}

impl Catalog {
    /// Of a store that was set up.
    pub(crate) fn new(config: PostgresConfig, opened: Opened) -> Self {
        Self {
            place: config.place(),
            config,
            store_id: opened.store_id,
            statements: Statements::new(&opened.schema),
            schema: Arc::new(opened.schema),
            schema_hash: opened.hash,
            commits: watch::Sender::new(opened.seq),
            stale: AtomicBool::new(false),
        }
    }

    /// A type with its statements.
    pub(crate) fn of(&self, type_id: TypeId) -> (&Type, &TypeStatements) {
        (&self.schema.types[type_id], self.statements.of(type_id))
    }

    /// What callers are told of a failure.
    pub(crate) fn explain(&self, failure: &Failure) -> Error {
        match failure {
            Failure::Fault(what) => {
                tracing::error!(place = self.place, what, "the engine failed");
            }
            Failure::Engine(error) if error.code().is_some() => {
                tracing::debug!(place = self.place, %error, "a statement failed");
            }
            _ => {}
        }
        failure.explain(&self.place)
    }

    /// On which channel commits are told of.
    pub(crate) fn channel(&self) -> String {
        format!("osis_{}", self.store_id)
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
                place = self.place,
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
