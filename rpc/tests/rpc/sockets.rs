//! The same over WebSocket.

use std::time::Duration;

use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::BatchRequestBuilder;
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::{HeaderMap, HeaderValue, WsClientBuilder};
use osis_rpc::Limits;
use serde_json::{Value, json};

use super::support::{limited, served, shop};

#[tokio::test]
async fn calls_batches_and_notifications() {
    served(shop().await, async |address| {
        let client = WsClientBuilder::default()
            .build(format!("ws://{address}"))
            .await
            .unwrap();
        let thing: Value = client
            .request("thing_get", rpc_params!["thing-2"])
            .await
            .unwrap();
        assert_eq!(thing["name"], "Thing 2");
        client
            .notification("thing_delete", rpc_params!["thing-1"])
            .await
            .unwrap();
        let mut batch = BatchRequestBuilder::new();
        for _ in 0..50 {
            batch.insert("thing_get", rpc_params!["thing-3"]).unwrap();
        }
        // Longer than this service takes: one error, with an id that this client does not know.
        let late = tokio::time::timeout(
            Duration::from_millis(200),
            client.batch_request::<Value>(batch),
        );
        assert!(!matches!(late.await, Ok(Ok(_))));
    })
    .await;
}

#[tokio::test]
async fn many_at_a_time_while_one_waits() {
    let service = shop().await;
    served(service, async |address| {
        let client = WsClientBuilder::default()
            .build(format!("ws://{address}"))
            .await
            .unwrap();
        let info: Value = client.request("osis_info", rpc_params![]).await.unwrap();
        let since = info["seq"].as_u64().unwrap();
        let poll =
            client.request::<Value, _>("osis_changes", rpc_params![since, null(), 9, 20_000]);
        let calls = async {
            for _ in 0..100 {
                let count = client.request::<Value, _>("thing_count", rpc_params![]);
                assert_eq!(count.await.unwrap()["count"], 3);
            }
            let set = rpc_params!["thing-1", json!({ "stock": 7 })];
            client.request::<Value, _>("thing_set", set).await.unwrap();
        };
        let (told, ()) = tokio::join!(poll, calls);
        assert_eq!(told.unwrap()["changes"][0]["id"], "thing-1");
    })
    .await;
}

fn null() -> Value {
    Value::Null
}

#[tokio::test]
async fn pages_of_others_are_refused() {
    served(shop().await, async |address| {
        for (origin, fine) in [
            ("http://evil.example", false),
            ("http://127.0.0.1:80", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("origin", HeaderValue::from_static(origin));
            let client = WsClientBuilder::default().set_headers(headers);
            assert_eq!(
                client.build(format!("ws://{address}")).await.is_ok(),
                fine,
                "{origin}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn messages_are_bounded() {
    let service = limited(Limits {
        max_request: 2000,
        ..Limits::default()
    });
    served(service, async |address| {
        let client = WsClientBuilder::default()
            .request_timeout(Duration::from_millis(300))
            .build(format!("ws://{address}"))
            .await
            .unwrap();
        let long = |n: usize| rpc_params![json!({ "name": "x".repeat(n) })];
        assert!(
            client
                .request::<Value, _>("thing_count", long(3000))
                .await
                .is_err()
        );
        let counted: Value = client.request("thing_count", rpc_params![]).await.unwrap();
        assert_eq!(counted["count"], 0);
        assert!(
            client
                .request::<Value, _>("thing_count", long(9000))
                .await
                .is_err()
        );
        assert!(
            client
                .request::<Value, _>("thing_count", rpc_params![])
                .await
                .is_err()
        );
    })
    .await;
}
