//! Notices that files change, without looking at all of them.
//!
//! On a local volume the system tells (inotify); behind it stands a slow look at everything, since
//! what the system tells may be lost. Nobody tells what another host does on a network volume, so
//! there, and where the system's watches are used up, the directories are looked at each second: a
//! new or renamed file changes its directory, an edit in place does not, so all files are looked at
//! every few seconds as well.
//!
//! The store's own writes are seen too; whoever listens knows their stamps.

mod desk;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher as _};
use osis_core::error::{Error, Result};
use osis_core::schema::Schema;

use self::desk::{Desk, Told};
use super::poll::{self, Poll};
use crate::layout::Layout;

/// How long what is seen is gathered: an editor's save is several events.
const SETTLE: Duration = Duration::from_millis(20);
/// How often all is looked at where the system tells of changes.
const BACKSTOP: Duration = Duration::from_secs(60);
/// How often the directories are looked at where it does not.
const GLANCE: Duration = Duration::from_secs(1);
/// How often, at most, all files are looked at there: where other hosts write, and each look is a
/// round trip a file; and on this host's own disks.
const REMOTE: Duration = Duration::from_secs(5);
const LOCAL: Duration = Duration::from_secs(1);
/// How many times as long as it looked a process rests.
const REST: u32 = 4;
/// How long an answer to a rescan is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// With more changed directories than these, all files are looked at instead.
const DIRECTORIES_MAX: usize = 64;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Seen {
    /// Something at this path may have changed; a directory stands for all in it.
    Path(PathBuf),
    /// This file was made, and whoever did may still be writing it. When that is done, it is seen as
    /// a [`Self::Path`].
    Begun(PathBuf),
    /// Anything may have changed.
    Rescan,
}

/// Watches the files of a store until it is closed or dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Begins to watch: whatever changes after this returns is seen. What changed before is for the
    /// caller to look for.
    ///
    /// # Errors
    /// If the process can have no further thread.
    pub(crate) fn start<M>(
        layout: &Layout,
        schema: &Schema,
        is_network: bool,
        sender: Sender<M>,
    ) -> Result<Self>
    where
        M: From<Seen> + Send + 'static,
    {
        let desk = Arc::new(Desk::default());
        let mut work = Work {
            root: layout.root().to_owned(),
            tops: schema.types.iter().map(|ty| layout.folder(ty)).collect(),
            every: if is_network { REMOTE } else { LOCAL },
            desk: Arc::clone(&desk),
            sender,
            sight: Sight::None,
            last_all: Instant::now(),
            last_glance: Instant::now(),
        };
        if is_network {
            work.sight = Sight::Poll(Poll::begin(&work.tops));
        } else {
            work.open_eyes();
        }
        let thread = std::thread::Builder::new()
            .name("osis-watch".to_owned())
            .spawn(move || work.run())
            .map_err(|error| Error::internal("no thread for watching files", error))?;
        Ok(Self {
            desk,
            thread: Some(thread),
        })
    }

    /// Tells that the files were looked at for [`Seen::Rescan`], and how long that took: so long a
    /// look is not repeated soon.
    pub(crate) fn scanned(&self, took: Duration) {
        let mut pile = self.desk.pile();
        pile.scanning = None;
        pile.took = took;
        pile.done = Some(Instant::now());
    }

    /// Ends it; nothing is sent any more when this returns.
    pub(crate) fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.desk.pile().closing = true;
        self.desk.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // One that panicked is over as well.
            let _ = thread.join();
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.end();
    }
}

/// How changes are noticed.
enum Sight {
    /// Not yet.
    None,
    /// The system tells.
    Told(RecommendedWatcher),
    /// By looking.
    Poll(Poll),
}

/// What the thread has.
struct Work<M> {
    root: PathBuf,
    /// The folders of the types.
    tops: Vec<PathBuf>,
    /// How often all files are looked at without the system's help.
    every: Duration,
    desk: Arc<Desk>,
    sender: Sender<M>,
    sight: Sight,
    last_all: Instant,
    last_glance: Instant,
}

