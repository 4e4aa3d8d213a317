//! Which words are like another, and finding them among many.
//!
//! Words are read letter by letter, and left as soon as nothing that begins so can be near. Among
//! words in their order, or in a trie, all that begin so are then passed over at once: of a hundred
//! thousand words a few thousand beginnings are looked at.

/// Words from so many characters on may have one typo.
const CHARS_FOR_ONE: usize = 4;
/// Words from so many characters on may have two.
const CHARS_FOR_TWO: usize = 8;
/// The most typos that a word may have.
const TYPOS_MAX: usize = 2;
/// Beginnings of two words are compared where their lengths differ by no more than the typos.
const BAND: usize = 2 * TYPOS_MAX + 1;
/// More typos than any word may have.
const FAR: u8 = TYPOS_MAX as u8 + 1;

/// The words that stand for a mistyped one: those within distance 1, or 2 for a longer one.
///
/// An insertion, a deletion, a substitution and a swap of neighbours count one each (optimal string
/// alignment).
#[derive(Debug, Clone)]
pub struct Similar {
    word: Vec<char>,
    distance: u8,
}

/// How near what was read of a word is to the beginnings of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The distances between what was read and the beginnings of the word that are longer by
    /// -2 to 2 characters.
    row: [u8; BAND],
    /// The same before the last character.
    before: [u8; BAND],
    /// The last character.
    last: char,
    /// How many were read.
    chars: usize,
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
        let mut chars = other.chars();
        let read = chars.try_fold(self.begin(), |reading, c| self.read(&reading, c));
        read.is_some_and(|reading| self.is_like(&reading))
    }

    /// How many characters the words that are meant have at least and at most.
    pub fn chars(&self) -> std::ops::RangeInclusive<usize> {
        let (len, distance) = (self.word.len(), usize::from(self.distance));
        len - distance..=len + distance
    }

    /// Nothing was read yet.
    pub fn begin(&self) -> Reading {
        let mut row = [FAR; BAND];
        for (place, typos) in row[TYPOS_MAX..].iter_mut().zip(0..) {
            *place = typos;
        }
        Reading {
            row,
            before: [FAR; BAND],
            last: '\0',
            chars: 0,
        }
    }

    /// One more character of a word; nothing if no word that begins so is meant.
    pub fn read(&self, reading: &Reading, c: char) -> Option<Reading> {
        let chars = reading.chars + 1;
        let mut row = [FAR; BAND];
        for place in 0..BAND {
            // So many characters of the own word stand against those that were read.
            let Some(len) = (chars + place).checked_sub(TYPOS_MAX) else {
                continue;
            };
            if len > self.word.len() {
                break;
            }
            let added = reading.row.get(place + 1).copied().unwrap_or(FAR) + 1;
            let mut typos = added;
            if let Some(own) = len.checked_sub(1).map(|last| self.word[last]) {
                let left_out = place.checked_sub(1).map_or(FAR, |before| row[before]) + 1;
                let other = reading.row[place] + u8::from(own != c);
                typos = typos.min(left_out).min(other);
                let is_swap =
                    len > 1 && reading.chars > 0 && own == reading.last && self.word[len - 2] == c;
                if is_swap {
                    typos = typos.min(reading.before[place] + 1);
                }
            }
            row[place] = typos.min(FAR);
        }
        let goes_on = row.iter().any(|typos| *typos <= self.distance);
        goes_on.then_some(Reading {
            row,
            before: reading.row,
            last: c,
            chars,
        })
    }

    /// Whether what was read is a word that is meant.
    pub fn is_like(&self, reading: &Reading) -> bool {
        let place = (self.word.len() + TYPOS_MAX).checked_sub(reading.chars);
        let typos = place.and_then(|place| reading.row.get(place));
        typos.is_some_and(|typos| *typos <= self.distance)
    }
}

/// Words in their order, one behind the other in memory.
#[derive(Debug, Default)]
pub struct Vocabulary {
    text: String,
    ends: Vec<usize>,
}

impl Vocabulary {
    /// Adds a word, which must stand behind all others in the order of their bytes; one that is
    /// there already, or does not, is left out.
    pub fn push(&mut self, word: &str) {
        if self.ends.is_empty() || self.word(self.ends.len() - 1) < word {
            self.text.push_str(word);
            self.ends.push(self.text.len());
        }
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The words, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.word(at))
    }

    /// The words that are like another, in their order.
    pub fn like<'v>(&'v self, similar: &Similar) -> Vec<&'v str> {
        let mut found = Vec::new();
        // How near the beginnings of the last word were, each with where it ends.
        let mut readings = vec![(0, similar.begin())];
        let (mut at, mut last) = (0, "");
        while at < self.len() {
            let word = self.word(at);
            let shared = shared_bytes(last, word);
            while readings.len() > 1 && readings.last().is_some_and(|(end, _)| *end > shared) {
                readings.pop();
            }
            last = word;
            match read_on(similar, &mut readings, word) {
                Ok(is_like) => {
                    found.extend(is_like.then_some(word));
                    at += 1;
                }
                Err(beginning) => at = self.behind(at, beginning),
            }
        }
        found
    }

    fn word(&self, at: usize) -> &str {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[from..self.ends[at]]
    }

    /// The first word from `at` on that does not begin so.
    fn behind(&self, at: usize, beginning: &str) -> usize {
        // Steps that double, then halves between the last two.
        let (mut low, mut step) = (at, 1);
        let begins = |n: usize| n < self.len() && self.word(n).starts_with(beginning);
        while begins(low + step - 1) {
            low += step;
            step *= 2;
        }
        let mut high = (low + step - 1).min(self.len());
        while low < high {
            let middle = low.midpoint(high);
            if begins(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Reads a word from the last of some readings on: whether it is like what is looked for, or with
/// which beginning no word is.
fn read_on<'w>(
    similar: &Similar,
    readings: &mut Vec<(usize, Reading)>,
    word: &'w str,
) -> Result<bool, &'w str> {
    let from = readings.last().map_or(0, |(end, _)| *end);
    for (at, c) in word[from..].char_indices() {
        let end = from + at + c.len_utf8();
        let next = readings.last().and_then(|(_, last)| similar.read(last, c));
        readings.push((end, next.ok_or(&word[..end])?));
    }
    Ok(readings
        .last()
        .is_some_and(|(_, reading)| similar.is_like(reading)))
}

/// How many bytes two texts begin with alike.
fn shared_bytes(a: &str, b: &str) -> usize {
    let pairs = a.bytes().zip(b.bytes());
    pairs.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
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

    proptest! {
        #[test]
        fn words_in_order_are_found_as_one_by_one(
            word in "[ab漢é]{4,9}",
            words in prop::collection::btree_set("[ab漢é]{0,9}", 0..200),
        ) {
            let mut vocabulary = Vocabulary::default();
            words.iter().for_each(|word| vocabulary.push(word));
            prop_assert_eq!(vocabulary.len(), words.len());
            let similar = Similar::to(&word).unwrap();
            let accepted: Vec<&str> = words
                .iter()
                .map(String::as_str)
                .filter(|word| similar.accepts(word))
                .collect();
            let by_length = accepted.iter().all(|word| similar.chars().contains(&word.chars().count()));
            prop_assert!(by_length);
            prop_assert_eq!(vocabulary.like(&similar), accepted);
        }
    }

    #[test]
    fn words_out_of_order_are_left_out() {
        let mut vocabulary = Vocabulary::default();
        assert!(vocabulary.is_empty());
        for word in ["ab", "ab", "aa", "b"] {
            vocabulary.push(word);
        }
        assert_eq!(vocabulary.len(), 2);
    }
}
