//! The envelope of JSON-RPC 2.0: what is a request, what is a batch, which id an answer carries.
//!
//! The text is read once, by the store's own strict reader, for every transport. Nothing here
//! knows a method. Members of a request that the specification does not name are tolerated.
//!
//! Source: <https://www.jsonrpc.org/specification>, §4 to §6.

use std::cell::OnceCell;

use osis_core::json::Json;
use serde_json::value::RawValue;

use crate::error::{Reason, WireError};

/// A message of a client.
#[derive(Debug)]
pub(crate) enum Message {
    /// A request, or what stands in place of one.
    One(Entry),
    /// A batch of at least one.
    Many(Vec<Entry>),
}

/// A request, or what stands in place of one.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What its answer carries; a notification has none and gets no answer.
    pub(crate) id: Option<ReplyId>,
    /// What it asks for.
    pub(crate) call: Result<Call, WireError>,
}

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct Call {
    /// The name of the method.
    pub(crate) method: String,
    /// A list or an object, if anything.
    pub(crate) params: Option<Json>,
}

/// The id of a request as JSON text, written as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplyId(Box<str>);

impl ReplyId {
    /// The id of answers to what has none that could be read.
    pub(crate) fn null() -> Self {
        Self("null".into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a message.
///
/// # Errors
/// A parse error, or an invalid request for the message as a whole; both are answered with the
/// id null.
pub(crate) fn read(body: &[u8], max_batch: usize) -> Result<Message, WireError> {
    let json = Json::parse(body).map_err(|error| {
        WireError::new(
            Reason::ParseError,
            format!("the request is not valid JSON: {error}"),
        )
    })?;
    let raw = RawIds {
        body,
        many: OnceCell::new(),
    };
    match json {
        Json::Array(entries) if entries.is_empty() => Err(WireError::invalid_request(
            "a batch holds at least one request, this one is empty",
        )),
        Json::Array(entries) if entries.len() > max_batch => {
            let sent = entries.len();
            let message =
                format!("a batch holds at most {max_batch} requests, this one has {sent}");
            Err(WireError::invalid_request(message))
        }
        Json::Array(entries) => {
            let entries = entries.into_iter().enumerate();
            let read = entries.map(|(n, json)| entry(json, || raw.of_entry(n)));
            Ok(Message::Many(read.collect()))
        }
        one => Ok(Message::One(entry(one, || raw_id(body)))),
    }
}

fn entry(json: Json, raw_id: impl Fn() -> Option<String>) -> Entry {
    let invalid = |id, message: String| Entry {
        id: Some(id),
        call: Err(WireError::invalid_request(message)),
    };
    let Json::Object(members) = json else {
        let kind = json.kind();
        return invalid(
            ReplyId::null(),
            format!("expected a request object, got {kind}"),
        );
    };
    let (mut version, mut id, mut method, mut params) = (None, None, None, None);
    for (name, value) in members {
        match name.as_str() {
            "jsonrpc" => version = Some(value),
            "id" => id = Some(value),
            "method" => method = Some(value),
            "params" => params = Some(value),
            _ => {}
        }
    }
    let id = match id.map(|id| reply_id(&id, raw_id)).transpose() {
        Ok(id) => id,
        Err(message) => return invalid(ReplyId::null(), message),
    };
    match call(version.as_ref(), method, params) {
        Ok(call) => Entry { id, call: Ok(call) },
        Err(message) => invalid(id.unwrap_or_else(ReplyId::null), message),
    }
}

fn call(
    version: Option<&Json>,
    method: Option<Json>,
    params: Option<Json>,
) -> Result<Call, String> {
    if version.and_then(Json::as_str) != Some("2.0") {
        return Err("a request says \"jsonrpc\": \"2.0\", this one does not".to_owned());
    }
    let method = match method {
        Some(Json::Str(method)) => method,
        Some(other) => return Err(format!("method: expected a string, got {}", other.kind())),
        None => return Err("method: a request names its method, this one does not".to_owned()),
    };
    match params {
        None | Some(Json::Array(_) | Json::Object(_)) => Ok(Call { method, params }),
        Some(other) => Err(format!(
            "params: expected a list or an object, got {}",
            other.kind()
        )),
    }
}

/// An id as its answer carries it. Where reading lost how it was written, the text is looked up.
fn reply_id(id: &Json, raw_id: impl Fn() -> Option<String>) -> Result<ReplyId, String> {
    let text = match id {
        Json::Null => "null".to_owned(),
        Json::Int(n) => n.to_string(),
        Json::Huge(text) => text.to_string(),
        // A fraction may be written in several ways.
        Json::Float(_) => raw_id().unwrap_or_else(|| "null".to_owned()),
        // Echoed, half a character would make the whole answer unreadable.
        Json::Str(text) if text.contains('\0') => {
            return Err("id: holds U+0000 or an unpaired surrogate".to_owned());
        }
        Json::Str(text) => serde_json::Value::from(text.as_str()).to_string(),
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => {
            return Err(format!(
                "id: expected a string, a number or null, got {}",
                id.kind()
            ));
        }
    };
    Ok(ReplyId(text.into()))
}

/// Finds ids in the text of a message again. Needed for odd ids only, so it may read twice.
struct RawIds<'a> {
    body: &'a [u8],
    many: OnceCell<Vec<&'a RawValue>>,
}

impl RawIds<'_> {
    fn of_entry(&self, n: usize) -> Option<String> {
        let entries = self
            .many
            .get_or_init(|| serde_json::from_slice(self.body).unwrap_or_default());
        raw_id(entries.get(n)?.get().as_bytes())
    }
}

fn raw_id(request: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct WithId<'a> {
        #[serde(borrow)]
        id: &'a RawValue,
    }
    serde_json::from_slice::<WithId<'_>>(request)
        .ok()
        .map(|found| found.id.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Entry, Message, read};

