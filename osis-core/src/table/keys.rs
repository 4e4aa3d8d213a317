//! Look-ups by keys that no ordered index serves: composite ones, and those that fold.
//!
//! Entries are ordered by a hash of the values in the form in which the key compares them, so none
//! is kept; what is found is held against the values that were looked for.

use std::cmp::Ordering;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Bound;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use imbl::OrdSet;

use super::Record;
use crate::schema::Key;
use crate::value::Value;

/// The records of a type by one key.
pub(super) struct ByHash<R> {
    key: Key,
    // Callers choose the values: they must not be able to choose hashes.
    hasher: RandomState,
    entries: OrdSet<Entry<R>>,
}

// Derived, it would ask that records can be cloned.
impl<R> Clone for ByHash<R> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            hasher: self.hasher.clone(),
            entries: self.entries.clone(),
        }
    }
}

impl<R: Record> ByHash<R> {
    /// No records yet.
    pub(super) fn new(key: &Key) -> Self {
        Self {
            key: key.clone(),
            hasher: RandomState::new(),
            entries: OrdSet::new(),
        }
    }

    /// Puts a record in, in the place of one with the same id.
    pub(super) fn put(&mut self, before: Option<&Arc<R>>, record: &Arc<R>) {
        if let Some(before) = before {
            self.remove(before);
        }
        if let Some(entry) = self.entry(record) {
            self.entries.insert(entry);
        }
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, record: &Arc<R>) {
        if let Some(entry) = self.entry(record) {
            self.entries.remove(&entry);
        }
    }

    fn entry(&self, record: &Arc<R>) -> Option<Entry<R>> {
        let values = self.key.of(&record.row().values)?;
        Some(Entry {
            hash: self.hasher.hash_one(values.as_slice()),
            record: Arc::clone(record),
        })
    }

    /// The record with these values, in the form in which the key compares them.
    pub(super) fn get(&self, values: &[Value]) -> Option<&Arc<R>> {
        let hash = self.hasher.hash_one(values);
        let edge = |tie| Bound::Excluded(Edge { hash, tie });
        let mut found = self
            .entries
            .range((edge(Ordering::Less), edge(Ordering::Greater)));
        let has = |entry: &&Entry<R>| {
            let own = self.key.of(&entry.record.row().values);
            own.is_some_and(|own| own == values)
        };
        found.find(has).map(|entry| &entry.record)
    }
}

struct Entry<R> {
    hash: u64,
    record: Arc<R>,
}

impl<R> Clone for Entry<R> {
    fn clone(&self) -> Self {
        Self {
            hash: self.hash,
            record: Arc::clone(&self.record),
        }
    }
}

impl<R: Record> Ord for Entry<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_hash = self.hash.cmp(&other.hash);
        by_hash.then_with(|| self.record.row().id.cmp(&other.record.row().id))
    }
}

impl<R: Record> PartialOrd for Entry<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: Record> PartialEq for Entry<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<R: Record> Eq for Entry<R> {}

/// An edge of the entries of one hash; `tie` says on which side of them.
struct Edge {
    hash: u64,
    tie: Ordering,
}

impl<R: Record> Equivalent<Entry<R>> for Edge {
    fn equivalent(&self, entry: &Entry<R>) -> bool {
        self.compare(entry).is_eq()
    }
}

impl<R: Record> Comparable<Entry<R>> for Edge {
    fn compare(&self, entry: &Entry<R>) -> Ordering {
        self.hash.cmp(&entry.hash).then(self.tie)
    }
}
