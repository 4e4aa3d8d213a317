//! What things are called in the database: the names that all engines share, and those of what SQLite
//! alone has.

use osis_core::schema::Type;

pub(crate) use osis_sql::names::{
    CHANGES, HISTORY, META, ROLLED_UP, ROLLUPS, column, literal, quote, table,
};

/// Rows whose text is not yet in the text index as it should be.
pub(crate) const PENDING: &str = "_osis_text_pending";

/// Rows whose text went into the text index lately, in the order in which it did.
pub(crate) const TAKEN_IN: &str = "_osis_text_taken_in";

/// What the store is an unfinished copy of; there only as long as it is one.
pub(crate) const COPYING: &str = "_osis_copying";

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
