//! Runs a query over postings, and scores what it finds as core does.
//!
//! Matches are those of [`Query::matches`], and scores those of [`Ranking`] to the bit: the words
//! and positions are core's, the counts are exact (Tantivy's own count deleted documents too, and
//! its lengths are rounded to a byte), and the floats are computed in core, in core's order.

use std::collections::HashMap;

use osis_core::backend::Search;
use osis_core::schema::Type;
use osis_core::table::Clock;
use osis_core::text::{Lengths, Query, Ranking, Term};
use tantivy::DocId;

use super::bits::Bits;
use super::error::Outcome;
use super::overlay::Overlay;
use super::page::Page;
use super::segments::Committed;
use super::shape::TextField;
use super::terms::{Found, Part, SMALL, Scratch, look};

/// So many weights of a search are kept from its first pass for the second. With more, the second
/// looks terms up again: memory is bounded, time is what it is.
const KEPT_MAX: usize = if SMALL { 1 << 8 } else { 1 << 22 };

/// A query over an index and the objects beside it.
pub(super) struct Evaluation<'a> {
    query: &'a Query,
    /// The terms, each once.
    terms: Vec<Asked<'a>>,
    /// The query with terms by their place.
    tree: Node,
    /// The terms that count for relevance, in core's order, by their place.
    wanted: Vec<usize>,
    fields: &'a [TextField],
    /// The index, unless nothing can be read of it.
    committed: Option<&'a Committed>,
    overlay: &'a Overlay,
    lengths: Lengths,
    count: u64,
    clock: Clock,
}

struct Asked<'a> {
    term: &'a Term,
    /// Whether it counts for relevance.
    is_wanted: bool,
}

/// A query whose terms have numbers.
enum Node {
    And { must: Vec<Node>, not: Vec<Node> },
    Or(Vec<Node>),
    Term(usize),
}

/// What the first pass found in a part.
struct Looked {
    found: Vec<Found>,
    matched: Bits,
}

impl<'a> Evaluation<'a> {
    /// Of a search. The overlay is of the same objects that `committed` lacks or has too much.
    pub(super) fn new(
        ty: &Type,
        search: &'a Search,
        fields: &'a [TextField],
        committed: Option<&'a Committed>,
        overlay: &'a Overlay,
        clock: Clock,
    ) -> Self {
        let query = &search.query;
        let (mut terms, mut numbers) = (Vec::new(), HashMap::new());
        let tree = Node::of(query, &mut terms, &mut numbers);
        let mut terms: Vec<Asked<'a>> = terms
            .into_iter()
            .map(|term| Asked {
                term,
                is_wanted: false,
            })
            .collect();
        let wanted: Vec<usize> = query.wanted().iter().map(|term| numbers[term]).collect();
        wanted.iter().for_each(|n| terms[*n].is_wanted = true);
        let count = overlay.count;
        Self {
            query,
            terms,
            tree,
            wanted,
            fields,
            committed,
            overlay,
            lengths: Lengths::new(ty, count, &overlay.totals),
            count,
            clock,
        }
    }

    /// Gives the page all that the query finds.
    pub(super) fn run(&self, page: &mut Page<'_>) -> Outcome<()> {
        let parts = self.overlay.parts(self.committed);
        let longest = parts.iter().map(Part::len).max().unwrap_or(0);
        let mut scratch = Scratch::new(longest);
        let mut counts = vec![0_u64; self.terms.len()];
        let (mut looked, mut kept) = (Vec::with_capacity(parts.len()), 0);
        for part in &parts {
            let found = self.look(part, &mut scratch)?;
            for (count, found) in counts.iter_mut().zip(&found.found) {
                *count += found.places.count();
            }
            if found.matched.is_empty() {
                looked.push(None);
                continue;
            }
            kept += found.found.iter().map(|f| f.weights.len()).sum::<usize>();
            looked.push(Some((kept <= KEPT_MAX).then_some(found)));
        }
        for (_, document) in &self.overlay.extra {
            for (count, asked) in counts.iter_mut().zip(&self.terms) {
                let fields = document.fields();
                *count += u64::from(fields.iter().any(|field| asked.term.occurs_in(field)));
            }
        }
        let counts: Vec<u64> = self.wanted.iter().map(|n| counts[*n]).collect();
        let ranking = Ranking::new(self.query, self.lengths.clone(), self.count, &counts);
        for (part, looked) in parts.iter().zip(looked) {
            match looked {
                None => {}
                Some(Some(looked)) => self.score(part, &looked, &ranking, &mut scratch, page)?,
                Some(None) => {
                    let looked = self.look(part, &mut scratch)?;
                    self.score(part, &looked, &ranking, &mut scratch, page)?;
                }
            }
        }
        for (held, document) in &self.overlay.extra {
            if self.query.matches(document) {
                page.take(ranking.score(document), held.ordinal)?;
            }
        }
        Ok(())
    }

    fn look(&self, part: &Part<'_>, scratch: &mut Scratch) -> Outcome<Looked> {
        let found = self.terms.iter().map(|asked| {
            let lengths = asked.is_wanted.then_some(&self.lengths);
            look(part, asked.term, self.fields, lengths, scratch, self.clock)
        });
        let found = found.collect::<Outcome<Vec<_>>>()?;
        let matched = self.tree.matches(&found, part.len());
        Ok(Looked { found, matched })
    }

    /// Gives the page what matches in a part.
    fn score(
        &self,
        part: &Part<'_>,
        looked: &Looked,
        ranking: &Ranking<'_>,
        scratch: &mut Scratch,
        page: &mut Page<'_>,
    ) -> Outcome<()> {
        let matched = &looked.matched;
        for (order, term) in self.wanted.iter().enumerate() {
            self.clock.check()?;
            let found = &looked.found[*term];
            for (place, weight) in found.places.iter().zip(&found.weights) {
                if matched.has(place) {
                    scratch.sums[place] += ranking.part(order, *weight);
                }
            }
        }
        for (times, place) in matched.iter().enumerate() {
            if times.is_multiple_of(4096) {
                self.clock.check()?;
            }
            let score = std::mem::take(&mut scratch.sums[place]);
            let doc = part.base + place as DocId;
            page.take(score, part.segment.ordinals.get_val(doc))?;
        }
        Ok(())
    }
}

impl Node {
    fn of<'q>(
        query: &'q Query,
        terms: &mut Vec<&'q Term>,
        numbers: &mut HashMap<&'q Term, usize>,
    ) -> Self {
        let mut all = |parts: &'q [Query]| {
            let parts = parts.iter();
            parts.map(|part| Self::of(part, terms, numbers)).collect()
        };
        match query {
            Query::And { must, not } => Self::And {
                must: all(must),
                not: all(not),
            },
            Query::Or(sides) => Self::Or(all(sides)),
            Query::Term(term) => Self::Term(*numbers.entry(term).or_insert_with(|| {
                terms.push(term);
                terms.len() - 1
            })),
        }
    }

    /// Which documents of a part match, given where the terms are.
    fn matches(&self, found: &[Found], len: usize) -> Bits {
        match self {
            Self::And { must, not } => {
                let mut matched = Bits::all(len);
                for part in must {
                    matched.and(&part.matches(found, len));
                }
                for part in not {
                    matched.and_not(&part.matches(found, len));
                }
                matched
            }
            Self::Or(sides) => {
                let mut matched = Bits::none(len);
                for side in sides {
                    matched.or(&side.matches(found, len));
                }
                matched
            }
            Self::Term(term) => found[*term].places.clone(),
        }
    }
}
