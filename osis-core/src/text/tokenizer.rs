//! The tokenizer: the only place that says what a word is.
//!
//! NFKD, marks off, case folded, runs of letters and digits, Han and kana one by one. It works
//! character by character, which gives each word its place in the original text for nothing: what
//! NFKD reorders are marks alone, and those are dropped.

use std::ops::{ControlFlow, Range};

use icu_casemap::CaseMapperBorrowed;
use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::CodePointMapDataBorrowed;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup, Script};

/// Longer words are cut after so many characters.
pub const WORD_CHARS_MAX: usize = 64;

const NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfkd();
const CASE: CaseMapperBorrowed<'static> = CaseMapperBorrowed::new();
const CATEGORY: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapDataBorrowed::new();
const SCRIPT: CodePointMapDataBorrowed<'static, Script> = CodePointMapDataBorrowed::new();
const WORDLIKE: GeneralCategoryGroup =
    GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Number);

/// Shows each word of a text in turn, with the bytes of the text that it stands for, until `visit`
/// breaks off.
///
/// Ranges never run backwards, lie on character boundaries and include the marks that were removed
/// from a word, not what was cut off its end. They may overlap: one character may hold several
/// words (`½` is `1` and `2`), or the end of one word and the beginning of the next.
pub fn each_word(
    text: &str,
    mut visit: impl FnMut(&str, Range<usize>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut run = Run::default();
    for (at, c) in text.char_indices() {
        let place = at..at + c.len_utf8();
        if c.is_ascii_alphanumeric() {
            run.push(c.to_ascii_lowercase(), false, &place, &mut visit)?;
        } else if c.is_ascii() {
            run.end(&mut visit)?;
        } else {
            for part in NFKD.normalize_iter(std::iter::once(c)) {
                run.take(part, &place, &mut visit)?;
            }
        }
    }
    run.end(&mut visit)
}

/// The words of a text.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let _ = each_word(text, |word, _| {
        words.push(word.to_owned());
        ControlFlow::Continue(())
    });
    words
}

/// Whether a character belongs to a word (or is one).
pub(super) fn is_word_char(c: char) -> bool {
    NFKD.normalize_iter(std::iter::once(c))
        .any(|part| WORDLIKE.contains(CATEGORY.get(part)))
}

/// Whether a character is a mark, which words do without.
pub(super) fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(CATEGORY.get(c))
}

/// The word that is being read.
#[derive(Default)]
struct Run {
    word: String,
    chars: usize,
    range: Range<usize>,
    /// The word is one Han or kana character, so the next letter begins another.
    complete: bool,
}

