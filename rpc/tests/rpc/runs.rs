//! What the engine is asked: gathered reads, writes in one call, panics, clients that go away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use osis_rpc::{Caller, Limits, Service};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::engine::noting;
use super::support::{call, request, send, served};

#[tokio::test]
async fn reads_of_one_kind_are_gathered_and_writes_go_in_one_call() {
    let (store, engine) = noting();
    let service = Service::new(store, Limits::default());
    let get = |id: u32, what: Value| request(id, "maker_get", &json!([what]));
    let maker = |id: &str| json!([{ "id": id, "name": id, "email": format!("{id}@x.org") }]);
    let batch = json!([
        request(1, "maker_new", &maker("ada0")),
        request(2, "maker_new", &maker("bob0")),
        { "jsonrpc": "2.0", "method": "maker_new", "params": maker("cyd0") },
        get(3, json!("ada0")),
        request(4, "thing_list", &json!([])),
        get(5, json!("bob0")),
        get(6, json!({ "email": "CYD0@x.org" })),
        request(7, "no_such", &json!([])),
        get(8, json!("none")),
        request(9, "maker_delete", &json!(["ada0"])),
        request(10, "maker_count", &json!([])),
    ]);
    let answers = send(&service, batch.to_string()).await;
    assert_eq!(answers.as_array().unwrap().len(), 10);
    let wanted = [
        "apply 3",
        "applied",
        "Consistent",
        "get 3",
        "get_by_key 1",
        "scan",
        "apply 1",
        "applied",
        "Single",
        "count",
    ];
    assert_eq!(engine.notes.take(), wanted);
    assert_eq!(answers[5]["result"]["id"], "cyd0");
}

#[tokio::test]
async fn a_snapshot_is_as_small_as_the_call() {
    let (store, engine) = noting();
    let service = Service::new(store, Limits::default());
    for (method, params, notes) in [
        ("maker_get", json!(["none"]), vec!["Single", "get 1"]),
        (
            "thing_get",
            json!(["none", ["parts"]]),
            vec!["Consistent", "get 1", "related 0"],
        ),
        ("thing_list", json!([]), vec!["Single", "scan"]),
        (
            "thing_list",
            json!({ "count": true }),
            vec!["Consistent", "scan", "count"],
        ),
        ("rpc.discover", json!([]), vec![]),
        ("thing_list", json!({ "limit": 0 }), vec![]),
    ] {
        send(&service, request(1, method, &params).to_string()).await;
        assert_eq!(engine.notes.take(), notes, "{method} {params}");
    }
    let silent = r#"{"jsonrpc":"2.0","method":"thing_list"}"#;
    assert_eq!(send(&service, silent).await, Value::Null);
    assert!(
        engine.notes.take().is_empty(),
        "nobody learns what it would come to"
    );
}

#[tokio::test]
async fn a_panic_harms_one_call() {
    let (store, engine) = noting();
    let service = Service::new(store, Limits::default());
    engine.panics.store(true, Ordering::SeqCst);
    let batch = json!([
        request(1, "thing_list", &json!([])),
        request(2, "thing_count", &json!([])),
        request(3, "thing_list", &json!([])),
    ]);
    let answers = send(&service, batch.to_string()).await;
    assert!(answers[0].get("result").is_some());
    assert_eq!(answers[1]["error"]["code"], -32603);
    assert!(answers[2].get("result").is_some());
    assert_eq!(service.panics(), 1);
}

#[tokio::test]
async fn a_write_is_finished_without_its_client() {
    let (store, engine) = noting();
    let service = Service::new(store, Limits::default());
    engine.write_ms.store(150, Ordering::SeqCst);
    let body = request(
        1,
        "maker_new",
        &json!([{ "name": "A", "email": "a@x.org" }]),
    )
    .to_string();
    // Dropped in mid-await, as a server does when a connection is lost.
    let caller = Caller::operator();
    let handled = service.handle(body.as_bytes(), &caller);
    assert!(
        tokio::time::timeout(Duration::from_millis(30), handled)
            .await
            .is_err()
    );
    assert_eq!(engine.notes.take(), ["apply 1"]);
    let again = body.replace("a@x.org", "b@x.org");
    let finished = served(service.clone(), async |address| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            again.len()
        );
        stream
            .write_all(format!("{head}{again}").as_bytes())
            .await
            .unwrap();
        while !engine.notes.take().contains(&"apply 1".to_owned()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(stream);
    })
    .await;
    assert!(finished, "the server waits for what runs");
    assert_eq!(
        engine.notes.take().last().map(String::as_str),
        Some("applied")
    );
    let other = Service::new(service.store().clone(), Limits::default());
    assert_eq!(call(&other, "maker_count", json!([])).await["count"], 2);
}
