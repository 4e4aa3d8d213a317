//! What is wrong with a database below the objects: tables and indexes that are missing, pages that
//! cannot be read, words and counts that are not those of the rows, a feed that does not fit them.
//!
//! Nothing is trusted that is derived: rows are read where they lie, and what there should be is
//! made of them anew.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::TryStreamExt as _;
use osis_core::backend::Problem;
use osis_core::error::ErrorKind;
use osis_core::schema::Type;
use osis_core::text::{self, Document};
use osis_sql::{select_list, unsigned};

use crate::catalog::Catalog;
use crate::changes::no_meta;
use crate::ddl;
use crate::error::{Failure, Outcome};
use crate::fts::{self, Words};
use crate::names::{self, CHANGES, LENGTHS, META, SLOTS, TERMS, WORDS};
use crate::rows;
use crate::sql::{self, Link, Sql};
use crate::words::Counts;

/// How many faults of one kind are told of a type at most.
const FAULTS_MAX: usize = 100;

/// Looks at the whole database, in a transaction that shows one state of it.
///
/// # Errors
/// Those of PostgreSQL that are no damage.
pub(crate) async fn run(link: Link<'_>, catalog: &Catalog) -> Outcome<Vec<Problem>> {
    link.client
        .batch_execute("SET LOCAL statement_timeout = 0")
        .await?;
    let mut look = Look {
        link,
        catalog,
        faults: Vec::new(),
    };
    let done = look.feed().await;
    look.settle(done).await?;
    for ty in &catalog.schema.types {
        let done = look.parts(ty).await;
        look.settle(done).await?;
        let done = look.rows(ty).await;
        look.settle(done).await?;
        let done = look.records(ty).await;
        look.settle(done).await?;
    }
    let problems = look.faults.into_iter().map(|message| Problem {
        path: catalog.place.clone(),
        line: None,
        message,
    });
    Ok(problems.collect())
}

/// A look at a database.
struct Look<'a> {
    link: Link<'a>,
    catalog: &'a Catalog,
    faults: Vec<String>,
}

