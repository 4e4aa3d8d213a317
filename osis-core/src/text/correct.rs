//! Typo correction: which words of a vocabulary stand for one that is not in it.

use std::collections::{BTreeMap, BTreeSet};

use super::query::{Query, Term};
use super::similar::Similar;

/// For each of some words nothing if it is in a vocabulary, else the words there that are
/// [`Similar`] to it, sorted: what an engine owes that has all its words at hand.
pub fn similar<'v>(
    words: &[String],
    vocabulary: impl IntoIterator<Item = &'v str>,
) -> Vec<Option<Vec<String>>> {
    let wanted: Vec<Option<Similar>> = words.iter().map(|word| Similar::to(word)).collect();
    let mut found: Vec<Option<BTreeSet<&str>>> = vec![Some(BTreeSet::new()); words.len()];
    for known in vocabulary {
        for ((word, wanted), found) in words.iter().zip(&wanted).zip(&mut found) {
            if word == known {
                *found = None;
            } else if let (Some(found), Some(wanted)) = (found, wanted)
                && wanted.accepts(known)
            {
                found.insert(known);
            }
        }
    }
    let found = found.into_iter();
    found
        .map(|set| set.map(|set| set.into_iter().map(str::to_owned).collect()))
        .collect()
}

impl Query {
    /// The words that typo correction may replace, each once: bare ones that are not excluded.
    pub fn correctable(&self) -> Vec<String> {
        let terms = self.wanted().into_iter().filter(|term| term.bare);
        let words: BTreeSet<&String> = terms.flat_map(|term| &term.words).collect();
        let long = words.into_iter().filter(|word| Similar::to(word).is_some());
        long.cloned().collect()
    }

    /// The query with these bare words replaced, each by the words that stand for it, or-ed.
    pub fn corrected(&self, by: &BTreeMap<String, Vec<String>>) -> Self {
        let all = |parts: &[Self]| parts.iter().map(|part| part.corrected(by)).collect();
        match self {
            // What is excluded is left as it is.
            Self::And { must, not } => Self::and(all(must), not.clone()),
            Self::Or(sides) => Self::or(all(sides)),
            Self::Term(term) => {
                let word = term.words.first().filter(|_| term.bare);
                match word.and_then(|word| by.get(word)) {
                    Some(words) if !words.is_empty() => {
                        let sides = words.iter().map(|word| {
                            Self::Term(Term {
                                words: vec![word.clone()],
                                ..term.clone()
                            })
                        });
                        Self::or(sides.collect())
                    }
                    _ => self.clone(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::app;
    use super::*;

    #[test]
    fn replaces_bare_words_that_are_not_excluded() {
        let query = |text: &str| Query::parse(&app(), text, false).unwrap();
        let by = BTreeMap::from([("phto".to_owned(), vec!["foto".into(), "photo".into()])]);
        for (text, expected) in [
            ("phto", "foto OR photo"),
            ("a phto", "a (foto OR photo)"),
            ("a OR phto", "a OR foto OR photo"),
            ("name:phto", "name:foto OR name:photo"),
            ("a -phto", "a -phto"),
            ("\"phto\" phto* phto-a", "\"phto\" phto* phto-a"),
        ] {
            assert_eq!(query(text).corrected(&by), query(expected), "{text}");
        }
        let words = query("phto OR (edit name:phto \"quoted\" pref* -gone ab two-words)");
        assert_eq!(words.correctable(), ["edit", "phto"]);
    }

    #[test]
    fn tells_known_words_and_similar_ones() {
        let words = ["edit", "phto", "zzzz"].map(str::to_owned);
        let found = similar(&words, ["photo", "edit", "exit", "phot", "photo"]);
        let near = vec!["phot".to_owned(), "photo".to_owned()];
        assert_eq!(found, [None, Some(near), Some(Vec::new())]);
    }
}
