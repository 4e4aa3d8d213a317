//! Objects as the store holds them: an id, the system fields, and one value a field.

use std::borrow::Borrow;
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

/// One object: its system fields, and its values in the order of its type's fields.
///
/// A row knows no names; [`crate::schema::Type`] gives them. So it binds to SQL, writes as a file
/// and serialises to JSON without looking names up.
#[derive(Debug, Clone, PartialEq)]
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
}
