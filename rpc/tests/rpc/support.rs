//! A small shop to call, and ways to call it.

use std::future::Future;
use std::sync::Arc;

use osis_core::Store;
use osis_core::memory::MemoryBackend;
use osis_core::schema::{Source, load};
use osis_rpc::{Caller, Limits, Server, Service};
use serde_json::{Value, json};
use tokio::sync::oneshot;

pub(crate) const SHOP: &str = r#"
name = "shop"
version = 3

[types.maker]
plural = "makers"

[types.maker.fields]
email = { type = "string", required = true, unique = "fold", format = "email", search = 2 }
name  = { type = "string", required = true, search = 4 }
token = { type = "string", secret = true }

[types.thing]
plural = "things"
doc = "What is sold."
unique = [["maker_id", "name"]]

[types.thing.fields]
maker_id = { type = "ref", to = "maker", on_delete = "cascade", required = true, index = true }
code     = { type = "string", required = true, unique = true, pattern = '^[a-z]+\.[a-z]+$' }
name     = { type = "string", required = true, search = 4 }
about    = { type = "text", search = 1 }
tags     = { type = "list", of = "string", default = [], search = 1 }
status   = { type = "enum", values = ["draft", "sold"], default = "draft" }
price    = { type = "float", min = 0 }
stock    = { type = "int", default = 0, merge = "add" }
extra    = { type = "json" }
picture  = { type = "bytes" }
due      = { type = "time" }

[types.part]
plural = "parts"

[types.part.fields]
thing_id = { type = "ref", to = "thing", on_delete = "restrict", required = true }
note     = { type = "string" }

[types.thing.relations]
parts = { from = "part", via = "thing_id", sort = "note", limit = 10 }
first = { from = "part", via = "thing_id", sort = "note", limit = 1 }

[types.visit]
plural = "visits"
class = "log"
time = "at"

[types.visit.fields]
at   = { type = "time", required = true }
kind = { type = "string", required = true, index = true }

[types.trail]
plural = "trails"
class = "log"
time = "at"
access = { read = "admin", write = "none" }

[types.trail.fields]
at = { type = "time", required = true }
"#;

pub(crate) fn store() -> Store {
    let schema = load(&[Source::new("shop.toml", SHOP)]).expect("the shop's schema is right");
    Store::new(Arc::new(MemoryBackend::new(Arc::new(schema))))
}

pub(crate) fn service() -> Service {
    limited(Limits {
        max_batch: 8,
        ..Limits::default()
    })
}

pub(crate) fn limited(limits: Limits) -> Service {
    Service::new(store(), limits)
}

/// Sends a text; the answer comes back as JSON, null if there is none.
pub(crate) async fn send(service: &Service, text: impl AsRef<[u8]>) -> Value {
    match service.handle(text.as_ref(), &Caller::operator()).await {
        Some(answer) => serde_json::from_slice(&answer).expect("an answer is JSON"),
        None => Value::Null,
    }
}

pub(crate) fn request(id: u32, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// Calls a method that is to succeed.
pub(crate) async fn call(service: &Service, method: &str, params: Value) -> Value {
    let answer = send(service, request(1, method, &params).to_string()).await;
    assert!(
        answer.get("result").is_some(),
        "{method} {params}: {answer}"
    );
    answer["result"].clone()
}

/// Calls a method that is to fail.
pub(crate) async fn fail(service: &Service, method: &str, params: Value) -> Value {
    let answer = send(service, request(1, method, &params).to_string()).await;
    assert!(answer.get("error").is_some(), "{method} {params}: {answer}");
    answer["error"].clone()
}

/// A shop with two makers (`ada0`, `bob0`) and three things (`thing-1` to `thing-3`).
pub(crate) async fn shop() -> Service {
    let service = service();
    for (id, name) in [("ada0", "Ada"), ("bob0", "Bob")] {
        let data = json!({ "id": id, "name": name, "email": format!("{name}@example.org") });
        call(&service, "maker_new", json!({ "data": data })).await;
    }
    for n in 1..=3 {
        let data = json!({
            "id": format!("thing-{n}"), "maker_id": if n < 3 { "ada0" } else { "bob0" },
            "code": format!("org.thing{}", "x".repeat(n)), "name": format!("Thing {n}"),
            "stock": n, "price": 0.5 * n as f64,
        });
        call(&service, "thing_new", json!([data])).await;
    }
    service
}

/// Serves on a free port while a test runs; the test ends with what serving came to.
pub(crate) async fn served<F: Future<Output = ()>>(
    service: Service,
    test: impl FnOnce(String) -> F,
) -> bool {
    let server = Server::bind(service, "127.0.0.1:0")
        .await
        .expect("a free port");
    let address = server.local_addr().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async {
        stopped.await.ok();
    }));
    test(address).await;
    stop.send(()).ok();
    serving.await.expect("serving does not panic")
}
