//! Looks at files that are not as the store left them, and finds out what they are: an edit, an
//! older fold, a file that is broken.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osis_core::object::Id;
use osis_core::schema::TypeId;

use super::content::{Content, Fault, content, is_canonical};
use super::marks::Key;
use super::unreadable::{Of, is_refused};
use super::walk::{self, Differences, Kind};
use super::worker::Worker;
use crate::files::Stamp;

/// How long a file must stand still before it is read: editors write in several steps.
pub(super) const STILL: Duration = Duration::from_millis(60);
/// The same on a network volume: what a host has seen of another's file is up to a second old, and
/// its parts need not be of one moment.
pub(super) const STILL_NETWORK: Duration = Duration::from_millis(1500);
/// The same of a new file of which it is not told that it is closed.
pub(super) const STILL_OPEN: Duration = Duration::from_secs(2);
/// How long a file must be missing before it counts as deleted: editors rename files over others,
/// and some remove the old one first.
const MISSING: Duration = Duration::from_millis(200);
/// How long a file that never stands still is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long a file is left alone after a failure.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// How many files are looked at before other things are.
pub(super) const BATCH: usize = 1000;

/// A file of which it is not yet known what it is.
#[derive(Debug, Clone)]
pub(super) struct Suspect {
    /// The object that it is of, by its name.
    pub(super) key: Key,
    /// Whether it lies where the object's file does not belong.
    pub(super) is_astray: bool,
    /// As it was last seen.
    stamp: Option<Stamp>,
    /// When it is looked at again.
    pub(super) due: Instant,
    /// Since when it is suspected.
    pub(super) since: Instant,
}

/// A file that stood still, as it was read.
pub(super) struct Read {
    pub(super) path: PathBuf,
    pub(super) suspect: Suspect,
    pub(super) stamp: Stamp,
    /// What is in it, and whether that is as the store writes it; or what is wrong with it.
    pub(super) content: Result<(Content, bool), Fault>,
}

