//! Runs a query over the text index: which rows match, and how well, as core says.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use osis_core::schema::Type;
use osis_core::text::{self, Lengths, Query, Ranking, Term};
use rusqlite::Connection;

use crate::connection::Limit;
use crate::error::{Failure, Outcome};
use crate::postings::{Place, Postings, seek};
use crate::text_cache::Seen;

/// After so many rows the time limit is looked at.
const STRIDE: usize = 1 << 12;

/// A text index as a query sees it.
pub(crate) struct Index<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) ty: &'a Type,
    pub(crate) seen: &'a Seen,
    /// The rows of which the newest words may not be known, rising: they are looked at otherwise.
    pub(crate) stale: &'a [i64],
    pub(crate) limit: &'a Limit,
}

/// A query over an index.
pub(crate) struct Evaluation<'a> {
    index: &'a Index<'a>,
    query: &'a Query,
    /// Where the terms occur that were looked up.
    found: HashMap<&'a Term, Rc<Found>>,
}

/// Where a term occurs.
enum Found {
    /// As it is kept.
    Kept(Arc<Postings>),
    /// As it was put together.
    Own(Postings),
}

impl Found {
    fn postings(&self) -> &Postings {
        match self {
            Self::Kept(postings) => postings,
            Self::Own(postings) => postings,
        }
    }
}

impl<'a> Evaluation<'a> {
    /// Of a query.
    pub(crate) fn new(index: &'a Index<'a>, query: &'a Query) -> Self {
        Self {
            index,
            query,
            found: HashMap::new(),
        }
    }

    /// The rows that match, rising.
    pub(crate) fn matches(&mut self) -> Outcome<Vec<i64>> {
        self.rows(self.query)
    }

    /// In how many rows each term of [`Query::wanted`] occurs.
    pub(crate) fn counts(&mut self) -> Outcome<Vec<u64>> {
        let terms = self.query.wanted().into_iter();
        terms
            .map(|term| Ok(self.look(term)?.postings().rows().len() as u64))
            .collect()
    }

    /// The scores of some rows, which rise.
    pub(crate) fn scores(
        &mut self,
        rows: &[i64],
        ranking: &Ranking<'_>,
        lengths: &Lengths,
    ) -> Outcome<Vec<f64>> {
        let index = self.index;
        let slots = index.seen.lengths(index.connection, index.ty, rows)?;
        let fields = index.seen.totals.len();
        let mut scores = vec![0.0; rows.len()];
        for (order, term) in self.query.wanted().into_iter().enumerate() {
            let found = self.look(term)?;
            let postings = found.postings();
            let mut at = 0;
            for (n, row) in rows.iter().enumerate() {
                if n.is_multiple_of(STRIDE) && index.limit.is_over() {
                    return Err(Failure::TooLate);
                }
                at = seek(postings.rows(), at, *row);
                if postings.rows().get(at) != Some(row) {
                    continue;
                }
                let slots = &slots[n * fields..(n + 1) * fields];
                let weight = weigh(postings.places(at), slots, lengths);
                scores[n] += ranking.part(order, weight);
            }
        }
        Ok(scores)
    }

    fn rows(&mut self, query: &'a Query) -> Outcome<Vec<i64>> {
        if self.index.limit.is_over() {
            return Err(Failure::TooLate);
        }
        match query {
            Query::And { must, not } => {
                let mut parts = Vec::with_capacity(must.len());
                for part in must {
                    let rows = self.rows(part)?;
                    if rows.is_empty() {
                        return Ok(rows);
                    }
                    parts.push(rows);
                }
                parts.sort_by_key(Vec::len);
                let mut parts = parts.into_iter();
                let mut rows = parts.next().unwrap_or_default();
                parts.for_each(|other| retain(&mut rows, &other, true));
                for part in not {
                    if rows.is_empty() {
                        break;
                    }
                    let other = self.rows(part)?;
                    retain(&mut rows, &other, false);
                }
                Ok(rows)
            }
            Query::Or(sides) => {
                let mut rows = Vec::new();
                for side in sides {
                    rows.extend(self.rows(side)?);
                }
                rows.sort_unstable();
                rows.dedup();
                Ok(rows)
            }
            Query::Term(term) => Ok(self.look(term)?.postings().rows().to_vec()),
        }
    }

