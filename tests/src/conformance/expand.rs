//! `expand`: what comes along with an object (§2 relations, §3 "Objects").

use serde_json::{Value, json};

use crate::api::{Api, column, texts};
use crate::fixture::{app, customer, developer, line, order, product, version};

cases![each_expand:
    a_ref_brings_its_target,
    a_relation_brings_what_refers_to_the_object,
    a_relation_of_limit_1_is_an_object_or_null,
    a_relation_has_its_order_and_limit,
    an_unset_ref_brings_null,
    every_object_of_a_page_has_its_own,
    expand_goes_one_level,
    expand_goes_with_fields,
    secrets_do_not_come_along,
    unknown_names_are_refused,
    a_type_may_relate_to_itself,
];

async fn get(api: &dyn Api, ty: &str, of: &Value, expand: &[&str]) -> Value {
    let params = json!({ "id": of["id"], "expand": expand });
    api.ok(&format!("{ty}_get"), params).await["expand"].clone()
}

async fn a_ref_brings_its_target(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let notes = app(api, &ada, "notes").await;
    let got = api
        .ok(
            "app_get",
            json!({ "id": notes["id"], "expand": ["developer_id"] }),
        )
        .await;
    let mut wanted = notes.clone();
    wanted["expand"] = json!({ "developer_id": ada });
    assert_eq!(got, wanted);
    let plain = api.ok("app_get", json!({ "id": notes["id"] })).await;
    assert!(plain.get("expand").is_none(), "{plain}");
}

async fn a_relation_brings_what_refers_to_the_object(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let bob = developer(api, "bob").await;
    let notes = app(api, &ada, "notes").await;
    let maps = app(api, &ada, "maps").await;
    app(api, &bob, "chess").await;
    assert_eq!(
        get(api, "developer", &ada, &["apps"]).await,
        json!({ "apps": [maps, notes] })
    );
    let first = version(api, &notes, 1).await;
    let second = version(api, &notes, 2).await;
    let brought = get(
        api,
        "app",
        &notes,
        &["versions", "latest_version", "developer_id"],
    )
    .await;
    let wanted = json!({
        "versions": [second, first], "latest_version": second, "developer_id": ada,
    });
    assert_eq!(brought, wanted);
}

async fn a_relation_of_limit_1_is_an_object_or_null(api: &dyn Api) {
    let notes = app(api, &developer(api, "ada").await, "notes").await;
    let none = get(api, "app", &notes, &["latest_version", "versions"]).await;
    assert_eq!(none, json!({ "latest_version": null, "versions": [] }));
    for code in [3, 1, 2] {
        version(api, &notes, code).await;
    }
    let latest = get(api, "app", &notes, &["latest_version"]).await;
    assert_eq!(latest["latest_version"]["version_code"], 3);
}

async fn a_relation_has_its_order_and_limit(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    for day in [3, 1, 5, 2, 4] {
        order(api, &ada, day).await;
    }
    let brought = get(api, "customer", &ada, &["orders", "latest_order"]).await;
    let days = texts(&brought["orders"], "placed_at");
    let wanted = [
        "2026-01-05T12:00:00.000Z",
        "2026-01-04T12:00:00.000Z",
        "2026-01-03T12:00:00.000Z",
    ];
    assert_eq!(days, wanted);
    assert_eq!(brought["latest_order"]["placed_at"], wanted[0]);
    let bill = &brought["latest_order"];
    let chair = product(api, 1, &json!({})).await;
    for position in [10, 9, 1] {
        line(api, bill, position, &chair).await;
    }
    let lines = get(api, "order", bill, &["lines"]).await;
    assert_eq!(column(&lines["lines"], "position"), [1, 9, 10]);
}

async fn an_unset_ref_brings_null(api: &dyn Api) {
    let chair = product(api, 1, &json!({})).await;
    assert_eq!(
        get(api, "product", &chair, &["supplier_id"]).await,
        json!({ "supplier_id": null })
    );
}