impl Worker<'_> {
    /// Looks at paths that a watcher named.
    pub(super) fn look(&mut self, paths: &[PathBuf]) {
        let found = walk::look(&self.shared.layout, &self.schema, &self.tree, paths);
        let told: HashSet<&PathBuf> = paths.iter().collect();
        for place in found.iter().flat_map(|found| &found.changed_or_new) {
            // Where nobody tells of files, folders stand for all that is in them.
            if !self.shared.is_network && !told.contains(&place.path) {
                self.is_found(&place.path);
            }
        }
        self.take_differences(found);
    }

    /// Looks at all files.
    pub(super) fn walk(&mut self) {
        let began = Instant::now();
        let found = walk::all(&self.shared.layout, &self.schema, &self.tree);
        if let Some(watcher) = &self.watcher {
            watcher.scanned(began.elapsed());
        }
        self.take_differences(found);
    }

    fn take_differences(&mut self, found: osis_core::error::Result<Differences>) {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "people's edits cannot be looked for");
                return;
            }
        };
        for (path, why) in &found.unreadable {
            tracing::warn!(path = %path.display(), why, "cannot be looked at");
        }
        for place in found.changed_or_new {
            let stamp = Some(place.stamp);
            if self.is_held(&place.path, stamp) {
                continue;
            }
            match place.kind {
                Kind::Object(id) => self.suspect(&(place.type_id, id), &place.path, stamp),
                Kind::Misplaced(id) => {
                    self.suspect_astray(&(place.type_id, id), &place.path, stamp);
                }
                Kind::Conflict => self.note_conflict(&place.path),
                Kind::Misnamed => self.note_misnamed(place.type_id, &place.path, place.stamp),
                Kind::Odd => {
                    self.note_odd(&place.path, place.stamp);
                    if let Some(key) = self.key_of(place.type_id, &place.path) {
                        self.keep(&key);
                    }
                }
                Kind::Day => self.suspect_day(place.type_id, &place.path, stamp),
            }
        }
        for key in found.gone {
            let path = self.path_of(key.0, &key.1);
            self.suspect(&key, &path, None);
        }
        for rel in found.gone_days {
            if let Some(type_id) = self.tree.days.get(&rel).map(|known| known.type_id) {
                let path = self.shared.root().join(&rel);
                self.suspect_day(type_id, &path, None);
            }
        }
    }

    /// The object whose file is to lie at a path.
    pub(super) fn key_of(&self, type_id: TypeId, path: &Path) -> Option<Key> {
        let id = Id::parse(path.file_stem()?.to_str()?)?;
        (self.path_of(type_id, &id) == path).then_some((type_id, id))
    }

    /// Has a file looked at once it stands still.
    pub(super) fn suspect(&mut self, key: &Key, path: &Path, stamp: Option<Stamp>) {
        let still = self.still(path, stamp);
        self.add_suspect(key, path, stamp, false, still);
    }

    /// How long a file must stay as it was seen before it is read, or counts as deleted.
    pub(super) fn still(&self, path: &Path, stamp: Option<Stamp>) -> Duration {
        match stamp {
            _ if self.is_unwritten(path) => STILL_OPEN,
            _ if self.shared.is_network => STILL_NETWORK,
            Some(_) => STILL,
            None => MISSING,
        }
    }

    /// As [`Self::suspect`], for one that lies where its object's file does not belong.
    pub(super) fn suspect_astray(&mut self, key: &Key, path: &Path, stamp: Option<Stamp>) {
        let still = self.still(path, stamp);
        self.add_suspect(key, path, stamp, true, still);
    }

    pub(super) fn add_suspect(
        &mut self,
        key: &Key,
        path: &Path,
        stamp: Option<Stamp>,
        is_astray: bool,
        still: Duration,
    ) {
        let now = Instant::now();
        self.suspects
            .entry(path.to_owned())
            .or_insert_with(|| Suspect {
                key: key.clone(),
                is_astray,
                stamp,
                due: now + still,
                since: now,
            });
    }

    /// Finds out what those suspects are that stood still long enough, and takes edits in.
    pub(super) fn inspect_due(&mut self) {
        let now = Instant::now();
        if self.has_retries || !self.held.is_empty() {
            self.retry_refused(now);
        }
        let mut due: Vec<(PathBuf, Suspect)> = self
            .suspects
            .iter()
            .filter(|(_, suspect)| suspect.due <= now)
            .map(|(path, suspect)| (path.clone(), suspect.clone()))
            .collect();
        if due.is_empty() {
            return;
        }
        // What is referred to comes before what refers; files that are gone come last, those that
        // refer first.
        let rank = &self.rank;
        due.sort_by_cached_key(|(path, suspect)| {
            let rank = rank[suspect.key.0];
            match suspect.stamp {
                Some(_) => (0, rank, path.clone()),
                None => (1, usize::MAX - rank, path.clone()),
            }
        });
        due.truncate(BATCH);
        let mut edits = Vec::new();
        let mut read = Vec::with_capacity(due.len());
        let mut gone = Vec::new();
        for (path, mut suspect) in due {
            let stamp = match self.shared.files.stamp(&path) {
                Ok(stamp) => stamp,
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "cannot be looked at");
                    suspect.due = now + RETRY;
                    self.suspects.insert(path, suspect);
                    continue;
                }
            };
            let is_patient =
                now.duration_since(suspect.since) < PATIENCE || self.is_unwritten(&path);
            if stamp != suspect.stamp && is_patient {
                suspect.stamp = stamp;
                suspect.due = now + self.still(&path, stamp);
                self.suspects.insert(path, suspect);
                continue;
            }
            self.suspects.remove(&path);
            match stamp {
                None => gone.push((path, suspect)),
                Some(stamp) if stamp.is_file => {
                    if let Some(seen) = self.read_suspect(path, suspect, stamp) {
                        read.push(seen);
                    }
                }
                Some(stamp) => {
                    self.note_odd(&path, stamp);
                    self.keep(&suspect.key);
                }
            }
        }
        if let Err(error) = self.catch_up() {
            tracing::debug!(%error, "edits wait: the log cannot be read");
            let again = read.into_iter().map(|read| (read.path, read.suspect));
            for (path, suspect) in again.chain(gone) {
                self.put_off(path, suspect, RETRY);
            }
            return;
        }
        for seen in read {
            edits.extend(self.judge_file(seen));
        }
        for (path, suspect) in gone {
            edits.extend(self.judge_gone(path, suspect));
        }
        self.submit_edits(edits);
    }

    /// Looks at a file again after some time.
    pub(super) fn look_later(
        &mut self,
        key: &Key,
        path: PathBuf,
        stamp: Option<Stamp>,
        wait: Duration,
    ) {
        let now = Instant::now();
        let suspect = Suspect {
            key: key.clone(),
            is_astray: false,
            stamp,
            due: now,
            since: now,
        };
        self.put_off(path, suspect, wait);
    }

    /// Looks at a suspect again after some time.
    pub(super) fn put_off(&mut self, path: PathBuf, mut suspect: Suspect, wait: Duration) {
        suspect.due = Instant::now() + wait;
        self.suspects.entry(path).or_insert(suspect);
    }

    fn read_suspect(&mut self, path: PathBuf, suspect: Suspect, stamp: Stamp) -> Option<Read> {
        let bytes = match self.read_whole(&path, stamp) {
            Ok(Some(bytes)) => bytes,
            other => {
                if let Err(error) = other {
                    if is_refused(&error) {
                        let of = Of::Object(suspect.key, suspect.is_astray);
                        self.note_unreadable(of, &path, stamp, &error);
                        return None;
                    }
                    tracing::debug!(path = %path.display(), %error, "cannot be read");
                }
                self.put_off(path, suspect, STILL);
                return None;
            }
        };
        let schema = Arc::clone(&self.schema);
        let (type_id, id) = &suspect.key;
        let ty = &schema.types[*type_id];
        let content = content(ty, id, &bytes).map(|content| {
            let is_canonical = is_canonical(ty, id, &content, &bytes);
            (content, is_canonical)
        });
        Some(Read {
            path,
            suspect,
            stamp,
            content,
        })
    }
}
