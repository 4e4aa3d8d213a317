//! Scans, relations, counts and aggregates.

use futures_util::TryStreamExt as _;
use osis_core::backend::{Related, Scan};
use osis_core::object::{Id, Row};
use osis_core::query::Filter;
use osis_core::query::aggregate::{Aggregate, Figure, Group, Groups};
use osis_core::schema::{FieldKind, Type, TypeId};
use osis_core::value::Value;
use osis_sql::query as shared;
use osis_sql::{Conditions, select_list};

use crate::catalog::Catalog;
use crate::dialect::Postgres;
use crate::error::{Failure, Outcome};
use crate::names;
use crate::rows::{read, read_column};
use crate::sql::{Link, Sql};
use osis_core::schema::Column;

/// A page of a type's rows.
pub(crate) async fn scan(link: Link<'_>, catalog: &Catalog, scan: &Scan) -> Outcome<Vec<Row>> {
    let ty = &catalog.schema.types[scan.type_id];
    let sql = page(ty, scan);
    link.all(&sql, |row| read(ty, row, 0)).await
}

/// The statement of a page.
pub(crate) fn page(ty: &Type, scan: &Scan) -> Sql {
    let filter = shared::scan_filter(scan, ty);
    shared::page(ty, &filter, &scan.sort, scan.limit, Postgres)
}

/// For each id, the first rows whose ref field holds it: one query for all of them.
pub(crate) async fn related(
    link: Link<'_>,
    catalog: &Catalog,
    related: &Related,
    ids: &[Id],
) -> Outcome<Vec<Vec<Row>>> {
    let ty = &catalog.schema.types[related.type_id];
    let via = names::column(ty, Column::Field(related.via));
    let mut sql = Sql::new(format!("SELECT k.place, {} FROM unnest(", select_list(ty)));
    let wanted = ids.iter().map(|id| Value::from(id.as_str())).collect();
    sql.many(wanted, &FieldKind::String).push(&format!(
        ") WITH ORDINALITY k(id, place) CROSS JOIN LATERAL (SELECT t.* FROM {} t WHERE t.{via} = k.id",
        names::table(ty)
    ));
    if related.filter != Filter::EVERY {
        sql.push(" AND ");
        Conditions::of(ty).write(&mut sql, &related.filter);
    }
    shared::order(&mut sql, ty, &related.sort);
    sql.push(" LIMIT ").limit(related.limit).push(") t");
    let mut pages: Vec<Vec<Row>> = ids.iter().map(|_| Vec::new()).collect();
    let rows = link.all(&sql, |row| {
        let place: i64 = row.try_get(0)?;
        Ok((place, read(ty, row, 1)?))
    });
    for (place, row) in rows.await? {
        let at = usize::try_from(place - 1).ok();
        let page = at.and_then(|at| pages.get_mut(at));
        page.ok_or_else(|| Failure::Fault("a row for no id".to_owned()))?
            .push(row);
    }
    // A join promises no order.
    for page in &mut pages {
        page.sort_by(|a, b| related.sort.compare(a, b));
    }
    Ok(pages)
}

/// How many rows a filter means.
pub(crate) async fn count(
    link: Link<'_>,
    catalog: &Catalog,
    type_id: TypeId,
    filter: &Filter,
) -> Outcome<u64> {
    let ty = &catalog.schema.types[type_id];
    link.count(&shared::count(ty, filter)).await
}

/// The groups of an aggregate, in no order.
pub(crate) async fn aggregate(
    link: Link<'_>,
    catalog: &Catalog,
    aggregate: &Aggregate,
) -> Outcome<Vec<Group>> {
    let ty = &catalog.schema.types[aggregate.type_id];
    if shared::only_counts(aggregate) {
        return counts(link, ty, aggregate).await;
    }
    let columns = aggregate.columns();
    let sql: Sql = shared::figures(ty, aggregate);
    let mut groups = Groups::new(aggregate, ty);
    let mut values = Vec::with_capacity(columns.len());
    let mut rows = std::pin::pin!(link.stream(&sql).await?);
    while let Some(row) = rows.try_next().await? {
        values.clear();
        for (n, column) in columns.iter().enumerate() {
            values.push(read_column(ty, *column, &row, n)?);
        }
        groups.add(&values);
    }
    Ok(groups.finish())
}

/// Counts alone: PostgreSQL can do them without sending us each row.
async fn counts(link: Link<'_>, ty: &Type, aggregate: &Aggregate) -> Outcome<Vec<Group>> {
    let by = &aggregate.group_by;
    let sql: Sql = shared::counts(ty, aggregate);
    link.all(&sql, |row| {
        let values = by.iter().enumerate();
        let values = values.map(|(n, column)| read_column(ty, *column, row, n));
        let count = Figure::Value(Value::Int(row.try_get(by.len())?));
        Ok(Group {
            bucket: None,
            by: values.collect::<Outcome<_>>()?,
            figures: vec![count; aggregate.metrics.len()],
        })
    })
    .await
}
