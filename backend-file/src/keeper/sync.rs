//! What follows the writing of files: having them on disk, letting the log go of what is in them,
//! saving what is known.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use osis_core::time::Time;

use super::content::digest;
use super::events::Events;
use super::marks::{Key, Seqs};
use super::worker::Worker;
use crate::files::Stamp;
use crate::shared::Shared;

/// How long files wait to be synced while more are written.
const SYNC_EVERY: Duration = Duration::from_secs(2);
/// How long files wait to be synced when nothing is written any more.
const SYNC_QUIET: Duration = Duration::from_millis(200);
/// How many files wait to be synced at most.
const SYNC_MAX: usize = 20_000;
/// Up to how many files are synced one by one.
const FEW: usize = 8;
/// How often the log is cleared of what is in files.
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// How often the log is cleared of what is past its time.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// How long, and how many, records of the change feed are kept at least.
const CHANGES_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
const RECORDS_KEPT: usize = 100_000;
/// How often what is known is saved, if something changed.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// After how many changes it is saved before that.
const SAVE_CHANGES: usize = 20_000;
/// How often it is looked whether copies of edits are still there.
const CONFLICTS_EVERY: Duration = Duration::from_secs(1);
/// How long a failed sync is not tried again.
const SYNC_RETRY: Duration = Duration::from_secs(5);

/// A file that was written, or found to be right, and is not yet known to be on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    /// As it was then; nothing where it was removed.
    pub(super) stamp: Option<Stamp>,
    /// Its text's, where that was written or read.
    pub(super) digest: Option<u64>,
}

/// The files that are not yet known to be on disk.
#[derive(Debug, Default)]
pub(super) struct Unsynced {
    files: HashMap<Key, (u64, Written)>,
    seqs: Seqs,
}

impl Unsynced {
    /// Adds the file of an object, with the oldest commit that it must hold.
    pub(super) fn add(&mut self, key: Key, seq: u64, written: Written) {
        let mut seq = seq;
        if let Some((before, old)) = self.files.get(&key) {
            self.seqs.remove(*before);
            seq = seq.min(*before);
            let written = match (written.digest, old.stamp == written.stamp) {
                // Found as it was left: what is known of its text still holds.
                (None, true) => *old,
                _ => written,
            };
            self.seqs.add(seq);
            self.files.insert(key, (seq, written));
            return;
        }
        self.seqs.add(seq);
        self.files.insert(key, (seq, written));
    }

    /// The digest of an object's file that is to have this stamp.
    pub(super) fn digest(&self, key: &Key, stamp: Stamp) -> Option<u64> {
        let (_, written) = self.files.get(key)?;
        (written.stamp == Some(stamp)).then_some(written.digest)?
    }

    /// Whether an object's file is among them.
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.files.contains_key(key)
    }

    /// The oldest commit that is only in files of these.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.seqs.oldest()
    }

    fn take(&mut self) -> HashMap<Key, (u64, Written)> {
        self.seqs = Seqs::default();
        std::mem::take(&mut self.files)
    }
}

/// When what was done last.
#[derive(Debug)]
pub(super) struct Clock {
    synced: Instant,
    tidied: Instant,
    saved: Instant,
    conflicts: Instant,
    /// No sync before this, after one failed.
    sync_from: Instant,
    /// What the log was last told to be in files.
    pub(super) folded_through: u64,
    /// Who clears the log, which may take a while.
    tidying: Option<JoinHandle<()>>,
    pruned: Instant,
    /// Changes since what is known was saved.
    pub(super) changes: usize,
    /// The state when it was saved; none before that.
    saved_seq: Option<u64>,
}

impl Clock {
    /// From now on; `saved_seq`: what is saved.
    pub(super) fn new(now: Instant, saved_seq: Option<u64>) -> Self {
        Self {
            synced: now,
            tidied: now,
            saved: now,
            conflicts: now,
            sync_from: now,
            folded_through: 0,
            tidying: None,
            pruned: now,
            changes: 0,
            saved_seq,
        }
    }
}

