//! What a process keeps of its text indexes, as long as most of it stays as it is.
//!
//! Reading the occurrences of a common word takes tens of milliseconds, and common words are asked
//! for again and again. What is kept was read at some point in the index's history
//! ([`crate::text_index`]) and is good for every row that was not taken in since; the few that were
//! are looked at themselves. When they are too many, all is read anew.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osis_core::schema::{Schema, Type, TypeId};
use osis_core::text::{self, Vocabulary};
use rusqlite::{Connection, OptionalExtension};

use crate::connection::Limit;
use crate::error::{Failure, Outcome};
use crate::names;
use crate::postings::{self, Postings, seek};
use crate::sql::{Run, Sql};
use crate::text_index;

/// Words with fewer occurrences are read anew each time.
const KEPT_MIN: usize = if cfg!(test) { 1 } else { 256 };
/// So many occurrences of words are kept of a type, at about 12 bytes each.
const KEPT_MAX: usize = 6 << 20;
/// Lengths of so many fields are kept of a type.
const LENGTHS_MAX: u64 = 16 << 20;
/// Of more than one in so many rows, lengths are read all at once.
const ONE_IN: u64 = 8;
/// When so many rows were taken in since, what is kept is read anew.
const CHANGED_MAX: usize = 128;

/// The record of FTS5's index that counts rows and words.
///
/// Source: `ext/fts5/fts5_index.c`, "Contents of %_data".
const AVERAGES: i64 = 1;

/// What is kept of all types.
pub(crate) struct TextCache {
    types: Vec<Mutex<Option<Arc<Kept>>>>,
}

/// What is kept of one type's index; each part of it with the point in its history at which it was
/// read.
struct Kept {
    /// Nothing was read before this point.
    since: i64,
    lengths: Mutex<Option<(i64, Arc<RowLengths>)>>,
    words: Mutex<Option<(i64, Arc<Vocabulary>)>>,
    postings: Mutex<KeptPostings>,
}

#[derive(Default)]
struct KeptPostings {
    known: HashMap<(String, bool), (i64, Arc<Postings>)>,
    size: usize,
}

/// How long the fields of all rows are.
struct RowLengths {
    rows: Vec<i64>,
    /// Row by row, field by field.
    slots: Vec<u32>,
}

/// A type's index as a transaction sees it, with what is kept of it.
pub(crate) struct Seen {
    kept: Arc<Kept>,
    /// The point in the index's history.
    at: i64,
    /// The rows for which what is kept may not be good, rising.
    pub(crate) changed: Vec<i64>,
    /// How many rows are in the index.
    pub(crate) count: u64,
    /// The slots of its searchable fields, over all rows.
    pub(crate) totals: Vec<u64>,
}

impl TextCache {
    /// An empty one.
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            types: schema.types.iter().map(|_| Mutex::default()).collect(),
        }
    }

    /// The index of a type as a connection sees it, in a transaction.
    pub(crate) fn of(&self, connection: &Connection, ty: &Type, type_id: TypeId) -> Outcome<Seen> {
        let (count, totals) = read_size(connection, ty)?;
        let at = text_index::last_taken_in(connection, ty)?;
        let mut place = lock(&self.types[type_id]);
        let mut changed = None;
        if let Some(kept) = &*place {
            changed = text_index::taken_in_since(connection, ty, kept.since, CHANGED_MAX)?;
        }
        let kept = match (&*place, &changed) {
            (Some(kept), Some(_)) => Arc::clone(kept),
            (newer, _) => {
                let new = Arc::new(Kept::new(at));
                // A transaction that began long ago keeps for itself what it reads.
                if newer.as_ref().is_none_or(|newer| newer.since <= at) {
                    *place = Some(Arc::clone(&new));
                }
                new
            }
        };
        Ok(Seen {
            kept,
            at,
            changed: changed.unwrap_or_default(),
            count,
            totals,
        })
    }
}

impl Kept {
    fn new(since: i64) -> Self {
        Self {
            since,
            lengths: Mutex::default(),
            words: Mutex::default(),
            postings: Mutex::default(),
        }
    }
}

impl Seen {
    /// The occurrences of a word, or of all words that begin so; those in rows of [`Self::changed`]
    /// may be old ones.
    pub(crate) fn postings(
        &self,
        connection: &Connection,
        ty: &Type,
        (word, is_prefix): (&str, bool),
        limit: &Limit,
    ) -> Outcome<Arc<Postings>> {
        let key = (word.to_owned(), is_prefix);
        if let Some((at, postings)) = lock(&self.kept.postings).known.get(&key)
            && *at <= self.at
        {
            return Ok(Arc::clone(postings));
        }
        let postings = Arc::new(postings::read(connection, ty, word, is_prefix, limit)?);
        let size = postings.len();
        if (KEPT_MIN..KEPT_MAX).contains(&size) {
            let mut kept = lock(&self.kept.postings);
            if kept.size + size > KEPT_MAX {
                *kept = KeptPostings::default();
            }
            let before = kept.known.insert(key, (self.at, Arc::clone(&postings)));
            kept.size += size;
            kept.size -= before.map_or(0, |(_, before)| before.len());
        }
        Ok(postings)
    }

    /// How long the fields of some rows are, which rise and are none of [`Self::changed`]: row by
    /// row, field by field. A row that is not in the index has no words.
    pub(crate) fn lengths(
        &self,
        connection: &Connection,
        ty: &Type,
        rows: &[i64],
    ) -> Outcome<Vec<u32>> {
        let fields = self.totals.len();
        let known = lock(&self.kept.lengths).clone();
        let known = known.filter(|(at, _)| *at <= self.at);
        let few = (rows.len() as u64).saturating_mul(ONE_IN) < self.count;
        let too_many = self.count.saturating_mul(fields as u64) > LENGTHS_MAX;
        let all = match known {
            Some((_, known)) => known,
            None if few || too_many => return read_lengths(connection, ty, rows),
            None => {
                let all = Arc::new(RowLengths::read(connection, ty)?);
                *lock(&self.kept.lengths) = Some((self.at, Arc::clone(&all)));
                all
            }
        };
        let mut slots = vec![0; rows.len() * fields];
        all.copy(rows, &mut slots);
        Ok(slots)
    }

