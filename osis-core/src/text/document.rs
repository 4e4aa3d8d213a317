//! The words of an object, with their positions: what engines store in their text indexes.
//!
//! The caps are set here, for all engines at once: an engine that drops or keeps one word more
//! than another finds other objects.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::object::Row;
use crate::schema::Type;
use crate::value::Value;

use super::tokenizer::each_word;

/// Stands for a gap or a filler where an engine has only words: a character for private use, which
/// no query can hold as a word.
pub const FILLER: char = '\u{f8ff}';

/// The searchable words of one object.
///
/// **Bounds.** The first [`Self::WORDS_MAX`] words of the object are searched, fields in the order
/// of [`searchable`]. Occurrences of a word past the [`Self::OCCURRENCES_MAX`]th in the object are
/// fillers: they hold their position but match nothing. Between two elements of a list lies a
/// filler too, so that no phrase runs across; it is not counted as a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    fields: Vec<FieldWords>,
}

/// The words of one field; their position is their index, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldWords {
    field: usize,
    slots: Vec<Option<Box<str>>>,
}

/// Positions of the fields that searches look into, in the order in which their words are counted.
pub fn searchable(ty: &Type) -> Vec<usize> {
    let mut fields = ty.search_fields();
    fields.retain(|&field| !ty.fields[field].secret);
    fields
}

impl Document {
    /// So many words of an object are searched.
    pub const WORDS_MAX: usize = 16_000;
    /// So many occurrences of one word in an object count.
    pub const OCCURRENCES_MAX: usize = 255;

    /// Takes the words out of an object.
    pub fn of(ty: &Type, row: &Row) -> Self {
        let mut left = Self::WORDS_MAX;
        let fields = searchable(ty)
            .into_iter()
            .map(|field| FieldWords::of(field, &row.values[field], &mut left))
            .collect();
        let mut document = Self { fields };
        if Self::WORDS_MAX - left > Self::OCCURRENCES_MAX {
            document.drop_repetitions();
        }
        document
    }

    /// Its searchable fields, all of them, in the order of [`searchable`].
    pub fn fields(&self) -> &[FieldWords] {
        &self.fields
    }

    fn drop_repetitions(&mut self) {
        let mut seen: HashMap<Box<str>, usize> = HashMap::new();
        for slot in self.fields.iter_mut().flat_map(|field| &mut field.slots) {
            let Some(word) = slot else { continue };
            if let Some(count) = seen.get_mut(word) {
                *count += 1;
                if *count > Self::OCCURRENCES_MAX {
                    *slot = None;
                }
            } else {
                seen.insert(word.clone(), 1);
            }
        }
    }
}

impl FieldWords {
    /// The position of the field in its type.
    pub fn field(&self) -> usize {
        self.field
    }

    /// A word, or nothing where a filler stands, for each position.
    pub fn slots(&self) -> &[Option<Box<str>>] {
        &self.slots
    }

