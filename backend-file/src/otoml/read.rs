//! Reads files of objects and days, and names all that is wrong with them.

use std::ops::RangeInclusive;

use base64::Engine as _;
use osis_core::error::Faults;
use osis_core::input;
use osis_core::json::Json;
use osis_core::object::Id;
use osis_core::schema::{Column, Type};
use osis_core::value::Value;
use toml_edit::{Document, Item, Key, Table};

use super::item::{self, Misfit};
use super::scan::Cursor;
use super::source::Source;
use super::write::Columns;
use super::{Fault, Found};

/// The revisions that an object can have, as in core.
const REVS: RangeInclusive<i64> = 1..=1 << 53;

/// Reads an object from text as the store writes it, without a look at the rules of its fields.
pub(super) fn canonical(ty: &Type, body: &str) -> Option<Found> {
    let mut cursor = Cursor::new(body);
    let found = cursor.object(ty, &Columns::all(ty)).ok()?;
    cursor.is_at_end().then_some(found)
}

/// Whether an object keeps the rules of its fields, and has what it must.
pub(super) fn fits(ty: &Type, found: &Found) -> bool {
    let mut faults = Faults::default();
    let fields = ty.fields.iter().zip(&found.values);
    fields.fold(true, |fits, (field, value)| {
        fits && match value {
            Value::Null => !field.required,
            _ => {
                let checked = json(value)
                    .and_then(|json| input::value(field, &json, &field.name, &mut faults));
                checked.as_ref() == Some(value)
            }
        }
    }) && found.rev.is_none_or(|rev| REVS.contains(&rev))
}

/// What a caller would have given for a value.
fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(n) => Json::Int((*n).into()),
        Value::Float(x) => Json::Float(*x),
        Value::Str(text) => Json::Str(text.to_string()),
        Value::Time(time) => Json::Str(time.to_string()),
        Value::List(items) => Json::Array(items.iter().map(json).collect::<Option<_>>()?),
        Value::Json(text) => Json::parse(text.as_bytes()).ok()?,
        Value::Bytes(bytes) => Json::Str(base64::engine::general_purpose::STANDARD.encode(bytes)),
    })
}

/// Reads the objects of a day from text as the store writes it; nothing if it is other text, or
/// breaks a rule.
pub(super) fn canonical_day(ty: &Type, source: &Source<'_>) -> Option<Vec<Found>> {
    let columns = Columns::all(ty);
    let head = format!("[[{}]]\n", ty.name);
    let mut cursor = Cursor::new(&source.body);
    let mut objects = Vec::new();
    while !cursor.is_at_end() {
        if !objects.is_empty() {
            cursor.line_end().ok()?;
        }
        let line = source.line(cursor.at());
        if !cursor.eat(&head) {
            return None;
        }
        let found = cursor.object(ty, &columns).ok()?;
        if !fits(ty, &found) {
            return None;
        }
        objects.push(Found { line, ..found });
    }
    Some(objects)
}

/// Reads an object from any TOML.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn object(ty: &Type, source: &Source<'_>) -> Result<Found, Vec<Fault>> {
    let document = Document::parse(&*source.body);
    let document = document.map_err(|error| vec![source.syntax_fault(&error)])?;
    let mut misfits = Vec::new();
    let mut found = table(ty, document.as_table(), &source.body, 0, &mut misfits);
    found.line = 1;
    told(source, misfits).map(|()| found)
}

/// Reads the objects of a day from any TOML.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn day(ty: &Type, source: &Source<'_>) -> Result<Vec<Found>, Vec<Fault>> {
    let document = Document::parse(&*source.body);
    let document = document.map_err(|error| vec![source.syntax_fault(&error)])?;
    let mut misfits = Vec::new();
    let mut objects = Vec::new();
    for (key, item) in entries(document.as_table()) {
        match item {
            Item::ArrayOfTables(tables) if key.get() == ty.name => {
                for block in tables {
                    let at = block.span().map_or(0, |span| span.start);
                    let found = table(ty, block, &source.body, at, &mut misfits);
                    objects.push(Found {
                        line: source.line(at),
                        ..found
                    });
                }
            }
            _ => misfits.push((
                item::start(key, item),
                format!("{}: expected nothing but [[{}]] here", key.get(), ty.name),
            )),
        }
    }
    told(source, misfits).map(|()| objects)
}

/// The misfits as faults, in the order of the file.
fn told(source: &Source<'_>, mut misfits: Vec<Misfit>) -> Result<(), Vec<Fault>> {
    if misfits.is_empty() {
        return Ok(());
    }
    misfits.sort_by_key(|(at, _)| *at);
    misfits.truncate(Faults::MAX);
    let faults = misfits.into_iter();
    Err(faults
        .map(|(at, message)| source.fault(at, message))
        .collect())
}

/// The entries of a table with their keys, which know where they stand.
pub(super) fn entries(table: &Table) -> impl Iterator<Item = (&Key, &Item)> {
    table
        .iter()
        .filter_map(|(name, _)| table.get_key_value(name))
}

/// Reads an object from a table that begins at an offset in the body.
fn table(ty: &Type, table: &Table, body: &str, at: usize, misfits: &mut Vec<Misfit>) -> Found {
    let mut found = Found {
        id: None,
        rev: None,
        created_at: None,
        updated_at: None,
        values: vec![Value::Null; ty.fields.len()].into(),
        line: 1,
    };
    for (key, item) in entries(table) {
        let name = key.get();
        let start = item::start(key, item);
        let mut misfit = |expected: &str| misfits.push((start, format!("{name}: {expected}")));
        match ty.column(name) {
            None => {
                let at = key.span().map_or(start, |span| span.start);
                misfits.push((at, format!("{name}: {} has no field of this name", ty.name)));
            }
            Some(Column::Id) => {
                found.id = item.as_str().and_then(Id::parse);
                if found.id.is_none() {
                    misfit(&format!("expected {}", Id::FORM));
                }
            }
            // These are the store's: whatever a person writes there, it is put back.
            Some(Column::Rev) => {
                found.rev = item.as_integer().filter(|rev| REVS.contains(rev));
            }
            Some(Column::CreatedAt) => found.created_at = item::time(item, body),
            Some(Column::UpdatedAt) => found.updated_at = item::time(item, body),
            Some(Column::Field(position)) => {
                match item::value(&ty.fields[position], key, item, body) {
                    // The JSON text `null`.
                    Ok(Value::Null) if ty.fields[position].required => misfit("is required"),
                    Ok(value) => found.values[position] = value,
                    Err(found) => misfits.extend(found),
                }
            }
        }
    }
    for (position, field) in ty.fields.iter().enumerate() {
        if field.required && !table.contains_key(&field.name) {
            match &field.default {
                Some(default) => found.values[position] = default.clone(),
                None => misfits.push((at, format!("{}: is required", field.name))),
            }
        }
    }
    found
}
