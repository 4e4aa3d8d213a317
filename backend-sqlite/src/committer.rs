//! The one connection of a process that writes, and what it does in its turns.
//!
//! Every method that writes takes the [`Turn`] as proof that this process has it.

use std::sync::Arc;
use std::time::Duration;

use osis_core::batch::{Batch, Commit};
use osis_core::error::Result;
use osis_core::schema::TypeId;
use osis_host::turn::Turn;
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::connection::{self, Missing};
use crate::copying::{self, Step};
use crate::error::Outcome;
use crate::group;
use crate::history;
use crate::query;
use crate::text_index::{self, Merge};
use crate::transaction::{WriteTransaction, roll_back};

/// How many rows go into the text index at once while nobody waits.
const IDLE_ROWS: usize = 250;
/// How many rows go into the text index at once while a search waits for them.
const HURRIED_ROWS: usize = 2000;
/// How many batches may wait for the text index before writers wait for it: else it would never
/// get its turn under writes without end, and a search would find too much left to do.
const BACKLOG_MAX: usize = 4096;
/// After how many changed rows SQLite first looks at its statistics.
const FIRST_LOOK: u64 = 1000;
/// Lets SQLite gather statistics of all tables that have grown, at a bounded cost: without them it
/// may take an index that hardly narrows anything. (<https://www.sqlite.org/pragma.html#pragma_optimize>)
const OPTIMIZE: &str = "PRAGMA optimize=0x10002";
/// How many pages of the text index are merged at once.
const MERGE_PAGES: i64 = 64;
/// The text index of a type is merged once so many rows were taken in, and
const MERGE_ROWS_MIN: u64 = 1000;
/// at least one in so many of all.
const MERGE_SHARE: u64 = 4;
/// The break after a turn while other processes write too. It is what lets them in: a lock goes to
/// whoever asks first, and who has just had it is the quickest.
const BREAK: Duration = Duration::from_micros(500);

/// The connection that writes.
#[derive(Debug)]
pub(crate) struct Committer {
    catalog: Arc<Catalog>,
    connection: Connection,
    /// The last seq that this process has seen at the end of a turn.
    last_seq: u64,
    /// Other processes write too.
    contended: bool,
    /// The text index may lack something.
    behind: bool,
    /// About how many batches have noted something since the text index lacked nothing.
    backlog: usize,
    /// At how many changed rows SQLite looks at its statistics again.
    next_look: u64,
    /// How many rows of each type the text index has taken in since it was last merged.
    taken_in: Vec<u64>,
    /// What is worth merging, the last first.
    due: Vec<TypeId>,
    /// What is being merged.
    merging: Option<TypeId>,
}

impl Committer {
    /// Opens the connection.
    ///
    /// # Errors
    /// Those of SQLite.
    pub(crate) fn open(catalog: &Arc<Catalog>) -> Outcome<Self> {
        Ok(Self {
            connection: connection::open(&catalog.config, &catalog.path, Missing::Refuse)?,
            last_seq: *catalog.peers.commits().borrow(),
            contended: false,
            // A process that was killed may have left something.
            behind: true,
            backlog: 0,
            next_look: FIRST_LOOK,
            taken_in: vec![0; catalog.schema.types.len()],
            due: Vec::new(),
            merging: None,
            catalog: Arc::clone(catalog),
        })
    }

    /// What the store is.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Carries batches out, each for itself all or none, and makes them durable together.
    pub(crate) fn commit(&mut self, turn: &Turn<'_>, batches: &[&Batch]) -> Vec<Result<Commit>> {
        self.mend();
        let done = group::carry_out(&self.connection, &self.catalog, batches);
        if let Some((before, after)) = done.seqs {
            self.contended = turn.waited() || before != self.last_seq;
            self.last_seq = after;
            self.catalog.peers.announce(after);
        }
        if done.noted {
            self.behind = true;
            self.backlog += batches.len();
        }
        done.answers
    }

    /// Takes a step of a copy, durably; answers the last seq behind it.
    pub(crate) fn copy(&mut self, _turn: &Turn<'_>, step: &Step) -> Outcome<u64> {
        self.mend();
        let transaction = self.begin()?;
        let seq = copying::take(&self.connection, step)?;
        transaction.commit()?;
        self.last_seq = seq;
        self.catalog.peers.announce(seq);
        Ok(seq)
    }

    /// Takes rows into the text index where too much waits for that. What a step takes in is more
    /// than a group of writes can note.
    pub(crate) fn catch_up(&mut self, _turn: &Turn<'_>) -> Outcome<()> {
        if self.backlog > BACKLOG_MAX {
            self.mend();
            self.take_in_any(HURRIED_ROWS)?;
        }
        Ok(())
    }

    /// How many steps of [`Self::take_in`] it takes to complete the text index of a type as it is.
    pub(crate) fn steps_left(&self, type_id: TypeId) -> Outcome<usize> {
        let rows = text_index::rows_lacking(&self.connection, &self.catalog, type_id)?;
        Ok(rows / HURRIED_ROWS + 1)
    }

