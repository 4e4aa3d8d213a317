//! What an engine owes: the two traits that every backend implements, and nothing else.
//!
//! An engine holds rows, finds them again and commits effects. It has no rules: those are in
//! [`crate::resolve`], which it calls within its own transaction. It knows no caller, no wire
//! format and no name of a type. The traits are made for engines in this process, on a volume that
//! several hosts share, and across a network: reads come in snapshots whose every call may wait,
//! many lookups go in one call, and a write may be resolved again after a lost race.
//!
//! Callers use [`crate::Store`], which is wide; this is narrow.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::batch::{Batch, Commit};
use crate::error::{Error, ErrorKind, Result};
use crate::object::{Id, Row};
use crate::query::aggregate::{Aggregate, Group};
use crate::query::{Facet, Filter, Sort};
use crate::rollup::{Cell, CellScan};
use crate::schema::{Column, KeyId, Schema, TypeId};
use crate::text::Query;
use crate::time::Time;
use crate::value::Value;

/// An engine that holds objects.
///
/// # Guarantees that every engine owes
///
/// - **Atomic**: a batch is in the store whole or not at all, whatever is killed when.
/// - **Durable**: when [`Self::apply`] answers, what it answers is on disk.
/// - **Serial**: batches take effect one after another, also those of other processes; `seq` rises
///   with each that changes something, and its order is the order of their effects.
/// - **Current**: a snapshot holds every commit that was answered, by any process, before it was
///   taken.
/// - **Isolated**: all calls on one snapshot of scope [`Scope::Consistent`] or [`Scope::Search`] see the same commits.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// What kind of store it is: `file`, `sqlite`, `postgres`, `memory`.
    fn kind(&self) -> &'static str;

    /// The schema in force.
    fn schema(&self) -> &Arc<Schema>;

    /// Carries batches out in their order, each for itself all or none.
    ///
    /// The answers stand in the order of the batches. Many callers' batches may share one sync.
    /// An engine calls [`crate::resolve::resolve`] for each within its transaction and writes the
    /// effects it gets; after a lost race it does so again.
    ///
    /// # Errors
    /// What `resolve` says; `Unavailable` for a batch past its deadline, `StorageFull`; in each
    /// case nothing of that batch is kept.
    async fn apply(&self, batches: Vec<Batch>) -> Vec<Result<Commit>>;

    /// Opens a view of the store to read from.
    ///
    /// # Errors
    /// `Unavailable` if none can be had before the deadline.
    async fn snapshot(&self, scope: Scope, deadline: Option<Instant>) -> Result<Box<dyn Snapshot>>;

    /// Tells when there may be something new: the seq of the last commit seen, by this process or
    /// another. A wake-up only: whoever needs certainty reads a snapshot.
    fn commits(&self) -> watch::Receiver<u64>;

    /// What the operator should mend: files that people edit and the engine cannot read.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Looks at what lies below the objects, all of it: what of it is damaged. May take long.
    ///
    /// # Errors
    /// Those of the engine.
    async fn inspect(&self) -> Result<Vec<Problem>> {
        Ok(self.problems())
    }

    /// Mends of what [`Self::inspect`] finds what can be mended without losing anything that is
    /// still there; answers what that was, and what was done.
    ///
    /// # Errors
    /// Those of the engine.
    async fn repair(&self) -> Result<Vec<Problem>> {
        Ok(Vec::new())
    }

    /// Objects that lie in the store and that it does not serve: what people or a broken older
    /// program left beside those that it does.
    ///
    /// # Errors
    /// Those of the engine.
    async fn unserved(&self) -> Result<Vec<Unserved>> {
        Ok(Vec::new())
    }

    /// Puts something that [`Self::unserved`] names out of the way, without losing it; answers where
    /// it is now.
    ///
    /// # Errors
    /// Those of the engine; `Internal` where there is nothing of the kind.
    async fn set_aside(&self, path: &str) -> Result<String> {
        let message = format!("a {} store has nothing to set aside at {path}", self.kind());
        Err(Error::new(ErrorKind::Internal, message))
    }

    /// What this store is an unfinished copy of, in the words of [`Self::begin_copy`].
    ///
    /// # Errors
    /// Those of the engine.
    async fn copying(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// Notes durably that this store is being made a copy of another.
    ///
    /// # Errors
    /// Those of the engine; `Internal` where it cannot be a copy.
    async fn begin_copy(&self, of: &str) -> Result<()> {
        let message = format!("a {} store cannot be made a copy of {of} yet", self.kind());
        Err(Error::new(ErrorKind::Internal, message))
    }

    /// Notes durably that the copy is finished. The change feed begins anew above `seq`, and every
    /// position before that is gone. Answers the seq at which it begins. Done again after it was
    /// cut off, it ends as well.
    ///
    /// # Errors
    /// Those of the engine.
    async fn end_copy(&self, seq: u64) -> Result<u64> {
        let message = format!("a {} store has no feed to begin above {seq}", self.kind());
        Err(Error::new(ErrorKind::Internal, message))
    }

    /// Finishes what is under way and lets go of files, threads and connections.
    ///
    /// # Errors
    /// If the engine could not close cleanly; nothing acknowledged is lost by that.
    async fn close(&self) -> Result<()>;
}

