//! New files that somebody is still writing.
//!
//! The system tells when a file is made, and when whoever wrote it has closed it. In between it may
//! look whole, and be only a beginning. So it is read once it is closed. Where that is never told (a
//! link is made and never opened), it has to stand still for longer than others; and until it is
//! closed, nothing is put in its place, since what is written later would go with it. A file that is
//! found in a new folder may have been made before anybody was told: it is read at once, but its
//! place is left to it for a moment, too.

use std::path::Path;
use std::time::{Duration, Instant};

use super::inspect::{STILL, STILL_OPEN};
use super::worker::Worker;

/// How long, at most, a file is waited for to be closed.
const OPEN_MAX: Duration = Duration::from_secs(60);

/// What is known of a file that somebody may still be writing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unwritten {
    /// Until when it is waited for.
    until: Instant,
    /// Whether it was told that the file was made.
    is_told: bool,
}

impl Worker<'_> {
    /// Notes a file that was found in a folder of which something was told, though not of the file.
    pub(super) fn is_found(&mut self, path: &Path) {
        let found = Unwritten {
            until: Instant::now() + STILL_OPEN,
            is_told: false,
        };
        self.unwritten.entry(path.to_owned()).or_insert(found);
    }

    /// Notes a file that was made.
    pub(super) fn is_begun(&mut self, path: &Path) {
        let now = Instant::now();
        let begun = Unwritten {
            until: now + OPEN_MAX,
            is_told: true,
        };
        self.unwritten.insert(path.to_owned(), begun);
        let due = now + STILL_OPEN;
        // A walk may have come upon it first.
        if let Some(suspect) = self.suspects.get_mut(path) {
            suspect.due = suspect.due.max(due);
        }
        if let Some(suspect) = self.day_suspects.get_mut(path) {
            suspect.due = suspect.due.max(due);
        }
    }

    /// Notes that whoever has written a file is done, or has replaced or removed it.
    pub(super) fn is_written(&mut self, path: &Path) {
        if self.unwritten.remove(path).is_none() {
            return;
        }
        let due = Instant::now() + STILL;
        if let Some(suspect) = self.suspects.get_mut(path) {
            suspect.due = suspect.due.min(due);
        }
        if let Some(suspect) = self.day_suspects.get_mut(path) {
            suspect.due = suspect.due.min(due);
        }
    }

    /// Whether it was told that a file was made, and not yet that it was closed.
    pub(super) fn is_unwritten(&self, path: &Path) -> bool {
        let unwritten = self.unwritten.get(path);
        unwritten.is_some_and(|file| file.is_told && file.until > Instant::now())
    }

    /// Whether nothing may be put in a file's place, since somebody may still be writing it. Who ends,
    /// or is asked to have all in files, waits for nobody.
    pub(super) fn is_left_open(&self, path: &Path) -> bool {
        let unwritten = self.unwritten.get(path);
        let is_awaited = self.watcher.is_some() && self.settling.is_empty();
        is_awaited && unwritten.is_some_and(|file| file.until > Instant::now())
    }

    /// Forgets files that were waited for long enough.
    pub(super) fn trim_unwritten(&mut self, now: Instant) {
        self.unwritten.retain(|_, file| file.until > now);
    }
}
