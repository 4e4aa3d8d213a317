//! Relevance: BM25 over weighted fields, for engines that have nothing of their own.

use crate::schema::{FieldKind, Type};

use super::document::Document;
use super::query::{Query, Term};

/// How soon further occurrences of a term stop to count.
const SATURATION: f64 = 1.2;
/// How much the length of a field is held against a term, from 0 to 1.
///
/// A word of a short name says more than one of a long name. A text at length describes an object
/// no worse than a short one, and each element of a list is a statement of its own: holding their
/// lengths against them puts what is hardly described before what is described well.
/// `docs/search.md` has the measures.
fn length_counts(kind: &FieldKind) -> f64 {
    match kind {
        FieldKind::Text => 0.2,
        FieldKind::List(_) => 0.0,
        _ => 0.75,
    }
}

/// How much occurrences in the searchable fields of a type count: by each field's weight, and by how
/// long it is beside the average.
///
/// Made of exact sums, so that engines which count in different ways give the same scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Lengths {
    fields: Vec<FieldLength>,
}

/// How much occurrences in one searchable field count.
#[derive(Debug, Clone, PartialEq)]
struct FieldLength {
    weight: f64,
    /// The average number of slots.
    average: f64,
    /// How much its length counts.
    held: f64,
}

impl Lengths {
    /// Of `count` objects of a type whose fields, in the order of [`super::searchable`], have
    /// `slots` slots altogether; a field that `slots` lacks has none.
    pub fn new(ty: &Type, count: u64, slots: &[u64]) -> Self {
        let slots = slots.iter().copied().chain(std::iter::repeat(0));
        let fields = super::searchable(ty).into_iter().zip(slots);
        Self {
            fields: fields
                .map(|(field, slots)| FieldLength {
                    weight: f64::from(ty.fields[field].search.unwrap_or(1)),
                    average: slots as f64 / count.max(1) as f64,
                    held: length_counts(&ty.fields[field].kind),
                })
                .collect(),
        }
    }

    /// How much `times` occurrences in an object's field of `slots` slots count; `place` is the
    /// field's place in [`super::searchable`], and one that there is not counts for nothing.
    ///
    /// A term's weight in an object is the sum over its fields, begun with 0 and taken in their
    /// order: another order may differ in the last bit.
    pub fn weigh(&self, place: usize, times: u64, slots: u64) -> f64 {
        let Some(field) = self.fields.get(place).filter(|_| times > 0) else {
            return 0.0;
        };
        let length = slots as f64 / field.average.max(1.0);
        field.weight * times as f64 / (1.0 - field.held + field.held * length)
    }

    /// The weight of a term in an object.
    fn weigh_all(&self, term: &Term, document: &Document) -> f64 {
        let fields = document.fields().iter().enumerate();
        fields.fold(0.0, |sum, (place, words)| {
            let times = term.occurrences(words).count() as u64;
            sum + self.weigh(place, times, words.slots().len() as u64)
        })
    }
}

/// Scores objects by how well they meet a query, within the objects that it was made of.
///
/// BM25F: a term's occurrences are summed over the fields by their weights, each field held
/// against its average length, and rare terms count for more. Excluded terms count for nothing.
/// Deterministic: the same objects give the same scores, to the bit, in whatever order they came
/// and whoever counted them.
///
/// Source: Robertson, Zaragoza: The Probabilistic Relevance Framework: BM25 and Beyond, 3.5.
#[derive(Debug)]
pub struct Ranking<'q> {
    /// The terms of the query that a match may have, with how much each counts.
    terms: Vec<(&'q Term, f64)>,
    lengths: Lengths,
}

