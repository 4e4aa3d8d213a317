//! The log: numbered entries that any process of any host can claim, one after another.
//!
//! An entry holds the commits `first..=last` and is named by `first`; the next is named `last + 1`,
//! so that all who contend try for one name, and [`Log::claim`] gives it to one of them. Nothing
//! else synchronises processes.
//!
//! Entries lie in segments of a thousand seqs. Once the objects of all of them are in their files, a
//! segment becomes a pack: one file of the change records alone ([`Log::compact`]). Packs past
//! their time are removed ([`Log::prune`]). Two rules make this safe for whoever reads or claims at
//! the same time, however slow, and whatever crashes when:
//!
//! - **A pack has the word over its segment.** It is durable before the segment goes. An entry
//!   beside its pack is a leftover, or was claimed by one who slept through the packing.
//! - **`oldest` has the word over packs.** It is durable before a pack goes. What it says is gone
//!   is gone, whatever still lies there.
//!
//! So whoever finds or makes an entry looks for its pack next, and for `oldest` last.

mod claim;
mod compact;
pub(crate) mod copy_out;
mod copying;
mod damage;
mod draft;
mod entry;
mod feed;
mod oldest;
mod pack;
mod prune;
mod schemas;
#[cfg(test)]
mod tests;
mod tip;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osis_core::error::{Error, ErrorKind, Result};
use osis_core::object::Id;
use osis_core::schema::Schema;
use osis_core::time::Time;

use crate::error::{corrupt, io_error};
use crate::files::Files;
use crate::home::Home;
use crate::layout::{Layout, Numbered, SEGMENT};

pub(crate) use claim::Claim;
pub(crate) use damage::Damage;
pub(crate) use entry::{Change, Content, Entry};
pub(crate) use tip::Tip;

/// How much of an entry is read where only its head is asked for: a shorter one is read whole, and
/// verified.
const HEAD_MAX: usize = 64 << 10;

/// The log of one store, as one process uses it. All calls block.
#[derive(Debug)]
pub(crate) struct Log {
    files: Arc<dyn Files>,
    layout: Layout,
    /// The store that this is the log of.
    home: Home,
    writer: String,
    drafts: AtomicU64,
    /// The segment, plus one, whose folder this process knows to be there durably; 0 for none.
    entered: AtomicU64,
    /// Whether a claim of this process ended without its outcome being known.
    is_unclear: AtomicBool,
    /// Whether a sync of `log` failed, so that nothing may be removed for what depended on it.
    is_distrusted: AtomicBool,
    oldest: oldest::Cache,
    feed_begins: oldest::Cache,
    filed: oldest::Cache,
    schemas: schemas::Schemas,
    feed: feed::Cache,
    summaries: Mutex<BTreeMap<u64, pack::Summary>>,
    /// Entries that need not be looked at again to see whether they can be slimmed.
    slim: Mutex<BTreeSet<u64>>,
}

/// What a person can do about an entry that is missing or damaged.
const REMEDY: &str = "put it back from a backup, or go on without it with osis check --repair";

/// What lies in `log`.
#[derive(Debug, Default)]
struct Listing {
    segments: BTreeSet<u64>,
    packs: BTreeSet<u64>,
}

