//! Reads the search language.
//!
//! One pass over the tokens with a stack of open parentheses of its own: time is linear in the
//! length of the query, and depth is bounded before it is taken. It goes on after a fault where
//! it can, so that a caller learns all of them; what is faulty counts as something to search for,
//! lest one fault cause another.

use std::mem;
use std::ops::ControlFlow;

use crate::error::{Error, Faults, Result};
use crate::schema::Type;

use super::document::searchable;
use super::lexer::{Kind, Lexer, Token};
use super::query::{Query, Term};
use super::tokenizer::{is_mark, is_word_char, words};

impl Query {
    /// Reads a query in the search language.
    ///
    /// With `prefix_last`, where the text ends in a bare term (blanks aside), the last word of that
    /// term is a prefix of any length.
    ///
    /// # Errors
    ///
    /// `Invalid`, each fault with path `query` and its column, in the order of the columns.
    pub fn parse(ty: &Type, text: &str, prefix_last: bool) -> Result<Self> {
        if let Some(at) = text.chars().position(|c| c == '\0') {
            let mut faults = Faults::default();
            let message = "U+0000 or an unpaired surrogate, which no text holds";
            faults.add_column("query", at + 1, message.to_owned());
            return Err(faults.into_error());
        }
        let mut parser = Parser::new(ty, prefix_last.then_some(text.trim_end().len()));
        match Lexer::new(text).try_for_each(|token| parser.take(token)) {
            ControlFlow::Continue(()) => parser.finish(),
            ControlFlow::Break(()) => Err(parser.into_error()),
        }
    }
}

struct Parser<'t> {
    ty: &'t Type,
    fields: Vec<usize>,
    /// Where a last term ends whose last word is a prefix.
    typing_end: Option<usize>,
    faults: Vec<(usize, String)>,
    terms: usize,
    /// The query itself.
    root: Group,
    /// What is in parentheses that are still open, outermost first.
    groups: Vec<Group>,
    lead: Lead,
    behind_phrase: bool,
}

/// What was read of a term or group before the words or the parenthesis.
#[derive(Default)]
struct Lead {
    column: Option<usize>,
    excluded: bool,
    field: Option<usize>,
}

/// A query, or what stands in parentheses.
#[derive(Default)]
struct Group {
    /// The column of its parenthesis.
    column: usize,
    lead: Lead,
    sides: Vec<Query>,
    /// The column of the `OR` before the side that is being read.
    or: Option<usize>,
    side: Side,
    faulty: bool,
}

/// What stands between two `OR`s.
#[derive(Default)]
struct Side {
    must: Vec<Query>,
    not: Vec<Query>,
    /// The column of its first token.
    first: Option<usize>,
    /// The column of its first exclusion.
    first_not: Option<usize>,
    faulty: bool,
}

/// How a term ends.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    /// With its last word, without quotes.
    Bare,
    /// With a quote.
    Quote,
    /// With a `*`.
    Star,
    /// In the middle of its last word, which is still being typed.
    Typing,
}

impl<'t> Parser<'t> {
    fn new(ty: &'t Type, typing_end: Option<usize>) -> Self {
        Self {
            ty,
            fields: searchable(ty),
            typing_end,
            faults: Vec::new(),
            terms: 0,
            root: Group::default(),
            groups: Vec::new(),
            lead: Lead::default(),
            behind_phrase: false,
        }
    }

