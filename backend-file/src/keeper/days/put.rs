//! Puts files in the place of others, and takes them away, without losing what a person or another
//! process writes at the same moment.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use osis_core::error::Result;
use osis_core::object::Id;
use osis_core::time::Time;

use super::name;
use crate::error::io_error;
use crate::files::{Files, Readers, Stamp};

/// What the names of files end in that are being written; they begin with a dot.
pub(super) const UNFINISHED: &str = ".draft";
/// The same of files that are whole, and are swapped with others: what lies under such a name may be
/// what was in the other's place.
pub(super) const SWAPPED: &str = ".tmp";

/// What came of putting a file in place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is in place, as this.
    Done(Stamp),
    /// What is there is not what was expected, and stays.
    Other,
}

/// A file, as it is now.
///
/// # Errors
/// Those of the file system.
pub(super) fn stamp(files: &dyn Files, path: &Path) -> Result<Option<Stamp>> {
    files.stamp(path).map_err(|error| io_error(path, &error))
}

/// Puts a file in the place of the one that is `known`, or of none. One that has the same bytes
/// already is fine.
///
/// # Errors
/// Those of the file system; then the old file or the new one is there.
pub(super) fn put(
    files: &dyn Files,
    path: &Path,
    bytes: &[u8],
    known: Option<&Stamp>,
    readers: Readers,
    durable: bool,
) -> Result<Put> {
    let failed = |error: io::Error| io_error(path, &error);
    if stamp(files, path)?.as_ref() == known {
        let draft = draft_of(path);
        let created = files
            .create(&draft, bytes, readers, durable)
            .or_else(|error| {
                let directory = path.parent().unwrap_or(path);
                match error.kind() {
                    ErrorKind::NotFound => files
                        .create_directory(directory)
                        .and_then(|()| files.create(&draft, bytes, readers, durable)),
                    _ => Err(error),
                }
            });
        let placed = match created {
            Ok(()) => place(files, &draft, path, known),
            Err(error) => {
                discard(files, &draft);
                Err(error)
            }
        };
        if let Some(own) = placed.map_err(failed)? {
            return Ok(Put::Done(own));
        }
    }
    // Another process that folds the same commits writes the same.
    let Some(there) = stamp(files, path)? else {
        return Ok(Put::Other);
    };
    match files.read(path) {
        Ok(found) if found == bytes => Ok(Put::Done(there)),
        Ok(_) => Ok(Put::Other),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Put::Other),
        Err(error) => Err(failed(error)),
    }
}

/// Moves a draft to its place, if that is still as it is known; then the draft is gone. The stamp of
/// the draft, which is then the file's.
///
/// Where it fails halfway, what lies under the draft's name may be what a person wrote, and stays.
fn place(
    files: &dyn Files,
    draft: &Path,
    path: &Path,
    known: Option<&Stamp>,
) -> io::Result<Option<Stamp>> {
    let own = match files.stamp(draft) {
        Ok(Some(own)) => own,
        Ok(None) => return Err(ErrorKind::NotFound.into()),
        Err(error) => {
            discard(files, draft);
            return Err(error);
        }
    };
    let Some(known) = known else {
        return match files.rename_new(draft, path) {
            Ok(()) => Ok(Some(own)),
            Err(error) => {
                discard(files, draft);
                match error.kind() {
                    ErrorKind::AlreadyExists => Ok(None),
                    _ => Err(error),
                }
            }
        };
    };
    let draft = &draft.with_extension(&SWAPPED[1..]);
    let first = draft.with_extension(&UNFINISHED[1..]);
    if let Err(error) = files.rename(&first, draft) {
        discard(files, &first);
        discard(files, draft);
        return Err(error);
    }
    match files.exchange(draft, path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return replace(files, draft, path, known, own);
        }
        Err(error) => {
            // Unless it was swapped, whatever the volume says: then it is looked at later.
            if matches!(files.stamp(draft), Ok(Some(there)) if there == own) {
                discard(files, draft);
            }
            return match error.kind() {
                ErrorKind::NotFound => Ok(None),
                _ => Err(error),
            };
        }
    }
    if files.stamp(draft)?.as_ref() == Some(known) {
        discard(files, draft);
        return Ok(Some(own));
    }
    // Somebody wrote it after it was looked at.
    files.exchange(draft, path)?;
    discard(files, draft);
    Ok(None)
}

/// As [`place`] does it by an exchange, where the file system has none. What is at the place goes
/// aside first, under a name that is still read, and is looked at there; the draft only takes a place
/// that is free. So whoever writes meanwhile keeps it.
fn replace(
    files: &dyn Files,
    draft: &Path,
    path: &Path,
    known: &Stamp,
    own: Stamp,
) -> io::Result<Option<Stamp>> {
    let aside = name::aside(path);
    let moved = files.rename(path, &aside);
    let there = files.stamp(&aside)?;
    if there.as_ref() != Some(known) {
        // Somebody wrote it after it was looked at. Where that cannot go back, another has taken the
        // place since.
        if there.is_some() {
            let _ = files.rename_new(&aside, path);
        }
        discard(files, draft);
        return match moved {
            Err(error) if error.kind() != ErrorKind::NotFound && there.is_none() => Err(error),
            _ => Ok(None),
        };
    }
    let placed = match files.rename_new(draft, path) {
        Ok(()) => Ok(Some(own)),
        // It was moved, whatever the volume says.
        Err(_) if matches!(files.stamp(path), Ok(Some(there)) if there == own) => Ok(Some(own)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => {
            let _ = files.rename_new(&aside, path);
            Err(error)
        }
    };
    if placed.is_ok() {
        // It is what was known, and another has its place.
        discard(files, &aside);
    }
    if !matches!(placed, Ok(Some(_))) {
        discard(files, draft);
    }
    placed
}

/// Removes a draft; what stays only takes room, and is swept later.
fn discard(files: &dyn Files, draft: &Path) {
    let _ = files.remove(draft);
}

/// Removes a file if it is still the one that was seen; whether it was. Otherwise it stays, if
/// perhaps under the name that `aside` gives, which must be one that is read.
///
/// # Errors
/// Those of the file system; then it may still be there.
pub(super) fn retire(
    files: &dyn Files,
    path: &Path,
    seen: &Stamp,
    aside: impl Fn() -> PathBuf,
) -> Result<bool> {
    let failed = |error: io::Error| io_error(path, &error);
    if stamp(files, path)?.as_ref() != Some(seen) {
        return Ok(false);
    }
    // Whoever puts another in its place from now on keeps that. The name is new, so that nothing is
    // overwritten; a rename that looks for that itself is none in one step on some volumes.
    let aside = aside();
    match files.rename(path, &aside) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    }
    if files.stamp(&aside).map_err(failed)?.as_ref() != Some(seen) {
        // It was replaced just before: what came stays, at its old name if that is still free.
        let _ = files.rename_new(&aside, path);
        return Ok(false);
    }
    match files.remove(&aside) {
        Ok(()) => Ok(true),
        // Another process took it for what one that ended has left, and put it back.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// A name for a file before it is in its place.
fn draft_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}{UNFINISHED}", Id::generate(Time::now())))
}
