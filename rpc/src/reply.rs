//! Where answers go: into one text for a client, or to a caller in the same process.

use osis_core::Schema;

use crate::answers::{Answer, Answered};
use crate::envelope::ReplyId;
use crate::error::WireError;

/// Takes answers, in the order of their requests.
pub(crate) trait Sink: Send {
    /// Takes the answer to a request; one without id is not passed on.
    fn put(&mut self, id: Option<&ReplyId>, answer: Result<&Answer, WireError>);

    /// How many bytes there are so far.
    fn len(&self) -> usize;
}

/// The text that answers a message.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    schema: &'a Schema,
    text: Vec<u8>,
    is_batch: bool,
}

impl<'a> Reply<'a> {
    /// The answer to one request.
    pub(crate) fn to_one(schema: &'a Schema) -> Self {
        Self {
            schema,
            text: Vec::with_capacity(512),
            is_batch: false,
        }
    }

    /// The answer to a batch.
    pub(crate) fn to_batch(schema: &'a Schema) -> Self {
        Self {
            is_batch: true,
            ..Self::to_one(schema)
        }
    }

    /// The text; nothing if there was nothing but notifications.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        if self.text.is_empty() {
            return None;
        }
        if self.is_batch {
            self.text.push(b']');
        }
        Some(self.text)
    }

    fn begin(&mut self, id: &ReplyId) {
        if self.is_batch {
            self.text
                .push(if self.text.is_empty() { b'[' } else { b',' });
        }
        self.text.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        self.text.extend_from_slice(id.as_str().as_bytes());
    }

    fn error(&mut self, error: &WireError) {
        self.text.extend_from_slice(br#","error":"#);
        write(&mut self.text, error);
    }
}

impl Sink for Reply<'_> {
    fn put(&mut self, id: Option<&ReplyId>, answer: Result<&Answer, WireError>) {
        let Some(id) = id else { return };
        self.begin(id);
        match answer {
            Ok(answer) => {
                let start = self.text.len();
                self.text.extend_from_slice(br#","result":"#);
                if !write(&mut self.text, &Answered(self.schema, answer)) {
                    self.text.truncate(start);
                    self.error(&WireError::internal());
                }
            }
            Err(error) => self.error(&error),
        }
        self.text.push(b'}');
    }

    fn len(&self) -> usize {
        self.text.len()
    }
}

/// The answer to one call of this process: its result as JSON text.
#[derive(Debug)]
pub(crate) struct Direct<'a> {
    schema: &'a Schema,
    answer: Option<Result<String, WireError>>,
}

impl<'a> Direct<'a> {
    pub(crate) fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            answer: None,
        }
    }

    pub(crate) fn finish(self) -> Result<String, WireError> {
        self.answer.unwrap_or_else(|| Err(WireError::internal()))
    }
}

impl Sink for Direct<'_> {
    fn put(&mut self, _: Option<&ReplyId>, answer: Result<&Answer, WireError>) {
        self.answer = Some(answer.and_then(|answer| {
            serde_json::to_string(&Answered(self.schema, answer)).map_err(|error| {
                tracing::error!(%error, "a result could not be written as JSON");
                WireError::internal()
            })
        }));
    }

    fn len(&self) -> usize {
        0
    }
}

/// Writes a value behind a text; whether that went well.
fn write(text: &mut Vec<u8>, value: &impl serde::Serialize) -> bool {
    match serde_json::to_writer(text, value) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            false
        }
    }
}

/// The text that answers a message as a whole with an error.
pub(crate) fn refusal(error: &WireError) -> Vec<u8> {
    let mut text = br#"{"jsonrpc":"2.0","id":null,"error":"#.to_vec();
    write(&mut text, error);
    text.push(b'}');
    text
}
