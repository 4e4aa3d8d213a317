//! How a store is opened.

use std::path::PathBuf;
use std::time::Duration;

use osis_core::schema::diff::SchemaPolicy;

/// How a SQLite store is opened.
#[derive(Debug, Clone)]
pub struct SqliteConfig {
    /// The database file. Its directory is made if it is missing.
    pub path: PathBuf,
    /// How many scans, searches and aggregates run at once; point reads have connections of their
    /// own. By default one a CPU, at least four.
    pub readers: usize,
    /// What happens where the stored schema is not the wanted one.
    pub schema: SchemaPolicy,
    /// Whether the store may lie where it is unknown if SQLite is safe there.
    pub place: PlacePolicy,
    /// How long a write waits for a program that locks the database.
    pub busy_timeout: Duration,
    /// The most pages of 4 KiB that the file may have; past that the store is full. No limit by
    /// default.
    pub pages_max: Option<u32>,
}

impl SqliteConfig {
    /// The defaults for a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let cpus = std::thread::available_parallelism().map_or(4, usize::from);
        Self {
            path: path.into(),
            readers: cpus.max(4),
            schema: SchemaPolicy::Stored,
            place: PlacePolicy::KnownOnly,
            busy_timeout: Duration::from_secs(5),
            pages_max: None,
        }
    }
}

/// Whether the store may lie where it is unknown if SQLite is safe there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacePolicy {
    /// Only on file systems that are known to be local.
    KnownOnly,
    /// Also on unknown ones; never on those known to be shared between hosts.
    AllowUnknown,
}
