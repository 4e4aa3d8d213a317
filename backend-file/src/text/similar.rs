//! Which words of a type are like others: for typo correction.

use std::collections::{BTreeMap, BTreeSet};

use osis_core::table::Clock;
use osis_core::text::Similar;

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
        self.each_word(|word| {
            for (similar, found) in wanted.values_mut() {
                if similar.accepts(word) {
                    found.insert(word.to_owned());
                }
            }
        })?;
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

    /// Shows all words, some more than once.
    fn each_word(&mut self, mut each: impl FnMut(&str)) -> Outcome<()> {
        self.extra.iter().for_each(|word| each(word));
        let segments = self.committed.map_or(&[][..], |c| &c.segments);
        for segment in segments {
            for field in self.fields {
                let words = segment.reader.inverted_index(field.words)?;
                let mut stream = words.terms().stream()?;
                while stream.advance() {
                    self.clock.tick()?;
                    let word = std::str::from_utf8(stream.key());
                    each(word.map_err(|_| Failure::Index("a word is no text".to_owned()))?);
                }
            }
        }
        Ok(())
    }
}
