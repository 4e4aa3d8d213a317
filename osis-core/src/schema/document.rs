//! A schema file as it was written: its values, and where in the text each of them stands.
//!
//! Faults are noted by the TOML path of what is wrong (`types.app.fields.name.type`); the place in
//! the file is looked up when all faults are known. This module knows TOML, and nothing of what a
//! schema may say.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};

use super::parse::Source;
use crate::error::{Error, ErrorKind, Fault, Faults, Result};
use crate::json::Json;

/// A parsed file, and what was found wrong with it so far.
#[derive(Debug)]
pub(super) struct Document<'a> {
    source: &'a Source,
    root: Json,
    places: HashMap<String, Place>,
    faults: RefCell<Vec<(usize, Fault)>>,
}

/// Where a value stands, as offsets in bytes.
#[derive(Debug, Clone, Copy)]
struct Place {
    name: usize,
    value: usize,
    /// Whether it is a TOML date or time, which JSON has as a string.
    is_time: bool,
}

impl<'a> Document<'a> {
    /// Reads TOML. A document that is not TOML is empty and has one fault.
    pub(super) fn parse(source: &'a Source) -> Self {
        let mut document = Self {
            source,
            root: Json::Object(Vec::new()),
            places: HashMap::new(),
            faults: RefCell::default(),
        };
        match DeTable::parse(&source.text) {
            Ok(table) => document.root = document.table(table.get_ref(), ""),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                document.note(offset, "", format!("not valid TOML: {}", error.message()));
            }
        }
        document
    }

    /// The table that the whole file is.
    pub(super) fn root(&self) -> Node<'_> {
        Node {
            document: self,
            json: &self.root,
            path: String::new(),
        }
    }

    fn table(&mut self, table: &DeTable<'_>, path: &str) -> Json {
        let entries = table.iter().map(|(name, value)| {
            let path = join(path, name.get_ref());
            (
                name.get_ref().to_string(),
                self.value(value, name.span().start, path),
            )
        });
        Json::Object(entries.collect())
    }

    fn value(&mut self, value: &toml::Spanned<DeValue<'_>>, name: usize, path: String) -> Json {
        let is_time = matches!(value.get_ref(), DeValue::Datetime(_));
        let place = Place {
            name,
            value: value.span().start,
            is_time,
        };
        let json = match value.get_ref() {
            DeValue::String(text) => Json::Str(text.to_string()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(n) => Json::Int(n.into()),
                    Err(_) => Json::Huge(number.as_str().into()),
                }
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(x) if x.is_finite() => Json::Float(x + 0.0),
                _ => Json::Huge(number.as_str().into()),
            },
            DeValue::Boolean(b) => Json::Bool(*b),
            DeValue::Datetime(time) => Json::Str(time.to_string()),
            DeValue::Array(items) => {
                let items = items.iter().enumerate();
                let items = items
                    .map(|(n, item)| self.value(item, item.span().start, format!("{path}[{n}]")));
                Json::Array(items.collect())
            }
            DeValue::Table(table) => self.table(table, &path),
        };
        self.places.insert(path, place);
        json
    }

    /// The place of a path; of what holds it, if it has none (something is missing there, or
    /// another parser went deeper than TOML does).
    fn place(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(*place);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    fn note(&self, offset: usize, path: &str, message: impl Into<String>) {
        let fault = Fault {
            path: path.to_owned(),
            message: message.into(),
            column: None,
        };
        self.faults.borrow_mut().push((offset, fault));
    }

    /// Takes over the faults of another parser that was given paths of this document.
    pub(super) fn absorb(&self, faults: Faults) {
        if let ErrorKind::Invalid(list) = faults.into_error().kind() {
            for fault in list {
                let offset = self.place(&fault.path).map_or(0, |place| place.value);
                self.note(offset, &fault.path, fault.message.clone());
            }
        }
    }

    /// `shop.toml:12:23`; lines and columns count from 1, columns in characters.
    fn position(&self, offset: usize) -> String {
        let text = &self.source.text;
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before[start..]
            .trim_start_matches('\u{feff}')
            .chars()
            .count()
            + 1;
        format!("{}:{line}:{column}", self.source.file)
    }
}

