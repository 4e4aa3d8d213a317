//! The seam to the file system: every call by which the store's own files are changed or read.
//!
//! The engine touches the disk through [`Files`] alone (Tantivy's index and the bodies of the cache
//! excepted, which are derived), so that a test can make any single call fail, lie or be the last.

#[cfg(test)]
mod bent;
mod disk;
pub mod faulty;

use std::fmt;
use std::io;
use std::path::Path;

#[cfg(test)]
pub(crate) use bent::Bent;
pub use disk::Disk;

/// Calls on files. All block; none is retried inside.
pub trait Files: fmt::Debug + Send + Sync + 'static {
    /// The whole of a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The first bytes of a file, at most so many.
    ///
    /// # Errors
    /// Those of the file system.
    fn read_start(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Writes a new file for these readers; with `durable`, its bytes are on disk when it returns
    /// (its name is not: see [`Self::sync`]). On failure nothing, or a part of it, may be there.
    ///
    /// # Errors
    /// `AlreadyExists` where the name is taken; those of the file system.
    fn create(&self, path: &Path, bytes: &[u8], readers: Readers, durable: bool) -> io::Result<()>;

    /// Gives a file a second name, if that is free: the claim of DESIGN, exact on every volume.
    ///
    /// # Errors
    /// `AlreadyExists` where the name is taken; those of the file system. On network volumes an
    /// error may be reported for a link that was made.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Puts a file in the place of another, which may be there or not.
    ///
    /// # Errors
    /// Those of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Moves a file to a name that is free, in one step.
    ///
    /// # Errors
    /// `AlreadyExists` where the name is taken; those of the file system.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Swaps two files in one step.
    ///
    /// # Errors
    /// `Unsupported` where the file system cannot; `NotFound` where one is not there.
    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// What is known of a file without reading it; nothing if it is not there. Does not follow a
    /// symbolic link at the end.
    ///
    /// # Errors
    /// Those of the file system.
    fn stamp(&self, path: &Path) -> io::Result<Option<Stamp>>;

    /// The names in a directory, in no order; none if it is not there.
    ///
    /// # Errors
    /// Those of the file system.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Makes a directory and those above it; one that is there is fine.
    ///
    /// # Errors
    /// Those of the file system.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the bytes of a file durable, or the names in a directory.
    ///
    /// # Errors
    /// Those of the file system; what is durable then is unknown.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Makes all that was written to the file system of a path durable.
    ///
    /// # Errors
    /// Those of the file system; what is durable then is unknown.
    fn sync_all(&self, path: &Path) -> io::Result<()>;
}

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone.
    Owner,
    /// Whom the process lets read its files (its umask).
    Usual,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// Its inode.
    pub inode: u64,
    /// Its length in bytes.
    pub length: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub modified: i64,
    /// Whether it is a plain file.
    pub is_file: bool,
    /// Whether it is a directory.
    pub is_directory: bool,
}
