//! `_set`: patch and replace, revisions, upserts (§3 "`_set`"); merges have a file of their own.

use serde_json::{Value, json};

use crate::api::{Api, id};
use crate::fixture::{app, customer, developer, product, sku, version_data};

cases![each_set_modes:
    a_patch_changes_the_named_fields,
    a_replace_makes_what_new_would,
    a_replace_keeps_immutable_fields,
    a_set_that_changes_nothing_leaves_no_trace,
    a_set_expects_a_revision,
    a_set_takes_a_key,
    an_upsert_makes_what_is_not_there,
    an_upsert_changes_what_is_there,
    an_upsert_that_replaces_need_not_repeat_its_key,
    an_upsert_whose_key_and_data_disagree_is_invalid,
    an_upsert_makes_only_what_new_would,
    if_rev_0_with_upsert_means_that_it_must_not_exist,
    without_upsert_nothing_is_made,
    modes_and_flags_have_their_forms,
];

async fn a_patch_changes_the_named_fields(api: &dyn Api) {
    let before = product(api, 1, &json!({ "title": "A", "stock": 3, "tags": ["x"] })).await;
    let set = api
        .patch(
            "product",
            id(&before),
            json!({ "stock": null, "price": 2.5 }),
        )
        .await;
    let mut wanted = before.clone();
    wanted["stock"] = json!(null);
    wanted["price"] = json!(2.5);
    wanted["rev"] = json!(2);
    wanted["updated_at"] = set["updated_at"].clone();
    assert_eq!(set, wanted);
    assert_eq!(api.get("product", id(&before)).await, wanted);
    let params = json!({ "id": id(&before), "data": { "stock": 4 }, "mode": "patch" });
    assert_eq!(api.ok("product_set", params).await["stock"], 4);
}

async fn a_replace_makes_what_new_would(api: &dyn Api) {
    let data = json!({ "email": "ada@example.org", "name": "Ada", "vip": true, "number": 7 });
    let ada = api.new("customer", data).await;
    let replaced = json!({ "email": "ada@example.org", "name": "Ada L." });
    let params = json!({ "id": ada["id"], "mode": "replace", "data": replaced });
    let set = api.ok("customer_set", params).await;
    assert_eq!(
        (&set["vip"], &set["number"]),
        (&json!(false), &json!(null)),
        "default and unset"
    );
    assert_eq!((&set["name"], &set["rev"]), (&json!("Ada L."), &json!(2)));
    let params = json!({ "id": ada["id"], "mode": "replace", "data": { "vip": true } });
    assert_eq!(
        api.faults("customer_set", params).await,
        ["data.email", "data.name"]
    );
    let unset = json!({ "email": "ada@example.org", "name": "Ada", "vip": null });
    let params = json!({ "id": ada["id"], "mode": "replace", "data": unset });
    assert_eq!(
        api.ok("customer_set", params).await["vip"],
        json!(null),
        "an explicit null stays"
    );
}

async fn a_replace_keeps_immutable_fields(api: &dyn Api) {
    let made = product(api, 1, &json!({ "title": "A", "stock": 3 })).await;
    let replace = |data: &Value| json!({ "id": made["id"], "mode": "replace", "data": data });
    let set = api
        .ok("product_set", replace(&json!({ "title": "B" })))
        .await;
    assert_eq!((&set["sku"], &set["stock"]), (&json!(sku(1)), &json!(null)));
    let other = replace(&json!({ "title": "B", "sku": sku(2) }));
    api.fault("product_set", other, "data.sku").await;
}

async fn a_set_that_changes_nothing_leaves_no_trace(api: &dyn Api) {
    let fields =
        json!({ "title": "A", "released": "2026-01-01T00:00:00Z", "specs": { "a": 1, "b": 2 } });
    let made = product(api, 1, &fields).await;
    let before = api.ok("osis_changes", json!({ "since": 0 })).await;
    let rows = [
        ("patch", json!({})),
        ("patch", json!({ "title": "A", "stock": null })),
        (
            "patch",
            json!({ "released": "2026-01-01T01:00:00.0001+01:00" }),
        ),
        ("patch", json!({ "specs": { "b": 2, "a": 1 } })),
        ("merge", json!({ "title": "A" })),
        ("replace", fields),
    ];
    for (mode, data) in rows {
        let params = json!({ "id": made["id"], "mode": mode, "data": data });
        assert_eq!(api.ok("product_set", params).await, made, "{mode} {data}");
    }
    assert_eq!(api.ok("osis_changes", json!({ "since": 0 })).await, before);
}

