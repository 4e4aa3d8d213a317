//! A pack: what is left of a segment once the objects in it are in their files.
//!
//! OTOML, a record a line, so that people can read it and a reader need not hold it twice:
//!
//! ```toml
//! O:
//! events = [
//! ]
//! first = 1
//! last = 1003
//! newest = 2026-11-21T07:00:00.000Z
//! records = [
//! [1, "new", "app", "0190f3a2-…", 1, 2026-11-21T07:00:00.000Z],
//! ]
//! schema = "9f2c…"
//! schema_since = 1
//! schema_text = "…"
//! thin = false
//! # end: 1234 bytes, crc32 0a1b2c3d
//! ```
//!
//! `events` are the changes of log types, which make no records; a thin pack has lost them. The
//! comment at the end has the length of all before it and its CRC-32.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use osis_core::backend::ChangeOp;
use osis_core::error::Result;
use osis_core::object::Id;
use osis_core::schema::Schema;
use osis_core::time::Time;

use crate::error::{corrupt, io_error};
use crate::layout::SEGMENT;
use crate::otoml::{Cursor, put_string};

use super::entry::trailer;
use super::{Change, Content, Entry, Log, lock};

/// What is left of a segment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pack {
    /// The first commit in it.
    pub(super) first: u64,
    /// The last one; what comes next begins behind it.
    pub(super) last: u64,
    /// When the newest change in it was made.
    pub(super) newest: Time,
    /// The hash of the schema in force at its end.
    pub(super) schema: String,
    /// The commit with which that came into force, if one of this pack's; else 0.
    pub(super) schema_since: u64,
    /// Its text.
    pub(super) schema_text: String,
    /// Whether the changes of log types were left out.
    pub(super) thin: bool,
    /// The records of the change feed.
    pub(super) records: Vec<Slim>,
    /// The changes of log types.
    pub(super) events: Vec<Slim>,
}

/// A change without the object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slim {
    pub(super) seq: u64,
    pub(super) op: ChangeOp,
    pub(super) type_name: Arc<str>,
    pub(super) id: Id,
    pub(super) rev: i64,
    pub(super) at: Time,
}

/// What is remembered of a pack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Summary {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) newest: Time,
    pub(super) records: usize,
    pub(super) events: usize,
}

impl Slim {
    fn to_change(&self, schema: &Schema) -> Option<Change> {
        Some(Change {
            seq: self.seq,
            type_id: schema.find(&self.type_name)?.id,
            id: self.id.clone(),
            at: self.at,
            op: self.op,
            rev: self.rev,
            was: None,
            content: match self.op {
                ChangeOp::Delete => Content::Gone,
                ChangeOp::New | ChangeOp::Set => Content::Folded,
            },
        })
    }
}

impl Pack {
    /// All from a commit on as one entry; nothing if that cannot be told from it. Changes of types
    /// that the schema does not have are left out.
    pub(super) fn rest(&self, first: u64, schema: &Schema) -> Option<Entry> {
        if self.thin || !(self.first..=self.last).contains(&first) {
            return None;
        }
        let from = |list: &[Slim]| list.partition_point(|slim| slim.seq < first);
        let records = &self.records[from(&self.records)..];
        let events = &self.events[from(&self.events)..];
        let mut changes: Vec<Change> = records
            .iter()
            .chain(events)
            .filter_map(|slim| slim.to_change(schema))
            .collect();
        changes.sort_by_key(|change| change.seq);
        Some(Entry {
            first,
            last: self.last,
            writer: "pack".to_owned(),
            schema: self.schema.clone(),
            new_schema: (self.schema_since >= first).then(|| self.schema_text.clone()),
            changes,
        })
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            first: self.first,
            last: self.last,
            newest: self.newest,
            records: self.records.len(),
            events: self.events.len(),
        }
    }

    /// Its text.
    pub(super) fn encode(&self) -> String {
        let mut text = String::from("O:\n");
        push_list(&mut text, "events", &self.events);
        push(&mut text, "first", &self.first.to_string());
        push(&mut text, "last", &self.last.to_string());
        push(&mut text, "newest", &self.newest.to_string());
        push_list(&mut text, "records", &self.records);
        push(&mut text, "schema", &format!("\"{}\"", self.schema));
        push(&mut text, "schema_since", &self.schema_since.to_string());
        push(&mut text, "schema_text", &quoted(&self.schema_text));
        push(&mut text, "thin", &self.thin.to_string());
        let end = trailer(text.as_bytes());
        text.push_str(&end);
        text
    }

    /// Reads it.
    ///
    /// # Errors
    /// The line, from 1, and what was expected there.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, (usize, &'static str)> {
        let text = std::str::from_utf8(bytes).map_err(|_| (1, "it is not UTF-8"))?;
        let end = text
            .trim_end_matches('\n')
            .rfind('\n')
            .map_or(0, |at| at + 1);
        let (body, tail) = text.split_at(end);
        if tail != trailer(body.as_bytes()) {
            let lines = text.lines().count();
            return Err((lines, "the length and checksum of what is above"));
        }
        let mut lines = Lines {
            lines: body.lines(),
            line: 0,
            types: HashMap::new(),
        };
        lines.exactly("O:")?;
        Ok(Self {
            events: lines.list("events = [")?,
            first: lines.value("first", "a seq", |text| text.parse().ok())?,
            last: lines.value("last", "a seq", |text| text.parse().ok())?,
            newest: lines.value("newest", "a time", Time::parse)?,
            records: lines.list("records = [")?,
            schema: lines.value("schema", "a hash in quotes", unquoted)?,
            schema_since: lines.value("schema_since", "a seq", |text| text.parse().ok())?,
            schema_text: lines.value("schema_text", "a text in quotes", unquoted)?,
            thin: lines.value("thin", "true or false", |text| text.parse().ok())?,
        })
    }
}

