//! The wire: batches, notifications, ids, limits, statuses, and what stands beside the calls.
//!
//! What the methods answer is the suite's matter; here is how requests and answers travel, as
//! bytes over HTTP and through the WebSocket client of jsonrpsee.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::{BatchRequestBuilder, ObjectParams};
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::WsClientBuilder;
use osis_rpc::{Limits, Service};
use osis_tests::Api;
use osis_tests::http::Connection;
use osis_tests::settings::{Direct, Site};
use serde_json::{Value, json};

fn site() -> Site {
    Site::on_memory(Limits::default())
}

fn request(id: &Value, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn memo(body: &str) -> Value {
    json!({ "data": { "id": format!("memo-{body}"), "body": body } })
}

/// The code of an answer that is an error.
fn code(answer: &Value) -> i64 {
    answer["error"]["code"]
        .as_i64()
        .unwrap_or_else(|| panic!("no error: {answer}"))
}

mod batches {
    use super::*;

    #[test]
    fn answers_stand_in_the_order_of_the_requests() {
        let site = site();
        let batch = json!([
            request(&json!(7), "memo_new", &memo("a")),
            request(&json!("x"), "memo_get", &json!({ "id": "memo-a" })),
            { "jsonrpc": "2.0", "method": "memo_new", "params": memo("b") },
            request(&json!(null), "memo_get", &json!({ "id": "memo-b" })),
            request(&json!(7), "memo_nope", &json!({})),
            1,
            request(&json!(8), "memo_set", &json!({ "id": "memo-a", "data": { "count": 3 } })),
            request(&json!(9), "memo_get", &json!({ "id": "nope" })),
            { "jsonrpc": "2.0", "method": 1, "id": 10 },
            request(&json!(11), "memo_get", &json!({ "id": "memo-a" })),
        ]);
        let answers = site.connect().post(batch.to_string()).json();
        let ids: Vec<&Value> = answers
            .as_array()
            .unwrap()
            .iter()
            .map(|a| &a["id"])
            .collect();
        assert_eq!(json!(ids), json!([7, "x", null, 7, null, 8, 9, 10, 11]));
        assert_eq!(answers[0]["result"], answers[1]["result"]);
        assert_eq!(
            answers[2]["result"]["body"], "b",
            "the notification before it was carried out"
        );
        assert_eq!((code(&answers[3]), code(&answers[4])), (-32601, -32600));
        assert_eq!(answers[5]["result"]["rev"], 2);
        assert_eq!((code(&answers[6]), code(&answers[7])), (-32020, -32600));
        assert_eq!(answers[8]["result"]["count"], 3);
        let wrong = answers
            .as_array()
            .unwrap()
            .iter()
            .find(|a| a["jsonrpc"] != "2.0");
        assert!(wrong.is_none(), "{wrong:?}");
    }

    #[test]
    fn an_entry_that_fails_harms_no_other() {
        let site = site();
        let batch: Vec<Value> = (0..20)
            .map(|n| match n % 2 {
                0 => request(&json!(n), "memo_new", &memo(&n.to_string())),
                _ => request(
                    &json!(n),
                    "memo_new",
                    &json!({ "data": { "id": "memo-0", "body": "other" } }),
                ),
            })
            .collect();
        let answers = site.connect().post(json!(batch).to_string()).json();
        for (n, answer) in answers.as_array().unwrap().iter().enumerate() {
            assert_eq!(answer.get("error").is_some(), n % 2 == 1, "{answer}");
        }
        let count = site.connect().call("memo_count", &json!({}));
        assert_eq!(count["result"]["count"], 10);
    }

    #[test]
    fn a_hundred_gets_are_what_each_would_be_alone() {
        let site = Site::on_sqlite(Limits::default());
        let mut connection = site.connect();
        for n in 0..30 {
            let data = json!({
                "id": format!("customer-{n}"), "name": format!("n{n}"), "email": format!("{n}@x"),
                "invited_by": if n > 0 { json!(format!("customer-{}", n / 2)) } else { json!(null) },
            });
            let made = connection.call("customer_new", &json!({ "data": data }));
            assert!(made.get("result").is_some(), "{made}");
        }
        let params = |n: usize| match n % 6 {
            0 => json!({ "id": format!("customer-{}", n % 30) }),
            1 => json!({ "key": { "email": format!("{}@X", n % 30) } }),
            2 => json!({ "id": "customer-7", "fields": ["name"] }),
            3 => json!({ "id": format!("nobody-{n}") }),
            4 => {
                json!({ "id": format!("customer-{}", n % 30), "expand": ["invited_by", "invited"] })
            }
            _ => json!({ "id": "customer-7", "expand": ["nope"] }),
        };
        let batch: Vec<Value> = (0..100)
            .map(|n| request(&json!(n), "customer_get", &params(n)))
            .collect();
        let answers = connection.post(json!(batch).to_string()).json();
        for (n, answer) in answers.as_array().unwrap().iter().enumerate() {
            let mut alone = connection.call("customer_get", &params(n));
            alone["id"] = json!(n);
            assert_eq!(*answer, alone);
        }
    }

    #[test]
    fn a_run_of_reads_is_one_snapshot() {
        for site in [site(), Site::on_sqlite(Limits::default())] {
            let mut connection = site.connect();
            for name in ["a", "b"] {
                connection.call(
                    "tally_new",
                    &json!({ "data": { "id": format!("tally-{name}"), "name": name, "hits": 0 } }),
                );
            }
            let add = |name: &str| {
                let data = json!({ "hits": 1 });
                json!({ "method": "tally_set", "params": { "id": name, "mode": "merge", "data": data } })
            };
            let both = json!({ "ops": [add("tally-a"), add("tally-b")] });
            let reads: Vec<Value> = (0..20)
                .map(|n| {
                    let of = json!({ "id": if n % 2 == 0 { "tally-a" } else { "tally-b" }, "fields": ["hits"] });
                    match n {
                        5 => request(&json!(n), "tally_aggregate", &json!({ "metrics": ["min:hits", "max:hits"] })),
                        6 => request(&json!(n), "tally_list", &json!({ "fields": ["hits"] })),
                        7 => request(&json!(n), "osis_info", &json!({})),
                        _ => request(&json!(n), "tally_get", &of),
                    }
                })
                .collect();
            let done = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut writer = site.connect();
                    while !done.load(Ordering::Relaxed) {
                        let answer = writer.call("osis_transaction", &both);
                        assert!(answer.get("result").is_some(), "{answer}");
                    }
                });
                let mut seen = BTreeSet::new();
                while seen.len() < 20 {
                    let answers = connection.post(json!(reads).to_string()).json();
                    let hits = answers[0]["result"]["hits"].as_i64().unwrap();
                    for (n, answer) in answers.as_array().unwrap().iter().enumerate() {
                        match n {
                            5 => assert_eq!(
                                answer["result"]["rows"],
                                json!([{ "min:hits": hits, "max:hits": hits }])
                            ),
                            6 => assert_eq!(answer["result"]["items"][1]["hits"], hits),
                            // Each commit so far made or changed something.
                            7 => assert_eq!(
                                answer["result"]["seq"],
                                hits + 2,
                                "the info is of another moment"
                            ),
                            _ => assert_eq!(answer["result"]["hits"], hits, "{answers}"),
                        }
                    }
                    seen.insert(hits);
                }
                done.store(true, Ordering::Relaxed);
            });
        }
    }

    #[test]
    fn an_empty_batch_and_one_too_long_are_invalid_requests() {
        let site = Site::on_memory(Limits {
            max_batch: 10,
            ..Limits::default()
        });
        let mut connection = site.connect();
        let new = request(&json!(1), "memo_new", &json!({ "data": { "body": "a" } }));
        for (batch, fine) in [
            (0, false),
            (1, true),
            (10, true),
            (11, false),
            (1000, false),
        ] {
            let answer = connection
                .post(json!(vec![new.clone(); batch]).to_string())
                .json();
            match fine {
                true => assert_eq!(answer.as_array().map(Vec::len), Some(batch)),
                false => assert_eq!((code(&answer), &answer["id"]), (-32600, &json!(null))),
            }
        }
        assert_eq!(
            connection.call("memo_count", &json!({}))["result"]["count"],
            11
        );
    }

    #[test]
    fn a_batch_over_a_websocket_is_like_one_over_http() {
        let site = site();
        let address = site.address();
        site.runtime().block_on(async {
            let client = WsClientBuilder::default()
                .build(format!("ws://{address}"))
                .await
                .unwrap();
            let mut batch = BatchRequestBuilder::new();
            let mut params = ObjectParams::new();
            params
                .insert("data", json!({ "id": "memo-1", "body": "a" }))
                .unwrap();
            batch.insert("memo_new", params).unwrap();
            batch.insert("memo_get", rpc_params!["memo-1"]).unwrap();
            batch.insert("memo_get", rpc_params!["nope"]).unwrap();
            let answers = client.batch_request::<Value>(batch).await.unwrap();
            assert_eq!(
                (answers.num_successful_calls(), answers.num_failed_calls()),
                (2, 1)
            );
            let answers: Vec<_> = answers.into_iter().collect();
            assert_eq!(answers[0].as_ref().unwrap(), answers[1].as_ref().unwrap());
            assert_eq!(answers[2].as_ref().unwrap_err().code(), -32020);
        });
    }
}

