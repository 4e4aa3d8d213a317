//! Objects as the store holds them: an id, the system fields, and one value a field.

use std::borrow::{Borrow, Cow};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::schema::Column;
use crate::time::Time;
use crate::value::Value;

/// The id of an object: 4 to 64 characters of `a-z`, `0-9`, `-`; unique in its type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Arc<str>);

impl Id {
    /// What an id must look like, in words.
    pub const FORM: &'static str = "an id: 4 to 64 characters of a-z, 0-9 and -";

    /// Takes a text as an id, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (4..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        fits.then(|| Self(text.into()))
    }

    /// Takes a text that the store itself wrote as an id.
    pub fn trusted(text: &str) -> Self {
        debug_assert!(Self::parse(text).is_some(), "{text:?} is no id");
        Self(text.into())
    }

    /// Makes a new UUIDv7 for something that happened at `at` (before 1970: at 1970).
    pub fn generate(at: Time) -> Self {
        let ms = u64::try_from(at.as_millis()).unwrap_or(0);
        let stamp = uuid::Timestamp::from_unix_time(
            ms / 1000,
            u32::try_from(ms % 1000).unwrap_or(0) * 1_000_000,
            0,
            0,
        );
        Self(uuid::Uuid::new_v7(stamp).hyphenated().to_string().into())
    }

    /// The UUIDv7 of something that happened at `at` (before 1970: at 1970), with these bits in the
    /// place of chance: the same each time.
    pub fn derived(at: Time, bits: [u8; 10]) -> Self {
        let ms = u64::try_from(at.as_millis()).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(ms, &bits).into_uuid();
        Self(uuid.hyphenated().to_string().into())
    }

    /// The time inside a UUIDv7, or nothing if the id is none.
    pub fn uuid_v7_time(&self) -> Option<Time> {
        let uuid = uuid::Uuid::try_parse(&self.0).ok()?;
        if self.0.len() != 36 || uuid.get_version_num() != 7 {
            return None;
        }
        let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
        Time::from_millis(i64::try_from(seconds).ok()? * 1000 + i64::from(nanos / 1_000_000))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Reads a text that has the form of an id.
impl<'de> serde::Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IdText)
    }
}

struct IdText;

impl serde::de::Visitor<'_> for IdText {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Id::FORM)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Id, E> {
        Id::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

/// One object: its system fields, and its values in the order of its type's fields.
///
/// A row knows no names; [`crate::schema::Type`] gives them. So it binds to SQL, writes as a file
/// and serialises to JSON without looking names up.
///
/// `Serialize` and `Deserialize` are for the private files of engines, where values stand by their
/// positions; what callers see is made by [`crate::output`].
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// The id.
    pub id: Id,
    /// The revision: 1 when new, one more at each change.
    pub rev: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed; never before `created_at`.
    pub updated_at: Time,
    /// One value a field; [`Value::Null`] where unset.
    pub values: Box<[Value]>,
}

impl Row {
    /// The value in a column, system columns included.
    pub fn value(&self, column: Column) -> Value {
        match column {
            Column::Id => Value::Str(self.id.as_str().into()),
            Column::Rev => Value::Int(self.rev),
            Column::CreatedAt => Value::Time(self.created_at),
            Column::UpdatedAt => Value::Time(self.updated_at),
            Column::Field(field) => self.values[field].clone(),
        }
    }

    /// As [`Self::value`], without a copy of what a field holds.
    pub fn seen(&self, column: Column) -> Cow<'_, Value> {
        match column {
            Column::Field(field) => Cow::Borrowed(&self.values[field]),
            system => Cow::Owned(self.value(system)),
        }
    }

    /// How the values of two objects in a column are ordered: as [`Value::order`] has it.
    pub fn order(&self, column: Column, other: &Self) -> Ordering {
        match column {
            Column::Id => self.id.cmp(&other.id),
            Column::Rev => self.rev.cmp(&other.rev),
            Column::CreatedAt => self.created_at.cmp(&other.created_at),
            Column::UpdatedAt => self.updated_at.cmp(&other.updated_at),
            Column::Field(field) => self.values[field].order(&other.values[field]),
        }
    }

    /// How the value in a column is ordered against another value: as [`Value::order`] has it.
    pub fn order_against(&self, column: Column, value: &Value) -> Ordering {
        match (column, value) {
            (Column::Id, Value::Str(id)) => self.id.as_str().cmp(id),
            _ => self.seen(column).order(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_private_files() {
        let row = Row {
            id: Id::trusted("app-0001"),
            rev: 3,
            created_at: Time::MIN,
            updated_at: Time::MAX,
            values: Box::new([
                Value::Null,
                Value::Bool(true),
                Value::Int(i64::MIN),
                Value::Float(0.1),
                Value::from("é\u{1f600}"),
                Value::Time(Time::MAX),
                Value::List(Box::new([Value::from("a"), Value::Int(1)])),
                Value::Json("{}".into()),
                Value::Bytes(Box::new([0, 255])),
            ]),
        };
        let bytes = postcard::to_stdvec(&row).unwrap();
        assert_eq!(postcard::from_bytes::<Row>(&bytes).unwrap(), row);
    }

    #[test]
    fn damaged_ids_and_times_are_refused() {
        for (text, fits) in [("abcd", true), ("abc", false), ("ABCD", false)] {
            let bytes = postcard::to_stdvec(text).unwrap();
            assert_eq!(postcard::from_bytes::<Id>(&bytes).is_ok(), fits, "{text}");
        }
        for (ms, fits) in [(0, true), (i64::MAX, false)] {
            let bytes = postcard::to_stdvec(&ms).unwrap();
            assert_eq!(postcard::from_bytes::<Time>(&bytes).is_ok(), fits, "{ms}");
        }
    }
}
