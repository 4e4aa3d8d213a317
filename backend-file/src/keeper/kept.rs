//! Keeps the last good version of an object whose file a person has in hand.
//!
//! A file that is broken, or whose edit was refused, is left as it is. So it does not hold what is
//! served, and the log lets go of that in time. Until the file is right again, it lies in
//! `log/kept/<plural>/<id>.otoml`, for processes that start without knowing. A kept version is only
//! worth something while its revision is the object's own: one that a process left behind is older,
//! and is passed over and removed.
//!
//! A new file that was not taken is in a person's hand, too. Nothing is served of it; but it may
//! look like one of the store's own to a process that knows nothing but the files, and take the key
//! of an object that is served. So it is marked by `log/kept/<plural>/<id>.refused`, until it is
//! taken or gone.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use osis_core::error::Result;
use osis_core::object::{Id, Row};
use osis_core::schema::{Schema, Type};

use super::marks::Key;
use super::worker::Worker;
use crate::error::io_error;
use crate::files::Files;
use crate::layout::Layout;
use crate::otoml::{self, Found};
use crate::record::Version;
use crate::shared::Shared;

/// Writes the version of an object, durably, in the place of one that was kept before.
fn write(shared: &Shared, ty: &Type, row: &Row) -> Result<()> {
    let path = shared.layout.log_kept(ty, &row.id);
    put(shared, ty, &path, otoml::object(ty, row).as_bytes())
}

/// Puts a file of a type's among those that are kept, durably, in the place of one that is there.
fn put(shared: &Shared, ty: &Type, path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = shared.layout.log_kept_folder(ty);
    let failed = |error| io_error(path, &error);
    let files = &*shared.files;
    files.create_directory(&folder).map_err(failed)?;
    shared
        .log
        .replace(path, bytes)
        .and_then(|()| sync_upwards(files, &folder, shared.root()))
        .map_err(failed)
}

/// Has the names in a folder on disk, and those of the folders above it.
fn sync_upwards(files: &dyn Files, folder: &Path, root: &Path) -> io::Result<()> {
    let above = folder.ancestors().take_while(|above| *above != root);
    above.into_iter().try_for_each(|above| files.sync(above))
}

/// A version that is kept; nothing where there is none. One that is not as the schema in force has
/// it is passed over.
///
/// # Errors
/// Those of the file system.
pub(super) fn read(files: &dyn Files, layout: &Layout, ty: &Type, id: &Id) -> Result<Option<Row>> {
    let path = layout.log_kept(ty, id);
    let text = match files.read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(&path, &error)),
    };
    let found = otoml::read(ty, &text).ok().and_then(Found::into_row);
    let row = found.filter(|row| row.id == *id);
    if row.is_none() {
        tracing::warn!(path = %path.display(), "a kept version cannot be read, and is passed over");
    }
    Ok(row)
}

/// What lies among the kept versions.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The objects of which a version is kept.
    versions: Vec<Key>,
    /// Those whose new file was not taken.
    pub(super) refused: Vec<Key>,
}

/// Looks for what is kept.
///
/// # Errors
/// Those of the file system.
pub(super) fn list(files: &dyn Files, layout: &Layout, schema: &Schema) -> Result<Listed> {
    let mut listed = Listed::default();
    for ty in &schema.types {
        let folder = layout.log_kept_folder(ty);
        let names = files.list(&folder);
        for name in names.map_err(|error| io_error(&folder, &error))? {
            let (list, stem) = match name.rsplit_once('.') {
                Some((stem, "otoml")) => (&mut listed.versions, stem),
                Some((stem, "refused")) => (&mut listed.refused, stem),
                _ => continue,
            };
            list.extend(Id::parse(stem).map(|id| (ty.id, id)));
        }
    }
    Ok(listed)
}

/// All that is kept.
///
/// # Errors
/// Those of the file system.
pub(super) fn read_all(
    files: &dyn Files,
    layout: &Layout,
    schema: &Schema,
) -> Result<HashMap<Key, Row>> {
    let keys = list(files, layout, schema)?.versions.into_iter();
    let rows = keys.map(|key| {
        let row = read(files, layout, &schema.types[key.0], &key.1)?;
        Ok(row.map(|row| (key, row)))
    });
    rows.filter_map(Result::transpose).collect()
}

/// What a process knows of the versions that are kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Which version of an object is kept; one of another process may be any.
    there: HashMap<Key, Option<Version>>,
    /// Objects whose new file is marked as refused.
    refused: HashSet<Key>,
    /// Objects whose version, or mark, is yet to be written, after a failure.
    waiting: Vec<Key>,
}

