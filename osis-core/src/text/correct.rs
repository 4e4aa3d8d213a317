//! Typo correction: which words of a vocabulary stand for one that is not in it.

use std::collections::{BTreeMap, BTreeSet};

use super::query::{Query, Term};
use super::tokenizer::WORD_CHARS_MAX;

/// Words from so many characters on may have one typo.
const CHARS_FOR_ONE: usize = 4;
/// Words from so many characters on may have two.
const CHARS_FOR_TWO: usize = 8;

/// The words that stand for a mistyped one: those within distance 1, or 2 for a longer one.
///
/// An insertion, a deletion, a substitution and a swap of neighbours count one each (optimal string
/// alignment).
#[derive(Debug, Clone)]
pub struct Similar {
    word: Vec<char>,
    distance: usize,
}

impl Similar {
    /// To a word, as [`super::words`] makes them; nothing for one that is too short to have typos.
    pub fn to(word: &str) -> Option<Self> {
        let word: Vec<char> = word.chars().collect();
        let distance = match word.len() {
            n if n >= CHARS_FOR_TWO => 2,
            n if n >= CHARS_FOR_ONE => 1,
            _ => return None,
        };
        Some(Self { word, distance })
    }

    /// Whether another word may be what was meant.
    pub fn accepts(&self, other: &str) -> bool {
        // A character has one to four bytes: most words are passed over by their length.
        let longest = self.word.len() + self.distance;
        if other.len() > 4 * longest || other.len() + self.distance < self.word.len() {
            return false;
        }
        let mut chars = ['\0'; WORD_CHARS_MAX + 2];
        let mut len = 0;
        for c in other.chars() {
            if len >= longest.min(chars.len()) {
                return false;
            }
            chars[len] = c;
            len += 1;
        }
        len + self.distance >= self.word.len() && self.is_near(&chars[..len])
    }

    fn is_near(&self, other: &[char]) -> bool {
        let (a, b) = without_common_ends(&self.word, other);
        if a.is_empty() || b.is_empty() {
            return a.len().max(b.len()) <= self.distance;
        }
        const ROOM: usize = WORD_CHARS_MAX + 3;
        // The last three rows of the table of distances.
        let (mut before, mut last, mut row) = ([0; ROOM], [0; ROOM], [0; ROOM]);
        (0..=b.len()).for_each(|j| last[j] = j);
        for (i, x) in a.iter().enumerate() {
            row[0] = i + 1;
            let mut least = row[0];
            for (j, y) in b.iter().enumerate() {
                let mut cost = (last[j] + usize::from(x != y))
                    .min(last[j + 1] + 1)
                    .min(row[j] + 1);
                if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                    cost = cost.min(before[j - 1] + 1);
                }
                row[j + 1] = cost;
                least = least.min(cost);
            }
            if least > self.distance {
                return false;
            }
            (before, last, row) = (last, row, before);
        }
        last[b.len()] <= self.distance
    }
}

fn without_common_ends<'a>(mut a: &'a [char], mut b: &'a [char]) -> (&'a [char], &'a [char]) {
    while let ([x, rest_a @ ..], [y, rest_b @ ..]) = (a, b)
        && x == y
    {
        (a, b) = (rest_a, rest_b);
    }
    while let ([rest_a @ .., x], [rest_b @ .., y]) = (a, b)
        && x == y
    {
        (a, b) = (rest_a, rest_b);
    }
    (a, b)
}

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
    use proptest::prelude::*;

    fn accepts(word: &str, other: &str) -> bool {
        Similar::to(word).is_some_and(|similar| similar.accepts(other))
    }

    #[test]
    fn words_are_near_as_the_contract_says() {
        let rows = [
            ("edit", "edti", true),
            ("edit", "edi", true),
            ("edit", "edits", true),
            ("edit", "exit", true),
            ("edit", "idet", false),
            ("edit", "audit", false),
            ("edt", "edit", false),
            ("foto", "photo", false),
            ("editro", "editor", true),
            ("editorx", "editors", true),
            ("editorz", "edit", false),
            ("firefoxx", "firefox", true),
            ("frefoxx", "firefox", false),
            ("libreofice", "libreoffice", true),
            ("librofice", "libreoffice", true),
            ("librofic", "libreoffice", false),
            ("thunderbrid", "thunderbird", true),
            // A swap with something put between counts three, not two.
            ("abcdefgh", "bxacdefgh", false),
            ("abcd", "bxacd", false),
            ("ca12", "abc12", false),
            ("κόσμος", "κόσμοι", true),
            ("σοσμοσ", "κοσμοσ", true),
        ];
        for (word, other, expected) in rows {
            assert_eq!(accepts(word, other), expected, "{word} {other}");
        }
    }

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

    /// The distance by its definition.
    fn distance(a: &[char], b: &[char]) -> usize {
        let (Some((x, a1)), Some((y, b1))) = (a.split_last(), b.split_last()) else {
            return a.len().max(b.len());
        };
        let mut least = (distance(a1, b1) + usize::from(x != y))
            .min(distance(a1, b) + 1)
            .min(distance(a, b1) + 1);
        if let (Some((x2, a2)), Some((y2, b2))) = (a1.split_last(), b1.split_last())
            && x == y2
            && y == x2
        {
            least = least.min(distance(a2, b2) + 1);
        }
        least
    }

    proptest! {
        #[test]
        fn accepts_what_the_distance_says(a in "[abc漢]{3,8}", b in "[abc漢]{0,8}") {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let allowed = match x.len() { 8.. => 2, 4.. => 1, _ => 0 };
            let expected = allowed > 0 && distance(&x, &y) <= allowed;
            prop_assert_eq!(accepts(&a, &b), expected, "{} {}", a, b);
        }
    }
}
