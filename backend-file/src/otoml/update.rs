//! Brings a file that a person may have edited up to date: of an object, or blocks of a day's.
//!
//! The text is not written anew: where a value has changed, its piece of the text is replaced, and
//! every other byte stays. So nothing is lost that TOML does not know of.

use std::ops::Range;

use osis_core::object::Row;
use osis_core::schema::{Column, Type};
use osis_core::value::Value;
use toml_edit::{Document, Item, Key, Table, Value as Toml};

use super::source::Source;
use super::write::{Form, put_line, put_value};
use super::{BlockEdit, Fault, item, list, read};

/// A piece of the body, and what takes its place.
#[derive(Debug)]
pub(super) struct Edit {
    /// The piece; empty where something is inserted.
    pub(super) piece: Range<usize>,
    /// What takes its place.
    pub(super) text: String,
}

/// Lines of the body that belong to one key.
#[derive(Debug)]
struct Lines<'a> {
    name: &'a str,
    lines: Range<usize>,
    /// Whether they begin with a header, `[name]`; otherwise they are at the top of the file.
    header: bool,
    /// Whether they stay.
    kept: bool,
}

/// See [`super::update()`].
///
/// # Errors
/// If the text is no TOML.
pub(super) fn update(source: &Source<'_>, ty: &Type, row: &Row) -> Result<String, Fault> {
    let document = Document::parse(&*source.body);
    let document = document.map_err(|error| source.syntax_fault(&error))?;
    let mut edits = Vec::new();
    let whole = Part {
        source,
        ty,
        form: Form::File,
        begin: 0,
        empty: source.body.len(),
    };
    whole.update(document.as_table(), row, &mut edits);
    Ok(apply(source, edits))
}

/// See [`super::update_day()`].
pub(super) fn update_day(source: &Source<'_>, ty: &Type, blocks: &[BlockEdit]) -> Option<String> {
    let document = Document::parse(&*source.body).ok()?;
    let tables: Vec<&Table> = match document.as_table().get(&ty.name) {
        Some(Item::ArrayOfTables(tables)) => tables.iter().collect(),
        _ => Vec::new(),
    };
    if tables.len() != blocks.len() {
        return None;
    }
    let mut edits = Vec::new();
    for (table, edit) in tables.into_iter().zip(blocks) {
        match edit {
            BlockEdit::Keep => {}
            BlockEdit::Put(row) => {
                let head = source.line_end(table.span()?.start);
                let block = Part {
                    source,
                    ty,
                    form: Form::Line,
                    begin: head,
                    empty: head,
                };
                block.update(table, row, &mut edits);
            }
            BlockEdit::Drop => {
                let mut lines = Vec::new();
                gather_section(source, &ty.name, table, false, &mut lines);
                edits.push(Edit {
                    piece: whole(&lines)?,
                    text: String::new(),
                });
            }
        }
    }
    Some(apply(source, edits))
}

/// From the first to the last of some lines.
fn whole(lines: &[Lines<'_>]) -> Option<Range<usize>> {
    let start = lines.iter().map(|lines| lines.lines.start).min()?;
    let end = lines.iter().map(|lines| lines.lines.end).max()?;
    Some(start..end)
}

/// The part of a file that one object has: all of it, or a block.
struct Part<'a> {
    source: &'a Source<'a>,
    ty: &'a Type,
    form: Form,
    /// Where its lines begin, behind its head.
    begin: usize,
    /// Where the first key goes if there is none.
    empty: usize,
}