    /// Makes room for other processes after a turn, where there are any.
    pub(crate) fn make_room(&self) {
        if self.contended {
            std::thread::sleep(BREAK);
        }
    }

    /// Takes rows of a type into its text index, many at once, since a search waits for them; tells
    /// whether there may be more.
    pub(crate) fn take_in(&mut self, _turn: &Turn<'_>, type_id: TypeId) -> Outcome<bool> {
        self.mend();
        Ok(self.take_in_some(type_id, HURRIED_ROWS)? == HURRIED_ROWS)
    }

    /// Whether [`Self::upkeep`] has something to do.
    pub(crate) fn has_upkeep(&self) -> bool {
        self.behind || self.merging.is_some() || !self.due.is_empty() || self.is_look_due()
    }

    /// Takes a short step towards a text index that lacks nothing and is quick to search.
    pub(crate) fn upkeep(&mut self, _turn: &Turn<'_>) -> Outcome<()> {
        self.mend();
        if self.behind {
            self.behind = self.take_in_any(IDLE_ROWS)?;
            return if self.behind { Ok(()) } else { self.find_due() };
        }
        if self.is_look_due() {
            self.next_look = self.connection.total_changes().saturating_mul(2);
            return Ok(self.connection.execute_batch(OPTIMIZE)?);
        }
        let step = match self.merging {
            Some(type_id) => Some((type_id, Merge::GoOn { pages: MERGE_PAGES })),
            None => self
                .due
                .pop()
                .map(|type_id| (type_id, Merge::Begin { pages: MERGE_PAGES })),
        };
        let Some((type_id, step)) = step else {
            return Ok(());
        };
        self.merging = None;
        let transaction = self.begin()?;
        let more = text_index::merge(&self.connection, &self.catalog, type_id, step)?;
        transaction.commit()?;
        self.merging = more.then_some(type_id);
        Ok(())
    }

    /// Gives up what upkeep has left until there is something new.
    pub(crate) fn abandon_upkeep(&mut self) {
        self.behind = false;
        self.merging = None;
        self.due.clear();
        self.next_look = self.connection.total_changes().saturating_mul(2);
    }

    /// Lets SQLite look after its statistics before the connection goes.
    pub(crate) fn finish(&mut self) {
        self.mend();
        if let Err(error) = self.connection.execute_batch(OPTIMIZE) {
            tracing::debug!(%error, "statistics were not updated");
        }
    }

    /// Takes a few rows of whatever type into its text index; tells whether there may be more.
    fn take_in_any(&mut self, limit: usize) -> Outcome<bool> {
        for type_id in text_index::indexed_types(&self.catalog) {
            let taken = self.take_in_some(type_id, limit)?;
            if taken > 0 {
                self.backlog = self.backlog.saturating_sub(taken);
                return Ok(true);
            }
        }
        self.backlog = 0;
        Ok(false)
    }

    fn is_look_due(&self) -> bool {
        self.connection.total_changes() >= self.next_look
    }

    fn take_in_some(&mut self, type_id: TypeId, limit: usize) -> Outcome<usize> {
        if !text_index::is_behind(&self.connection, &self.catalog, Some(type_id))? {
            return Ok(0);
        }
        let transaction = self.begin()?;
        let rows = text_index::take_in(&self.connection, &self.catalog, type_id, limit)?;
        transaction.commit()?;
        self.taken_in[type_id] += rows as u64;
        Ok(rows)
    }

    /// Begins a transaction, unless another schema is in force: its text index is not ours to fill.
    fn begin(&self) -> Outcome<WriteTransaction<'_>> {
        let transaction = WriteTransaction::begin(&self.connection)?;
        history::check_in_force(&self.connection, &self.catalog)?;
        Ok(transaction)
    }

    /// Finds the types whose text index has taken in so much that merging is worth it. Parts that
    /// are many, or full of words of removed rows, make searches up to ten times slower.
    fn find_due(&mut self) -> Outcome<()> {
        for type_id in 0..self.taken_in.len() {
            if self.taken_in[type_id] < MERGE_ROWS_MIN {
                continue;
            }
            let rows = query::rows_about(&self.connection, &self.catalog.schema.types[type_id])?;
            if self.taken_in[type_id] >= rows / MERGE_SHARE {
                self.taken_in[type_id] = 0;
                self.due.push(type_id);
            }
        }
        Ok(())
    }

    /// Puts a new connection in the place of one that is stuck in a transaction.
    fn mend(&mut self) {
        if roll_back(&self.connection) {
            return;
        }
        match connection::open(&self.catalog.config, &self.catalog.path, Missing::Refuse) {
            Ok(connection) => self.connection = connection,
            Err(failure) => tracing::error!(?failure, "the writer cannot open a new connection"),
        }
    }
}
