//! Case folding of keys: how `unique = "fold"` compares.

use icu_casemap::CaseMapperBorrowed;
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointSetDataBorrowed;
use icu_properties::props::DefaultIgnorableCodePoint;

const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
const CASE: CaseMapperBorrowed<'static> = CaseMapperBorrowed::new();
const INVISIBLE: CodePointSetDataBorrowed<'static> =
    CodePointSetDataBorrowed::new::<DefaultIgnorableCodePoint>();

/// Makes the form in which keys compare that are unique regardless of case: NFKC case folding.
///
/// Idempotent. The form may be longer than the text, up to eleven times in bytes (`ﷺ`), and
/// shorter: characters that are not seen (soft hyphens, joiners, variation selectors) are dropped,
/// so that no second `ada@example.org` can be made with one.
///
/// Source: Unicode Standard, section 3.13, `toNFKC_Casefold`.
pub fn fold_key(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut key = fold_once(text);
    // One round is enough for nearly all, two for all that is known; the bound is for what is not.
    for _ in 0..8 {
        let next = fold_once(&key);
        if next == key {
            break;
        }
        key = next;
    }
    key
}

fn fold_once(text: &str) -> String {
    let mut visible = NFKC.normalize(text).into_owned();
    visible.retain(|c| !INVISIBLE.contains(c));
    NFKC.normalize(&CASE.fold_string(&visible)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folds() {
        let rows = [
            ("Ada@Example.ORG", "ada@example.org"),
            ("Straße@X", "strasse@x"),
            ("STRASSE@x", "strasse@x"),
            ("GROẞ", "gross"),
            ("ＡＤＡ＠ｅｘａｍｐｌｅ．ｏｒｇ", "ada@example.org"),
            ("ｶﾞ", "ガ"),
            ("e\u{301}É", "éé"),
            ("ﬁ", "fi"),
            ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
            ("Σίσυφος", "σίσυφοσ"),
            ("\u{1fb3}\u{3b1}\u{345}\u{1fbc}", "αιαιαι"),
            ("İ", "i\u{307}"),
            ("ı", "ı"),
            ("a\u{ad}d\u{200d}a\u{fe0f}", "ada"),
            ("한국", "한국"),
            ("ᏣᎳᎩ", "ᏣᎳᎩ"),
            ("ꮳꮃꭹ", "ᏣᎳᎩ"),
        ];
        for (text, key) in rows {
            assert_eq!(fold_key(text), key, "{text:?}");
        }
    }

    #[test]
    fn every_character_is_settled() {
        for c in '\0'..=char::MAX {
            let key = fold_key(&c.to_string());
            assert_eq!(fold_key(&key), key, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn is_idempotent(text in "(\\PC|\\p{M}|\\p{Lu}|[\u{200d}\u{ad}\u{345}ß가각]){0,20}") {
            let key = fold_key(&text);
            prop_assert_eq!(fold_key(&key), key);
        }
    }
}