impl Log {
    /// Opens the log of a store, which may be empty, and clears away what dead processes left.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open(files: Arc<dyn Files>, layout: Layout) -> Result<Self> {
        let log = Self {
            home: Home::open(Arc::clone(&files), &layout)?,
            files,
            layout,
            // No other process of any host has this name, nor will one ever have it.
            writer: Id::generate(Time::now()).to_string(),
            drafts: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            is_unclear: AtomicBool::new(false),
            is_distrusted: AtomicBool::new(false),
            oldest: oldest::Cache::default(),
            feed_begins: oldest::Cache::default(),
            filed: oldest::Cache::default(),
            schemas: schemas::Schemas::default(),
            feed: feed::Cache::default(),
            summaries: Mutex::default(),
            slim: Mutex::default(),
        };
        let drafts = log.layout.log_drafts();
        log.files
            .create_directory(&drafts)
            .map_err(|error| io_error(&drafts, &error))?;
        log.oldest_now()?;
        log.sweep();
        Ok(log)
    }

    /// Refuses where the store is no longer where it was opened: before anything is written there.
    ///
    /// # Errors
    /// `Unavailable`; those of the file system.
    pub(crate) fn check_home(&self) -> Result<()> {
        self.home.check()
    }

    /// The name of this process in the entries that it writes.
    pub(crate) fn writer(&self) -> &str {
        &self.writer
    }

    /// Whether there is something under a number: an entry, or its pack, or the knowledge that both
    /// are gone. `false`: nobody has claimed it yet. Three looks at names, no reading.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn is_taken(&self, first: u64) -> io::Result<bool> {
        Ok(self.files.stamp(&self.layout.entry(first))?.is_some()
            || self.files.stamp(&self.layout.pack(first))?.is_some()
            || self.oldest_seq()? >= first)
    }

    /// Whether the entry of a number, which is there, was written by this process.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn is_own(&self, first: u64) -> io::Result<bool> {
        match self.files.read_start(&self.layout.entry(first), HEAD_MAX) {
            Ok(start) => Ok(Entry::decode_head(&start).is_ok_and(|e| e.writer == self.writer)),
            // Packed meanwhile: then it is old.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has a network volume look anew whether a number is taken. Some remember for minutes that a
    /// name was not there (GlusterFS with `performance.nl-cache`), even when it cannot be claimed;
    /// listing the folder heals that.
    pub(crate) fn look_anew(&self, first: u64) {
        for folder in [self.layout.segment(first), self.layout.log()] {
            // If it cannot be listed, the next look says so.
            let _ = self.files.list(&folder);
        }
    }

    /// The entry that begins with a seq; nothing if it is not claimed yet.
    ///
    /// Where its segment was packed, the rest of the pack from there on as one entry, whose changes
    /// are all [`Content::Folded`] or [`Content::Gone`]; if a schema came into force in the pack,
    /// that is the entry's `new_schema`, beside changes, whose types are then those of `schema`.
    /// An entry under another schema than `hash` comes without its changes.
    ///
    /// # Errors
    /// `Gone` where it is no longer kept, or no longer whole: who gets that must build its state
    /// from the objects' files. `Corrupt` where it is damaged: it must not be passed over. Those of
    /// the file system.
    pub(crate) fn next(
        &self,
        first: u64,
        schema: &Arc<Schema>,
        hash: &str,
    ) -> Result<Option<Entry>> {
        let path = self.layout.entry(first);
        let entry = self.read_optional(&path)?;
        // In this order: see the rules above.
        if let Some(pack) = self.pack_at(first)? {
            return pack.rest(first, schema).map(Some).ok_or_else(|| {
                if pack.thin {
                    self.gone()
                } else {
                    self.missing(first)
                }
            });
        }
        if self.oldest_now()? >= first {
            return Err(self.gone());
        }
        entry
            .map(|bytes| decode(&path, first, schema, hash, &bytes))
            .transpose()
    }

    /// The last seq in the log; 0 if nothing is in it. `schema` and `hash` as for [`Self::next`].
    ///
    /// Lists the newest segment and reads its last entry: for the opening of a store. That all
    /// entries up to there are there shows when they are read one after another.
    ///
    /// # Errors
    /// `Corrupt`; those of the file system.
    pub(crate) fn head(&self, schema: &Arc<Schema>, hash: &str) -> Result<u64> {
        let listing = self.list()?;
        let newest_pack = listing.packs.last().copied();
        for &segment in listing.segments.iter().rev() {
            if newest_pack.is_some_and(|pack| pack >= segment) {
                break;
            }
            let Some(&first) = self.entries(segment)?.last() else {
                continue;
            };
            if first <= self.oldest_now()? {
                break;
            }
            return match self.read_head(first, schema, hash) {
                Ok(Some(entry)) => Ok(entry.last),
                // Packed since it was listed: then it is not the newest any more either.
                Ok(None) => self.head(schema, hash),
                // Whoever must read it is told.
                Err(error) if is_damage(&error) => Ok(first),
                Err(error) => Err(error),
            };
        }
        let Some(number) = newest_pack else {
            return self.oldest_now();
        };
        Ok(self.summary(number)?.map_or(0, |summary| summary.last))
    }

    /// Whether the log can be read on from a seq that somebody has reached: it is not gone there, nor
    /// beyond the end, as after the store was put back from a copy.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub(crate) fn reaches(&self, seq: u64, schema: &Arc<Schema>, hash: &str) -> Result<bool> {
        if seq == self.head(schema, hash)? {
            return Ok(true);
        }
        match self.next(seq + 1, schema, hash) {
            Ok(entry) => Ok(entry.is_some()),
            Err(error) if matches!(error.kind(), ErrorKind::Gone { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The lowest seq behind which the feed is whole: what a reader must have seen. As of the last
    /// look of this process: costs nothing, and [`Self::records`] has the word.
    pub(crate) fn oldest(&self) -> u64 {
        self.oldest.last()
    }

    /// As [`Self::oldest`], as of now.
    fn oldest_now(&self) -> Result<u64> {
        let path = self.layout.log_oldest();
        self.oldest_seq().map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => corrupt(&path, None, &error.to_string()),
            _ => io_error(&path, &error),
        })
    }

    /// What an entry says of itself before its changes, which may be a hundred megabytes; nothing
    /// where there is none. Of a long entry the checksum is not looked at.
    fn read_head(&self, first: u64, schema: &Schema, hash: &str) -> Result<Option<Entry>> {
        let path = self.layout.entry(first);
        let bytes = match self.files.read_start(&path, HEAD_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&path, &error)),
        };
        if bytes.len() < HEAD_MAX {
            return decode(&path, first, schema, hash, &bytes).map(Some);
        }
        match Entry::decode_head(&bytes) {
            Ok(entry) if entry.first == first => Ok(Some(entry)),
            // The schema that it puts in force is longer than that, or it is damaged.
            _ => match self.read_optional(&path)? {
                Some(bytes) => decode(&path, first, schema, hash, &bytes).map(Some),
                None => Ok(None),
            },
        }
    }

    fn read_optional(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        match self.files.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(path, &error)),
        }
    }

    fn list(&self) -> Result<Listing> {
        let directory = self.layout.log();
        let names = self
            .files
            .list(&directory)
            .map_err(|error| io_error(&directory, &error))?;
        let mut listing = Listing::default();
        for name in names {
            match Layout::numbered(&name) {
                Some(Numbered::Segment(number)) => listing.segments.insert(number),
                Some(Numbered::Pack(number)) => listing.packs.insert(number),
                None => false,
            };
        }
        Ok(listing)
    }

    /// The first seqs of a segment's entries; none if it is not there.
    fn entries(&self, segment: u64) -> Result<BTreeSet<u64>> {
        let directory = self.layout.segment(segment * SEGMENT);
        let names = self
            .files
            .list(&directory)
            .map_err(|error| io_error(&directory, &error))?;
        Ok(names
            .iter()
            .filter_map(|name| Layout::entry_seq(name))
            .filter(|seq| seq / SEGMENT == segment)
            .collect())
    }

    fn gone(&self) -> Error {
        match self.oldest_now() {
            Ok(oldest) => Error::new(
                ErrorKind::Gone { oldest },
                "the log is no longer kept that far back",
            ),
            Err(error) => error,
        }
    }

    /// The failure of a log in which an entry is missing before others.
    fn missing(&self, first: u64) -> Error {
        let what = format!("this entry is missing, although later ones are there; {REMEDY}");
        corrupt(&self.layout.entry(first), None, &what)
    }
}

/// Whether an error tells of something that is not as it was written.
fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt { .. })
}

/// Reads an entry and holds it against its name.
fn decode(path: &Path, first: u64, schema: &Schema, hash: &str, bytes: &[u8]) -> Result<Entry> {
    let entry = Entry::decode(schema, hash, bytes).map_err(|what| {
        let line = line_of(&what);
        corrupt(path, line, &format!("{what}; {REMEDY}"))
    })?;
    let in_order = entry.changes.is_sorted_by_key(|change| change.seq)
        && entry
            .changes
            .first()
            .is_none_or(|change| change.seq >= entry.first)
        && entry
            .changes
            .last()
            .is_none_or(|change| change.seq <= entry.last);
    if entry.first != first || entry.last < first || !in_order {
        let what = format!(
            "its commits are said to be {} to {}, which is not what it has by its name or changes",
            entry.first, entry.last
        );
        return Err(corrupt(path, None, &what));
    }
    Ok(entry)
}

/// The first line that a message names: `line 12: …`.
fn line_of(message: &str) -> Option<usize> {
    message.match_indices("line ").find_map(|(at, found)| {
        let rest = &message[at + found.len()..];
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
