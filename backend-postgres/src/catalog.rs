//! What every part of an open store knows of it, and what its parts tell each other.

use std::sync::Arc;

use osis_core::error::Error;
use osis_core::schema::{Schema, Type, TypeId};
use osis_sql::Peers;

use crate::config::PostgresConfig;
use crate::error::Failure;
use crate::statements::TypeStatements;
use crate::vocabulary;

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
    /// The statements made from it, for each type.
    pub(crate) statements: Vec<TypeStatements>,
    /// The words of its types, as far as they were read.
    pub(crate) words: vocabulary::Known,
    /// What others do to the store, and this process itself.
    pub(crate) peers: Peers,
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
            statements: opened
                .schema
                .types
                .iter()
                .map(TypeStatements::new)
                .collect(),
            words: vocabulary::Known::new(&opened.schema),
            schema: Arc::new(opened.schema),
            peers: Peers::new(opened.hash, opened.seq),
        }
    }

    /// A type with its statements.
    pub(crate) fn of(&self, type_id: TypeId) -> (&Type, &TypeStatements) {
        (&self.schema.types[type_id], &self.statements[type_id])
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

    /// Looks at the schema's hash in the database, and refuses while it is another.
    pub(crate) fn check_schema(&self, hash: &str) -> Result<(), Failure> {
        self.peers.see_schema(hash, &self.place);
        self.check_fresh()
    }

    /// Refuses while another schema was seen in force.
    pub(crate) fn check_fresh(&self) -> Result<(), Failure> {
        match self.peers.have_other_schema() {
            true => Err(Failure::SchemaChanged),
            false => Ok(()),
        }
    }
}
