//! What things are called in the database.
//!
//! Tables and columns that people look at have the schema's names. All else is the store's own and
//! begins with `_osis_`; behind the plural stands a `$`, which no name of a schema holds, so that
//! no two names can clash, whatever a schema calls its types and fields. (SQLite and PostgreSQL take
//! `$` in a name without quotes too.) Field names never begin with `_`, which keeps the store's own
//! columns apart from them.

use osis_core::schema::{Column, Direction, Key, Type};

use crate::dialect::Dialect;

/// Commits, identity and version of the store: one row.
pub const META: &str = "_osis_meta";
/// Every schema that was in force, with the steps to it and back.
pub const HISTORY: &str = "_osis_schema_history";
/// The change feed.
pub const CHANGES: &str = "_osis_changes";
/// The cells of the roll-ups of all types.
pub const ROLLUPS: &str = "_osis_rollups";
/// Which types are rolled up, and how.
pub const ROLLED_UP: &str = "_osis_rolled_up";

/// Puts a name in quotes.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Puts a text in quotes, as SQL writes texts.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The quoted name of a type's table.
pub fn table(ty: &Type) -> String {
    quote(&ty.plural)
}

/// The quoted name of a column.
pub fn column(ty: &Type, column: Column) -> String {
    quote(ty.column_name(column))
}

/// The name of the column that holds the folded form of a field.
pub fn fold_name<D: Dialect>(ty: &Type, field: usize) -> String {
    D::fit(format!("_{}_fold", ty.fields[field].name))
}

/// The same in quotes.
pub fn fold_column<D: Dialect>(ty: &Type, field: usize) -> String {
    quote(&fold_name::<D>(ty, field))
}

/// The quoted names of the columns in which a key is compared.
pub fn key_columns<D: Dialect>(ty: &Type, key: &Key) -> Vec<String> {
    let fields = key.fields.iter().map(|&field| match key.fold {
        true => fold_column::<D>(ty, field),
        false => column(ty, Column::Field(field)),
    });
    fields.collect()
}

/// The name of an index over columns.
pub fn index<D: Dialect>(ty: &Type, columns: &[(Column, Direction)]) -> String {
    let mut name = format!("_osis_{}$$index", ty.plural);
    for (column, direction) in columns {
        name.push_str(if *direction == Direction::Descending {
            "$-"
        } else {
            "$"
        });
        name.push_str(ty.column_name(*column));
    }
    D::fit(name)
}

/// The name of the unique index of a key.
pub fn unique_index<D: Dialect>(ty: &Type, key: &Key) -> String {
    let mut name = format!("_osis_{}$$unique", ty.plural);
    for &field in &key.fields {
        name.push('$');
        name.push_str(&ty.fields[field].name);
    }
    D::fit(name)
}