mod notifications {
    use super::*;

    #[test]
    fn they_are_carried_out_and_answered_with_an_empty_body() {
        let site = site();
        let mut connection = site.connect();
        for (body, count) in [
            (
                json!({ "jsonrpc": "2.0", "method": "memo_new", "params": memo("a") }),
                1,
            ),
            (
                json!([{ "jsonrpc": "2.0", "method": "memo_new", "params": memo("b") }]),
                2,
            ),
            (
                json!({ "jsonrpc": "2.0", "method": "memo_new", "params": { "data": {} } }),
                2,
            ),
            (json!({ "jsonrpc": "2.0", "method": "nope" }), 2),
            (json!({ "jsonrpc": "2.0", "method": "memo_list" }), 2),
        ] {
            let answer = connection.post(body.to_string());
            assert_eq!((answer.status, answer.text()), (200, ""), "{body}");
            assert_eq!(
                connection.call("memo_count", &json!({}))["result"]["count"],
                count,
                "{body}"
            );
        }
    }

    #[test]
    fn they_are_carried_out_over_a_websocket_too() {
        let site = site();
        let address = site.address();
        site.runtime().block_on(async {
            let client = WsClientBuilder::default()
                .build(format!("ws://{address}"))
                .await
                .unwrap();
            let mut params = ObjectParams::new();
            params.insert("data", json!({ "body": "a" })).unwrap();
            client.notification("memo_new", params).await.unwrap();
            // Messages of one socket may overtake each other, so it is asked until it is there.
            for _ in 0..2000 {
                let count: Value = client.request("memo_count", rpc_params![]).await.unwrap();
                if count["count"] == 1 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("the notification was not carried out");
        });
    }
}

mod requests {
    use super::*;

