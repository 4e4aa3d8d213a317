//! The change feed.

use std::sync::LazyLock;

use osis_core::backend::{Change, ChangeOp, Feed};
use osis_core::error::{Error, ErrorKind};
use osis_core::object::Id;
use osis_core::schema::{FieldKind, TypeId};
use osis_core::time::Time;
use osis_core::value::Value;
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::error::{Failure, Outcome};
use crate::names::{CHANGES, META};
use crate::sql::{Run, Sql};

static APPEND: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO {CHANGES} (seq, ordinal, type, id, rev, op, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
    )
});

static SELECT: LazyLock<String> =
    LazyLock::new(|| format!("SELECT seq, ordinal, type, id, rev, op, at FROM {CHANGES}"));

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

/// What a page of the feed comes to.
pub(crate) enum Page {
    /// The records.
    Feed(Feed),
    /// The position is not, or no longer, in the store.
    Gone {
        /// The lowest position that is good.
        oldest: u64,
        /// The highest.
        last: u64,
    },
}

impl Page {
    /// The answer that callers get.
    pub(crate) fn answer(self, since: u64) -> osis_core::error::Result<Feed> {
        match self {
            Self::Feed(feed) => Ok(feed),
            Self::Gone { oldest, last } => Err(Error::new(
                ErrorKind::Gone { oldest },
                format!("the change feed goes from {oldest} to {last}, {since} is not in it"),
            )),
        }
    }
}

/// Records after `since`, at most `limit` and the rest of the last commit. Runs in a transaction.
pub(crate) fn read(
    connection: &Connection,
    catalog: &Catalog,
    since: u64,
    types: &[TypeId],
    limit: usize,
) -> Outcome<Page> {
    static SQL: LazyLock<String> = LazyLock::new(|| format!("SELECT oldest, seq FROM {META}"));
    let (oldest, last): (i64, i64) = connection
        .prepare_cached(&SQL)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (oldest, last) = (unsigned(oldest), unsigned(last));
    if since < oldest || since > last {
        return Ok(Page::Gone { oldest, last });
    }
    let names: Vec<Value> = types
        .iter()
        .map(|&ty| Value::from(catalog.schema.types[ty].name.as_str()))
        .collect();
    let only_types = |sql: &mut Sql| {
        if !names.is_empty() {
            sql.push(" AND type")
                .among(names.iter(), &FieldKind::String);
        }
    };
    let read = |row: &rusqlite::Row<'_>| record(catalog, row);
    let mut sql = Sql::new(format!("{} WHERE seq > ", *SELECT));
    sql.int(signed(since));
    only_types(&mut sql);
    sql.push(" ORDER BY seq, ordinal LIMIT ")
        .limit(limit.max(1));
    let mut found = sql.all(connection, read)?;
    let mut next = last;
    if found.len() >= limit.max(1)
        && let Some(Record { seq, ordinal, .. }) = found.last()
    {
        next = *seq;
        let mut sql = Sql::new(format!("{} WHERE seq = ", *SELECT));
        sql.int(signed(*seq)).push(" AND ordinal > ").int(*ordinal);
        only_types(&mut sql);
        sql.push(" ORDER BY ordinal");
        found.extend(sql.all(connection, read)?);
    }
    let changes = found
        .into_iter()
        .filter_map(|record| record.change)
        .collect();
    Ok(Page::Feed(Feed {
        changes,
        next,
        oldest,
    }))
}

struct Record {
    seq: u64,
    ordinal: i64,
    /// None of a type that is no longer in the schema.
    change: Option<Change>,
}

fn record(catalog: &Catalog, row: &rusqlite::Row<'_>) -> Outcome<Record> {
    let (seq, ordinal) = (unsigned(row.get(0)?), row.get(1)?);
    let damaged = || {
        Failure::Damaged(format!(
            "a record of commit {seq} in {CHANGES} is not valid"
        ))
    };
    let text = |at: usize| row.get_ref(at)?.as_str().map_err(|_| damaged());
    let Some(ty) = catalog.schema.find(text(2)?) else {
        return Ok(Record {
            seq,
            ordinal,
            change: None,
        });
    };
    let change = Change {
        seq,
        type_id: ty.id,
        id: Id::parse(text(3)?).ok_or_else(damaged)?,
        rev: row.get(4)?,
        op: ChangeOp::parse(text(5)?).ok_or_else(damaged)?,
        at: Time::parse(text(6)?).ok_or_else(damaged)?,
    };
    Ok(Record {
        seq,
        ordinal,
        change: Some(change),
    })
}

/// A seq as SQLite holds it; it counts commits, so it never comes near the end of either.
pub(crate) fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A seq as SQLite held it.
pub(crate) fn unsigned(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
