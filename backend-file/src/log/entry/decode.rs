//! Reads entries.

use std::collections::HashMap;

use osis_core::backend::ChangeOp;
use osis_core::object::Row;
use osis_core::schema::{Schema, TypeId};

use super::{Change, Content, Entry, FORMAT, TRAILER, trailer};
use crate::otoml::{Cursor, Fields, HEAD, Scan};
use crate::record::{Hash, Version};

/// See [`Entry::decode`].
pub(super) fn entry(schema: &Schema, hash: &str, bytes: &[u8]) -> Result<Entry, String> {
    let body = whole(bytes)?;
    if let Ok(text) = std::str::from_utf8(body) {
        return parse(schema, hash, text);
    }
    // The checksum is right, so nobody but another program wrote it.
    Err("is not UTF-8".to_owned())
}

/// See [`Entry::decode_head`].
pub(super) fn start(bytes: &[u8]) -> Result<Entry, String> {
    // A character may be cut in two at the end, far behind the head.
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let mut cursor = Cursor::new(text);
    match head(&mut cursor) {
        Ok(Ok(entry)) => Ok(entry),
        Ok(Err(format)) => Err(format!("is of format {format}")),
        Err(expected) => Err(expected.to_owned()),
    }
}

/// What comes before the last line, if that bears it out.
fn whole(bytes: &[u8]) -> Result<&[u8], String> {
    let line = bytes.strip_suffix(b"\n").map(|bytes| {
        let start = bytes.iter().rposition(|b| *b == b'\n');
        start.map_or(0, |n| n + 1)
    });
    let parts = line.and_then(|at| bytes.split_at_checked(at));
    let Some((body, last)) = parts.filter(|(_, last)| last.starts_with(TRAILER.as_bytes())) else {
        return Err(format!(
            "is torn or damaged: it ends at byte {}, line {}, without the line `{TRAILER}…` that ends an entry",
            bytes.len(),
            line_of(bytes, bytes.len()),
        ));
    };
    let right = trailer(body);
    if last == right.as_bytes() {
        return Ok(body);
    }
    let told = std::str::from_utf8(last).unwrap_or("not UTF-8").trim_end();
    let right = right.trim_end();
    let reason = match first_odd(body) {
        Some(line) => format!(", as in line {line}"),
        None => String::new(),
    };
    Err(format!(
        "is damaged{reason}: its last line is `{told}`, and what is there makes `{right}`"
    ))
}

/// The first line that no entry can have.
fn first_odd(body: &[u8]) -> Option<usize> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => return Some(line_of(body, error.valid_up_to())),
    };
    let known = |line: &str| {
        matches!(line, "O:" | "[[change]]" | "[change.object]") || line.contains(" = ")
    };
    text.lines().position(|line| !known(line)).map(|n| n + 1)
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    let before = bytes.get(..at).unwrap_or(bytes);
    before.iter().filter(|b| **b == b'\n').count() + 1
}

fn parse(schema: &Schema, hash: &str, text: &str) -> Result<Entry, String> {
    let mut cursor = Cursor::new(text);
    let told = |cursor: &Cursor<'_>, expected: &str| {
        let line = line_of(text.as_bytes(), cursor.at());
        format!("line {line}: {expected}")
    };
    let mut entry = match head(&mut cursor) {
        Ok(Ok(entry)) => entry,
        Ok(Err(format)) => {
            return Err(format!(
                "is of format {format}, and this program knows format {FORMAT} alone: a newer osis wrote it"
            ));
        }
        Err(expected) => return Err(told(&cursor, expected)),
    };
    if entry.schema != hash {
        return Ok(entry);
    }
    let mut fields = HashMap::new();
    while !cursor.is_at_end() {
        match change(&mut cursor, schema, &mut fields) {
            Ok(change) => entry.changes.push(change),
            Err(expected) => return Err(told(&cursor, expected)),
        }
    }
    Ok(entry)
}

