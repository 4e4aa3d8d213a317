//! What things are called in the database.
//!
//! Tables and columns that people look at have the schema's names. All else is the store's own and
//! begins with `_osis_`; behind the plural stands a `$`, which no name of a schema holds, so that
//! no two names can clash, whatever a schema calls its types and fields. (SQLite takes `$` in a
//! name without quotes too.) Field names never begin with `_`, which keeps `_n` and the columns of
//! folded keys apart from them.

use osis_core::schema::{Column, Direction, Key, Type};

/// Commits, identity and version of the store: one row.
pub(crate) const META: &str = "_osis_meta";
/// Every schema that was in force, with the steps to it and back.
pub(crate) const HISTORY: &str = "_osis_schema_history";
/// The change feed.
pub(crate) const CHANGES: &str = "_osis_changes";
/// Rows whose text is not yet in the text index as it should be.
pub(crate) const PENDING: &str = "_osis_text_pending";

/// What the store is an unfinished copy of; there only as long as it is one.
pub(crate) const COPYING: &str = "_osis_copying";

/// Puts a name in quotes.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Puts a text in quotes, as SQL writes texts.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The quoted name of a type's table.
pub(crate) fn table(ty: &Type) -> String {
    quote(&ty.plural)
}

/// The quoted name of a column.
pub(crate) fn column(ty: &Type, column: Column) -> String {
    quote(ty.column_name(column))
}

/// The quoted name of the column that holds the folded form of a field.
pub(crate) fn fold_column(ty: &Type, field: usize) -> String {
    quote(&format!("_{}_fold", ty.fields[field].name))
}

/// The quoted names of the columns in which a key is compared.
pub(crate) fn key_columns(ty: &Type, key: &Key) -> Vec<String> {
    let fields = key.fields.iter().map(|&field| match key.fold {
        true => fold_column(ty, field),
        false => column(ty, Column::Field(field)),
    });
    fields.collect()
}

/// The name of the side table with the items of an indexed list.
pub(crate) fn list_table(ty: &Type, field: usize) -> String {
    format!("_osis_{}${}", ty.plural, ty.fields[field].name)
}

/// The name of the text index of a type.
pub(crate) fn text_table(ty: &Type) -> String {
    format!("_osis_{}$$text", ty.plural)
}

/// The quoted name of a field in the text index; FTS5 keeps some names to itself (`rank`), but
/// none that begins so.
pub(crate) fn text_column(ty: &Type, field: usize) -> String {
    quote(&format!("_{}", ty.fields[field].name))
}

/// The name of an index over columns.
pub(crate) fn index(ty: &Type, columns: &[(Column, Direction)]) -> String {
    let mut name = format!("_osis_{}$$index", ty.plural);
    for (column, direction) in columns {
        name.push_str(if *direction == Direction::Descending {
            "$-"
        } else {
            "$"
        });
        name.push_str(ty.column_name(*column));
    }
    name
}

/// The name of the unique index of a key.
pub(crate) fn unique_index(ty: &Type, key: &Key) -> String {
    let mut name = format!("_osis_{}$$unique", ty.plural);
    for &field in &key.fields {
        name.push('$');
        name.push_str(&ty.fields[field].name);
    }
    name
}
