//! Where databases differ.

use std::fmt::Debug;

use osis_core::schema::{Direction, FieldKind, Type};
use osis_core::value::Value;

use crate::statement::Sql;

/// How one database writes what others write in another way.
///
/// A value of it may hold how a query is best run; what it means is the same for all values.
pub trait Dialect: Copy + Default + Debug {
    /// A condition that every row meets.
    const TRUE: &'static str;
    /// A condition that no row meets.
    const FALSE: &'static str;

    /// What the column with the id is declared as.
    const ID: &'static str;

    /// What a column for values of a kind is declared as.
    fn declared(kind: &FieldKind) -> &'static str;

    /// What stands for the `n`th value of a statement, from 1.
    fn placeholder(n: usize) -> String;

    /// What behind a column says that it is one of many values, which stand at a placeholder.
    fn among(placeholder: &str) -> String;

    /// Adds the condition that a column is one of values that are not null.
    fn one_of(sql: &mut Sql<Self>, column: &str, kind: &FieldKind, values: &[&Value]) {
        sql.push(column).among(values.iter().copied(), kind);
    }

    /// What is compared of a column, where the database compares not the column as it is.
    fn comparable(column: String, kind: &FieldKind) -> String {
        let _ = kind;
        column
    }

    /// Adds the condition that a column which may be null equals a value, null being equal to null.
    /// It is true or false, never null, and an index over the column can serve it.
    fn same(sql: &mut Sql<Self>, column: &str, kind: &FieldKind, value: &Value);

    /// What stands behind a column in an order or an index, so that null is lowest and the order of
    /// a page is that of an index.
    fn direction(direction: Direction, never_null: bool) -> &'static str;

    /// Adds the condition that a list holds an item of its kind: true or false, never null.
    fn has(self, sql: &mut Sql<Self>, ty: &Type, field: usize, item: &Value);

    /// A name as the database keeps it, which must not cut it.
    fn fit(name: String) -> String {
        name
    }

    /// Whether a type's keys have unique indexes, as a second wall behind the rules.
    fn has_unique_indexes(ty: &Type) -> bool {
        let _ = ty;
        true
    }
}
