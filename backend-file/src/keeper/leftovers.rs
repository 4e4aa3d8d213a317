//! What was left beside objects' files: by processes that ended in the midst of a fold, and for
//! people whose edits were not taken.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::content::content;
use super::marks::Key;
use super::names::{self, Beside};
use super::worker::Worker;
use crate::files::Stamp;
use crate::otoml;

/// How long a file that looks like one of a fold is left to the process that may be at it: a fold
/// takes milliseconds.
pub(super) const ORPHAN_AGE: Duration = Duration::from_secs(60);

impl Worker<'_> {
    /// Looks for what other processes, or this one's forerunners, left beside the files.
    pub(super) fn find_leftovers(&mut self) {
        let schema = Arc::clone(&self.schema);
        for ty in schema.types.iter().filter(|ty| ty.log().is_none()) {
            let folder = self.shared.layout.folder(ty);
            // What cannot be listed now is found by the next start.
            let shards = self.shared.files.list(&folder).unwrap_or_default();
            for shard in shards.iter().filter(|name| name.len() == 2) {
                let shard = folder.join(shard);
                for name in self.shared.files.list(&shard).unwrap_or_default() {
                    let Some(Beside::Temporary(id)) = names::beside(&name) else {
                        continue;
                    };
                    // What was moved aside goes back, unless another has its place.
                    let path = self.path_of(ty.id, &id);
                    let is_aside = names::is_aside(&name, &id);
                    let key = (ty.id, id);
                    if !(is_aside && self.is_empty(&path) && self.has_put_back(&key, &path)) {
                        self.note_leftover(&key, &shard.join(name));
                    }
                }
            }
        }
    }

    fn is_empty(&self, place: &Path) -> bool {
        matches!(self.shared.files.stamp(place), Ok(None))
    }

    /// Notes a file beside an object's of which it is not known what it holds.
    pub(super) fn note_leftover(&mut self, key: &Key, path: &Path) {
        let due = Instant::now() + ORPHAN_AGE;
        self.orphans
            .entry(path.to_owned())
            .or_insert((key.clone(), due));
    }

    /// Does away with leftovers that hold nothing of value; keeps all others for people.
    pub(super) fn look_at_leftovers(&mut self, now: Instant) {
        let due: Vec<(PathBuf, Key)> = self
            .orphans
            .iter()
            .filter(|(_, (_, due))| *due <= now)
            .map(|(path, (key, _))| (path.clone(), key.clone()))
            .collect();
        for (path, key) in due {
            self.orphans.remove(&path);
            let bytes = match self.shared.files.read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(_) => {
                    self.note_leftover(&key, &path);
                    continue;
                }
            };
            if self.is_worthless(&key, &bytes) {
                self.discard(&key, &path);
            } else {
                let right = self.path_of(key.0, &key.1);
                self.keep_copy(&key, &right, &path);
            }
        }
    }

    /// Whether the store has, or had, what is in a file; or it was cut off as the store wrote it.
    fn is_worthless(&mut self, key: &Key, bytes: &[u8]) -> bool {
        let schema = Arc::clone(&self.schema);
        let ty = &schema.types[key.0];
        let current = match self.state.get(key.0, &key.1) {
            Some(held) => self.shared.bodies.join(held).ok(),
            None => None,
        };
        let begins_current =
            current.is_some_and(|row| otoml::object(ty, &row).as_bytes().starts_with(bytes));
        if bytes.is_empty() || begins_current {
            return true;
        }
        match content(ty, &key.1, bytes) {
            Ok(found) => self.is_own(key, found.version),
            Err(_) => false,
        }
    }

    /// The stamp that is known of the file of an object.
    fn known_stamp(&self, path: &Path) -> Option<Stamp> {
        let rel = path.strip_prefix(self.shared.root()).ok()?;
        let plural = rel.iter().next()?;
        let ty = self.schema.types.iter().find(|ty| plural == &*ty.plural)?;
        let key = self.key_of(ty.id, path)?;
        self.tree.objects.get(&key).map(|known| known.stamp)
    }

    /// Forgets copies that their people have removed.
    pub(super) fn look_at_conflicts(&mut self) {
        let files = Arc::clone(&self.shared.files);
        let shared = self.shared;
        self.conflicts.retain(|path| {
            let is_gone = matches!(files.stamp(path), Ok(None));
            if is_gone {
                shared.problems.clear(path);
            }
            !is_gone
        });
        // A file that was never taken in is missed by nobody else when it goes.
        let held: Vec<PathBuf> = self.held.keys().cloned().collect();
        for path in held {
            let is_mended = match files.stamp(&path) {
                Ok(None) => true,
                // The file that the store knows was put back.
                Ok(now) => now == self.known_stamp(&path) && !self.unreadable.contains_key(&path),
                Err(_) => false,
            };
            if is_mended {
                self.settle(&path);
            }
        }
    }
}
