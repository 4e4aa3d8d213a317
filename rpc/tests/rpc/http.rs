//! HTTP as it goes over the wire.

use std::time::Duration;

use jsonrpsee::core::client::ClientT;
use jsonrpsee::http_client::HttpClient;
use jsonrpsee::rpc_params;
use osis_rpc::{Limits, ListenError, Server};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{limited, served, service, shop};

/// Sends a request as it stands; status and body come back.
async fn raw(address: &str, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

async fn get(address: &str, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    raw(address, request.as_bytes()).await
}

async fn post(address: &str, headers: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let request = format!("{head}{headers}Content-Length: {length}\r\n\r\n{body}");
    raw(address, request.as_bytes()).await
}

const COUNT: &str = r#"{"jsonrpc":"2.0","id":1,"method":"thing_count"}"#;
const COUNTED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"count":3}}"#;

#[tokio::test]
async fn calls_need_no_content_type_and_pages_of_others_are_refused() {
    served(shop().await, async |address| {
        for headers in [
            "",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "Content-Type: application/json\r\nOrigin: http://localhost:3000\r\n",
        ] {
            assert_eq!(
                post(&address, headers, COUNT).await,
                (200, COUNTED.to_owned())
            );
        }
        let (status, _) = post(&address, "Origin: http://evil.example\r\n", COUNT).await;
        assert_eq!(status, 403);
        let rebound = format!(
            "POST / HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{COUNT}",
            COUNT.len()
        );
        assert_eq!(raw(&address, rebound.as_bytes()).await.0, 403);
        let silent = r#"{"jsonrpc":"2.0","method":"thing_count"}"#;
        assert_eq!(post(&address, "", silent).await, (200, String::new()));
        let (status, body) = post(&address, "", "{").await;
        assert_eq!(status, 200);
        assert!(body.contains("-32700"));
    })
    .await;
}

#[tokio::test]
async fn what_stands_beside_the_calls() {
    let service = service();
    let document = service.document().to_owned();
    served(service, async |address| {
        assert_eq!(get(&address, "/health/live").await.0, 200);
        assert_eq!(get(&address, "/health/ready").await.0, 200);
        assert_eq!(get(&address, "/openrpc.json").await, (200, document));
        assert_eq!(get(&address, "/").await.0, 405);
        assert_eq!(get(&address, "/nothing").await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn bodies_are_bounded_and_the_client_is_told() {
    let service = limited(Limits {
        max_request: 1000,
        ..Limits::default()
    });
    served(service, async |address| {
        let fits = format!("{}{COUNT}", " ".repeat(1000 - COUNT.len()));
        assert_eq!(post(&address, "", &fits).await.0, 200);
        assert_eq!(post(&address, "", &format!(" {fits}")).await.0, 413);
        assert_eq!(
            post(&address, "Expect: 100-continue\r\n", &fits.repeat(2))
                .await
                .0,
            413
        );
        let chunked = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                       Transfer-Encoding: chunked\r\n\r\n";
        let chunks = format!("400\r\n{}\r\n0\r\n\r\n", " ".repeat(0x400));
        let (status, _) = raw(&address, format!("{chunked}{chunks}").as_bytes()).await;
        assert_eq!(status, 413);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_we_did_not_write() {
    served(shop().await, async |address| {
        let client = HttpClient::builder()
            .build(format!("http://{address}"))
            .unwrap();
        let thing: Value = client
            .request("thing_get", rpc_params!["thing-2"])
            .await
            .unwrap();
        assert_eq!(thing["name"], "Thing 2");
        let error = client
            .request::<Value, _>("thing_get", rpc_params!["none"])
            .await;
        let jsonrpsee::core::ClientError::Call(error) = error.unwrap_err() else {
            panic!()
        };
        assert_eq!(error.code(), -32020);
        client
            .notification("thing_delete", rpc_params!["thing-1"])
            .await
            .unwrap();
        let mut batch = jsonrpsee::core::params::BatchRequestBuilder::new();
        batch.insert("thing_count", rpc_params![]).unwrap();
        batch.insert("thing_get", rpc_params!["thing-1"]).unwrap();
        let answers = client.batch_request::<Value>(batch).await.unwrap();
        let answers: Vec<_> = answers.into_iter().collect();
        assert_eq!(answers[0].as_ref().unwrap(), &json!({ "count": 2 }));
        assert_eq!(answers[1].as_ref().unwrap_err().code(), -32020);
    })
    .await;
}

#[tokio::test]
async fn only_this_machine_is_listened_to() {
    for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = Server::bind(service(), open).await;
        let Err(ListenError::NotLoopback(address)) = refused else {
            panic!("{open}")
        };
        assert_eq!(address.to_string(), open);
    }
    assert!(Server::bind(service(), "127.0.0.1:0").await.is_ok());
    let first = Server::bind(service(), "localhost:0").await.unwrap();
    let taken = Server::bind(service(), &first.local_addr().to_string()).await;
    assert!(matches!(taken, Err(ListenError::System { .. })));
}

#[tokio::test]
async fn what_runs_is_finished_before_the_end() {
    let service = shop().await;
    let finished = served(service.clone(), async |address| {
        let since = service.store().commits().borrow().to_string();
        let waiting = tokio::spawn({
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"osis_changes","params":[{since},null,9,25000]}}"#
            );
            async move { post(&address, "", &body).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        // The poll is answered when the server begins to drain, which is after this.
        tokio::spawn(async move {
            let (status, body) = waiting.await.unwrap();
            assert_eq!(status, 200);
            assert!(body.contains(r#""changes":[]"#), "{body}");
        });
    })
    .await;
    assert!(finished);
}

#[tokio::test]
async fn connections_past_the_limit_wait() {
    let service = limited(Limits {
        max_connections: 1,
        ..Limits::default()
    });
    served(service, async |address| {
        let first = TcpStream::connect(&address).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second = get(&address, "/health/live");
        let mut second = std::pin::pin!(second);
        let wait = Duration::from_millis(100);
        assert!(tokio::time::timeout(wait, second.as_mut()).await.is_err());
        drop(first);
        assert_eq!(second.await.0, 200);
    })
    .await;
}
