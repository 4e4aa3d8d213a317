//! What things are called in the database: the names that all engines share, and those of what
//! PostgreSQL alone has.

use osis_core::schema::{Column, Type};

pub(crate) use osis_sql::names::{
    CHANGES, HISTORY, META, ROLLED_UP, ROLLUPS, column, literal, quote, table,
};

/// What each process that writes has committed last: how an unclear commit is cleared up.
pub(crate) const WRITERS: &str = "_osis_writers";
/// How many objects each searchable type has, and how long their fields are altogether.
pub(crate) const LENGTHS: &str = "_osis_text_lengths";
/// In how many objects of a type each word occurs.
pub(crate) const TERMS: &str = "_osis_terms";
/// The column with the words of a searchable type's rows.
pub(crate) const WORDS: &str = "_words";
/// The column with the numbers of slots of the searchable fields.
pub(crate) const SLOTS: &str = "_slots";

/// PostgreSQL cuts longer names silently.
const NAME_BYTES_MAX: usize = 63;
/// How much of a long name stays readable.
const NAME_BYTES_KEPT: usize = 46;

/// A name that PostgreSQL does not cut: a long one ends in a digest of the whole.
pub(crate) fn fit(name: String) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name;
    }
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(name.as_bytes());
    let digest: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // Names are ASCII: those of a schema and what stands before and behind them.
    let kept = name.get(..NAME_BYTES_KEPT).unwrap_or_default();
    format!("{kept}${digest}")
}

/// The name of the index over an indexed list.
pub(crate) fn list_index(ty: &Type, field: usize) -> String {
    let name = ty.column_name(Column::Field(field));
    fit(format!("_osis_{}$$items${name}", ty.plural))
}

/// The name of the text index of a type.
pub(crate) fn text_index(ty: &Type) -> String {
    fit(format!("_osis_{}$$text", ty.plural))
}

/// The name of the index over the rows of a type whose words do not fit.
pub(crate) fn unfit_index(ty: &Type) -> String {
    fit(format!("_osis_{}$$unfit", ty.plural))
}

/// The name of the partition of a log type for what no other partition takes.
pub(crate) fn default_partition(plural: &str) -> String {
    fit(format!("_osis_{plural}$$rest"))
}

/// The name of the partition of a log type for a month: `2026_11`.
pub(crate) fn month_partition(plural: &str, month: &str) -> String {
    fit(format!("_osis_{plural}$$month${month}"))
}