impl<'q> Ranking<'q> {
    /// Counts how rare the query's terms are and how long the fields, over all objects of a type.
    pub fn of<'d>(
        ty: &Type,
        query: &'q Query,
        documents: impl IntoIterator<Item = &'d Document>,
    ) -> Self {
        let terms = query.wanted();
        let mut found = vec![0_u64; terms.len()];
        let mut slots = vec![0_u64; super::searchable(ty).len()];
        let mut count = 0_u64;
        for document in documents {
            count += 1;
            for (found, term) in found.iter_mut().zip(&terms) {
                *found += u64::from(document.fields().iter().any(|field| term.occurs_in(field)));
            }
            for (slots, field) in slots.iter_mut().zip(document.fields()) {
                *slots += field.slots().len() as u64;
            }
        }
        Self::new(query, Lengths::new(ty, count, &slots), count, &found)
    }

    /// Of what an engine has counted: `count` objects, and in how many of them each term of
    /// [`Query::wanted`] occurs in a field that it looks into.
    pub fn new(query: &'q Query, lengths: Lengths, count: u64, found: &[u64]) -> Self {
        let found = found.iter().copied().chain(std::iter::repeat(0));
        let terms = query.wanted().into_iter().zip(found);
        Self {
            terms: terms.map(|(term, n)| (term, rarity(n, count))).collect(),
            lengths,
        }
    }

    /// The score of an object: 0 where no term is met, more the better it meets the query.
    pub fn score(&self, document: &Document) -> f64 {
        let terms = self.terms.iter().enumerate();
        // Summing begins with +0.0, lest nothing be -0.0.
        terms.fold(0.0, |sum, (place, (term, _))| {
            sum + self.part(place, self.lengths.weigh_all(term, document))
        })
    }

    /// What one term adds to an object's score: the term by its place in [`Query::wanted`], with
    /// the weight that [`Lengths::weigh`] gives it there.
    ///
    /// The score is the sum of these, begun with 0 and taken in the terms' order.
    pub fn part(&self, term: usize, weight: f64) -> f64 {
        let rarity = self.terms.get(term).map_or(0.0, |(_, rarity)| *rarity);
        rarity * weight / (SATURATION + weight)
    }
}

