//! Searches: the page of what a query finds, in its order, and what there is to say of all of it.

use std::cmp::Ordering;

use osis_core::backend::{Found, Search};
use osis_core::object::Row;
use osis_core::query::{Filter, Sort, Tally};
use osis_core::schema::{FieldKind, Type, TypeId};
use osis_core::text::{Document, Lengths, Query, Ranking, Similar};
use osis_core::value::Value;
use osis_sql::query::order;
use osis_sql::{Conditions, select_list};
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::connection::Limit;
use crate::error::{Failure, Outcome};
use crate::evaluate::{Evaluation, Index};
use crate::lookup;
use crate::names;
use crate::rows::{read, read_column};
use crate::sql::{Run, Sql};
use crate::text_cache::{self, Seen};
use crate::text_index;

/// Answers a search. Runs in a transaction.
///
/// Rows are looked at themselves that the text index lacks (there are none, unless the transaction
/// began before they could be taken in), or that it has taken in since what is kept of it was read.
pub(crate) fn search(
    connection: &Connection,
    catalog: &Catalog,
    search: &Search,
    limit: &Limit,
) -> Outcome<Found> {
    let (ty, statements) = catalog.of(search.type_id);
    let mut tally = Tally::new(ty, &search.facets);
    if statements.text.is_none() {
        return Ok(Found {
            hits: Vec::new(),
            total: 0,
            facets: tally.finish(),
        });
    }
    let seen = catalog.text.of(connection, ty, search.type_id)?;
    let stale = stale(connection, catalog, search.type_id, &seen)?;
    let rest = documents(connection, catalog, search.type_id, &stale, limit)?;
    let index = Index {
        connection,
        ty,
        seen: &seen,
        stale: &stale,
        limit,
    };
    let mut evaluation = Evaluation::new(&index, &search.query);
    let mut rows = evaluation.matches()?;
    if search.filter != Filter::EVERY && !rows.is_empty() {
        rows = filtered(&index, search, &rows)?;
    }
    count_values(&index, search, &rows, &mut tally)?;
    let found_in_rest: Vec<&(Row, Document)> = rest
        .iter()
        .filter(|(row, words)| search.filter.matches(row) && search.query.matches(words))
        .collect();
    found_in_rest.iter().for_each(|(row, _)| tally.add(row));
    let total = (rows.len() + found_in_rest.len()) as u64;

    if total == 0 {
        return Ok(Found {
            hits: Vec::new(),
            total,
            facets: tally.finish(),
        });
    }
    let (ranking, lengths) = rank(&index, &mut evaluation, &search.query, &rest)?;
    let mut scores = |rows: &[i64]| evaluation.scores(rows, &ranking, &lengths);
    let mut hits = match &search.sort {
        Some(sort) => sorted(&index, search, sort, &rows, &mut scores)?,
        None => most_relevant(&index, search, &rows, &scores(&rows)?)?,
    };
    if !found_in_rest.is_empty() {
        let found = found_in_rest.into_iter();
        let found = found.map(|(row, words)| (ranking.score(words), row.clone()));
        hits.extend(found.filter(|hit| is_after(search, ty, hit)));
        hits.sort_by(|a, b| compare(search, a, b));
        hits.truncate(search.limit);
    }
    Ok(Found {
        hits,
        total,
        facets: tally.finish(),
    })
}

/// The rows of which what is known of the index may be old, rising.
fn stale(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    seen: &Seen,
) -> Outcome<Vec<i64>> {
    let mut stale = text_index::pending(connection, catalog, type_id, usize::MAX)?;
    stale.extend(&seen.changed);
    stale.sort_unstable();
    stale.dedup();
    Ok(stale)
}

/// How hits are scored: by how many rows there are, how long, and with which words.
fn rank<'q>(
    index: &Index<'_>,
    evaluation: &mut Evaluation<'_>,
    query: &'q Query,
    rest: &[(Row, Document)],
) -> Outcome<(Ranking<'q>, Lengths)> {
    let (count, totals) = index.size(rest)?;
    let lengths = Lengths::new(index.ty, count, &totals);
    let mut counts = evaluation.counts()?;
    for (count, term) in counts.iter_mut().zip(query.wanted()) {
        let has = |words: &Document| words.fields().iter().any(|field| term.occurs_in(field));
        *count += rest.iter().filter(|(_, words)| has(words)).count() as u64;
    }
    let ranking = Ranking::new(query, lengths.clone(), count, &counts);
    Ok((ranking, lengths))
}

