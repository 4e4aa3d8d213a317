//! What is done when files cannot be written: it is told, and tried again. All data are in the log.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::worker::Worker;

/// The longest wait after a failure before the next trial.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

impl Worker<'_> {
    /// How long to wait after one more failure.
    pub(super) fn backoff(&mut self) -> Duration {
        self.failures = (self.failures + 1).min(8);
        (Duration::from_millis(200) * 2_u32.pow(self.failures)).min(BACKOFF_MAX)
    }

    /// Tells that a file cannot be written.
    pub(super) fn note_failure(&mut self, path: &Path, error: &io::Error) {
        if error.kind() == io::ErrorKind::StaleNetworkFileHandle {
            // Another host has put a new file there; the next look sees it.
            tracing::debug!(path = %path.display(), "changed on another host");
            return;
        }
        let message = format!(
            "cannot be brought up to date: {error}; nothing is lost, the log has it, and it is \
             tried again"
        );
        self.clear_failure();
        self.shared.problems.note(path, None, message);
        self.failing = Some(path.to_owned());
    }

    /// Files can be written again.
    pub(super) fn clear_failure(&mut self) {
        if let Some(path) = self.failing.take() {
            self.shared.problems.clear(&path);
        }
    }
}

/// Whether a failure is one of the volume, not of a file.
pub(super) fn is_global(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::StorageFull | Kind::QuotaExceeded | Kind::ReadOnlyFilesystem
    )
}
