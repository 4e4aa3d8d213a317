//! Schema → tables, indexes, text indexes.
//!
//! What is made here is described before it is made: a [`Layout`] lists the things of one type by
//! name, so that a new database creates them all and a changed schema creates what is new
//! ([`crate::migrate`]).

use std::collections::BTreeMap;

use osis_core::schema::{Column, Direction, Field, FieldKind, Item, Schema, Type};
use osis_core::text;

use crate::names::{self, literal, quote};

/// What a type is in the database.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The name of its table.
    pub(crate) table: String,
    /// Names and definitions of its columns.
    pub(crate) columns: Vec<(String, String)>,
    /// Names of its indexes with the statements that make them.
    pub(crate) indexes: BTreeMap<String, String>,
    /// The side tables of indexed lists.
    pub(crate) lists: BTreeMap<String, ListTable>,
    /// Name and statement of its text index.
    pub(crate) text: Option<(String, String)>,
}

/// The side table of an indexed list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListTable {
    /// The column that holds the list.
    pub(crate) column: String,
    /// The statement that makes the table.
    pub(crate) create: String,
}

impl Layout {
    /// What a type of a schema is in the database.
    pub(crate) fn of(schema: &Schema, ty: &Type) -> Self {
        let fields = 0..ty.fields.len();
        let lists = fields.filter_map(|field| list_table(ty, field)).collect();
        Self {
            table: ty.plural.clone(),
            columns: columns(schema, ty),
            indexes: indexes(ty),
            lists,
            text: text_table(ty),
        }
    }

    /// The statements that make it.
    pub(crate) fn create(&self) -> Vec<String> {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|(name, kind)| format!("  {} {kind}", quote(name)))
            .collect();
        let table = format!(
            "CREATE TABLE {} (\n{}\n) STRICT",
            quote(&self.table),
            columns.join(",\n")
        );
        let lists = self.lists.values().map(|list| &list.create);
        let parts = self
            .indexes
            .values()
            .chain(lists)
            .chain(self.text.iter().map(|(_, sql)| sql));
        std::iter::once(table).chain(parts.cloned()).collect()
    }
}

/// The statements that make all of a schema's types.
pub(crate) fn create_types(schema: &Schema) -> Vec<String> {
    schema
        .types
        .iter()
        .flat_map(|ty| Layout::of(schema, ty).create())
        .collect()
}

/// The statements that make the store's own tables.
pub(crate) fn create_system() -> Vec<String> {
    let (meta, history) = (names::META, names::HISTORY);
    let (changes, pending) = (names::CHANGES, names::PENDING);
    vec![
        format!(
            "CREATE TABLE {meta} (\n  \
             one INTEGER PRIMARY KEY CHECK (one = 1),\n  \
             store_id TEXT NOT NULL,\n  \
             seq INTEGER NOT NULL,\n  \
             oldest INTEGER NOT NULL,\n  \
             schema_hash TEXT NOT NULL\n\
             ) STRICT"
        ),
        format!(
            "CREATE TABLE {history} (\n  \
             n INTEGER PRIMARY KEY,\n  \
             name TEXT NOT NULL,\n  \
             version INTEGER NOT NULL,\n  \
             hash TEXT NOT NULL,\n  \
             text TEXT NOT NULL,\n  \
             applied_at TEXT NOT NULL,\n  \
             up TEXT NOT NULL,\n  \
             down TEXT NOT NULL\n\
             ) STRICT"
        ),
        format!(
            "CREATE TABLE {changes} (\n  \
             seq INTEGER NOT NULL,\n  \
             ordinal INTEGER NOT NULL,\n  \
             type TEXT NOT NULL,\n  \
             id TEXT NOT NULL,\n  \
             rev INTEGER NOT NULL,\n  \
             op TEXT NOT NULL,\n  \
             at TEXT NOT NULL,\n  \
             PRIMARY KEY (seq, ordinal)\n\
             ) STRICT, WITHOUT ROWID"
        ),
        format!(
            "CREATE TABLE {pending} (\n  \
             type TEXT NOT NULL,\n  \
             n INTEGER NOT NULL,\n  \
             PRIMARY KEY (type, n)\n\
             ) STRICT, WITHOUT ROWID"
        ),
    ]
}

fn columns(schema: &Schema, ty: &Type) -> Vec<(String, String)> {
    // The integer key is explicit: the text index refers to it, and VACUUM may renumber one that
    // is not.
    let system = [
        ("_n", "INTEGER PRIMARY KEY"),
        ("id", "TEXT NOT NULL UNIQUE"),
        ("rev", "INTEGER NOT NULL"),
        ("created_at", "TEXT NOT NULL"),
        ("updated_at", "TEXT NOT NULL"),
    ];
    let system = system
        .into_iter()
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    let fields = ty
        .fields
        .iter()
        .map(|field| (field.name.clone(), definition(schema, field)));
    let folds = ty.keys.iter().filter(|key| key.fold).flat_map(|key| {
        key.fields
            .iter()
            .map(|&field| (format!("_{}_fold", ty.fields[field].name), "TEXT".into()))
    });
    system.chain(fields).chain(folds).collect()
}

