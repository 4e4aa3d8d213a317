//! Writes objects as the store has them into their files.
//!
//! Nothing that a person wrote is overwritten unseen: a file is swapped with the new one in one
//! step, and what came out is looked at before it goes. If a person was quicker, the swap is undone
//! or what came out is kept beside, whichever loses nothing.

use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osis_core::object::{Id, Row};
use osis_core::schema::Type;
use osis_core::time::Time;

use super::inspect::Held as HeldBack;
use super::marks::{Key, Mark};
use super::names;
use super::sync::Written;
use super::tree::Known;
use super::worker::Worker;
use crate::files::Stamp;
use crate::otoml::{self, Found};
use crate::record::{Hash, Version};

/// How often a fold starts again because the file changed under it, before it is put off.
const TRIES: usize = 8;
/// How many copies of one object's file may be made in one second.
const COPIES_MAX: u32 = 10_000;

/// A failure, and the file at which it happened.
type Failed = (PathBuf, io::Error);

/// What became of an object that was to be folded.
#[derive(Debug, Clone, Copy)]
enum Folded {
    /// The file has it.
    Written(Written),
    /// The file holds something that must be looked at, or mended, first.
    Waits,
    /// The file changed meanwhile: from the beginning.
    Again,
}

/// What is to be put in place of a file.
struct Replacement<'a> {
    key: &'a Key,
    path: &'a Path,
    text: &'a str,
    version: Version,
    is_canonical: bool,
    /// The file as it was when it was looked at.
    expected: Stamp,
    /// Its text, where it was read.
    base: Option<&'a [u8]>,
    /// Whether it is kept beside: it is a person's, and was not taken.
    keep: bool,
}

/// What a file of an object holds.
pub(super) struct Content {
    pub(super) found: Found,
    pub(super) version: Version,
}

/// What is wrong with a file: where, and what.
pub(super) type Fault = (Option<usize>, String);

