//! Writes objects as the store has them into their files.
//!
//! Nothing that a person wrote is overwritten unseen: a file is swapped with the new one in one
//! step, and what came out is looked at before it goes. If a person was quicker, the swap is undone
//! or what came out is kept beside, whichever loses nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use osis_core::object::Row;
use osis_core::schema::TypeId;

use super::content::{content, digest, is_up_to_date};
use super::held::Held as HeldBack;
use super::inspect::STILL_OPEN;
use super::marks::{Key, Mark};
use super::swap::Replacement;
use super::sync::Written;
use super::tree::Known;
use super::unreadable::{Of, is_refused};
use super::worker::Worker;
use crate::files::Stamp;
use crate::otoml;
use crate::record::Version;

/// How often a fold starts again because the file changed under it, before it is put off.
const TRIES: usize = 8;

/// A failure, and the file at which it happened.
type Failed = (PathBuf, io::Error);

/// What became of an object that was to be folded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Folded {
    /// The file has it.
    Written(Written),
    /// The file holds something that must be looked at, or mended, first.
    Waits,
    /// The file changed meanwhile: from the beginning.
    Again,
}

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
        if self.edits.contains_key(key) && self.is_left_open(&path) {
            let due = Instant::now() + STILL_OPEN;
            self.dirty.mark(key.clone(), seq, force, due);
            return Ok(());
        }
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
                    // What is kept elsewhere need not stay in the log.
                    let is_kept = self.held.contains_key(&path) && self.keep(key);
                    let seq = if is_kept { u64::MAX } else { seq };
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
            if self.tree.objects.contains_key(key) && self.has_put_back(key, path) {
                return Ok(Folded::Again);
            }
            if self.tree.objects.remove(key).is_some() {
                tracing::warn!(
                    path = %path.display(),
                    "the file is gone, and is put back: the store has changed the object since"
                );
            }
            return self.put_new(key, path, &canonical, version);
        };
        if !stamp.is_file {
            self.note_odd(path, stamp);
            return Ok(Folded::Waits);
        }
        let known = self
            .tree
            .objects
            .get(key)
            .filter(|known| known.stamp == stamp)
            .cloned();
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
        let bytes = match self.read_whole(path, stamp) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Folded::Again),
            Err(error) if is_refused(&error) => {
                self.note_unreadable(Of::Object(key.clone(), false), path, stamp, &error);
                return Ok(Folded::Waits);
            }
            Err(error) => return Err(error),
        };
        let is_seen = known.is_some() || replacement.keep;
        match content(ty, &key.1, &bytes) {
            Err(fault) if !is_seen => {
                self.note_broken(key, path, stamp, fault);
                return Ok(Folded::Waits);
            }
            Ok(content)
                if !replacement.keep && is_up_to_date(&content.found, row, version) && !force =>
            {
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
                // Over what was just taken from it, an older text is a person's.
                let is_edited = self.edits.get(key) == Some(&version);
                let is_own = content.version.hash == version.hash
                    || (!is_edited && self.is_own(key, content.version));
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
        // The name is new, so that nothing is overwritten.
        if let Err(error) = self.shared.files.rename(path, &out)
            && !matches!(self.shared.files.stamp(&out), Ok(Some(_)))
        {
            return match error.kind() {
                io::ErrorKind::NotFound => Ok(Folded::Again),
                _ => Err(error),
            };
        }
        let known = self.tree.objects.get(key).cloned();
        let before = known
            .as_ref()
            .and_then(|known| self.unsynced.digest(key, known.stamp));
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
            || content(&schema.types[key.0], &key.1, &bytes)
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

    /// A file that had a stamp just now, if it still has it after it was read.
    pub(super) fn read_whole(&self, path: &Path, stamp: Stamp) -> io::Result<Option<Vec<u8>>> {
        let bytes = match self.shared.files.read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        Ok((self.shared.files.stamp(path)? == Some(stamp)).then_some(bytes))
    }

    /// Tells a person that something that is no file is in the place of one.
    pub(super) fn note_odd(&mut self, path: &Path, stamp: Stamp) {
        let message = "is no plain file, so the object's own file cannot be written here; move it \
                       away";
        self.shared.problems.note(path, None, message);
        self.held
            .insert(path.to_owned(), HeldBack::broken(Some(stamp)));
    }

    /// Tells a person that a file is not read, since its name does not say what it is.
    pub(super) fn note_misnamed(&mut self, type_id: TypeId, path: &Path, stamp: Stamp) {
        let ty = &self.schema.types[type_id];
        let message = match ty.log() {
            None => {
                "is not read: a file's name is the object's id, which is 4 to 64 of a-z, 0-9 and \
                     -, with .otoml behind it"
                    .to_owned()
            }
            Some(_) => format!(
                "is not read: the file of a day is {0}/<year>/<month>/<day>.otoml or \
                 {0}/<year>/<month>/<day>-<name>.otoml",
                ty.plural
            ),
        };
        self.shared.problems.note(path, None, message);
        self.held
            .insert(path.to_owned(), HeldBack::broken(Some(stamp)));
    }

    /// What was wrong with a file is no more.
    pub(super) fn settle(&mut self, path: &Path) {
        self.held.remove(path);
        // It may have been noted before this process kept files.
        self.shared.problems.clear(path);
    }
}
