//! What a process keeps of its text indexes, as long as they stay as they are.
//!
//! Reading the occurrences of a common word takes tens of milliseconds, and common words are asked
//! for again and again. Whatever is kept goes with a stamp of the index's content: another content
//! has another stamp, whoever wrote it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use osis_core::schema::{Schema, Type, TypeId};
use osis_core::text;
use rusqlite::{Connection, OptionalExtension};

use crate::connection::Limit;
use crate::error::{Failure, Outcome};
use crate::names;
use crate::postings::{self, Postings, seek};
use crate::sql::{Run, Sql};

/// Words with fewer occurrences are read anew each time.
const KEPT_MIN: usize = 256;
/// So many occurrences of words are kept of a type, at about 12 bytes each.
const KEPT_MAX: usize = 6 << 20;
/// Lengths of so many fields are kept of a type.
const LENGTHS_MAX: u64 = 16 << 20;
/// Of more than one in so many rows, lengths are read all at once.
const ONE_IN: u64 = 8;

/// The record of FTS5's index that counts rows and words, and that which tells its parts.
///
/// Source: `ext/fts5/fts5_index.c`, "Contents of %_data": the averages, and the structure record,
/// which numbers every part that is written.
const AVERAGES: i64 = 1;
const STRUCTURE: i64 = 10;

/// What is kept of all types.
pub(crate) struct TextCache {
    types: Vec<Mutex<Option<Arc<Kept>>>>,
}

/// What is kept of one type's index.
pub(crate) struct Kept {
    stamp: Vec<u8>,
    /// How many rows are in it.
    pub(crate) count: u64,
    /// The slots of its searchable fields, over all rows.
    pub(crate) totals: Vec<u64>,
    lengths: OnceLock<RowLengths>,
    words: OnceLock<Words>,
    postings: Mutex<KeptPostings>,
}

#[derive(Default)]
struct KeptPostings {
    known: HashMap<(String, bool), Arc<Postings>>,
    size: usize,
}

/// How long the fields of all rows are.
struct RowLengths {
    rows: Vec<i64>,
    /// Row by row, field by field.
    slots: Vec<u32>,
}

/// All words of an index, one behind the other.
#[derive(Default)]
pub(crate) struct Words {
    text: String,
    ends: Vec<usize>,
}

impl Words {
    /// The words, rising.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let mut from = 0;
        self.ends.iter().map(move |end| {
            let word = &self.text[from..*end];
            from = *end;
            word
        })
    }
}

impl TextCache {
    /// An empty one.
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            types: schema.types.iter().map(|_| Mutex::default()).collect(),
        }
    }

    /// What is kept of the index of a type as a connection sees it.
    pub(crate) fn of(
        &self,
        connection: &Connection,
        ty: &Type,
        type_id: TypeId,
    ) -> Outcome<Arc<Kept>> {
        let table = names::quote(&format!("{}_data", names::text_table(ty)));
        let sql = format!("SELECT block FROM {table} WHERE id = ?");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut block = |id: i64| -> Outcome<Vec<u8>> {
            let found = statement.query_row([id], |row| row.get(0)).optional()?;
            Ok(found.unwrap_or_default())
        };
        let averages = block(AVERAGES)?;
        let mut stamp = block(STRUCTURE)?;
        stamp.extend(&averages);
        let mut kept = lock(&self.types[type_id]);
        match &*kept {
            Some(kept) if kept.stamp == stamp => Ok(Arc::clone(kept)),
            _ => {
                let new = Arc::new(Kept::new(ty, stamp, &averages)?);
                *kept = Some(Arc::clone(&new));
                Ok(new)
            }
        }
    }
}

impl Kept {
    fn new(ty: &Type, stamp: Vec<u8>, averages: &[u8]) -> Outcome<Self> {
        let fields = text::searchable(ty).len();
        let (mut count, mut totals) = (0, vec![0; fields]);
        if !averages.is_empty() {
            let mut numbers = Varints(averages);
            count = numbers.next_one()?;
            for total in &mut totals {
                *total = numbers.next_one()?;
            }
        }
        Ok(Self {
            stamp,
            count,
            totals,
            lengths: OnceLock::new(),
            words: OnceLock::new(),
            postings: Mutex::default(),
        })
    }

    /// The occurrences of a word, or of all words that begin so.
    pub(crate) fn postings(
        &self,
        connection: &Connection,
        ty: &Type,
        (word, is_prefix): (&str, bool),
        limit: &Limit,
    ) -> Outcome<Arc<Postings>> {
        let key = (word.to_owned(), is_prefix);
        if let Some(postings) = lock(&self.postings).known.get(&key) {
            return Ok(Arc::clone(postings));
        }
        let postings = Arc::new(postings::read(connection, ty, word, is_prefix, limit)?);
        let size = postings.len();
        if (KEPT_MIN..KEPT_MAX).contains(&size) {
            let mut kept = lock(&self.postings);
            if kept.size + size > KEPT_MAX {
                *kept = KeptPostings::default();
            }
            if kept.known.insert(key, Arc::clone(&postings)).is_none() {
                kept.size += size;
            }
        }
        Ok(postings)
    }

    /// How long the fields of some rows are, which rise: row by row, field by field. A row that is
    /// not in the index has no words.
    pub(crate) fn lengths(
        &self,
        connection: &Connection,
        ty: &Type,
        rows: &[i64],
    ) -> Outcome<Vec<u32>> {
        let fields = self.totals.len();
        let mut slots = vec![0; rows.len() * fields];
        let few = (rows.len() as u64).saturating_mul(ONE_IN) < self.count;
        let too_many = self.count.saturating_mul(fields as u64) > LENGTHS_MAX;
        let table = names::quote(&format!("{}_docsize", names::text_table(ty)));
        if let Some(known) = self.lengths.get() {
            known.copy(rows, &mut slots);
        } else if few || too_many {
            let sql = format!("SELECT sz FROM {table} WHERE id = ?");
            let mut statement = connection.prepare_cached(&sql)?;
            for (row, slots) in rows.iter().zip(slots.chunks_exact_mut(fields)) {
                let mut found = statement.query([row])?;
                if let Some(found) = found.next()? {
                    decode(found.get_ref(0)?, slots)?;
                }
            }
        } else {
            let mut all = RowLengths {
                rows: Vec::new(),
                slots: Vec::new(),
            };
            let sql = Sql::new(format!("SELECT id, sz FROM {table} ORDER BY id"));
            sql.each(connection, |row| {
                all.rows.push(row.get(0)?);
                let from = all.slots.len();
                all.slots.resize(from + fields, 0);
                decode(row.get_ref(1)?, &mut all.slots[from..])
            })?;
            self.lengths.get_or_init(|| all).copy(rows, &mut slots);
        }
        Ok(slots)
    }

    /// All words.
    pub(crate) fn words(&self, connection: &Connection, ty: &Type) -> Outcome<&Words> {
        if let Some(words) = self.words.get() {
            return Ok(words);
        }
        let mut words = Words::default();
        let sql = Sql::new(format!("SELECT term FROM {}", postings::vocabulary(ty)));
        sql.each(connection, |row| {
            let word = row.get_ref(0)?.as_str();
            words.text.push_str(word.map_err(rusqlite::Error::from)?);
            words.ends.push(words.text.len());
            Ok(())
        })?;
        Ok(self.words.get_or_init(|| words))
    }
}

impl RowLengths {
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
