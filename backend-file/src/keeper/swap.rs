//! Swaps a file with its replacement in one step, and looks at what came out.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osis_core::time::Time;

use super::content::{content, digest, is_canonical};
use super::fold::Folded;
use super::marks::Key;
use super::names;
use super::sync::Written;
use super::tree::Known;
use super::worker::Worker;
use crate::files::Stamp;
use crate::layout::Layout;
use crate::record::Version;

/// How many copies of one object's file may be made in one second.
const COPIES_MAX: u32 = 10_000;

/// What is to be put in place of a file.
pub(super) struct Replacement<'a> {
    /// The object.
    pub(super) key: &'a Key,
    /// The file.
    pub(super) path: &'a Path,
    /// What it is to hold.
    pub(super) text: &'a str,
    /// The version in that.
    pub(super) version: Version,
    /// Whether nobody's layout is in it.
    pub(super) is_canonical: bool,
    /// The file as it was when it was looked at.
    pub(super) expected: Stamp,
    /// Its text, where it was read.
    pub(super) base: Option<&'a [u8]>,
    /// Whether it is kept beside: it is a person's, and was not taken.
    pub(super) keep: bool,
}

impl Worker<'_> {
    /// Writes a file that is not there.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn put_new(
        &mut self,
        key: &Key,
        path: &Path,
        text: &str,
        version: Version,
    ) -> io::Result<Folded> {
        let temporary = self.write_temporary(key, path, text)?;
        let ours = self.stamp_of_ours(key, &temporary)?;
        let moved = self.shared.files.rename_new(&temporary, path);
        if let Err(error) = moved {
            let left = self.shared.files.stamp(&temporary);
            match (error.kind(), left) {
                // It was moved, whatever the volume says.
                (_, Ok(None)) => {}
                (io::ErrorKind::AlreadyExists, Ok(Some(_))) => {
                    self.discard(key, &temporary);
                    return Ok(Folded::Again);
                }
                _ => {
                    self.discard(key, &temporary);
                    return Err(error);
                }
            }
        }
        Ok(self.is_in_place(key, ours, version, true, text))
    }

    /// Swaps a file with its replacement, and looks at what came out.
    ///
    /// # Errors
    /// Those of the file system; the file then is the old one.
    pub(super) fn swap(&mut self, new: &Replacement<'_>) -> io::Result<Folded> {
        let temporary = self.write_temporary(new.key, new.path, new.text)?;
        let ours = self.stamp_of_ours(new.key, &temporary)?;
        let swapped = self.shared.files.exchange(&temporary, new.path);
        match swapped {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                return self.replace(new, &temporary, ours);
            }
            Err(error) => match self.shared.files.stamp(&temporary) {
                // It was swapped, whatever the volume says.
                Ok(Some(stamp)) if stamp.inode != ours.inode => {}
                Ok(_) => {
                    self.discard(new.key, &temporary);
                    return match error.kind() {
                        io::ErrorKind::NotFound => Ok(Folded::Again),
                        _ => Err(error),
                    };
                }
                Err(_) => {
                    self.note_leftover(new.key, &temporary);
                    return Err(error);
                }
            },
        }
        self.judge(new, &temporary, Some(ours), true)
    }

    /// As [`Self::swap`], where the file system cannot swap. What is at the place goes aside first,
    /// and is looked at there; the new file only takes a place that is free. So whoever writes
    /// meanwhile keeps it.
    fn replace(
        &mut self,
        new: &Replacement<'_>,
        temporary: &Path,
        ours: Stamp,
    ) -> io::Result<Folded> {
        let files = Arc::clone(&self.shared.files);
        self.temporaries += 1;
        let writer = self.shared.log.writer();
        let aside = names::aside(new.path, &new.key.1, writer, self.temporaries);
        let moved = files.rename(new.path, &aside);
        // A volume may report an error for a rename that it made.
        let out = match files.stamp(&aside) {
            Ok(Some(out)) => out,
            Ok(None) => {
                self.discard(new.key, temporary);
                return match moved {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(Folded::Again),
                };
            }
            Err(error) => {
                self.discard(new.key, temporary);
                self.take_back(new, &aside);
                return Err(error);
            }
        };
        if out != new.expected {
            self.discard(new.key, temporary);
            self.take_back(new, &aside);
            return Ok(Folded::Again);
        }
        let placed = files.rename_new(temporary, new.path);
        match (placed, files.stamp(temporary)) {
            (Ok(()), _) | (Err(_), Ok(None)) => self.judge(new, &aside, Some(ours), false),
            (Err(error), left) => {
                if matches!(left, Ok(Some(_))) {
                    self.discard(new.key, temporary);
                } else {
                    self.note_leftover(new.key, temporary);
                }
                if error.kind() == io::ErrorKind::AlreadyExists {
                    return self.judge(new, &aside, None, false);
                }
                self.take_back(new, &aside);
                Err(error)
            }
        }
    }

    /// Puts a file back into its place that was moved aside. If another has that by now, it is looked
    /// at later.
    fn take_back(&mut self, new: &Replacement<'_>, aside: &Path) {
        if self.shared.files.rename_new(aside, new.path).is_err() {
            self.note_leftover(new.key, aside);
        }
    }

    /// Looks at what was taken out of a file's place, and does away with it or keeps it. `ours`: what
    /// has that place now, if it is the new file.
    fn judge(
        &mut self,
        new: &Replacement<'_>,
        out: &Path,
        ours: Option<Stamp>,
        can_undo: bool,
    ) -> io::Result<Folded> {
        let known = self.tree.objects.get(new.key).cloned();
        let current = self
            .state
            .get(new.key.0, &new.key.1)
            .map(|held| held.version());
        let base_was_current = known.as_ref().map(|known| known.version) == current
            || (current.is_some() && self.edits.get(new.key) == current.as_ref());
        let before = self.unsynced.digest(new.key, new.expected);
        let done = match ours {
            Some(ours) => self.is_in_place(new.key, ours, new.version, new.is_canonical, new.text),
            None => Folded::Again,
        };
        let Ok(Some(stamp)) = self.shared.files.stamp(out) else {
            self.note_leftover(new.key, out);
            return Ok(done);
        };
        let is_expected = stamp == new.expected;
        if is_expected && !new.keep && before.is_none() {
            self.discard(new.key, out);
            return Ok(done);
        }
        let Ok(bytes) = self.shared.files.read(out) else {
            self.note_leftover(new.key, out);
            return Ok(done);
        };
        // A file that was changed twice within a tick of the clock has the stamp of the first time.
        let is_same = is_expected && before.is_none_or(|before| before == digest(&bytes));
        if new.keep {
            // Whatever it is by now, it is a person's.
            self.keep_copy(new.key, new.path, out);
            return Ok(done);
        }
        if is_same || new.base.is_some_and(|base| base == bytes) {
            self.discard(new.key, out);
            return Ok(done);
        }
        let schema = Arc::clone(&self.schema);
        let ty = &schema.types[new.key.0];
        let own = content(ty, &new.key.1, &bytes).ok();
        let own = own.filter(|content| self.is_own(new.key, content.version));
        if let Some(content) = &own
            && is_canonical(ty, &new.key.1, content, &bytes)
        {
            self.discard(new.key, out);
            return Ok(done);
        }
        // An own version with a new comment, or an edit on top of another that was taken just now:
        // neither is a race between a person and a client.
        if let Some(ours) = ours.filter(|_| can_undo && (own.is_some() || base_was_current)) {
            match known {
                Some(known) => self.tree.objects.insert(new.key.clone(), known),
                None => self.tree.objects.remove(new.key),
            };
            return Ok(self.undo(new, out, ours));
        }
        self.keep_copy(new.key, new.path, out);
        Ok(done)
    }

    /// Puts back what came out, so that it is looked at as any other edit.
    fn undo(&mut self, new: &Replacement<'_>, out: &Path, ours: Stamp) -> Folded {
        // On failure it may be here or there: each is a leftover that is looked at.
        let swapped = self.shared.files.exchange(out, new.path);
        match self.shared.files.stamp(out) {
            Ok(Some(stamp)) if stamp.inode == ours.inode => self.discard(new.key, out),
            Ok(Some(_)) if swapped.is_ok() => self.keep_copy(new.key, new.path, out),
            Ok(None) => {}
            _ => self.note_leftover(new.key, out),
        }
        Folded::Again
    }

    fn is_in_place(
        &mut self,
        key: &Key,
        stamp: Stamp,
        version: Version,
        is_canonical: bool,
        text: &str,
    ) -> Folded {
        let known = Known {
            stamp,
            version,
            is_canonical,
        };
        self.tree.objects.insert(key.clone(), known);
        Folded::Written(Written {
            stamp: Some(stamp),
            digest: Some(digest(text.as_bytes())),
        })
    }

    /// A name beside a file that nobody has.
    pub(super) fn temporary(&mut self, key: &Key, path: &Path) -> PathBuf {
        self.temporaries += 1;
        names::temporary(path, &key.1, self.shared.log.writer(), self.temporaries)
    }

    fn write_temporary(&mut self, key: &Key, path: &Path, text: &str) -> io::Result<PathBuf> {
        let temporary = self.temporary(key, path);
        let files = Arc::clone(&self.shared.files);
        let readers = Layout::readers(&self.schema.types[key.0]);
        let mut created = files.create(&temporary, text.as_bytes(), readers, false);
        if let Err(error) = &created
            && error.kind() == io::ErrorKind::NotFound
            && let Some(shard) = path.parent()
        {
            self.shared.log.check_home().map_err(io::Error::other)?;
            files.create_directory(shard)?;
            created = files.create(&temporary, text.as_bytes(), readers, false);
        }
        if let Err(error) = created {
            self.discard(key, &temporary);
            return Err(error);
        }
        Ok(temporary)
    }

    fn stamp_of_ours(&mut self, key: &Key, temporary: &Path) -> io::Result<Stamp> {
        let stamp = self.shared.files.stamp(temporary);
        match stamp {
            Ok(Some(stamp)) => Ok(stamp),
            other => {
                self.discard(key, temporary);
                Err(other
                    .err()
                    .unwrap_or_else(|| io::ErrorKind::NotFound.into()))
            }
        }
    }

    /// Removes a file of ours that holds nothing of value.
    pub(super) fn discard(&mut self, key: &Key, temporary: &Path) {
        match self.shared.files.remove(temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.note_leftover(key, temporary);
            }
            _ => {}
        }
    }

    /// Keeps what a person wrote beside the file in whose place it was.
    pub(super) fn keep_copy(&mut self, key: &Key, path: &Path, out: &Path) {
        let now = Time::now();
        for n in 1..=COPIES_MAX {
            let copy = names::conflict(path, &key.1, now, n);
            match self.shared.files.rename_new(out, &copy) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if matches!(self.shared.files.stamp(&copy), Ok(Some(_))) => {
                    tracing::debug!(%error, "a rename took effect in spite of its error");
                    self.note_conflict(&copy);
                    return;
                }
                Err(error) => {
                    tracing::error!(path = %out.display(), %error, "an edit could not be renamed");
                    break;
                }
                Ok(()) => {
                    self.note_conflict(&copy);
                    return;
                }
            }
        }
        // It stays where it is, and is tried again.
        self.note_leftover(key, out);
    }

    /// Tells a person of a copy that is kept for them.
    pub(super) fn note_conflict(&mut self, copy: &Path) {
        let message = "this edit was not taken: the store changed the object at the same time; \
                       carry over what is still wanted, then remove this file";
        self.shared.problems.note(copy, None, message);
        self.conflicts.insert(copy.to_owned());
    }
}
