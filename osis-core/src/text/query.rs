//! What a search asks for, as plain data that engines translate.

/// What a search asks for.
///
/// Made by [`Query::parse`] or with [`Query::and`] and [`Query::or`], which keep the form simple:
/// no `And` stands directly in the `must` of an `And`, no `Or` directly in an `Or`, neither has a
/// single branch that could stand for itself, and none is empty. So levels alternate, a parsed
/// query has at most [`Query::TERMS_MAX`] terms and about [`Query::LEVELS_MAX`] levels of each, and
/// recursion over it is safe. Nothing stands for "everything but": an exclusion always has
/// something beside it that it is taken from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Query {
    /// What meets all of `must` and none of `not`.
    And {
        /// At least one.
        must: Vec<Query>,
        /// None, one or more.
        not: Vec<Query>,
    },
    /// What meets at least one.
    Or(Vec<Query>),
    /// What has these words.
    Term(Term),
}

/// Words that must follow each other in one field, and in one element of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Term {
    /// At least one word, as [`super::words`] makes them.
    pub words: Vec<String>,
    /// The last word is the beginning of a word.
    pub prefix: bool,
    /// The one field to look into, by its position; without it any of [`super::searchable`].
    pub field: Option<usize>,
    /// A single whole word without quotes, and so one that typo correction may replace, unless it
    /// stands in an exclusion.
    pub bare: bool,
}

impl Query {
    /// No query has more terms.
    pub const TERMS_MAX: usize = 256;
    /// No query has more parentheses within each other.
    pub const LEVELS_MAX: usize = 32;

    /// What meets all of `must`, of which there is at least one, and none of `not`.
    pub fn and(must: Vec<Query>, not: Vec<Query>) -> Self {
        debug_assert!(
            !must.is_empty(),
            "an exclusion needs something that it is taken from"
        );
        let mut all = Vec::with_capacity(must.len());
        let mut none = Vec::with_capacity(not.len());
        for part in must {
            match part {
                Self::And { must, not } => {
                    all.extend(must);
                    none.extend(not);
                }
                part => all.push(part),
            }
        }
        none.extend(not);
        match all.pop() {
            Some(only) if all.is_empty() && none.is_empty() => only,
            last => {
                all.extend(last);
                Self::And {
                    must: all,
                    not: none,
                }
            }
        }
    }

    /// What meets at least one of `sides`, of which there is at least one.
    pub fn or(sides: Vec<Query>) -> Self {
        debug_assert!(!sides.is_empty(), "without a side nothing could meet it");
        let mut any = Vec::with_capacity(sides.len());
        for side in sides {
            match side {
                Self::Or(sides) => any.extend(sides),
                side => any.push(side),
            }
        }
        match any.pop() {
            Some(only) if any.is_empty() => only,
            last => {
                any.extend(last);
                Self::Or(any)
            }
        }
    }

    /// The terms that a match may have: all but those in exclusions, in their order.
    ///
    /// These are what relevance counts, highlights mark, and typo correction looks at.
    pub fn wanted(&self) -> Vec<&Term> {
        let mut terms = Vec::new();
        self.collect_wanted(&mut terms);
        terms
    }

    fn collect_wanted<'q>(&'q self, terms: &mut Vec<&'q Term>) {
        match self {
            Self::And { must: parts, .. } | Self::Or(parts) => {
                parts.iter().for_each(|part| part.collect_wanted(terms));
            }
            Self::Term(term) => terms.push(term),
        }
    }
}

impl Term {
    /// Most words of one phrase: a longer one is more likely an accident, and engines would look
    /// up each.
    pub const WORDS_MAX: usize = 1000;
    /// No lone prefix that a caller marks with `*` is shorter, in characters.
    pub const PREFIX_CHARS_MIN: usize = 2;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(word: &str) -> Query {
        let words = vec![word.to_owned()];
        Query::Term(Term {
            words,
            prefix: false,
            field: None,
            bare: true,
        })
    }

    fn and(must: &[&Query], not: &[&Query]) -> Query {
        Query::and(all(must), all(not))
    }

    fn or(sides: &[&Query]) -> Query {
        Query::or(all(sides))
    }

    fn all(parts: &[&Query]) -> Vec<Query> {
        parts.iter().copied().cloned().collect()
    }

    #[test]
    fn keeps_the_form_simple() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(term);
        assert_eq!(and(&[&a], &[]), a);
        assert_eq!(or(&[&a]), a);
        assert_eq!(
            and(&[&and(&[&a, &b], &[&c]), &b], &[&d]),
            Query::And {
                must: all(&[&a, &b, &b]),
                not: all(&[&c, &d])
            },
        );
        assert_eq!(or(&[&or(&[&a, &b]), &c]), Query::Or(all(&[&a, &b, &c])));
        let both = and(&[&b, &c], &[]);
        assert_eq!(
            and(&[&a], &[&both]),
            Query::And {
                must: vec![a],
                not: vec![both]
            }
        );
    }

    #[test]
    fn wants_what_is_not_excluded() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(term);
        let query = and(&[&a, &or(&[&b, &and(&[&c], &[&d])])], &[&d]);
        let words: Vec<&str> = query.wanted().iter().map(|term| &*term.words[0]).collect();
        assert_eq!(words, ["a", "b", "c"]);
    }
}
