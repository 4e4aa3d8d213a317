//! Highlights: the texts in which a query was met, as safe HTML.
//!
//! `<mark>` is the only element; everything else of the text is escaped.

use std::ops::{ControlFlow, Range};

use crate::object::Row;
use crate::schema::Type;
use crate::value::Value;

use super::document::{Document, FieldWords};
use super::query::{Query, Term};
use super::tokenizer::each_word;

/// So many characters of a text are shown.
const CHARS_MAX: usize = 300;
/// About so many of them before the first match, where the text is longer.
const CHARS_BEFORE: usize = 100;

/// The fields of an object in which terms of a query were met, by their position in the type, each
/// with at most 300 characters round the first match; of a list the first element that has one.
pub fn highlight(ty: &Type, query: &Query, row: &Row) -> Vec<(usize, String)> {
    let terms = query.wanted();
    let document = Document::of(ty, row);
    let fields = document.fields().iter().filter_map(|field| {
        let met = met(field, &terms)?;
        let (text, marks) = first_text(&row.values[field.field()], field, &met)?;
        Some((field.field(), excerpt(text, &marks)))
    });
    fields.collect()
}

/// Which positions of a field belong to an occurrence of a term; nothing if none does.
fn met(field: &FieldWords, terms: &[&Term]) -> Option<Vec<bool>> {
    let mut met = vec![false; field.slots().len()];
    let mut any = false;
    for term in terms {
        for at in term.occurrences(field) {
            met[at..at + term.words.len()].fill(true);
            any = true;
        }
    }
    any.then_some(met)
}

/// The first text of a value that has a position which was met, and the places of all such in it.
fn first_text<'v>(
    value: &'v Value,
    field: &FieldWords,
    met: &[bool],
) -> Option<(&'v str, Vec<Range<usize>>)> {
    let texts = match value {
        Value::List(items) => items,
        one => std::slice::from_ref(one),
    };
    // Positions are given to words as `Document` gives them: a gap lies before the first word of an
    // element, unless it is the first of all.
    let mut position = 0;
    for text in texts.iter().filter_map(Value::as_str) {
        let mut marks: Vec<Range<usize>> = Vec::new();
        let mut gap = position > 0;
        let _ = each_word(text, |_, place| {
            position += usize::from(std::mem::take(&mut gap));
            if position >= field.slots().len() {
                return ControlFlow::Break(());
            }
            if met[position] {
                add(&mut marks, place);
            }
            position += 1;
            ControlFlow::Continue(())
        });
        if !marks.is_empty() {
            return Some((text, marks));
        }
    }
    None
}

/// Adds a place behind others. One character may hold several words: their places become one.
fn add(marks: &mut Vec<Range<usize>>, place: Range<usize>) {
    match marks.last_mut() {
        Some(last) if place.start < last.end => last.end = last.end.max(place.end),
        _ => marks.push(place),
    }
}

fn excerpt(text: &str, marks: &[Range<usize>]) -> String {
    let shown = window(text, marks);
    let mut html = String::with_capacity(shown.len() + 64);
    let mut at = shown.start;
    for mark in marks {
        let (start, end) = (mark.start.max(at), mark.end.min(shown.end));
        if start >= end {
            continue;
        }
        escape(&text[at..start], &mut html);
        html.push_str("<mark>");
        escape(&text[start..end], &mut html);
        html.push_str("</mark>");
        at = end;
    }
    escape(&text[at..shown.end], &mut html);
    html
}

/// The bytes of a text that are shown: all of a short one, else a part that begins with a word and
/// has the first mark.
fn window(text: &str, marks: &[Range<usize>]) -> Range<usize> {
    let first = marks.first().map_or(0, |mark| mark.start);
    let end_of = |start: usize| {
        let mut ends = text[start..].char_indices().skip(CHARS_MAX);
        ends.next().map_or(text.len(), |(at, _)| start + at)
    };
    if end_of(0) == text.len() {
        return 0..text.len();
    }
    let before = text[..first].char_indices().rev();
    let earliest = before.take(CHARS_BEFORE).last().map_or(first, |(at, _)| at);
    if earliest == 0 {
        return 0..end_of(0);
    }
    // From the next blank on, unless there is none.
    let blank = text[earliest..first]
        .char_indices()
        .find(|(_, c)| c.is_whitespace());
    let start = blank.map_or(earliest, |(at, c)| earliest + at + c.len_utf8());
    start..end_of(start)
}

fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ABOUT, NAME, TAGS, app, row};
    use super::*;
    use proptest::prelude::*;

    fn shown(query: &str, row: &Row) -> Vec<(usize, String)> {
        highlight(&app(), &Query::parse(&app(), query, false).unwrap(), row)
    }

    fn about(query: &str, about: &str) -> String {
        let found = shown(query, &row("", &[], about));
        found.into_iter().map(|(_, html)| html).collect()
    }

    #[test]
    fn marks_words_where_they_stand() {
        let rows = [
            ("photo", "A Photo, photos", "A <mark>Photo</mark>, photos"),
            (
                "pho*",
                "A Photo, photos",
                "A <mark>Photo</mark>, <mark>photos</mark>",
            ),
            ("\"a b\"", "b a b, a", "b <mark>a</mark> <mark>b</mark>, a"),
            (
                "cafe",
                "Cafe\u{301}s cafe\u{301}!",
                "Cafe\u{301}s <mark>cafe\u{301}</mark>!",
            ),
            ("字", "漢字", "漢<mark>字</mark>"),
            ("1", "a ½ b", "a <mark>½</mark> b"),
            ("1-2", "a ½ b", "a <mark>½</mark> b"),
            (
                "b -c",
                "<b> & \"b\" 'x'",
                "&lt;<mark>b</mark>&gt; &amp; &quot;<mark>b</mark>&quot; &#39;x&#39;",
            ),
            ("x", "nothing", ""),
        ];
        for (query, text, expected) in rows {
            assert_eq!(about(query, text), expected, "{query}");
        }
    }

    #[test]
    fn has_the_fields_that_match_and_of_lists_the_first_element() {
        let row = row("Photo", &["x y", "a photo", "photo"], "No picture.");
        let marked = "<mark>Photo</mark>".to_owned();
        let tag = "a <mark>photo</mark>".to_owned();
        assert_eq!(shown("photo", &row), [(NAME, marked), (TAGS, tag)]);
        assert_eq!(shown("name:x OR about:picture", &row)[0].0, ABOUT);
        assert_eq!(shown("y", &row), [(TAGS, "x <mark>y</mark>".to_owned())]);
    }

    #[test]
    fn shows_300_characters_round_the_first_match() {
        let text = format!("{}needle {}", "hay stack ".repeat(100), "é ".repeat(400));
        let html = about("needle", &text);
        let plain = html.replace("<mark>", "").replace("</mark>", "");
        assert_eq!(plain.chars().count(), 300);
        assert!(
            html.starts_with("hay") || html.starts_with("stack"),
            "{html}"
        );
        assert!(html.contains("stack <mark>needle</mark> é"), "{html}");
        assert!(about("hay", &text).starts_with("<mark>hay</mark> stack <mark>hay"));
        let end = about("end", &format!("{}end", "x ".repeat(300)));
        assert!(end.ends_with("x <mark>end</mark>"), "{end}");
    }

    #[test]
    fn what_is_not_searched_is_not_marked() {
        let text = format!("{}end", "a ".repeat(300));
        assert_eq!(about("a-end", &text), "");
    }

    /// What a reader sees of HTML.
    fn unescaped(html: &str) -> String {
        let pairs = [
            ("<mark>", ""),
            ("</mark>", ""),
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&#39;", "'"),
            ("&amp;", "&"),
        ];
        pairs
            .iter()
            .fold(html.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    proptest! {
        #[test]
        fn is_a_part_of_the_text_and_marks_only_what_matches(
            text in "(ab|ba|漢|½|<mark>|&amp;|[ <>&\"'.-]|e\u{301}| ){0,200}",
            query in "(ab|b\\*|\"ab ba\"|漢|1|mark|e|amp)( OR (ba|2|漢))?",
        ) {
            let Ok(query) = Query::parse(&app(), &query.replace("b*", "ba*"), false) else {
                return Ok(());
            };
            let row = row("", &[], &text);
            let found = highlight(&app(), &query, &row);
            prop_assert_eq!(!found.is_empty(), query.matches(&Document::of(&app(), &row)));
            for (_, html) in found {
                prop_assert!(html.contains("<mark>"), "{}", html);
                let plain = unescaped(&html);
                prop_assert!(text.contains(&plain), "{}", html);
                prop_assert!(plain.chars().count() <= CHARS_MAX);
                let rest = html.replace("<mark>", "").replace("</mark>", "");
                prop_assert!(!rest.contains(['<', '>', '"', '\'']), "{}", html);
                for part in html.split("<mark>").skip(1) {
                    let (marked, _) = part.split_once("</mark>").unwrap();
                    prop_assert!(!super::super::words(marked).is_empty(), "{}", html);
                }
            }
        }
    }
}
