//! The change feed.

use std::sync::LazyLock;

use osis_core::backend::{Change, Feed};
use osis_core::error::Result;
use osis_core::time::Time;
use osis_core::value::Value;
use osis_sql::feed::{self, Page, Record, Stored};
use osis_sql::{signed, unsigned};
use tokio_postgres::types::Type;

use crate::catalog::Catalog;
use crate::error::{Failure, Outcome};
use crate::names::{CHANGES, META};
use crate::rows::{Bind, BindMany, read_time};
use crate::sql::{Bound, Link};

/// Adds records: arrays of seqs, ordinals, types, ids, revs, operations and times.
pub(crate) static APPEND: LazyLock<String> = LazyLock::new(|| {
    let columns = feed::COLUMNS;
    format!("INSERT INTO {CHANGES} ({columns}) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)")
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

/// A page of the feed, or why there is none. Runs in a transaction.
pub(crate) async fn read(
    link: Link<'_>,
    catalog: &Catalog,
    page: &Page<'_>,
) -> Outcome<Result<Feed>> {
    static SQL: LazyLock<String> = LazyLock::new(|| format!("SELECT oldest, seq FROM {META}"));
    let rows = link.all_of(&SQL, Vec::new()).await?;
    let row = rows.first().ok_or_else(no_meta)?;
    let (oldest, last) = (unsigned(row.try_get(0)?), unsigned(row.try_get(1)?));
    if let Err(gone) = page.check(oldest, last) {
        return Ok(Err(gone));
    }
    let read = |row: &tokio_postgres::Row| record(catalog, row);
    let mut records = link.all(&page.first(), read).await?;
    if let Some(rest) = page.rest(&records) {
        records.extend(link.all(&rest, read).await?);
    }
    Ok(Ok(page.feed(records, oldest, last)))
}

fn record(catalog: &Catalog, row: &tokio_postgres::Row) -> Outcome<Record> {
    let stored = Stored {
        seq: unsigned(row.try_get(0)?),
        ordinal: row.try_get(1)?,
        type_name: row.try_get(2)?,
        id: row.try_get(3)?,
        rev: row.try_get(4)?,
        op: row.try_get(5)?,
        at: read_time(row, 6)?,
    };
    Record::of(&catalog.schema, &stored).map_err(Failure::Damaged)
}

/// The time at which something happens, on its way into PostgreSQL.
pub(crate) fn now() -> Value {
    Value::Time(Time::now())
}

/// A time, bound.
pub(crate) fn at(time: &Value) -> Bound<'_> {
    (Box::new(Bind(time)), Type::TIMESTAMPTZ)
}
