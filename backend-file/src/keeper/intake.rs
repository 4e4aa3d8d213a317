//! Takes in what is committed: what of it has to become files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::marks::Key;
use super::tree::Known;
use super::worker::{COALESCE, FOREIGN, Worker};
use crate::state::Applied;

impl Worker<'_> {
    /// Marks what the tree and the state disagree about. Which commit it was is not known, so the
    /// log lets nothing go before all of it is folded.
    pub(super) fn mark_differences(&mut self, now: Instant) {
        let state = Arc::clone(&self.state);
        for ty in self.schema.types.iter().filter(|ty| ty.log().is_none()) {
            for held in state.types[ty.id].ordinals.values() {
                let key = (ty.id, held.row.id.clone());
                let known = self.tree.objects.get(&key);
                if known.is_none_or(|known| known.version != held.version()) {
                    self.dirty.mark(key, 1, false, now);
                }
            }
        }
        for key in self.tree.objects.keys() {
            if state.get(key.0, &key.1).is_none() {
                self.dirty.mark(key.clone(), 1, false, now);
            }
        }
    }

    /// Takes in what was committed meanwhile.
    pub(super) fn drain(&mut self) -> usize {
        let mut came = 0;
        while let Ok(applied) = self.applied.try_recv() {
            self.take(&applied);
            came += 1;
        }
        came
    }

    /// Has the state, and what is known of its changes, reach the end of the log.
    pub(super) fn catch_up(&mut self) -> osis_core::error::Result<()> {
        if self.shared.is_behind()? {
            self.shared.catch_up()?;
        } else {
            // Whoever moves the state tells of it before it lets go.
            drop(self.shared.moving());
        }
        self.drain();
        Ok(())
    }

    /// Takes in an entry of the log.
    pub(super) fn take(&mut self, applied: &Arc<Applied>) {
        let now = Instant::now();
        if applied.is_own {
            self.own_seq = applied.state.seq;
        }
        let due = now + self.patience(applied);
        // Its entry begins behind the one before it; which of its commits a step is of is not told.
        let seq = match applied.state.seq > self.state.seq {
            true => self.state.seq + 1,
            false => 1,
        };
        if !self.is_starting {
            self.take_events(applied, seq, now);
        }
        for step in &applied.steps {
            let Some(either) = step.after.as_ref().or(step.before.as_ref()) else {
                continue;
            };
            let key: Key = (step.type_id, either.row.id.clone());
            let is_event = self.schema.types[key.0].log().is_some();
            // Of events that never change, which are most, nothing need be remembered.
            if is_event && step.before.is_none() {
                continue;
            }
            let after = step.after.as_ref().map(|held| held.version());
            for version in step.before.iter().map(|held| held.version()).chain(after) {
                self.recent.note(&key, version);
            }
            if is_event {
                // As of other objects: a file that the process before wrote may still have it.
                if self.is_starting && step.after.is_none() {
                    self.events[step.type_id].change(key.1, 1, now);
                }
                continue;
            }
            if self.is_starting && applied.state.seq <= self.filed {
                // It was done before; what the file is now, people have made of it.
                match after {
                    Some(version) => drop(self.tree.objects.insert(key, Known::unseen(version))),
                    None => drop(self.tree.objects.remove(&key)),
                }
                continue;
            }
            if self.is_starting {
                // The process before may have written it, and ended before it could remove it.
                if step.after.is_none() {
                    self.dirty.mark(key, 1, false, now);
                }
                continue;
            }
            if !self.edits.is_empty() && self.edits.get(&key) != after.as_ref() {
                self.edits.remove(&key);
            }
            if !self.held.is_empty() {
                self.reconsider(&key);
            }
            self.dirty.mark(key.clone(), seq, false, due);
            if self.is_kept(&key) {
                // What is kept has to be the version that is served.
                self.dirty.release(&key, due);
            }
        }
        if applied.state.seq >= self.state.seq {
            self.state = Arc::clone(&applied.state);
        }
        self.changed_at = now;
        self.clock.changes += applied.steps.len();
    }

    /// How long the changes of an entry wait before they are folded here.
    fn patience(&self, applied: &Applied) -> Duration {
        match applied.is_own {
            true => COALESCE,
            false => FOREIGN,
        }
    }
}
