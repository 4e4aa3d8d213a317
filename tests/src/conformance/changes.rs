//! `osis_changes` (§3 "For the store").

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::{Api, column, id, texts};
use crate::fixture::{app, customer, developer, version};

cases![each_changes:
    every_change_leaves_a_record,
    what_goes_along_leaves_a_record_too,
    since_is_exclusive_and_0_the_beginning,
    next_is_the_since_to_pass_next,
    records_of_one_commit_are_never_split,
    types_select_records,
    objects_come_as_they_are_now,
    above_the_stores_seq_is_gone,
    log_types_make_no_records,
    seqs_rise_with_every_commit,
    a_wait_ends_with_the_next_change,
    a_wait_without_change_ends_empty,
    parameters_have_their_forms,
];

async fn since(api: &dyn Api, seq: u64) -> Value {
    api.ok("osis_changes", json!({ "since": seq })).await
}

async fn every_change_leaves_a_record(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let changed = api
        .patch("customer", id(&ada), json!({ "vip": true }))
        .await;
    api.ok("customer_delete", json!({ "id": ada["id"] })).await;
    let feed = since(api, 0).await;
    let record = |n: usize, op: &str, rev: u32| {
        let seq = feed["changes"][n]["seq"].clone();
        let at = feed["changes"][n]["at"].clone();
        json!({ "seq": seq, "type": "customer", "id": ada["id"], "rev": rev, "op": op, "at": at })
    };
    let wanted = json!([
        record(0, "new", 1),
        record(1, "set", 2),
        record(2, "delete", 2)
    ]);
    assert_eq!(feed["changes"], wanted);
    let ats = texts(&feed["changes"], "at");
    assert_eq!(
        (&json!(ats[0]), &json!(ats[1])),
        (&ada["created_at"], &changed["updated_at"])
    );
    assert_eq!((&ats[2][19..20], &ats[2][23..]), (".", "Z"), "{}", ats[2]);
    let mut members: Vec<&String> = feed.as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["changes", "next", "oldest"]);
}

async fn what_goes_along_leaves_a_record_too(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let notes = app(api, &ada, "notes").await;
    let first = version(api, &notes, 1).await;
    let seq = api.seq().await;
    api.ok("developer_delete", json!({ "id": ada["id"] })).await;
    let feed = since(api, seq).await;
    let mut gone = texts(&feed["changes"], "id");
    gone.sort();
    let mut wanted = [id(&ada), id(&notes), id(&first)];
    wanted.sort_unstable();
    assert_eq!(gone, wanted);
    assert!(
        column(&feed["changes"], "op")
            .iter()
            .all(|op| op == "delete"),
        "{feed}"
    );
}

async fn since_is_exclusive_and_0_the_beginning(api: &dyn Api) {
    for n in 0..4 {
        api.new("memo", json!({ "body": n.to_string() })).await;
    }
    let all = since(api, 0).await;
    let seqs: Vec<u64> = column(&all["changes"], "seq")
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    assert_eq!(seqs.len(), 4);
    for (n, seq) in seqs.iter().enumerate() {
        let rest = since(api, *seq).await;
        assert_eq!(
            rest["changes"].as_array().unwrap()[..],
            all["changes"].as_array().unwrap()[n + 1..]
        );
        assert_eq!(rest["next"], *seqs.last().unwrap());
    }
}

