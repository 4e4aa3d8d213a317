//! An object of the original OSIS as one of ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use osis_core::error::{ErrorKind, Faults};
use osis_core::json::Json;
use osis_core::schema::{Field, FieldKind, Type};
use osis_core::value::Value;
use osis_core::{Error, Id, Result, Row, Time, input, output};
use sha2::{Digest as _, Sha256};

use super::map::NameMap;
use super::text::{self, Entry, Fault};

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It cannot be read as an object.
    Unreadable(Fault),
    /// It has a field that the type lacks.
    Unknown(String),
}

/// A file, and what its objects are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    /// The folder that it lies in.
    pub(super) folder: &'a str,
    pub(super) ty: &'a Type,
    pub(super) map: &'a NameMap,
}

/// An object, and the id that it had.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) row: Row,
    pub(super) sid: String,
}

impl Place<'_> {
    /// Reads the object in the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(&self) -> Result<Object, Refusal> {
        let unreadable = |what: String| Refusal::Unreadable((None, what));
        let bytes =
            std::fs::read(self.path).map_err(|e| unreadable(format!("cannot be read: {e}")))?;
        let entries = text::entries(&bytes).map_err(Refusal::Unreadable)?;
        let written = std::fs::metadata(self.path).and_then(|found| found.modified());
        let written = time_of(written.unwrap_or(SystemTime::UNIX_EPOCH));
        self.object(entries, written)
    }

    fn object(&self, entries: Vec<Entry>, written: Time) -> Result<Object, Refusal> {
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        let mut whole: Vec<(String, Json)> = Vec::new();
        let (mut sid, mut created_at, mut updated_at) = (None, None, None);
        for (name, value, line) in entries {
            let at = |what: &str| Refusal::Unreadable((Some(line), format!("{name}: {what}")));
            match name.as_str() {
                "sid" => sid = Some(sid_text(&value).ok_or_else(|| at(SID))?),
                "created_at" => created_at = seconds(&value).map_err(|()| at(TIME))?,
                "updated_at" => updated_at = seconds(&value).map_err(|()| at(TIME))?,
                _ => {
                    let Some(now) = self.map.field(self.folder, &name) else {
                        continue;
                    };
                    let Some(position) = self.ty.field(now) else {
                        return Err(Refusal::Unknown(name));
                    };
                    let field = &self.ty.fields[position];
                    lines.insert(now.to_owned(), line);
                    whole.push((
                        now.to_owned(),
                        adapted(field, value).map_err(|()| at(TIME))?,
                    ));
                }
            }
        }
        let sid = sid.ok_or_else(|| Refusal::Unreadable((None, "has no sid".to_owned())))?;
        self.fill_in(&mut whole, written);
        let created_at = created_at.unwrap_or(written);
        let updated_at = updated_at.unwrap_or(written).max(created_at);
        let id = self.id(&sid, &whole);
        let json = |text: &dyn std::fmt::Display| Json::Str(text.to_string());
        whole.push(("id".to_owned(), json(&id)));
        whole.push(("rev".to_owned(), Json::Int(1)));
        whole.push(("created_at".to_owned(), json(&created_at)));
        whole.push(("updated_at".to_owned(), json(&updated_at)));
        let row = self.checked(whole, &lines).map_err(Refusal::Unreadable)?;
        Ok(Object { row, sid })
    }

    /// Gives fields that are absent what a new object has: defaults, and the file's time where a
    /// time must be.
    fn fill_in(&self, whole: &mut Vec<(String, Json)>, written: Time) {
        for field in &self.ty.fields {
            let given = whole.iter().position(|(name, _)| *name == field.name);
            let is_unset = given.is_none_or(|at| whole[at].1 == Json::Null);
            let value = match (&field.default, &field.kind) {
                (Some(default), _) if given.is_none() => default_json(default),
                (_, FieldKind::Time) if field.required && is_unset => {
                    Some(Json::Str(written.to_string()))
                }
                _ => None,
            };
            if let Some(value) = value {
                whole.retain(|(name, _)| *name != field.name);
                whole.push((field.name.clone(), value));
            }
        }
    }

    /// The id that it has from now on: its SID, or of a log object a UUIDv7 of its time, the same at
    /// each run.
    fn id(&self, sid: &str, whole: &[(String, Json)]) -> String {
        let Some(log) = self.ty.log() else {
            return sid.to_owned();
        };
        let name = &self.ty.fields[log.time].name;
        let happened = whole.iter().find(|(field, _)| field == name);
        let happened = happened.and_then(|(_, value)| Time::parse(value.as_str()?));
        let hash = Sha256::digest(format!("{} {sid}", self.ty.name));
        let mut bits = [0; 10];
        bits.copy_from_slice(&hash[..10]);
        Id::derived(happened.unwrap_or(Time::MIN), bits).to_string()
    }

    fn checked(
        &self,
        whole: Vec<(String, Json)>,
        lines: &BTreeMap<String, usize>,
    ) -> Result<Row, Fault> {
        let mut faults = Faults::default();
        let row = input::row(self.ty, &Json::Object(whole), &self.ty.name, &mut faults);
        let error = match (faults.finish(), row) {
            (Ok(()), Some(row)) => return Ok(row),
            (Err(error), _) => error,
            (Ok(()), None) => Error::invalid(&*self.ty.name, "is no object"),
        };
        let ErrorKind::Invalid(faults) = error.kind() else {
            return Err((None, error.message().to_owned()));
        };
        let field = |path: &str| {
            let rest = path.strip_prefix(&*self.ty.name)?.strip_prefix('.')?;
            rest.split(['.', '[']).next().map(str::to_owned)
        };
        let line = faults.first().and_then(|fault| field(&fault.path));
        let line = line.and_then(|field| lines.get(&field).copied());
        let told: Vec<String> = faults
            .iter()
            .map(|f| format!("{}: {}", f.path, f.message))
            .collect();
        Err((line, told.join("; ")))
    }
}