/// The lines before the first change, or their format if it is another one.
fn head(cursor: &mut Cursor<'_>) -> Scan<Result<Entry, i64>> {
    cursor.expect(HEAD, "expected `O:`")?;
    let first = seq(cursor, "first = ")?;
    cursor.expect("format = ", "expected the format")?;
    let format = cursor.int()?;
    cursor.line_end()?;
    if format != FORMAT {
        return Ok(Err(format));
    }
    let last = seq(cursor, "last = ")?;
    if last < first {
        return Err("expected a last seq that is not below the first");
    }
    let mut new_schema = None;
    if cursor.eat("new_schema = ") {
        new_schema = Some(cursor.string()?.into_owned());
        cursor.line_end()?;
    }
    cursor.expect("schema = ", "expected the hash of a schema")?;
    let schema = cursor.string()?.into_owned();
    cursor.line_end()?;
    cursor.expect("writer = ", "expected who wrote it")?;
    let writer = cursor.string()?.into_owned();
    cursor.line_end()?;
    Ok(Ok(Entry {
        first,
        last,
        writer,
        schema,
        new_schema,
        changes: Vec::new(),
    }))
}

fn change<'a>(
    cursor: &mut Cursor<'_>,
    schema: &'a Schema,
    fields: &mut HashMap<TypeId, Fields<'a>>,
) -> Scan<Change> {
    cursor.expect("[[change]]\nat = ", "expected a change and when it was")?;
    let at = cursor.time()?;
    cursor.line_end()?;
    let folded = cursor.eat("folded = true\n");
    cursor.expect("id = ", "expected an id")?;
    let id = cursor.id()?;
    cursor.line_end()?;
    cursor.expect("op = ", "expected what was done")?;
    let op = ChangeOp::parse(&cursor.string()?).ok_or("expected new, set or delete")?;
    cursor.line_end()?;
    cursor.expect("rev = ", "expected a revision")?;
    let rev = cursor.int()?;
    cursor.line_end()?;
    let seq = seq(cursor, "seq = ")?;
    cursor.expect("type = ", "expected a type")?;
    let name = cursor.string()?;
    let ty = schema
        .find(&name)
        .ok_or("the schema has no type of this name")?;
    cursor.line_end()?;
    let was = cursor.eat("was = ").then(|| version(cursor)).transpose()?;
    let content = if cursor.eat("[change.object]\ncreated_at = ") {
        let created_at = cursor.time()?;
        cursor.line_end()?;
        cursor.expect("updated_at = ", "expected when it was changed")?;
        let updated_at = cursor.time()?;
        cursor.line_end()?;
        let fields = fields.entry(ty.id).or_insert_with(|| Fields::of(ty));
        Content::Full(Row {
            id: id.clone(),
            rev,
            created_at,
            updated_at,
            values: cursor.fields(ty, fields)?,
        })
    } else if folded {
        Content::Folded
    } else {
        Content::Gone
    };
    Ok(Change {
        seq,
        type_id: ty.id,
        id,
        at,
        op,
        rev,
        was,
        content,
    })
}

fn version(cursor: &mut Cursor<'_>) -> Scan<Version> {
    cursor.expect("{ hash = ", "expected a version")?;
    let hash = Hash::parse(&cursor.string()?).ok_or("expected a hash")?;
    cursor.expect(", rev = ", "expected a revision")?;
    let rev = cursor.int()?;
    cursor.expect(" }\n", "expected the end of the line")?;
    Ok(Version { rev, hash })
}

/// A line with the number of a commit.
fn seq(cursor: &mut Cursor<'_>, name: &'static str) -> Scan<u64> {
    cursor.expect(name, "expected the number of a commit")?;
    let seq = u64::try_from(cursor.int()?).map_err(|_| "expected the number of a commit")?;
    cursor.line_end()?;
    Ok(seq)
}
