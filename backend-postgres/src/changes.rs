//! The change feed.

use std::sync::LazyLock;

use osis_core::backend::{Change, ChangeOp, Feed};
use osis_core::error::{Error, ErrorKind};
use osis_core::object::Id;
use osis_core::schema::{FieldKind, TypeId};
use osis_core::time::Time;
use osis_core::value::Value;

use crate::catalog::Catalog;
use crate::error::{Failure, Outcome};
use crate::names::{CHANGES, META};
use crate::rows::{Bind, BindMany};
use crate::sql::{Bound, Link, Sql};
use tokio_postgres::types::Type;

/// Adds records: arrays of seqs, ordinals, types, ids, revs, operations and times.
pub(crate) static APPEND: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO {CHANGES} (seq, ordinal, type, id, rev, op, at) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)"
    )
});

/// The types of what [`APPEND`] takes.
pub(crate) const APPENDED: [Type; 7] = [
    Type::INT8_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::TEXT_ARRAY,
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
];

static SELECT: LazyLock<String> =
    LazyLock::new(|| format!("SELECT seq, ordinal, type, id, rev, op, at FROM {CHANGES}"));

/// Records on their way into the feed, column by column.
#[derive(Debug, Default)]
pub(crate) struct Records {
    columns: [Vec<Value>; 7],
}

impl Records {
    /// Adds a record as the one of this ordinal in its commit.
    pub(crate) fn add(&mut self, record: &Change, type_name: &str, ordinal: i64) {
        let values = [
            Value::Int(signed(record.seq)),
            Value::Int(ordinal),
            Value::from(type_name),
            Value::from(record.id.as_str()),
            Value::Int(record.rev),
            Value::from(record.op.name()),
            Value::Time(record.at),
        ];
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns[0].is_empty()
    }

    /// What [`APPEND`] takes.
    pub(crate) fn bound(&self) -> Vec<Bound<'_>> {
        let columns = self.columns.iter().zip(APPENDED);
        let bound = columns.map(|(column, ty)| {
            let bound: Bound<'_> = (Box::new(BindMany(column)), ty);
            bound
        });
        bound.collect()
    }
}

/// The seq of the last commit.
pub(crate) async fn last_seq(link: Link<'_>) -> Outcome<u64> {
    static SQL: LazyLock<String> = LazyLock::new(|| format!("SELECT seq FROM {META}"));
    let rows = link.all_of(&SQL, Vec::new()).await?;
    let row = rows.first().ok_or_else(no_meta)?;
    Ok(unsigned(row.try_get(0)?))
}

/// What a store without its facts fails with.
pub(crate) fn no_meta() -> Failure {
    Failure::Damaged(format!("{META} is empty"))
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
pub(crate) async fn read(
    link: Link<'_>,
    catalog: &Catalog,
    since: u64,
    types: &[TypeId],
    limit: usize,
) -> Outcome<Page> {
    static SQL: LazyLock<String> = LazyLock::new(|| format!("SELECT oldest, seq FROM {META}"));
    let rows = link.all_of(&SQL, Vec::new()).await?;
    let row = rows.first().ok_or_else(no_meta)?;
    let (oldest, last) = (unsigned(row.try_get(0)?), unsigned(row.try_get(1)?));
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
    let read = |row: &tokio_postgres::Row| record(catalog, row);
    let mut sql = Sql::new(format!("{} WHERE seq > ", *SELECT));
    sql.int(signed(since));
    only_types(&mut sql);
    sql.push(" ORDER BY seq, ordinal LIMIT ")
        .limit(limit.max(1));
    let mut found = link.all(&sql, read).await?;
    let mut next = last;
    if found.len() >= limit.max(1)
        && let Some(Record { seq, ordinal, .. }) = found.last()
    {
        next = *seq;
        let mut sql = Sql::new(format!("{} WHERE seq = ", *SELECT));
        sql.int(signed(*seq)).push(" AND ordinal > ").int(*ordinal);
        only_types(&mut sql);
        sql.push(" ORDER BY ordinal");
        found.extend(link.all(&sql, read).await?);
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

fn record(catalog: &Catalog, row: &tokio_postgres::Row) -> Outcome<Record> {
    let (seq, ordinal) = (unsigned(row.try_get(0)?), row.try_get(1)?);
    let damaged = || {
        Failure::Damaged(format!(
            "a record of commit {seq} in {CHANGES} is not valid"
        ))
    };
    let Some(ty) = catalog.schema.find(row.try_get(2)?) else {
        return Ok(Record {
            seq,
            ordinal,
            change: None,
        });
    };
    let at = crate::rows::read_time(row, 6)?;
    let change = Change {
        seq,
        type_id: ty.id,
        id: Id::parse(row.try_get(3)?).ok_or_else(damaged)?,
        rev: row.try_get(4)?,
        op: ChangeOp::parse(row.try_get(5)?).ok_or_else(damaged)?,
        at: at.ok_or_else(damaged)?,
    };
    Ok(Record {
        seq,
        ordinal,
        change: Some(change),
    })
}

/// The time at which something happens, on its way into PostgreSQL.
pub(crate) fn now() -> Value {
    Value::Time(Time::now())
}

/// A time, bound.
pub(crate) fn at(time: &Value) -> Bound<'_> {
    (Box::new(Bind(time)), Type::TIMESTAMPTZ)
}

/// A seq as PostgreSQL holds it; it counts commits, so it never comes near the end of either.
pub(crate) fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A seq as PostgreSQL held it.
pub(crate) fn unsigned(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
