//! The words of a type: for typo correction.
//!
//! A process keeps the words of a type as they once were, and asks the server for what has come since
//! and whether what it found is still there. Words are numbered as they come, and writers take turns,
//! so what came since has higher numbers; and nothing is there that neither was kept nor came since.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osis_core::schema::{FieldKind, Schema, Type, TypeId};
use osis_core::text::{self, Similar, Vocabulary};
use osis_core::value::Value;

use crate::catalog::Catalog;
use crate::error::Outcome;
use crate::names::{META, TERMS};
use crate::sql::{Link, Sql};

/// When so many words have come since, all are read anew.
const SINCE_MAX: usize = 2000;

/// The words of each type, as far as they were read.
pub(crate) struct Known(Vec<Mutex<Option<Arc<Words>>>>);

/// The words of a type at some commit.
struct Words {
    seq: i64,
    /// The number of the last that came.
    last: i64,
    words: Vocabulary,
}

/// What a statement says of some words.
struct Told {
    /// The commit that it saw.
    seq: i64,
    /// Words with their numbers.
    words: Vec<(String, i64)>,
}

impl Known {
    /// Nothing yet.
    pub(crate) fn new(schema: &Schema) -> Self {
        Self(schema.types.iter().map(|_| Mutex::default()).collect())
    }

    fn of(&self, type_id: TypeId) -> MutexGuard<'_, Option<Arc<Words>>> {
        self.0[type_id]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

/// For each word nothing if it is in the text of a type, else the words there that are like it.
pub(crate) async fn similar(
    link: Link<'_>,
    catalog: &Catalog,
    type_id: TypeId,
    words: &[String],
) -> Outcome<Vec<Option<Vec<String>>>> {
    let (ty, statements) = catalog.of(type_id);
    if statements.text.is_none() {
        return Ok(vec![Some(Vec::new()); words.len()]);
    }
    let kept = catalog.words.of(type_id).clone();
    let kept = match kept {
        Some(kept) => kept,
        None => {
            let all = Arc::new(read_all(link, ty).await?);
            *catalog.words.of(type_id) = Some(Arc::clone(&all));
            all
        }
    };
    let wanted = words.iter().filter_map(|word| Similar::to(word));
    let mut asked: Vec<String> = wanted
        .flat_map(|similar| kept.words.like(&similar))
        .map(str::to_owned)
        .collect();
    asked.extend(words.iter().cloned());
    asked.sort_unstable();
    asked.dedup();
    let told = ask(link, ty, asked, kept.last).await?;
    if told.seq < kept.seq {
        // A transaction that began before the words were read may see some that are gone since.
        let all = read_all(link, ty).await?;
        return Ok(text::similar(words, all.words.iter()));
    }
    let since = told.words.iter().filter(|(_, at)| *at > kept.last);
    if since.count() > SINCE_MAX {
        *catalog.words.of(type_id) = None;
    }
    Ok(text::similar(
        words,
        told.words.iter().map(|(word, _)| &**word),
    ))
}

/// All words.
async fn read_all(link: Link<'_>, ty: &Type) -> Outcome<Words> {
    let mut sql = Sql::new("SELECT word, at FROM (");
    begin(&mut sql, ty);
    let told = told(link, &mut sql).await?;
    let last = told.words.iter().map(|(_, at)| *at).max();
    let mut words: Vec<&str> = told.words.iter().map(|(word, _)| &**word).collect();
    words.sort_unstable();
    let mut vocabulary = Vocabulary::default();
    words.into_iter().for_each(|word| vocabulary.push(word));
    Ok(Words {
        seq: told.seq,
        last: last.unwrap_or(0),
        words: vocabulary,
    })
}

/// Those of some words that are there, and all that came behind a number.
async fn ask(link: Link<'_>, ty: &Type, words: Vec<String>, since: i64) -> Outcome<Told> {
    let words = words.into_iter().map(|word| Value::Str(word.into()));
    let mut sql = Sql::new("SELECT word, at FROM (");
    begin(&mut sql, ty);
    sql.push(" AND word = ANY(")
        .many(words.collect(), &FieldKind::String)
        .push(&format!(
            ") UNION ALL SELECT word, at FROM {TERMS} WHERE n > 0 AND type = "
        ))
        .text(&*ty.name)
        .push(" AND at > ")
        .int(since);
    told(link, &mut sql).await
}

fn begin(sql: &mut Sql, ty: &Type) {
    sql.push(&format!(
        "SELECT word, at FROM {TERMS} WHERE n > 0 AND type = "
    ))
    .text(&*ty.name);
}

/// Runs a statement that has words, with the commit that it sees beside.
async fn told(link: Link<'_>, sql: &mut Sql) -> Outcome<Told> {
    // No word is empty.
    sql.push(&format!(") w UNION ALL SELECT '', seq FROM {META}"));
    let read = |row: &tokio_postgres::Row| -> Outcome<(String, i64)> {
        Ok((row.try_get(0)?, row.try_get(1)?))
    };
    let mut words = link.all(sql, read).await?;
    let commit = words.iter().position(|(word, _)| word.is_empty());
    let seq = commit.map_or(0, |at| words.swap_remove(at).1);
    Ok(Told { seq, words })
}
