//! Where the terms of a query occur, from the postings of one part of a segment.

use std::ops::ControlFlow;

use osis_core::table::Clock;
use osis_core::text::{Lengths, Term};
use tantivy::postings::{BlockSegmentPostings, Postings as _, SegmentPostings, TermInfo};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet as _, InvertedIndexReader};

use super::bits::Bits;
use super::error::{Failure, Outcome};
use super::segments::Segment;
use super::shape::TextField;

/// Whether limits are such that small tests meet them; measurements are built for release.
pub(super) const SMALL: bool = cfg!(all(test, debug_assertions));

/// Some documents of a segment that follow each other: what is looked at in one go, so that a
/// search needs no more memory on a large segment than on a small one.
#[derive(Debug)]
pub(super) struct Part<'a> {
    /// The segment.
    pub(super) segment: &'a Segment,
    /// Its first document.
    pub(super) base: DocId,
    /// Which of them count, the first one being 0.
    pub(super) alive: Bits,
    len: usize,
}

impl<'a> Part<'a> {
    /// So many documents make a part, a multiple of 64; few in tests, lest they need that many.
    pub(super) const MAX: u32 = if SMALL { 1 << 7 } else { 1 << 17 };

    /// The parts of a segment, without some documents that do not count, which rise.
    pub(super) fn of(segment: &'a Segment, gone: &'a [DocId]) -> impl Iterator<Item = Self> + 'a {
        let end = segment.reader.max_doc();
        (0..end).step_by(Self::MAX as usize).map(move |base| {
            let len = (end - base).min(Self::MAX) as usize;
            let mut alive = match &segment.alive {
                Some(words) => {
                    let first = base as usize / 64;
                    Bits::of(&words[first..first + len.div_ceil(64)])
                }
                None => Bits::all(len),
            };
            let from = gone.partition_point(|doc| *doc < base);
            for doc in &gone[from..] {
                let place = (*doc - base) as usize;
                if place >= len {
                    break;
                }
                alive.remove(place);
            }
            Self {
                segment,
                base,
                alive,
                len,
            }
        })
    }

    /// How many documents it spans.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn end(&self) -> DocId {
        self.base + self.len as DocId
    }

    /// The place of a document in it.
    fn place(&self, doc: DocId) -> usize {
        (doc - self.base) as usize
    }
}

/// Where one term occurs in a part.
#[derive(Debug)]
pub(super) struct Found {
    /// The documents that have it.
    pub(super) places: Bits,
    /// How much it counts in each of them, in their order; empty where nobody asked.
    pub(super) weights: Vec<f64>,
}

/// Room that the terms of a search share.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Occurrences in one field, by place; 0 between uses.
    times: Vec<u32>,
    /// Where `times` is not 0.
    touched: Bits,
    /// Weights by place; 0 between uses.
    pub(super) sums: Vec<f64>,
}

impl Scratch {
    /// For parts that span no more than `len`.
    pub(super) fn new(len: usize) -> Self {
        Self {
            times: vec![0; len],
            touched: Bits::none(len),
            sums: vec![0.0; len],
        }
    }

    fn add(&mut self, place: usize, times: u32) {
        self.times[place] += times;
        self.touched.insert(place);
    }
}

/// Looks a term up in the fields of its type; with `lengths`, also how much it counts.
pub(super) fn look(
    part: &Part<'_>,
    term: &Term,
    fields: &[TextField],
    lengths: Option<&Lengths>,
    scratch: &mut Scratch,
    clock: Clock,
) -> Outcome<Found> {
    let mut places = Bits::none(part.len());
    for (order, field) in fields.iter().enumerate() {
        if term.field.is_some_and(|only| only != field.position) {
            continue;
        }
        clock.check()?;
        count(part, term, field.words, scratch, clock)?;
        for place in scratch.touched.iter() {
            let times = u64::from(std::mem::take(&mut scratch.times[place]));
            if !part.alive.has(place) {
                continue;
            }
            places.insert(place);
            if let Some(lengths) = lengths {
                let column = &part.segment.lengths[order];
                let slots = column.get_val(part.base + place as DocId);
                scratch.sums[place] += lengths.weigh(order, times, slots);
            }
        }
        scratch.touched.clear();
    }
    let mut weights = Vec::new();
    if lengths.is_some() {
        weights.reserve_exact(usize::try_from(places.count()).unwrap_or(0));
        weights.extend(places.iter().map(|n| std::mem::take(&mut scratch.sums[n])));
    }
    Ok(Found { places, weights })
}

