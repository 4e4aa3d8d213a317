//! References: what they may hold, and what becomes of them when their target goes (§2 `on_delete`).

use serde_json::{Value, json};

use crate::api::{Api, id};
use crate::fixture::{app, category, customer, developer, line, order, product, version};

cases![each_references:
    a_reference_to_nothing_is_refused,
    a_reference_to_an_object_of_another_type_is_refused,
    a_cascade_takes_referrers_along,
    a_cascade_follows_a_tree_and_a_circle,
    a_restricted_delete_names_what_restricts_it,
    a_ref_without_on_delete_restricts,
    a_delete_is_not_restricted_by_what_goes_too,
    set_null_unsets_and_counts_as_a_change,
    an_object_may_refer_to_itself,
    an_unset_reference_refers_to_nothing,
    the_app_of_an_event_is_not_checked,
];

fn reference(ty: &str, field: &str, id: &Value) -> Value {
    json!({ "kind": "reference", "type": ty, "field": field, "id": id })
}

async fn a_reference_to_nothing_is_refused(api: &dyn Api) {
    let nothing = json!("nothing");
    let data = json!({ "customer_id": nothing, "placed_at": "2026-01-01T00:00:00Z" });
    let error = api
        .fails("order_new", json!({ "data": data }), "reference")
        .await;
    assert_eq!(error.data, reference("order", "customer_id", &nothing));
    let ada = customer(api, "ada").await;
    let bill = order(api, &ada, 1).await;
    let params = json!({ "id": bill["id"], "data": { "customer_id": nothing } });
    let error = api.fails("order_set", params, "reference").await;
    assert_eq!(error.data, reference("order", "customer_id", &nothing));
    let objects = json!({ "order": [data] });
    let error = api
        .fails("osis_seed", json!({ "objects": objects }), "reference")
        .await;
    assert_eq!(error.data, reference("order", "customer_id", &nothing));
    assert_eq!(
        api.ok("order_list", json!({})).await["items"],
        json!([bill])
    );
}

async fn a_reference_to_an_object_of_another_type_is_refused(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let data = json!({ "customer_id": ada["id"], "placed_at": "2026-01-01T00:00:00Z" });
    api.fails("order_new", json!({ "data": data }), "reference")
        .await;
}

async fn a_cascade_takes_referrers_along(api: &dyn Api) {
    let (ada, bob) = (developer(api, "ada").await, developer(api, "bob").await);
    for name in ["notes", "maps"] {
        let app = app(api, &ada, name).await;
        version(api, &app, 1).await;
        version(api, &app, 2).await;
    }
    let kept = version(api, &app(api, &bob, "chess").await, 1).await;
    let data = json!({
        "developer_id": ada["id"], "name": "k", "public_key": "pk", "fingerprint": "f",
    });
    api.new("signing_key", data).await;
    let gone = api.ok("developer_delete", json!({ "id": ada["id"] })).await;
    let wanted = json!({ "developer": 1, "app": 2, "version": 4, "signing_key": 1 });
    assert_eq!(gone, json!({ "deleted": wanted }));
    assert_eq!(
        api.ok("version_list", json!({})).await["items"],
        json!([kept])
    );
    assert_eq!(
        (api.count("app").await, api.count("signing_key").await),
        (1, 0)
    );
}

async fn a_cascade_follows_a_tree_and_a_circle(api: &dyn Api) {
    let root = category(api, "root", None).await;
    let mut last = root.clone();
    for depth in 0..5 {
        last = category(api, &format!("depth {depth}"), Some(&last)).await;
        category(api, &format!("leaf {depth}"), Some(&last)).await;
    }
    api.patch("category", id(&root), json!({ "parent_id": last["id"] }))
        .await;
    let other = category(api, "other", None).await;
    let gone = api.ok("category_delete", json!({ "id": root["id"] })).await;
    assert_eq!(gone, json!({ "deleted": { "category": 11 } }));
    assert_eq!(
        api.ok("category_list", json!({})).await["items"],
        json!([other])
    );
}

async fn a_restricted_delete_names_what_restricts_it(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let bill = order(api, &ada, 1).await;
    let error = api
        .fails("customer_delete", json!({ "id": ada["id"] }), "reference")
        .await;
    assert_eq!(error.data, reference("order", "customer_id", &bill["id"]));
    assert_eq!(api.get("customer", id(&ada)).await, ada);
    api.ok("order_delete", json!({ "id": bill["id"] })).await;
    api.ok("customer_delete", json!({ "id": ada["id"] })).await;
}

async fn a_ref_without_on_delete_restricts(api: &dyn Api) {
    let chair = product(api, 1, &json!({})).await;
    let bill = order(api, &customer(api, "ada").await, 1).await;
    let sold = line(api, &bill, 1, &chair).await;
    let error = api
        .fails("product_delete", json!({ "id": chair["id"] }), "reference")
        .await;
    assert_eq!(error.data, reference("line", "product_id", &sold["id"]));
    let gone = api.ok("order_delete", json!({ "id": bill["id"] })).await;
    assert_eq!(gone, json!({ "deleted": { "order": 1, "line": 1 } }));
    api.ok("product_delete", json!({ "id": chair["id"] })).await;
}