async fn every_object_of_a_page_has_its_own(api: &dyn Api) {
    let (ada, bob) = (developer(api, "ada").await, developer(api, "bob").await);
    for (developer, name, versions) in [(&ada, "a", 2), (&bob, "b", 0), (&ada, "c", 1)] {
        let app = app(api, developer, name).await;
        for code in 1..=versions {
            version(api, &app, code).await;
        }
    }
    let expand = json!(["developer_id", "versions", "latest_version"]);
    let listed = api
        .ok("app_list", json!({ "sort": "name", "expand": expand }))
        .await;
    let found = api
        .ok(
            "app_find",
            json!({ "query": "org", "sort": "name", "expand": expand }),
        )
        .await;
    let hits: Value = found["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["object"].clone())
        .collect();
    assert_eq!(hits, listed["items"]);
    let told = |n: usize| {
        let brought = &listed["items"][n]["expand"];
        let codes = column(&brought["versions"], "version_code");
        (
            brought["developer_id"]["name"].clone(),
            codes,
            brought["latest_version"]["version_code"].clone(),
        )
    };
    assert_eq!(told(0), (json!("ada"), vec![json!(2), json!(1)], json!(2)));
    assert_eq!(told(1), (json!("bob"), vec![], json!(null)));
    assert_eq!(told(2), (json!("ada"), vec![json!(1)], json!(1)));
}

async fn expand_goes_one_level(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let notes = app(api, &ada, "notes").await;
    let brought = get(api, "app", &notes, &["developer_id"]).await;
    assert!(brought["developer_id"].get("expand").is_none(), "{brought}");
    let params = json!({ "id": notes["id"], "expand": ["developer_id.apps"] });
    api.fault("app_get", params, "expand[0]").await;
}

async fn expand_goes_with_fields(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let notes = app(api, &ada, "notes").await;
    let params = json!({ "id": notes["id"], "fields": ["name"], "expand": ["developer_id"] });
    let got = api.ok("app_get", params).await;
    let wanted = json!({ "id": notes["id"], "name": "notes", "expand": { "developer_id": ada } });
    assert_eq!(got, wanted);
}

async fn secrets_do_not_come_along(api: &dyn Api) {
    let data = json!({ "name": "A", "email": "a@x", "pin": "geheim", "card_hash": "karte" });
    let ada = api.new("customer", data).await;
    let bill = order(api, &ada, 1).await;
    let brought = get(api, "order", &bill, &["customer_id"]).await;
    assert_eq!(brought["customer_id"], ada);
    api.patch(
        "customer",
        ada["id"].as_str().unwrap(),
        json!({ "invited_by": ada["id"] }),
    )
    .await;
    let brought = get(api, "customer", &ada, &["invited", "invited_by"]).await;
    assert!(!brought.to_string().contains("geheim"), "{brought}");
}

async fn unknown_names_are_refused(api: &dyn Api) {
    let notes = app(api, &developer(api, "ada").await, "notes").await;
    let params = json!({ "id": notes["id"], "expand": ["versions", "name", "nope", 7] });
    let mut paths = api.faults("app_get", params).await;
    paths.sort();
    assert_eq!(paths, ["expand[1]", "expand[2]", "expand[3]"]);
    for method in ["app_list", "app_get"] {
        let params = json!({ "expand": "versions", "id": notes["id"] });
        let mut params = params;
        if method == "app_list" {
            params.as_object_mut().unwrap().remove("id");
        }
        api.fault(method, params, "expand").await;
    }
}

async fn a_type_may_relate_to_itself(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    for name in ["eve", "bob"] {
        let data = json!({ "name": name, "email": format!("{name}@x"), "invited_by": ada["id"] });
        api.new("customer", data).await;
    }
    let brought = get(api, "customer", &ada, &["invited"]).await;
    assert_eq!(texts(&brought["invited"], "name"), ["bob", "eve"]);
    let root = api.new("select", json!({ "order": 1, "group": "a" })).await;
    for (order, group) in [(1, "c"), (2, "b"), (1, "b")] {
        api.new(
            "select",
            json!({ "order": order, "group": group, "to": root["id"] }),
        )
        .await;
    }
    let brought = get(api, "select", &root, &["from"]).await;
    let told: Vec<(Value, Value)> = brought["from"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["order"].clone(), row["group"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!(2), json!("b")),
            (json!(1), json!("b")),
            (json!(1), json!("c"))
        ]
    );
}