fn push(text: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{name} = {value}");
}

fn push_list(text: &mut String, name: &str, list: &[Slim]) {
    push(text, name, "[");
    for slim in list {
        let (op, ty, id) = (slim.op.name(), &slim.type_name, &slim.id);
        let (seq, rev, at) = (slim.seq, slim.rev, slim.at);
        let _ = writeln!(text, "[{seq}, \"{op}\", \"{ty}\", \"{id}\", {rev}, {at}],");
    }
    text.push_str("]\n");
}

/// A text as a string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    put_string(&mut quoted, text);
    quoted
}

fn unquoted(text: &str) -> Option<String> {
    let mut cursor = Cursor::new(text);
    let plain = cursor.string().ok()?.into_owned();
    cursor.is_at_end().then_some(plain)
}

/// The lines of a pack, read one after another.
struct Lines<'a> {
    lines: std::str::Lines<'a>,
    line: usize,
    /// Each type's name is held once.
    types: HashMap<&'a str, Arc<str>>,
}

impl<'a> Lines<'a> {
    fn take(&mut self) -> Result<&'a str, (usize, &'static str)> {
        self.line += 1;
        self.lines.next().ok_or((self.line, "another line"))
    }

    fn exactly(&mut self, wanted: &'static str) -> Result<(), (usize, &'static str)> {
        match self.take()? == wanted {
            true => Ok(()),
            false => Err((self.line, wanted)),
        }
    }

    fn value<T>(
        &mut self,
        name: &'static str,
        wanted: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, (usize, &'static str)> {
        let line = self.take()?;
        let value = line
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(" = "));
        value.and_then(parse).ok_or((self.line, wanted))
    }

    fn list(&mut self, head: &'static str) -> Result<Vec<Slim>, (usize, &'static str)> {
        self.exactly(head)?;
        let mut list: Vec<Slim> = Vec::new();
        loop {
            let line = self.take()?;
            if line == "]" {
                return Ok(list);
            }
            let slim = self.slim(line);
            let slim = slim.filter(|slim| list.last().is_none_or(|last| last.seq <= slim.seq));
            list.push(slim.ok_or((self.line, "a record: seq, op, type, id, rev, at"))?);
        }
    }

    fn slim(&mut self, line: &'a str) -> Option<Slim> {
        let mut parts = line.strip_prefix('[')?.strip_suffix("],")?.split(", ");
        let mut part = || parts.next();
        let bare = |text: &'a str| text.strip_prefix('"')?.strip_suffix('"');
        let seq = part()?.parse().ok()?;
        let op = ChangeOp::parse(bare(part()?)?)?;
        let type_name = bare(part()?)?;
        let type_name = self
            .types
            .entry(type_name)
            .or_insert_with(|| type_name.into());
        Some(Slim {
            seq,
            op,
            type_name: Arc::clone(type_name),
            id: Id::parse(bare(part()?)?)?,
            rev: part()?.parse().ok()?,
            at: Time::parse(part()?)?,
        })
    }
}

impl Log {
    /// A pack by its number; nothing where there is none.
    ///
    /// # Errors
    /// `Corrupt`; those of the file system.
    pub(super) fn read_pack(&self, number: u64) -> Result<Option<Pack>> {
        let path = self.layout.pack(number * SEGMENT);
        let Some(bytes) = self.read_optional(&path)? else {
            return Ok(None);
        };
        let pack = Pack::decode(&bytes)
            .map_err(|(line, wanted)| corrupt(&path, Some(line), &format!("expected {wanted}")))?;
        if pack.first / SEGMENT != number || pack.last < pack.first {
            return Err(corrupt(&path, None, "it is the pack of another segment"));
        }
        lock(&self.summaries).insert(number, pack.summary());
        Ok(Some(pack))
    }

    /// The pack in which an entry with this first seq would be; nothing where there is none.
    ///
    /// # Errors
    /// As [`Self::read_pack`].
    pub(super) fn pack_at(&self, first: u64) -> Result<Option<Pack>> {
        let path = self.layout.pack(first);
        // A look is cheaper than an attempt to read.
        match self.files.stamp(&path) {
            Ok(Some(_)) => self.read_pack(first / SEGMENT),
            Ok(None) => Ok(None),
            Err(error) => Err(io_error(&path, &error)),
        }
    }

    /// What is in a pack, without reading it again; nothing where there is none.
    ///
    /// # Errors
    /// As [`Self::read_pack`].
    pub(super) fn summary(&self, number: u64) -> Result<Option<Summary>> {
        let known = lock(&self.summaries).get(&number).copied();
        match known {
            Some(known) => Ok(Some(known)),
            None => Ok(self.read_pack(number)?.map(|pack| pack.summary())),
        }
    }
}
