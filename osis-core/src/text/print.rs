//! Prints a query in the search language, so that parsing it gives the query again.

use std::fmt;

use crate::schema::Type;

use super::query::{Query, Term};

/// A query as text; see [`Query::display`].
#[derive(Debug)]
pub struct Printed<'q> {
    ty: &'q Type,
    query: &'q Query,
}

impl Query {
    /// The query as text of the search language, in its simplest form.
    ///
    /// Parsed (without `prefix_last`), it gives this query again. The one thing that the language
    /// has no sign for is a prefix of one letter, as `prefix_last` makes it.
    pub fn display<'q>(&'q self, ty: &'q Type) -> Printed<'q> {
        Printed { ty, query: self }
    }
}

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.query(f, self.query)
    }
}

impl Printed<'_> {
    fn query(&self, f: &mut fmt::Formatter<'_>, query: &Query) -> fmt::Result {
        match query {
            Query::And { must, not } => {
                for (n, part) in must.iter().enumerate() {
                    f.write_str(if n == 0 { "" } else { " " })?;
                    self.operand(f, part)?;
                }
                not.iter().try_for_each(|part| {
                    f.write_str(" -")?;
                    self.operand(f, part)
                })
            }
            Query::Or(sides) => sides.iter().enumerate().try_for_each(|(n, side)| {
                f.write_str(if n == 0 { "" } else { " OR " })?;
                self.query(f, side)
            }),
            Query::Term(term) => self.term(f, term),
        }
    }

    /// What stands beside others or behind a `-`, where only a term needs no parentheses.
    fn operand(&self, f: &mut fmt::Formatter<'_>, query: &Query) -> fmt::Result {
        if let Query::Term(term) = query {
            return self.term(f, term);
        }
        f.write_str("(")?;
        self.query(f, query)?;
        f.write_str(")")
    }

    fn term(&self, f: &mut fmt::Formatter<'_>, term: &Term) -> fmt::Result {
        if let Some(field) = term.field {
            write!(f, "{}:", self.ty.fields[field].name)?;
        }
        match &*term.words {
            [word] if term.bare || term.prefix => f.write_str(word)?,
            words => write!(f, "\"{}\"", words.join(" "))?,
        }
        f.write_str(if term.prefix { "*" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{NAME, TAGS, app};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_the_simplest_form() {
        let rows = [
            ("Photo   AND Editor", "photo editor"),
            ("photo-editor", "\"photo editor\""),
            (
                "\"Photo\" \"a  b\"* foo-b* fo*",
                "\"photo\" \"a b\"* \"foo b\"* fo*",
            ),
            ("NOT paid free", "free -paid"),
            ("-(a OR b) -(c d) e", "e -(a OR b) -(c d)"),
            ("(a b) OR (c)", "a b OR c"),
            ("a (b OR c)", "a (b OR c)"),
            (
                "name:(a OR b) tags:\"c d\"",
                "(name:a OR name:b) tags:\"c d\"",
            ),
            ("x -name:漢字*", "x -name:\"漢 字\"*"),
        ];
        for (text, printed) in rows {
            let query = Query::parse(&app(), text, false).unwrap();
            assert_eq!(query.display(&app()).to_string(), printed, "{text:?}");
        }
    }

    fn term() -> impl Strategy<Value = Query> {
        let words = prop::collection::vec("and|or|not|name|x|photo|漢|ßs|한a|12", 1..4)
            .prop_map(|texts| super::super::words(&texts.join(" ")));
        let field = prop::option::of(prop::sample::select(vec![NAME, TAGS]));
        (words, any::<bool>(), field, any::<bool>()).prop_map(|(words, prefix, field, bare)| {
            let single = words.len() == 1;
            let prefix = prefix && !(single && words[0].chars().count() < 2);
            Query::Term(Term {
                bare: bare && single && !prefix,
                words,
                prefix,
                field,
            })
        })
    }

    fn query() -> impl Strategy<Value = Query> {
        term().prop_recursive(8, 60, 6, |part| {
            let parts = |range| prop::collection::vec(part.clone(), range);
            prop_oneof![
                (parts(1..4), parts(0..3)).prop_map(|(must, not)| Query::and(must, not)),
                parts(1..5).prop_map(Query::or),
            ]
        })
    }

    proptest! {
        #[test]
        fn parsing_what_was_printed_gives_the_query(query in query()) {
            let text = query.display(&app()).to_string();
            prop_assert_eq!(Query::parse(&app(), &text, false).unwrap(), query, "{}", text);
        }

        #[test]
        fn printing_what_was_parsed_keeps_it(
            text in "(( |a|photo|-|NOT |OR | AND |\\(|\\)|\"|\\*|name:|tags: |漢|ﬁ|\\+|x:|~)){0,24}",
        ) {
            if let Ok(query) = Query::parse(&app(), &text, false) {
                let printed = query.display(&app()).to_string();
                prop_assert_eq!(Query::parse(&app(), &printed, false).unwrap(), query);
            }
        }
    }
}