impl Look<'_> {
    /// Ends one look, so that the next can be taken behind damage too.
    async fn settle(&mut self, done: Outcome<()>) -> Outcome<()> {
        let client = self.link.client;
        if let Err(failure) = done {
            let told = self.catalog.explain(&failure);
            if !matches!(told.kind(), ErrorKind::Corrupt { .. }) {
                return Err(failure);
            }
            self.faults.push(told.message().to_owned());
            client.batch_execute("ROLLBACK TO SAVEPOINT look").await?;
        }
        Ok(())
    }

    async fn mark(&self) -> Outcome<()> {
        Ok(self.link.client.batch_execute("SAVEPOINT look").await?)
    }

    /// Whether the store's facts go together with the feed.
    async fn feed(&mut self) -> Outcome<()> {
        self.mark().await?;
        let sql = format!(
            "SELECT m.seq, m.oldest, (SELECT min(seq) FROM {CHANGES}), \
             (SELECT max(seq) FROM {CHANGES}) FROM {META} m"
        );
        let found = self.link.all_of(&sql, Vec::new()).await?;
        let row = found.first().ok_or_else(no_meta)?;
        let (seq, oldest): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let (first, last): (Option<i64>, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
        if oldest > seq {
            self.faults.push(format!(
                "the feed begins at {oldest}, and the last commit is {seq}"
            ));
        }
        for record in [first.filter(|n| *n <= oldest), last.filter(|n| *n > seq)] {
            self.faults.extend(record.map(|n| {
                format!("the feed has a record of commit {n}, and goes from {oldest} to {seq}")
            }));
        }
        Ok(())
    }

    /// Whether a type has all that makes its rows found and keeps them right.
    async fn parts(&mut self, ty: &Type) -> Outcome<()> {
        self.mark().await?;
        let schema = &self.catalog.config.schema_name;
        let sql = "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND i.indisvalid AND i.indisready UNION ALL \
             SELECT k.conname::text FROM pg_constraint k JOIN pg_namespace n \
             ON n.oid = k.connamespace WHERE n.nspname = $1 AND k.convalidated AND k.contype = 'f'";
        let found = self.link.all_of(sql, vec![sql::text(schema)]).await?;
        let there: Outcome<BTreeSet<String>> =
            found.iter().map(|row| Ok(row.try_get(0)?)).collect();
        let there = there?;
        let wanted = ddl::layout(&self.catalog.schema, ty).indexes.into_keys();
        let texts = match text::searchable(ty).is_empty() {
            true => Vec::new(),
            false => vec![names::text_index(ty), names::unfit_index(ty)],
        };
        let references = ddl::references(&self.catalog.schema).into_keys();
        let references = references.filter(|(table, _)| *table == ty.plural);
        let wanted = wanted.chain(texts).chain(references.map(|(_, name)| name));
        for name in wanted.filter(|name| !there.contains(name)) {
            self.faults
                .push(format!("{} has no {name}, or not a whole one", ty.plural));
        }
        Ok(())
    }

    /// Whether the rows of a type can be read, and have the words and the place in the index of ids
    /// that they should have.
    async fn rows(&mut self, ty: &Type) -> Outcome<()> {
        self.mark().await?;
        let is_searchable = !text::searchable(ty).is_empty();
        let words = match is_searchable {
            true => format!(", t.{WORDS}, t.{SLOTS}"),
            false => String::new(),
        };
        let sql = Sql::new(format!(
            "SELECT {}{words} FROM {} t",
            select_list(ty),
            names::table(ty)
        ));
        let (mut counts, mut faults, mut lie) = (Counts::default(), Vec::new(), 0_u64);
        let mut found = std::pin::pin!(self.link.stream(&sql).await?);
        while let Some(stored) = found.try_next().await? {
            lie += 1;
            let row = match rows::read(ty, &stored, 0) {
                Ok(row) => row,
                Err(Failure::Damaged(what)) => {
                    faults.push(what);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            if is_searchable {
                let document = Document::of(ty, &row);
                let at = 4 + ty.fields.len();
                let words: Option<Words> = stored.try_get(at)?;
                let slots: Option<Vec<i64>> = stored.try_get(at + 1)?;
                if words != Words::of(&document) || slots != Some(fts::slots(&document)) {
                    faults.push(format!(
                        "{} {} is not found by its words: those that are stored are others",
                        ty.name, row.id
                    ));
                }
                counts.add(&document);
            }
        }
        cut(&mut faults);
        self.faults.append(&mut faults);
        let indexed = self.indexed(ty).await?;
        if indexed != lie {
            self.faults.push(format!(
                "{} has {lie} rows, and its index of ids has {indexed}",
                ty.plural
            ));
        }
        if is_searchable {
            self.counts(ty, counts).await?;
        }
        Ok(())
    }

    /// How many rows the index of ids leads to.
    async fn indexed(&self, ty: &Type) -> Outcome<u64> {
        let client = self.link.client;
        client
            .batch_execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
            .await?;
        let mut sql = Sql::new(format!(
            "SELECT count(*) FROM {} t WHERE t.\"id\" >= ",
            names::table(ty)
        ));
        let indexed = self.link.count(sql.text("")).await?;
        client
            .batch_execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on")
            .await?;
        Ok(indexed)
    }

    /// Whether what is counted of a type's words is what there is.
    async fn counts(&mut self, ty: &Type, counts: Counts) -> Outcome<()> {
        let name = || vec![sql::text(&ty.name)];
        let sql = format!("SELECT place, n FROM {LENGTHS} WHERE type = $1");
        let stored = self.link.all_of(&sql, name()).await?;
        let stored: Outcome<BTreeMap<i64, i64>> = stored
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect();
        // What nothing was ever added to has no row.
        let of = |lengths: BTreeMap<i64, i64>| -> BTreeMap<i64, i64> {
            lengths.into_iter().filter(|(_, n)| *n != 0).collect()
        };
        if of(stored?) != of(counts.lengths) {
            self.faults.push(format!(
                "{LENGTHS} has other lengths of the texts of {} than they have",
                ty.plural
            ));
        }
        let sql = format!("SELECT word, n FROM {TERMS} WHERE type = $1");
        let (mut left, mut wrong) = (counts.terms, BTreeSet::new());
        let mut stored = std::pin::pin!(self.link.fixed(&sql, name()).await?);
        while let Some(row) = stored.try_next().await? {
            let (word, n): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            if left.remove(&word).unwrap_or_default() != n {
                wrong.insert(word);
            }
        }
        wrong.extend(left.into_keys());
        if let Some(first) = wrong.first() {
            self.faults.push(format!(
                "{TERMS} counts {} words of {} wrongly, the first is {first:?}",
                wrong.len(),
                ty.plural
            ));
        }
        Ok(())
    }

    /// Whether what the feed says last of each object of a type is so.
    async fn records(&mut self, ty: &Type) -> Outcome<()> {
        self.mark().await?;
        let sql = format!(
            "SELECT l.seq, l.id, l.rev, l.op, t.rev FROM (SELECT DISTINCT ON (id) * FROM {CHANGES} \
             WHERE type = $1 ORDER BY id, seq DESC, ordinal DESC) l \
             LEFT JOIN {} t ON t.id = l.id \
             WHERE (l.op = 'delete') = (t.id IS NOT NULL) OR t.rev <> l.rev ORDER BY l.seq",
            names::table(ty)
        );
        let found = self.link.all_of(&sql, vec![sql::text(&ty.name)]).await?;
        let mut faults = Vec::new();
        for row in &found {
            let (seq, id, rev): (i64, &str, i64) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let (op, now): (&str, Option<i64>) = (row.try_get(3)?, row.try_get(4)?);
            let is = now.map_or("is not there".to_owned(), |now| format!("has rev {now}"));
            faults.push(format!(
                "{} {id} {is}, and the feed's last word on it is {op} at rev {rev} in commit {}",
                ty.name,
                unsigned(seq)
            ));
        }
        cut(&mut faults);
        self.faults.append(&mut faults);
        Ok(())
    }
}

/// Leaves out what would tell the same too often.
fn cut(faults: &mut Vec<String>) {
    if faults.len() > FAULTS_MAX {
        let more = faults.len() - FAULTS_MAX;
        faults.truncate(FAULTS_MAX);
        faults.push(format!("and {more} more like these"));
    }
}
