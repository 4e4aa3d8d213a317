//! The value of one field.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::time::Time;

/// The value of one field, in the form that its type prescribes.
///
/// A row never holds a form that its field's type does not have: core checks on the way in
/// ([`crate::input`]), engines on the way out of their storage.
///
/// `Serialize` and `Deserialize` are for the private files of engines; what callers see is made by
/// [`crate::output`].
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Value {
    /// Unset.
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `float`: finite, never -0.0
    Float(f64),
    /// `string`, `text`, `enum`, `ref`
    Str(Box<str>),
    /// `time`
    Time(Time),
    /// `list`: of [`Value::Str`] or of [`Value::Int`]
    List(Box<[Value]>),
    /// `json`: its canonical text (keys sorted, no blanks)
    Json(Box<str>),
    /// `bytes`
    Bytes(Box<[u8]>),
}

impl Value {
    /// Whether the field is unset.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a string, text, enum or ref.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an int.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The instant of a time.
    pub fn as_time(&self) -> Option<Time> {
        match self {
            Self::Time(time) => Some(*time),
            _ => None,
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Value] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The order of a column: null lowest, texts by their UTF-8 bytes, numbers and times by size.
    ///
    /// Values of one column have one form; across forms the order is that of the variants.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Str(a), Self::Str(b)) | (Self::Json(a), Self::Json(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => {
                let pairs = a.iter().zip(b.iter());
                pairs
                    .map(|(a, b)| a.order(b))
                    .find(|o| o.is_ne())
                    .unwrap_or(a.len().cmp(&b.len()))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Str(_) => 4,
            Self::Time(_) => 5,
            Self::List(_) => 6,
            Self::Json(_) => 7,
            Self::Bytes(_) => 8,
        }
    }
}

// Floats are finite and never -0.0, so equality is an equivalence and hashing by bits agrees
// with it.
impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Null => {}
            Self::Bool(b) => b.hash(state),
            Self::Int(n) => n.hash(state),
            Self::Float(x) => x.to_bits().hash(state),
            Self::Str(text) | Self::Json(text) => text.hash(state),
            Self::Time(time) => time.hash(state),
            Self::List(items) => items.hash(state),
            Self::Bytes(bytes) => bytes.hash(state),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}
