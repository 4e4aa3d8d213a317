//! An index as one commit left it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use osis_core::schema::TypeId;
use tantivy::columnar::ColumnValues;
use tantivy::index::SegmentId;
use tantivy::schema::{IndexRecordOption, Term};
use tantivy::{BitSet, DocId, DocSet as _, Opstamp, Searcher, SegmentReader};

use super::error::{Failure, Outcome};
use super::shape::Shape;

/// A column of numbers.
pub(super) type Column = Arc<dyn ColumnValues<u64>>;

/// Of each type the slots of its searchable fields, over all its objects.
pub(super) type Totals = Vec<Vec<u64>>;

/// An index as one commit left it; shared by all who search in it.
pub(super) struct Committed {
    /// How this index lies.
    pub(super) shape: Arc<Shape>,
    /// Which index of this process it is of: one more for each that was made.
    pub(super) generation: u64,
    /// Its segments.
    pub(super) segments: Vec<Segment>,
    /// How long the fields are.
    pub(super) totals: Totals,
    /// Keeps the segments' files.
    _searcher: Searcher,
}

/// One segment, with what searches read of it.
pub(super) struct Segment {
    /// Tantivy's own view of it.
    pub(super) reader: SegmentReader,
    /// Which documents count, as bits; without it all.
    pub(super) alive: Option<Arc<[u64]>>,
    /// The ordinals.
    pub(super) ordinals: Column,
    /// The lengths, by the field's place among the searchable ones.
    pub(super) lengths: Vec<Column>,
    /// What `alive` was made of.
    deleted: Option<Opstamp>,
}

/// Where a document is: its segment, by its place in [`Committed::segments`], and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) segment: usize,
    pub(super) doc: DocId,
}

impl Committed {
    /// Opens what a searcher has; what did not change is taken from the commit before.
    pub(super) fn open(
        shape: &Arc<Shape>,
        generation: u64,
        searcher: Searcher,
        totals: Totals,
        before: Option<&Self>,
    ) -> Outcome<Self> {
        let known: HashMap<SegmentId, &Segment> = before
            .into_iter()
            .flat_map(|before| &before.segments)
            .map(|segment| (segment.reader.segment_id(), segment))
            .collect();
        let segments = searcher.segment_readers().iter().map(|reader| {
            let known = known.get(&reader.segment_id()).copied();
            Segment::open(reader.clone(), shape.lengths(), known)
        });
        Ok(Self {
            shape: Arc::clone(shape),
            generation,
            segments: segments.collect::<Outcome<_>>()?,
            totals,
            _searcher: searcher,
        })
    }

    /// How many objects are in it.
    pub(super) fn count(&self) -> u64 {
        let segments = self.segments.iter();
        segments.map(|s| u64::from(s.reader.num_docs())).sum()
    }

    /// Where the version with an ordinal is, if it is there and counts.
    pub(super) fn find(&self, ordinal: u64) -> Outcome<Option<Address>> {
        let term = Term::from_field_u64(self.shape.ordinal, ordinal);
        for (place, segment) in self.segments.iter().enumerate() {
            let column = &segment.ordinals;
            if !(column.min_value()..=column.max_value()).contains(&ordinal) {
                continue;
            }
            let index = segment.reader.inverted_index(self.shape.ordinal)?;
            let postings = index.read_postings(&term, IndexRecordOption::Basic)?;
            let Some(mut postings) = postings else {
                continue;
            };
            // After a start, one of which nobody knew any more may stand beside, deleted.
            while postings.doc() != tantivy::TERMINATED {
                let doc = postings.doc();
                if segment.is_alive(doc) {
                    return Ok(Some(Address {
                        segment: place,
                        doc,
                    }));
                }
                postings.advance();
            }
        }
        Ok(None)
    }

    /// How long the fields of a document of a type are.
    pub(super) fn lengths(&self, type_id: TypeId, at: Address) -> impl Iterator<Item = u64> {
        let columns = &self.segments[at.segment].lengths[..self.shape.types[type_id].len()];
        columns.iter().map(move |column| column.get_val(at.doc))
    }

    /// Goes through all documents: ordinal, type, content and where it is.
    pub(super) fn each(
        &self,
        mut each: impl FnMut(u64, u64, u64, Address) -> Outcome<()>,
    ) -> Outcome<()> {
        for (place, segment) in self.segments.iter().enumerate() {
            let types = segment.column(Shape::TYPE)?;
            let contents = segment.column(Shape::CONTENT)?;
            for doc in (0..segment.reader.max_doc()).filter(|doc| segment.is_alive(*doc)) {
                let at = Address {
                    segment: place,
                    doc,
                };
                let ordinal = segment.ordinals.get_val(doc);
                each(ordinal, types.get_val(doc), contents.get_val(doc), at)?;
            }
        }
        Ok(())
    }
}

impl Segment {
    fn open(reader: SegmentReader, lengths: usize, known: Option<&Self>) -> Outcome<Self> {
        let deleted = reader.delete_opstamp();
        let same = known.filter(|known| known.deleted == deleted);
        let alive = match (reader.alive_bitset(), same) {
            (None, _) => None,
            (Some(_), Some(same)) => same.alive.clone(),
            (Some(alive), None) => {
                let mut bits = BitSet::with_max_value_and_full(reader.max_doc());
                bits.intersect_update(alive.bitset());
                let words = 0..reader.max_doc().div_ceil(64);
                Some(
                    words
                        .map(|word| u64::from_le_bytes(bits.tinyset(word).into_bytes()))
                        .collect(),
                )
            }
        };
        let column = |name: &str| column(&reader, name);
        let (ordinals, lengths) = match known {
            Some(known) => (Arc::clone(&known.ordinals), known.lengths.clone()),
            None => (
                column(Shape::ORDINAL)?,
                (0..lengths)
                    .map(|place| column(&Shape::length(place)))
                    .collect::<Outcome<_>>()?,
            ),
        };
        Ok(Self {
            reader,
            alive,
            ordinals,
            lengths,
            deleted,
        })
    }

    fn is_alive(&self, doc: DocId) -> bool {
        let Some(words) = &self.alive else {
            return true;
        };
        words[doc as usize / 64] >> (doc % 64) & 1 == 1
    }

    fn column(&self, name: &str) -> Outcome<Column> {
        column(&self.reader, name)
    }
}

fn column(reader: &SegmentReader, name: &str) -> Outcome<Column> {
    let column = reader.fast_fields().column_first_or_default::<u64>(name)?;
    if column.num_vals() < reader.max_doc() {
        return Err(Failure::Index(format!("column {name} is too short")));
    }
    Ok(column)
}

impl fmt::Debug for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committed")
            .field("generation", &self.generation)
            .field("segments", &self.segments)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("id", &self.reader.segment_id())
            .field("docs", &self.reader.num_docs())
            .finish_non_exhaustive()
    }
}
