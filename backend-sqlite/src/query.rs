//! Scans, relations, counts and aggregates.

use osis_core::backend::{Related, Scan};
use osis_core::object::{Id, Row};
use osis_core::query::aggregate::{Aggregate, Figure, Group, Groups};
use osis_core::query::{Filter, Sort, Test};
use osis_core::schema::{Column, Type, TypeId};
use osis_core::value::Value;
use osis_sql::is_indexed_list;
use osis_sql::query as shared;
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::dialect::Sqlite;
use crate::error::Outcome;
use crate::names;
use crate::rows::{read, read_column};
use crate::sql::{Run, Sql};

/// A page of a type's rows.
pub(crate) fn scan(connection: &Connection, catalog: &Catalog, scan: &Scan) -> Outcome<Vec<Row>> {
    let ty = &catalog.schema.types[scan.type_id];
    let filter = shared::scan_filter(scan, ty);
    page(connection, ty, &filter, &scan.sort, scan.limit)
}

/// For each id, the first rows whose ref field holds it.
pub(crate) fn related(
    connection: &Connection,
    catalog: &Catalog,
    related: &Related,
    ids: &[Id],
) -> Outcome<Vec<Vec<Row>>> {
    let ty = &catalog.schema.types[related.type_id];
    let pages = ids.iter().map(|id| {
        let filter = shared::related_filter(related, id);
        page(connection, ty, &filter, &related.sort, related.limit)
    });
    pages.collect()
}

/// How many rows a filter means.
pub(crate) fn count(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    filter: &Filter,
) -> Outcome<u64> {
    let ty = &catalog.schema.types[type_id];
    shared::count(ty, filter).count(connection)
}

/// The groups of an aggregate, in no order.
pub(crate) fn aggregate(
    connection: &Connection,
    catalog: &Catalog,
    aggregate: &Aggregate,
) -> Outcome<Vec<Group>> {
    let ty = &catalog.schema.types[aggregate.type_id];
    if shared::only_counts(aggregate) {
        return counts(connection, ty, aggregate);
    }
    let columns = aggregate.columns();
    let sql: Sql = shared::figures(ty, aggregate);
    let mut groups = Groups::new(aggregate, ty);
    let mut values = Vec::with_capacity(columns.len());
    sql.each(connection, |row| {
        values.clear();
        for (n, column) in columns.iter().enumerate() {
            values.push(read_column(ty, *column, row.get_ref(n)?)?);
        }
        groups.add(&values);
        Ok(())
    })?;
    Ok(groups.finish())
}

/// Counts alone: SQLite can do them without showing us each row.
fn counts(connection: &Connection, ty: &Type, aggregate: &Aggregate) -> Outcome<Vec<Group>> {
    let by = &aggregate.group_by;
    let sql: Sql = shared::counts(ty, aggregate);
    sql.all(connection, |row| {
        let values = by.iter().enumerate();
        let values = values.map(|(n, column)| read_column(ty, *column, row.get_ref(n)?));
        let count = Figure::Value(Value::Int(row.get(by.len())?));
        Ok(Group {
            bucket: None,
            by: values.collect::<Outcome<_>>()?,
            figures: vec![count; aggregate.metrics.len()],
        })
    })
}

fn page(
    connection: &Connection,
    ty: &Type,
    filter: &Filter,
    sort: &Sort,
    limit: usize,
) -> Outcome<Vec<Row>> {
    let dialect = lists(connection, ty, filter, sort, limit)?;
    shared::page(ty, filter, sort, limit, dialect).all(connection, |row| read(ty, row, 0))
}

/// How a page by id looks into indexed lists.
///
/// Collecting costs as much as there are rows with the item; asking each row in the order of the
/// ids costs as many as are passed until the page is full: where `found` of `rows` have it, about
/// `limit * rows / found`. So what counts is whether `found` is above the root of `limit * rows`,
/// and so far it is counted.
pub(crate) fn lists(
    connection: &Connection,
    ty: &Type,
    filter: &Filter,
    sort: &Sort,
    limit: usize,
) -> Outcome<Sqlite> {
    let by_id = matches!(sort.columns(), [(Column::Id, _)]);
    let Some((field, item)) = indexed_item(ty, filter).filter(|_| by_id) else {
        return Ok(Sqlite::Collect);
    };
    let rows = rows_about(connection, ty)?;
    let enough = usize::try_from(rows)
        .unwrap_or(usize::MAX)
        .saturating_mul(limit)
        .isqrt()
        .max(1);
    let table = names::quote(&names::list_table(ty, field));
    let mut sql = Sql::new(format!(
        "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE value = "
    ));
    sql.item(item).push(" LIMIT ").limit(enough).push(")");
    let found = sql.count(connection)?;
    Ok(if found >= enough as u64 {
        Sqlite::Ask
    } else {
        Sqlite::Collect
    })
}

/// An item that all rows of a filter hold in an indexed list.
fn indexed_item<'a>(ty: &Type, filter: &'a Filter) -> Option<(usize, &'a Value)> {
    match filter {
        Filter::All(parts) => parts.iter().find_map(|part| indexed_item(ty, part)),
        Filter::Column(Column::Field(field), Test::Has(item))
            if is_indexed_list(&ty.fields[*field]) =>
        {
            Some((*field, item))
        }
        _ => None,
    }
}

/// How many rows a type has, about: as many as ever were.
pub(crate) fn rows_about(connection: &Connection, ty: &Type) -> Outcome<u64> {
    Sql::new(format!(
        "SELECT coalesce(max(\"_n\"), 0) FROM {}",
        names::table(ty)
    ))
    .count(connection)
}
