//! The text index: commits note which rows it lacks, here it takes them in.
//!
//! Words are the dearest part of a write, and much cheaper in large steps. So a commit only notes
//! the numbers of its rows ([`crate::effects`]); the writer takes them in when it is idle, and
//! before a search is answered. What is noted is "look at this row again": what is there then goes
//! in, what is not there goes out, whoever does it and however often.
//!
//! Which rows went in lately stays noted, in their order, so that who has read something of the
//! index knows for which rows it is good no more ([`crate::text_cache`]).

use std::sync::LazyLock;

use osis_core::schema::{Type, TypeId};
use osis_core::text::{Document, FieldWords};
use rusqlite::{Connection, OptionalExtension};

use crate::catalog::Catalog;
use crate::error::Outcome;
use crate::lookup;
use crate::names::{PENDING, TAKEN_IN};

/// Of so many rows of a type that went in last it stays noted.
const NOTED_MAX: i64 = 1024;

/// Takes up to `limit` rows of a type into its text index; tells how many. Runs in a transaction.
pub(crate) fn take_in(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    limit: usize,
) -> Outcome<usize> {
    let numbers = pending(connection, catalog, type_id, limit)?;
    for &number in &numbers {
        take_in_row(connection, catalog, type_id, number)?;
    }
    let ty = &catalog.schema.types[type_id];
    note(connection, ty, &numbers)?;
    forget(connection, &ty.name, &numbers)?;
    Ok(numbers.len())
}

/// The types that have a text index.
pub(crate) fn indexed_types(catalog: &Catalog) -> Vec<TypeId> {
    let types = 0..catalog.schema.types.len();
    types
        .filter(|&type_id| catalog.statements[type_id].text.is_some())
        .collect()
}

/// The numbers of rows of a type that the text index lacks, at most `limit`, in their order.
pub(crate) fn pending(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    limit: usize,
) -> Outcome<Vec<i64>> {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("SELECT n FROM {PENDING} WHERE type = ? ORDER BY n LIMIT ?"));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&SQL)?;
    let name = &catalog.schema.types[type_id].name;
    let numbers = statement.query_map((name, limit), |row| row.get(0))?;
    Ok(numbers.collect::<Result<_, _>>()?)
}

/// Whether the text index of one type, or of any, lacks something.
pub(crate) fn is_behind(
    connection: &Connection,
    catalog: &Catalog,
    type_id: Option<TypeId>,
) -> Outcome<bool> {
    static ANY: LazyLock<String> = LazyLock::new(|| format!("SELECT 1 FROM {PENDING} LIMIT 1"));
    if let Some(type_id) = type_id {
        return Ok(!pending(connection, catalog, type_id, 1)?.is_empty());
    }
    let found = connection
        .prepare_cached(&ANY)?
        .query_row([], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

/// How many rows of a type the text index lacks.
pub(crate) fn rows_lacking(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
) -> Outcome<usize> {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("SELECT count(*) FROM {PENDING} WHERE type = ?"));
    let name = &catalog.schema.types[type_id].name;
    let rows: i64 = connection
        .prepare_cached(&SQL)?
        .query_row([name], |row| row.get(0))?;
    Ok(usize::try_from(rows).unwrap_or(0))
}

/// Begins to merge all parts of a type's index into one, or goes on with it, by about `pages`;
/// tells whether there was something to do.
pub(crate) fn merge(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    step: Merge,
) -> Outcome<bool> {
    let Some(text) = &catalog.statements[type_id].text else {
        return Ok(false);
    };
    let pages = match step {
        Merge::Begin { pages } => -pages,
        Merge::GoOn { pages } => pages,
    };
    let before = connection.total_changes();
    connection.prepare_cached(&text.merge)?.execute([pages])?;
    // Source: sqlite.org/fts5.html, section 6.7: less than two changes mean that nothing was left.
    Ok(connection.total_changes() - before >= 2)
}

/// A step of merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Marks all parts to be merged, and merges so many pages.
    Begin {
        /// About how many.
        pages: i64,
    },
    /// Merges so many pages of what is marked.
    GoOn {
        /// About how many.
        pages: i64,
    },
}

fn take_in_row(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    number: i64,
) -> Outcome<()> {
    let (ty, statements) = catalog.of(type_id);
    let Some(text) = &statements.text else {
        return Ok(());
    };
    let Some(row) = lookup::get_by_number(connection, catalog, type_id, number)? else {
        connection.prepare_cached(&text.remove)?.execute([number])?;
        return Ok(());
    };
    let document = Document::of(ty, &row);
    let mut statement = connection.prepare_cached(&text.put)?;
    statement.raw_bind_parameter(1, number)?;
    for (n, field) in document.fields().iter().map(FieldWords::text).enumerate() {
        statement.raw_bind_parameter(2 + n, field)?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// Notes that rows went in.
fn note(connection: &Connection, ty: &Type, numbers: &[i64]) -> Outcome<()> {
    static PUT: LazyLock<String> =
        LazyLock::new(|| format!("INSERT INTO {TAKEN_IN} (type, at, n) VALUES (?, ?, ?)"));
    static PRUNE: LazyLock<String> =
        LazyLock::new(|| format!("DELETE FROM {TAKEN_IN} WHERE type = ? AND at <= ?"));
    let mut at = last_taken_in(connection, ty)?;
    let mut put = connection.prepare_cached(&PUT)?;
    // Of many rows the first would be forgotten again at once; they count all the same.
    let noted = numbers.len().min(NOTED_MAX as usize);
    at += (numbers.len() - noted) as i64;
    for number in &numbers[numbers.len() - noted..] {
        at += 1;
        put.execute((&ty.name, at, number))?;
    }
    let mut prune = connection.prepare_cached(&PRUNE)?;
    prune.execute((&ty.name, at - NOTED_MAX))?;
    Ok(())
}

/// How many rows of a type have gone in so far, one that did so twice counted twice: the point in
/// its index's history.
pub(crate) fn last_taken_in(connection: &Connection, ty: &Type) -> Outcome<i64> {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("SELECT coalesce(max(at), 0) FROM {TAKEN_IN} WHERE type = ?"));
    let mut statement = connection.prepare_cached(&SQL)?;
    Ok(statement.query_row([&ty.name], |row| row.get(0))?)
}

/// The rows that went in behind a point, rising; nothing if they are more than `max` or not all
/// noted, or if that point is still to come.
pub(crate) fn taken_in_since(
    connection: &Connection,
    ty: &Type,
    since: i64,
    max: usize,
) -> Outcome<Option<Vec<i64>>> {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("SELECT n FROM {TAKEN_IN} WHERE type = ? AND at > ?"));
    let behind = last_taken_in(connection, ty)? - since;
    if !usize::try_from(behind).is_ok_and(|behind| behind <= max) {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(&SQL)?;
    let rows = statement.query_map((&ty.name, since), |row| row.get(0))?;
    let mut rows = rows.collect::<Result<Vec<i64>, _>>()?;
    if rows.len() as i64 != behind {
        return Ok(None);
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(Some(rows))
}

fn forget(connection: &Connection, type_name: &str, numbers: &[i64]) -> Outcome<()> {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("DELETE FROM {PENDING} WHERE type = ? AND n <= ?"));
    // They were read in their order, within this transaction: no other is below the last.
    if let Some(last) = numbers.last() {
        connection
            .prepare_cached(&SQL)?
            .execute((type_name, last))?;
    }
    Ok(())
}