impl Run {
    /// Takes a decomposed character that is not ASCII, or came out of one that is not.
    fn take(
        &mut self,
        part: char,
        place: &Range<usize>,
        visit: &mut impl FnMut(&str, Range<usize>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let category = CATEGORY.get(part);
        if GeneralCategoryGroup::Mark.contains(category) {
            // Behind letters that were cut off, the range has ended already.
            if self.chars > 0 && self.range.end == place.start {
                self.range.end = place.end;
            }
            ControlFlow::Continue(())
        } else if !WORDLIKE.contains(category) {
            self.end(visit)
        } else if category == GeneralCategory::OtherLetter {
            // Letters without case fold to themselves.
            self.push(part, stands_alone(part), place, visit)
        } else {
            let alone = stands_alone(part);
            let mut bytes = [0; 4];
            let folded = CASE.fold_string(part.encode_utf8(&mut bytes));
            folded
                .chars()
                .try_for_each(|c| self.push(c, alone, place, visit))
        }
    }

    fn push(
        &mut self,
        c: char,
        alone: bool,
        place: &Range<usize>,
        visit: &mut impl FnMut(&str, Range<usize>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if alone || self.complete {
            self.end(visit)?;
        }
        if self.chars == 0 {
            self.range.start = place.start;
        }
        if self.chars < WORD_CHARS_MAX {
            self.word.push(c);
            self.chars += 1;
            self.range.end = place.end;
        }
        self.complete = alone;
        ControlFlow::Continue(())
    }

    fn end(
        &mut self,
        visit: &mut impl FnMut(&str, Range<usize>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.chars == 0 {
            return ControlFlow::Continue(());
        }
        let flow = visit(&self.word, self.range.clone());
        self.word.clear();
        self.chars = 0;
        self.complete = false;
        flow
    }
}

fn stands_alone(c: char) -> bool {
    matches!(
        SCRIPT.get(c),
        Script::Han | Script::Hiragana | Script::Katakana
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_texts_into_words() {
        let long = "x".repeat(70);
        let rows: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \t\n-+*~", &[]),
            ("Photo Editor 3", &["photo", "editor", "3"]),
            ("photo-editor_v2", &["photo", "editor", "v2"]),
            ("org.example.Notes", &["org", "example", "notes"]),
            ("C++ o'Neil a@b", &["c", "o", "neil", "a", "b"]),
            (
                "Café CAFE\u{301} naïve Ångström",
                &["cafe", "cafe", "naive", "angstrom"],
            ),
            ("Łódź Øre Đà Nẵng", &["łodz", "øre", "đa", "nang"]),
            ("Straße STRASSE GROẞ", &["strasse", "strasse", "gross"]),
            (
                "İstanbul ISTANBUL ıstanbul",
                &["istanbul", "istanbul", "ıstanbul"],
            ),
            (
                "ﬁne oﬀice ǅungla Ĳsland",
                &["fine", "office", "dzungla", "ijsland"],
            ),
            ("Ὀδυσσεύς ΟΔΥΣΣΕΥΣ ᾼδης", &["οδυσσευσ", "οδυσσευσ", "αδησ"]),
            ("Ёлка ЁЛКА Київ Йод", &["елка", "елка", "киів", "иод"]),
            ("漢字かな", &["漢", "字", "か", "な"]),
            ("Tokyo東京2026年", &["tokyo", "東", "京", "2026", "年"]),
            ("がガｶﾞ", &["か", "カ", "カ"]),
            ("ラーメン", &["ラ", "ー", "メ", "ン"]),
            ("々〇", &["々", "〇"]),
            ("㍿ ㎞", &["株", "式", "会", "社", "km"]),
            (
                "한국",
                &["\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"],
            ),
            ("ภาษาไทย น้ำ", &["ภาษาไทย", "นา"]),
            ("العَرَبِيَّة ﻻ", &["العربية", "لا"]),
            ("ﷺ", &["صلى", "الله", "عليه", "وسلم"]),
            ("हिन्दी", &["हनद"]),
            ("😀 a👩‍💻b 1️⃣", &["a", "b", "1"]),
            ("ｆｕｌｌ ＷＩＤＴＨ１２", &["full", "width12"]),
            ("x² ½ Ⅷ ① ٣", &["x2", "1", "2", "viii", "1", "٣"]),
            (
                "soft\u{ad}hyphen zero\u{200b}width",
                &["soft", "hyphen", "zero", "width"],
            ),
            ("\u{301}", &[]),
            ("a\u{301}\u{302}b", &["ab"]),
            (&long, &[&long[..64]]),
            ("\u{f8ff} \u{e000}", &[]),
        ];
        for (text, expected) in rows {
            assert_eq!(words(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn says_where_a_word_stands() {
        let long = format!("{}\u{301}y\u{301} z", "x".repeat(64));
        let rows: &[(&str, &[&str])] = &[
            ("Ab, cd", &["Ab", "cd"]),
            ("Cafe\u{301}s!", &["Cafe\u{301}s"]),
            ("cafe\u{301}\u{302}.", &["cafe\u{301}\u{302}"]),
            ("か\u{3099}な", &["か\u{3099}", "な"]),
            ("a½b", &["a½", "½b"]),
            ("ﷺ", &["ﷺ", "ﷺ", "ﷺ", "ﷺ"]),
            ("Tokyo東京", &["Tokyo", "東", "京"]),
            (&long, &[&long[..66], "z"]),
        ];
        for (text, expected) in rows {
            let mut found = Vec::new();
            let _ = each_word(text, |_, range| {
                found.push(&text[range]);
                ControlFlow::Continue(())
            });
            assert_eq!(found, *expected, "{text:?}");
        }
    }

    #[test]
    fn stops_when_told() {
        let mut seen = 0;
        let flow = each_word("a b c", |_, _| {
            seen += 1;
            if seen == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert_eq!((flow, seen), (ControlFlow::Break(()), 2));
    }

    /// The rule of the contract, step by step over the whole text.
    fn by_the_letter(text: &str) -> Vec<String> {
        let plain: String = NFKD
            .normalize(text)
            .chars()
            .filter(|c| !is_mark(*c))
            .collect();
        let mut words = vec![String::new()];
        for c in CASE.fold_string(&plain).chars() {
            if !WORDLIKE.contains(CATEGORY.get(c)) {
                words.push(String::new());
            } else if stands_alone(c) {
                words.extend([c.to_string(), String::new()]);
            } else if let Some(word) = words.last_mut() {
                word.push(c);
            }
        }
        words.retain(|word| !word.is_empty());
        words
            .iter()
            .map(|word| word.chars().take(WORD_CHARS_MAX).collect())
            .collect()
    }

    #[test]
    fn every_character_follows_the_letter_and_its_words_are_stable() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            let found = words(&text);
            assert_eq!(found, by_the_letter(&text), "{c:?}");
            for word in &found {
                assert_eq!(words(word), [word.as_str()], "{c:?}");
            }
            assert_eq!(is_word_char(c), !found.is_empty(), "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_follows_the_letter(text in "(\\PC|\\p{L}|\\p{M}|[a-zA-Z0-9 .가각힣ßİ漢か]){0,90}") {
            prop_assert_eq!(words(&text), by_the_letter(&text));
        }

        #[test]
        fn ranges_lie_in_the_text_in_order(text in "(\\PC|\\p{M}|[a-z ½ﷺ漢]){0,40}") {
            let mut last = 0..0;
            let _ = each_word(&text, |word, range| {
                assert!(last.start <= range.start && last.end <= range.end);
                assert!(words(&text[range.clone()]).iter().any(|found| found == word));
                last = range;
                ControlFlow::Continue(())
            });
        }
    }
}