impl Worker<'_> {
    /// Keeps what is served of an object whose file cannot be written; whether it is safe now
    /// without the log. Where nothing is served, the file is marked as one that was not taken.
    pub(super) fn keep(&mut self, key: &Key) -> bool {
        let Some(held) = self.state.get(key.0, &key.1).cloned() else {
            return self.mark_refused(key);
        };
        let version = Some(held.version());
        if self.kept.there.get(key) == Some(&version) {
            return true;
        }
        let schema = Arc::clone(&self.schema);
        let row = self.shared.bodies.join(&held);
        match row.and_then(|row| write(self.shared, &schema.types[key.0], &row)) {
            Ok(()) => {
                self.kept.there.insert(key.clone(), version);
                true
            }
            Err(error) => {
                tracing::warn!(id = %key.1, %error, "the last good version is not kept yet");
                self.kept.waiting.push(key.clone());
                false
            }
        }
    }

    /// Marks the new file of an object as one that was not taken; whether that is durable. A block
    /// of an event needs no mark: it stands beside the store's own.
    fn mark_refused(&mut self, key: &Key) -> bool {
        let ty = &self.schema.types[key.0];
        if ty.log().is_some() || self.kept.refused.contains(key) {
            return true;
        }
        match put(
            self.shared,
            ty,
            &self.shared.layout.log_refused(ty, &key.1),
            b"",
        ) {
            Ok(()) => {
                self.kept.refused.insert(key.clone());
                true
            }
            Err(error) => {
                tracing::warn!(id = %key.1, %error, "a refused file is not marked as such yet");
                self.kept.waiting.push(key.clone());
                false
            }
        }
    }

    /// Keeps what could not be kept before.
    pub(super) fn keep_waiting(&mut self) {
        for key in std::mem::take(&mut self.kept.waiting) {
            let path = self.path_of(key.0, &key.1);
            if self.held.contains_key(&path) || self.is_in_hand(&key) {
                self.keep(&key);
            }
        }
    }

    /// Has those objects looked at of which other processes, or this one's forerunners, have kept a
    /// version: where the file is right, that goes.
    pub(super) fn find_kept(&mut self) {
        let shared = self.shared;
        let listed = match list(&*shared.files, &shared.layout, &self.schema) {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "kept versions cannot be looked for");
                return;
            }
        };
        let now = Instant::now();
        let seq = self.clock.folded_through + 1;
        for key in listed.refused {
            let is_new = self.kept.refused.insert(key.clone());
            // It was taken after all, and the mark goes once the file is on disk.
            if is_new && self.state.get(key.0, &key.1).is_some() {
                self.dirty.mark(key, seq, false, now);
            }
        }
        for key in listed.versions {
            if self.schema.types[key.0].log().is_some() {
                self.kept.there.entry(key.clone()).or_insert(None);
                self.let_go_of_event(&key);
            } else if !self.kept.there.contains_key(&key) {
                self.kept.there.insert(key.clone(), None);
                self.dirty.mark(key, seq, false, now);
            }
        }
    }

    /// Lets a kept version and a mark go: what is served is in the object's file, on disk.
    ///
    /// # Errors
    /// Those of the file system; then it may still be there.
    pub(super) fn let_go(&mut self, key: &Key) -> Result<(), (PathBuf, io::Error)> {
        let ty = &self.schema.types[key.0];
        if self.kept.there.contains_key(key) {
            self.remove(self.shared.layout.log_kept(ty, &key.1))?;
            self.kept.there.remove(key);
        }
        if self.kept.refused.contains(key) {
            self.remove(self.shared.layout.log_refused(ty, &key.1))?;
            self.kept.refused.remove(key);
        }
        Ok(())
    }

    fn remove(&self, path: PathBuf) -> Result<(), (PathBuf, io::Error)> {
        match self.shared.files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err((path, error)),
            _ => Ok(()),
        }
    }

    /// Takes the marks away of files that are gone without having been taken.
    pub(super) fn forget_refused(&mut self) {
        let refused = self.kept.refused.iter();
        let refused: Vec<Key> = refused.cloned().collect();
        for key in refused {
            let path = self.path_of(key.0, &key.1);
            let is_gone = self.state.get(key.0, &key.1).is_none()
                && !self.suspects.contains_key(&path)
                && matches!(self.shared.files.stamp(&path), Ok(None));
            if is_gone && let Err((path, error)) = self.let_go(&key) {
                tracing::warn!(path = %path.display(), %error, "a mark cannot be removed yet");
            }
        }
    }

    /// As [`Self::let_go`], of an event, if what is served of it is in a file.
    fn let_go_of_event(&mut self, key: &Key) {
        let version = self.state.get(key.0, &key.1).map(|held| held.version());
        let is_filed = version.is_none_or(|version| self.is_filed(key, version));
        if !is_filed || !self.events[key.0].is_done(&key.1) {
            return;
        }
        if let Err((path, error)) = self.let_go(key) {
            tracing::warn!(path = %path.display(), %error, "a kept version cannot be removed yet");
        }
    }

    /// Whether a version of an object is kept, or its file marked as one that was not taken.
    pub(super) fn is_kept(&self, key: &Key) -> bool {
        self.kept.there.contains_key(key) || self.kept.refused.contains(key)
    }
}