    #[test]
    fn an_id_comes_back_as_it_was_written() {
        let site = site();
        let mut connection = site.connect();
        for id in [
            "1",
            "0",
            "-3",
            "1.5",
            "1.50",
            "1e3",
            "18446744073709551616",
            "null",
            "\"\"",
            "\"a\\\"b\"",
            "\"ü😀\"",
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","method":"osis_info","id":{id}}}"#);
            let answer = connection.post(&body);
            assert!(
                answer.text().contains(&format!("\"id\":{id}")),
                "{id}: {}",
                answer.text()
            );
        }
    }

    #[test]
    fn what_is_no_json_is_a_parse_error() {
        let site = site();
        let mut connection = site.connect();
        let nested = |depth: usize| {
            let params = "[".repeat(depth - 1) + &"]".repeat(depth - 1);
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"nope","params":{params}}}"#).into_bytes()
        };
        for body in [
            b"".to_vec(),
            b"{".to_vec(),
            b"nonsense".to_vec(),
            b"[1,]".to_vec(),
            br#"{"jsonrpc":"2.0","id":1,"method":"osis_info"} x"#.to_vec(),
            br#"{"jsonrpc":"2.0","id":1,"method":"osis_info","id":2}"#.to_vec(),
            br#"{"jsonrpc":"2.0","id":1,"method":"memo_new","params":{"data":{"body":"a","body":"b"}}}"#.to_vec(),
            br#"{"jsonrpc":"2.0","id":1,"method":"memo_new","params":{"data":{"body":"a","b\u006fdy":"b"}}}"#.to_vec(),
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}".to_vec(),
            b"\xef\xbb\xbf{}".to_vec(),
            nested(129),
            nested(100_000),
        ] {
            let answer = connection.post(&body);
            let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            let json = answer.json();
            assert_eq!((answer.status, code(&json), &json["id"]), (200, -32700, &json!(null)), "{shown}");
        }
        assert_eq!(code(&connection.post(nested(128)).json()), -32601);
    }

    #[test]
    fn what_is_no_request_is_an_invalid_request() {
        let site = site();
        let mut connection = site.connect();
        for (body, id) in [
            (json!(1), json!(null)),
            (json!("x"), json!(null)),
            (json!(null), json!(null)),
            (json!({}), json!(null)),
            (json!({ "method": "osis_info", "id": 1 }), json!(1)),
            (
                json!({ "jsonrpc": "1.0", "method": "osis_info", "id": 1 }),
                json!(1),
            ),
            (
                json!({ "jsonrpc": 2.0, "method": "osis_info", "id": 1 }),
                json!(1),
            ),
            (json!({ "jsonrpc": "2.0", "id": 1 }), json!(1)),
            (
                json!({ "jsonrpc": "2.0", "method": 7, "id": "a" }),
                json!("a"),
            ),
            (
                json!({ "jsonrpc": "2.0", "method": null, "id": "a" }),
                json!("a"),
            ),
            (
                json!({ "jsonrpc": "2.0", "method": "osis_info", "params": "x", "id": 1 }),
                json!(1),
            ),
            (
                json!({ "jsonrpc": "2.0", "method": "osis_info", "params": 7, "id": 1 }),
                json!(1),
            ),
            (
                json!({ "jsonrpc": "2.0", "method": "osis_info", "id": {} }),
                json!(null),
            ),
            (
                json!({ "jsonrpc": "2.0", "method": "osis_info", "id": true }),
                json!(null),
            ),
        ] {
            let answer = connection.post(body.to_string()).json();
            assert_eq!((code(&answer), &answer["id"]), (-32600, &id), "{body}");
            let answer = connection.post(json!([body]).to_string()).json();
            assert_eq!(
                (code(&answer[0]), &answer[0]["id"]),
                (-32600, &id),
                "[{body}]"
            );
        }
    }

    #[test]
    fn what_json_says_is_not_bent() {
        let site = site();
        let mut connection = site.connect();
        let mut number = 0;
        let mut product = |field: &str, value: &str| {
            number += 1;
            let data = format!(r#"{{"sku":"AB-{number}","{field}":{value}}}"#);
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"product_new","params":{{"data":{data}}}}}"#
            );
            connection.post(body).text().to_owned()
        };
        for (field, value, kept) in [
            ("stock", "-0", "0"),
            ("price", "-0.0", "0.0"),
            ("price", "-0", "0.0"),
            ("price", "1E2", "100.0"),
            ("price", "0.1", "0.1"),
            ("price", "1e-400", "0.0"),
            ("title", r#""\ud83d\ude00\u0041""#, r#""😀A""#),
            ("title", r#""\u0001""#, r#""\u0001""#),
            (
                "specs",
                r#"{"b":1,"a":{"d":[],"c":1.50}}"#,
                r#"{"a":{"c":1.5,"d":[]},"b":1}"#,
            ),
        ] {
            let answer = product(field, value);
            assert!(
                answer.contains(&format!("\"{field}\":{kept}")),
                "{field} {value}: {answer}"
            );
        }
        for (field, value, path) in [
            ("stock", "1.0", "data.stock"),
            ("stock", "1e2", "data.stock"),
            ("stock", "9223372036854775808", "data.stock"),
            ("stock", "-9223372036854775809", "data.stock"),
            ("stock", "100000000000000000000000000000", "data.stock"),
            ("price", "1e400", "data.price"),
            ("price", "-1e400", "data.price"),
            ("specs", "1e400", "data.specs"),
            ("specs", "18446744073709551616", "data.specs"),
            ("title", r#""\ud800""#, "data.title"),
            ("title", r#""\udc00x""#, "data.title"),
            ("title", r#""\ud800\ud800""#, "data.title"),
            ("title", r#""a\u0000b""#, "data.title"),
            ("tags", r#"["a","\udfff"]"#, "data.tags[1]"),
        ] {
            let answer: Value = serde_json::from_str(&product(field, value)).unwrap();
            assert_eq!(code(&answer), -32602, "{field} {value}");
            assert_eq!(
                answer["error"]["data"]["errors"][0]["path"], path,
                "{field} {value}"
            );
        }
    }

    #[test]
    fn parameters_go_by_position_too() {
        let site = site();
        let mut connection = site.connect();
        let made = connection.call("memo_new", &json!([{ "id": "memo-1", "body": "a" }]));
        let got = connection.call("memo_get", &json!(["memo-1"]));
        assert_eq!(made["result"], got["result"]);
        let set = connection.call("memo_set", &json!([{ "id": "memo-1" }, { "count": 2 }, 1]));
        assert_eq!(set["result"]["rev"], 2);
        let listed = connection.call("memo_list", &json!([{ "count": 2 }, null, 1]));
        assert_eq!(listed["result"]["items"], json!([set["result"]]));
    }
}

mod http {
    use super::*;

    #[test]
    fn the_status_is_200_whatever_the_answer_says() {
        let site = site();
        let mut connection = site.connect();
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"osis_info"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"nope"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"memo_get","params":["nope"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"memo_get"}"#,
            "{",
            "[]",
            "1",
        ] {
            let answer = connection.post(body);
            assert_eq!(answer.status, 200, "{body}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/json"),
                "{body}"
            );
        }
    }

    #[test]
    fn a_body_is_read_whatever_its_content_type() {
        let site = site();
        let mut connection = site.connect();
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"memo_count"}"#;
        for headers in [
            &[][..],
            &[("content-type", "application/x-www-form-urlencoded")],
            &[("content-type", "text/plain; charset=utf-8")],
            &[("content-type", "application/json-rpc")],
            &[("accept", "text/html"), ("user-agent", "curl/8")],
        ] {
            let answer = connection.request("POST", "/", headers, body);
            assert_eq!(
                (answer.status, &answer.json()["result"]["count"]),
                (200, &json!(0)),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn a_body_over_the_limit_is_413() {
        let site = Site::on_memory(Limits {
            max_request: 1000,
            ..Limits::default()
        });
        let body = |length: usize| {
            let head =
                request(&json!(1), "memo_new", &json!({ "data": { "body": "" } })).to_string();
            head.replace(
                "\"body\":\"\"",
                &format!("\"body\":\"{}\"", "x".repeat(length - head.len())),
            )
        };
        let mut connection = site.connect();
        let fits = connection.post(body(1000));
        assert_eq!((fits.status, body(1000).len()), (200, 1000));
        assert!(fits.json().get("result").is_some());
        for length in [1001, 5000, 100_000] {
            assert_eq!(site.connect().post(body(length)).status, 413, "{length}");
        }
        assert_eq!(
            site.connect().call("memo_count", &json!({}))["result"]["count"],
            1
        );
    }

    #[test]
    fn a_body_in_chunks_is_read_whole() {
        let site = site();
        let mut connection = site.connect();
        connection.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
        let body = request(&json!(1), "memo_count", &json!({})).to_string();
        for part in body.as_bytes().chunks(7) {
            connection.send(format!("{:x}\r\n", part.len()).as_bytes());
            connection.send(part);
            connection.send(b"\r\n");
        }
        connection.send(b"0\r\n\r\n");
        assert_eq!(connection.read().json()["result"]["count"], 0);
    }

    #[test]
    fn requests_may_follow_one_another_without_waiting() {
        let site = site();
        let mut connection = site.connect();
        for n in 0..20 {
            let body = request(&json!(n), "memo_new", &memo(&n.to_string())).to_string();
            let head = format!(
                "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            connection.send(head.as_bytes());
            connection.send(body.as_bytes());
        }
        for n in 0..20 {
            assert_eq!(connection.read().json()["id"], n);
        }
    }

    #[test]
    fn health_and_description_stand_beside_the_calls() {
        let site = site();
        let mut connection = site.connect();
        for path in ["/health/live", "/health/ready"] {
            assert_eq!(connection.get(path).status, 200, "{path}");
        }
        let document = connection.get("/openrpc.json");
        assert_eq!(
            (document.status, document.header("content-type")),
            (200, Some("application/json"))
        );
        let discovered = connection.call("rpc.discover", &json!({}));
        assert_eq!(document.json(), discovered["result"]);
        assert_eq!(connection.get("/nope").status, 404);
        assert_eq!(
            connection
                .request("PUT", "/", &[("content-length", "0")], b"")
                .status,
            405
        );
    }

    #[test]
    fn a_draining_service_is_alive_but_not_ready_and_answers_unavailable() {
        let site = site();
        let mut connection = site.connect();
        let service = site.service().clone();
        assert!(site.runtime().block_on(service.drain()));
        assert_eq!(connection.get("/health/live").status, 200);
        assert_eq!(connection.get("/health/ready").status, 503);
        let refused = connection.call("memo_new", &memo("a"));
        assert_eq!(
            (code(&refused), &refused["error"]["data"]["kind"]),
            (-32027, &json!("unavailable"))
        );
    }

    #[test]
    fn a_waiting_call_does_not_hold_up_the_end() {
        let site = site();
        let mut waiting = site.connect();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(move || {
                waiting.call("osis_changes", &json!({ "since": 0, "wait_ms": 25_000 }))
            });
            // Whether or not it is waiting already, it is answered.
            let service = site.service().clone();
            assert!(site.runtime().block_on(service.drain()));
            let answer = waiter.join().unwrap();
            let told = answer["result"]["changes"] == json!([]);
            assert!(told || code(&answer) == -32027, "{answer}");
        });
    }
}

mod limits {
    use super::*;

    #[test]
    fn a_call_past_its_time_limit_is_unavailable_and_a_write_so_answered_is_not_done() {
        for site in [site(), Site::on_sqlite(Limits::default())] {
            let limits = Limits {
                timeout: Duration::ZERO,
                ..Limits::default()
            };
            let hurried = Direct(Service::new(site.service().store().clone(), limits));
            let hurried: &dyn Api = &hurried;
            site.runtime().block_on(async {
                let new = json!({ "data": { "id": "memo-1", "body": "a" } });
                let op = json!({ "method": "memo_new", "params": new });
                hurried.fails("memo_new", new, "unavailable").await;
                hurried
                    .fails("osis_transaction", json!({ "ops": [op] }), "unavailable")
                    .await;
                hurried.fails("memo_list", json!({}), "unavailable").await;
                hurried
                    .fails("app_find", json!({ "query": "x" }), "unavailable")
                    .await;
            });
            let count = site.connect().call("memo_count", &json!({}));
            assert_eq!(count["result"]["count"], 0);
        }
    }
}

mod description {
    use super::*;

    fn document(connection: &mut Connection) -> Value {
        connection.get("/openrpc.json").json()
    }

    #[test]
    fn every_parameter_that_is_described_exists_and_no_other_is_required() {
        let site = site();
        let mut connection = site.connect();
        let document = document(&mut connection);
        for method in document["methods"].as_array().unwrap() {
            let name = method["name"].as_str().unwrap();
            let params = method["params"].as_array().unwrap();
            assert_eq!(method["paramStructure"], "by-name", "{name}");
            let required: Vec<bool> = params
                .iter()
                .map(|param| param["required"] == true)
                .collect();
            assert!(
                required.is_sorted_by(|a, b| a >= b),
                "{name}: the required ones come first"
            );
            // Each is known: wrong values are what is wrong with them, never their names.
            let wrong: Value = params
                .iter()
                .map(|p| (p["name"].as_str().unwrap().to_owned(), json!({ "x": [[]] })))
                .collect();
            let answer = connection.call(name, &wrong);
            for fault in answer["error"]["data"]["errors"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let message = fault["message"].as_str().unwrap();
                assert!(
                    !message.contains("is unknown: the param"),
                    "{name}: {fault}"
                );
            }
            // Without any, exactly those that are required are missing.
            let answer = connection.call(name, &json!({}));
            let faults = answer["error"]["data"]["errors"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let missing: BTreeSet<&str> = faults
                .iter()
                .map(|fault| fault["path"].as_str().unwrap())
                .collect();
            let named = params.iter().filter(|param| param["required"] == true);
            let mut wanted: BTreeSet<&str> =
                named.map(|param| param["name"].as_str().unwrap()).collect();
            // Either of two is needed, which a list of parameters cannot say.
            if params.iter().any(|param| param["name"] == "key") {
                wanted.insert("id");
            }
            assert_eq!(missing, wanted, "{name}");
        }
    }

    #[test]
    fn what_is_answered_has_the_members_that_are_described() {
        let site = site();
        let mut connection = site.connect();
        let document = document(&mut connection);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let made = connection.call("memo_new", &memo("a"))["result"].clone();
        let members: BTreeSet<&String> = made.as_object().unwrap().keys().collect();
        let described = schemas.values().find(|schema| {
            let properties = schema["properties"].as_object();
            properties.is_some_and(|own| members.iter().all(|member| own.contains_key(*member)))
        });
        assert!(described.is_some(), "no schema has {members:?}");
    }
}
