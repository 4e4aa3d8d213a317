//! The statements that are always the same, made once for each type when a store is opened.
//!
//! SQLite keeps them prepared by their text; here is the text, so that no call makes it again.

use std::fmt;

use osis_core::schema::{Column, Type};
use osis_core::text;
use osis_sql::{is_indexed_list, statements, written_columns};

use crate::dialect::Sqlite;
use crate::names;

/// The statements of one type.
pub(crate) struct TypeStatements {
    /// A row by its id.
    pub(crate) get: String,
    /// A row and its number by the number: what the text index is fed from.
    pub(crate) get_by_number: String,
    /// A row by each key: the values of its columns.
    pub(crate) get_by_key: Vec<String>,
    /// The rows whose ref field holds an id, in the order of their ids; for each field, empty for
    /// one that is no ref.
    pub(crate) referrers: Vec<String>,
    /// The rows whose fields all equal these, in the order of their ids.
    pub(crate) get_by_content: String,
    /// A new row: [`osis_sql::all_columns`], then the folded keys.
    pub(crate) insert: String,
    /// How a change of a row begins: its revision comes next.
    pub(crate) update: String,
    /// Removes a row by its id.
    pub(crate) remove: String,
    /// The side tables of indexed lists.
    pub(crate) lists: Vec<ListStatements>,
    /// The text index.
    pub(crate) text: Option<TextStatements>,
}

/// The statements of the side table of an indexed list: an item, the number of the row.
pub(crate) struct ListStatements {
    /// The field that holds the list.
    pub(crate) field: usize,
    /// Adds an item.
    pub(crate) add: String,
    /// Takes an item out.
    pub(crate) remove: String,
}

/// The statements of a text index.
pub(crate) struct TextStatements {
    /// Puts the words of a row in place of those that were there: its number, a text a field.
    pub(crate) put: String,
    /// Takes the words of a row out: its number.
    pub(crate) remove: String,
    /// Merges parts of the index: so many pages; negative to begin with all parts.
    pub(crate) merge: String,
}

// Statements are long and say nothing that the schema does not.
impl fmt::Debug for TypeStatements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypeStatements").finish_non_exhaustive()
    }
}

impl TypeStatements {
    /// Makes them.
    pub(crate) fn new(ty: &Type) -> Self {
        let table = names::table(ty);
        let select = statements::select(ty);
        let field = |field: usize| names::column(ty, Column::Field(field));
        let content: Vec<String> = (0..ty.fields.len())
            .map(|f| format!("t.{} IS ?", field(f)))
            .collect();
        Self {
            get: format!("{select} WHERE t.\"id\" = ?"),
            get_by_number: format!("{select} WHERE t.\"_n\" = ?"),
            get_by_key: ty
                .keys
                .iter()
                .map(|key| {
                    let columns = osis_sql::names::key_columns::<Sqlite>(ty, key);
                    let tests: Vec<String> = columns.iter().map(|c| format!("t.{c} = ?")).collect();
                    format!("{select} WHERE {}", tests.join(" AND "))
                })
                .collect(),
            referrers: statements::referrers::<Sqlite>(ty),
            get_by_content: format!(
                "{select} WHERE {} ORDER BY t.\"id\"",
                if content.is_empty() {
                    "1".to_owned()
                } else {
                    content.join(" AND ")
                }
            ),
            insert: statements::insert::<Sqlite>(ty, &written_columns::<Sqlite>(ty)),
            update: format!("UPDATE {table} SET \"rev\" = "),
            remove: format!("DELETE FROM {table} WHERE \"id\" = ? RETURNING \"_n\""),
            lists: lists(ty),
            text: text_statements(ty),
        }
    }
}

fn lists(ty: &Type) -> Vec<ListStatements> {
    let indexed = (0..ty.fields.len()).filter(|&field| is_indexed_list(&ty.fields[field]));
    let statements = indexed.map(|field| {
        let table = names::quote(&names::list_table(ty, field));
        ListStatements {
            field,
            // A list may hold an item twice.
            add: format!("INSERT OR IGNORE INTO {table} (value, n) VALUES (?, ?)"),
            remove: format!("DELETE FROM {table} WHERE value = ? AND n = ?"),
        }
    });
    statements.collect()
}

fn text_statements(ty: &Type) -> Option<TextStatements> {
    let fields = text::searchable(ty);
    if fields.is_empty() {
        return None;
    }
    let table = names::quote(&names::text_table(ty));
    let columns: Vec<String> = fields.iter().map(|&f| names::text_column(ty, f)).collect();
    let marks = vec!["?"; fields.len()].join(", ");
    Some(TextStatements {
        // Not a plain INSERT: a contentless table takes a second row of the same number silently.
        put: format!(
            "INSERT OR REPLACE INTO {table} (rowid, {}) VALUES (?, {marks})",
            columns.join(", ")
        ),
        remove: format!("DELETE FROM {table} WHERE rowid = ?"),
        merge: format!("INSERT INTO {table} ({table}, rank) VALUES ('merge', ?)"),
    })
}
