//! What errors look like. A changed snapshot is a changed promise.

use std::fmt::Write as _;

use serde_json::json;

use super::support::{call, fail, send, shop};

#[tokio::test]
async fn every_kind_has_its_form() {
    let service = shop().await;
    let part = json!({ "data": { "id": "part-1", "thing_id": "thing-1" } });
    call(&service, "part_new", part).await;
    let calls = [
        ("nothing_get", json!([])),
        ("thing_get", json!(["none"])),
        ("thing_get", json!([{ "maker_id": "ada0", "name": "None" }])),
        (
            "maker_new",
            json!([{ "email": "ADA@example.org", "name": "A" }]),
        ),
        ("thing_set", json!(["thing-1", { "name": "Thing 2" }])),
        (
            "thing_set",
            json!({ "id": "thing-1", "data": {}, "if_rev": 7 }),
        ),
        (
            "thing_new",
            json!([{ "maker_id": "none", "code": "a.b", "name": "N" }]),
        ),
        ("thing_delete", json!(["thing-1"])),
        ("osis_changes", json!([99])),
        (
            "osis_transaction",
            json!([[
                { "method": "thing_delete", "params": ["thing-3"] },
                { "method": "thing_delete", "params": ["thing-3"] },
            ]]),
        ),
        (
            "osis_transaction",
            json!([[
                { "method": "maker_set", "params": [
                    { "email": "new@x.org" }, {}, null, null, true,
                ] },
            ]]),
        ),
    ];
    let mut told = String::new();
    for (method, params) in calls {
        let error = fail(&service, method, params.clone()).await;
        writeln!(told, "{method} {params}\n    {error}").unwrap();
    }
    for text in [
        "",
        "{\"a\":\n  1 2}",
        "[]",
        "1",
        "[1,2,3,4,5,6,7,8,9]",
        "{\"a\":1,\"a\":2}",
    ] {
        let answer = send(&service, text).await;
        assert_eq!(answer["id"], json!(null));
        writeln!(told, "{text:?}\n    {}", answer["error"]).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn all_faults_are_told_with_their_paths() {
    let service = shop().await;
    let calls = [
        (
            "thing_new",
            json!({ "data": {
            "id": "X", "maker_id": 1, "code": "nope", "stock": 1.5, "tags": ["a", 2],
            "status": "lost", "price": -1, "rev": 3, "colour": "red", "picture": "?", "due": "now",
        }, "date": 1 }),
        ),
        ("thing_get", json!({})),
        (
            "thing_get",
            json!({ "id": "thing-1", "key": { "code": "a.b" } }),
        ),
        (
            "thing_get",
            json!({ "key": { "code": "a.b", "name": "x" } }),
        ),
        (
            "thing_get",
            json!({ "id": 5, "expand": ["parts", "name", 3, "parts"],
            "fields": ["name", "nope", "id"] }),
        ),
        (
            "maker_get",
            json!({ "id": "ada0", "fields": ["token"], "expand": "things" }),
        ),
        (
            "thing_set",
            json!({ "id": "a b", "data": { "id": "x" }, "if_rev": -1, "mode": "mend",
            "upsert": 1 }),
        ),
        ("thing_delete", json!(["thing-1", 1.0, 3])),
        (
            "thing_list",
            json!({ "filter": { "or": [{ "name": { "like": "x" } }], "stock": "1" },
            "sort": ["tags"], "limit": 0, "cursor": 5, "count": "yes" }),
        ),
        ("thing_list", json!({ "limit": 1001, "cursor": "AAAA" })),
        (
            "thing_find",
            json!({ "query": "a OR", "highlight": 1, "typo": 1,
            "facets": ["status", "nope", "price", "status", "id", 7] }),
        ),
        ("thing_find", json!({ "filter": 3 })),
        (
            "thing_aggregate",
            json!({ "group_by": ["tags", "nope"], "metrics": ["sum:name", "mode"],
            "bucket": { "field": "name", "unit": "year", "zone": "UTC" } }),
        ),
        (
            "thing_aggregate",
            json!({ "group_by": ["status"], "sort": "price" }),
        ),
        ("thing_aggregate", json!({ "bucket": 1 })),
        (
            "visit_ingest",
            json!({ "items": [{ "at": "2026-01-01T00:00:00Z", "kind": "a" },
            { "kind": 5 }, 7] }),
        ),
        ("osis_transaction", json!({ "ops": [] })),
        (
            "osis_transaction",
            json!({ "ops": [
            { "method": "thing_get", "params": ["thing-1"] },
            { "method": "thing_new", "params": { "data": { "name": 5 } } },
            { "method": "no_such", "params": {} },
            { "method": "thing_delete", "params": "thing-1" },
            { "params": {}, "id": 5 },
            [],
        ], "dry_run": 1 }),
        ),
        (
            "osis_seed",
            json!({ "objects": { "maker": [{ "name": 5 }], "trail": [], "nope": [],
            "thing": {} }, "mode": "replace" }),
        ),
        (
            "osis_changes",
            json!({ "since": -1, "types": ["maker", "nope"], "limit": 5000,
            "wait_ms": u64::MAX, "objects": null }),
        ),
        ("osis_changes", json!({ "types": [] })),
        ("osis_info", json!({ "verbose": true })),
        ("rpc.discover", json!([1])),
    ];
    let mut told = String::new();
    for (method, params) in calls {
        let error = fail(&service, method, params.clone()).await;
        assert_eq!(error["code"], -32602, "{method} {params}: {error}");
        writeln!(told, "{method} {params}").unwrap();
        if let Some(op) = error["data"].get("op") {
            writeln!(told, "    op {op}").unwrap();
        }
        for fault in error["data"]["errors"].as_array().unwrap() {
            let column = fault
                .get("column")
                .map(|column| format!(" (column {column})"));
            let (path, message) = (&fault["path"], &fault["message"]);
            let (path, message) = (path.as_str().unwrap(), message.as_str().unwrap());
            writeln!(told, "    {path}: {message}{}", column.unwrap_or_default()).unwrap();
        }
    }
    insta::assert_snapshot!(told);
}