/// For each word nothing if it is in the text of a type, else the words there that are like it.
/// Runs in a transaction.
pub(crate) fn similar(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    words: &[String],
    limit: &Limit,
) -> Outcome<Vec<Option<Vec<String>>>> {
    let (ty, statements) = catalog.of(type_id);
    if statements.text.is_none() {
        return Ok(vec![Some(Vec::new()); words.len()]);
    }
    let seen = catalog.text.of(connection, ty, type_id)?;
    let stale = stale(connection, catalog, type_id, &seen)?;
    let rest = documents(connection, catalog, type_id, &stale, limit)?;
    let mut beside: Vec<&str> = rest
        .iter()
        .flat_map(|(_, words)| words.fields())
        .flat_map(|field| field.words().map(|(_, word)| word))
        .collect();
    beside.sort_unstable();
    beside.dedup();
    let index = Index {
        connection,
        ty,
        seen: &seen,
        stale: &stale,
        limit,
    };
    let has = |word: &str| -> Outcome<bool> {
        Ok(beside.binary_search(&word).is_ok() || index.has(word)?)
    };
    let mut found = Vec::with_capacity(words.len());
    for word in words {
        if has(word)? {
            found.push(None);
            continue;
        }
        let mut like = Vec::new();
        if let Some(similar) = Similar::to(word) {
            if limit.is_over() {
                return Err(Failure::TooLate);
            }
            let known = seen.words(connection, ty)?;
            let known = known.like(&similar).into_iter();
            let beside = beside.iter().copied();
            let all = known.chain(beside.filter(|word| similar.accepts(word)));
            like.extend(all.map(str::to_owned));
            like.sort_unstable();
            like.dedup();
        }
        // Of what was changed, old words are known yet.
        if !stale.is_empty() {
            let mut there = Vec::new();
            for word in like {
                if has(&word)? {
                    there.push(word);
                }
            }
            like = there;
        }
        found.push(Some(like));
    }
    Ok(found)
}

impl Index<'_> {
    /// How many rows there are and how long their fields: those of the index but for the stale
    /// ones, and the rest.
    fn size(&self, rest: &[(Row, Document)]) -> Outcome<(u64, Vec<u64>)> {
        let (mut count, mut totals) = (self.seen.count, self.seen.totals.clone());
        if self.stale.is_empty() {
            return Ok((count, totals));
        }
        let table = names::quote(&format!("{}_docsize", names::text_table(self.ty)));
        let mut sql = Sql::new(format!("SELECT count(*) FROM {table} WHERE id"));
        let numbers: Vec<Value> = self.stale.iter().map(|n| Value::Int(*n)).collect();
        sql.among(numbers.iter(), &FieldKind::Int);
        count -= sql.count(self.connection)?.min(count);
        let slots = text_cache::read_lengths(self.connection, self.ty, self.stale)?;
        for slots in slots.chunks_exact(totals.len()) {
            for (total, slots) in totals.iter_mut().zip(slots) {
                *total -= u64::from(*slots).min(*total);
            }
        }
        count += rest.len() as u64;
        for (_, words) in rest {
            for (total, field) in totals.iter_mut().zip(words.fields()) {
                *total += field.slots().len() as u64;
            }
        }
        Ok((count, totals))
    }

    /// Begins a statement over some rows of the type.
    fn select(&self, columns: &str, rows: &[i64]) -> Sql {
        let table = names::table(self.ty);
        let mut sql = Sql::new(format!("SELECT {columns} FROM {table} t WHERE t.\"_n\""));
        let numbers: Vec<Value> = rows.iter().map(|n| Value::Int(*n)).collect();
        sql.among(numbers.iter(), &FieldKind::Int);
        sql
    }

    /// Some rows with their numbers, those first that have the lowest ids.
    fn by_id(&self, rows: &[i64], after: Option<&Value>, limit: usize) -> Outcome<Vec<(i64, Row)>> {
        if rows.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut sql = self.select(&format!("t.\"_n\", {}", select_list(self.ty)), rows);
        if let Some(after) = after {
            sql.push(" AND t.\"id\" > ")
                .value(after, &FieldKind::String);
        }
        sql.push(" ORDER BY t.\"id\" LIMIT ").limit(limit);
        self.read(&sql)
    }

    fn read(&self, sql: &Sql) -> Outcome<Vec<(i64, Row)>> {
        sql.all(self.connection, |row| {
            Ok((row.get(0)?, read(self.ty, row, 1)?))
        })
    }
}

/// Those of some rows that the search's filter means.
fn filtered(index: &Index<'_>, search: &Search, rows: &[i64]) -> Outcome<Vec<i64>> {
    let mut sql = index.select("t.\"_n\"", rows);
    sql.push(" AND ");
    Conditions::of(index.ty).write(&mut sql, &search.filter);
    let mut rows = sql.all(index.connection, |row| Ok(row.get(0)?))?;
    rows.sort_unstable();
    Ok(rows)
}

fn count_values(
    index: &Index<'_>,
    search: &Search,
    rows: &[i64],
    tally: &mut Tally,
) -> Outcome<()> {
    if tally.is_empty() || rows.is_empty() {
        return Ok(());
    }
    let (ty, columns) = (index.ty, &search.facets);
    let names: Vec<String> = columns
        .iter()
        .map(|column| format!("t.{}", names::column(ty, *column)))
        .collect();
    let sql = index.select(&names.join(", "), rows);
    sql.each(index.connection, |row| {
        for (place, column) in columns.iter().enumerate() {
            tally.add_value(place, &read_column(ty, *column, row.get_ref(place)?)?);
        }
        Ok(())
    })
}