impl Worker<'_> {
    /// Has the file of an object hold what the state has.
    ///
    /// # Errors
    /// Those of the file system, and of this process's cache; then the object must be marked again.
    pub(super) fn fold(&mut self, key: &Key, mark: Mark) -> Result<(), Failed> {
        self.fold_over(key, mark.seq, mark.force, None)
    }

    /// As [`Self::fold`]; a file with the stamp `keep` is a person's that was not taken, and is
    /// kept beside.
    ///
    /// # Errors
    /// As [`Self::fold`].
    pub(super) fn fold_over(
        &mut self,
        key: &Key,
        seq: u64,
        force: bool,
        keep: Option<Stamp>,
    ) -> Result<(), Failed> {
        let path = self.path_of(key.0, &key.1);
        for _ in 0..TRIES {
            let folded = match self.state.get(key.0, &key.1).cloned() {
                Some(held) => {
                    let row = self.shared.bodies.join(&held);
                    let row = row.map_err(|error| (path.clone(), io::Error::other(error)))?;
                    self.put(key, &path, &row, held.version(), force, keep)
                }
                None => self.take_away(key, &path),
            };
            match folded.map_err(|error| (path.clone(), error))? {
                Folded::Written(written) => {
                    self.unsynced.add(key.clone(), seq, written);
                    self.settle(&path);
                    return Ok(());
                }
                Folded::Waits => {
                    self.dirty.hold(key, seq, force);
                    return Ok(());
                }
                Folded::Again => {}
            }
        }
        let busy = io::Error::new(io::ErrorKind::ResourceBusy, "it changes all the time");
        Err((path, busy))
    }

    fn put(
        &mut self,
        key: &Key,
        path: &Path,
        row: &Row,
        version: Version,
        force: bool,
        keep: Option<Stamp>,
    ) -> io::Result<Folded> {
        let schema = Arc::clone(&self.schema);
        let ty = &schema.types[key.0];
        let canonical = otoml::object(ty, row);
        let Some(stamp) = self.shared.files.stamp(path)? else {
            return self.put_new(key, path, &canonical, version);
        };
        if !stamp.is_file {
            self.note_odd(path, stamp);
            return Ok(Folded::Waits);
        }
        let known = self.tree.objects.get(key).filter(|known| known.stamp == stamp).cloned();
        let mut replacement = Replacement {
            key,
            path,
            text: &canonical,
            version,
            is_canonical: true,
            expected: stamp,
            base: None,
            keep: keep == Some(stamp),
        };
        if let Some(known) = &known
            && !replacement.keep
        {
            if known.version == version && !force {
                let digest = None;
                let stamp = Some(stamp);
                return Ok(Folded::Written(Written { stamp, digest }));
            }
            if known.is_canonical {
                return self.swap(&replacement);
            }
        }
        let Some(bytes) = self.read_whole(path, stamp)? else {
            return Ok(Folded::Again);
        };
        let is_seen = known.is_some() || replacement.keep;
        match self.read_text(ty, &key.1, &bytes) {
            Err(fault) if !is_seen => {
                self.note_broken(key, path, stamp, fault);
                return Ok(Folded::Waits);
            }
            Ok(content) if !replacement.keep && is_up_to_date(&content.found, row, version) && !force => {
                let is_canonical = bytes == canonical.as_bytes();
                let known = Known {
                    stamp,
                    version,
                    is_canonical,
                };
                self.tree.objects.insert(key.clone(), known);
                return Ok(Folded::Written(Written {
                    stamp: Some(stamp),
                    digest: Some(digest(&bytes)),
                }));
            }
            Ok(content) if !is_seen => {
                let is_own = content.version.hash == version.hash || self.is_own(key, content.version);
                if !is_own {
                    self.suspect(key, path, Some(stamp));
                    return Ok(Folded::Waits);
                }
            }
            _ => {}
        }
        let updated = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| otoml::update(text, ty, row).ok());
        // What is no OTOML has no layout to keep.
        let updated = updated.unwrap_or_else(|| canonical.clone());
        replacement.is_canonical = updated == canonical;
        replacement.text = &updated;
        replacement.base = Some(&bytes);
        self.swap(&replacement)
    }

    fn put_new(
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
    fn swap(&mut self, new: &Replacement<'_>) -> io::Result<Folded> {
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
        self.judge(new, &temporary, ours, true)
    }

    /// As [`Self::swap`], where the file system cannot swap: between the look and the rename there
    /// is a moment in which a person's file could go unseen, so it is made short.
    fn replace(
        &mut self,
        new: &Replacement<'_>,
        temporary: &Path,
        ours: Stamp,
    ) -> io::Result<Folded> {
        let aside = self.temporary(new.key, new.path);
        let linked = self.shared.files.link(new.path, &aside);
        // A volume may report an error for a link that it made.
        match (linked, self.shared.files.stamp(&aside)) {
            (_, Ok(Some(_))) => {}
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => {
                self.discard(new.key, temporary);
                return Ok(Folded::Again);
            }
            (Err(error), _) | (Ok(()), Err(error)) => {
                self.discard(new.key, temporary);
                self.note_leftover(new.key, &aside);
                return Err(error);
            }
            (Ok(()), Ok(None)) => {
                self.discard(new.key, temporary);
                return Ok(Folded::Again);
            }
        }
        if let Err(error) = self.shared.files.rename(temporary, new.path) {
            let moved = matches!(self.shared.files.stamp(temporary), Ok(None));
            if !moved {
                self.discard(new.key, temporary);
                self.discard(new.key, &aside);
                return Err(error);
            }
        }
        self.judge(new, &aside, ours, false)
    }

    /// Looks at what was taken out of a file's place, and does away with it or keeps it.
    fn judge(
        &mut self,
        new: &Replacement<'_>,
        out: &Path,
        ours: Stamp,
        can_undo: bool,
    ) -> io::Result<Folded> {
        let known = self.tree.objects.get(new.key).cloned();
        let current = self.state.get(new.key.0, &new.key.1).map(|held| held.version());
        let base_was_current = known.as_ref().map(|known| known.version) == current
            || (current.is_some() && self.edits.get(new.key) == current.as_ref());
        let before = self.unsynced.digest(new.key, new.expected);
        let done = self.is_in_place(new.key, ours, new.version, new.is_canonical, new.text);
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
        let content = self.read_text(ty, &new.key.1, &bytes).ok();
        let own = content.filter(|content| self.is_own(new.key, content.version));
        if let Some(content) = &own
            && is_canonical(ty, &new.key.1, content, &bytes)
        {
            self.discard(new.key, out);
            return Ok(done);
        }
        // An own version with a new comment, or an edit on top of another that was taken just now:
        // neither is a race between a person and a client.
        if can_undo && (own.is_some() || base_was_current) {
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

    /// Removes the file of an object that is deleted.
    fn take_away(&mut self, key: &Key, path: &Path) -> io::Result<Folded> {
        let gone = Folded::Written(Written {
            stamp: None,
            digest: None,
        });
        let Some(stamp) = self.shared.files.stamp(path)? else {
            self.tree.objects.remove(key);
            return Ok(gone);
        };
        if !stamp.is_file {
            self.tree.objects.remove(key);
            self.note_odd(path, stamp);
            return Ok(gone);
        }
        let out = self.temporary(key, path);
        if let Err(error) = self.shared.files.rename_new(path, &out)
            && !matches!(self.shared.files.stamp(&out), Ok(Some(_)))
        {
            return match error.kind() {
                io::ErrorKind::NotFound => Ok(Folded::Again),
                _ => Err(error),
            };
        }
        let known = self.tree.objects.get(key).cloned();
        let before = known.as_ref().and_then(|known| self.unsynced.digest(key, known.stamp));
        let stamp = self.shared.files.stamp(&out).ok().flatten();
        let bytes = self.shared.files.read(&out);
        let (Some(stamp), Ok(bytes)) = (stamp, bytes) else {
            self.note_leftover(key, &out);
            self.tree.objects.remove(key);
            return Ok(gone);
        };
        let is_same = known.is_some_and(|known| known.stamp == stamp)
            && before.is_none_or(|before| before == digest(&bytes));
        let schema = Arc::clone(&self.schema);
        let is_own = is_same
            || self
                .read_text(&schema.types[key.0], &key.1, &bytes)
                .is_ok_and(|content| self.is_own(key, content.version));
        self.tree.objects.remove(key);
        match is_own {
            true => self.discard(key, &out),
            false => self.keep_copy(key, path, &out),
        }
        Ok(gone)
    }

    /// Whether the store itself wrote this version of an object.
    pub(super) fn is_own(&mut self, key: &Key, version: Version) -> bool {
        let has = |worker: &Self| {
            let current = worker.state.get(key.0, &key.1).map(|held| held.version());
            let known = worker.tree.objects.get(key).map(|known| known.version);
            current == Some(version) || known == Some(version) || worker.recent.has(key, version)
        };
        // Another host may have committed and folded it before this one looked.
        has(self) || (self.catch_up().is_ok() && has(self))
    }

    /// Reads a file of an object, and holds it against its type and name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read_text(&self, ty: &Type, id: &Id, bytes: &[u8]) -> Result<Content, Fault> {
        content(ty, id, bytes)
    }

    /// A file that had a stamp just now, if it still has it after it was read.
    pub(super) fn read_whole(&self, path: &Path, stamp: Stamp) -> io::Result<Option<Vec<u8>>> {
        let bytes = match self.shared.files.read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        Ok((self.shared.files.stamp(path)? == Some(stamp)).then_some(bytes))
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

    fn temporary(&mut self, key: &Key, path: &Path) -> PathBuf {
        self.temporaries += 1;
        names::temporary(path, &key.1, self.shared.log.writer(), self.temporaries)
    }

    fn write_temporary(&mut self, key: &Key, path: &Path, text: &str) -> io::Result<PathBuf> {
        let temporary = self.temporary(key, path);
        let files = Arc::clone(&self.shared.files);
        let mut created = files.create(&temporary, text.as_bytes(), false);
        if let Err(error) = &created
            && error.kind() == io::ErrorKind::NotFound
            && let Some(shard) = path.parent()
        {
            files.create_directory(shard)?;
            created = files.create(&temporary, text.as_bytes(), false);
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
                Err(other.err().unwrap_or_else(|| io::ErrorKind::NotFound.into()))
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

    /// Tells a person that something that is no file is in the place of one.
    pub(super) fn note_odd(&mut self, path: &Path, stamp: Stamp) {
        let message = "is no plain file, so the object's own file cannot be written here; move it \
                       away";
        self.shared.problems.note(path, None, message);
        self.held.insert(path.to_owned(), HeldBack::broken(Some(stamp)));
    }

    /// What was wrong with a file is no more.
    pub(super) fn settle(&mut self, path: &Path) {
        if self.held.remove(path).is_some() {
            self.shared.problems.clear(path);
        }
    }
}

/// Reads a file of an object, and holds it against its type and name.
///
/// # Errors
/// What is wrong with it.
pub(super) fn content(ty: &Type, id: &Id, bytes: &[u8]) -> Result<Content, Fault> {
    let found = otoml::read(ty, bytes).map_err(|faults| {
        let more = match faults.len() {
            0 | 1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        match faults.into_iter().next() {
            Some(fault) => (Some(fault.line), format!("{}{more}", fault.message)),
            None => (None, "cannot be read".to_owned()),
        }
    })?;
    if let Some(other) = &found.id
        && other != id
    {
        let message = format!("id is {other}, but the file is named {id}: both must be the same");
        return Err((None, message));
    }
    let version = Version {
        rev: found.rev.unwrap_or(0),
        hash: Hash::of(ty, &found.values),
    };
    Ok(Content { found, version })
}

/// Whether a file holds an object with all its system fields.
pub(super) fn is_up_to_date(found: &Found, row: &Row, version: Version) -> bool {
    found.rev == Some(version.rev)
        && found.id.as_ref() == Some(&row.id)
        && found.created_at == Some(row.created_at)
        && found.updated_at == Some(row.updated_at)
        && *found.values == *row.values
}

/// Whether a text is what the store would write for what is in it.
pub(super) fn is_canonical(ty: &Type, id: &Id, content: &Content, bytes: &[u8]) -> bool {
    let found = &content.found;
    let (Some(rev), Some(created_at), Some(updated_at)) =
        (found.rev, found.created_at, found.updated_at)
    else {
        return false;
    };
    let row = Row {
        id: id.clone(),
        rev,
        created_at,
        updated_at,
        values: found.values.clone(),
    };
    otoml::object(ty, &row).as_bytes() == bytes
}

/// Tells texts apart.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