/// Something that the operator should mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, below the store's directory.
    pub path: String,
    /// The line in it, from 1, if it is about one.
    pub line: Option<usize>,
    /// What is wrong, and what was expected or became of it.
    pub message: String,
}

/// An object that lies in a store and that it does not serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Unserved {
    /// The file, below the store's directory.
    pub path: String,
    /// Its type.
    pub type_id: TypeId,
    /// The whole of it, or what is wrong with it.
    pub row: std::result::Result<Row, Problem>,
}

/// How much of a snapshot's promise a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One call: an engine may answer it without opening a transaction.
    Single,
    /// Several calls that see the same commits.
    Consistent,
    /// As `Consistent`, with searches behind other calls: an engine whose text index follows the
    /// commits completes it before it takes the snapshot.
    Search,
}

/// A view of the store: every call stops with `Unavailable` when its deadline is over.
#[async_trait]
pub trait Snapshot: Send {
    /// The objects with these ids, in their order; `None` where there is none.
    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>>;

    /// The objects with these values of a key (in the form that [`crate::schema::Key::normalise`]
    /// makes), in their order.
    async fn get_by_key(
        &mut self,
        type_id: TypeId,
        key: KeyId,
        values: &[Vec<Value>],
    ) -> Result<Vec<Option<Row>>>;

    /// The first objects that a filter means, in an order.
    async fn scan(&mut self, scan: &Scan) -> Result<Vec<Row>>;

    /// For each of some ids, the first objects whose ref field holds it: what relations expand to.
    async fn related(&mut self, related: &Related, ids: &[Id]) -> Result<Vec<Vec<Row>>>;

    /// How many objects a filter means.
    async fn count(&mut self, type_id: TypeId, filter: &Filter) -> Result<u64>;

    /// The groups of an aggregate, in no order, as [`crate::query::aggregate::Groups`] makes them.
    async fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Vec<Group>>;

    /// A page of the cells of a type's roll-up, in an order of the engine's; none where it has none.
    async fn cells(&mut self, scan: &CellScan) -> Result<Vec<Cell>>;

    /// The objects whose text a query means.
    async fn search(&mut self, search: &Search) -> Result<Found>;

    /// For each of some words, in their order: nothing if it occurs in a searchable field of the
    /// type, else the words there that are [`crate::text::Similar`] to it, sorted.
    async fn similar(
        &mut self,
        type_id: TypeId,
        words: &[String],
    ) -> Result<Vec<Option<Vec<String>>>>;

    /// Records of the change feed after a seq, those of one commit never split; of these types,
    /// or of all where none is named.
    ///
    /// # Errors
    /// `Gone` below the oldest seq that is good, and above the store's.
    async fn changes(&mut self, since: u64, types: &[TypeId], limit: usize) -> Result<Feed>;

    /// The seq of the last commit in this snapshot.
    async fn seq(&mut self) -> Result<u64>;

