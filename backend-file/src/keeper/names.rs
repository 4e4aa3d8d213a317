//! Names of what the keeper writes beside the objects' files. No other part of the store takes
//! them for files of objects.

use std::path::{Path, PathBuf};

use osis_core::object::Id;
use osis_core::time::Time;

const ENDING: &str = ".otoml";
const TEMPORARY: &str = ".tmp";
const OUT: &str = ".old.tmp";
const CONFLICT: &str = ".conflict-";

/// What a file is that is not an object's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Beside {
    /// An edit that was not taken, kept for the person who made it.
    Conflict,
    /// What is to be put in place of an object's file, or was taken out and is not yet looked at.
    Temporary(Id),
}

/// What a name in a shard's directory says, where it is none of an object's file.
pub(super) fn beside(name: &str) -> Option<Beside> {
    if let Some(stem) = name.strip_suffix(TEMPORARY) {
        let id = stem.strip_prefix('.')?.split('.').next()?;
        return Id::parse(id).map(Beside::Temporary);
    }
    let stem = name.strip_suffix(ENDING)?;
    let (id, _) = stem.split_once(CONFLICT)?;
    Id::parse(id).map(|_| Beside::Conflict)
}

/// A name for what is written before it is put in the place of a file. `writer` tells processes
/// apart, `n` the writes of one.
pub(super) fn temporary(path: &Path, id: &Id, writer: &str, n: u64) -> PathBuf {
    path.with_file_name(format!(".{id}.{writer}-{n}{TEMPORARY}"))
}

/// As [`temporary`], for the file of an object that is to make room for another.
pub(super) fn aside(path: &Path, id: &Id, writer: &str, n: u64) -> PathBuf {
    path.with_file_name(format!(".{id}.{writer}-{n}{OUT}"))
}

/// Whether a name is one by [`aside`] of an object.
pub(super) fn is_aside(name: &str, id: &Id) -> bool {
    let rest = name.strip_prefix('.');
    let rest = rest.and_then(|rest| rest.strip_prefix(id.as_str()));
    rest.is_some_and(|rest| rest.starts_with('.') && rest.ends_with(OUT))
}

/// The name of the `n`th copy of an object's file that was made at a time.
pub(super) fn conflict(path: &Path, id: &Id, at: Time, n: u32) -> PathBuf {
    let (time, again) = (compact(at), nth(n));
    path.with_file_name(format!("{id}{CONFLICT}{time}{again}{ENDING}"))
}

/// A time as it stands in names.
pub(super) fn compact(at: Time) -> String {
    let time = at.to_string();
    let time: String = time.chars().filter(|c| !"-:".contains(*c)).collect();
    format!("{}Z", time.get(..15).unwrap_or(&time))
}

/// What tells the `n`th name from the first.
pub(super) fn nth(n: u32) -> String {
    match n {
        0 | 1 => String::new(),
        n => format!("-{n}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_written() {
        let at = Time::parse("2026-11-21T07:00:05.123Z").unwrap();
        let path = Path::new("/s/apps/2c/a12c.otoml");
        let id = Id::trusted("a12c");
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let copies = [1, 2].map(|n| name(conflict(path, &id, at, n)));
        assert_eq!(
            copies,
            [
                "a12c.conflict-20261121T070005Z.otoml",
                "a12c.conflict-20261121T070005Z-2.otoml"
            ]
        );
        assert_eq!(
            copies.map(|name| beside(&name)),
            [const { Some(Beside::Conflict) }; 2]
        );
        let temp = name(temporary(path, &id, "host.7", 3));
        assert_eq!(beside(&temp), Some(Beside::Temporary(id.clone())));
        assert!(!is_aside(&temp, &id));
        let aside = name(aside(path, &id, "host.7", 3));
        assert!(is_aside(&aside, &id) && !is_aside(&aside, &Id::trusted("a12d")));
        assert_eq!(beside(&aside), Some(Beside::Temporary(id)));
        for other in [
            "a12c.otoml",
            "a12c.otoml~",
            ".a12c.otoml.swp",
            "4913",
            ".tmp",
            "x.tmp",
        ] {
            assert_eq!(beside(other), None, "{other}");
        }
    }
}
