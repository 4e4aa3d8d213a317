//! What files come to that stood still: an edit, a fold of old, the store's own to be put back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osis_core::batch::Batch;

use super::edits::Edit;
use super::inspect::{RETRY, Read, STILL, Suspect};
use super::marks::Key;
use super::ops;
use super::tree::Known;
use super::worker::Worker;
use crate::files::Stamp;
use crate::record::Version;

/// How long a file of a later revision than this process knows of may be ahead of the log, on a
/// volume where the log of another host shows late.
const AHEAD: Duration = Duration::from_secs(5);

impl Worker<'_> {
    /// What a file that is there comes to.
    pub(super) fn judge_file(&mut self, read: Read) -> Option<Edit> {
        let Read {
            path,
            suspect,
            stamp,
            content,
        } = read;
        let key = suspect.key.clone();
        let (content, is_canonical) = match content {
            Ok(content) => content,
            Err(fault) => {
                self.note_broken(&key, &path, stamp, fault);
                return None;
            }
        };
        if suspect.is_astray {
            self.bring_home(&key, &path, stamp);
            return None;
        }
        let version = content.version;
        let Some(current) = self.state.get(key.0, &key.1).cloned() else {
            // It is not yet removed.
            if self.dirty.contains(&key) && self.recent.has(&key, version) {
                self.refold(&key, &path);
                return None;
            }
            // Another host may have put it back after it was deleted, without knowing.
            if let Some(wait) = self.late_for(&key, version) {
                self.look_later(&key, path, Some(stamp), wait);
                return None;
            }
            let op = ops::new(key.0, key.1.clone(), &content.found);
            return Some(Edit {
                key,
                path,
                seen: Some((stamp, version)),
                batch: Batch::of(vec![op]),
            });
        };
        let row = &current.row;
        let found = &content.found;
        if version.hash == current.hash {
            let is_current = found.rev == Some(row.rev)
                && found.id.is_some()
                && found.created_at == Some(row.created_at)
                && found.updated_at == Some(row.updated_at);
            if !is_current {
                // Revision and times are the store's own, and are put back.
                self.tree.objects.remove(&key);
                self.refold(&key, &path);
                return None;
            }
            let known = Known {
                stamp,
                version,
                is_canonical,
            };
            self.tree.objects.insert(key.clone(), known);
            self.settle(&path);
            let now = Instant::now();
            if self.is_kept(&key) {
                // It goes once the file is on disk.
                self.dirty
                    .mark(key.clone(), self.clock.folded_through + 1, false, now);
            }
            self.dirty.release(&key, now);
            return None;
        }
        let is_ahead =
            self.shared.is_network && version.rev > row.rev && suspect.since.elapsed() < AHEAD;
        if is_ahead {
            self.put_off(path, suspect, STILL * 4);
            return None;
        }
        let known = self.tree.objects.get(&key).map(|known| known.version);
        // A text that was taken from the file is there, too, though its revision is not yet.
        let is_current =
            known == Some(current.version()) || self.edits.get(&key) == Some(&current.version());
        if !is_current && self.recent.has(&key, version) {
            self.refold(&key, &path);
            return None;
        }
        if let Some(wait) = self.late_for(&key, version) {
            self.look_later(&key, path, Some(stamp), wait);
            return None;
        }
        let is_on_top =
            is_current || found.rev == Some(row.rev) || (known.is_none() && found.rev.is_none());
        if !is_on_top {
            self.keep_raced(&key, &path, stamp);
            return None;
        }
        let op = ops::set(key.0, key.1.clone(), found, row.rev);
        Some(Edit {
            key,
            path,
            seen: Some((stamp, version)),
            batch: Batch::of(vec![op]),
        })
    }

    /// How long it is not yet known whether an older version in a file is another host's late write,
    /// which that will mend, or a person's who has put it back.
    pub(super) fn late_for(&self, key: &Key, version: Version) -> Option<Duration> {
        let late = self.recent.late_for(key, version);
        late.filter(|_| self.shared.is_network)
    }

    /// What a file that is not there comes to.
    pub(super) fn judge_gone(&mut self, path: PathBuf, suspect: Suspect) -> Option<Edit> {
        self.settle(&path);
        if suspect.is_astray {
            return None;
        }
        // A volume that is not mounted must not look like a person who deletes everything.
        if !matches!(
            self.shared.files.stamp(&self.shared.layout.store_file()),
            Ok(Some(_))
        ) {
            self.put_off(path, suspect, RETRY);
            return None;
        }
        let key = suspect.key;
        if self.has_put_back(&key, &path) {
            let stamp = self.shared.files.stamp(&path).ok().flatten();
            self.suspect(&key, &path, stamp);
            return None;
        }
        let known = self.tree.objects.get(&key).map(|known| known.version);
        let Some(current) = self.state.get(key.0, &key.1).cloned() else {
            self.tree.objects.remove(&key);
            self.dirty.release(&key, Instant::now());
            return None;
        };
        let is_on_top = known == Some(current.version())
            || (known.is_some() && self.edits.get(&key) == Some(&current.version()));
        if !is_on_top {
            // It was never written, or the store has changed it since: it is written again.
            if known.is_some() {
                tracing::warn!(
                    path = %path.display(),
                    "the file was removed, and is put back: the store has changed the object since"
                );
            }
            self.tree.objects.remove(&key);
            self.refold(&key, &path);
            return None;
        }
        let op = ops::delete(key.0, key.1.clone(), current.row.rev);
        Some(Edit {
            key,
            path,
            seen: None,
            batch: Batch::of(vec![op]),
        })
    }

    /// Has an object folded, whatever is in its file.
    pub(super) fn refold(&mut self, key: &Key, path: &Path) {
        self.settle(path);
        let now = Instant::now();
        // What was verified to be in its file is not any more: the log lets nothing go until it is.
        let seq = self.clock.folded_through + 1;
        self.dirty.mark(key.clone(), seq, false, now);
        self.dirty.release(key, now);
    }

    /// Folds an object over an edit that was made while the store changed it; keeps the edit.
    fn keep_raced(&mut self, key: &Key, path: &Path, stamp: Stamp) {
        let Ok(Some(turn)) = self.turn.take() else {
            self.suspect(key, path, Some(stamp));
            return;
        };
        let mark = self.dirty.remove(key);
        let seq = mark.map_or(self.clock.folded_through + 1, |mark| mark.seq);
        if let Err((path, error)) = self.fold_over(key, seq, false, Some(stamp)) {
            tracing::warn!(path = %path.display(), %error, "an edit cannot be kept beside yet");
            self.dirty
                .mark(key.clone(), seq, false, Instant::now() + RETRY);
            self.suspect(key, &path, Some(stamp));
        }
        drop(turn);
    }

    /// Moves a file to where it belongs.
    fn bring_home(&mut self, key: &Key, path: &Path, stamp: Stamp) {
        let right = self.path_of(key.0, &key.1);
        let files = Arc::clone(&self.shared.files);
        let moved = right
            .parent()
            .map_or(Ok(()), |shard| files.create_directory(shard));
        match moved.and_then(|()| files.rename_new(path, &right)) {
            Ok(()) => {
                self.settle(path);
                self.suspects.remove(&right);
                self.suspect(key, &right, Some(stamp));
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let shown = right.strip_prefix(self.shared.root()).unwrap_or(&right);
                let why = format!(
                    "is a second file for {}; {} is the one that counts: remove one of them",
                    key.1,
                    shown.display()
                );
                self.note_refused(path, stamp, (None, &why), true);
            }
            Err(error) => {
                let why = format!(
                    "belongs to {} and cannot be moved there: {error}",
                    right.display()
                );
                self.note_refused(path, stamp, (None, &why), true);
            }
        }
    }
}
