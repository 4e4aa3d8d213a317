//! The objects' files of a copy of the store, as of one state of it, while people and programs go on.
//!
//! A file that holds just the version of the state is copied as it is, with its comments and layout.
//! One that is not written yet, or holds a newer version or an edit that is not taken in, is brought to
//! the version of the state as a fold does it: its comments stay. What is wrong by the store's own word
//! is copied beside, so that nobody's text is missing from the copy.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use osis_core::error::Result;
use osis_core::object::Row;
use osis_core::schema::{Type, TypeId};

use super::content::{content, is_up_to_date};
use super::days::Days;
use crate::error::io_error;
use crate::files::{Files, Readers};
use crate::layout::Layout;
use crate::otoml;
use crate::record::Version;
use crate::shared::Shared;
use crate::state::State;

/// Where texts lie in a copy that the store did not serve.
const UNSERVED: &str = ".unserved";

/// Writes files of new directories, each of which is made once.
#[derive(Debug)]
pub(super) struct Target<'a> {
    files: &'a dyn Files,
    made: HashSet<PathBuf>,
}

impl Target<'_> {
    /// Writes a file; not durable before the caller syncs.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn write(&mut self, path: &Path, bytes: &[u8], readers: Readers) -> Result<()> {
        let failed = |error| io_error(path, &error);
        if let Some(directory) = path.parent()
            && !self.made.contains(directory)
        {
            self.files.create_directory(directory).map_err(failed)?;
            self.made.insert(directory.to_owned());
        }
        self.files
            .create(path, bytes, readers, false)
            .map_err(failed)
    }
}

/// Writes the files of all objects of a state below another directory.
///
/// # Errors
/// Those of the file system and of the cache.
pub(crate) fn copy_out(shared: &Shared, state: &State, to: &Layout) -> Result<()> {
    let mut target = Target {
        files: &*shared.files,
        made: HashSet::new(),
    };
    for ty in &shared.schema.types {
        match ty.log() {
            None => objects(shared, state, ty.id, to, &mut target)?,
            Some(_) => Days::of(shared, ty.id).copy_out(shared, state, to, &mut target)?,
        }
    }
    unserved(shared, to, &mut target)
}

fn objects(
    shared: &Shared,
    state: &State,
    type_id: TypeId,
    to: &Layout,
    target: &mut Target<'_>,
) -> Result<()> {
    let ty = &shared.schema.types[type_id];
    let readers = Layout::readers(ty);
    for held in state.types[type_id].ordinals.values() {
        let row = shared.bodies.join(held)?;
        let text = match shared.files.read(&shared.layout.object(ty, &row.id)) {
            Ok(bytes) => text_of(ty, &row, held.version(), bytes),
            // Not written yet, or out of reach: the state has all of it.
            Err(_) => otoml::object(ty, &row).into_bytes(),
        };
        target.write(&to.object(ty, &row.id), &text, readers)?;
    }
    Ok(())
}

/// The text of an object's file in a copy: the file's own, as far as that may be.
fn text_of(ty: &Type, row: &Row, version: Version, bytes: Vec<u8>) -> Vec<u8> {
    let canonical = otoml::object(ty, row);
    if bytes == canonical.as_bytes() {
        return bytes;
    }
    if content(ty, &row.id, &bytes).is_ok_and(|is| is_up_to_date(&is.found, row, version)) {
        return bytes;
    }
    let text = String::from_utf8(bytes).ok();
    let updated = text.and_then(|text| otoml::update(&text, ty, row).ok());
    updated.unwrap_or(canonical).into_bytes()
}

/// Copies the files that the store names as problems.
fn unserved(shared: &Shared, to: &Layout, target: &mut Target<'_>) -> Result<()> {
    for (path, _) in shared.problems.list() {
        let Ok(below) = path.strip_prefix(shared.root()) else {
            continue;
        };
        let read = match shared.files.read(&path) {
            Err(error) if is_passed_over(error.kind()) => continue,
            read => read.map_err(|error| io_error(&path, &error))?,
        };
        let path = to.root().join(UNSERVED).join(below);
        target.write(&path, &read, Readers::Owner)?;
    }
    Ok(())
}

/// Whether a file that is a problem cannot be copied: it is no file, is gone, or is out of reach, which
/// the store has told already.
fn is_passed_over(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
            | ErrorKind::PermissionDenied
    )
}
