//! Files that were moved aside to make room for others, by processes that ended before they were done.
//!
//! Where a file system cannot swap two files in one step, a file's place is empty for a moment. A
//! place that stays empty has its old file put back: it must not look as if a person had removed it.

use std::io;
use std::path::Path;

use osis_core::object::Id;
use osis_core::schema::Schema;

use super::days::Days;
use super::marks::Key;
use super::names::{self, Beside};
use super::worker::Worker;
use crate::files::Files;
use crate::layout::Layout;

/// Puts the file of an object back that another process has moved aside; whether there is a file
/// now that it did not find before.
///
/// # Errors
/// Those of the file system.
pub(super) fn put_back(files: &dyn Files, path: &Path, id: &Id) -> io::Result<bool> {
    let Some(shard) = path.parent() else {
        return Ok(false);
    };
    for name in files.list(shard)? {
        if names::is_aside(&name, id) {
            match files.rename_new(&shard.join(&name), path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => return Ok(true),
            }
        }
    }
    Ok(false)
}

/// Puts all files back whose places are empty. What cannot be put back now is by the next start.
pub(super) fn put_all_back(files: &dyn Files, layout: &Layout, schema: &Schema) {
    for ty in &schema.types {
        let done = match ty.log() {
            Some(_) => Days::new(layout, files, ty).put_back(None).map(drop),
            None => put_type_back(files, &layout.folder(ty)),
        };
        if let Err(error) = done {
            tracing::warn!(ty = ty.name, %error, "files that were moved aside cannot be looked for");
        }
    }
}

fn put_type_back(files: &dyn Files, folder: &Path) -> io::Result<()> {
    for shard in files.list(folder)?.iter().filter(|name| name.len() == 2) {
        let shard = folder.join(shard);
        for name in files.list(&shard)? {
            let Some(Beside::Temporary(id)) = names::beside(&name) else {
                continue;
            };
            let path = shard.join(format!("{id}.otoml"));
            if names::is_aside(&name, &id) && files.stamp(&path)?.is_none() {
                put_back(files, &path, &id)?;
            }
        }
    }
    Ok(())
}

impl Worker<'_> {
    /// As [`put_back`], of an object whose file is not where it should be.
    pub(super) fn has_put_back(&self, key: &Key, path: &Path) -> bool {
        let back = put_back(&*self.shared.files, path, &key.1);
        back.unwrap_or_else(|error| {
            tracing::debug!(path = %path.display(), %error, "its folder cannot be read");
            false
        })
    }
}
