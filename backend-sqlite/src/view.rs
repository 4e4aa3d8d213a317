//! The look into the open transaction that the rules of a write get.

use osis_core::error::Result;
use osis_core::object::{Id, Row};
use osis_core::resolve::View;
use osis_core::schema::{KeyId, TypeId};
use osis_core::value::Value;
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::error::{Failure, Outcome};
use crate::lookup;

/// The look into the open transaction; it keeps the engine's own failure, for the writer must tell
/// it from what the rules refuse.
#[derive(Debug)]
pub(crate) struct WriteView<'a> {
    connection: &'a Connection,
    catalog: &'a Catalog,
    failure: Option<Failure>,
}

impl<'a> WriteView<'a> {
    /// Looks into the transaction that is open on a connection.
    pub(crate) fn new(connection: &'a Connection, catalog: &'a Catalog) -> Self {
        Self {
            connection,
            catalog,
            failure: None,
        }
    }

    /// What the engine failed with, if it did.
    pub(crate) fn into_failure(self) -> Option<Failure> {
        self.failure
    }

    fn note<T>(&mut self, outcome: Outcome<T>) -> Result<T> {
        outcome.map_err(|failure| {
            let told = self.catalog.explain(&failure);
            self.failure.get_or_insert(failure);
            told
        })
    }
}

impl View for WriteView<'_> {
    fn get(&mut self, type_id: TypeId, id: &Id) -> Result<Option<Row>> {
        self.note(lookup::get(self.connection, self.catalog, type_id, id))
    }

    fn get_by_key(&mut self, type_id: TypeId, key: KeyId, values: &[Value]) -> Result<Option<Row>> {
        self.note(lookup::get_by_key(
            self.connection,
            self.catalog,
            type_id,
            key,
            values,
        ))
    }

    fn referrers(&mut self, type_id: TypeId, field: usize, id: &Id) -> Result<Vec<Row>> {
        self.note(lookup::referrers(
            self.connection,
            self.catalog,
            type_id,
            field,
            id,
        ))
    }

    fn get_by_content(&mut self, type_id: TypeId, values: &[Value]) -> Result<Vec<Row>> {
        self.note(lookup::get_by_content(
            self.connection,
            self.catalog,
            type_id,
            values,
        ))
    }
}
