//! What lies between an index and a state that it was not made for: versions that it lacks, and
//! versions that it has too much.
//!
//! So a search right after a write need not wait for a commit of the index, a snapshot that is
//! older than the index searches exactly what it sees, and one whose index turns out to be damaged
//! can still be answered, slowly.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use osis_core::schema::{Type, TypeId};
use osis_core::table::Clock;
use osis_core::text::Document;
use tantivy::DocId;

use super::error::{Failure, Outcome};
use super::segments::Committed;
use super::terms::Part;
use crate::bodies::Bodies;
use crate::record::Held;
use crate::state::Objects;

/// What lies between an index and the objects of a type.
#[derive(Debug)]
pub(super) struct Overlay {
    /// For each segment the documents that do not count, rising.
    pub(super) gone: Vec<Vec<DocId>>,
    /// The versions that the index lacks, with their words.
    pub(super) extra: Vec<(Arc<Held>, Arc<Document>)>,
    /// How many objects there are.
    pub(super) count: u64,
    /// The slots of their searchable fields, over all of them.
    pub(super) totals: Vec<u64>,
}

/// Words of versions that an index lacks, for all searches until the next commit.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<HashMap<u64, Arc<Document>>>);

/// The versions that two states of a type do not share, by ordinal.
#[derive(Debug, Default)]
pub(super) struct Difference<'a> {
    /// In the other one only.
    gone: Vec<u64>,
    /// In the own one only.
    extra: Vec<&'a Arc<Held>>,
}

impl<'a> Difference<'a> {
    /// Between what an index has and what is asked for, whichever is newer, if it can be told from
    /// the newest versions and is no more than about `max` of them.
    ///
    /// Each is given with its next ordinal. Versions behind the other's next ordinal are not in it,
    /// and replace those of the same id there. What was deleted cannot be told this way.
    pub(super) fn near(
        (index, index_next): (&Objects, u64),
        (own, own_next): (&'a Objects, u64),
        max: usize,
    ) -> Option<Self> {
        let mut difference = Self::default();
        let of = |held: &Arc<Held>, other: &Objects| other.table.get(&held.row.id).map(Arc::clone);
        for held in own.ordinals.range(index_next..).map(|(_, held)| held) {
            difference.extra.push(held);
            difference
                .gone
                .extend(of(held, index).map(|held| held.ordinal));
            if difference.extra.len() > max {
                return None;
            }
        }
        for held in index.ordinals.range(own_next..).map(|(_, held)| held) {
            difference.gone.push(held.ordinal);
            let replaced = own.table.get(&held.row.id);
            // One that is newer than both was seen above.
            difference
                .extra
                .extend(replaced.filter(|held| held.ordinal < index_next));
            if difference.gone.len() > max.saturating_mul(2) {
                return None;
            }
        }
        let now = index.ordinals.len() + difference.extra.len() - difference.gone.len();
        (now == own.ordinals.len()).then_some(difference)
    }

    /// The same, from all versions.
    pub(super) fn walk(index: &Objects, own: &'a Objects) -> Self {
        let mut difference = Self::default();
        let (mut theirs, mut ours) = (index.ordinals.keys().peekable(), own.ordinals.iter());
        let mut next = ours.next();
        loop {
            let order = match (theirs.peek(), next) {
                (None, None) => return difference,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(their), Some((our, _))) => (*their).cmp(our),
            };
            if order.is_le()
                && let Some(ordinal) = theirs.next()
                && order.is_lt()
            {
                difference.gone.push(*ordinal);
            }
            if order.is_ge()
                && let Some((_, held)) = next
            {
                next = ours.next();
                if order.is_gt() {
                    difference.extra.push(held);
                }
            }
        }
    }
}

impl Overlay {
    /// Of an index and the objects of a type, with what lies between them.
    pub(super) fn of(
        difference: &Difference<'_>,
        committed: &Committed,
        (type_id, ty, own): (TypeId, &Type, &Objects),
        bodies: &Bodies,
        tail: &Tail,
        clock: Clock,
    ) -> Outcome<Self> {
        let mut overlay = Self {
            gone: vec![Vec::new(); committed.segments.len()],
            extra: Vec::with_capacity(difference.extra.len()),
            count: own.ordinals.len() as u64,
            totals: committed.totals[type_id].clone(),
        };
        for ordinal in &difference.gone {
            clock.check()?;
            let at = committed.find(*ordinal)?;
            let at = at.ok_or_else(|| Failure::Index(format!("{ordinal} is not in the index")))?;
            overlay.gone[at.segment].push(at.doc);
            for (total, slots) in overlay
                .totals
                .iter_mut()
                .zip(committed.lengths(type_id, at))
            {
                *total = total
                    .checked_sub(slots)
                    .ok_or_else(|| Failure::Index("lengths do not add up".to_owned()))?;
            }
        }
        overlay
            .gone
            .iter_mut()
            .for_each(|gone| gone.sort_unstable());
        for held in &difference.extra {
            overlay.add(held, tail.words(ty, held, bodies)?, clock)?;
        }
        Ok(overlay)
    }

    /// Of all objects of a type, without an index.
    pub(super) fn whole(ty: &Type, own: &Objects, bodies: &Bodies, clock: Clock) -> Outcome<Self> {
        let mut overlay = Self {
            gone: Vec::new(),
            extra: Vec::new(),
            count: own.ordinals.len() as u64,
            totals: vec![0; osis_core::text::searchable(ty).len()],
        };
        for held in own.ordinals.values() {
            let words = Arc::new(Document::of(ty, &bodies.join(held)?));
            overlay.add(held, words, clock)?;
        }
        Ok(overlay)
    }

    /// The documents of an index that count, in parts.
    pub(super) fn parts<'a>(&'a self, committed: Option<&'a Committed>) -> Vec<Part<'a>> {
        let segments = committed.map_or(&[][..], |c| &c.segments);
        let gone = self.gone.iter().map(Vec::as_slice);
        let gone = gone.chain(std::iter::repeat(&[][..]));
        segments
            .iter()
            .zip(gone)
            .flat_map(|(segment, gone)| Part::of(segment, gone))
            .collect()
    }

    fn add(&mut self, held: &Arc<Held>, words: Arc<Document>, clock: Clock) -> Outcome<()> {
        clock.check()?;
        for (total, field) in self.totals.iter_mut().zip(words.fields()) {
            *total += field.slots().len() as u64;
        }
        self.extra.push((Arc::clone(held), words));
        Ok(())
    }
}

impl Tail {
    /// So many are kept: the words of some may take a megabyte.
    const MAX: usize = 256;

    /// The words of a version.
    fn words(&self, ty: &Type, held: &Held, bodies: &Bodies) -> Outcome<Arc<Document>> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(words) = known().get(&held.ordinal) {
            return Ok(Arc::clone(words));
        }
        let words = Arc::new(Document::of(ty, &bodies.join(held)?));
        let mut known = known();
        if known.len() < Self::MAX {
            known.insert(held.ordinal, Arc::clone(&words));
        }
        Ok(words)
    }
}
