//! All that a process knows of the store at one seq: an immutable value that snapshots share.

use std::collections::HashSet;
use std::sync::Arc;

use osis_core::backend::{Change as FeedRecord, ChangeOp, Feed};
use osis_core::error::Result;
use osis_core::object::{Id, Row};
use osis_core::schema::{Schema, TypeId};
use osis_core::table::Table;

use crate::bodies::Bodies;
use crate::log::{Change, Content, Tip};
use crate::record::{Hash, Held};

/// How many records of the change feed are kept in memory; the log has the older ones.
const RECENT_MAX: usize = 100_000;

/// All that a process knows of the store at one seq. Cloning is cheap: what does not change is
/// shared.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// The last commit in it.
    pub(crate) seq: u64,
    /// The entry of the log with which that came; nothing where it is not known.
    pub(crate) tip: Option<Arc<Tip>>,
    /// What the next version of an object gets as its ordinal.
    pub(crate) next_ordinal: u64,
    /// The objects of each type, in the order of the schema's types.
    pub(crate) types: Vec<Objects>,
    /// Records of the change feed after [`Self::recent_since`].
    recent: imbl::Vector<FeedRecord>,
    recent_since: u64,
}

/// The objects of one type.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    /// By id, key and index.
    pub(crate) table: Table<Held>,
    /// By ordinal: what the text index knows them by.
    pub(crate) ordinals: imbl::OrdMap<u64, Arc<Held>>,
}

/// One change of the state.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The type of the object.
    pub(crate) type_id: TypeId,
    /// The version that goes.
    pub(crate) before: Option<Arc<Held>>,
    /// The version that comes.
    pub(crate) after: Option<Arc<Held>>,
}

/// Commits that were taken into the state, for those who follow it.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The state with them.
    pub(crate) state: Arc<State>,
    /// What they changed, in order.
    pub(crate) steps: Vec<Step>,
    /// Whether this process made them.
    pub(crate) is_own: bool,
}

impl State {
    /// Of a store in which nothing is yet; its feed begins behind `seq`.
    pub(crate) fn empty(schema: &Schema, seq: u64) -> Self {
        let types = schema
            .types
            .iter()
            .map(|ty| Objects {
                table: Table::new(ty),
                ordinals: imbl::OrdMap::new(),
            })
            .collect();
        Self {
            seq,
            tip: None,
            next_ordinal: 1,
            types,
            recent: imbl::Vector::new(),
            recent_since: seq,
        }
    }

    /// An object by id.
    pub(crate) fn get(&self, type_id: TypeId, id: &Id) -> Option<&Arc<Held>> {
        self.types[type_id].table.get(id)
    }

    /// Takes a change in, whose seq is not before the last one's.
    ///
    /// `load` reads an object of which the log no longer has the content from its file: `None`
    /// where there is none. Then a person has removed it, or a later change says what became of it;
    /// until that comes, the version before stays. Only a change that says so removes an object.
    ///
    /// # Errors
    /// Those of the cache, and of `load`.
    pub(crate) fn take_in(
        &mut self,
        schema: &Schema,
        bodies: &Bodies,
        change: &Change,
        load: &dyn Fn(&Change) -> Result<Option<Row>>,
    ) -> Result<Step> {
        let loaded = match &change.content {
            Content::Full(row) => Some(row.clone()),
            Content::Folded if change.op != ChangeOp::Delete => load(change)?,
            Content::Folded | Content::Gone => None,
        };
        let is_gone = change.op == ChangeOp::Delete || change.content == Content::Gone;
        let step = match loaded {
            Some(row) => self.put(schema, bodies, change.type_id, row)?,
            None if is_gone => self.remove(change.type_id, &change.id),
            None => {
                tracing::debug!(id = %change.id, seq = change.seq, "has no file just now");
                Step {
                    type_id: change.type_id,
                    before: None,
                    after: None,
                }
            }
        };
        if schema.types[change.type_id].log().is_none() {
            self.recent.push_back(FeedRecord {
                seq: change.seq,
                type_id: change.type_id,
                id: change.id.clone(),
                rev: change.rev,
                op: change.op,
                at: change.at,
            });
        }
        self.seq = change.seq;
        Ok(step)
    }

