//! Which objects have something left to do, and the oldest commit that each of them waits for.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use osis_core::object::Id;
use osis_core::schema::TypeId;

/// An object.
pub(super) type Key = (TypeId, Id);

/// Seqs, each as often as it was added: the lowest of them bounds what the log may let go.
#[derive(Debug, Default)]
pub(super) struct Seqs(BTreeMap<u64, usize>);

impl Seqs {
    /// Adds a seq.
    pub(super) fn add(&mut self, seq: u64) {
        *self.0.entry(seq).or_default() += 1;
    }

    /// Takes one that was added.
    pub(super) fn remove(&mut self, seq: u64) {
        if let Some(count) = self.0.get_mut(&seq) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&seq);
            }
        }
    }

    /// The lowest.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.0.keys().next().copied()
    }
}

/// Objects whose files are not what the store holds, each once, in the order in which they are due.
///
/// Only ids are held: however far the files lag, what is written to them is read from the state
/// when it is their turn.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    marks: HashMap<Key, Mark>,
    /// Which of them is due when; one that is held is not in it.
    queue: BTreeMap<(Instant, u64), Key>,
    seqs: Seqs,
    next: u64,
}

/// What is known of an object whose file is not what the store holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// The oldest commit that is not in the file for sure.
    pub(super) seq: u64,
    /// Whether the file is written even if it looks as it should: what the disk has is unknown.
    pub(super) force: bool,
    slot: Option<(Instant, u64)>,
}

impl Dirty {
    /// Marks an object: the oldest seq and the earliest time that it was marked with hold. One that
    /// is held back stays so.
    pub(super) fn mark(&mut self, key: Key, seq: u64, force: bool, due: Instant) {
        self.next += 1;
        let slot = (due, self.next);
        let Some(mark) = self.marks.get_mut(&key) else {
            self.seqs.add(seq);
            self.queue.insert(slot, key.clone());
            let slot = Some(slot);
            self.marks.insert(key, Mark { seq, force, slot });
            return;
        };
        mark.force |= force;
        if seq < mark.seq {
            self.seqs.remove(mark.seq);
            self.seqs.add(seq);
            mark.seq = seq;
        }
        if let Some(before) = mark.slot
            && due < before.0
        {
            self.queue.remove(&before);
            self.queue.insert(slot, key);
            mark.slot = Some(slot);
        }
    }

    /// Keeps an object marked, but not due before it is [released](Self::release).
    pub(super) fn hold(&mut self, key: &Key, seq: u64, force: bool) {
        match self.marks.get_mut(key) {
            Some(mark) => {
                if let Some(slot) = mark.slot.take() {
                    self.queue.remove(&slot);
                }
            }
            None => {
                self.seqs.add(seq);
                let slot = None;
                self.marks.insert(key.clone(), Mark { seq, force, slot });
            }
        }
    }

    /// Makes an object that is held due; says whether one was.
    pub(super) fn release(&mut self, key: &Key, due: Instant) -> bool {
        self.next += 1;
        let slot = (due, self.next);
        match self.marks.get_mut(key) {
            Some(mark) if mark.slot.is_none() => {
                mark.slot = Some(slot);
                self.queue.insert(slot, key.clone());
                true
            }
            _ => false,
        }
    }

    /// Takes out the object that is due longest.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Key, Mark)> {
        let first = self.queue.first_entry()?;
        if first.key().0 > now {
            return None;
        }
        let key = first.remove();
        let mark = self.marks.remove(&key)?;
        self.seqs.remove(mark.seq);
        Some((key, mark))
    }

    /// Takes an object out, wherever it is.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Mark> {
        let mark = self.marks.remove(key)?;
        self.seqs.remove(mark.seq);
        if let Some(slot) = mark.slot {
            self.queue.remove(&slot);
        }
        Some(mark)
    }

    /// Whether an object is marked.
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.marks.contains_key(key)
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue.keys().next().map(|slot| slot.0)
    }

    /// How many are due at some time: all but those that are held.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The oldest commit that any of them waits for.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.seqs.oldest()
    }

    /// Whether any is due at some time that waits for a commit up to one.
    pub(super) fn queues_any_through(&self, last: u64) -> bool {
        let mut keys = self.queue.values();
        keys.any(|key| self.marks.get(key).is_some_and(|mark| mark.seq <= last))
    }

    /// Makes due now all that wait for a commit up to one.
    pub(super) fn hurry_through(&mut self, last: u64, now: Instant) {
        let late = self.queue.split_off(&(now, 0));
        for (slot, key) in late {
            let Some(mark) = self.marks.get_mut(&key) else {
                continue;
            };
            let mut slot = slot;
            if mark.seq <= last {
                self.next += 1;
                slot = (now, self.next);
                mark.slot = Some(slot);
            }
            self.queue.insert(slot, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(n: u32) -> Key {
        (0, Id::trusted(&format!("id-{n}")))
    }

    #[test]
    fn the_oldest_seq_and_the_earliest_time_hold() {
        let now = Instant::now();
        let mut dirty = Dirty::default();
        dirty.mark(key(1), 7, false, now + Duration::from_secs(2));
        dirty.mark(key(2), 8, false, now);
        dirty.mark(key(1), 9, true, now);
        assert_eq!(dirty.oldest(), Some(7));
        assert_eq!(dirty.pop(now).map(|(key, _)| key), Some(key(2)));
        let (first, mark) = dirty.pop(now).unwrap();
        assert_eq!((first, mark.seq, mark.force), (key(1), 7, true));
        assert_eq!((dirty.oldest(), dirty.queued()), (None, 0));
    }

    #[test]
    fn what_is_held_bounds_the_log_but_is_not_due() {
        let now = Instant::now();
        let mut dirty = Dirty::default();
        dirty.mark(key(1), 3, false, now);
        dirty.hold(&key(1), 3, false);
        dirty.mark(key(1), 4, false, now);
        assert!(dirty.pop(now).is_none() && dirty.contains(&key(1)));
        assert_eq!(dirty.oldest(), Some(3));
        assert!(dirty.release(&key(1), now) && !dirty.release(&key(1), now));
        assert!(dirty.pop(now).is_some());
    }

    #[test]
    fn waiting_ones_can_be_hurried() {
        let now = Instant::now();
        let mut dirty = Dirty::default();
        dirty.mark(key(1), 3, false, now + Duration::from_secs(9));
        assert!(dirty.pop(now).is_none());
        dirty.hurry_through(u64::MAX, now);
        assert!(dirty.pop(now).is_some());
    }
}
