//! Every method once, by name and by position.

use osis_core::json::Json;
use osis_rpc::{Caller, Service};
use serde_json::{Value, json};

use super::support::{call, fail, send, service, shop};

fn without_times(mut object: Value) -> Value {
    for name in ["created_at", "updated_at"] {
        let time = object.as_object_mut().unwrap().remove(name).unwrap();
        assert_eq!(time.as_str().unwrap().len(), 24);
    }
    object
}

#[tokio::test]
async fn objects_are_made_read_changed_and_deleted() {
    let service = shop().await;
    let maker = json!({ "id": "cyd0", "email": "Cyd@x.org", "name": "Cyd", "token": "s3cret" });
    let made = call(&service, "maker_new", json!([maker])).await;
    assert_eq!(
        without_times(made),
        json!({ "id": "cyd0", "rev": 1, "email": "Cyd@x.org", "name": "Cyd" })
    );
    let by_key = call(&service, "maker_get", json!([{ "email": "CYD@X.ORG" }])).await;
    assert_eq!(by_key["id"], "cyd0");
    let shaped = json!({ "id": "thing-1", "fields": ["stock", "name"], "expand": ["maker_id"] });
    let got = call(&service, "thing_get", shaped).await;
    assert_eq!(got["expand"]["maker_id"]["name"], "Ada");
    assert_eq!(
        (got["id"].clone(), got["stock"].clone()),
        (json!("thing-1"), json!(1))
    );
    assert!(got.get("rev").is_none());
    let set = json!(["thing-1", { "stock": 5 }, 1, "merge"]);
    let changed = call(&service, "thing_set", set).await;
    assert_eq!((&changed["stock"], &changed["rev"]), (&json!(6), &json!(2)));
    let gone = call(&service, "maker_delete", json!({ "id": "ada0" })).await;
    assert_eq!(gone, json!({ "deleted": { "maker": 1, "thing": 2 } }));
    let upsert = json!({
        "key": { "email": "dan@x.org" }, "data": { "name": "Dan" }, "upsert": true, "if_rev": 0,
    });
    assert_eq!(
        call(&service, "maker_set", upsert).await["email"],
        "dan@x.org"
    );
}

#[tokio::test]
async fn lists_are_paged_and_cursors_go_with_their_call() {
    let service = shop().await;
    let params = json!({ "sort": ["-stock"], "limit": 2, "count": true, "fields": ["stock"] });
    let first = call(&service, "thing_list", params).await;
    assert_eq!(
        first["items"],
        json!([
            { "id": "thing-3", "stock": 3 }, { "id": "thing-2", "stock": 2 },
        ])
    );
    assert_eq!(first["total"], 3);
    let cursor = &first["next_cursor"];
    let next = json!({ "sort": ["-stock"], "cursor": cursor, "filter": {}, "expand": ["parts"] });
    let second = call(&service, "thing_list", next).await;
    assert_eq!(second["items"][0]["expand"], json!({ "parts": [] }));
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(second["next_cursor"], Value::Null);
    assert!(second.get("total").is_none());
    for wrong in [
        json!({ "cursor": cursor }),
        json!({ "sort": "stock", "cursor": cursor }),
    ] {
        let error = fail(&service, "thing_list", wrong).await;
        assert_eq!(error["data"]["errors"][0]["path"], "cursor");
    }
}

#[tokio::test]
async fn finds_counts_and_figures() {
    let service = shop().await;
    let found = call(
        &service,
        "thing_find",
        json!({ "query": "thing -2", "limit": 1 }),
    )
    .await;
    assert_eq!(found["total"], 2);
    assert!(found["hits"][0]["score"].is_number());
    let next = json!({ "query": "thing -2", "cursor": found["next_cursor"] });
    let rest = call(&service, "thing_find", next).await;
    assert_eq!(rest["hits"].as_array().unwrap().len(), 1);
    assert_ne!(
        rest["hits"][0]["object"]["id"],
        found["hits"][0]["object"]["id"]
    );
    let count = call(&service, "thing_count", json!([{ "stock": { "gt": 1 } }])).await;
    assert_eq!(count, json!({ "count": 2 }));
    let figures = json!({
        "group_by": ["maker_id"], "metrics": ["count", "sum:stock", "avg:price"],
        "sort": "-sum:stock", "limit": 1,
    });
    assert_eq!(
        call(&service, "thing_aggregate", figures).await,
        json!({
            "rows": [{ "maker_id": "ada0", "count": 2, "sum:stock": 3, "avg:price": 0.75 }],
            "source": "raw",
        })
    );
}

