//! Log types: all methods of a type, and `_ingest` (§3 "Log types").

use serde_json::{Value, json};

use crate::api::{Api, column, id};

cases![each_logs:
    a_log_type_has_all_methods,
    an_id_of_the_store_carries_the_time_of_its_object,
    a_clients_id_is_a_uuid_of_about_that_time,
    ingest_takes_many_and_counts_duplicates,
    ingest_is_all_or_none,
    an_ingested_object_is_like_one_made_by_new,
    an_ingest_has_at_most_10_000_items,
    the_time_cannot_be_changed,
    objects_of_any_time_are_accepted,
];

/// A UUIDv7 of a moment, in milliseconds since 1970.
fn uuid_at(millis: u64, tail: u32) -> String {
    format!(
        "{:08x}-{:04x}-7000-8000-{tail:012x}",
        millis >> 16,
        millis & 0xffff
    )
}

/// 2026-03-01T00:00:00Z
const MARCH: u64 = 1_772_323_200_000;
const DAY: u64 = 24 * 3600 * 1000;

fn visit(page: &str) -> Value {
    json!({ "page": page, "at": "2026-03-01T00:00:00Z" })
}

async fn a_log_type_has_all_methods(api: &dyn Api) {
    let made = api.new("visit", visit("a")).await;
    assert_eq!(
        (&made["rev"], &made["agent"]),
        (&json!(1), &json!("unknown"))
    );
    let set = api
        .patch(
            "visit",
            id(&made),
            json!({ "agent": "curl", "facts": { "b": 1, "a": 2 } }),
        )
        .await;
    assert_eq!((&set["rev"], &set["agent"]), (&json!(2), &json!("curl")));
    assert_eq!(api.get("visit", id(&made)).await, set);
    assert_eq!(
        api.ok("visit_list", json!({ "sort": "-at" })).await["items"],
        json!([set])
    );
    assert_eq!(
        api.ok("visit_find", json!({ "query": "curl" })).await["hits"][0]["object"],
        set
    );
    let figures = api
        .ok("visit_aggregate", json!({ "group_by": ["page"] }))
        .await;
    assert_eq!(figures["rows"], json!([{ "page": "a", "count": 1 }]));
    api.ok("visit_ingest", json!({ "items": [visit("b")] }))
        .await;
    assert_eq!(api.count("visit").await, 2);
    let gone = api.ok("visit_delete", json!({ "id": made["id"] })).await;
    assert_eq!(gone, json!({ "deleted": { "visit": 1 } }));
    let figures = api
        .ok("visit_aggregate", json!({ "group_by": ["page"] }))
        .await;
    assert_eq!(figures["rows"], json!([{ "page": "b", "count": 1 }]));
}

async fn an_id_of_the_store_carries_the_time_of_its_object(api: &dyn Api) {
    let made = api.new("visit", visit("a")).await;
    assert_eq!(id(&made)[..15], uuid_at(MARCH, 0)[..15], "{made}");
    api.ok("visit_ingest", json!({ "items": [visit("b")] }))
        .await;
    let listed = api.ok("visit_list", json!({})).await;
    for id in column(&listed["items"], "id") {
        assert_eq!(id.as_str().unwrap()[..15], uuid_at(MARCH, 0)[..15], "{id}");
    }
}

async fn a_clients_id_is_a_uuid_of_about_that_time(api: &dyn Api) {
    let with = |id: &str| {
        let mut data = visit("a");
        data["id"] = json!(id);
        data
    };
    for fits in [
        uuid_at(MARCH, 1),
        uuid_at(MARCH + DAY, 2),
        uuid_at(MARCH - DAY, 3),
    ] {
        assert_eq!(api.new("visit", with(&fits)).await["id"], fits);
    }
    let other_version = uuid_at(MARCH, 9).replace("-7000-", "-4000-");
    for wrong in [
        uuid_at(MARCH + DAY + 1, 1),
        uuid_at(MARCH - DAY - 1, 1),
        other_version,
        "abcd".to_owned(),
    ] {
        api.fault("visit_new", json!({ "data": with(&wrong) }), "data.id")
            .await;
        let items = json!({ "items": [visit("b"), with(&wrong)] });
        api.fault("visit_ingest", items, "items[1].id").await;
        let objects = json!({ "objects": { "visit": [with(&wrong)] } });
        api.fault("osis_seed", objects, "objects.visit[0].id").await;
        let upsert = json!({ "id": wrong, "data": visit("a"), "upsert": true });
        assert_eq!(api.faults("visit_set", upsert).await.len(), 1);
    }
    assert_eq!(api.count("visit").await, 3);
}

