//! Keeps the last good version of an object whose file a person has in hand.
//!
//! A file that is broken, or whose edit was refused, is left as it is. So it does not hold what is
//! served, and the log lets go of that in time. Until the file is right again, it lies in
//! `log/kept/<plural>/<id>.otoml`, for processes that start without knowing. A kept version is only
//! worth something while its revision is the object's own: one that a process left behind is older,
//! and is passed over and removed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use osis_core::error::Result;
use osis_core::object::{Id, Row};
use osis_core::schema::{Schema, Type};
use osis_core::time::Time;

use super::marks::Key;
use super::worker::Worker;
use crate::error::io_error;
use crate::files::{Files, Readers};
use crate::layout::Layout;
use crate::otoml::{self, Found};
use crate::record::Version;
use crate::shared::Shared;

/// Writes the version of an object, durably, in the place of one that was kept before.
fn write(shared: &Shared, ty: &Type, row: &Row) -> Result<()> {
    let path = shared.layout.log_kept(ty, &row.id);
    let folder = shared.layout.log_kept_folder(ty);
    let failed = |error| io_error(&path, &error);
    let files = &*shared.files;
    files.create_directory(&folder).map_err(failed)?;
    let unique = Id::generate(Time::now());
    let draft = shared.layout.log_drafts().join(format!("kept-{unique}"));
    let text = otoml::object(ty, row);
    let written = files
        .create(&draft, text.as_bytes(), Readers::Owner, true)
        .and_then(|()| files.rename(&draft, &path))
        .and_then(|()| sync_upwards(files, &folder, shared.root()));
    written.map_err(|error| {
        // What stays is swept with the drafts of entries.
        let _ = files.remove(&draft);
        failed(error)
    })
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

/// The objects of which a version is kept.
///
/// # Errors
/// Those of the file system.
pub(super) fn list(files: &dyn Files, layout: &Layout, schema: &Schema) -> Result<Vec<Key>> {
    let mut keys = Vec::new();
    for ty in &schema.types {
        let folder = layout.log_kept_folder(ty);
        let names = files.list(&folder);
        for name in names.map_err(|error| io_error(&folder, &error))? {
            let id = name.strip_suffix(".otoml").and_then(Id::parse);
            keys.extend(id.map(|id| (ty.id, id)));
        }
    }
    Ok(keys)
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
    let keys = list(files, layout, schema)?.into_iter();
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
    /// Objects whose version is yet to be kept, after a failure.
    waiting: Vec<Key>,
}

impl Worker<'_> {
    /// Keeps what is served of an object whose file cannot be written; whether it is safe now
    /// without the log.
    pub(super) fn keep(&mut self, key: &Key) -> bool {
        let Some(held) = self.state.get(key.0, &key.1).cloned() else {
            return true;
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
        let keys = match list(&*shared.files, &shared.layout, &self.schema) {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(%error, "kept versions cannot be looked for");
                return;
            }
        };
        let now = Instant::now();
        let seq = self.clock.folded_through + 1;
        for key in keys {
            if self.schema.types[key.0].log().is_some() {
                self.kept.there.entry(key.clone()).or_insert(None);
                self.let_go_of_event(&key);
            } else if !self.kept.there.contains_key(&key) {
                self.kept.there.insert(key.clone(), None);
                self.dirty.mark(key, seq, false, now);
            }
        }
    }

    /// Lets a kept version go: what is served is in the object's file, on disk.
    ///
    /// # Errors
    /// Those of the file system; then it may still be there.
    pub(super) fn let_go(&mut self, key: &Key) -> Result<(), (PathBuf, io::Error)> {
        if !self.kept.there.contains_key(key) {
            return Ok(());
        }
        let path = self
            .shared
            .layout
            .log_kept(&self.schema.types[key.0], &key.1);
        match self.shared.files.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err((path, error)),
            _ => {
                self.kept.there.remove(key);
                Ok(())
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

    /// Whether a version of an object is kept.
    pub(super) fn is_kept(&self, key: &Key) -> bool {
        self.kept.there.contains_key(key)
    }
}
