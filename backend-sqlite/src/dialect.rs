//! How SQLite writes what other databases write in another way.

use osis_core::schema::{Column, Direction, FieldKind, Type};
use osis_core::value::Value;
use osis_sql::Dialect;

use crate::names;
use crate::sql::Sql;

/// SQLite, with how rows are found whose indexed list holds an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sqlite {
    /// The rows that hold it are collected first: good where they are few.
    #[default]
    Collect,
    /// Each row that comes up is asked whether it holds it: good where rows come up in the wanted
    /// order and many of them do.
    Ask,
}

impl Dialect for Sqlite {
    const TRUE: &'static str = "1";
    const FALSE: &'static str = "0";
    const ID: &'static str = "TEXT NOT NULL UNIQUE";

    fn declared(kind: &FieldKind) -> &'static str {
        match kind {
            FieldKind::Int | FieldKind::Bool => "INTEGER",
            FieldKind::Float => "REAL",
            FieldKind::Bytes => "BLOB",
            FieldKind::String
            | FieldKind::Text
            | FieldKind::Time
            | FieldKind::Enum(_)
            | FieldKind::Ref { .. }
            | FieldKind::List(_)
            | FieldKind::Json => "TEXT",
        }
    }

    fn placeholder(_: usize) -> String {
        "?".to_owned()
    }

    /// A subquery, whose text, and so the cached statement, is the same for any number of values.
    fn among(placeholder: &str) -> String {
        format!(" IN (SELECT value FROM rarray({placeholder}))")
    }

    /// Both `IS` and `=` use an index; `=`, where nothing is null, lets the planner see too that a
    /// key has one row at most.
    fn same(sql: &mut Sql, column: &str, kind: &FieldKind, value: &Value) {
        sql.push(column).push(" IS ").value(value, kind);
    }

    /// Null is lowest in SQLite's order too.
    fn direction(direction: Direction, _: bool) -> &'static str {
        match direction {
            Direction::Ascending => "",
            Direction::Descending => " DESC",
        }
    }

    fn has(self, sql: &mut Sql, ty: &Type, field: usize, item: &Value) {
        let table = names::quote(&names::list_table(ty, field));
        match self {
            _ if !ty.fields[field].index => {
                let list = names::column(ty, Column::Field(field));
                sql.push("EXISTS (SELECT 1 FROM json_each(t.").push(&list);
                sql.push(") WHERE value = ").item(item).push(")");
            }
            Self::Collect => {
                sql.push("t.\"_n\" IN (SELECT n FROM ")
                    .push(&table)
                    .push(" WHERE value = ");
                sql.item(item).push(")");
            }
            Self::Ask => {
                sql.push("EXISTS (SELECT 1 FROM ")
                    .push(&table)
                    .push(" WHERE value = ");
                sql.item(item).push(" AND n = t.\"_n\")");
            }
        }
    }
}