async fn next_is_the_since_to_pass_next(api: &dyn Api) {
    let empty = since(api, 0).await;
    assert_eq!(empty["changes"], json!([]));
    for n in 0..25 {
        let ty = if n % 3 == 0 { "memo" } else { "category" };
        api.new(
            ty,
            json!({ if n % 3 == 0 { "body" } else { "name" }: n.to_string() }),
        )
        .await;
    }
    let whole = api
        .ok("osis_changes", json!({ "since": 0, "limit": 1000 }))
        .await;
    for types in [
        json!(null),
        json!(["memo"]),
        json!(["category"]),
        json!(["customer"]),
    ] {
        let mut walked = Vec::new();
        let mut at = empty["next"].clone();
        loop {
            let page = api
                .ok(
                    "osis_changes",
                    json!({ "since": at, "limit": 4, "types": types }),
                )
                .await;
            let changes = page["changes"].as_array().unwrap();
            assert!(page["next"].as_u64() >= at.as_u64(), "{page} after {at}");
            at = page["next"].clone();
            if changes.is_empty() {
                break;
            }
            walked.extend(changes.iter().cloned());
        }
        let wanted = whole["changes"].as_array().unwrap().iter();
        let named = |change: &&Value| {
            types
                .as_array()
                .is_none_or(|types| types.contains(&change["type"]))
        };
        assert_eq!(
            walked,
            wanted.filter(named).cloned().collect::<Vec<_>>(),
            "{types}"
        );
        assert_eq!(at, whole["next"], "{types}");
    }
}

async fn records_of_one_commit_are_never_split(api: &dyn Api) {
    let memos = |n: u32| json!({ "memo": (0..n).map(|m| json!({ "body": format!("{n} {m}") })).collect::<Vec<_>>() });
    for n in [1, 10, 3] {
        api.ok("osis_seed", json!({ "objects": memos(n) })).await;
    }
    let counts = |limit: u32, from: u64| async move {
        let page = api
            .ok("osis_changes", json!({ "since": from, "limit": limit }))
            .await;
        (
            page["changes"].as_array().unwrap().len(),
            page["next"].as_u64().unwrap(),
        )
    };
    let (first, next) = counts(1, 0).await;
    assert_eq!(first, 1);
    let (second, next) = counts(1, next).await;
    assert_eq!(second, 10, "the rest of the last commit comes along");
    let (third, next) = counts(2, next).await;
    assert_eq!((third, counts(1, next).await.0), (3, 0));
    assert_eq!(counts(5, 0).await.0, 11);
}

async fn types_select_records(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let bob = customer(api, "bob").await;
    api.patch("developer", id(&ada), json!({ "verified": true }))
        .await;
    for (types, wanted) in [
        (json!(["developer"]), vec![&ada["id"], &ada["id"]]),
        (json!(["customer"]), vec![&bob["id"]]),
        (
            json!(["customer", "developer"]),
            vec![&ada["id"], &bob["id"], &ada["id"]],
        ),
        (json!(["app"]), vec![]),
        (json!(["visit"]), vec![]),
    ] {
        let feed = api
            .ok("osis_changes", json!({ "since": 0, "types": types }))
            .await;
        assert_eq!(
            column(&feed["changes"], "id").iter().collect::<Vec<_>>(),
            wanted,
            "{types}"
        );
    }
    api.fault(
        "osis_changes",
        json!({ "since": 0, "types": ["app", "nope"] }),
        "types[1]",
    )
    .await;
    api.fault(
        "osis_changes",
        json!({ "since": 0, "types": "app" }),
        "types",
    )
    .await;
}

async fn objects_come_as_they_are_now(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let bob = customer(api, "bob").await;
    let now = api
        .patch("customer", id(&ada), json!({ "vip": true }))
        .await;
    api.ok("customer_delete", json!({ "id": bob["id"] })).await;
    let feed = api
        .ok("osis_changes", json!({ "since": 0, "objects": true }))
        .await;
    let changes = feed["changes"].as_array().unwrap();
    for change in changes {
        match change["id"] == ada["id"] {
            true => assert_eq!(
                change["object"], now,
                "the rev says how far it is: {change}"
            ),
            false => assert!(change["object"].is_null(), "{change}"),
        }
    }
    assert_eq!(changes.len(), 4);
    assert!(since(api, 0).await["changes"][0].get("object").is_none());
}

