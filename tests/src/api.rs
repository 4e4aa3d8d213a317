//! What the suite asks of whatever it runs against: one call, answered with a result or an error.
//!
//! The conveniences below check what every answer owes, so that no case can forget to: codes and
//! kinds that belong together, a message that says something, faults with their paths.

use async_trait::async_trait;
use serde_json::Value;

/// Something that answers calls of the contract.
#[async_trait]
pub trait Api: Send + Sync {
    /// Makes one call.
    async fn call(&self, method: &str, params: Value) -> Result<Value, CallError>;
}

/// An error as the wire shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallError {
    /// The number that stands for the kind.
    pub code: i32,
    /// A sentence for a person.
    pub message: String,
    /// The kind, and what belongs to it.
    pub data: Value,
}

/// The kinds of the contract with their codes.
pub const KINDS: [(&str, i32); 12] = [
    ("invalid", -32602),
    ("not_found", -32020),
    ("conflict", -32021),
    ("rev_mismatch", -32022),
    ("reference", -32023),
    ("unauthorized", -32024),
    ("forbidden", -32025),
    ("rate_limited", -32026),
    ("unavailable", -32027),
    ("storage_full", -32028),
    ("corrupt", -32029),
    ("gone", -32030),
];

impl CallError {
    /// Reads the `error` member of an answer.
    pub fn of(error: &Value) -> Self {
        let code = error["code"]
            .as_i64()
            .unwrap_or_else(|| panic!("no code in {error}"));
        Self {
            code: i32::try_from(code).unwrap(),
            message: error["message"]
                .as_str()
                .unwrap_or_else(|| panic!("{error}"))
                .to_owned(),
            data: error["data"].clone(),
        }
    }

    /// The name of its kind.
    pub fn kind(&self) -> &str {
        self.data["kind"].as_str().unwrap_or_default()
    }

    /// The paths of what was invalid, in their order.
    pub fn paths(&self) -> Vec<&str> {
        let faults = self.data["errors"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        faults
            .iter()
            .map(|fault| fault["path"].as_str().unwrap_or_default())
            .collect()
    }
}

impl<'a> dyn Api + 'a {
    /// A call that must succeed.
    pub async fn ok(&self, method: &str, params: Value) -> Value {
        let shown = shown(&params);
        match self.call(method, params).await {
            Ok(result) => result,
            Err(error) => panic!("{method} {shown} failed: {} {}", error.message, error.data),
        }
    }

    /// A call that must fail with a kind of the contract.
    pub async fn fails(&self, method: &str, params: Value, kind: &str) -> CallError {
        let shown = shown(&params);
        let error = match self.call(method, params).await {
            Ok(result) => panic!("{method} {shown} succeeded with {result}, expected {kind}"),
            Err(error) => error,
        };
        let told = format!(
            "{method} {shown}: {} {} {}",
            error.code, error.message, error.data
        );
        assert_eq!(error.kind(), kind, "{told}");
        let code = KINDS
            .iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, code)| *code);
        assert_eq!(Some(error.code), code, "{told}");
        assert!(!error.message.is_empty(), "no message: {told}");
        error
    }

    /// A call with wrong parameters: the paths of all faults, each of which has a message.
    pub async fn faults(&self, method: &str, params: Value) -> Vec<String> {
        let error = self.fails(method, params, "invalid").await;
        let faults = error.data["errors"].as_array().cloned().unwrap_or_default();
        assert!(!faults.is_empty(), "no faults in {}", error.data);
        let path = |fault: &Value| {
            let message = fault["message"].as_str().unwrap_or_default();
            assert!(
                !message.is_empty(),
                "a fault without message in {}",
                error.data
            );
            fault["path"]
                .as_str()
                .unwrap_or_else(|| panic!("no path in {fault}"))
                .to_owned()
        };
        faults.iter().map(path).collect()
    }

    /// A call with parameters of which exactly one is wrong.
    pub async fn fault(&self, method: &str, params: Value, path: &str) {
        let shown = shown(&params);
        let paths = self.faults(method, params).await;
        assert_eq!(paths, [path], "{method} {shown}");
    }

    /// Makes an object of a type; the whole of it.
    pub async fn new(&self, ty: &str, data: Value) -> Value {
        self.ok(&format!("{ty}_new"), serde_json::json!({ "data": data }))
            .await
    }

    /// The object with an id.
    pub async fn get(&self, ty: &str, id: &str) -> Value {
        self.ok(&format!("{ty}_get"), serde_json::json!({ "id": id }))
            .await
    }

    /// Patches the object with an id; the whole of it.
    pub async fn patch(&self, ty: &str, id: &str, data: Value) -> Value {
        let params = serde_json::json!({ "id": id, "data": data });
        self.ok(&format!("{ty}_set"), params).await
    }

    /// Whether there is an object with an id.
    pub async fn has(&self, ty: &str, id: &str) -> bool {
        let params = serde_json::json!({ "filter": { "id": id } });
        self.ok(&format!("{ty}_count"), params).await["count"] == 1
    }

    /// How many objects of a type there are.
    pub async fn count(&self, ty: &str) -> u64 {
        let answer = self.ok(&format!("{ty}_count"), serde_json::json!({})).await;
        answer["count"]
            .as_u64()
            .unwrap_or_else(|| panic!("{answer}"))
    }

    /// The last commit.
    pub async fn seq(&self) -> u64 {
        let info = self.ok("osis_info", serde_json::json!({})).await;
        info["seq"].as_u64().unwrap_or_else(|| panic!("{info}"))
    }
}

/// The id of an object.
pub fn id(object: &Value) -> &str {
    object["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id in {object}"))
}

/// The values of one field of some objects.
pub fn column(objects: &Value, field: &str) -> Vec<Value> {
    let objects = objects
        .as_array()
        .unwrap_or_else(|| panic!("no list: {objects}"));
    objects.iter().map(|object| object[field].clone()).collect()
}

/// The texts of one field of some objects.
pub fn texts(objects: &Value, field: &str) -> Vec<String> {
    let texts = column(objects, field).into_iter();
    texts
        .map(|text| {
            text.as_str()
                .unwrap_or_else(|| panic!("no text: {text}"))
                .to_owned()
        })
        .collect()
}

/// Parameters as a message shows them: not a megabyte of them.
fn shown(params: &Value) -> String {
    let text = params.to_string();
    match text.char_indices().nth(600) {
        None => text,
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}
