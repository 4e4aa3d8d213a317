//! Says whether a query finds an object: the oracle that every engine must agree with.

use super::document::{Document, FieldWords};
use super::query::{Query, Term};

impl Query {
    /// Whether the query finds the object.
    pub fn matches(&self, document: &Document) -> bool {
        match self {
            Self::And { must, not } => {
                must.iter().all(|part| part.matches(document))
                    && !not.iter().any(|part| part.matches(document))
            }
            Self::Or(sides) => sides.iter().any(|side| side.matches(document)),
            Self::Term(term) => document.fields().iter().any(|field| term.occurs_in(field)),
        }
    }
}

impl Term {
    /// Whether the term looks into the field and is found there.
    pub fn occurs_in(&self, field: &FieldWords) -> bool {
        self.occurrences(field).next().is_some()
    }

    /// The positions in the field at which the term begins; none if it does not look into it.
    pub fn occurrences(&self, field: &FieldWords) -> impl Iterator<Item = usize> {
        let looks = self.field.is_none_or(|only| only == field.field());
        let slots = if looks { field.slots() } else { &[] };
        let windows = slots.windows(self.words.len().max(1)).enumerate();
        windows
            .filter(|(_, window)| self.fits(window))
            .map(|(at, _)| at)
    }

    fn fits(&self, window: &[Option<Box<str>>]) -> bool {
        let Some((last, first)) = self.words.split_last() else {
            return false;
        };
        let Some((Some(last_found), first_found)) = window.split_last() else {
            return false;
        };
        let fits = if self.prefix {
            last_found.starts_with(&**last)
        } else {
            **last_found == **last
        };
        fits && first
            .iter()
            .zip(first_found)
            .all(|(word, found)| found.as_deref() == Some(word))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{app, row};
    use super::*;
    use crate::object::Row;
    use proptest::prelude::*;

    fn finds(text: &str, row: &Row) -> bool {
        let query = Query::parse(&app(), text, false).unwrap();
        query.matches(&Document::of(&app(), row))
    }

    #[test]
    fn finds_what_the_contract_says() {
        let app = row(
            "Photo Editor",
            &["open source", "graphics"],
            "Edits Café pictures in 漢字.",
        );
        let rows = [
            ("photo editor", true),
            ("editor photo", true),
            ("photo AND missing", false),
            ("photo missing OR editor", true),
            ("\"photo editor\"", true),
            ("\"editor photo\"", false),
            ("photo-editor", true),
            ("photo graphics cafe", true),
            ("\"photo edi\"", false),
            ("\"photo edi\"*", true),
            ("photo-e*", true),
            ("photo-x*", false),
            ("edit* pict*", true),
            ("edit", false),
            ("CAFÉ", true),
            ("cafe\u{301}", true),
            ("漢字", true),
            ("字漢", false),
            ("字", true),
            ("-missing photo", true),
            ("photo -editor", false),
            ("photo NOT (editor missing)", true),
            ("photo --editor", true),
            ("name:photo", true),
            ("name:graphics", false),
            ("tags:graphics -name:graphics", true),
            ("name:(x OR editor)", true),
            ("name:\"photo editor\" about:cafe", true),
            ("about:\"photo editor\"", false),
            ("\"open source\"", true),
            ("\"source graphics\"", false),
            ("source-graph*", false),
            ("\"editor open\"", false),
            ("hidden", false),
            ("draft", false),
        ];
        for (text, expected) in rows {
            assert_eq!(finds(text, &app), expected, "{text:?}");
        }
    }

    #[test]
    fn fillers_hold_their_position_and_match_nothing() {
        let about = format!("{}b last", "a ".repeat(300));
        let row = row("", &[], &about);
        for (text, expected) in [("a", true), ("a-a", true), ("a-b", false), ("b-last", true)] {
            assert_eq!(finds(text, &row), expected, "{text:?}");
        }
    }

    #[test]
    fn counts_where_a_term_begins() {
        let document = Document::of(&app(), &row("ab abc ab x", &[], "ab"));
        let positions = |text: &str| -> Vec<Vec<usize>> {
            let query = Query::parse(&app(), text, false).unwrap();
            let fields = document.fields();
            fields
                .iter()
                .map(|field| query.wanted()[0].occurrences(field).collect())
                .collect()
        };
        assert_eq!(positions("ab"), [vec![0, 2], vec![], vec![0]]);
        assert_eq!(positions("ab*"), [vec![0, 1, 2], vec![], vec![0]]);
        assert_eq!(positions("ab-a*"), [vec![0], vec![], vec![]]);
        assert_eq!(positions("name:\"ab x\""), [vec![2], vec![], vec![]]);
    }

    /// Texts of an object as words, one list for each field or element, after the contract's caps.
    fn naive_texts(row: &Row) -> Vec<(usize, Vec<String>)> {
        let ty = app();
        let mut texts: Vec<(usize, Vec<String>)> = Vec::new();
        let mut before: Vec<String> = Vec::new();
        for field in super::super::searchable(&ty) {
            let value = &row.values[field];
            let elements = if value.items().is_empty() {
                std::slice::from_ref(value)
            } else {
                value.items()
            };
            for element in elements {
                let mut text = Vec::new();
                for word in super::super::words(element.as_str().unwrap_or("")) {
                    let count = before.iter().filter(|other| **other == word).count();
                    before.push(word.clone());
                    text.push(if count < 255 { word } else { String::new() });
                }
                texts.push((field, text));
            }
        }
        texts
    }

    fn naive(query: &Query, texts: &[(usize, Vec<String>)]) -> bool {
        match query {
            Query::And { must, not } => {
                must.iter().all(|q| naive(q, texts)) && not.iter().all(|q| !naive(q, texts))
            }
            Query::Or(sides) => !sides.iter().all(|q| !naive(q, texts)),
            Query::Term(term) => texts.iter().any(|(field, text)| {
                let wanted = format!(
                    " {}{}",
                    term.words.join(" "),
                    if term.prefix { "" } else { " " }
                );
                let joined = format!(" {} ", text.join(" "));
                term.field.is_none_or(|only| only == *field) && joined.contains(&wanted)
            }),
        }
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "([ab]{1,2}|[ab]漢| |-){0,8}",
            // Round the number of occurrences that count.
            1 => (250..260_usize).prop_map(|times| format!("{}b", "a ".repeat(times))),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_reading(
            name in text(),
            tags in prop::collection::vec("[ab]{1,2}( [ab])?", 0..4),
            about in text(),
            queries in prop::collection::vec(
                "((-|name:|tags:)?([ab]{1,2}|ab\\*|a-b\\*|\"[ab] [ab]( [ab])?\"|漢|\\([ab] OR -?ab\\))( | OR )){1,4}b",
                12,
            ),
        ) {
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            let row = row(&name, &tags, &about);
            let (document, texts) = (Document::of(&app(), &row), naive_texts(&row));
            for text in &queries {
                if let Ok(query) = Query::parse(&app(), text, false) {
                    prop_assert_eq!(query.matches(&document), naive(&query, &texts), "{}", text);
                }
            }
        }
    }
}
