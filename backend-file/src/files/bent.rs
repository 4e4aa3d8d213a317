//! The disk with a difference, for tests: without syncs, without swaps, or without rights to
//! some files.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Disk, Files, Readers, Stamp};

/// The disk, but not in all.
#[derive(Debug)]
pub(crate) struct Bent {
    syncs: bool,
    swaps: bool,
    forbidden: Mutex<HashSet<PathBuf>>,
}

impl Bent {
    /// The disk as it is.
    fn straight() -> Self {
        Self {
            syncs: true,
            swaps: true,
            forbidden: Mutex::default(),
        }
    }

    /// Without syncs, which no kill -9 needs: where many calls are to be made.
    pub(crate) fn quick() -> Self {
        Self {
            syncs: false,
            ..Self::straight()
        }
    }

    /// A file system that cannot swap two files in one step, as those across a network.
    pub(crate) fn plain() -> Self {
        Self {
            swaps: false,
            ..Self::straight()
        }
    }

    /// Forbids to read a file and to put another in its place, or allows it again: a test may run as
    /// one who may do all.
    pub(crate) fn forbid(&self, path: &Path, is_forbidden: bool) {
        let mut forbidden = self
            .forbidden
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match is_forbidden {
            true => drop(forbidden.insert(path.to_owned())),
            false => drop(forbidden.remove(path)),
        }
    }

    fn check(&self, path: &Path) -> io::Result<()> {
        let forbidden = self
            .forbidden
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match forbidden.contains(path) {
            true => Err(ErrorKind::PermissionDenied.into()),
            false => Ok(()),
        }
    }
}

impl Files for Bent {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.check(path)?;
        Disk.read(path)
    }

    fn read_start(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.check(path)?;
        Disk.read_start(path, limit)
    }

    fn create(&self, path: &Path, bytes: &[u8], readers: Readers, durable: bool) -> io::Result<()> {
        Disk.create(path, bytes, readers, durable && self.syncs)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(to)?;
        Disk.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename_new(from, to)
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        match self.swaps {
            true => Disk.exchange(a, b),
            false => Err(ErrorKind::Unsupported.into()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn stamp(&self, path: &Path) -> io::Result<Option<Stamp>> {
        Disk.stamp(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        Disk.list(directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        Disk.create_directory(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        Disk.remove_directory(path)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        match self.syncs {
            true => Disk.sync(path),
            false => Ok(()),
        }
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        match self.syncs {
            true => Disk.sync_all(path),
            false => Ok(()),
        }
    }
}