    fn look(&mut self, term: &'a Term) -> Outcome<Rc<Found>> {
        if let Some(found) = self.found.get(term) {
            return Ok(Rc::clone(found));
        }
        let found = Rc::new(self.index.occurrences(term)?);
        self.found.insert(term, Rc::clone(&found));
        Ok(found)
    }
}

impl Index<'_> {
    /// Whether a word occurs in a row of which the newest words are known.
    pub(crate) fn has(&self, word: &str) -> Outcome<bool> {
        let term = Term {
            words: vec![word.to_owned()],
            prefix: false,
            field: None,
            bare: false,
        };
        Ok(!self.occurrences(&term)?.postings().rows().is_empty())
    }

    /// Where a term begins.
    fn occurrences(&self, term: &Term) -> Outcome<Found> {
        let mut found = match term.words.as_slice() {
            [word] => Found::Kept(self.postings(word, term.prefix)?),
            _ => Found::Own(self.phrase(term)?),
        };
        if let Some(only) = term.field {
            let fields = text::searchable(self.ty);
            let field = fields.iter().position(|field| *field == only);
            let field = field.and_then(|field| u16::try_from(field).ok());
            let in_field = |field| found.postings().in_field(field);
            found = Found::Own(field.map(in_field).unwrap_or_default());
        }
        if !self.stale.is_empty() {
            found = Found::Own(found.postings().without(self.stale));
        }
        Ok(found)
    }

    fn postings(&self, word: &str, is_prefix: bool) -> Outcome<Arc<Postings>> {
        self.seen
            .postings(self.connection, self.ty, (word, is_prefix), self.limit)
    }

    /// Where words follow each other, by where the first one stands.
    fn phrase(&self, term: &Term) -> Outcome<Postings> {
        let mut words: Vec<(u32, Arc<Postings>)> = Vec::with_capacity(term.words.len());
        for (n, word) in term.words.iter().enumerate() {
            let is_prefix = term.prefix && n + 1 == term.words.len();
            // A very common word is not kept, and a phrase may have it many times.
            let known = term.words[..n].iter().position(|other| other == word);
            let postings = match known.filter(|_| !is_prefix) {
                Some(known) => Arc::clone(&words[known].1),
                None => self.postings(word, is_prefix)?,
            };
            if postings.rows().is_empty() {
                return Ok(Postings::default());
            }
            words.push((u32::try_from(n).unwrap_or(u32::MAX), postings));
        }
        // The rarest one leads.
        words.sort_by_key(|(_, postings)| postings.len());
        let Some(((offset, rarest), others)) = words.split_first() else {
            return Ok(Postings::default());
        };
        let mut found = Postings::default();
        let mut at = vec![0; others.len()];
        for (n, row) in rarest.rows().iter().enumerate() {
            if n.is_multiple_of(STRIDE) && self.limit.is_over() {
                return Err(Failure::TooLate);
            }
            let mut others = others.iter().zip(&mut at).map(|((offset, other), at)| {
                *at = seek(other.rows(), *at, *row);
                let is_there = other.rows().get(*at) == Some(row);
                is_there.then(|| (*offset, other.places(*at)))
            });
            let Some(others) = others.by_ref().collect::<Option<Vec<_>>>() else {
                continue;
            };
            for place in rarest.places(n) {
                let Some(start) = place.position.checked_sub(*offset) else {
                    continue;
                };
                let follow = |(offset, places): &(u32, &[Place])| {
                    let wanted = Place {
                        position: start + offset,
                        ..*place
                    };
                    places.binary_search(&wanted).is_ok()
                };
                if others.iter().all(follow) {
                    let start = Place {
                        position: start,
                        ..*place
                    };
                    found.push(*row, start);
                }
            }
        }
        Ok(found)
    }
}

/// The weight of a term in a row, of its places there, in the order in which core adds it up.
fn weigh(places: &[Place], slots: &[u32], lengths: &Lengths) -> f64 {
    let same_field = places.chunk_by(|a, b| a.field == b.field);
    same_field.fold(0.0, |sum, places| {
        let field = usize::from(places[0].field);
        let slots = slots.get(field).copied().unwrap_or_default();
        sum + lengths.weigh(field, places.len() as u64, u64::from(slots))
    })
}

/// Keeps of some rows those that are among others, or those that are not; both rise.
fn retain(rows: &mut Vec<i64>, others: &[i64], among: bool) {
    let mut at = 0;
    rows.retain(|row| {
        at = seek(others, at, *row);
        (others.get(at) == Some(row)) == among
    });
}