impl<M: From<Seen> + Send + 'static> Work<M> {
    /// Has the system tell of changes, or falls back to looking.
    fn open_eyes(&mut self) {
        let (desk, root) = (Arc::clone(&self.desk), self.root.clone());
        let config = Config::default().with_follow_symlinks(false);
        let told = RecommendedWatcher::new(move |event| desk.take(&root, &event), config);
        let told = told.and_then(|mut told| {
            told.watch(&self.root, RecursiveMode::NonRecursive)?;
            for top in &self.tops {
                watch_below(&mut told, top)?;
            }
            Ok(told)
        });
        match told {
            Ok(told) => self.sight = Sight::Told(told),
            Err(error) => self.look_instead(&error.to_string()),
        }
    }

    /// Falls back to looking.
    fn look_instead(&mut self, why: &str) {
        tracing::warn!(
            store = %self.root.display(),
            why,
            "the system does not tell of changed files (fs.inotify.max_user_watches and \
             max_user_instances limit that), so all files are looked at again and again"
        );
        self.sight = Sight::Poll(Poll::begin(&self.tops));
    }

    fn run(mut self) {
        while let Some(work) = self.wait() {
            if work.is_blind && matches!(self.sight, Sight::Told(_)) {
                self.look_instead("no more watches");
            }
            let seen = match self.sight {
                Sight::Told(_) => self.listen(work),
                Sight::Poll(_) | Sight::None => self.look(work.rescan),
            };
            if !self.send(seen) {
                return;
            }
        }
    }

    /// What the system told.
    fn listen(&mut self, told: Told) -> Vec<Seen> {
        let rescan = told.rescan || self.last_all.elapsed() >= BACKSTOP;
        let mut paths = told.paths;
        paths.retain(|path| path.parent() != Some(&*self.root) || self.tops.contains(path));
        // Before they are looked at: what comes later is told then.
        let mut folders: Vec<&PathBuf> = Vec::new();
        folders.extend(paths.iter().filter(|path| path.extension().is_none()));
        if rescan {
            // A watch may have been lost together with what should have told so.
            folders.extend(&self.tops);
        }
        if let Sight::Told(watcher) = &mut self.sight {
            let watched = folders
                .into_iter()
                .try_for_each(|path| watch_below(watcher, path));
            if let Err(error) = watched {
                self.look_instead(&error.to_string());
                return vec![Seen::Rescan];
            }
        }
        match rescan {
            true => vec![Seen::Rescan],
            false => {
                let begun = told.begun.into_iter().map(Seen::Begun);
                paths.into_iter().map(Seen::Path).chain(begun).collect()
            }
        }
    }

    /// Waits until there is something to do; nothing when it is time to end.
    fn wait(&self) -> Option<Told> {
        let mut pile = self.desk.pile();
        loop {
            if pile.closing {
                return None;
            }
            let is_told = matches!(self.sight, Sight::Told(_));
            let due = if is_told {
                self.last_all + BACKSTOP
            } else {
                self.last_glance + GLANCE
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(pile.take());
            }
            if is_told && !pile.is_empty() {
                drop(pile);
                std::thread::sleep(SETTLE);
                return Some(self.desk.pile().take());
            }
            let waited = self.desk.changed.wait_timeout(pile, left);
            pile = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Looks for changes.
    fn look(&mut self, rescan: bool) -> Vec<Seen> {
        self.last_glance = Instant::now();
        let (scanning, took, done) = {
            let pile = self.desk.pile();
            (pile.scanning, pile.took, pile.done)
        };
        let rest = took * REST;
        let is_resting = done.is_some_and(|done| done.elapsed() < rest)
            || scanning.is_some_and(|since| since.elapsed() < PATIENCE);
        let Sight::Poll(poll) = &mut self.sight else {
            return Vec::new();
        };
        if is_resting {
            self.desk.pile().told.rescan |= rescan;
            return Vec::new();
        }
        let directories = poll.changed();
        let is_due = self.last_all.elapsed() >= self.every.saturating_sub(took);
        if rescan || is_due || directories.len() > DIRECTORIES_MAX {
            return vec![Seen::Rescan];
        }
        directories.into_iter().map(Seen::Path).collect()
    }

    /// Tells; whether anybody listens.
    fn send(&mut self, seen: Vec<Seen>) -> bool {
        for seen in seen {
            if seen == Seen::Rescan {
                self.last_all = Instant::now();
                self.desk.pile().scanning = Some(self.last_all);
            }
            if self.sender.send(M::from(seen)).is_err() {
                return false;
            }
        }
        true
    }
}

/// Watches a directory and those of ours below it; one that is not there is fine.
fn watch_below(told: &mut RecommendedWatcher, directory: &Path) -> notify::Result<()> {
    match told.watch(directory, RecursiveMode::NonRecursive) {
        Ok(()) => {}
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(error),
    }
    for below in poll::folders_in(directory) {
        watch_below(told, &below)?;
    }
    Ok(())
}

/// Whether an error only says that what was to be watched is gone.
fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => matches!(
            error.kind(),
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
        ),
        _ => false,
    }
}