    /// All words but those that only rows of [`Self::changed`] have, and some that are there no
    /// more.
    pub(crate) fn words(&self, connection: &Connection, ty: &Type) -> Outcome<Arc<Vocabulary>> {
        let known = lock(&self.kept.words).clone();
        if let Some((_, words)) = known.filter(|(at, _)| *at <= self.at) {
            return Ok(words);
        }
        let mut words = Vocabulary::default();
        let table = postings::vocabulary(ty);
        let sql = Sql::new(format!("SELECT term FROM {table} ORDER BY term"));
        sql.each(connection, |row| {
            let word = row.get_ref(0)?.as_str();
            words.push(word.map_err(rusqlite::Error::from)?);
            Ok(())
        })?;
        let words = Arc::new(words);
        *lock(&self.kept.words) = Some((self.at, Arc::clone(&words)));
        Ok(words)
    }
}

/// How many rows an index has, and how many slots their searchable fields have altogether.
fn read_size(connection: &Connection, ty: &Type) -> Outcome<(u64, Vec<u64>)> {
    let table = names::quote(&format!("{}_data", names::text_table(ty)));
    let sql = format!("SELECT block FROM {table} WHERE id = ?");
    let averages: Option<Vec<u8>> = connection
        .prepare_cached(&sql)?
        .query_row([AVERAGES], |row| row.get(0))
        .optional()?;
    let averages = averages.unwrap_or_default();
    let (mut count, mut totals) = (0, vec![0; text::searchable(ty).len()]);
    if !averages.is_empty() {
        let mut numbers = Varints(&averages);
        count = numbers.next_one()?;
        for total in &mut totals {
            *total = numbers.next_one()?;
        }
    }
    Ok((count, totals))
}

/// How long the fields of some rows are in the index itself.
pub(crate) fn read_lengths(connection: &Connection, ty: &Type, rows: &[i64]) -> Outcome<Vec<u32>> {
    let fields = text::searchable(ty).len();
    let mut slots = vec![0; rows.len() * fields];
    let table = names::quote(&format!("{}_docsize", names::text_table(ty)));
    let mut statement =
        connection.prepare_cached(&format!("SELECT sz FROM {table} WHERE id = ?"))?;
    for (row, slots) in rows.iter().zip(slots.chunks_exact_mut(fields)) {
        let mut found = statement.query([row])?;
        if let Some(found) = found.next()? {
            decode(found.get_ref(0)?, slots)?;
        }
    }
    Ok(slots)
}

impl RowLengths {
    fn read(connection: &Connection, ty: &Type) -> Outcome<Self> {
        let fields = text::searchable(ty).len();
        let mut all = Self {
            rows: Vec::new(),
            slots: Vec::new(),
        };
        let table = names::quote(&format!("{}_docsize", names::text_table(ty)));
        let sql = Sql::new(format!("SELECT id, sz FROM {table} ORDER BY id"));
        sql.each(connection, |row| {
            all.rows.push(row.get(0)?);
            let from = all.slots.len();
            all.slots.resize(from + fields, 0);
            decode(row.get_ref(1)?, &mut all.slots[from..])
        })?;
        Ok(all)
    }

    fn copy(&self, rows: &[i64], slots: &mut [u32]) {
        let fields = self.slots.len().checked_div(self.rows.len()).unwrap_or(0);
        if fields == 0 {
            return;
        }
        let mut at = 0;
        for (row, slots) in rows.iter().zip(slots.chunks_exact_mut(fields)) {
            at = seek(&self.rows, at, *row);
            if self.rows.get(at) == Some(row) {
                slots.copy_from_slice(&self.slots[at * fields..(at + 1) * fields]);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn decode(stored: rusqlite::types::ValueRef<'_>, slots: &mut [u32]) -> Outcome<()> {
    let mut numbers = Varints(stored.as_blob().map_err(rusqlite::Error::from)?);
    for slots in slots {
        *slots = u32::try_from(numbers.next_one()?).map_err(|_| damaged())?;
    }
    Ok(())
}

/// Numbers as SQLite writes them: seven bits a byte, high ones first, all eight of a ninth.
///
/// Source: <https://www.sqlite.org/fileformat2.html>, "A variable-length integer".
struct Varints<'a>(&'a [u8]);

impl Varints<'_> {
    fn next_one(&mut self) -> Outcome<u64> {
        let mut number = 0_u64;
        for n in 0..9 {
            let (byte, rest) = self.0.split_first().ok_or_else(damaged)?;
            self.0 = rest;
            if n == 8 {
                return Ok(number << 8 | u64::from(*byte));
            }
            number = number << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(number)
    }
}

fn damaged() -> Failure {
    Failure::Damaged("the text index counts its words in another way".to_owned())
}

impl fmt::Debug for TextCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        let mut numbers = Varints(&[0x00, 0x7f, 0x81, 0x00, 0x83, 0xf1, 0x32]);
        let read: Vec<u64> = (0..4).map(|_| numbers.next_one().unwrap()).collect();
        assert_eq!(read, [0, 127, 128, 63_666]);
        assert!(numbers.next_one().is_err());
        assert_eq!(Varints(&[0xff; 9]).next_one().unwrap(), u64::MAX);
    }
}
