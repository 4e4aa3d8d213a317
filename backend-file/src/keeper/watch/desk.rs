//! Where the system's events are gathered until somebody has time for them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::Event;
use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RemoveKind};

use crate::keeper::poll;

/// With more paths than these, all files are looked at instead.
pub(super) const PATHS_MAX: usize = 10_000;

/// Where what is seen is gathered.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pile: Mutex<Pile>,
    /// Told when something comes to the pile.
    pub(super) changed: Condvar,
}

/// What the system told since it was taken last.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Where something may have changed.
    pub(super) paths: HashSet<PathBuf>,
    /// Files that were made, and are perhaps still being written.
    pub(super) begun: HashSet<PathBuf>,
    /// Anything may have changed.
    pub(super) rescan: bool,
    /// The system no longer tells of all changes.
    pub(super) is_blind: bool,
}

/// What lies on the desk.
#[derive(Debug, Default)]
pub(super) struct Pile {
    /// What the system told.
    pub(super) told: Told,
    /// It is time to end.
    pub(super) closing: bool,
    /// Since when a rescan is under way.
    pub(super) scanning: Option<Instant>,
    /// How long looking at all files took last.
    pub(super) took: Duration,
    /// When it was done.
    pub(super) done: Option<Instant>,
}

impl Pile {
    /// Whether the system told nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.told.paths.is_empty()
            && self.told.begun.is_empty()
            && !self.told.rescan
            && !self.told.is_blind
    }

    /// Takes what the system told.
    pub(super) fn take(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }
}

impl Desk {
    /// What lies on it.
    pub(super) fn pile(&self) -> MutexGuard<'_, Pile> {
        self.pile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event of the system.
    pub(super) fn take(&self, root: &Path, event: &notify::Result<Event>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                let mut pile = self.pile();
                pile.told.is_blind |= matches!(error.kind, notify::ErrorKind::MaxFilesWatch);
                pile.told.rescan = true;
                self.changed.notify_all();
                return;
            }
        };
        let mut paths = event
            .paths
            .iter()
            .filter(|path| is_wanted(root, &event.kind, path));
        let first = paths.next();
        if first.is_none() && !event.need_rescan() {
            return;
        }
        let mut pile = self.pile();
        let told = &mut pile.told;
        told.rescan |= event.need_rescan();
        let begins = matches!(event.kind, EventKind::Create(CreateKind::File));
        for path in first.into_iter().chain(paths) {
            if told.paths.len() + told.begun.len() >= PATHS_MAX {
                told.paths.clear();
                told.begun.clear();
                told.rescan = true;
            }
            // The last that is told of a path counts.
            let (these, others) = match begins {
                true => (&mut told.begun, &mut told.paths),
                false => (&mut told.paths, &mut told.begun),
            };
            others.remove(path);
            if !these.contains(path) {
                these.insert(path.clone());
            }
        }
        self.changed.notify_all();
    }
}

/// Whether an event at a path says anything about our files.
fn is_wanted(root: &Path, kind: &EventKind, path: &Path) -> bool {
    let is_change = matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Create(_)
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(_))
    );
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    // What is not finished, and editors' files.
    if !is_change || name.starts_with('.') {
        return false;
    }
    if name.ends_with(".otoml") {
        return path.parent() != Some(root);
    }
    let is_file = matches!(
        kind,
        EventKind::Access(_)
            | EventKind::Create(CreateKind::File)
            | EventKind::Remove(RemoveKind::File)
    );
    !is_file && (path.parent() == Some(root) || poll::is_folder_name(name))
}
