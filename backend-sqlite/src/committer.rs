//! The one connection of a process that writes, and what it does in its turns.
//!
//! Every method that writes takes the [`Turn`] as proof that this process has it.

use std::sync::Arc;
use std::time::Duration;

use osis_core::batch::{Batch, Commit};
use osis_core::error::Result;
use osis_core::schema::TypeId;
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::connection::{self, Missing};
use crate::error::Outcome;
use crate::group;
use crate::text_index::{self, Merge};
use crate::ticket::Turn;
use crate::transaction::{WriteTransaction, roll_back};

/// How many rows go into the text index at once while nobody waits.
const IDLE_ROWS: usize = 250;
/// How many rows go into the text index at once while a search waits for them.
const HURRIED_ROWS: usize = 2000;
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
            last_seq: *catalog.commits.borrow(),
            contended: false,
            // A process that was killed may have left something.
            behind: true,
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
            self.contended = turn.waited || before != self.last_seq;
            self.last_seq = after;
            self.catalog.announce(after);
        }
        self.behind |= done.noted;
        done.answers
    }

    /// Makes room for other processes after a turn, where there are any.
    pub(crate) fn make_room(&self) {
        if self.contended {
            std::thread::sleep(BREAK);
        }
    }

    /// Takes some of what is noted into the text index; tells whether there may be more.
    pub(crate) fn take_in(&mut self, _turn: &Turn<'_>, hurry: Hurry) -> Outcome<bool> {
        self.mend();
        let limit = match hurry {
            Hurry::Idle => IDLE_ROWS,
            Hurry::Awaited => HURRIED_ROWS,
        };
        self.behind = false;
        if !text_index::is_behind(&self.connection)? {
            return Ok(false);
        }
        let transaction = WriteTransaction::begin(&self.connection)?;
        let taken = text_index::take_in(&self.connection, &self.catalog, limit)?;
        transaction.commit()?;
        let mut total = 0;
        for (type_id, rows) in taken {
            self.taken_in[type_id] += rows;
            total += rows;
        }
        self.behind = total >= limit as u64;
        if !self.behind {
            self.find_due()?;
        }
        Ok(self.behind)
    }

    /// Whether [`Self::upkeep`] has something to do.
    pub(crate) fn has_upkeep(&self) -> bool {
        self.behind || self.merging.is_some() || !self.due.is_empty()
    }

    /// Takes a short step towards a text index that lacks nothing and is quick to search.
    pub(crate) fn upkeep(&mut self, turn: &Turn<'_>) -> Outcome<()> {
        if self.behind {
            return self.take_in(turn, Hurry::Idle).map(drop);
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
        let transaction = WriteTransaction::begin(&self.connection)?;
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
    }

    /// Lets SQLite look after its statistics before the connection goes.
    pub(crate) fn finish(&mut self) {
        self.mend();
        if let Err(error) = self.connection.execute_batch("PRAGMA optimize") {
            tracing::debug!(%error, "statistics were not updated");
        }
    }

    /// Finds the types whose text index has taken in so much that merging is worth it. Parts that
    /// are many, or full of words of removed rows, make searches up to ten times slower.
    fn find_due(&mut self) -> Outcome<()> {
        for type_id in 0..self.taken_in.len() {
            if self.taken_in[type_id] < MERGE_ROWS_MIN {
                continue;
            }
            let rows = text_index::rows_about(&self.connection, &self.catalog, type_id)?;
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

/// Whether somebody waits for the text index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hurry {
    /// Nobody.
    Idle,
    /// A search.
    Awaited,
}
