//! The same over WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::BatchRequestBuilder;
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::{HeaderMap, HeaderValue, WsClientBuilder};
use osis_rpc::Limits;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::support::{limited, request, served, shop};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

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

/// Sends a message and gives the next one; `None` if the connection is closed instead.
async fn exchange(socket: &mut Socket, message: Message) -> Option<Value> {
    socket.send(message).await.unwrap();
    match socket.next().await? {
        Ok(Message::Text(text)) => Some(serde_json::from_str(&text).unwrap()),
        Ok(Message::Close(_)) | Err(_) => None,
        Ok(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_are_bounded() {
    let service = limited(Limits {
        max_request: 2000,
        ..Limits::default()
    });
    served(service, async |address| {
        let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}"))
            .await
            .unwrap();
        let count = request(1, "thing_count", &json!([])).to_string();
        let padded = |n: usize| format!("{}{count}", " ".repeat(n - count.len()));
        for (message, answer) in [
            (Message::text(padded(2000)), "/result/count"),
            (Message::text(padded(2001)), "/error/code"),
            (Message::binary(count.clone()), "/result/count"),
            (Message::binary(b"\xff".to_vec()), "/error/code"),
            (Message::text("["), "/error/code"),
        ] {
            let answered = exchange(&mut socket, message).await.unwrap();
            assert!(answered.pointer(answer).is_some(), "{answered}");
        }
        let error = exchange(&mut socket, Message::text(padded(5000))).await;
        assert!(error.is_none_or(|error| error["error"]["code"] == -32600));
        assert!(exchange(&mut socket, Message::text(count)).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_closing_server_says_so() {
    let service = shop().await;
    let (mut socket, _) = {
        let (told, address) = tokio::sync::oneshot::channel();
        tokio::spawn(served(service, async move |address| {
            told.send(address).unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }));
        let address = address.await.unwrap();
        tokio_tungstenite::connect_async(format!("ws://{address}"))
            .await
            .unwrap()
    };
    let waits = request(7, "osis_changes", &json!([5, null, 9, 20_000]));
    let answered = exchange(&mut socket, Message::text(waits.to_string()))
        .await
        .unwrap();
    assert_eq!(
        (&answered["id"], &answered["result"]["changes"]),
        (&json!(7), &json!([]))
    );
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else {
        panic!()
    };
    assert_eq!(u16::from(frame.code), 1001);
}
