//! Search: what the words of an object are, what a query says, and which objects it finds.
//!
//! Every engine stores the words and positions of a [`Document`] and runs a parsed [`Query`]; none
//! ever splits text or reads a query by itself. So the same objects match everywhere:
//! [`Query::matches`] says which. How an engine looks them up is its own affair.

mod correct;
mod document;
mod fold;
mod highlight;
mod lexer;
mod matcher;
mod parser;
mod print;
mod query;
#[cfg(test)]
mod sample;
mod score;
mod similar;
mod tokenizer;

pub use correct::similar;
pub use document::{Document, FILLER, FieldWords, searchable};
pub use fold::fold_key;
pub use highlight::highlight;
pub use print::Printed;
pub use query::{Query, Term};
pub use score::{Lengths, Ranking};
pub use similar::{Reading, Similar, Vocabulary};
pub use tokenizer::{WORD_CHARS_MAX, each_word, words};
