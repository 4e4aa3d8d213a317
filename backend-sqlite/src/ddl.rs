//! Schema → tables, indexes, text indexes, as SQLite has them.

use std::collections::BTreeMap;

use osis_core::schema::{Field, FieldKind, Item, Schema, Type};
use osis_core::text;
use osis_sql::{Parts, Plan, indexes, is_indexed_list};

use crate::dialect::Sqlite;
use crate::names::{self, PENDING, literal, quote};

/// What a type is in the database.
pub(crate) type Layout = osis_sql::Layout<SideTables>;

/// What stands beside a type's table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SideTables {
    /// The side tables of indexed lists.
    lists: BTreeMap<String, ListTable>,
    /// Name and statement of its text index.
    text: Option<(String, String)>,
}

/// The side table of an indexed list.
#[derive(Debug, PartialEq, Eq)]
struct ListTable {
    /// The column that holds the list.
    column: String,
    /// The statement that makes the table.
    create: String,
}

/// What a type of a schema is in the database.
pub(crate) fn layout(schema: &Schema, ty: &Type) -> Layout {
    let fields = 0..ty.fields.len();
    let lists = fields.filter_map(|field| list_table(ty, field)).collect();
    Layout {
        table: ty.plural.clone(),
        columns: columns(schema, ty),
        indexes: indexes::<Sqlite>(ty),
        parts: SideTables {
            lists,
            text: text_table(ty),
        },
    }
}

impl Parts for SideTables {
    fn options(&self) -> String {
        " STRICT".to_owned()
    }

    fn create(&self, _: &str) -> Vec<String> {
        let lists = self.lists.values().map(|list| &list.create);
        let text = self.text.iter().map(|(_, sql)| sql);
        lists.chain(text).cloned().collect()
    }

    fn remove(layout: &Layout, type_name: &str) -> Vec<String> {
        let forget = format!("DELETE FROM {PENDING} WHERE type = {}", literal(type_name));
        let text = layout.parts.text.iter().map(|(name, _)| name);
        let tables = std::iter::once(&layout.table)
            .chain(layout.parts.lists.keys())
            .chain(text);
        let drops = tables.map(|name| format!("DROP TABLE {}", quote(name)));
        std::iter::once(forget).chain(drops).collect()
    }

    fn change(plan: &mut Plan, old: &Layout, new: &Layout, type_name: &str) {
        change_lists(plan, &new.table, &old.parts.lists, &new.parts.lists);
        if old.parts.text != new.parts.text {
            change_text(plan, old, new, type_name);
        }
    }
}

/// The statements that make all of a schema's types.
pub(crate) fn create_types(schema: &Schema) -> Vec<String> {
    schema
        .types
        .iter()
        .flat_map(|ty| layout(schema, ty).create())
        .collect()
}

/// The statements that make the store's own tables.
pub(crate) fn create_system() -> Vec<String> {
    let (meta, history) = (names::META, names::HISTORY);
    let (changes, pending, taken_in) = (names::CHANGES, names::PENDING, names::TAKEN_IN);
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
        format!(
            "CREATE TABLE {taken_in} (\n  \
             type TEXT NOT NULL,\n  \
             at INTEGER NOT NULL,\n  \
             n INTEGER NOT NULL,\n  \
             PRIMARY KEY (type, at)\n\
             ) STRICT, WITHOUT ROWID"
        ),
    ]
}

fn columns(schema: &Schema, ty: &Type) -> Vec<(String, String)> {
    // Explicit: the text index refers to it, and VACUUM may renumber one that is not.
    let number = ("_n".to_owned(), "INTEGER PRIMARY KEY".to_owned());
    let more = |field: &Field| constraint(schema, field);
    std::iter::once(number)
        .chain(osis_sql::columns::<Sqlite>(ty, more))
        .collect()
}

/// What a field's column promises, as a second wall.
fn constraint(schema: &Schema, field: &Field) -> String {
    match &field.kind {
        FieldKind::Bool => format!(" CHECK ({} IN (0, 1))", quote(&field.name)),
        // No action and deferred: core carries out what a delete means, and within a batch a
        // referrer may be written before what it refers to.
        FieldKind::Ref { to, .. } => format!(
            " REFERENCES {} (\"id\") DEFERRABLE INITIALLY DEFERRED",
            names::table(&schema.types[*to])
        ),
        _ => String::new(),
    }
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

fn change_lists(
    plan: &mut Plan,
    table: &str,
    old: &BTreeMap<String, ListTable>,
    new: &BTreeMap<String, ListTable>,
) {
    let drop = |name: &str| format!("DROP TABLE {}", quote(name));
    for (name, list) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        // Undone in reverse: first the table, then what is in it.
        plan.steps(
            vec![drop(name)],
            vec![fill(table, name, list), list.create.clone()],
        );
    }
    for (name, list) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        plan.steps(
            vec![list.create.clone(), fill(table, name, list)],
            vec![drop(name)],
        );
    }
}

/// A text index has fixed columns: where they change it is made anew, and everything is noted
/// to be taken in.
fn change_text(plan: &mut Plan, old: &Layout, new: &Layout, type_name: &str) {
    let forget = format!("DELETE FROM {PENDING} WHERE type = {}", literal(type_name));
    let note = format!(
        "INSERT OR IGNORE INTO {PENDING} (type, n) SELECT {}, \"_n\" FROM {}",
        literal(type_name),
        quote(&new.table)
    );
    let replace = |from: &Layout, to: &Layout| {
        let mut steps = vec![forget.clone()];
        steps.extend(
            from.parts
                .text
                .iter()
                .map(|(name, _)| format!("DROP TABLE {}", quote(name))),
        );
        if let Some((_, create)) = &to.parts.text {
            steps.extend([create.clone(), note.clone()]);
        }
        steps
    };
    let mut back = replace(new, old);
    back.reverse();
    plan.steps(replace(old, new), back);
}

/// Fills the side table of a list from the lists themselves.
fn fill(table: &str, name: &str, list: &ListTable) -> String {
    format!(
        "INSERT OR IGNORE INTO {} (value, n) \
         SELECT j.value, t.\"_n\" FROM {} t, json_each(t.{}) j",
        quote(name),
        quote(table),
        quote(&list.column)
    )
}