impl Worker<'_> {
    /// Does what is due by the clock.
    pub(super) fn look_after(&mut self, now: Instant) {
        self.sync_due(now);
        if now.duration_since(self.clock.tidied) >= TIDY_EVERY {
            self.tidy(false);
        }
        let has_news = self.clock.changes > 0 || self.clock.saved_seq.is_none();
        let is_due = self.clock.changes >= SAVE_CHANGES
            || (has_news && now.duration_since(self.clock.saved) >= SAVE_EVERY);
        if is_due {
            self.save();
        }
        if now.duration_since(self.clock.conflicts) >= CONFLICTS_EVERY {
            self.clock.conflicts = now;
            self.look_for_home();
            self.keep_waiting();
            self.trim_unwritten(now);
            self.look_at_conflicts();
            self.forget_refused();
            self.look_at_leftovers(now);
            self.look_at_left_days(now);
            let (dirty, unsynced) = (&self.dirty, &self.unsynced);
            self.recent
                .trim(now, |key| dirty.contains(key) || unsynced.contains(key));
        }
    }

    /// Tells where the store is no longer where it was: whoever only reads would not notice.
    fn look_for_home(&self) {
        let path = self.shared.layout.store_file();
        match self.shared.log.check_home() {
            Ok(()) => self.shared.problems.clear(&path),
            Err(error) => self.shared.problems.note(&path, None, error.message()),
        }
    }

    fn sync_due(&mut self, now: Instant) {
        if self.is_synced() || now < self.clock.sync_from {
            return;
        }
        let is_quiet = self.is_folded() && now.duration_since(self.changed_at) >= SYNC_QUIET;
        let is_late = now.duration_since(self.clock.synced) >= SYNC_EVERY
            || self.unsynced.files.len() >= SYNC_MAX;
        if is_quiet || is_late {
            self.sync();
        }
    }

    /// Has all that was written on disk; whether it is.
    pub(super) fn settle_files(&mut self) -> bool {
        if !self.is_synced() && Instant::now() >= self.clock.sync_from {
            self.sync();
        }
        self.is_synced()
    }

    fn is_synced(&self) -> bool {
        self.unsynced.files.is_empty() && self.events.iter().all(Events::is_synced)
    }

    /// Syncs what was written, and reads it back: what is there then may leave the log.
    fn sync(&mut self) {
        let is_few = self.unsynced.files.len() <= FEW && self.events.iter().all(Events::is_synced);
        let files = self.unsynced.take();
        let synced = match is_few && !self.shared.is_network {
            true => self.sync_each(&files),
            false => self.sync_disk(&files),
        };
        let now = Instant::now();
        self.clock.synced = now;
        let works = synced.is_ok();
        self.events
            .iter_mut()
            .for_each(|events| events.synced(works));
        if let Err((path, error)) = synced {
            // What the disk has is unknown now, and a second sync would not tell: all is written
            // anew.
            tracing::warn!(path = %path.display(), %error, "files of objects could not be synced");
            self.clock.sync_from = now + SYNC_RETRY;
            for (key, (seq, _)) in files {
                self.dirty.mark(key, seq, true, now + SYNC_RETRY);
            }
            return;
        }
        for (key, (seq, written)) in files {
            let path = self.path_of(key.0, &key.1);
            match self.is_as_written(&path, written) {
                Ok(true) => {
                    if let Err((path, error)) = self.let_go(&key) {
                        self.note_failure(&path, &error);
                        self.dirty.mark(key, seq, false, now + SYNC_RETRY);
                    }
                }
                Ok(false) => {
                    // A person was there meanwhile.
                    let stamp = self.shared.files.stamp(&path).ok().flatten();
                    self.suspect(&key, &path, stamp);
                    self.dirty.hold(&key, seq, false);
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "could not be read back");
                    self.dirty.mark(key, seq, true, now + SYNC_RETRY);
                }
            }
        }
    }

    /// Has a few files on disk by themselves: a sync of all would wait for what other programs have
    /// written too.
    fn sync_each(&self, files: &HashMap<Key, (u64, Written)>) -> Result<(), (PathBuf, io::Error)> {
        let mut paths = BTreeSet::new();
        for key in files.keys() {
            let path = self.path_of(key.0, &key.1);
            // Folders that are new, and those above them.
            let folders = path.ancestors().skip(1).take(3).map(Path::to_owned);
            paths.extend(folders);
            paths.insert(path);
        }
        for path in paths {
            match self.shared.files.sync(&path) {
                // Of a deleted object.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err((path, error)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn sync_disk(&self, files: &HashMap<Key, (u64, Written)>) -> Result<(), (PathBuf, io::Error)> {
        let root = self.shared.root();
        self.shared
            .files
            .sync_all(root)
            .map_err(|error| (root.to_owned(), error))?;
        if !self.shared.is_network {
            return Ok(());
        }
        // The files themselves were synced as they were written; a sync of the whole volume may
        // reach no further than this host.
        let mut shards: Vec<PathBuf> = files
            .keys()
            .filter_map(|key| self.path_of(key.0, &key.1).parent().map(Path::to_owned))
            .collect();
        shards.sort_unstable();
        shards.dedup();
        for shard in shards {
            match self.shared.files.sync(&shard) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err((shard, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_as_written(&self, path: &Path, written: Written) -> io::Result<bool> {
        let stamp = self.shared.files.stamp(path)?;
        let Some(expected) = written.digest else {
            return Ok(stamp == written.stamp);
        };
        if stamp.is_none() {
            return Ok(false);
        }
        match self.shared.files.read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            read => Ok(stamp == written.stamp && digest(&read?) == expected),
        }
    }

    /// The last commit up to which every object is in its file, on disk.
    fn folded_through(&self) -> u64 {
        let objects = [self.dirty.oldest(), self.unsynced.oldest()];
        let events = self.events.iter().filter_map(Events::oldest);
        let oldest = objects.into_iter().flatten().chain(events).min();
        oldest.map_or(self.state.seq, |oldest| {
            oldest.saturating_sub(1).min(self.state.seq)
        })
    }

    /// Lets the log go of what is in files. Where others wait, that is left to a thread.
    pub(super) fn tidy(&mut self, alone: bool) {
        let now = Instant::now();
        self.clock.tidied = now;
        let through = self.folded_through();
        let is_running = |tidying: &JoinHandle<()>| !tidying.is_finished();
        if !alone && self.clock.tidying.as_ref().is_some_and(is_running) {
            return;
        }
        if let Some(tidying) = self.clock.tidying.take()
            && tidying.join().is_err()
        {
            tracing::error!("clearing the log broke off");
        }
        let prunes = now.duration_since(self.clock.pruned) >= PRUNE_EVERY;
        if through <= self.clock.folded_through && !prunes {
            return;
        }
        // While the log has the word on an object, what is kept of it may be of old; not after.
        self.find_kept();
        let through = self.folded_through().min(through);
        self.clock.folded_through = self.clock.folded_through.max(through);
        if prunes {
            self.clock.pruned = now;
            self.find_left_days();
        }
        let shared = Arc::clone(self.shared);
        let work = move || clear_log(&shared, through, prunes);
        if alone {
            work();
            return;
        }
        // Without a thread it waits for the next time.
        let thread = std::thread::Builder::new().name("osis-tidy".to_owned());
        self.clock.tidying = thread.spawn(work).ok();
    }

    /// Saves what is known, so that the next start need not find it out.
    pub(super) fn save(&mut self) {
        self.clock.saved = Instant::now();
        if self.clock.changes == 0 && self.clock.saved_seq == Some(self.state.seq) {
            return;
        }
        match crate::save::save(self.shared, &self.state, &self.tree) {
            Ok(()) => {
                self.clock.changes = 0;
                self.clock.saved_seq = Some(self.state.seq);
            }
            // Only the next start is slower by that.
            Err(error) => tracing::warn!(%error, "the catalogue could not be saved"),
        }
    }
}

/// Takes out of the log what is in files, and, from time to time, what is past its time.
fn clear_log(shared: &Shared, through: u64, prunes: bool) {
    let log = &shared.log;
    let cleared = log
        .set_filed(through)
        .and_then(|()| log.compact(through, &shared.schema, &shared.schema_hash));
    let pruned = match prunes {
        true => shared
            .log
            .prune(CHANGES_KEPT, RECORDS_KEPT, Time::now())
            .map(drop),
        false => Ok(()),
    };
    if let Err(error) = cleared.and(pruned) {
        tracing::warn!(%error, "the log could not be cleared of what is in files");
    }
}