/// `Ok` if no document has a fault, else one error with all of them, in the order of the files and
/// of their texts.
pub(super) fn finish(documents: &[Document<'_>]) -> Result<()> {
    let mut faults = Vec::new();
    for document in documents {
        let mut noted = document.faults.take();
        noted.sort_by_key(|(offset, _)| *offset);
        faults.extend(noted.into_iter().map(|(offset, fault)| {
            let message = format!("{}: {}", document.position(offset), fault.message);
            Fault { message, ..fault }
        }));
    }
    let Some(first) = faults.first() else {
        return Ok(());
    };
    let message = match faults.len() - 1 {
        0 => first.message.clone(),
        1 => format!("{} (and 1 more fault)", first.message),
        more => format!("{} (and {more} more faults)", first.message),
    };
    faults.truncate(Faults::MAX);
    Err(Error::new(ErrorKind::Invalid(faults), message))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// One value of a document. Whatever it is asked for and is not, it notes as a fault.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    document: &'a Document<'a>,
    /// The value.
    pub(super) json: &'a Json,
    /// Its path from the root.
    pub(super) path: String,
}

impl<'a> Node<'a> {
    /// Notes a fault of this value.
    pub(super) fn fault(&self, message: impl Into<String>) {
        let offset = self
            .document
            .place(&self.path)
            .map_or(0, |place| place.value);
        self.document.note(offset, &self.path, message);
    }

    /// Notes a fault of the name that this value stands under.
    pub(super) fn fault_of_name(&self, message: impl Into<String>) {
        let offset = self
            .document
            .place(&self.path)
            .map_or(0, |place| place.name);
        self.document.note(offset, &self.path, message);
    }

    /// Notes a fault of an entry of this table.
    pub(super) fn fault_of(&self, name: &str, message: impl Into<String>) {
        let path = join(&self.path, name);
        let offset = self.document.place(&path).map_or(0, |place| place.value);
        self.document.note(offset, &path, message);
    }

    /// Notes that a table lacks an entry.
    pub(super) fn fault_missing(&self, name: &str, expected: &str) {
        self.fault_of(name, format!("`{name}` is missing, expected {expected}"));
    }

    /// Lets another parser work, and takes over the faults that it finds.
    pub(super) fn with<T>(&self, parse: impl FnOnce(&str, &mut Faults) -> Option<T>) -> Option<T> {
        let mut faults = Faults::default();
        let parsed = parse(&self.path, &mut faults);
        if faults.is_empty() {
            return parsed;
        }
        self.document.absorb(faults);
        None
    }

    /// Where its name stands, for faults of something else: `shop.toml:12:1`.
    pub(super) fn position(&self) -> String {
        self.document.position(
            self.document
                .place(&self.path)
                .map_or(0, |place| place.name),
        )
    }

    /// The entry of a table; none of anything else.
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        let json = self.json.get(name)?;
        Some(Node {
            document: self.document,
            json,
            path: join(&self.path, name),
        })
    }

    /// The entries of a table, in the order of the file.
    pub(super) fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        let Json::Object(entries) = self.json else {
            self.fault(format!("expected a table, got {}", self.kind()));
            return Vec::new();
        };
        let node = |name: &str, json| Node {
            document: self.document,
            json,
            path: join(&self.path, name),
        };
        entries
            .iter()
            .map(|(name, json)| (name.as_str(), node(name, json)))
            .collect()
    }

    /// Refuses entries with other names than these.
    pub(super) fn allow(&self, names: &[&str]) {
        for (name, node) in self.entries() {
            if !names.contains(&name) {
                node.fault_of_name(format!(
                    "unknown attribute {name:?}, expected one of {}",
                    names.join(", ")
                ));
            }
        }
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Vec<Node<'a>> {
        let Json::Array(items) = self.json else {
            self.fault(format!("expected a list, got {}", self.kind()));
            return Vec::new();
        };
        let node = |(n, json)| Node {
            document: self.document,
            json,
            path: format!("{}[{n}]", self.path),
        };
        items.iter().enumerate().map(node).collect()
    }

    /// A string.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.json {
            Json::Str(text) if !self.is_time() => {
                if text.contains('\0') {
                    self.fault("holds U+0000, which no string may hold");
                    return None;
                }
                Some(text)
            }
            _ => {
                self.fault(format!("expected a string, got {}", self.kind()));
                None
            }
        }
    }

    /// A string that is one of these words; `what` says in the fault what they are.
    pub(super) fn word<T: Clone>(&self, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fault(format!(
                "unknown {what} {text:?}, expected one of {}",
                known.join(", ")
            ));
        }
        found.map(|(_, meaning)| meaning.clone())
    }

    /// A whole number in a range.
    pub(super) fn number(&self, range: &RangeInclusive<u32>) -> Option<u32> {
        let found = match self.json {
            Json::Int(n) => u32::try_from(*n).ok().filter(|n| range.contains(n)),
            _ => None,
        };
        if found.is_none() {
            let got = match self.json {
                Json::Int(n) => n.to_string(),
                _ => self.kind().to_owned(),
            };
            let (least, most) = (range.start(), range.end());
            self.fault(format!(
                "expected a whole number from {least} to {most}, got {got}"
            ));
        }
        found
    }

    /// The string under a name, if there is one.
    pub(super) fn get_text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.text()
    }

    /// The flag under a name; false if there is none.
    pub(super) fn flag(&self, name: &str) -> bool {
        let Some(node) = self.get(name) else {
            return false;
        };
        match node.json {
            Json::Bool(flag) => *flag,
            _ => {
                node.fault(format!("expected true or false, got {}", node.kind()));
                false
            }
        }
    }

    /// Whether it was written as a TOML date or time.
    pub(super) fn is_time(&self) -> bool {
        self.document
            .places
            .get(&self.path)
            .is_some_and(|place| place.is_time)
    }

    /// What it is, for faults.
    pub(super) fn kind(&self) -> &'static str {
        match self.json {
            Json::Object(_) => "a table",
            Json::Str(_) if self.is_time() => "a date or time",
            other => other.kind(),
        }
    }
}
