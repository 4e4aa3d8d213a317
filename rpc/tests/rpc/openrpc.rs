//! The description of the service.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::{call, service};

#[tokio::test]
async fn the_document_describes_what_is_served() {
    let service = service();
    let document = call(&service, "rpc.discover", json!([])).await;
    assert_eq!(
        document,
        serde_json::from_str::<Value>(service.document()).unwrap()
    );
    let names: Vec<&str> = document["methods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["name"].as_str().unwrap())
        .collect();
    insta::assert_snapshot!(names.join("\n"));
    let of = |name: &str| {
        document["methods"]
            .as_array()
            .unwrap()
            .iter()
            .find(|m| m["name"] == name)
            .unwrap()
            .clone()
    };
    insta::assert_json_snapshot!("thing_set", of("thing_set"));
    insta::assert_json_snapshot!("schemas", {
        let schemas = &document["components"]["schemas"];
        json!({ "thing": schemas["thing"], "maker-data": schemas["maker-data"],
            "part-changes": schemas["part-changes"] })
    });
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let service = service();
    let document: Value = serde_json::from_str(service.document()).unwrap();
    let mut references = BTreeSet::new();
    gather(&document, &mut references);
    assert!(references.len() > 10);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for method in document["methods"].as_array().unwrap() {
        let required: Vec<bool> = method["params"]
            .as_array()
            .unwrap()
            .iter()
            .map(|param| param["required"].as_bool().unwrap())
            .collect();
        assert!(required.is_sorted_by(|a, b| a >= b), "{}", method["name"]);
    }
}

fn gather(json: &Value, references: &mut BTreeSet<String>) {
    match json {
        Value::Array(items) => items.iter().for_each(|item| gather(item, references)),
        Value::Object(entries) => {
            if let Some(Value::String(reference)) = entries.get("$ref") {
                references.insert(reference.clone());
            }
            entries.values().for_each(|value| gather(value, references));
        }
        _ => {}
    }
}