async fn a_set_expects_a_revision(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let set =
        |rev: u64, name: &str| json!({ "id": ada["id"], "if_rev": rev, "data": { "name": name } });
    assert_eq!(api.ok("customer_set", set(1, "a")).await["rev"], 2);
    let error = api.fails("customer_set", set(1, "b"), "rev_mismatch").await;
    assert_eq!(
        error.data,
        json!({ "kind": "rev_mismatch", "expected": 1, "actual": 2 })
    );
    api.fails("customer_set", set(3, "a"), "rev_mismatch").await;
    assert_eq!(
        api.ok("customer_set", set(2, "a")).await["rev"],
        2,
        "no change, but it held"
    );
    assert_eq!(api.get("customer", id(&ada)).await["name"], "a");
    for wrong in [json!(-1), json!("1"), json!(1.5), json!(true)] {
        let params = json!({ "id": ada["id"], "if_rev": wrong, "data": {} });
        api.fault("customer_set", params, "if_rev").await;
    }
}

async fn a_set_takes_a_key(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let key = json!({ "email": "ADA@Example.org" });
    let params = json!({ "key": key, "data": { "email": "new@example.org" } });
    let set = api.ok("customer_set", params).await;
    assert_eq!(
        (&set["id"], &set["email"]),
        (&ada["id"], &json!("new@example.org"))
    );
    api.fails(
        "customer_set",
        json!({ "key": key, "data": {} }),
        "not_found",
    )
    .await;
}

async fn an_upsert_makes_what_is_not_there(api: &dyn Api) {
    let upsert = |target: &str, value: Value, data: &Value| json!({ target: value, "data": data, "upsert": true });
    let by_id = upsert("id", json!("memo-1"), &json!({ "body": "a" }));
    let made = api.ok("memo_set", by_id).await;
    assert_eq!(
        (&made["id"], &made["rev"], &made["body"]),
        (&json!("memo-1"), &json!(1), &json!("a"))
    );
    let by_key = upsert("key", json!({ "email": "a@x" }), &json!({ "name": "A" }));
    let ada = api.ok("customer_set", by_key).await;
    assert_eq!(
        (&ada["email"], &ada["vip"]),
        (&json!("a@x"), &json!(false)),
        "with defaults"
    );
    assert_eq!(api.get("customer", id(&ada)).await, ada);
    let notes = app(api, &developer(api, "ada").await, "notes").await;
    let key = json!({ "app_id": notes["id"], "version_code": 3 });
    let mut data = version_data(id(&notes), 3);
    data.as_object_mut()
        .unwrap()
        .retain(|name, _| key.get(name).is_none());
    let third = api
        .ok("version_set", upsert("key", key.clone(), &data))
        .await;
    assert_eq!(api.ok("version_get", json!({ "key": key })).await, third);
    let keyed = upsert("key", json!({ "id": "memo-2" }), &json!({ "body": "b" }));
    assert_eq!(api.ok("memo_set", keyed).await["id"], "memo-2");
    for mode in ["replace", "merge"] {
        let params = json!({ "id": format!("in-{mode}"), "data": { "body": "c" }, "mode": mode, "upsert": true });
        assert_eq!(api.ok("memo_set", params).await["rev"], 1, "{mode}");
    }
}

async fn an_upsert_changes_what_is_there(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let params = json!({
        "key": { "email": "ADA@EXAMPLE.ORG" }, "data": { "name": "Ada" }, "upsert": true,
    });
    let set = api.ok("customer_set", params.clone()).await;
    assert_eq!(
        (&set["id"], &set["rev"], &set["name"]),
        (&ada["id"], &json!(2), &json!("Ada"))
    );
    assert_eq!(
        set["email"], "ada@example.org",
        "the key found it, the data did not name it"
    );
    assert_eq!(
        api.ok("customer_set", params).await,
        set,
        "nothing to change"
    );
    assert_eq!(api.count("customer").await, 1);
}

