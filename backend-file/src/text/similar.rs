//! Which words of a type are like others: for typo correction.

use std::collections::{BTreeMap, BTreeSet};

use osis_core::table::Clock;
use osis_core::text::{Reading, Similar};
use tantivy_fst::Automaton;

use super::error::{Failure, Outcome};
use super::overlay::Overlay;
use super::segments::Committed;
use super::shape::TextField;
use super::terms::{Part, occurs};

/// The words of a type, in an index and beside it.
pub(super) struct Vocabulary<'a> {
    fields: &'a [TextField],
    committed: Option<&'a Committed>,
    parts: Vec<Part<'a>>,
    /// The words that the index lacks.
    extra: BTreeSet<&'a str>,
    clock: Clock,
}

impl<'a> Vocabulary<'a> {
    /// Of an index and what lies beside it.
    pub(super) fn new(
        fields: &'a [TextField],
        committed: Option<&'a Committed>,
        overlay: &'a Overlay,
        clock: Clock,
    ) -> Self {
        let documents = overlay.extra.iter().flat_map(|(_, words)| words.fields());
        Self {
            fields,
            committed,
            parts: overlay.parts(committed),
            extra: documents
                .flat_map(|field| field.words().map(|(_, word)| word))
                .collect(),
            clock,
        }
    }

    /// For each word nothing if it is there, else the words that are like it, sorted.
    pub(super) fn similar(&mut self, words: &[String]) -> Outcome<Vec<Option<Vec<String>>>> {
        let mut wanted: BTreeMap<usize, (Similar, BTreeSet<String>)> = BTreeMap::new();
        let mut found = Vec::with_capacity(words.len());
        for (place, word) in words.iter().enumerate() {
            let is_there = self.has(word)?;
            found.push((!is_there).then(Vec::new));
            if let Some(similar) = Similar::to(word).filter(|_| !is_there) {
                wanted.insert(place, (similar, BTreeSet::new()));
            }
        }
        if wanted.is_empty() {
            return Ok(found);
        }
        for (similar, found) in wanted.values_mut() {
            self.like(similar, found)?;
        }
        for (place, (_, candidates)) in wanted {
            let mut there = Vec::new();
            for word in candidates {
                // The index has words yet of which the last object is gone.
                if self.has(&word)? {
                    there.push(word);
                }
            }
            found[place] = Some(there);
        }
        Ok(found)
    }

    fn has(&self, word: &str) -> Outcome<bool> {
        if self.extra.contains(word) {
            return Ok(true);
        }
        for part in &self.parts {
            self.clock.check()?;
            if occurs(part, word, self.fields)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds the words that are like another one, of objects that are gone too.
    fn like(&mut self, similar: &Similar, found: &mut BTreeSet<String>) -> Outcome<()> {
        let extra = self.extra.iter().filter(|word| similar.accepts(word));
        found.extend(extra.map(|word| (*word).to_owned()));
        let segments = self.committed.map_or(&[][..], |c| &c.segments);
        for segment in segments {
            for field in self.fields {
                self.clock.check()?;
                let words = segment.reader.inverted_index(field.words)?;
                let mut stream = words.terms().search(Nearing(similar)).into_stream()?;
                while stream.advance() {
                    self.clock.tick()?;
                    let word = std::str::from_utf8(stream.key());
                    let word = word.map_err(|_| Failure::Index("a word is no text".to_owned()))?;
                    found.insert(word.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// Reads words byte by byte, as Tantivy's dictionary has them: a trie, of which only the beginnings
/// are looked at that can become words that are like another.
struct Nearing<'a>(&'a Similar);

/// What was read of a word: its whole characters, and the bytes of the next one.
#[derive(Clone)]
struct Read {
    reading: Option<Reading>,
    /// The bits of a character of which bytes are missing.
    bits: u32,
    missing: u32,
}

impl Automaton for Nearing<'_> {
    type State = Read;

    fn start(&self) -> Read {
        Read {
            reading: Some(self.0.begin()),
            bits: 0,
            missing: 0,
        }
    }

    fn is_match(&self, read: &Read) -> bool {
        let is_like = |reading| self.0.is_like(reading);
        read.missing == 0 && read.reading.as_ref().is_some_and(is_like)
    }

    fn can_match(&self, read: &Read) -> bool {
        read.reading.is_some()
    }

    fn accept(&self, read: &Read, byte: u8) -> Read {
        let (bits, missing) = match (read.missing, byte.leading_ones()) {
            (0, 0) => (u32::from(byte), 0),
            (0, length @ 2..=4) => (u32::from(byte) & (0x7f >> length), length - 1),
            (missing, 1) if missing > 0 => (read.bits << 6 | u32::from(byte & 0x3f), missing - 1),
            // No text has such bytes.
            _ => (u32::MAX, 0),
        };
        let reading = match missing {
            0 => {
                let read = read.reading.as_ref().zip(char::from_u32(bits));
                read.and_then(|(reading, c)| self.0.read(reading, c))
            }
            _ => read.reading.clone(),
        };
        Read {
            reading,
            bits,
            missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_are_read_as_characters(word in "[ab漢é🙂]{4,9}", other in "[ab漢é🙂]{0,9}") {
            let similar = Similar::to(&word).unwrap();
            let nearing = Nearing(&similar);
            let bytes = other.bytes();
            let read = bytes.fold(nearing.start(), |read, byte| nearing.accept(&read, byte));
            prop_assert_eq!(nearing.is_match(&read), similar.accepts(&other));
        }
    }
}
