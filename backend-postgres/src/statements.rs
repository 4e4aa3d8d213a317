//! The statements that are always the same, made once for each type when a store is opened.
//!
//! A connection keeps them prepared by their text; here is the text, so that no call makes it again.

use std::fmt;

use osis_core::schema::{Column, FieldKind, Type};
use osis_core::text;
use osis_sql::names::key_columns;
use osis_sql::{all_columns, fold_fields, statements, written_columns};
use tokio_postgres::types::Type as SqlType;

use crate::dialect::Postgres;
use crate::names::{self, LENGTHS, SLOTS, WORDS, literal};
use crate::rows::{array_of, type_of};

/// The statements of one type.
pub(crate) struct TypeStatements {
    /// Rows by their ids, in any order: an array.
    pub(crate) get: String,
    /// Rows by each key, in any order: an array for each of its columns.
    pub(crate) get_by_key: Vec<String>,
    /// The rows whose ref field holds an id, in the order of their ids; for each field, empty for
    /// one that is no ref.
    pub(crate) referrers: Vec<String>,
    /// The rows whose fields all equal these, in the order of their ids.
    pub(crate) get_by_content: String,
    /// A new row: what is written of a row, in the order of [`Self::columns`].
    pub(crate) insert: String,
    /// Many new rows, in the binary form of `COPY`, with the same columns.
    pub(crate) copy: String,
    /// The types of what is written of a row.
    pub(crate) columns: Vec<SqlType>,
    /// A changed row: what is written of it, then the id (and of a log type the time, which says in
    /// which partition it is).
    pub(crate) update: Change,
    /// A changed row whose large fields and words stay as they are.
    pub(crate) update_small: Change,
    /// Removes a row by its id (and time).
    pub(crate) remove: Change,
    /// The text index.
    pub(crate) text: Option<TextStatements>,
}

/// A statement that changes one row.
pub(crate) struct Change {
    /// The text.
    pub(crate) text: String,
    /// The types of its values.
    pub(crate) types: Vec<SqlType>,
}

/// The statements of a text index.
pub(crate) struct TextStatements {
    /// How many objects there are, and how many slots each field has altogether: place (-1 for the
    /// objects) and number.
    pub(crate) lengths: String,
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
        let (columns, types) = written(ty);
        Self {
            get: format!("{select} WHERE t.\"id\" = ANY($1)"),
            get_by_key: (0..ty.keys.len())
                .map(|key| by_key(ty, key, &select))
                .collect(),
            referrers: statements::referrers::<Postgres>(ty),
            get_by_content: by_content(ty, &select),
            insert: statements::insert::<Postgres>(ty, &columns),
            copy: format!(
                "COPY {table} ({}) FROM STDIN (FORMAT binary)",
                columns.join(", ")
            ),
            update: update(ty, Extent::Whole),
            update_small: update(ty, Extent::Small),
            remove: remove(ty),
            columns: types,
            text: text_statements(ty),
        }
    }
}

/// The columns that a new row sets, and their types: what all engines write, then the words.
fn written(ty: &Type) -> (Vec<String>, Vec<SqlType>) {
    let mut columns = written_columns::<Postgres>(ty);
    let mut types: Vec<SqlType> = all_columns(ty)
        .map(|column| type_of(ty.column_kind(column)))
        .collect();
    types.extend(fold_fields(ty).map(|_| SqlType::TEXT));
    if !text::searchable(ty).is_empty() {
        columns.extend([WORDS, SLOTS].map(str::to_owned));
        types.extend([SqlType::TS_VECTOR, SqlType::INT8_ARRAY]);
    }
    (columns, types)
}

/// Whether a value is so short that it is cheaper to write than to leave out.
pub(crate) fn is_small(kind: &FieldKind) -> bool {
    !matches!(
        kind,
        FieldKind::Text | FieldKind::Json | FieldKind::Bytes | FieldKind::List(_)
    )
}

/// Which of the columns of [`written`] an update sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All but the id.
    Whole,
    /// Those without large fields and words.
    Small,
}

