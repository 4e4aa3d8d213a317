//! The change feed: which of its rows make a page, and what a row says.

use osis_core::backend::{Change, ChangeOp, Feed};
use osis_core::error::{Error, Result};
use osis_core::object::Id;
use osis_core::schema::{FieldKind, Schema, TypeId};
use osis_core::time::Time;
use osis_core::value::Value;

use crate::dialect::Dialect;
use crate::names::CHANGES;
use crate::rows::signed;
use crate::statement::Sql;

/// The columns of a record, in the order in which [`Stored`] has them.
pub const COLUMNS: &str = "seq, ordinal, type, id, rev, op, at";

/// A page that is asked for: the records after a position.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The schema in force.
    pub schema: &'a Schema,
    /// After which seq.
    pub since: u64,
    /// Of which types; of all, where none is named.
    pub types: &'a [TypeId],
    /// How many records at most, and the rest of the last commit among them.
    pub limit: usize,
}

impl Page<'_> {
    /// Refuses a position that is not, or no longer, in the store.
    ///
    /// # Errors
    /// `Gone`.
    pub fn check(&self, oldest: u64, last: u64) -> Result<()> {
        match self.since < oldest || self.since > last {
            true => Err(Error::gone(self.since, oldest, last)),
            false => Ok(()),
        }
    }

    /// The first records, up to the limit.
    pub fn first<D: Dialect>(&self) -> Sql<D> {
        let mut sql = select("seq > ", self.since);
        self.only_types(&mut sql);
        sql.push(" ORDER BY seq, ordinal LIMIT ")
            .limit(self.limit.max(1));
        sql
    }

    /// Behind the first records, the rest of the last commit among them; nothing where they are
    /// fewer than the limit.
    pub fn rest<D: Dialect>(&self, first: &[Record]) -> Option<Sql<D>> {
        let last = self.cut(first)?;
        let mut sql = select("seq = ", last.seq);
        sql.push(" AND ordinal > ").int(last.ordinal);
        self.only_types(&mut sql);
        sql.push(" ORDER BY ordinal");
        Some(sql)
    }

    /// The page, of all its records; `last` is the seq of the last commit.
    pub fn feed(&self, records: Vec<Record>, oldest: u64, last: u64) -> Feed {
        Feed {
            next: self.cut(&records).map_or(last, |record| record.seq),
            changes: records.into_iter().filter_map(|r| r.change).collect(),
            oldest,
        }
    }

    /// The last of the records, where the limit and not the end of the feed makes it the last.
    fn cut<'a>(&self, records: &'a [Record]) -> Option<&'a Record> {
        records
            .last()
            .filter(|_| records.len() >= self.limit.max(1))
    }

    fn only_types<D: Dialect>(&self, sql: &mut Sql<D>) {
        if !self.types.is_empty() {
            let names = self.types.iter();
            let names: Vec<Value> = names
                .map(|&ty| Value::from(self.schema.types[ty].name.as_str()))
                .collect();
            sql.push(" AND type")
                .among(names.iter(), &FieldKind::String);
        }
    }
}

fn select<D: Dialect>(position: &str, seq: u64) -> Sql<D> {
    let mut sql = Sql::new(format!("SELECT {COLUMNS} FROM {CHANGES} WHERE {position}"));
    sql.int(signed(seq));
    sql
}

/// What a row of the feed holds.
#[derive(Debug)]
pub struct Stored<'a> {
    /// The commit.
    pub seq: u64,
    /// The place among the records of the commit.
    pub ordinal: i64,
    /// The name of a type.
    pub type_name: &'a str,
    /// An id.
    pub id: &'a str,
    /// A revision.
    pub rev: i64,
    /// The name of an operation.
    pub op: &'a str,
    /// A time, if it is one.
    pub at: Option<Time>,
}

/// A record of the feed.
#[derive(Debug)]
pub struct Record {
    seq: u64,
    ordinal: i64,
    /// None of a type that is no longer in the schema.
    change: Option<Change>,
}

impl Record {
    /// What a row says.
    ///
    /// # Errors
    /// What is wrong with it, in words, where the store does not write such rows.
    pub fn of(schema: &Schema, stored: &Stored<'_>) -> Result<Self, String> {
        let (seq, ordinal) = (stored.seq, stored.ordinal);
        let change = |type_id| {
            Some(Change {
                seq,
                type_id,
                id: Id::parse(stored.id)?,
                rev: stored.rev,
                op: ChangeOp::parse(stored.op)?,
                at: stored.at?,
            })
        };
        let change = match schema.find(stored.type_name) {
            Some(ty) => Some(change(ty.id).ok_or_else(|| {
                format!("record {ordinal} of commit {seq} in {CHANGES} is not valid")
            })?),
            None => None,
        };
        Ok(Self {
            seq,
            ordinal,
            change,
        })
    }
}