/// The page in the order of a sort.
fn sorted(
    index: &Index<'_>,
    search: &Search,
    sort: &Sort,
    rows: &[i64],
    scores: &mut impl FnMut(&[i64]) -> Outcome<Vec<f64>>,
) -> Outcome<Vec<(f64, Row)>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ty = index.ty;
    let mut sql = index.select(&format!("t.\"_n\", {}", select_list(ty)), rows);
    if let Some(after) = &search.after {
        sql.push(" AND ");
        let after = Filter::after(sort.columns(), after, ty);
        Conditions::of(ty).write(&mut sql, &after);
    }
    order(&mut sql, ty, sort);
    sql.push(" LIMIT ").limit(search.limit);
    let page = index.read(&sql)?;
    let mut numbers: Vec<i64> = page.iter().map(|(number, _)| *number).collect();
    numbers.sort_unstable();
    let scores = scores(&numbers)?;
    let score = |number: i64| numbers.binary_search(&number).map_or(0.0, |at| scores[at]);
    Ok(page
        .into_iter()
        .map(|(number, row)| (score(number), row))
        .collect())
}

/// The page in the order of relevance, then ids. Only rows of the page, and those that are as
/// relevant as its first or last, are looked at.
fn most_relevant(
    index: &Index<'_>,
    search: &Search,
    rows: &[i64],
    scores: &[f64],
) -> Outcome<Vec<(f64, Row)>> {
    let after = match search.after.as_deref() {
        Some([Value::Float(score), id]) => Some((*score, id)),
        _ => None,
    };
    let with = |wanted: f64| -> Vec<i64> {
        let all = rows.iter().zip(scores);
        all.filter(|(_, score)| **score == wanted)
            .map(|(row, _)| *row)
            .collect()
    };
    let mut hits: Vec<(f64, Row)> = Vec::new();
    if let Some((score, id)) = after {
        let page = index.by_id(&with(score), Some(id), search.limit)?;
        hits.extend(page.into_iter().map(|(_, row)| (score, row)));
    }
    let left = search.limit - hits.len();
    let mut below: Vec<f64> = scores
        .iter()
        .copied()
        .filter(|score| after.is_none_or(|(after, _)| *score < after))
        .collect();
    if left == 0 || below.is_empty() {
        return Ok(hits);
    }
    let last = if below.len() > left {
        *below
            .select_nth_unstable_by(left - 1, |a, b| b.total_cmp(a))
            .1
    } else {
        f64::NEG_INFINITY
    };
    let better: Vec<(i64, f64)> = rows
        .iter()
        .zip(scores)
        .filter(|(_, score)| **score > last && after.is_none_or(|(after, _)| **score < after))
        .map(|(row, score)| (*row, *score))
        .collect();
    let numbers: Vec<i64> = better.iter().map(|(row, _)| *row).collect();
    for (number, row) in index.by_id(&numbers, None, numbers.len())? {
        let at = numbers.binary_search(&number);
        hits.push((at.map_or(0.0, |at| better[at].1), row));
    }
    let left = search.limit - hits.len();
    if left > 0 && last > f64::NEG_INFINITY {
        let page = index.by_id(&with(last), None, left)?;
        hits.extend(page.into_iter().map(|(_, row)| (last, row)));
    }
    hits.sort_by(|a, b| compare(search, a, b));
    Ok(hits)
}

/// The rows with these numbers, as far as there are such, with their words.
fn documents(
    connection: &Connection,
    catalog: &Catalog,
    type_id: TypeId,
    numbers: &[i64],
    limit: &Limit,
) -> Outcome<Vec<(Row, Document)>> {
    let ty = &catalog.schema.types[type_id];
    let mut found = Vec::new();
    for &number in numbers {
        if limit.is_over() {
            return Err(Failure::TooLate);
        }
        if let Some(row) = lookup::get_by_number(connection, catalog, type_id, number)? {
            let words = Document::of(ty, &row);
            found.push((row, words));
        }
    }
    Ok(found)
}

fn compare(search: &Search, a: &(f64, Row), b: &(f64, Row)) -> Ordering {
    match &search.sort {
        Some(sort) => sort.compare(&a.1, &b.1),
        None => b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)),
    }
}

fn is_after(search: &Search, ty: &Type, (score, row): &(f64, Row)) -> bool {
    match (&search.sort, search.after.as_deref()) {
        (_, None) => true,
        (Some(sort), Some(after)) => Filter::after(sort.columns(), after, ty).matches(row),
        (None, Some([Value::Float(last), Value::Str(id)])) => {
            score < last || (score == last && row.id.as_str() > &**id)
        }
        (None, Some(_)) => true,
    }
}