    fn take(&mut self, token: Token<'_>) -> ControlFlow<()> {
        let column = token.column;
        let behind_phrase = mem::take(&mut self.behind_phrase) && token.glued;
        if !matches!(token.kind, Kind::And | Kind::Or | Kind::Close) {
            self.group().side.first.get_or_insert(column);
            self.lead.column.get_or_insert(column);
        }
        match token.kind {
            Kind::Open => return self.open(column),
            Kind::Close => self.close(column),
            // It says what standing side by side says anyway.
            Kind::And => {}
            Kind::Or => self.end_side(Some(column)),
            Kind::Not => {
                self.lead.excluded = !self.lead.excluded;
                self.lead.field = None;
            }
            Kind::Field(name) => self.field(name, column),
            Kind::Bare(text) => {
                self.refuse_tilde(text, column, behind_phrase);
                let ending = match text.ends_with('*') {
                    _ if self.typing_end == Some(token.end) => Ending::Typing,
                    true => Ending::Star,
                    false => Ending::Bare,
                };
                return self.term(words(text), ending, column);
            }
            Kind::Phrase { text, prefix } => {
                self.behind_phrase = true;
                let ending = if prefix { Ending::Star } else { Ending::Quote };
                return self.term(words(text), ending, column);
            }
            Kind::Unclosed => {
                // It took what may have closed the parentheses.
                self.groups.clear();
                self.fault(
                    column,
                    "this quote is never closed; expected another one".into(),
                );
            }
        }
        ControlFlow::Continue(())
    }

    fn open(&mut self, column: usize) -> ControlFlow<()> {
        if self.groups.len() == Query::LEVELS_MAX {
            let most = Query::LEVELS_MAX;
            self.fault(
                column,
                format!("expected at most {most} parentheses within each other"),
            );
            return ControlFlow::Break(());
        }
        let mut lead = mem::take(&mut self.lead);
        lead.field = lead.field.or(self.group().lead.field);
        self.groups.push(Group {
            column,
            lead,
            ..Group::default()
        });
        ControlFlow::Continue(())
    }

    fn close(&mut self, column: usize) {
        if self.groups.is_empty() {
            return self.fault(
                column,
                "this parenthesis closes none; expected a ( before it".into(),
            );
        }
        self.end_side(None);
        let Some(group) = self.groups.pop() else {
            return;
        };
        if group.faulty {
            self.group().side.faulty = true;
        } else {
            self.group().side.add(Query::or(group.sides), &group.lead);
        }
    }

    fn field(&mut self, name: &str, column: usize) {
        self.lead.field = self
            .ty
            .field(name)
            .filter(|field| self.fields.contains(field));
        if self.lead.field.is_none() {
            let (name, of, known) = (shortened(name), &self.ty.name, self.field_names());
            let message = format!("{name} is no searchable field of {of}; expected {known}");
            self.fault(column, message);
        }
    }

    fn field_names(&self) -> String {
        let names = self
            .fields
            .iter()
            .map(|&field| self.ty.fields[field].name.as_str());
        match names.collect::<Vec<_>>().as_slice() {
            [] => "a word".to_owned(),
            [only] => (*only).to_owned(),
            [all @ .., last] => format!("{} or {last}", all.join(", ")),
        }
    }

    /// Adds a term; one without words is left out.
    fn term(&mut self, words: Vec<String>, ending: Ending, column: usize) -> ControlFlow<()> {
        let lead = mem::take(&mut self.lead);
        let [first, more @ ..] = words.as_slice() else {
            return ControlFlow::Continue(());
        };
        let single = more.is_empty();
        self.terms += 1;
        if self.terms > Query::TERMS_MAX {
            self.fault(
                lead.column.unwrap_or(column),
                format!(
                    "this term is one too many; expected at most {}",
                    Query::TERMS_MAX
                ),
            );
            return ControlFlow::Break(());
        }
        if words.len() > Term::WORDS_MAX {
            let most = Term::WORDS_MAX;
            let message = format!("this phrase has too many words; expected at most {most}");
            self.fault(lead.column.unwrap_or(column), message);
            return ControlFlow::Break(());
        }
        let least = Term::PREFIX_CHARS_MIN;
        if ending == Ending::Star && single && first.chars().count() < least {
            let message =
                format!("{first}* is too short; expected {least} characters before the *");
            self.fault(column, message);
        }
        let group = self.group();
        let term = Term {
            prefix: matches!(ending, Ending::Star | Ending::Typing),
            field: lead.field.or(group.lead.field),
            bare: single && ending == Ending::Bare,
            words,
        };
        group.side.add(Query::Term(term), &lead);
        ControlFlow::Continue(())
    }

