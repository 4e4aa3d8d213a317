//! Relevance: BM25 over weighted fields, for engines that have nothing of their own.

use crate::schema::Type;

use super::document::{Document, FieldWords};
use super::query::{Query, Term};

/// How soon further occurrences of a term stop to count.
const SATURATION: f64 = 1.2;
/// How much long fields are held against a term.
const LENGTH: f64 = 0.75;

/// Scores objects by how well they meet a query, within the objects that it was made of.
///
/// BM25F: a term's occurrences are summed over the fields by their weights, each field held
/// against its average length, and rare terms count for more. Excluded terms count for nothing.
/// Deterministic: the same objects give the same scores, to the bit, in whatever order they came.
///
/// Source: Robertson, Zaragoza: The Probabilistic Relevance Framework: BM25 and Beyond, 3.5.
#[derive(Debug)]
pub struct Ranking<'q> {
    /// The terms of the query that a match may have, with how much each counts.
    terms: Vec<(&'q Term, f64)>,
    /// Of each searchable field its weight and its average number of words.
    fields: Vec<(f64, f64)>,
}

impl<'q> Ranking<'q> {
    /// Counts how rare the query's terms are and how long the fields, over all objects of a type.
    pub fn of<'d>(
        ty: &Type,
        query: &'q Query,
        documents: impl IntoIterator<Item = &'d Document>,
    ) -> Self {
        let terms = query.wanted();
        let weights: Vec<f64> = super::searchable(ty)
            .into_iter()
            .map(|field| f64::from(ty.fields[field].search.unwrap_or(1)))
            .collect();
        let mut found = vec![0_u64; terms.len()];
        let mut lengths = vec![0_u64; weights.len()];
        let mut count = 0_u64;
        for document in documents {
            count += 1;
            for (found, term) in found.iter_mut().zip(&terms) {
                *found += u64::from(document.fields().iter().any(|field| term.occurs_in(field)));
            }
            for (length, field) in lengths.iter_mut().zip(document.fields()) {
                *length += field.slots().len() as u64;
            }
        }
        let average = |length: u64| length as f64 / count.max(1) as f64;
        Self {
            terms: terms
                .into_iter()
                .zip(found)
                .map(|(t, n)| (t, rarity(n, count)))
                .collect(),
            fields: weights
                .into_iter()
                .zip(lengths)
                .map(|(w, len)| (w, average(len)))
                .collect(),
        }
    }

    /// The score of an object: 0 where no term is met, more the better it meets the query.
    pub fn score(&self, document: &Document) -> f64 {
        let scores = self.terms.iter().map(|(term, rarity)| {
            let fields = document.fields().iter().zip(&self.fields);
            let weight: f64 = fields
                .map(|(words, field)| weigh(term, words, *field))
                .sum();
            rarity * weight / (SATURATION + weight)
        });
        // Summing begins with +0.0, lest nothing be -0.0.
        scores.fold(0.0, |sum, score| sum + score)
    }
}

/// How much the occurrences of a term in one field count.
fn weigh(term: &Term, words: &FieldWords, (weight, average): (f64, f64)) -> f64 {
    let times = term.occurrences(words).count();
    if times == 0 {
        return 0.0;
    }
    let length = words.slots().len() as f64 / average.max(1.0);
    weight * times as f64 / (1.0 - LENGTH + LENGTH * length)
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
        assert_eq!(ranked("photo")[..2], [0, 2]);
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
}
