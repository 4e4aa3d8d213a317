//! Which columns a row has, and in which order.
//!
//! Columns have the order of [`select_list`]: id, rev, times, then the fields as in the schema. So
//! an engine reads and binds a row by position, without a name being looked up.

use osis_core::object::Row;
use osis_core::schema::{Column, Type};
use osis_core::value::Value;

use crate::dialect::Dialect;
use crate::names;

/// The columns of a type's table `t`, in the order of [`all_columns`].
pub fn select_list(ty: &Type) -> String {
    let columns: Vec<String> = all_columns(ty)
        .map(|column| format!("t.{}", names::column(ty, column)))
        .collect();
    columns.join(", ")
}

/// The columns of a type, system columns first.
pub fn all_columns(ty: &Type) -> impl Iterator<Item = Column> {
    let system = [
        Column::Id,
        Column::Rev,
        Column::CreatedAt,
        Column::UpdatedAt,
    ];
    system
        .into_iter()
        .chain((0..ty.fields.len()).map(Column::Field))
}

/// The quoted columns that a new row sets: the id first, folded keys last.
pub fn written_columns<D: Dialect>(ty: &Type) -> Vec<String> {
    let columns = all_columns(ty).map(|column| names::column(ty, column));
    columns
        .chain(fold_fields(ty).map(|field| names::fold_column::<D>(ty, field)))
        .collect()
}

/// The fields that have a column for their folded form, in the order of those columns.
pub fn fold_fields(ty: &Type) -> impl Iterator<Item = usize> {
    ty.keys
        .iter()
        .filter(|key| key.fold)
        .flat_map(|key| key.fields.iter().copied())
}

/// The folded form of a field of a row, in which a key compares it; null where it is unset.
pub fn folded(ty: &Type, field: usize, row: &Row) -> Value {
    let key = ty
        .keys
        .iter()
        .find(|key| key.fold && key.fields.contains(&field));
    let values = key.map(|key| key.normalise(std::slice::from_ref(&row.values[field])));
    values
        .and_then(|mut values| values.pop())
        .unwrap_or(Value::Null)
}

/// A seq or a count as databases hold it, whose integers have a sign; it never comes near the end of either.
pub fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A seq or a count as a database held it.
pub fn unsigned(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
