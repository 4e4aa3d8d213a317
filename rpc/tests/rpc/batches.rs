//! Batches: order, snapshots, notifications, limits.

use std::time::Duration;

use osis_rpc::Limits;
use serde_json::{Value, json};

use super::support::{call, limited, request, send, shop};

#[tokio::test]
async fn entries_are_answered_in_their_order() {
    let service = shop().await;
    let batch = json!([
        request(1, "thing_get", &json!(["thing-1", ["maker_id"]])),
        request(2, "thing_get", &json!(["none"])),
        7,
        request(3, "thing_get", &json!([{ "code": "org.thingxx" }])),
        request(4, "thing_get", &json!({ "id": "thing-3", "fields": ["name"] })),
        request(5, "thing_nothing", &json!([])),
        { "jsonrpc": "2.0", "method": "thing_get", "params": ["thing-1"] },
        request(6, "thing_count", &json!([])),
    ]);
    let answers = send(&service, batch.to_string()).await;
    let told: Vec<(Value, Value)> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| {
            let told = match answer.get("result") {
                Some(result) => result.get("name").or(result.get("count")).unwrap(),
                None => &answer["error"]["code"],
            };
            (answer["id"].clone(), told.clone())
        })
        .collect();
    let wanted = [
        (json!(1), json!("Thing 1")),
        (json!(2), json!(-32020)),
        (Value::Null, json!(-32600)),
        (json!(3), json!("Thing 2")),
        (json!(4), json!("Thing 3")),
        (json!(5), json!(-32601)),
        (json!(6), json!(3)),
    ];
    assert_eq!(told, wanted);
    assert_eq!(answers[0]["result"]["expand"]["maker_id"]["id"], "ada0");
    assert_eq!(
        answers[4]["result"],
        json!({ "id": "thing-3", "name": "Thing 3" })
    );
}

#[tokio::test]
async fn reads_see_the_writes_before_them() {
    let service = shop().await;
    let batch = json!([
        request(1, "thing_count", &json!([])),
        request(2, "thing_delete", &json!(["thing-1"])),
        request(3, "thing_delete", &json!(["thing-1"])),
        { "jsonrpc": "2.0", "method": "thing_delete", "params": ["thing-2"] },
        request(4, "thing_count", &json!([])),
        request(5, "thing_set", &json!(["thing-3", { "stock": "many" }])),
        request(6, "thing_set", &json!(["thing-3", { "stock": 8 }])),
        request(7, "thing_get", &json!(["thing-3"])),
    ]);
    let answers = send(&service, batch.to_string()).await;
    let ids: Vec<u64> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| answer["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(answers[0]["result"]["count"], 3);
    assert_eq!(answers[1]["result"]["deleted"]["thing"], 1);
    assert_eq!(answers[2]["error"]["data"]["kind"], "not_found");
    assert_eq!(answers[3]["result"]["count"], 1);
    assert_eq!(
        answers[4]["error"]["data"]["errors"][0]["path"],
        "data.stock"
    );
    assert_eq!(answers[6]["result"]["stock"], 8);
}

#[tokio::test]
async fn notifications_are_carried_out_and_not_answered() {
    let service = shop().await;
    let write = r#"{"jsonrpc":"2.0","method":"thing_delete","params":["thing-1"]}"#;
    assert_eq!(send(&service, write).await, Value::Null);
    let batch = r#"[{"jsonrpc":"2.0","method":"thing_delete","params":["thing-2"]},
        {"jsonrpc":"2.0","method":"no_such"}, {"jsonrpc":"2.0","method":"thing_get"}]"#;
    assert_eq!(send(&service, batch).await, Value::Null);
    assert_eq!(call(&service, "thing_count", json!([])).await["count"], 1);
    let odd = r#"{"jsonrpc":"2.0","method":"thing_count","id":1.50}"#;
    let answer = service
        .handle(odd.as_bytes(), &osis_rpc::Caller::operator())
        .await
        .unwrap();
    let wanted = r#"{"jsonrpc":"2.0","id":1.50,"result":{"count":1}}"#;
    assert_eq!(String::from_utf8(answer).unwrap(), wanted);
}

#[tokio::test]
async fn reads_past_the_budget_are_refused_one_by_one() {
    let service = limited(Limits {
        max_response: 200,
        ..Limits::default()
    });
    let batch = json!([
        request(1, "osis_info", &json!([])),
        request(2, "osis_info", &json!([])),
        request(3, "maker_new", &json!([{ "email": "a@b", "name": "A" }])),
        request(4, "maker_count", &json!([])),
    ]);
    let answers = send(&service, batch.to_string()).await;
    assert!(answers[0].get("result").is_some());
    assert_eq!(answers[1]["error"]["data"]["kind"], "unavailable");
    assert!(answers[2].get("result").is_some());
    assert_eq!(answers[3]["error"]["data"]["kind"], "unavailable");
}

#[tokio::test]
async fn what_is_over_its_time_is_unavailable() {
    let service = limited(Limits {
        timeout: Duration::ZERO,
        ..Limits::default()
    });
    let batch = json!([
        request(1, "maker_new", &json!([{ "email": "a@b", "name": "A" }])),
        request(2, "osis_changes", &json!([0, null, 10, 60_000])),
    ]);
    let answers = send(&service, batch.to_string()).await;
    assert_eq!(answers[0]["error"]["data"]["kind"], "unavailable");
    assert_eq!(answers[1]["id"], 2);
}
