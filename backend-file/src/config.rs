//! How a file store is opened.

use std::path::PathBuf;
use std::sync::Arc;

use osis_core::schema::diff::SchemaPolicy;

use crate::files::{Disk, Files};

/// How a file store is opened.
#[derive(Debug, Clone)]
pub struct FileConfig {
    /// The directory of the store, which is made if it is missing.
    pub directory: PathBuf,
    /// Where caches lie. By default in `.osis` of the store; where hosts share the volume, in the
    /// user's cache directory on this host, since an index on a network volume is slow and unsafe.
    pub cache: Option<PathBuf>,
    /// What happens where the stored schema is not the wanted one.
    pub schema: SchemaPolicy,
    /// Through what the store's own files are read and written: the disk, or a test's stand-in
    /// that fails at a chosen call.
    pub files: Arc<dyn Files>,
}

impl FileConfig {
    /// The defaults for a directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            cache: None,
            schema: SchemaPolicy::Stored,
            files: Arc::new(Disk),
        }
    }
}
