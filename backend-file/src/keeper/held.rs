//! Files that cannot be taken in as they are, and when they are tried again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::content::Fault;
use super::inspect::{BATCH, RETRY};
use super::marks::Key;
use super::walk::{self, Kind};
use super::worker::Worker;
use crate::files::Stamp;

/// A file that cannot be taken in as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// As it was then.
    stamp: Option<Stamp>,
    /// Whether it may be taken in after other commits, though it does not change itself.
    pub(super) retries: bool,
    /// When it is tried again, and how long after that.
    next: Instant,
    wait: Duration,
    /// The state in which it was refused.
    seq: u64,
}

impl Held {
    /// One that only its person can mend.
    pub(super) fn broken(stamp: Option<Stamp>) -> Self {
        Self {
            stamp,
            retries: false,
            next: Instant::now(),
            wait: RETRY,
            seq: 0,
        }
    }
}

impl Worker<'_> {
    /// Notes what is wrong with a file, and leaves it as it is until it changes.
    pub(super) fn note_broken(&mut self, key: &Key, path: &Path, stamp: Stamp, fault: Fault) {
        let (line, message) = fault;
        self.shared.problems.note(path, line, message);
        self.held.insert(path.to_owned(), Held::broken(Some(stamp)));
        self.keep(key);
        tracing::debug!(id = %key.1, "the last good version stays in force");
    }

    /// Notes why an edit was refused. `retries`: other commits may make it good.
    pub(super) fn note_refused(
        &mut self,
        path: &Path,
        stamp: Stamp,
        (line, why): (Option<usize>, &str),
        retries: bool,
    ) {
        self.shared.problems.note(path, line, why);
        let before = self.held.get(path).filter(|held| held.stamp == Some(stamp));
        let wait = before.map_or(RETRY, |held| (held.wait * 2).min(RETRY * 64));
        let held = Held {
            stamp: Some(stamp),
            retries,
            next: Instant::now() + wait,
            wait,
            seq: self.state.seq,
        };
        self.held.insert(path.to_owned(), held);
    }

    /// Whether a file is known not to be right, and is as it was then.
    pub(super) fn is_held(&self, path: &Path, stamp: Option<Stamp>) -> bool {
        self.held.get(path).is_some_and(|held| held.stamp == stamp)
    }

    /// Looks again at an edit that was refused, for the store has changed its object.
    pub(super) fn reconsider(&mut self, key: &Key) {
        let path = self.path_of(key.0, &key.1);
        if let Some(held) = self.held.get(&path)
            && held.retries
        {
            let stamp = held.stamp;
            self.suspect(key, &path, stamp);
        }
    }

    /// Has edits looked at again that were refused for the sake of other objects: another edit was
    /// taken in, which may be what they wait for.
    pub(super) fn hurry_refused(&mut self) {
        let now = Instant::now();
        for held in self.held.values_mut().filter(|held| held.retries) {
            held.next = held.next.min(now);
            self.has_retries = true;
        }
    }

    /// Looks again at edits that were refused for the sake of other objects.
    pub(super) fn retry_refused(&mut self, now: Instant) {
        self.has_retries = false;
        let seq = self.state.seq;
        let due: Vec<(PathBuf, Option<Stamp>)> = self
            .held
            .iter()
            .filter(|(_, held)| held.retries && held.next <= now && held.seq < seq)
            .take(BATCH)
            .map(|(path, held)| (path.clone(), held.stamp))
            .collect();
        for (path, stamp) in due {
            if self.suspect_known_day(&path, stamp) {
                continue;
            }
            let found = walk::look(
                &self.shared.layout,
                &self.schema,
                &self.tree,
                std::slice::from_ref(&path),
            );
            let Ok(found) = found else { continue };
            if found.changed_or_new.is_empty() {
                // It is gone, which is told by itself where it means something.
                self.settle(&path);
            }
            for place in found.changed_or_new {
                let is_astray = matches!(place.kind, Kind::Misplaced(_));
                if let Kind::Object(id) | Kind::Misplaced(id) = place.kind {
                    let key = (place.type_id, id);
                    self.add_suspect(&key, &path, stamp, is_astray, Duration::ZERO);
                }
            }
        }
    }
}
