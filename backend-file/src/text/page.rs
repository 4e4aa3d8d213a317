//! The page of a search: which of the matches come first in its order.

use std::cmp::Ordering;
use std::sync::Arc;

use osis_core::backend::Search;
use osis_core::query::{Facet, Filter, Tally};
use osis_core::schema::Type;
use osis_core::value::Value;

use super::error::{Failure, Outcome};
use crate::record::Held;
use crate::state::Objects;

/// Takes matches in whatever order and keeps those of the page.
#[derive(Debug)]
pub(super) struct Page<'a> {
    search: &'a Search,
    objects: &'a Objects,
    /// What is behind the position of a sort.
    beyond: Option<Filter>,
    /// The best so far, with more than are asked for, so that not each one is sorted in.
    hits: Vec<(f64, &'a Arc<Held>)>,
    /// The last of the page if it ended here.
    last: Option<(f64, &'a Arc<Held>)>,
    total: u64,
    tally: Tally,
}

/// What a search comes to.
#[derive(Debug)]
pub(crate) struct Hits {
    /// The page, with scores.
    pub(crate) page: Vec<(f64, Arc<Held>)>,
    /// How many matches there are.
    pub(crate) total: u64,
    /// The values of the columns that were asked for, over all matches.
    pub(crate) facets: Vec<Facet>,
}

impl<'a> Page<'a> {
    /// Of a search among these objects.
    pub(super) fn new(ty: &Type, search: &'a Search, objects: &'a Objects) -> Self {
        let beyond = match (&search.sort, &search.after) {
            (Some(sort), Some(after)) => Some(Filter::after(sort.columns(), after, ty)),
            _ => None,
        };
        Self {
            search,
            objects,
            beyond,
            hits: Vec::new(),
            last: None,
            total: 0,
            tally: Tally::new(ty, &search.facets),
        }
    }

    /// Takes a match by its ordinal. Most are not looked up: without a filter, a sort and facets,
    /// only those that are not worse than the page's last one.
    pub(super) fn take(&mut self, score: f64, ordinal: u64) -> Outcome<()> {
        if self.search.filter == Filter::EVERY && self.tally.is_empty() {
            self.total += 1;
            if self.search.sort.is_none() && self.is_worse(score) {
                return Ok(());
            }
            let held = self.held(ordinal)?;
            self.rank(score, held);
        } else {
            let held = self.held(ordinal)?;
            if self.search.filter.matches(&held.row) {
                self.total += 1;
                self.tally.add(&held.row);
                self.rank(score, held);
            }
        }
        Ok(())
    }

    /// The page, and what there is to say of all that was taken.
    pub(super) fn finish(mut self) -> Hits {
        self.cut();
        let hits = self.hits.into_iter();
        let hits = hits.map(|(score, held)| (score, Arc::clone(held)));
        Hits {
            page: hits.collect(),
            total: self.total,
            facets: self.tally.finish(),
        }
    }

    fn held(&self, ordinal: u64) -> Outcome<&'a Arc<Held>> {
        self.objects.ordinals.get(&ordinal).ok_or_else(|| {
            Failure::Index(format!("an object with ordinal {ordinal} does not exist"))
        })
    }

    /// Whether a score alone keeps a match from the page.
    fn is_worse(&self, score: f64) -> bool {
        let before = match self.search.after.as_deref() {
            Some([Value::Float(after), Value::Str(_)]) => score > *after,
            _ => false,
        };
        before || self.last.is_some_and(|(last, _)| score < last) || self.search.limit == 0
    }

    /// Puts a match in its place, if it is behind the position and may be on the page.
    fn rank(&mut self, score: f64, held: &'a Arc<Held>) {
        let row = &held.row;
        let is_behind = match (&self.search.sort, self.search.after.as_deref()) {
            (Some(_), _) => self
                .beyond
                .as_ref()
                .is_none_or(|beyond| beyond.matches(row)),
            (None, Some([Value::Float(after), Value::Str(id)])) => {
                score < *after || (score == *after && row.id.as_str() > &**id)
            }
            (None, _) => true,
        };
        let hit = (score, held);
        if !is_behind
            || self.search.limit == 0
            || self
                .last
                .is_some_and(|last| self.compare(&hit, &last).is_gt())
        {
            return;
        }
        self.hits.push(hit);
        if self.hits.len() >= self.search.limit.saturating_mul(2).max(64) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let mut hits = std::mem::take(&mut self.hits);
        hits.sort_unstable_by(|a, b| self.compare(a, b));
        hits.truncate(self.search.limit);
        if hits.len() == self.search.limit {
            self.last = hits.last().copied();
        }
        self.hits = hits;
    }

    fn compare(&self, a: &(f64, &Arc<Held>), b: &(f64, &Arc<Held>)) -> Ordering {
        match &self.search.sort {
            Some(sort) => sort.compare(&a.1.row, &b.1.row),
            None => {
                b.0.total_cmp(&a.0)
                    .then_with(|| a.1.row.id.cmp(&b.1.row.id))
            }
        }
    }
}
