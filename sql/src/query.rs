//! Pages, counts and aggregates as statements.

use osis_core::backend::{Related, Scan};
use osis_core::object::Id;
use osis_core::query::aggregate::Aggregate;
use osis_core::query::{Filter, Sort, Test};
use osis_core::schema::{Column, Direction, Metric, Type};
use osis_core::value::Value;

use crate::dialect::Dialect;
use crate::filter::Conditions;
use crate::names;
use crate::statement::Sql;
use crate::statements;

/// The filter of a page: what is asked for, behind its position.
pub fn scan_filter(scan: &Scan, ty: &Type) -> Filter {
    match &scan.after {
        Some(after) => scan
            .filter
            .clone()
            .and(Filter::after(scan.sort.columns(), after, ty)),
        None => scan.filter.clone(),
    }
}

/// The filter of what a relation expands to for one id.
pub fn related_filter(related: &Related, id: &Id) -> Filter {
    let own = Test::Eq(Value::from(id.as_str()));
    let own = Filter::Column(Column::Field(related.via), own);
    own.and(related.filter.clone())
}

/// The rows of a page, whole.
pub fn page<D: Dialect>(
    ty: &Type,
    filter: &Filter,
    sort: &Sort,
    limit: usize,
    dialect: D,
) -> Sql<D> {
    let mut sql = Sql::new(statements::select(ty));
    Conditions::of(ty).with(dialect).restrict(&mut sql, filter);
    order(&mut sql, ty, sort);
    sql.push(" LIMIT ").limit(limit);
    sql
}

/// How many rows a filter means.
pub fn count<D: Dialect>(ty: &Type, filter: &Filter) -> Sql<D> {
    let mut sql = Sql::new(format!("SELECT count(*) FROM {} t", names::table(ty)));
    Conditions::of(ty).restrict(&mut sql, filter);
    sql
}

/// Whether an aggregate asks for counts alone, which the database does by itself ([`counts`]).
pub fn only_counts(aggregate: &Aggregate) -> bool {
    let mut metrics = aggregate.metrics.iter();
    metrics.all(|metric| *metric == Metric::Count) && aggregate.bucket.is_none()
}

/// The groups of an aggregate with only counts: their columns, then the count.
pub fn counts<D: Dialect>(ty: &Type, aggregate: &Aggregate) -> Sql<D> {
    let by = &aggregate.group_by;
    let mut sql = select(ty, by, Some("count(*)"));
    Conditions::of(ty).restrict(&mut sql, &aggregate.filter);
    for (n, column) in by.iter().enumerate() {
        sql.push(if n == 0 { " GROUP BY t." } else { ", t." })
            .push(&names::column(ty, *column));
    }
    sql
}

/// The columns that an aggregate is computed of, of each row.
pub fn figures<D: Dialect>(ty: &Type, aggregate: &Aggregate) -> Sql<D> {
    let mut sql = select(ty, &aggregate.columns(), None);
    Conditions::of(ty).restrict(&mut sql, &aggregate.filter);
    sql
}

fn select<D: Dialect>(ty: &Type, columns: &[Column], more: Option<&str>) -> Sql<D> {
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

/// Adds an order. Null is lowest, and texts go by their bytes.
pub fn order<D: Dialect>(sql: &mut Sql<D>, ty: &Type, sort: &Sort) {
    for (n, (column, direction)) in sort.columns().iter().enumerate() {
        sql.push(if n == 0 { " ORDER BY t." } else { ", t." })
            .push(&names::column(ty, *column))
            .push(directed::<D>(ty, *column, *direction));
    }
}

/// What stands behind a column in an order or an index.
pub(crate) fn directed<D: Dialect>(
    ty: &Type,
    column: Column,
    direction: Direction,
) -> &'static str {
    D::direction(direction, ty.never_null(column))
}
