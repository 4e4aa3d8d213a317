//! How a store's searchable fields lie in an index.

use std::fmt::Write as _;

use osis_core::schema::{Schema, TypeId};
use osis_core::text::{Document, FILLER, searchable};
use sha2::{Digest as _, Sha256};
use tantivy::TantivyDocument;
use tantivy::schema::{
    Field, IndexRecordOption, NumericOptions, Schema as IndexSchema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use crate::record::Held;

/// Changes with what is written into an index, so that one of an older build is made anew.
const FORMAT: u32 = 1;
/// The name under which [`Slots`] splits texts.
const SLOTS: &str = "slots";

/// How a store's searchable fields lie in an index.
///
/// Each searchable field of each type has a text field of its own, so that a word's postings are
/// of one type only; lengths lie in columns that the types share, by the field's place among the
/// searchable ones.
#[derive(Debug)]
pub(super) struct Shape {
    /// What Tantivy is told.
    pub(super) schema: IndexSchema,
    /// Of each type its searchable fields, in the order of [`searchable`].
    pub(super) types: Vec<Vec<TextField>>,
    /// The ordinal, by which documents are deleted.
    pub(super) ordinal: Field,
    type_id: Field,
    content: Field,
    lengths: Vec<Field>,
    /// Tells this shape from any other.
    hash: String,
}

/// One searchable field of a type.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextField {
    /// Its position in the type.
    pub(super) position: usize,
    /// Where its words are.
    pub(super) words: Field,
}

impl Shape {
    /// The column of ordinals.
    pub(super) const ORDINAL: &str = "ordinal";
    /// The column of types.
    pub(super) const TYPE: &str = "type";
    /// The column of [`content`].
    pub(super) const CONTENT: &str = "content";

    /// Of a store's schema.
    pub(super) fn of(schema: &Schema) -> Self {
        let mut builder = IndexSchema::builder();
        let column = || NumericOptions::default().set_fast();
        let ordinal = builder.add_u64_field(Self::ORDINAL, column().set_indexed());
        let type_id = builder.add_u64_field(Self::TYPE, column());
        let content = builder.add_u64_field(Self::CONTENT, column());
        let words = TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(SLOTS)
                .set_index_option(IndexRecordOption::WithFreqsAndPositions)
                .set_fieldnorms(false),
        );
        let mut told = format!("{FORMAT}");
        let mut types = Vec::with_capacity(schema.types.len());
        for (id, ty) in schema.types.iter().enumerate() {
            let _ = write!(told, "\n{}", ty.name);
            let mut fields = Vec::new();
            for position in searchable(ty) {
                let _ = write!(told, " {}", ty.fields[position].name);
                let words = builder.add_text_field(&format!("{id}.{position}"), words.clone());
                fields.push(TextField { position, words });
            }
            types.push(fields);
        }
        let most = types.iter().map(Vec::len).max().unwrap_or(0);
        let lengths = (0..most)
            .map(|place| builder.add_u64_field(&Self::length(place), column()))
            .collect();
        let mut hash = String::new();
        for byte in Sha256::digest(told) {
            let _ = write!(hash, "{byte:02x}");
        }
        Self {
            schema: builder.build(),
            types,
            ordinal,
            type_id,
            content,
            lengths,
            hash,
        }
    }

    /// The column of lengths of the fields at a place among the searchable ones.
    pub(super) fn length(place: usize) -> String {
        format!("slots{place}")
    }

    /// How many columns of lengths there are.
    pub(super) fn lengths(&self) -> usize {
        self.lengths.len()
    }

    /// Whether objects of a type are in the index.
    pub(super) fn has(&self, type_id: TypeId) -> bool {
        !self.types[type_id].is_empty()
    }

    /// Where the payload of each commit begins, of a cache of that lineage: an index of which it
    /// begins otherwise is another's.
    pub(super) fn payload(&self, lineage: &str) -> String {
        format!("{}\n{lineage}\n", self.hash)
    }

    /// What is indexed of a version of an object.
    pub(super) fn document(
        &self,
        type_id: TypeId,
        held: &Held,
        words: &Document,
    ) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        document.add_u64(self.ordinal, held.ordinal);
        document.add_u64(self.type_id, type_id as u64);
        document.add_u64(self.content, content(held));
        // Each document has each column, so that columns need no table of who is in them.
        for (place, field) in self.lengths.iter().enumerate() {
            let slots = words.fields().get(place).map_or(0, |f| f.slots().len());
            document.add_u64(*field, slots as u64);
        }
        for (field, words) in self.types[type_id].iter().zip(words.fields()) {
            if !words.slots().is_empty() {
                document.add_text(field.words, words.text());
            }
        }
        document
    }
}

/// Tells the content of a version: what an index that was kept has of an ordinal must be of this.
pub(super) fn content(held: &Held) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&held.hash.0[..8]);
    u64::from_le_bytes(bytes)
}

/// Makes the splitting of texts known to an index, which does not keep it.
pub(super) fn register(index: &tantivy::Index) {
    index.tokenizers().register(SLOTS, Slots);
}

/// Takes apart what [`osis_core::text::FieldWords::text`] has put together: words at their
/// positions, none where a filler stands.
#[derive(Debug, Clone)]
struct Slots;

impl Tokenizer for Slots {
    type TokenStream<'a> = SlotStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> SlotStream<'a> {
        SlotStream {
            slots: text.split(' ').enumerate(),
            token: Token::default(),
        }
    }
}

#[derive(Debug)]
struct SlotStream<'a> {
    slots: std::iter::Enumerate<std::str::Split<'a, char>>,
    token: Token,
}

impl TokenStream for SlotStream<'_> {
    fn advance(&mut self) -> bool {
        let word = self.slots.find(|(_, slot)| !slot.starts_with(FILLER));
        let Some((position, word)) = word else {
            return false;
        };
        self.token.position = position;
        self.token.text.clear();
        self.token.text.push_str(word);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
