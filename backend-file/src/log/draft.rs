//! Drafts: files that nobody reads until they get their name.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Log;
use crate::files::Readers;

/// How old a draft is whose process no longer lives: a claim takes milliseconds.
const DEAD_AFTER: Duration = Duration::from_secs(3600);

impl Log {
    /// A name among the drafts that nothing has had.
    pub(super) fn draft_name(&self) -> PathBuf {
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}.otoml", self.writer);
        self.layout.log_drafts().join(name)
    }

    /// Writes a durable draft, for its owner's eyes, as secret fields may be in it; on failure none is
    /// left, unless it cannot be removed either.
    pub(super) fn draft(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.draft_name();
        let mut written = self.files.create(&path, bytes, Readers::Owner, true);
        if written
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::NotFound)
        {
            self.check_home().map_err(io::Error::other)?;
            self.files.create_directory(&self.layout.log_drafts())?;
            written = self.files.create(&path, bytes, Readers::Owner, true);
        }
        match written {
            Ok(()) => Ok(path),
            Err(error) => {
                let _ = self.discard_draft(&path);
                Err(error)
            }
        }
    }

    /// Removes a draft; one that is not there is fine.
    pub(super) fn discard_draft(&self, path: &Path) -> io::Result<()> {
        match self.files.remove(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Puts a file in the place of another, which may be there or not, whole and durable.
    ///
    /// On failure the old one or the new one is there, never a part.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let draft = self.draft(bytes)?;
        if let Err(error) = self.files.rename(&draft, path) {
            let _ = self.discard_draft(&draft);
            return Err(error);
        }
        self.sync_parent(path)
    }

    /// Makes the name of a file durable.
    pub(super) fn sync_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) => self.files.sync(parent),
            None => Ok(()),
        }
    }

    /// Clears away what dead processes left among the drafts: files of more than an hour ago, and
    /// the segments that were set aside there because their pack has the word. What cannot be
    /// removed stays.
    pub(super) fn sweep(&self) {
        let drafts = self.layout.log_drafts();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        let Ok(names) = self.files.list(&drafts) else {
            return;
        };
        for name in names {
            let path = drafts.join(&name);
            let Ok(Some(stamp)) = self.files.stamp(&path) else {
                continue;
            };
            let modified = u128::try_from(stamp.modified).unwrap_or(0);
            let is_dead = now.saturating_sub(modified) > DEAD_AFTER.as_nanos();
            let swept = match () {
                () if stamp.is_directory => self.remove_aside(&path),
                () if is_dead => self.discard_draft(&path),
                () => Ok(()),
            };
            if let Err(error) = swept {
                tracing::warn!(path = %path.display(), %error, "a leftover stays");
            }
        }
    }

    /// Removes a segment that was set aside; others may do the same at this moment.
    pub(super) fn remove_aside(&self, directory: &Path) -> io::Result<()> {
        for name in self.files.list(directory)? {
            self.discard_draft(&directory.join(name))?;
        }
        match self.files.remove_directory(directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