    /// The words with their positions, fillers left out.
    pub fn words(&self) -> impl Iterator<Item = (usize, &str)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(at, slot)| Some((at, slot.as_deref()?)))
    }

    /// All positions as one text: words, and [`FILLER`] where none stands, joined by single spaces.
    pub fn text(&self) -> String {
        let bytes = self
            .slots
            .iter()
            .map(|slot| slot.as_ref().map_or(3, |word| word.len()) + 1);
        let mut text = String::with_capacity(bytes.sum());
        for (at, slot) in self.slots.iter().enumerate() {
            if at > 0 {
                text.push(' ');
            }
            match slot {
                Some(word) => text.push_str(word),
                None => text.push(FILLER),
            }
        }
        text
    }

    fn of(field: usize, value: &Value, left: &mut usize) -> Self {
        let mut words = Self {
            field,
            slots: Vec::new(),
        };
        match value {
            Value::Str(text) => words.add(text, left),
            Value::List(items) => {
                items
                    .iter()
                    .filter_map(Value::as_str)
                    .for_each(|text| words.add(text, left));
            }
            _ => {}
        }
        words
    }

    /// Adds the words of a text, or of one element of a list.
    fn add(&mut self, text: &str, left: &mut usize) {
        let mut gap = !self.slots.is_empty();
        let _ = each_word(text, |word, _| {
            let Some(fewer) = left.checked_sub(1) else {
                return ControlFlow::Break(());
            };
            *left = fewer;
            if std::mem::take(&mut gap) {
                self.slots.push(None);
            }
            self.slots.push(Some(word.into()));
            ControlFlow::Continue(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ABOUT, NAME, TAGS, app, row};
    use super::*;

    fn texts(name: &str, tags: &[&str], about: &str) -> Vec<String> {
        let document = Document::of(&app(), &row(name, tags, about));
        document.fields().iter().map(FieldWords::text).collect()
    }

    #[test]
    fn orders_fields_by_weight_with_text_last_and_leaves_out_secrets() {
        assert_eq!(searchable(&app()), [NAME, TAGS, ABOUT]);
        assert_eq!(
            texts("My App", &["x"], "Of mine."),
            ["my app", "x", "of mine"]
        );
    }

    #[test]
    fn puts_a_gap_between_elements_that_have_words() {
        let rows: &[(&[&str], &str)] = &[
            (&[], ""),
            (&["a b"], "a b"),
            (&["a", "b c", "d"], "a \u{f8ff} b c \u{f8ff} d"),
            (&["+", "a", "", "-", "b", "!"], "a \u{f8ff} b"),
        ];
        for (tags, text) in rows {
            assert_eq!(texts("", tags, "")[1], *text, "{tags:?}");
        }
    }

    #[test]
    fn takes_nothing_from_unset_fields() {
        let mut row = row("", &[], "");
        row.values.fill(Value::Null);
        let document = Document::of(&app(), &row);
        assert_eq!(document.fields().len(), 3);
        assert!(
            document
                .fields()
                .iter()
                .all(|field| field.slots().is_empty())
        );
    }

    #[test]
    fn counts_words_up_to_the_cap_and_gaps_not() {
        let about: String = (0..16_000).map(|n| format!("w{n} ")).collect();
        let document = Document::of(&app(), &row("one two", &["three", "four"], &about));
        let counts: Vec<usize> = document
            .fields()
            .iter()
            .map(|f| f.words().count())
            .collect();
        assert_eq!(counts, [2, 2, 15_996]);
        assert_eq!(document.fields()[1].slots().len(), 3);
        assert_eq!(
            document.fields()[2].words().last(),
            Some((15_995, "w15995"))
        );

        let tags: Vec<&str> =
            std::iter::repeat_n("a b c d e f g h i j k l m n o p q", 950).collect();
        let document = Document::of(&app(), &row("", &tags, "late"));
        assert_eq!(document.fields()[1].slots().len(), 16_000 + 941);
        assert!(document.fields()[2].slots().is_empty());
    }

    #[test]
    fn counts_a_word_up_to_its_cap_over_all_fields() {
        let document = Document::of(&app(), &row("a", &["a a", "a"], &"a b ".repeat(300)));
        let count = |field: usize, word: &str| {
            document.fields()[field]
                .words()
                .filter(|(_, found)| *found == word)
                .count()
        };
        assert_eq!(
            (count(0, "a"), count(1, "a"), count(2, "a"), count(2, "b")),
            (1, 3, 251, 255)
        );
        let about = document.fields()[2].slots();
        assert_eq!(about.len(), 600);
        assert!(about[250 * 2].is_some() && about[251 * 2].is_none());
        assert!(about[254 * 2 + 1].is_some() && about[255 * 2 + 1].is_none());
    }

    #[test]
    fn words_past_their_cap_still_count_as_words_of_the_object() {
        let about = format!("{}last over", "a ".repeat(15_999));
        let document = Document::of(&app(), &row("", &[], &about));
        let words: Vec<_> = document.fields()[2].words().skip(255).collect();
        assert_eq!(words, [(15_999, "last")]);
    }
}
