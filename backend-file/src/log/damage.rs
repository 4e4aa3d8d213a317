//! Damage of the log: entries that somebody removed or that have changed on the disk, and how a store
//! goes on without them.
//!
//! An entry is kept for what is not in files yet, and for the change feed. One that is missing before
//! others stops whoever must read it; so an empty entry takes its place, and the feed begins behind
//! all that is there.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use osis_core::error::{Error, ErrorKind, Result};
use osis_core::schema::Schema;

use super::{Entry, Log, is_damage};
use crate::error::io_error;
use crate::layout::SEGMENT;

/// How long is waited before each look whether an entry is missing.
const PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
];

/// What is wrong with a part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The file.
    pub(crate) path: PathBuf,
    /// The line, from 1.
    pub(crate) line: Option<usize>,
    /// What is wrong.
    pub(crate) message: String,
    /// The commits that an empty entry can stand for, if that mends it.
    seqs: Option<RangeInclusive<u64>>,
}

impl Log {
    /// Reads all of the log, and says what of it is damaged or missing.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn damage(&self, schema: &Arc<Schema>, hash: &str) -> Result<Vec<Damage>> {
        let mut found = Vec::new();
        let listing = self.list()?;
        let mut next = self.oldest_now()? + 1;
        for &number in &listing.packs {
            match self.read_pack(number) {
                Ok(Some(pack)) => next = next.max(pack.last + 1),
                // Dropped since it was listed.
                Ok(None) => {}
                Err(error) => found.push(Damage::of(error, None)?),
            }
        }
        let mut entries = Vec::new();
        for &segment in listing.segments.difference(&listing.packs) {
            entries.extend(self.entries(segment)?);
        }
        entries.retain(|first| *first >= next);
        for (place, &first) in entries.iter().enumerate() {
            // What was packed since it was listed is not missing.
            let path = self.layout.entry(next);
            let is_taken = || self.is_taken(next).map_err(|error| io_error(&path, &error));
            if first > next && !is_taken()? {
                let seqs = next..=first - 1;
                found.push(Damage::of(self.missing(next), Some(seqs))?);
            }
            let following = entries.get(place + 1).copied();
            next = match self.read_wholly(first, schema, hash) {
                Ok(Some((entry, _))) => entry.last + 1,
                // Packed since it was listed.
                Ok(None) => following.unwrap_or(first + 1),
                Err(error) => {
                    // How far the last one goes, nobody knows.
                    let last = following.map_or(first, |following| following - 1);
                    found.push(Damage::of(error, Some(first..=last))?);
                    following.unwrap_or(first + 1)
                }
            };
        }
        Ok(found)
    }

    /// As [`Self::next`], but passes over what is missing or damaged; the entry comes with what was
    /// passed over. A damaged end of the log is answered as an entry without changes.
    ///
    /// # Errors
    /// As [`Self::next`], apart from `Corrupt` where an entry is missing or damaged.
    pub(crate) fn next_whole(
        &self,
        mut seq: u64,
        schema: &Arc<Schema>,
        hash: &str,
    ) -> Result<Option<(Entry, Vec<Damage>)>> {
        let mut passed = Vec::new();
        loop {
            let damage = match self.next_surely(seq, schema, hash) {
                Ok(Some(entry)) => return Ok(Some((entry, passed))),
                Ok(None) => None,
                Err(error) if is_damage(&error) => Some(error),
                Err(error) => return Err(error),
            };
            let following = self.first_from(seq + 1)?;
            let error = match damage {
                Some(error) => error,
                None if following.is_some() => self.missing(seq),
                None => return Ok(None),
            };
            let last = following.map_or(seq, |following| following - 1);
            passed.push(Damage::of(error, Some(seq..=last))?);
            if following.is_none() {
                return Ok(Some((self.empty(seq..=last, hash), passed)));
            }
            seq = last + 1;
        }
    }

    /// As [`Self::next`], which is asked again some times where it tells of damage.
    fn next_surely(&self, seq: u64, schema: &Arc<Schema>, hash: &str) -> Result<Option<Entry>> {
        let mut found = self.next(seq, schema, hash);
        // A network volume may show a later name first, or a part of a file.
        for pause in PAUSES {
            let is_damaged = match &found {
                Ok(None) => self.first_from(seq + 1)?.is_some(),
                Ok(Some(_)) => false,
                Err(error) => is_damage(error),
            };
            if !is_damaged {
                break;
            }
            std::thread::sleep(pause);
            self.look_anew(seq);
            found = self.next(seq, schema, hash);
        }
        found
    }

    /// An entry that holds nothing.
    fn empty(&self, seqs: RangeInclusive<u64>, hash: &str) -> Entry {
        Entry {
            first: *seqs.start(),
            last: *seqs.end(),
            writer: self.writer.clone(),
            schema: hash.to_owned(),
            new_schema: None,
            changes: Vec::new(),
        }
    }

    /// The first entry in the segments from a seq on.
    fn first_from(&self, seq: u64) -> Result<Option<u64>> {
        let listing = self.list()?;
        for &segment in listing.segments.range(seq / SEGMENT..) {
            if let Some(first) = self.entries(segment)?.range(seq..).next() {
                return Ok(Some(*first));
            }
        }
        Ok(None)
    }

    /// Puts an empty entry in the place of each that is missing or damaged, which is set aside, and
    /// begins the feed at `head`, the last commit. Answers what was mended, and how.
    ///
    /// What only such an entry held is lost already; nothing that is there is.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn mend(&self, head: u64, schema: &Arc<Schema>, hash: &str) -> Result<Vec<Damage>> {
        let mut mended = Vec::new();
        for mut damage in self.damage(schema, hash)? {
            let Some(seqs) = damage.seqs.clone() else {
                continue;
            };
            // First, lest somebody reads past what is missing.
            self.begin_feed(head)?;
            let path = self.layout.entry(*seqs.start());
            let mut how = "an empty entry has its place";
            if self.set_damaged_aside(*seqs.start())? {
                how = "an empty entry has its place, and it is in log/damaged";
            }
            let entry = self.empty(seqs.clone(), hash);
            let failed = |error: std::io::Error| io_error(&path, &error);
            let draft = self
                .draft(entry.encode(schema).as_bytes())
                .map_err(failed)?;
            let linked = self.files.link(&draft, &path);
            let _ = self.discard_draft(&draft);
            match linked {
                // Mended by another, or it was only slow to be seen.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                linked => linked.map_err(failed)?,
            }
            self.sync_parent(&path).map_err(failed)?;
            damage.message = format!(
                "was missing or damaged: {how}; readers of the change feed begin anew at {head}"
            );
            mended.push(damage);
        }
        Ok(mended)
    }

    /// Moves an entry out of the log; whether it was there.
    fn set_damaged_aside(&self, first: u64) -> Result<bool> {
        let (from, to) = (self.layout.entry(first), self.layout.damaged(first));
        let failed = |error: std::io::Error| io_error(&from, &error);
        if self.files.stamp(&from).map_err(failed)?.is_none() {
            return Ok(false);
        }
        if let Some(folder) = to.parent() {
            self.files.create_directory(folder).map_err(failed)?;
        }
        self.files.rename(&from, &to).map_err(failed)?;
        self.sync_parent(&to).map_err(failed)?;
        Ok(true)
    }
}

impl Damage {
    /// What an error says of a file; other errors stay errors.
    fn of(error: Error, seqs: Option<RangeInclusive<u64>>) -> Result<Self> {
        match error.kind() {
            ErrorKind::Corrupt { path, line } => {
                let message = error.message();
                let after_path = message.strip_prefix(path.as_str());
                let what = after_path.and_then(|rest| rest.split_once(": "));
                Ok(Self {
                    path: path.into(),
                    line: *line,
                    message: what.map_or(message, |(_, what)| what).to_owned(),
                    seqs,
                })
            }
            _ => Err(error),
        }
    }
}
