//! What is wrong with people's files, until it is mended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is wrong with people's files; one entry a file.
#[derive(Debug, Default)]
pub(crate) struct Problems(Mutex<BTreeMap<PathBuf, Fault>>);

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Fault {
    /// The line, from 1.
    pub(crate) line: Option<usize>,
    /// What was expected, or what became of the file.
    pub(crate) message: String,
}

impl Problems {
    /// Notes what is wrong with a file, and says so in the log if it is new.
    pub(crate) fn note(&self, path: &Path, line: Option<usize>, message: impl Into<String>) {
        let fault = Fault {
            line,
            message: message.into(),
        };
        let before = self.all().insert(path.to_owned(), fault.clone());
        if before.as_ref() != Some(&fault) {
            tracing::warn!(path = %path.display(), line, "{}", fault.message);
        }
    }

    /// Forgets a file's problem: it is mended, or gone.
    pub(crate) fn clear(&self, path: &Path) {
        if self.all().remove(path).is_some() {
            tracing::info!(path = %path.display(), "is no longer a problem");
        }
    }

    /// All of them, in the order of their paths.
    pub(crate) fn list(&self) -> Vec<(PathBuf, Fault)> {
        let all = self.all();
        all.iter()
            .map(|(path, fault)| (path.clone(), fault.clone()))
            .collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