fn definition(schema: &Schema, field: &Field) -> String {
    let kind = match &field.kind {
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
    };
    let mut definition = kind.to_owned();
    if field.required {
        definition.push_str(" NOT NULL");
    }
    match &field.kind {
        FieldKind::Bool => {
            definition.push_str(&format!(" CHECK ({} IN (0, 1))", quote(&field.name)));
        }
        // No action and deferred: core carries out what a delete means, and within a batch a
        // referrer may be written before what it refers to.
        FieldKind::Ref { to, .. } => definition.push_str(&format!(
            " REFERENCES {} (\"id\") DEFERRABLE INITIALLY DEFERRED",
            names::table(&schema.types[*to])
        )),
        _ => {}
    }
    definition
}

fn indexes(ty: &Type) -> BTreeMap<String, String> {
    let mut indexes = BTreeMap::new();
    for key in &ty.keys {
        let (name, columns) = (names::unique_index(ty, key), names::key_columns(ty, key));
        let sql = format!(
            "CREATE UNIQUE INDEX {} ON {} ({})",
            quote(&name),
            names::table(ty),
            columns.join(", ")
        );
        indexes.insert(name, sql);
    }
    let single = (0..ty.fields.len()).filter(|&field| needs_index(&ty.fields[field]));
    let single = single.map(|field| vec![(Column::Field(field), Direction::Ascending)]);
    for columns in single.chain(ty.indexes.iter().cloned()) {
        let (name, sql) = (names::index(ty, &columns), plain_index(ty, &columns));
        indexes.insert(name, sql);
    }
    indexes
}

/// Every ref is indexed, so that a delete finds its referrers; a list has a side table instead.
fn needs_index(field: &Field) -> bool {
    match field.kind {
        FieldKind::Ref { .. } => true,
        FieldKind::List(_) => false,
        _ => field.index,
    }
}

/// An index ends with the id, as every sort does: so it gives whole pages in their order.
fn plain_index(ty: &Type, columns: &[(Column, Direction)]) -> String {
    let mut terms: Vec<String> = Vec::new();
    for (column, direction) in columns {
        let falling = if *direction == Direction::Descending {
            " DESC"
        } else {
            ""
        };
        terms.push(format!("{}{falling}", names::column(ty, *column)));
    }
    if !columns.iter().any(|(column, _)| *column == Column::Id) {
        terms.push(names::column(ty, Column::Id));
    }
    format!(
        "CREATE INDEX {} ON {} ({})",
        quote(&names::index(ty, columns)),
        names::table(ty),
        terms.join(", ")
    )
}

/// Whether a field is a list whose items stand in a side table.
pub(crate) fn is_indexed_list(field: &Field) -> bool {
    matches!(field.kind, FieldKind::List(_)) && field.index
}

fn list_table(ty: &Type, field: usize) -> Option<(String, ListTable)> {
    let FieldKind::List(item) = ty.fields[field].kind else {
        return None;
    };
    if !is_indexed_list(&ty.fields[field]) {
        return None;
    }
    let kind = if item == Item::Int { "INTEGER" } else { "TEXT" };
    let name = names::list_table(ty, field);
    let create = format!(
        "CREATE TABLE {} (\n  \
         value {kind} NOT NULL,\n  \
         n INTEGER NOT NULL,\n  \
         PRIMARY KEY (value, n)\n\
         ) STRICT, WITHOUT ROWID",
        quote(&name)
    );
    Some((
        name,
        ListTable {
            column: ty.fields[field].name.clone(),
            create,
        },
    ))
}

fn text_table(ty: &Type) -> Option<(String, String)> {
    let fields = text::searchable(ty);
    if fields.is_empty() {
        return None;
    }
    let name = names::text_table(ty);
    let columns: Vec<String> = fields.iter().map(|&f| names::text_column(ty, f)).collect();
    let sql = format!(
        "CREATE VIRTUAL TABLE {} USING fts5({}, content='', contentless_delete=1, tokenize={})",
        quote(&name),
        columns.join(", "),
        literal(&tokenizer())
    );
    Some((name, sql))
}

/// A tokenizer that splits at blanks alone, for words that core has made: all other ASCII
/// characters are declared part of words, and `ascii` takes all beyond ASCII as such.
fn tokenizer() -> String {
    let punctuation: String = (0x21..0x7f_u8)
        .map(char::from)
        .filter(char::is_ascii_punctuation)
        .collect();
    format!("ascii tokenchars {}", literal(&punctuation))
}