    fn refuse_tilde(&mut self, text: &str, column: usize, behind_phrase: bool) {
        if let Some(chars) = tilde_behind_word(text, behind_phrase) {
            let message = "expected no ~ behind a word: typo tolerance is always on";
            self.fault(column + chars, message.into());
        }
    }

    /// Ends the side that is being read, at the `OR` in column `next` or at the end of the group.
    fn end_side(&mut self, next: Option<usize>) {
        self.lead = Lead::default();
        let in_parentheses = !self.groups.is_empty();
        let group = self.group();
        let side = mem::take(&mut group.side);
        let or = mem::replace(&mut group.or, next).or(next);
        if side.faulty {
            group.faulty = true;
        } else if side.must.is_empty() {
            group.faulty = true;
            let open = in_parentheses.then_some(group.column);
            let (column, message) = side.what_is_missing(or, open);
            self.note(column, message.to_owned());
        } else {
            group.sides.push(Query::and(side.must, side.not));
        }
    }

    fn finish(mut self) -> Result<Query> {
        let open = mem::take(&mut self.groups);
        if open.is_empty() {
            self.end_side(None);
        }
        for group in open {
            self.fault(
                group.column,
                "this parenthesis is never closed; expected a )".into(),
            );
        }
        if self.faults.is_empty() {
            Ok(Query::or(self.root.sides))
        } else {
            Err(self.into_error())
        }
    }

    fn into_error(mut self) -> Error {
        self.faults.sort();
        // An `OR` may lack both of its sides.
        self.faults.dedup();
        let mut faults = Faults::default();
        for (column, message) in self.faults {
            faults.add_column("query", column, format!("column {column}: {message}"));
        }
        faults.into_error()
    }

    /// The innermost parentheses that are open.
    fn group(&mut self) -> &mut Group {
        self.groups.last_mut().unwrap_or(&mut self.root)
    }

    fn fault(&mut self, column: usize, message: String) {
        self.group().side.faulty = true;
        self.note(column, message);
    }

    fn note(&mut self, column: usize, message: String) {
        if self.faults.len() < Faults::MAX {
            self.faults.push((column, message));
        }
    }
}

impl Side {
    fn add(&mut self, query: Query, lead: &Lead) {
        if lead.excluded {
            self.first_not = self.first_not.or(lead.column);
            self.not.push(query);
        } else {
            self.must.push(query);
        }
    }

    /// Says why a side without anything to search for is wrong, and where.
    fn what_is_missing(&self, or: Option<usize>, open: Option<usize>) -> (usize, &'static str) {
        match (self.first_not, self.first, or, open) {
            (Some(not), ..) => (
                not,
                "only exclusions; expected something to search for beside them",
            ),
            (_, Some(first), ..) => (first, "nothing to search for; expected a letter or digit"),
            (_, _, Some(or), _) => (
                or,
                "this OR lacks a side; expected a term before and behind it",
            ),
            (_, _, _, Some(open)) => (open, "empty parentheses; expected a term between them"),
            _ => (1, "empty; expected a word to search for"),
        }
    }
}

/// How many characters stand before a `~` that is behind a word.
fn tilde_behind_word(text: &str, behind_phrase: bool) -> Option<usize> {
    if !text.contains('~') {
        return None;
    }
    let mut behind = behind_phrase;
    text.chars().position(|c| {
        let found = c == '~' && behind;
        behind = if c == '*' || is_mark(c) {
            behind
        } else {
            is_word_char(c)
        };
        found
    })
}

/// A name for a message, cut where it is longer than any field's.
fn shortened(name: &str) -> String {
    match name.get(..63) {
        Some(start) if start.len() < name.len() => format!("{start}…"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
