//! Where a page ended: an opaque text that any replica understands, also after a restart.
//!
//! It holds the position of the last object in the order of the answer, and a fingerprint of the
//! call that it goes with. It is no secret and no capability: what it names is checked like any
//! other parameter.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::json::Json;
use crate::schema::FieldKind;
use crate::time::Time;
use crate::value::Value;

/// Identifies the call that a cursor goes with: its method and whatever decides the order of its
/// answer and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of a method and of what it was asked, as it was understood: two ways to write the same
    /// filter or sort have one fingerprint.
    pub fn of(method: &str, asked: &[&dyn fmt::Debug]) -> Self {
        let mut hash = Sha256::new();
        hash.update(method);
        for part in asked {
            hash.update([0]);
            hash.update(format!("{part:?}"));
        }
        let mut head = [0; 8];
        head.copy_from_slice(&hash.finalize()[..8]);
        Self(u64::from_be_bytes(head))
    }
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// The call that it goes with.
    pub fingerprint: Fingerprint,
    /// The position of the last object.
    pub position: Vec<Value>,
}

impl Cursor {
    /// The text for the client.
    pub fn encode(&self) -> String {
        let position = self.position.iter().map(|value| match value {
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(n) => Json::Int(i128::from(*n)),
            Value::Float(x) => Json::Float(*x),
            Value::Str(text) => Json::Str(text.to_string()),
            Value::Time(time) => Json::Int(i128::from(time.as_millis())),
            // Nothing is sorted by a list, json or bytes.
            Value::Null | Value::List(_) | Value::Json(_) | Value::Bytes(_) => Json::Null,
        });
        let parts = std::iter::once(Json::Int(i128::from(self.fingerprint.0))).chain(position);
        let text = serde_json::to_string(&Json::Array(parts.collect())).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(text)
    }

    /// Reads a client's text back; `kinds` says what each value of the position is.
    ///
    /// # Errors
    /// `invalid` at `cursor` if it is no cursor, or one of another call.
    pub fn decode(text: &str, fingerprint: Fingerprint, kinds: &[&FieldKind]) -> Result<Self> {
        let invalid = |message: &str| Error::invalid("cursor", message);
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| invalid("is no cursor of this store"))?;
        let Ok(Json::Array(parts)) = Json::parse(&bytes) else {
            return Err(invalid("is no cursor of this store"));
        };
        let Some((Json::Int(own), values)) = parts.split_first() else {
            return Err(invalid("is no cursor of this store"));
        };
        if *own != i128::from(fingerprint.0) || values.len() != kinds.len() {
            return Err(invalid("goes with another method, filter, sort or query"));
        }
        let position = values
            .iter()
            .zip(kinds)
            .map(|(json, kind)| typed(json, kind));
        let position: Option<Vec<Value>> = position.collect();
        let position = position.ok_or_else(|| invalid("is no cursor of this store"))?;
        Ok(Self {
            fingerprint,
            position,
        })
    }
}

fn typed(json: &Json, kind: &FieldKind) -> Option<Value> {
    match (kind, json) {
        (_, Json::Null) => Some(Value::Null),
        (FieldKind::Bool, Json::Bool(b)) => Some(Value::Bool(*b)),
        (FieldKind::Int, Json::Int(n)) => i64::try_from(*n).ok().map(Value::Int),
        (FieldKind::Float, _) => crate::input::double(json).map(Value::Float),
        (FieldKind::Time, Json::Int(ms)) => i64::try_from(*ms)
            .ok()
            .and_then(Time::from_millis)
            .map(Value::Time),
        (FieldKind::String | FieldKind::Enum(_) | FieldKind::Ref { .. }, Json::Str(text)) => {
            (!text.contains('\0')).then(|| Value::from(text.as_str()))
        }
        _ => None,
    }
}
