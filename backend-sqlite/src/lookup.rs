//! Rows by what names them: the same for readers and for the rules within a write.

use osis_core::object::{Id, Row};
use osis_core::schema::{KeyId, TypeId};
use osis_core::value::Value;
use rusqlite::{Connection, Params};

use crate::catalog::Catalog;
use crate::error::Outcome;
use crate::rows::{self, Bind};

/// The row with an id.
pub(crate) fn get(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    id: &Id,
) -> Outcome<Option<Row>> {
    let sql = &catalog.statements[type_id].get;
    first(connection, catalog, type_id, sql, [id.as_str()])
}

/// The row with a number.
pub(crate) fn get_by_number(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    number: i64,
) -> Outcome<Option<Row>> {
    let sql = &catalog.statements[type_id].get_by_number;
    first(connection, catalog, type_id, sql, [number])
}

/// The row with these values of a key, in the form in which keys are compared.
pub(crate) fn get_by_key(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    key: KeyId,
    values: &[Value],
) -> Outcome<Option<Row>> {
    let sql = &catalog.statements[type_id].get_by_key[key];
    first(
        connection,
        catalog,
        type_id,
        sql,
        rusqlite::params_from_iter(values.iter().map(Bind)),
    )
}

/// The rows whose values all equal these, in the order of their ids.
pub(crate) fn get_by_content(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    values: &[Value],
) -> Outcome<Vec<Row>> {
    let sql = &catalog.statements[type_id].get_by_content;
    let params = rusqlite::params_from_iter(values.iter().map(Bind));
    all(connection, catalog, type_id, sql, params)
}

/// The rows whose ref field holds an id, in the order of their ids.
pub(crate) fn referrers(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    field: usize,
    id: &Id,
) -> Outcome<Vec<Row>> {
    let sql = &catalog.statements[type_id].referrers[field];
    all(connection, catalog, type_id, sql, [id.as_str()])
}

fn all(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    sql: &str,
    params: impl Params,
) -> Outcome<Vec<Row>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let ty = &catalog.schema.types[type_id];
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(rows::read(ty, row, 0)?);
    }
    Ok(rows)
}

fn first(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    sql: &str,
    params: impl Params,
) -> Outcome<Option<Row>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let ty = &catalog.schema.types[type_id];
    found.next()?.map(|row| rows::read(ty, row, 0)).transpose()
}