/// How much a term counts that was found in `found` objects of `count`; never negative.
fn rarity(found: u64, count: u64) -> f64 {
    let found = found.min(count) as f64;
    ((count as f64 - found + 0.5) / (found + 0.5)).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{app, row};
    use super::*;

    fn documents() -> Vec<Document> {
        let rows = [
            row("Photo", &["graphics"], "Edits pictures."),
            row("Pictures", &[], "A photo editor."),
            row("Notes", &["photo"], "Text, no pictures at all."),
            row(
                "Mail",
                &[],
                "photo photo photo and a lot of other words beside that one",
            ),
            row("Chess", &[], "A game."),
        ];
        rows.iter().map(|row| Document::of(&app(), row)).collect()
    }

    fn ranked(text: &str) -> Vec<usize> {
        let (query, documents) = (Query::parse(&app(), text, false).unwrap(), documents());
        let ranking = Ranking::of(&app(), &query, &documents);
        let mut order: Vec<usize> = (0..documents.len())
            .filter(|&n| query.matches(&documents[n]))
            .collect();
        order.sort_by(|&a, &b| {
            ranking
                .score(&documents[b])
                .total_cmp(&ranking.score(&documents[a]))
        });
        order
    }

    #[test]
    fn heavy_fields_come_first() {
        // In the name, in a tag, once in the text; often in the text may count for more than a tag.
        let mut order = ranked("photo");
        order.retain(|n| *n != 3);
        assert_eq!(order, [0, 2, 1]);
    }

    #[test]
    fn lists_and_texts_are_hardly_held_against_their_length() {
        let long = format!("ab {}", "x ".repeat(60));
        let rows = [
            row("", &["ab"], ""),
            row("", &["ab", "cd", "ef"], ""),
            row("", &[], "ab"),
            row("", &[], &long),
            row("ab", &[], ""),
            row(&long, &[], ""),
        ];
        let documents = rows.map(|row| Document::of(&app(), &row));
        let query = Query::parse(&app(), "ab", false).unwrap();
        let ranking = Ranking::of(&app(), &query, &documents);
        let [one, three, text, long_text, name, long_name] =
            documents.each_ref().map(|document| ranking.score(document));
        assert!(one == three, "{one} {three}");
        assert!(
            long_text < text && text < 2.0 * long_text,
            "{text} {long_text}"
        );
        assert!(name > 2.0 * long_name, "{name} {long_name}");
    }

    #[test]
    fn short_fields_come_first_and_repetition_counts() {
        let texts = ["ab cd", "ab cd ef gh ij", "ab ab cd ef gh"];
        let documents = texts.map(|about| Document::of(&app(), &row("", &[], about)));
        let query = Query::parse(&app(), "ab", false).unwrap();
        let ranking = Ranking::of(&app(), &query, &documents);
        let [short, long, twice] = documents.each_ref().map(|d| ranking.score(d));
        assert!(short > long && twice > long, "{short} {long} {twice}");
    }

    #[test]
    fn rare_terms_count_for_more() {
        assert_eq!(ranked("about:photo OR about:game")[0], 4);
    }

    #[test]
    fn what_meets_more_comes_first() {
        assert_eq!(ranked("graphics OR pictures")[0], 0);
    }

    #[test]
    fn scores_are_finite_and_positive_where_a_term_is_met() {
        let documents = documents();
        for text in [
            "photo",
            "photo -editor",
            "pho*",
            "\"photo editor\"",
            "x OR photo",
        ] {
            let query = Query::parse(&app(), text, false).unwrap();
            let ranking = Ranking::of(&app(), &query, &documents);
            for document in &documents {
                let score = ranking.score(document);
                assert!(score.is_finite() && score >= 0.0, "{text:?}: {score}");
                assert!(!query.matches(document) || score > 0.0, "{text:?}");
            }
        }
    }

    #[test]
    fn the_order_of_objects_does_not_matter() {
        let query = Query::parse(&app(), "photo OR pictures -chess", false).unwrap();
        let (forth, mut back) = (documents(), documents());
        back.reverse();
        let scores = |documents: &[Document]| -> Vec<u64> {
            let ranking = Ranking::of(&app(), &query, documents);
            forth
                .iter()
                .map(|document| ranking.score(document).to_bits())
                .collect()
        };
        assert_eq!(scores(&forth), scores(&back));
    }

    #[test]
    fn scores_without_any_object_around() {
        let query = Query::parse(&app(), "photo", false).unwrap();
        let score = Ranking::of(&app(), &query, []).score(&documents()[0]);
        assert!(score.is_finite() && score >= 0.0);
    }

    #[test]
    fn scores_of_counted_sums_are_the_same_to_the_bit() {
        let (ty, documents) = (app(), documents());
        let count = documents.len() as u64;
        let slots: Vec<u64> = (0..3)
            .map(|n| {
                documents
                    .iter()
                    .map(|d| d.fields()[n].slots().len() as u64)
                    .sum()
            })
            .collect();
        for text in [
            "photo",
            "pho* -game \"no pictures\"",
            "tags:photo OR a OR a OR zzz",
        ] {
            let query = Query::parse(&ty, text, false).unwrap();
            let terms = query.wanted();
            let weights = |lengths: &Lengths, document: &Document| -> Vec<f64> {
                let weigh = |term: &&Term| {
                    let mut weight = 0.0;
                    for (place, field) in document.fields().iter().enumerate() {
                        let times = term.occurrences(field).count() as u64;
                        if times > 0 {
                            weight += lengths.weigh(place, times, field.slots().len() as u64);
                        }
                    }
                    weight
                };
                terms.iter().map(weigh).collect()
            };
            let lengths = Lengths::new(&ty, count, &slots);
            let mut found = vec![0; terms.len()];
            for document in &documents {
                for (found, weight) in found.iter_mut().zip(weights(&lengths, document)) {
                    *found += u64::from(weight > 0.0);
                }
            }
            let counted = Ranking::new(&query, lengths.clone(), count, &found);
            let ranking = Ranking::of(&ty, &query, &documents);
            for document in &documents {
                let weights = weights(&lengths, document);
                let mut score = 0.0;
                for (term, weight) in weights.into_iter().enumerate().filter(|(_, w)| *w > 0.0) {
                    score += counted.part(term, weight);
                }
                assert_eq!(score.to_bits(), ranking.score(document).to_bits(), "{text}");
            }
        }
    }
}