#[tokio::test]
async fn the_store_as_a_whole() {
    let service = shop().await;
    let info = call(&service, "osis_info", json!({})).await;
    assert_eq!(info["store"], "memory");
    assert_eq!(info["schema"]["version"], 3);
    assert_eq!(info["counts"]["thing"], 3);
    assert_eq!(info["problems"], json!([]));
    let since = info["seq"].as_u64().unwrap();
    let ops = json!([
        { "method": "thing_set", "params": ["thing-1", { "name": "New" }] },
        { "method": "thing_delete", "params": { "id": "thing-2" } },
    ]);
    let dry = call(
        &service,
        "osis_transaction",
        json!({ "ops": ops, "dry_run": true }),
    )
    .await;
    assert_eq!(dry["results"][1], json!({ "deleted": { "thing": 1 } }));
    let done = call(&service, "osis_transaction", json!([ops])).await;
    assert_eq!(done["seq"], since + 1);
    let params = json!({ "since": since, "objects": true });
    let changes = call(&service, "osis_changes", params).await;
    let records = changes["changes"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["op"], "set");
    assert_eq!(records[0]["object"]["name"], "New");
    assert_eq!(records[1]["op"], "delete");
    assert!(records[1].get("object").is_none());
    assert_eq!(changes["next"], done["seq"]);
    let seed = json!({ "objects": { "thing": [{
        "maker_id": { "email": "eve@x.org" }, "code": "eve.one", "name": "One",
    }], "maker": [{ "email": "eve@x.org", "name": "Eve" }] } });
    let seeded = call(&service, "osis_seed", seed).await;
    assert_eq!(
        seeded,
        json!({ "created": 2, "updated": 0, "unchanged": 0 })
    );
    let visits = json!([[{ "at": "2026-01-01T00:00:00Z", "kind": "a" }]]);
    let taken = call(&service, "visit_ingest", visits).await;
    assert_eq!(taken, json!({ "accepted": 1, "duplicates": 0 }));
    let none = call(&service, "visit_ingest", json!({ "items": [] })).await;
    assert_eq!(none, json!({ "accepted": 0, "duplicates": 0 }));
}

#[tokio::test]
async fn methods_follow_the_schema() {
    let service = service();
    for method in [
        "visit_find",
        "part_find",
        "thing_ingest",
        "trail_new",
        "trail_set",
        "trail_delete",
        "trail_ingest",
        "osis_login",
        "osis_subscribe",
        "nothing_get",
        "thing",
        "",
    ] {
        assert_eq!(
            fail(&service, method, json!({})).await["code"],
            -32601,
            "{method}"
        );
    }
    for method in ["trail_list", "trail_count", "trail_aggregate", "visit_list"] {
        call(&service, method, json!({})).await;
    }
}

#[tokio::test]
async fn a_call_in_this_process_is_the_same() {
    let service = shop().await;
    let direct = async |service: &Service, method: &str, params: &str| {
        let params = Json::parse(params.as_bytes()).unwrap();
        service.call(method, params, &Caller::operator()).await
    };
    let count = direct(&service, "thing_count", "null").await;
    assert_eq!(count.unwrap(), r#"{"count":3}"#);
    let error = direct(&service, "thing_get", r#"["none"]"#)
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.kind()), (-32020, "not_found"));
    assert_eq!(
        direct(&service, "thing_count", "1")
            .await
            .unwrap_err()
            .code(),
        -32600
    );
}

#[tokio::test]
async fn a_long_poll_ends_with_a_change_or_its_time() {
    let service = shop().await;
    let since = call(&service, "osis_info", json!([])).await["seq"]
        .as_u64()
        .unwrap();
    let poll = json!({ "since": since, "wait_ms": 20, "types": ["part"] });
    let none = call(&service, "osis_changes", poll).await;
    assert_eq!(none["changes"], json!([]));
    let waiting = tokio::spawn({
        let service = service.clone();
        let poll = json!({ "since": since, "wait_ms": 20_000, "types": ["part"] });
        async move { call(&service, "osis_changes", poll).await }
    });
    let thing = json!({ "id": "thing-1", "data": { "stock": 9 } });
    call(&service, "thing_set", thing).await;
    let part = json!({ "data": { "thing_id": "thing-1" } });
    let made = call(&service, "part_new", part).await;
    let told = waiting.await.unwrap();
    assert_eq!(told["changes"].as_array().unwrap().len(), 1);
    assert_eq!(told["changes"][0]["id"], made["id"]);
    assert_eq!(told["next"], since + 2);
}

#[tokio::test]
async fn calls_are_refused_while_it_drains() {
    let service = shop().await;
    assert!(service.is_ready().await);
    assert!(service.drain().await);
    assert!(!service.is_ready().await);
    let error = fail(&service, "thing_count", json!([])).await;
    assert_eq!(
        (&error["code"], &error["data"]["kind"]),
        (&json!(-32027), &json!("unavailable"))
    );
    let write = r#"{"jsonrpc":"2.0","method":"thing_delete","params":["thing-1"]}"#;
    assert_eq!(send(&service, write).await, Value::Null);
    assert!(service.store().commits().borrow().eq(&5));
}
