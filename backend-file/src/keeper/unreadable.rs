//! Files that this process has no right to read: they are told and left as they are, and what is
//! served of them stays, until they can be read.
//!
//! Nothing tells when a right is given: a file's stamp stays the same. So it is tried.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osis_core::schema::TypeId;

use super::held::Held;
use super::marks::Key;
use super::worker::Worker;
use crate::files::Stamp;

/// How long after a trial the next one is, at first; twice as long after each further one.
const RETRY: Duration = Duration::from_secs(1);
/// How long at most.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Files that this process has no right to read.
pub(super) type Unreadable = HashMap<PathBuf, Trial>;

/// A file that is tried again.
#[derive(Debug)]
pub(super) struct Trial {
    of: Of,
    next: Instant,
    wait: Duration,
}

/// What a file is of, by its name.
#[derive(Debug, Clone)]
pub(super) enum Of {
    /// An object; whether it lies where that does not belong.
    Object(Key, bool),
    /// A day of a log type.
    Day(TypeId),
}

/// Whether a failure says that this process has no right, as opposed to one that may pass.
pub(super) fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// What is told of such a file.
pub(super) fn why(error: &io::Error) -> String {
    format!(
        "cannot be read: {error}; the last good version stays in force until this process has the \
         right to read it"
    )
}

impl Worker<'_> {
    /// Tells that a file cannot be read, and leaves it as it is until it can.
    pub(super) fn note_unreadable(&mut self, of: Of, path: &Path, stamp: Stamp, error: &io::Error) {
        self.shared.problems.note(path, None, why(error));
        self.held.insert(path.to_owned(), Held::broken(Some(stamp)));
        if let Of::Object(key, false) = &of {
            self.keep(key);
        }
        let trial = Trial {
            of,
            next: Instant::now() + RETRY,
            wait: RETRY,
        };
        self.unreadable.insert(path.to_owned(), trial);
    }

    /// Has those looked at that can be read by now.
    pub(super) fn try_unreadable(&mut self, now: Instant) {
        let mut readable = Vec::new();
        let files = &self.shared.files;
        self.unreadable.retain(|path, trial| {
            if trial.next > now {
                return true;
            }
            if let Err(error) = files.read_start(path, 1)
                && is_refused(&error)
            {
                trial.wait = (trial.wait * 2).min(RETRY_MAX);
                trial.next = now + trial.wait;
                return true;
            }
            readable.push((path.clone(), trial.of.clone()));
            false
        });
        for (path, of) in readable {
            self.settle(&path);
            let stamp = self.shared.files.stamp(&path).ok().flatten();
            match of {
                Of::Object(key, is_astray) => {
                    match is_astray {
                        true => self.suspect_astray(&key, &path, stamp),
                        false => self.suspect(&key, &path, stamp),
                    }
                    self.dirty.release(&key, now);
                }
                Of::Day(type_id) => self.suspect_day(type_id, &path, stamp),
            }
        }
    }
}