impl Part<'_> {
    /// Brings what stands in the part up to date with an object.
    fn update(&self, table: &Table, row: &Row, edits: &mut Vec<Edit>) {
        let source = self.source;
        let mut missing: Vec<(&str, Value)> = super::Columns::all(self.ty)
            .list
            .iter()
            .map(|(name, column)| (*name, row.value(*column)))
            .filter(|(_, value)| !value.is_null())
            .collect();
        let mut lines = Vec::new();
        for (key, item) in read::entries(table) {
            let name = key.get();
            let wanted = missing.iter().position(|(wanted, _)| *wanted == name);
            let kept = wanted.is_some_and(|wanted| {
                let kept = self.keep(key, item, &missing[wanted].1, edits);
                if kept {
                    missing.remove(wanted);
                }
                kept
            });
            gather(source, name, key, item, kept, &mut lines);
        }
        lines.sort_by_key(|lines| lines.lines.start);
        let gone = lines.iter().filter(|lines| !lines.kept);
        edits.extend(gone.map(|lines| Edit {
            piece: lines.lines.clone(),
            text: String::new(),
        }));
        for (name, value) in missing {
            let at = self.place(&lines, name);
            let mut text = String::new();
            put_line(&mut text, name, &value, self.form);
            edits.push(Edit {
                piece: at..at,
                text,
            });
        }
    }

    /// Brings the value under a key up to date, if that can be done in its place.
    fn keep(&self, key: &Key, item: &Item, wanted: &Value, edits: &mut Vec<Edit>) -> bool {
        let body = &*self.source.body;
        let found = match self.ty.column(key.get()) {
            None => None,
            Some(Column::Id) => item.as_str().map(Value::from),
            Some(Column::Rev) => item.as_integer().map(Value::Int),
            Some(Column::CreatedAt | Column::UpdatedAt) => item::time(item, body).map(Value::Time),
            Some(Column::Field(field)) => item::value(&self.ty.fields[field], key, item, body).ok(),
        };
        if found.as_ref() == Some(wanted) {
            return true;
        }
        let Some(piece) = item.as_value().and_then(Toml::span) else {
            return false;
        };
        if let (Some(found), Item::Value(Toml::Array(array))) = (&found, item)
            && let Some(changed) = list::edits(self.source, array, found.items(), wanted.items())
        {
            edits.extend(changed);
            return true;
        }
        let mut text = String::new();
        put_value(&mut text, key.get().len(), wanted, self.form);
        edits.push(Edit { piece, text });
        true
    }

    /// Where the line of a new key goes.
    ///
    /// Behind the last key before it in the alphabet, so above comments that lead to the next one;
    /// where the keys are in no order, behind them all.
    fn place(&self, lines: &[Lines<'_>], name: &str) -> usize {
        let kept: Vec<&Lines<'_>> = lines.iter().filter(|l| l.kept && !l.header).collect();
        let in_order = kept.is_sorted_by_key(|lines| lines.name);
        let behind = if in_order {
            kept.iter().rev().find(|lines| lines.name < name)
        } else {
            kept.last()
        };
        if let Some(behind) = behind {
            return behind.lines.end;
        }
        // Before the first key, or header, that there is, or was.
        let Some(next) = kept.first().copied().or(lines.first()) else {
            return self.empty;
        };
        let start = next.lines.start;
        let ends = lines.iter().map(|lines| lines.lines.end);
        let floor = ends.filter(|end| *end <= start).max();
        above_comments(&self.source.body, floor.unwrap_or(self.begin), start)
    }
}

/// Finds the lines of a key.
fn gather<'a>(
    source: &Source<'_>,
    name: &'a str,
    key: &Key,
    item: &Item,
    kept: bool,
    out: &mut Vec<Lines<'a>>,
) {
    let mut add = |lines, header| {
        out.push(Lines {
            name,
            lines,
            header,
            kept,
        });
    };
    match item {
        Item::None => {}
        Item::Value(value) => add(value_lines(source, key, value), false),
        Item::Table(table) if table.is_implicit() || table.is_dotted() => {
            for (key, item) in read::entries(table) {
                gather(source, name, key, item, kept, out);
            }
        }
        Item::Table(table) => gather_section(source, name, table, kept, out),
        Item::ArrayOfTables(tables) => {
            for table in tables {
                gather_section(source, name, table, kept, out);
            }
        }
    }
}

/// Finds the lines of a table with a header, from there to its last value, and of those in it.
fn gather_section<'a>(
    source: &Source<'_>,
    name: &'a str,
    table: &Table,
    kept: bool,
    out: &mut Vec<Lines<'a>>,
) {
    let span = table.span().unwrap_or_default();
    let mut inner = Vec::new();
    for (key, item) in read::entries(table) {
        gather(source, name, key, item, kept, &mut inner);
    }
    let (sections, values): (Vec<_>, Vec<_>) = inner.into_iter().partition(|lines| lines.header);
    let end = values.iter().map(|lines| lines.lines.end).max();
    out.push(Lines {
        name,
        lines: source.line_start(span.start)..end.unwrap_or(source.line_end(span.end)),
        header: true,
        kept,
    });
    out.extend(sections);
}

fn value_lines(source: &Source<'_>, key: &Key, value: &Toml) -> Range<usize> {
    let start = key.span().unwrap_or_default().start;
    let end = value.span().map_or(start, |span| span.end);
    source.line_start(start)..source.line_end(end)
}

/// Where the comment begins that stands directly above a line, or that line. What is before `floor`
/// belongs to another key: a line of its text may begin with a `#` as well.
fn above_comments(body: &str, floor: usize, mut at: usize) -> usize {
    while let Some(before) = body.get(floor..at).and_then(|b| b.strip_suffix('\n')) {
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        if !before[start..].trim_start().starts_with('#') {
            break;
        }
        at = floor + start;
    }
    at
}

/// The file after all edits.
fn apply(source: &Source<'_>, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| (edit.piece.start, edit.piece.end));
    let line_break = source.line_break();
    let mut out = String::with_capacity(source.text.len() + 64);
    let mut done = 0;
    for edit in edits {
        let start = source.original(edit.piece.start);
        out.push_str(source.text.get(done..start).unwrap_or_default());
        let is_line = edit.piece.is_empty() && edit.text.ends_with('\n');
        if is_line && !out.is_empty() && !out.ends_with(['\n', '\u{feff}']) {
            out.push_str(line_break);
        }
        if line_break == "\n" {
            out.push_str(&edit.text);
        } else {
            out.push_str(&edit.text.replace('\n', line_break));
        }
        done = source.original(edit.piece.end);
    }
    out.push_str(source.text.get(done..).unwrap_or_default());
    out
}
