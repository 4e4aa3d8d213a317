//! Values, objects and days as canonical text.
//!
//! One value has one text, so that what has not changed reads the same in every version.

use std::fmt::Write as _;

use base64::Engine as _;
use osis_core::object::Row;
use osis_core::schema::{Column, Type};
use osis_core::value::Value;

/// The width up to which a list stays on one line, in characters, its name included.
const WIDTH_MAX: usize = 100;
/// What an item of a list stands behind, where each has a line of its own.
pub(super) const INDENT: &str = "    ";

/// How far a value may spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Over its line at most: logs and days.
    Line,
    /// As people read it best: texts keep their lines, long lists have a line an item.
    File,
}

/// Columns of a type in the alphabetical order of their names, in which they are written.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    /// Names and what they stand for.
    pub(super) list: Vec<(&'a str, Column)>,
}

impl<'a> Columns<'a> {
    /// The fields.
    pub(super) fn fields(ty: &'a Type) -> Self {
        let fields = ty.fields.iter().enumerate();
        let mut list: Vec<(&str, Column)> = fields
            .map(|(position, field)| (field.name.as_str(), Column::Field(position)))
            .collect();
        list.sort_unstable_by_key(|(name, _)| *name);
        Self { list }
    }

    /// The fields and the system's.
    pub(super) fn all(ty: &'a Type) -> Self {
        let mut columns = Self::fields(ty);
        columns.list.extend([
            ("created_at", Column::CreatedAt),
            ("id", Column::Id),
            ("rev", Column::Rev),
            ("updated_at", Column::UpdatedAt),
        ]);
        columns.list.sort_unstable_by_key(|(name, _)| *name);
        columns
    }

    /// Writes the fields that are set, a line each.
    pub(super) fn put_fields(&self, out: &mut String, values: &[Value]) {
        for (name, column) in &self.list {
            if let Column::Field(position) = column {
                put_line(out, name, &values[*position], Form::Line);
            }
        }
    }

    /// Writes what is set of a row.
    pub(super) fn put_row(&self, out: &mut String, row: &Row, form: Form) {
        for (name, column) in &self.list {
            match column {
                Column::Field(position) => put_line(out, name, &row.values[*position], form),
                _ => put_line(out, name, &row.value(*column), form),
            }
        }
    }
}

/// The block of an object in the file of a day.
pub(super) fn put_block(out: &mut String, ty: &Type, columns: &Columns<'_>, row: &Row) {
    out.push_str("[[");
    out.push_str(&ty.name);
    out.push_str("]]\n");
    columns.put_row(out, row, Form::Line);
}

/// Writes `name = value` with its line break, nothing where the value is null.
pub(super) fn put_line(out: &mut String, name: &str, value: &Value, form: Form) {
    if value.is_null() {
        return;
    }
    out.push_str(name);
    out.push_str(" = ");
    put_value(out, name.len(), value, form);
    out.push('\n');
}

/// Writes the value of a name of some length; nothing where it is null.
pub(super) fn put_value(out: &mut String, name_len: usize, value: &Value, form: Form) {
    match value {
        Value::Null => {}
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        // Writing to a string cannot fail.
        Value::Int(n) => {
            let _ = write!(out, "{n}");
        }
        // Shortest digits that give the same double, always with a dot or an exponent.
        Value::Float(x) => {
            let _ = write!(out, "{x:?}");
        }
        Value::Time(time) => {
            let _ = write!(out, "{time}");
        }
        Value::Str(text) if form == Form::File && text.contains('\n') => put_lines(out, text),
        Value::Str(text) => put_string(out, text),
        Value::List(items) => put_list(out, name_len, items, form),
        Value::Json(text) => put_json(out, text),
        Value::Bytes(bytes) => {
            out.push('"');
            base64::engine::general_purpose::STANDARD.encode_string(bytes, out);
            out.push('"');
        }
    }
}

/// Writes a list: on one line if that is short enough, else an item a line, so that a change of one
/// item is a change of one line.
fn put_list(out: &mut String, name_len: usize, items: &[Value], form: Form) {
    let start = out.len();
    out.push('[');
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push_str(", ");
        }
        put_value(out, 0, item, Form::Line);
    }
    out.push(']');
    let width = name_len + " = ".len() + out[start..].chars().count();
    if form == Form::Line || width <= WIDTH_MAX {
        return;
    }
    out.truncate(start);
    out.push_str("[\n");
    for item in items {
        out.push_str(INDENT);
        put_value(out, 0, item, Form::Line);
        out.push_str(",\n");
    }
    out.push(']');
}

/// Writes a string of one line in double quotes.
pub(super) fn put_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    loop {
        let odd = |b: u8| !(b' '..=b'~').contains(&b) || matches!(b, b'"' | b'\\');
        let (plain, odd) = rest.split_at(rest.bytes().position(odd).unwrap_or(rest.len()));
        out.push_str(plain);
        let mut chars = odd.chars();
        match chars.next() {
            None => break,
            Some(c) if needs_escape(c) => put_escape(out, c),
            Some(c) => out.push(c),
        }
        rest = chars.as_str();
    }
    out.push('"');
}

/// Writes a text over its lines, between `"""`.
///
/// A blank at the end of a line is escaped: editors cut it off, and nobody would see it.
fn put_lines(out: &mut String, text: &str) {
    out.push_str("\"\"\"\n");
    let mut done = 0;
    let mut quotes = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let escaped = match c {
            '\n' => false,
            '\t' => next == Some('\n'),
            _ if c.is_whitespace() && next == Some('\n') => true,
            // Three in a row would end the string, and one at its end would blur where it does.
            '"' => quotes == 2 || next.is_none(),
            _ => needs_escape(c),
        };
        quotes = if c == '"' && !escaped { quotes + 1 } else { 0 };
        if escaped {
            out.push_str(&text[done..at]);
            put_escape(out, c);
            done = at + c.len_utf8();
        }
    }
    out.push_str(&text[done..]);
    out.push_str("\"\"\"");
}

/// Writes JSON in single quotes, where its own need no escape, if it has nothing that forbids that.
fn put_json(out: &mut String, text: &str) {
    let plain = |c: char| c != '\'' && (matches!(c, '"' | '\\') || !needs_escape(c));
    if text.chars().all(plain) {
        out.push('\'');
        out.push_str(text);
        out.push('\'');
    } else {
        put_string(out, text);
    }
}

/// What TOML wants escaped in double quotes, and what cannot be seen or ends a line in some editor
/// though not in TOML: C1 controls, U+2028, U+2029, U+FEFF.
fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '"' | '\\' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn put_escape(out: &mut String, c: char) {
    let short = match c {
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '"' => "\\\"",
        '\\' => "\\\\",
        _ => {
            let _ = write!(out, "\\u{:04X}", u32::from(c));
            return;
        }
    };
    out.push_str(short);
}
