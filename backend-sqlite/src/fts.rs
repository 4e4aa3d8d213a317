//! A parsed query → what FTS5 reads.
//!
//! FTS5 never sees what a user typed: it gets words that core has made, quoted, in an expression
//! that is bracketed as the query is.
//!
//! Source: <https://www.sqlite.org/fts5.html>, section 3.

use std::collections::BTreeSet;

use osis_core::schema::Type;
use osis_core::text::{Query, Term};
use osis_core::value::Value;
use rusqlite::Connection;

use crate::error::Outcome;
use crate::names;
use crate::sql::Sql;
use crate::statements::TextStatements;

/// What FTS5 is asked.
pub(crate) enum Asked {
    /// The query itself.
    Whole(String),
    /// A query that is nested too deeply for FTS5's parser: all rows with any of its words, of
    /// which those are meant that have these numbers.
    Among(String, Vec<Value>),
}

/// FTS5's parser has a stack of 100 places.
const STACK_MAX: usize = 90;

/// How FTS5 is asked for a query.
pub(crate) fn ask(
    connection: &Connection,
    ty: &Type,
    text: &TextStatements,
    query: &Query,
) -> Outcome<Asked> {
    if stack(query) <= STACK_MAX {
        return Ok(Asked::Whole(expression(ty, query)));
    }
    let wanted: Vec<String> = query
        .wanted()
        .into_iter()
        .map(|term| phrase(ty, term))
        .collect();
    let numbers = numbers(connection, ty, text, query)?;
    let numbers = numbers.into_iter().map(Value::Int).collect();
    Ok(Asked::Among(wanted.join(" OR "), numbers))
}

/// The numbers of the rows that a query means, put together from parts that FTS5 can read.
fn numbers(
    connection: &Connection,
    ty: &Type,
    text: &TextStatements,
    query: &Query,
) -> Outcome<BTreeSet<i64>> {
    let part = |part: &Query| numbers(connection, ty, text, part);
    match query {
        query if stack(query) <= STACK_MAX => {
            let table = &text.table;
            let mut sql = Sql::new(format!("SELECT rowid FROM {table} WHERE {table} MATCH "));
            sql.text(expression(ty, query));
            let found = sql.all(connection, |row| Ok(row.get(0)?))?;
            Ok(found.into_iter().collect())
        }
        Query::And { must, not } => {
            let mut all: Option<BTreeSet<i64>> = None;
            for query in must {
                let found = part(query)?;
                all = Some(match all {
                    Some(all) => all.intersection(&found).copied().collect(),
                    None => found,
                });
            }
            let mut all = all.unwrap_or_default();
            for query in not {
                part(query)?
                    .iter()
                    .for_each(|number| _ = all.remove(number));
            }
            Ok(all)
        }
        Query::Or(sides) => {
            let mut all = BTreeSet::new();
            for query in sides {
                all.extend(part(query)?);
            }
            Ok(all)
        }
        // A term is short.
        Query::Term(_) => Ok(BTreeSet::new()),
    }
}

/// How much of the parser's stack the [`expression`] of a query takes at most: what stands before
/// a part (an operand, an operator, a bracket), and the part.
fn stack(query: &Query) -> usize {
    let join = |parts: &[Query]| {
        let places = parts
            .iter()
            .enumerate()
            .map(|(n, part)| stack(part) + if n == 0 { 1 } else { 3 });
        places.max().unwrap_or(0)
    };
    match query {
        Query::And { must, not } if not.is_empty() => join(must),
        Query::And { must, not } => (1 + join(must)).max(3 + join(not)),
        Query::Or(sides) => join(sides),
        Query::Term(_) => 8,
    }
}

/// A query as FTS5 reads it.
fn expression(ty: &Type, query: &Query) -> String {
    match query {
        Query::And { must, not } => {
            let all = join(ty, must, " AND ");
            match not.as_slice() {
                [] => all,
                not => format!("({all}) NOT ({})", join(ty, not, " OR ")),
            }
        }
        Query::Or(sides) => join(ty, sides, " OR "),
        Query::Term(term) => phrase(ty, term),
    }
}

fn join(ty: &Type, parts: &[Query], operator: &str) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| format!("({})", expression(ty, part)))
        .collect();
    parts.join(operator)
}

fn phrase(ty: &Type, term: &Term) -> String {
    let words: Vec<String> = term.words.iter().map(|word| names::quote(word)).collect();
    let prefix = if term.prefix { " *" } else { "" };
    let scope = term
        .field
        .map(|field| format!("{} : ", names::text_column(ty, field)));
    format!("{}{}{prefix}", scope.unwrap_or_default(), words.join(" + "))
}