    /// Puts an object in, in the place of the one with its id.
    ///
    /// # Errors
    /// Those of the cache.
    pub(crate) fn put(
        &mut self,
        schema: &Schema,
        bodies: &Bodies,
        type_id: TypeId,
        row: Row,
    ) -> Result<Step> {
        let ty = &schema.types[type_id];
        let hash = Hash::of(ty, &row.values);
        let (row, body) = bodies.split(ty, row)?;
        let held = Arc::new(Held {
            row,
            body,
            ordinal: self.next_ordinal,
            hash,
        });
        self.next_ordinal += 1;
        let objects = &mut self.types[type_id];
        let before = objects.insert(Arc::clone(&held));
        Ok(Step {
            type_id,
            before,
            after: Some(held),
        })
    }

    fn remove(&mut self, type_id: TypeId, id: &Id) -> Step {
        let objects = &mut self.types[type_id];
        let before = objects.table.remove(id);
        if let Some(before) = &before {
            objects.ordinals.remove(&before.ordinal);
        }
        Step {
            type_id,
            before,
            after: None,
        }
    }

    /// Adds a record of the feed, whose seq is not before the last one's: for who builds a state from
    /// objects as they are, without the changes that led there.
    pub(crate) fn push_record(&mut self, record: FeedRecord) {
        self.recent.push_back(record);
    }

    /// The objects of which the last record in memory says that they are deleted.
    pub(crate) fn deleted_lately(&self) -> HashSet<(TypeId, &Id)> {
        let mut deleted = HashSet::new();
        for record in &self.recent {
            let key = (record.type_id, &record.id);
            match record.op {
                ChangeOp::Delete => drop(deleted.insert(key)),
                _ => drop(deleted.remove(&key)),
            }
        }
        deleted
    }

    /// Lets go of the oldest records of the feed, where there are too many; whole commits only.
    pub(crate) fn trim_recent(&mut self) {
        if self.recent.len() <= RECENT_MAX {
            return;
        }
        let cut = self.recent.len() - RECENT_MAX;
        let last = self.recent[cut - 1].seq;
        while self.recent.front().is_some_and(|record| record.seq <= last) {
            self.recent.pop_front();
        }
        self.recent_since = last;
    }

    /// Records after a seq, at most `limit` and the rest of the last commit; nothing if older ones
    /// are asked for than are in memory.
    pub(crate) fn feed(
        &self,
        since: u64,
        types: &[TypeId],
        limit: usize,
        oldest: u64,
    ) -> Option<Feed> {
        if since < self.recent_since {
            return None;
        }
        let from = self
            .recent
            .binary_search_by(|record| match record.seq <= since {
                true => std::cmp::Ordering::Less,
                false => std::cmp::Ordering::Greater,
            });
        let from = from.unwrap_or_else(|at| at);
        let records = self.recent.skip(from);
        Some(Feed::first(records, types, limit, self.seq, oldest))
    }
}

impl Objects {
    /// Puts objects in where there are none yet, each but once among them.
    pub(crate) fn fill(&mut self, held: &[Arc<Held>]) {
        self.table.fill(held);
        let ordinals = held.iter().map(|held| (held.ordinal, Arc::clone(held)));
        self.ordinals.extend(ordinals);
    }

    /// Puts a version in; the one that it takes the place of.
    pub(crate) fn insert(&mut self, held: Arc<Held>) -> Option<Arc<Held>> {
        self.ordinals.insert(held.ordinal, Arc::clone(&held));
        let before = self.table.insert(held);
        if let Some(before) = &before {
            self.ordinals.remove(&before.ordinal);
        }
        before
    }
}