async fn an_upsert_that_replaces_need_not_repeat_its_key(api: &dyn Api) {
    let replace = |data: Value| json!({ "key": { "email": "a@x" }, "data": data, "mode": "replace", "upsert": true });
    let made = api
        .ok("customer_set", replace(json!({ "name": "A", "vip": true })))
        .await;
    assert_eq!(
        (&made["email"], &made["vip"]),
        (&json!("a@x"), &json!(true))
    );
    let set = api
        .ok("customer_set", replace(json!({ "name": "B" })))
        .await;
    assert_eq!(
        (&set["id"], &set["email"], &set["rev"]),
        (&made["id"], &json!("a@x"), &json!(2))
    );
    assert_eq!((&set["name"], &set["vip"]), (&json!("B"), &json!(false)));
}

async fn an_upsert_whose_key_and_data_disagree_is_invalid(api: &dyn Api) {
    let upsert = |email: &str| {
        let data = json!({ "name": "A", "email": email });
        json!({ "key": { "email": "a@x" }, "data": data, "upsert": true })
    };
    api.fault("customer_set", upsert("b@x"), "data.email").await;
    assert_eq!(api.count("customer").await, 0);
    let made = api.ok("customer_set", upsert("A@X")).await;
    assert_eq!(
        made["email"], "A@X",
        "equal as keys are: what the data say is kept"
    );
    api.fault("customer_set", upsert("b@x"), "data.email").await;
    assert_eq!(api.get("customer", id(&made)).await, made);
}

async fn an_upsert_makes_only_what_new_would(api: &dyn Api) {
    let params = json!({ "key": { "email": "a@x" }, "data": {}, "upsert": true });
    api.fault("customer_set", params, "data.name").await;
    let data = json!({ "name": "A", "invited_by": "nobody" });
    let params = json!({ "key": { "email": "a@x" }, "data": data, "upsert": true });
    api.fails("customer_set", params, "reference").await;
    api.new(
        "customer",
        json!({ "name": "B", "email": "b@x", "number": 7 }),
    )
    .await;
    let data = json!({ "name": "A", "number": 7 });
    let params = json!({ "key": { "email": "a@x" }, "data": data, "upsert": true });
    api.fails("customer_set", params, "conflict").await;
    let params =
        json!({ "key": { "email": "not an email" }, "data": { "name": "A" }, "upsert": true });
    api.fault("customer_set", params, "key.email").await;
    assert_eq!(api.count("customer").await, 1);
}

async fn if_rev_0_with_upsert_means_that_it_must_not_exist(api: &dyn Api) {
    let params = json!({
        "id": "memo-1", "data": { "body": "a" }, "upsert": true, "if_rev": 0,
    });
    let made = api.ok("memo_set", params.clone()).await;
    assert_eq!(made["rev"], 1);
    let error = api.fails("memo_set", params, "rev_mismatch").await;
    assert_eq!(
        error.data,
        json!({ "kind": "rev_mismatch", "expected": 0, "actual": 1 })
    );
    assert_eq!(api.get("memo", "memo-1").await, made);
}

async fn without_upsert_nothing_is_made(api: &dyn Api) {
    for params in [
        json!({ "id": "memo-1", "data": { "body": "a" } }),
        json!({ "id": "memo-1", "data": { "body": "a" }, "upsert": false }),
        json!({ "id": "memo-1", "data": { "body": "a" }, "mode": "replace" }),
    ] {
        api.fails("memo_set", params, "not_found").await;
    }
    assert_eq!(api.count("memo").await, 0);
}

async fn modes_and_flags_have_their_forms(api: &dyn Api) {
    let memo = api.new("memo", json!({ "body": "a" })).await;
    for (name, values) in [
        (
            "mode",
            vec![
                json!("Patch"),
                json!("put"),
                json!(""),
                json!(1),
                json!(true),
            ],
        ),
        ("upsert", vec![json!("true"), json!(1), json!([])]),
        ("data", vec![json!("x"), json!([]), json!(null), json!(7)]),
    ] {
        for value in values {
            let mut params = json!({ "id": memo["id"], "data": { "body": "b" } });
            params[name] = value;
            api.fault("memo_set", params, name).await;
        }
    }
    api.fault("memo_set", json!({ "id": memo["id"] }), "data")
        .await;
    assert_eq!(api.get("memo", id(&memo)).await, memo);
}
