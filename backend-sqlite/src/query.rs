//! Scans, relations, counts and aggregates.

use osis_core::backend::{Related, Scan};
use osis_core::object::{Id, Row};
use osis_core::query::aggregate::{Aggregate, Figure, Group, Groups};
use osis_core::query::{Filter, Sort, Test};
use osis_core::schema::{Column, Direction, Metric, Type, TypeId};
use osis_core::value::Value;
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::ddl::is_indexed_list;
use crate::error::Outcome;
use crate::filter::{Conditions, Lists};
use crate::names;
use crate::rows::{read, read_column, select_list};
use crate::sql::Sql;

/// A page of a type's rows.
pub(crate) fn scan(connection: &Connection, catalog: &Catalog, scan: &Scan) -> Outcome<Vec<Row>> {
    let ty = &catalog.schema.types[scan.type_id];
    let filter = match &scan.after {
        Some(after) => scan
            .filter
            .clone()
            .and(Filter::after(scan.sort.columns(), after, ty)),
        None => scan.filter.clone(),
    };
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
        let own = Test::Eq(Value::from(id.as_str()));
        let own = Filter::Column(Column::Field(related.via), own);
        page(
            connection,
            ty,
            &own.and(related.filter.clone()),
            &related.sort,
            related.limit,
        )
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
    let mut sql = Sql::new(format!("SELECT count(*) FROM {} t", names::table(ty)));
    Conditions::of(ty).restrict(&mut sql, filter);
    sql.count(connection)
}

/// The groups of an aggregate, in no order.
pub(crate) fn aggregate(
    connection: &Connection,
    catalog: &Catalog,
    aggregate: &Aggregate,
) -> Outcome<Vec<Group>> {
    let ty = &catalog.schema.types[aggregate.type_id];
    let only_counts = aggregate
        .metrics
        .iter()
        .all(|metric| *metric == Metric::Count);
    if only_counts && aggregate.bucket.is_none() {
        return counts(connection, ty, aggregate);
    }
    let columns = aggregate.columns();
    let mut sql = select(ty, &columns, None);
    Conditions::of(ty).restrict(&mut sql, &aggregate.filter);
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
    let mut sql = select(ty, by, Some("count(*)"));
    Conditions::of(ty).restrict(&mut sql, &aggregate.filter);
    for (n, column) in by.iter().enumerate() {
        sql.push(if n == 0 { " GROUP BY t." } else { ", t." })
            .push(&names::column(ty, *column));
    }
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

fn select(ty: &Type, columns: &[Column], more: Option<&str>) -> Sql {
    let columns = columns
        .iter()
        .map(|column| format!("t.{}", names::column(ty, *column)));
    let mut columns: Vec<String> = columns.chain(more.map(str::to_owned)).collect();
    if columns.is_empty() {
        columns.push("1".to_owned());
    }
    Sql::new(format!(
        "SELECT {} FROM {} t",
        columns.join(", "),
        names::table(ty)
    ))
}

fn page(
    connection: &Connection,
    ty: &Type,
    filter: &Filter,
    sort: &Sort,
    limit: usize,
) -> Outcome<Vec<Row>> {
    let mut sql = Sql::new(format!(
        "SELECT {} FROM {} t",
        select_list(ty),
        names::table(ty)
    ));
    let lists = lists(connection, ty, filter, sort, limit)?;
    Conditions::of(ty)
        .with_lists(lists)
        .restrict(&mut sql, filter);
    order(&mut sql, ty, sort);
    sql.push(" LIMIT ").limit(limit);
    sql.all(connection, |row| read(ty, row, 0))
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
) -> Outcome<Lists> {
    let by_id = matches!(sort.columns(), [(Column::Id, _)]);
    let Some((field, item)) = indexed_item(ty, filter).filter(|_| by_id) else {
        return Ok(Lists::Collect);
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
    sql.value(item).push(" LIMIT ").limit(enough).push(")");
    let found = sql.count(connection)?;
    Ok(if found >= enough as u64 {
        Lists::Ask
    } else {
        Lists::Collect
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

/// Adds an order. Null is lowest in SQLite's order too, and texts go by their bytes.
pub(crate) fn order(sql: &mut Sql, ty: &Type, sort: &Sort) {
    for (n, (column, direction)) in sort.columns().iter().enumerate() {
        sql.push(if n == 0 { " ORDER BY t." } else { ", t." })
            .push(&names::column(ty, *column));
        if *direction == Direction::Descending {
            sql.push(" DESC");
        }
    }
}
