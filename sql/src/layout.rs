//! Schema → tables and indexes.
//!
//! What is made is described before it is made: a [`Layout`] lists the things of one type by name,
//! so that a new database creates them all and a changed schema creates what is new
//! ([`crate::plan()`]).

use std::collections::BTreeMap;

use osis_core::schema::{Column, Direction, Field, FieldKind, Type};

use crate::dialect::Dialect;
use crate::names::{self, quote};
use crate::plan::Plan;
use crate::query::directed;
use crate::rows::fold_fields;

/// What a type is in the database.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout<P> {
    /// The name of its table.
    pub table: String,
    /// Names and definitions of its columns.
    pub columns: Vec<(String, String)>,
    /// Names of its indexes with the statements that make them.
    pub indexes: BTreeMap<String, String>,
    /// What the engine has beside.
    pub parts: P,
}

/// What an engine has of a type beside its table and indexes: side tables, text indexes,
/// partitions.
pub trait Parts: Sized {
    /// What stands behind the columns where the table is made.
    fn options(&self) -> String;

    /// The statements that make them, the table and its indexes being there.
    fn create(&self, table: &str) -> Vec<String>;

    /// The statements that undo [`Layout::create`], the last to be done first.
    fn remove(layout: &Layout<Self>, type_name: &str) -> Vec<String>;

    /// Plans how they change.
    fn change(plan: &mut Plan, old: &Layout<Self>, new: &Layout<Self>, type_name: &str);
}

impl<P: Parts> Layout<P> {
    /// The statements that make it.
    pub fn create(&self) -> Vec<String> {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, kind)| format!("  {} {kind}", quote(name)))
            .collect();
        let table = format!(
            "CREATE TABLE {} (\n{}\n){}",
            quote(&self.table),
            columns.join(",\n"),
            self.parts.options()
        );
        std::iter::once(table)
            .chain(self.indexes.values().cloned())
            .chain(self.parts.create(&self.table))
            .collect()
    }
}

/// The names and definitions of a type's columns: those of the store, of the fields, of folded keys.
/// `more` is what stands behind the definition of a field's.
pub fn columns<D: Dialect>(ty: &Type, more: impl Fn(&Field) -> String) -> Vec<(String, String)> {
    let required = |kind| format!("{} NOT NULL", D::declared(kind));
    let system = [
        ("id", D::ID.to_owned()),
        ("rev", required(&FieldKind::Int)),
        ("created_at", required(&FieldKind::Time)),
        ("updated_at", required(&FieldKind::Time)),
    ];
    let system = system.map(|(name, definition)| (name.to_owned(), definition));
    let fields = ty.fields.iter().map(|field| {
        let definition = match field.required {
            true => required(&field.kind),
            false => D::declared(&field.kind).to_owned(),
        };
        (field.name.clone(), definition + &more(field))
    });
    let folds = fold_fields(ty).map(|field| {
        let name = names::fold_name::<D>(ty, field);
        (name, D::declared(&FieldKind::String).to_owned())
    });
    system.into_iter().chain(fields).chain(folds).collect()
}

/// The indexes of a type's keys, of its indexed fields and of its composite indexes.
pub fn indexes<D: Dialect>(ty: &Type) -> BTreeMap<String, String> {
    let mut indexes = BTreeMap::new();
    for key in &ty.keys {
        let name = names::unique_index::<D>(ty, key);
        let kind = match D::has_unique_indexes(ty) {
            true => "UNIQUE INDEX",
            false => "INDEX",
        };
        let sql = format!(
            "CREATE {kind} {} ON {} ({})",
            quote(&name),
            names::table(ty),
            names::key_columns::<D>(ty, key).join(", ")
        );
        indexes.insert(name, sql);
    }
    let single = (0..ty.fields.len()).filter(|&field| needs_index(&ty.fields[field]));
    let single = single.map(|field| vec![(Column::Field(field), Direction::Ascending)]);
    for columns in single.chain(ty.indexes.iter().cloned()) {
        let name = names::index::<D>(ty, &columns);
        let sql = plain_index::<D>(ty, &name, &columns);
        indexes.insert(name, sql);
    }
    indexes
}

/// Whether a field is a list whose items are indexed.
pub fn is_indexed_list(field: &Field) -> bool {
    matches!(field.kind, FieldKind::List(_)) && field.index
}

/// Every ref is indexed, so that a delete finds its referrers; lists are the engine's affair.
fn needs_index(field: &Field) -> bool {
    match field.kind {
        FieldKind::Ref { .. } => true,
        FieldKind::List(_) => false,
        _ => field.index,
    }
}

/// An index ends with the id, as every sort does: so it gives whole pages in their order.
fn plain_index<D: Dialect>(ty: &Type, name: &str, columns: &[(Column, Direction)]) -> String {
    let mut terms: Vec<String> = Vec::new();
    for (column, direction) in columns {
        let directed = directed::<D>(ty, *column, *direction);
        terms.push(format!("{}{directed}", names::column(ty, *column)));
    }
    if !columns.iter().any(|(column, _)| *column == Column::Id) {
        terms.push(names::column(ty, Column::Id));
    }
    format!(
        "CREATE INDEX {} ON {} ({})",
        quote(name),
        names::table(ty),
        terms.join(", ")
    )
}