const SID: &str = "expected a SID: { global_id = N, length = L } or its text";
const TIME: &str = "expected whole seconds since 1970, or YYYY-MM-DD HH:MM:SS";

/// A value as our field takes it.
fn adapted(field: &Field, value: Json) -> Result<Json, ()> {
    match (&field.kind, &value) {
        (FieldKind::Time, _) => {
            let time = seconds(&value)?;
            Ok(time.map_or(Json::Null, |time| Json::Str(time.to_string())))
        }
        (FieldKind::Ref { .. } | FieldKind::String, Json::Object(_)) => {
            Ok(sid_text(&value).map_or(value, Json::Str))
        }
        _ => Ok(value),
    }
}

/// A SID as text, however it is written.
fn sid_text(value: &Json) -> Option<String> {
    let Json::Object(entries) = value else {
        return value.as_str().map(str::to_owned);
    };
    let number = |name: &str| match value.get(name) {
        Some(Json::Int(n)) => u64::try_from(*n).ok(),
        _ => None,
    };
    match (entries.len(), number("global_id"), number("length")) {
        (2, Some(number), Some(length)) => Some(base_36(number, usize::try_from(length).ok()?)),
        _ => None,
    }
}

/// A number in base 36, filled up with zeros to a length.
fn base_36(mut number: u64, length: usize) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.extend(char::from_digit(digit, 36));
        number /= 36;
    }
    // An id of ours is at most so long; more zeros mean nothing.
    while digits.len() < length.min(64) {
        digits.push('0');
    }
    digits.iter().rev().collect()
}

/// A time as the original writes it; nothing where it is unset.
fn seconds(value: &Json) -> Result<Option<Time>, ()> {
    match value {
        Json::Int(0) | Json::Null => Ok(None),
        Json::Int(seconds) => {
            let ms = i64::try_from(*seconds)
                .ok()
                .and_then(|s| s.checked_mul(1000));
            ms.and_then(Time::from_millis).map(Some).ok_or(())
        }
        Json::Str(text) if text.is_empty() => Ok(None),
        Json::Str(text) => {
            let utc = format!("{}Z", text.replacen(' ', "T", 1));
            Time::parse(text)
                .or_else(|| Time::parse(&utc))
                .map(Some)
                .ok_or(())
        }
        _ => Err(()),
    }
}

fn default_json(default: &Value) -> Option<Json> {
    let text = serde_json::to_vec(&output::Plain(default)).ok()?;
    Json::parse(&text).ok()
}

fn time_of(written: SystemTime) -> Time {
    let since = written
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    // Files of the original have whole seconds, and so has every other time of theirs.
    let ms = i64::try_from(since.as_secs())
        .ok()
        .and_then(|s| s.checked_mul(1000));
    ms.and_then(Time::from_millis).unwrap_or(Time::MIN)
}
