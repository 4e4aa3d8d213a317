//! The change feed.

use std::sync::LazyLock;

use osis_core::backend::{Change, Feed};
use osis_core::error::Result;
use osis_core::time::Time;
use osis_sql::feed::{self, Page, Record, Stored};
use osis_sql::{signed, unsigned};
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::dialect::Sqlite;
use crate::error::{Failure, Outcome};
use crate::names::{CHANGES, META};
use crate::sql::Run as _;

static APPEND: LazyLock<String> = LazyLock::new(|| {
    let columns = feed::COLUMNS;
    format!("INSERT INTO {CHANGES} ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)")
});

/// Adds a record to the feed as the one of this ordinal in its commit.
pub(crate) fn append(
    connection: &Connection,
    record: &Change,
    type_name: &str,
    ordinal: i64,
) -> Outcome<()> {
    let mut statement = connection.prepare_cached(&APPEND)?;
    let (seq, at) = (signed(record.seq), record.at.to_string());
    let (id, op) = (record.id.as_str(), record.op.name());
    statement.execute((seq, ordinal, type_name, id, record.rev, op, at))?;
    Ok(())
}

/// The seq of the last commit.
pub(crate) fn last_seq(connection: &Connection) -> Outcome<u64> {
    static SQL: LazyLock<String> = LazyLock::new(|| format!("SELECT seq FROM {META}"));
    let seq: i64 = connection
        .prepare_cached(&SQL)?
        .query_row([], |row| row.get(0))?;
    Ok(unsigned(seq))
}

/// A page of the feed, or why there is none. Runs in a transaction.
pub(crate) fn read(
    connection: &Connection,
    catalog: &Catalog,
    page: &Page<'_>,
) -> Outcome<Result<Feed>> {
    static SQL: LazyLock<String> = LazyLock::new(|| format!("SELECT oldest, seq FROM {META}"));
    let (oldest, last): (i64, i64) = connection
        .prepare_cached(&SQL)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (oldest, last) = (unsigned(oldest), unsigned(last));
    if let Err(gone) = page.check(oldest, last) {
        return Ok(Err(gone));
    }
    let read = |row: &rusqlite::Row<'_>| record(catalog, row);
    let mut records = page.first::<Sqlite>().all(connection, read)?;
    if let Some(rest) = page.rest::<Sqlite>(&records) {
        records.extend(rest.all(connection, read)?);
    }
    Ok(Ok(page.feed(records, oldest, last)))
}

fn record(catalog: &Catalog, row: &rusqlite::Row<'_>) -> Outcome<Record> {
    let no_text = |_| Failure::Damaged(format!("a record in {CHANGES} is not valid"));
    let text = |at: usize| -> Outcome<&str> { row.get_ref(at)?.as_str().map_err(no_text) };
    let stored = Stored {
        seq: unsigned(row.get(0)?),
        ordinal: row.get(1)?,
        type_name: text(2)?,
        id: text(3)?,
        rev: row.get(4)?,
        op: text(5)?,
        at: Time::parse(text(6)?),
    };
    Record::of(&catalog.schema, &stored).map_err(Failure::Damaged)
}