/// Whether a word occurs in one of the fields of its type.
pub(super) fn occurs(part: &Part<'_>, word: &str, fields: &[TextField]) -> Outcome<bool> {
    for field in fields {
        let words = part.segment.reader.inverted_index(field.words)?;
        let Some(info) = words.terms().get(word)? else {
            continue;
        };
        let mut postings = words.read_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
        let mut doc = seek(&mut postings, part.base);
        while doc < part.end() {
            if part.alive.has(part.place(doc)) {
                return Ok(true);
            }
            doc = postings.advance();
        }
    }
    Ok(false)
}

/// Counts the occurrences of a term in one field.
fn count(
    part: &Part<'_>,
    term: &Term,
    field: Field,
    scratch: &mut Scratch,
    clock: Clock,
) -> Outcome<()> {
    let Some((last, first)) = term.words.split_last() else {
        return Ok(());
    };
    let words = part.segment.reader.inverted_index(field)?;
    match (first, term.prefix) {
        ([], false) => {
            let Some(info) = words.terms().get(last)? else {
                return Ok(());
            };
            let mut block = open_block(&words, &info)?;
            count_block(part, &mut block, scratch);
            Ok(())
        }
        ([], true) => {
            let mut block: Option<BlockSegmentPostings> = None;
            each_beginning(&words, last, |info| {
                clock.check()?;
                let block = match &mut block {
                    Some(block) => {
                        words.reset_block_postings_from_terminfo(info, block)?;
                        block
                    }
                    None => block.insert(open_block(&words, info)?),
                };
                count_block(part, block, scratch);
                Ok(())
            })
        }
        (_, false) => phrase(part, &words, &term.words, clock, |doc, starts| {
            scratch.add(part.place(doc), starts.len() as u32);
        }),
        (_, true) => {
            let mut begun = Begun::default();
            let offset = first.len() as u32;
            phrase(part, &words, first, clock, |doc, starts| {
                begun.add(doc, starts.iter().map(|start| start + offset));
            })?;
            if begun.docs.is_empty() {
                return Ok(());
            }
            each_beginning(&words, last, |info| {
                clock.check()?;
                let option = IndexRecordOption::WithFreqsAndPositions;
                let mut postings = words.read_postings_from_terminfo(info, option)?;
                begun.finish(&mut postings, |doc, times| {
                    scratch.add(part.place(doc), times);
                });
                Ok(())
            })
        }
    }
}

fn open_block(words: &InvertedIndexReader, info: &TermInfo) -> Outcome<BlockSegmentPostings> {
    Ok(words.read_block_postings_from_terminfo(info, IndexRecordOption::WithFreqs)?)
}

/// Adds the occurrences of one word.
fn count_block(part: &Part<'_>, block: &mut BlockSegmentPostings, scratch: &mut Scratch) {
    if part.base > 0 {
        block.seek(part.base);
    }
    let end = part.end();
    loop {
        let (docs, times) = (block.docs(), block.freqs());
        let Some(last) = docs.last() else { break };
        for (doc, times) in docs.iter().zip(times) {
            if (part.base..end).contains(doc) {
                scratch.add(part.place(*doc), *times);
            }
        }
        if *last >= end {
            break;
        }
        block.advance();
    }
}