    fn one(text: &str) -> Entry {
        match read(text.as_bytes(), 3) {
            Ok(Message::One(entry)) => entry,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn ids_come_back_as_they_were_written() {
        let ids = [
            "1",
            "-3",
            "1.5",
            "1.50",
            "1e3",
            "1e400",
            "18446744073709551616",
            "null",
            r#""a\"b""#,
            "\"ü\"",
            r#""""#,
        ];
        for id in ids {
            let entry = one(&format!(r#"{{"jsonrpc":"2.0","method":"m","id":{id}}}"#));
            assert_eq!(entry.id.unwrap().as_str(), id);
            assert!(entry.call.is_ok());
        }
        let batch = r#"[{"jsonrpc":"2.0","method":"m","id":1.0},
            {"jsonrpc":"2.0","method":"m"}, {"jsonrpc":"2.0","method":"m","\u0069d":2.50}]"#;
        let Ok(Message::Many(entries)) = read(batch.as_bytes(), 3) else {
            panic!()
        };
        let ids: Vec<_> = entries
            .iter()
            .map(|entry| entry.id.as_ref().map(super::ReplyId::as_str))
            .collect();
        assert_eq!(ids, [Some("1.0"), None, Some("2.50")]);
    }

    #[test]
    fn what_is_no_request_is_invalid_with_the_id_if_it_has_one() {
        for (text, id) in [
            ("1", "null"),
            (r#""x""#, "null"),
            ("{}", "null"),
            (r#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#, "null"),
            (r#"{"jsonrpc":"2.0","method":"m","id":true}"#, "null"),
            (r#"{"jsonrpc":"2.0","method":"m","id":[1]}"#, "null"),
            (r#"{"jsonrpc":"1.0","method":"m","id":7}"#, "7"),
            (r#"{"jsonrpc":2.0,"method":"m","id":7}"#, "7"),
            (r#"{"method":"m","id":7}"#, "7"),
            (r#"{"jsonrpc":"2.0","id":"x"}"#, r#""x""#),
            (
                r#"{"jsonrpc":"2.0","method":"m","params":null,"id":7}"#,
                "7",
            ),
            (r#"{"jsonrpc":"2.0","method":"m","params":"p"}"#, "null"),
        ] {
            let entry = one(text);
            assert_eq!(entry.id.as_ref().unwrap().as_str(), id, "{text}");
            assert_eq!(entry.call.unwrap_err().code(), -32600, "{text}");
        }
    }

    #[test]
    fn broken_text_and_bad_batches_are_one_error() {
        for (text, code) in [
            ("", -32700),
            ("{", -32700),
            (r#"{"jsonrpc":"2.0","method":"m","method":"n"}"#, -32700),
            ("[]", -32600),
            ("[1,2,3,4]", -32600),
        ] {
            assert_eq!(read(text.as_bytes(), 3).unwrap_err().code(), code, "{text}");
        }
        assert!(matches!(read(b"[1,2,3]", 3), Ok(Message::Many(entries)) if entries.len() == 3));
    }
}