    /// Copies all that belongs to the store, as of this snapshot, into an empty directory, durably:
    /// what the engine's [`Restore`] takes. Writers go on meanwhile.
    ///
    /// # Errors
    /// `Invalid` where the engine keeps nothing that could be copied; `StorageFull`; those of the
    /// engine. Parts of the copy may be there then.
    async fn copy_into(&mut self, directory: &Path) -> Result<()> {
        let _ = directory;
        Err(Error::invalid(
            "store",
            "this kind of store cannot be backed up: it lives in its process alone; osis export \
             writes its objects",
        ))
    }
}

/// A store that is laid ready from what [`Snapshot::copy_into`] made, beside the place where it is to
/// be. What is in that place stays as it is until [`Self::put_in_place`]; if this goes before, what was
/// laid ready goes with it.
pub trait Restore: Send {
    /// Opens what was laid ready, to look at it. Blocks.
    ///
    /// # Errors
    /// As opening any store.
    fn open(&self) -> Result<Arc<dyn Backend>>;

    /// Puts it in its place, durably and whole or not at all for whoever opens the store; what was
    /// there before goes. Blocks. Nobody may have either open.
    ///
    /// # Errors
    /// `Unavailable` where the place is in use; those of the engine.
    fn put_in_place(self: Box<Self>) -> Result<()>;
}

/// A page of a type's objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Of which type.
    pub type_id: TypeId,
    /// Which objects.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// Only those behind this position of the order.
    pub after: Option<Vec<Value>>,
    /// How many at most.
    pub limit: usize,
}

/// The objects that refer to given ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Related {
    /// The type that refers.
    pub type_id: TypeId,
    /// Its ref field.
    pub via: usize,
    /// Which of them.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// How many at most for each id.
    pub limit: usize,
}

/// A page of what a search finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Of which type.
    pub type_id: TypeId,
    /// What is looked for.
    pub query: Query,
    /// Among which objects.
    pub filter: Filter,
    /// In which order; by falling relevance, then id, if absent.
    pub sort: Option<Sort>,
    /// Only those behind this position: of the sort, or score and id.
    pub after: Option<Vec<Value>>,
    /// How many at most.
    pub limit: usize,
    /// Of which columns the values are counted, over all matches.
    pub facets: Vec<Column>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The page, each with its score: greater is more relevant.
    pub hits: Vec<(f64, Row)>,
    /// How many objects match altogether.
    pub total: u64,
    /// What [`crate::query::Tally`] makes of all matches, for each column that was asked for.
    pub facets: Vec<Facet>,
}

/// A page of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// The records, in the order in which they happened.
    pub changes: Vec<Change>,
    /// From where to go on.
    pub next: u64,
    /// The lowest seq from which one may read on.
    pub oldest: u64,
}

impl Feed {
    /// The first page of the records after a position, in their order: at most `limit` of these
    /// types (of all, where none is named) and the rest of the last commit among them. `last` is
    /// the seq of the last commit.
    pub fn first(
        records: impl IntoIterator<Item = Change>,
        types: &[TypeId],
        limit: usize,
        last: u64,
        oldest: u64,
    ) -> Self {
        let mut changes: Vec<Change> = Vec::new();
        let mut next = last;
        for record in records {
            if let Some(before) = changes.last()
                && changes.len() >= limit
                && before.seq != record.seq
            {
                next = before.seq;
                break;
            }
            if types.is_empty() || types.contains(&record.type_id) {
                changes.push(record);
            }
        }
        Self {
            changes,
            next,
            oldest,
        }
    }
}

/// A record of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub seq: u64,
    /// The object's type.
    pub type_id: TypeId,
    /// The object.
    pub id: Id,
    /// Its revision then; of a deleted one, the last it had.
    pub rev: i64,
    /// What was done.
    pub op: ChangeOp,
    /// When.
    pub at: Time,
}

/// What was done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOp {
    /// It was made.
    New,
    /// It was changed.
    Set,
    /// It was deleted.
    Delete,
}

impl ChangeOp {
    /// Its name on the wire and in stores.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Set => "set",
            Self::Delete => "delete",
        }
    }

    /// The operation of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::New, Self::Set, Self::Delete]
            .into_iter()
            .find(|op| op.name() == name)
    }
}
