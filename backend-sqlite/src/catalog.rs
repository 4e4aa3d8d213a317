//! What every part of an open store knows of it, and what its parts tell each other.

use std::path::PathBuf;
use std::sync::Arc;

use osis_core::error::Error;
use osis_core::schema::{Schema, Type, TypeId};
use osis_sql::Peers;

use crate::config::SqliteConfig;
use crate::error::Failure;
use crate::statements::TypeStatements;
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
    /// The statements made from it, for each type.
    pub(crate) statements: Vec<TypeStatements>,
    /// What is kept of the text indexes.
    pub(crate) text: TextCache,
    /// What others do to the store, and this process itself.
    pub(crate) peers: Peers,
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
            statements: schema.types.iter().map(TypeStatements::new).collect(),
            text: TextCache::new(&schema),
            schema: Arc::new(schema),
            peers: Peers::new(schema_hash, seq),
        }
    }

    /// A type with its statements.
    pub(crate) fn of(&self, type_id: TypeId) -> (&Type, &TypeStatements) {
        (&self.schema.types[type_id], &self.statements[type_id])
    }

    /// What callers are told of a failure.
    pub(crate) fn explain(&self, failure: &Failure) -> Error {
        if let Failure::Fault(what) = failure {
            tracing::error!(file = self.file, what, "the engine failed");
        }
        failure.explain(&self.file)
    }

    /// Looks at the schema's hash in the database, and refuses while it is another.
    pub(crate) fn check_schema(&self, hash: &str) -> Result<(), Failure> {
        self.peers.see_schema(hash, &self.file);
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
