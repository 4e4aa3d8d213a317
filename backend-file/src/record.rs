//! What a process holds in memory of an object: all that is filtered, sorted and looked up by, and
//! where the rest is.

use std::fmt;

use osis_core::object::Row;
use osis_core::schema::Type;
use osis_core::table::Record;
use osis_core::value::Value;
use sha2::{Digest as _, Sha256};

use crate::bodies::Body;

/// One version of one object, as this process holds it.
#[derive(Debug)]
pub(crate) struct Held {
    /// The object without its body: fields of type text, json and bytes are null here.
    pub(crate) row: Row,
    /// Those fields, if any of them is set.
    pub(crate) body: Option<Body>,
    /// Which version it is, among all objects and versions that this cache has seen; rises.
    pub(crate) ordinal: u64,
    /// Tells its content from any other.
    pub(crate) hash: Hash,
}

impl Held {
    /// Its revision and content.
    pub(crate) fn version(&self) -> Version {
        Version {
            rev: self.row.rev,
            hash: self.hash,
        }
    }
}

impl Record for Held {
    fn row(&self) -> &Row {
        &self.row
    }
}

/// One version of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub(crate) struct Version {
    /// Its revision.
    pub(crate) rev: i64,
    /// Its content.
    pub(crate) hash: Hash,
}

/// The first half of the SHA-256 of an object's fields, system fields apart, as
/// [`crate::otoml::fields`] writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub(crate) struct Hash(pub(crate) [u8; 16]);

impl Hash {
    /// Of an object's values.
    pub(crate) fn of(ty: &Type, values: &[Value]) -> Self {
        let whole = Sha256::digest(crate::otoml::fields(ty, values));
        let mut half = [0; 16];
        half.copy_from_slice(&whole[..16]);
        Self(half)
    }

    /// Reads what [`fmt::Display`] shows, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        let is_hex = digits
            .iter()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if digits.len() != 32 || !is_hex {
            return None;
        }
        u128::from_str_radix(text, 16)
            .ok()
            .map(|n| Self(n.to_be_bytes()))
    }
}

/// 32 lower-case hexadecimal digits.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
