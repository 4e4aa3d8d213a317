//! Notices new, renamed and removed files by when their directories changed.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// When each directory below the types' folders was last changed.
#[derive(Debug)]
pub(super) struct Poll {
    tops: Vec<PathBuf>,
    known: HashMap<PathBuf, Directory>,
}

#[derive(Debug)]
struct Directory {
    modified: (i64, i64),
    folders: Vec<PathBuf>,
}

impl Poll {
    /// Takes all as it is now for unchanged.
    pub(super) fn begin(tops: &[PathBuf]) -> Self {
        let mut poll = Self {
            tops: tops.to_owned(),
            known: HashMap::new(),
        };
        poll.changed();
        poll
    }

    /// The directories that changed since the last call, new and gone ones among them, in order.
    pub(super) fn changed(&mut self) -> Vec<PathBuf> {
        let mut before = std::mem::take(&mut self.known);
        let mut changed = Vec::new();
        let mut open = self.tops.clone();
        while let Some(path) = open.pop() {
            // A type's folder may be a link.
            let Ok(found) = std::fs::metadata(&path) else {
                continue;
            };
            let modified = (found.mtime(), found.mtime_nsec());
            let directory = match before.remove(&path) {
                Some(directory) if directory.modified == modified => directory,
                _ => {
                    let folders = folders_in(&path);
                    changed.push(path.clone());
                    Directory { modified, folders }
                }
            };
            open.extend(directory.folders.iter().cloned());
            self.known.insert(path, directory);
        }
        changed.extend(before.into_keys());
        changed.sort_unstable();
        changed
    }
}

/// Whether a directory of this name, below the folder of a type, may hold files of ours.
pub(super) fn is_folder_name(name: &str) -> bool {
    !name.starts_with('.') && matches!(name.len(), 2 | 4)
}

/// The directories in a directory that may hold files of ours; none if it is none.
pub(super) fn folders_in(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let folders = entries.flatten().filter(|entry| {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_directory && entry.file_name().to_str().is_some_and(is_folder_name)
    });
    folders.map(|entry| entry.path()).collect()
}
