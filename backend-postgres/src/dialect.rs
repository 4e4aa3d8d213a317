//! How PostgreSQL writes what other databases write in another way.

use osis_core::schema::{Column, Direction, FieldKind, Item, Type};
use osis_core::value::Value;
use osis_sql::Dialect;

use crate::names;
use crate::rows::json_list;
use crate::sql::Sql;

/// PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Postgres;

impl Dialect for Postgres {
    const TRUE: &'static str = "TRUE";
    const FALSE: &'static str = "FALSE";
    /// Its key is named in a table constraint: that of a partitioned table holds what partitions it.
    const ID: &'static str = "text COLLATE \"C\" NOT NULL";

    fn declared(kind: &FieldKind) -> &'static str {
        match kind {
            FieldKind::Int => "bigint",
            FieldKind::Bool => "boolean",
            FieldKind::Float => "double precision",
            FieldKind::Bytes => "bytea",
            FieldKind::Time => "timestamptz(3)",
            FieldKind::Json => "json",
            FieldKind::List(Item::Int) => "bigint[]",
            FieldKind::List(Item::String) => "text[] COLLATE \"C\"",
            FieldKind::String | FieldKind::Text | FieldKind::Enum(_) | FieldKind::Ref { .. } => {
                "text COLLATE \"C\""
            }
        }
    }

    fn placeholder(n: usize) -> String {
        format!("${n}")
    }

    fn among(placeholder: &str) -> String {
        format!(" = ANY({placeholder})")
    }

    /// An array of arrays would be one long array, so lists are compared as JSON.
    fn one_of(sql: &mut Sql, column: &str, kind: &FieldKind, values: &[&Value]) {
        if !matches!(kind, FieldKind::List(_)) {
            sql.push(column).among(values.iter().copied(), kind);
            return;
        }
        let texts = values.iter().map(|value| json_list(value.items()));
        let texts = texts.map(|text| Value::Str(text.into())).collect();
        sql.push(&format!(
            "to_jsonb({column}) = ANY(ARRAY(SELECT x::jsonb FROM unnest("
        ))
        .many(texts, &FieldKind::String)
        .push(") x))");
    }

    /// `json` keeps the text as it was written, which is canonical, and has no equality of its own.
    fn comparable(column: String, kind: &FieldKind) -> String {
        match kind {
            FieldKind::Json => format!("{column}::text"),
            _ => column,
        }
    }

    /// Not `IS NOT DISTINCT FROM`, which no index serves.
    fn same(sql: &mut Sql, column: &str, kind: &FieldKind, value: &Value) {
        if value.is_null() {
            sql.push(column).push(" IS NULL");
            return;
        }
        sql.push("(").push(column).push(" IS NOT NULL AND ");
        sql.push(column).push(" = ").value(value, kind).push(")");
    }

    /// Null is highest in PostgreSQL's own order. Columns that are never null keep the plain order,
    /// which is that of the indexes of keys.
    fn direction(direction: Direction, never_null: bool) -> &'static str {
        match (direction, never_null) {
            (Direction::Ascending, true) => "",
            (Direction::Ascending, false) => " NULLS FIRST",
            (Direction::Descending, true) => " DESC",
            (Direction::Descending, false) => " DESC NULLS LAST",
        }
    }

    fn has(self, sql: &mut Sql, ty: &Type, field: usize, item: &Value) {
        let list = format!("t.{}", names::column(ty, Column::Field(field)));
        if !ty.never_null(Column::Field(field)) {
            sql.push("(").push(&list).push(" IS NOT NULL AND ");
        }
        sql.push(&list).push(" @> ARRAY[").item(item).push("]");
        if !ty.never_null(Column::Field(field)) {
            sql.push(")");
        }
    }

    fn fit(name: String) -> String {
        names::fit(name)
    }

    /// A unique index of a partitioned table must hold what partitions it, so log types have none
    /// beside that of the id: the rules alone see to their keys.
    fn has_unique_indexes(ty: &Type) -> bool {
        ty.log().is_none()
    }
}