async fn above_the_stores_seq_is_gone(api: &dyn Api) {
    developer(api, "ada").await;
    let seq = api.seq().await;
    assert_eq!(since(api, seq).await["changes"], json!([]));
    for above in [seq + 1, seq + 1000, i64::MAX as u64] {
        let error = api
            .fails("osis_changes", json!({ "since": above }), "gone")
            .await;
        let oldest = error.data["oldest"].as_u64();
        assert!(oldest.is_some_and(|oldest| oldest <= seq), "{error:?}");
        let waiting = json!({ "since": above, "wait_ms": 5000 });
        api.fails("osis_changes", waiting, "gone").await;
    }
    let oldest = since(api, 0).await["oldest"].clone();
    api.ok("osis_changes", json!({ "since": oldest })).await;
}

async fn log_types_make_no_records(api: &dyn Api) {
    let visit = api
        .new(
            "visit",
            json!({ "page": "a", "at": "2026-01-01T00:00:00Z" }),
        )
        .await;
    api.patch("visit", id(&visit), json!({ "page": "b" })).await;
    api.ok(
        "visit_ingest",
        json!({ "items": [{ "page": "c", "at": "2026-01-01T00:00:00Z" }] }),
    )
    .await;
    api.ok("visit_delete", json!({ "id": visit["id"] })).await;
    let memo = api.new("memo", json!({ "body": "a" })).await;
    let feed = since(api, 0).await;
    assert_eq!(column(&feed["changes"], "id"), [memo["id"].clone()]);
    assert_eq!(feed["next"], api.seq().await);
}

async fn seqs_rise_with_every_commit(api: &dyn Api) {
    let mut last = api.seq().await;
    let ada = customer(api, "ada").await;
    for n in 0..5 {
        api.patch("customer", id(&ada), json!({ "name": n.to_string() }))
            .await;
        let seq = api.seq().await;
        assert!(seq > last, "{seq} after {last}");
        last = seq;
    }
    let feed = since(api, 0).await;
    assert!(
        column(&feed["changes"], "seq")
            .iter()
            .is_sorted_by(|a, b| a.as_u64() < b.as_u64())
    );
}

async fn a_wait_ends_with_the_next_change(api: &dyn Api) {
    let seq = api.seq().await;
    let params = json!({ "since": seq, "wait_ms": 20_000, "types": ["memo"] });
    let started = Instant::now();
    let writes = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        customer(api, "ada").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        api.new("memo", json!({ "body": "a" })).await
    };
    let (feed, memo) = tokio::join!(api.ok("osis_changes", params), writes);
    assert_eq!(column(&feed["changes"], "id"), [memo["id"].clone()]);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "it waited to the end"
    );
    let there = json!({ "since": seq, "wait_ms": 20_000 });
    assert_eq!(
        api.ok("osis_changes", there).await["changes"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}

async fn a_wait_without_change_ends_empty(api: &dyn Api) {
    developer(api, "ada").await;
    let seq = api.seq().await;
    let feed = api
        .ok("osis_changes", json!({ "since": seq, "wait_ms": 50 }))
        .await;
    assert_eq!((&feed["changes"], &feed["next"]), (&json!([]), &json!(seq)));
}

async fn parameters_have_their_forms(api: &dyn Api) {
    api.fault("osis_changes", json!({}), "since").await;
    for (name, values) in [
        (
            "since",
            vec![json!(-1), json!("0"), json!(1.0), json!(null), json!([])],
        ),
        ("wait_ms", vec![json!(-1), json!("1"), json!(0.5)]),
        ("objects", vec![json!(1), json!("true")]),
        ("nope", vec![json!(1)]),
    ] {
        for value in values {
            let mut params = json!({ "since": 0 });
            params[name] = value;
            api.fault("osis_changes", params, name).await;
        }
    }
    let by_position = json!([0, ["memo"], 10, 0, true]);
    assert_eq!(
        api.ok("osis_changes", by_position).await["changes"],
        json!([])
    );
}
