//! Statements over a type's table that are always the same.

use osis_core::schema::{Column, FieldKind, Type};

use crate::dialect::Dialect;
use crate::names;
use crate::rows::select_list;

/// Rows of a type, whole: what `WHERE` comes behind.
pub fn select(ty: &Type) -> String {
    format!("SELECT {} FROM {} t", select_list(ty), names::table(ty))
}

/// For each field, the rows in which it refers to an id, in the order of their own ids; empty for a
/// field that is no ref.
pub fn referrers<D: Dialect>(ty: &Type) -> Vec<String> {
    let (select, mark) = (select(ty), D::placeholder(1));
    let fields = ty.fields.iter().enumerate();
    let statements = fields.map(|(n, field)| match field.kind {
        FieldKind::Ref { .. } => {
            let column = names::column(ty, Column::Field(n));
            format!("{select} WHERE t.{column} = {mark} ORDER BY t.\"id\"")
        }
        _ => String::new(),
    });
    statements.collect()
}

/// A new row: a value for each of some columns.
pub fn insert<D: Dialect>(ty: &Type, columns: &[String]) -> String {
    let marks: Vec<String> = (1..=columns.len()).map(D::placeholder).collect();
    format!(
        "INSERT INTO {} ({}) VALUES ({})",
        names::table(ty),
        columns.join(", "),
        marks.join(", ")
    )
}