/// Goes through the words with a beginning.
fn each_beginning(
    words: &InvertedIndexReader,
    beginning: &str,
    mut each: impl FnMut(&TermInfo) -> Outcome<()>,
) -> Outcome<()> {
    let mut range = words.terms().range().ge(beginning);
    let mut end = beginning.as_bytes().to_vec();
    // No byte of UTF-8 is the greatest, so this is the first text behind all with that beginning.
    if let Some(last) = end.last_mut() {
        *last += 1;
        range = range.lt(end);
    }
    let mut stream = range.into_stream()?;
    while stream.advance() {
        each(stream.value())?;
    }
    Ok(())
}

/// Finds words that follow each other, with the positions at which they begin.
fn phrase(
    part: &Part<'_>,
    words: &InvertedIndexReader,
    wanted: &[String],
    clock: Clock,
    mut each: impl FnMut(DocId, &[u32]),
) -> Outcome<()> {
    let mut lists: Vec<(u32, SegmentPostings)> = Vec::with_capacity(wanted.len());
    for (offset, word) in wanted.iter().enumerate() {
        let Some(info) = words.terms().get(word)? else {
            return Ok(());
        };
        let option = IndexRecordOption::WithFreqsAndPositions;
        let mut postings = words.read_postings_from_terminfo(&info, option)?;
        seek(&mut postings, part.base);
        lists.push((offset as u32, postings));
    }
    // The rarest one leads.
    lists.sort_by_key(|(_, postings)| postings.doc_freq());
    let Some(((offset, rarest), others)) = lists.split_first_mut() else {
        return Ok(());
    };
    let (mut starts, mut positions) = (Vec::new(), Vec::new());
    let mut looked = 0_u32;
    while rarest.doc() < part.end() {
        looked += 1;
        if looked.is_multiple_of(256) {
            clock.check()?;
        }
        let doc = rarest.doc();
        let behind = others
            .iter_mut()
            .try_for_each(|(_, other)| match seek(other, doc) {
                found if found == doc => ControlFlow::Continue(()),
                found => ControlFlow::Break(found),
            });
        if let ControlFlow::Break(next) = behind {
            if next <= doc {
                return Err(Failure::Index("postings do not rise".to_owned()));
            }
            seek(rarest, next);
            continue;
        }
        if part.alive.has(part.place(doc)) {
            rarest.positions(&mut positions);
            starts.clear();
            starts.extend(positions.iter().filter_map(|at| at.checked_sub(*offset)));
            for (offset, other) in others.iter_mut() {
                if starts.is_empty() {
                    break;
                }
                other.positions(&mut positions);
                starts.retain(|start| positions.binary_search(&(start + *offset)).is_ok());
            }
            if !starts.is_empty() {
                each(doc, &starts);
            }
        }
        rarest.advance();
    }
    Ok(())
}

/// The first document from `doc` on; unlike Tantivy's own, this may be asked to stay.
fn seek(postings: &mut SegmentPostings, doc: DocId) -> DocId {
    if postings.doc() < doc {
        postings.seek(doc)
    } else {
        postings.doc()
    }
}

/// Documents with the beginning of a phrase, and the positions at which a last word would end it.
#[derive(Debug, Default)]
struct Begun {
    docs: Vec<DocId>,
    /// Where the positions of each document end.
    ends: Vec<usize>,
    positions: Vec<u32>,
}

impl Begun {
    fn add(&mut self, doc: DocId, positions: impl Iterator<Item = u32>) {
        self.docs.push(doc);
        self.positions.extend(positions);
        self.ends.push(self.positions.len());
    }

    /// How often a word stands where it ends the phrase.
    fn finish(&self, postings: &mut SegmentPostings, mut each: impl FnMut(DocId, u32)) {
        let (mut at, mut found) = (0, Vec::new());
        while let Some(doc) = self.docs.get(at) {
            let next = seek(postings, *doc);
            if next > *doc {
                // Neither side is gone through one by one where the other is far ahead.
                at += self.docs[at..].partition_point(|doc| *doc < next);
                continue;
            }
            postings.positions(&mut found);
            let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            let wanted = &self.positions[from..self.ends[at]];
            let times = wanted
                .iter()
                .filter(|position| found.binary_search(position).is_ok())
                .count();
            if times > 0 {
                each(*doc, times as u32);
            }
            at += 1;
        }
    }
}