/// The places of the columns that an update sets, among those that a new row sets.
pub(crate) fn set_columns(ty: &Type, extent: Extent) -> Vec<usize> {
    let (fields, folds) = (ty.fields.len(), fold_fields(ty).count());
    let all = 1..4
        + fields
        + folds
        + if text::searchable(ty).is_empty() {
            0
        } else {
            2
        };
    let is_set = |n: &usize| match n.checked_sub(4) {
        _ if extent == Extent::Whole => true,
        None => true,
        Some(field) if field < fields => is_small(&ty.fields[field].kind),
        Some(beyond) => beyond < fields + folds,
    };
    all.filter(is_set).collect()
}

fn update(ty: &Type, extent: Extent) -> Change {
    let (columns, types) = written(ty);
    let set = set_columns(ty, extent);
    let mut own_types: Vec<SqlType> = set.iter().map(|&n| types[n].clone()).collect();
    let sets = set.iter().enumerate();
    let sets: Vec<String> = sets
        .map(|(at, &n)| format!("{} = ${}", columns[n], at + 1))
        .collect();
    let test = test_of_row(ty, &mut own_types);
    let table = names::table(ty);
    Change {
        text: format!("UPDATE {table} SET {} WHERE {test}", sets.join(", ")),
        types: own_types,
    }
}

fn remove(ty: &Type) -> Change {
    let mut types = Vec::new();
    let test = test_of_row(ty, &mut types);
    Change {
        text: format!("DELETE FROM {} WHERE {test}", names::table(ty)),
        types,
    }
}

/// The condition that a row is the one with an id; of a log type with its time, too, which says in
/// which partition it is.
fn test_of_row(ty: &Type, types: &mut Vec<SqlType>) -> String {
    types.push(SqlType::TEXT);
    let id = format!("\"id\" = ${}", types.len());
    let Some(log) = ty.log() else {
        return id;
    };
    types.push(SqlType::TIMESTAMPTZ);
    let time = names::column(ty, Column::Field(log.time));
    format!("{id} AND {time} = ${}", types.len())
}

fn by_key(ty: &Type, key: usize, select: &str) -> String {
    let columns = key_columns::<Postgres>(ty, &ty.keys[key]);
    if let [column] = columns.as_slice() {
        return format!("{select} WHERE t.{column} = ANY($1)");
    }
    let arrays: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
    let wanted: Vec<String> = (1..=columns.len()).map(|n| format!("c{n}")).collect();
    let tests = columns.iter().zip(&wanted);
    let tests: Vec<String> = tests.map(|(c, w)| format!("t.{c} = k.{w}")).collect();
    format!(
        "{select} JOIN unnest({}) k({}) ON {}",
        arrays.join(", "),
        wanted.join(", "),
        tests.join(" AND ")
    )
}

fn by_content(ty: &Type, select: &str) -> String {
    let tests: Vec<String> = (0..ty.fields.len())
        .map(|f| {
            let column = format!("t.{}", names::column(ty, Column::Field(f)));
            match ty.fields[f].kind {
                // `json` has no equality.
                FieldKind::Json => {
                    format!("{column}::text IS NOT DISTINCT FROM ${}::text", f + 1)
                }
                _ => format!("{column} IS NOT DISTINCT FROM ${}", f + 1),
            }
        })
        .collect();
    let all = match tests.is_empty() {
        true => "TRUE".to_owned(),
        false => tests.join(" AND "),
    };
    format!("{select} WHERE {all} ORDER BY t.\"id\"")
}

fn text_statements(ty: &Type) -> Option<TextStatements> {
    if text::searchable(ty).is_empty() {
        return None;
    }
    Some(TextStatements {
        lengths: format!(
            "SELECT place, n FROM {LENGTHS} WHERE type = {}",
            literal(&ty.name)
        ),
    })
}

/// The types of the arrays that a key is looked up by.
pub(crate) fn key_types(ty: &Type, key: usize) -> Vec<SqlType> {
    let fields = ty.keys[key].fields.iter();
    fields
        .map(|&field| array_of(&ty.fields[field].kind))
        .collect()
}