async fn ingest_takes_many_and_counts_duplicates(api: &dyn Api) {
    let item = |n: u32| {
        let mut data = visit(&format!("p{n}"));
        data["id"] = json!(uuid_at(MARCH, n));
        data
    };
    let ingest =
        |items: Vec<Value>| async move { api.ok("visit_ingest", json!({ "items": items })).await };
    let report =
        |accepted: u32, duplicates: u32| json!({ "accepted": accepted, "duplicates": duplicates });
    assert_eq!(ingest(vec![]).await, report(0, 0));
    assert_eq!(
        ingest(vec![item(1), item(2), visit("x")]).await,
        report(3, 0)
    );
    assert_eq!(ingest(vec![item(2), item(3), item(3)]).await, report(1, 2));
    let mut other = item(1);
    other["page"] = json!("other");
    assert_eq!(
        ingest(vec![other]).await,
        report(0, 1),
        "even with other content"
    );
    assert_eq!(api.get("visit", &uuid_at(MARCH, 1)).await["page"], "p1");
    assert_eq!(api.count("visit").await, 4);
}

async fn ingest_is_all_or_none(api: &dyn Api) {
    let items = json!([visit("a"), { "page": 7, "at": "never" }, visit("b"), { "page": "c", "nope": 1 }, 7]);
    let mut paths = api.faults("visit_ingest", json!({ "items": items })).await;
    paths.sort();
    let wanted = [
        "items[1].at",
        "items[1].page",
        "items[3].at",
        "items[3].nope",
        "items[4]",
    ];
    assert_eq!(paths, wanted);
    assert_eq!(api.count("visit").await, 0);
}

async fn an_ingested_object_is_like_one_made_by_new(api: &dyn Api) {
    let id_of = uuid_at(MARCH, 7);
    let mut data = visit("a");
    data["id"] = json!(id_of);
    data["facts"] = json!({ "z": [1, 2.5], "a": null });
    api.ok("visit_ingest", json!({ "items": [data] })).await;
    let ingested = api.get("visit", &id_of).await;
    assert_eq!(
        (&ingested["rev"], &ingested["agent"]),
        (&json!(1), &json!("unknown"))
    );
    assert_eq!(ingested["at"], "2026-03-01T00:00:00.000Z");
    assert_eq!(
        api.new("visit", data).await,
        ingested,
        "a repeated new finds it made"
    );
    let set = api.patch("visit", &id_of, json!({ "took_ms": 5 })).await;
    assert_eq!(set["rev"], 2);
}

async fn an_ingest_has_at_most_10_000_items(api: &dyn Api) {
    let items = |n: usize| json!({ "items": vec![visit("a"); n] });
    api.fault("visit_ingest", items(10_001), "items").await;
    let done = api.ok("visit_ingest", items(10_000)).await;
    assert_eq!(done, json!({ "accepted": 10_000, "duplicates": 0 }));
    assert_eq!(api.count("visit").await, 10_000);
    for wrong in [json!({}), json!("x"), json!(null)] {
        api.fault("visit_ingest", json!({ "items": wrong }), "items")
            .await;
    }
    api.fault("visit_ingest", json!({}), "items").await;
}

async fn the_time_cannot_be_changed(api: &dyn Api) {
    let made = api.new("visit", visit("a")).await;
    for mode in ["patch", "replace", "merge"] {
        let data = json!({ "page": "a", "at": "2026-03-01T00:00:01Z" });
        let params = json!({ "id": made["id"], "mode": mode, "data": data });
        api.fault("visit_set", params, "data.at").await;
    }
    let params = json!({ "id": made["id"], "mode": "replace", "data": { "page": "b" } });
    assert_eq!(api.ok("visit_set", params).await["at"], made["at"]);
}

async fn objects_of_any_time_are_accepted(api: &dyn Api) {
    let times = [
        "0001-01-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00.000Z",
        "2026-03-01T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z",
    ];
    for at in times {
        let made = api.new("visit", json!({ "page": "a", "at": at })).await;
        assert_eq!(api.get("visit", id(&made)).await["at"], at);
    }
    let items: Vec<Value> = times
        .iter()
        .map(|at| json!({ "page": "b", "at": at }))
        .collect();
    api.ok("visit_ingest", json!({ "items": items })).await;
    let params = json!({ "sort": "at", "filter": { "page": "b" } });
    assert_eq!(
        column(&api.ok("visit_list", params).await["items"], "at"),
        times
    );
}