async fn a_delete_is_not_restricted_by_what_goes_too(api: &dyn Api) {
    let house = api.new("warehouse", json!({ "name": "north" })).await;
    let shelf = api
        .new("shelf", json!({ "warehouse_id": house["id"] }))
        .await;
    let own = api
        .new(
            "box",
            json!({ "warehouse_id": house["id"], "shelf_id": shelf["id"] }),
        )
        .await;
    let error = api
        .fails("shelf_delete", json!({ "id": shelf["id"] }), "reference")
        .await;
    assert_eq!(error.data, reference("box", "shelf_id", &own["id"]));
    let foreign = api.new("box", json!({ "shelf_id": shelf["id"] })).await;
    let error = api
        .fails(
            "warehouse_delete",
            json!({ "id": house["id"] }),
            "reference",
        )
        .await;
    assert_eq!(error.data, reference("box", "shelf_id", &foreign["id"]));
    api.patch("box", id(&foreign), json!({ "shelf_id": null }))
        .await;
    let gone = api
        .ok("warehouse_delete", json!({ "id": house["id"] }))
        .await;
    assert_eq!(
        gone,
        json!({ "deleted": { "warehouse": 1, "shelf": 1, "box": 1 } })
    );
    assert_eq!(api.count("box").await, 1);
}

async fn set_null_unsets_and_counts_as_a_change(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let bob = customer(api, "bob").await;
    api.patch("customer", id(&bob), json!({ "invited_by": ada["id"] }))
        .await;
    let chair = product(api, 1, &json!({ "supplier_id": ada["id"] })).await;
    let since = api.seq().await;
    let gone = api.ok("customer_delete", json!({ "id": ada["id"] })).await;
    assert_eq!(gone, json!({ "deleted": { "customer": 1 } }));
    let bob = api.get("customer", id(&bob)).await;
    assert_eq!((&bob["invited_by"], &bob["rev"]), (&json!(null), &json!(3)));
    let chair = api.get("product", id(&chair)).await;
    assert_eq!(
        (&chair["supplier_id"], &chair["rev"]),
        (&json!(null), &json!(2))
    );
    let feed = api.ok("osis_changes", json!({ "since": since })).await;
    let record = |change: &Value| {
        (
            change["type"].clone(),
            change["id"].clone(),
            change["op"].clone(),
            change["rev"].clone(),
        )
    };
    let mut records: Vec<_> = feed["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(record)
        .collect();
    records.sort_by_key(|(ty, _, op, _)| (op.to_string(), ty.to_string()));
    let wanted = [
        (
            json!("customer"),
            ada["id"].clone(),
            json!("delete"),
            json!(1),
        ),
        (json!("customer"), bob["id"].clone(), json!("set"), json!(3)),
        (
            json!("product"),
            chair["id"].clone(),
            json!("set"),
            json!(2),
        ),
    ];
    assert_eq!(records, wanted);
}

async fn an_object_may_refer_to_itself(api: &dyn Api) {
    let data = json!({ "id": "self", "name": "A", "email": "a@x", "invited_by": "self" });
    let ada = api.new("customer", data).await;
    assert_eq!(ada["invited_by"], "self");
    let gone = api.ok("customer_delete", json!({ "id": "self" })).await;
    assert_eq!(gone, json!({ "deleted": { "customer": 1 } }));
    let loop_ = category(api, "loop", None).await;
    api.patch("category", id(&loop_), json!({ "parent_id": loop_["id"] }))
        .await;
    let gone = api
        .ok("category_delete", json!({ "id": loop_["id"] }))
        .await;
    assert_eq!(gone, json!({ "deleted": { "category": 1 } }));
}

async fn an_unset_reference_refers_to_nothing(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let bob = customer(api, "bob").await;
    api.patch("customer", id(&bob), json!({ "invited_by": ada["id"] }))
        .await;
    api.patch("customer", id(&bob), json!({ "invited_by": null }))
        .await;
    let seq = api.seq().await;
    api.ok("customer_delete", json!({ "id": ada["id"] })).await;
    let feed = api.ok("osis_changes", json!({ "since": seq })).await;
    assert_eq!(
        feed["changes"].as_array().map(Vec::len),
        Some(1),
        "bob is left alone: {feed}"
    );
}

async fn the_app_of_an_event_is_not_checked(api: &dyn Api) {
    let notes = app(api, &developer(api, "ada").await, "notes").await;
    let now = notes["created_at"].clone();
    for app_id in ["no such app", id(&notes)] {
        let data = json!({ "app_id": app_id, "kind": "launch", "occurred_at": now });
        assert_eq!(api.new("event", data).await["app_id"], app_id);
    }
    let gone = api.ok("app_delete", json!({ "id": notes["id"] })).await;
    assert_eq!(gone, json!({ "deleted": { "app": 1 } }));
    assert_eq!(api.count("event").await, 2);
}
