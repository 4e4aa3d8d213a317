//! Keys: what is unique, how it compares, and what a conflict tells (§1 key, §2 `unique`, §3).

use serde_json::{Value, json};

use crate::api::{Api, id};
use crate::fixture::{
    app, category, customer, developer, product, product_data, version, version_data,
};

cases![each_keys:
    a_taken_key_is_a_conflict_that_tells_who_has_it,
    a_composite_key_is_taken_as_a_whole,
    nulls_never_clash,
    keys_of_every_type_compare_by_value,
    folded_keys_clash_in_any_case,
    other_keys_compare_exactly,
    a_secret_key_is_not_told,
    the_first_violated_key_is_told,
    a_change_can_violate_a_key,
    an_object_does_not_clash_with_itself,
    a_key_is_free_again_once_it_is_given_up,
];

fn conflict(ty: &str, key: &[&str], existing: &Value) -> Value {
    json!({ "kind": "conflict", "type": ty, "key": key, "existing_id": existing["id"] })
}

async fn a_taken_key_is_a_conflict_that_tells_who_has_it(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let notes = app(api, &ada, "notes").await;
    let data = json!({
        "developer_id": id(&ada), "package_id": "org.example.notes", "name": "Other",
    });
    let error = api
        .fails("app_new", json!({ "data": data }), "conflict")
        .await;
    assert_eq!(error.data, conflict("app", &["package_id"], &notes));
    assert_eq!(api.count("app").await, 1);
}

async fn a_composite_key_is_taken_as_a_whole(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let (notes, maps) = (app(api, &ada, "notes").await, app(api, &ada, "maps").await);
    let first = version(api, &notes, 1).await;
    version(api, &notes, 2).await;
    version(api, &maps, 1).await;
    let again = json!({ "data": version_data(id(&notes), 1) });
    let error = api.fails("version_new", again, "conflict").await;
    assert_eq!(
        error.data,
        conflict("version", &["app_id", "version_code"], &first)
    );
}

async fn nulls_never_clash(api: &dyn Api) {
    let root = category(api, "same", None).await;
    category(api, "same", None).await;
    category(api, "same", Some(&root)).await;
    let again = json!({ "data": { "name": "same", "parent_id": root["id"] } });
    api.fails("category_new", again, "conflict").await;
    customer(api, "ada").await;
    customer(api, "bob").await;
    assert_eq!(
        (api.count("category").await, api.count("customer").await),
        (3, 2)
    );
    let slot = json!({ "day": "2026-01-01T00:00:00Z", "hour": 7, "lang": "en" });
    api.new("slot", slot.clone()).await;
    api.new("slot", slot).await;
}

async fn keys_of_every_type_compare_by_value(api: &dyn Api) {
    let day = json!("2026-01-01T00:00:00Z");
    let data = json!({ "day": day, "hour": 7, "lang": "en", "live": false });
    let slot = api.new("slot", data.clone()).await;
    let same_day = json!("2026-01-01T02:00:00.0009+02:00");
    let mut same = data.clone();
    same["day"] = same_day;
    let error = api
        .fails("slot_new", json!({ "data": same }), "conflict")
        .await;
    assert_eq!(
        error.data,
        conflict("slot", &["day", "hour", "lang", "live"], &slot)
    );
    assert_eq!(api.ok("slot_get", json!({ "key": same })).await, slot);
    for (field, other) in [
        ("day", json!("2026-01-01T00:00:00.001Z")),
        ("hour", json!(-7)),
        ("lang", json!("de")),
        ("live", json!(true)),
    ] {
        let mut data = data.clone();
        data[field] = other;
        let made = api.new("slot", data.clone()).await;
        assert_eq!(
            api.ok("slot_get", json!({ "key": data })).await,
            made,
            "{field}"
        );
    }
    for (number, name) in [(i64::MAX, "ada"), (i64::MAX - 1, "bob"), (0, "eve")] {
        let ada = customer(api, name).await;
        api.patch("customer", id(&ada), json!({ "number": number }))
            .await;
        let got = api
            .ok("customer_get", json!({ "key": { "number": number } }))
            .await;
        assert_eq!(got["id"], ada["id"], "{number}");
    }
}

async fn folded_keys_clash_in_any_case(api: &dyn Api) {
    for (email, others) in [
        (
            "ada@example.org",
            ["ADA@example.org", "Ada@Example.Org", "ａｄａ@example.org"],
        ),
        ("straße@x", ["STRASSE@X", "strasse@x", "STRAẞE@x"]),
        (
            "kelvin@x",
            ["\u{212a}elvin@x", "KELVIN@x", "kelvi\u{ff4e}@x"],
        ),
        ("σας@x", ["ΣΑΣ@x", "σασ@x", "Σας@X"]),
        ("\u{e9}@x", ["e\u{301}@x", "E\u{301}@x", "\u{c9}@X"]),
        ("ﬁ@x", ["fi@x", "FI@x", "Fi@x"]),
    ] {
        let made = api
            .new("customer", json!({ "name": "A", "email": email }))
            .await;
        assert_eq!(made["email"], email);
        for other in others {
            let params = json!({ "data": { "name": "B", "email": other } });
            let error = api.fails("customer_new", params, "conflict").await;
            assert_eq!(
                error.data,
                conflict("customer", &["email"], &made),
                "{other}"
            );
        }
    }
    // The dotless ı is a letter of its own.
    for email in ["i@x", "ı@x"] {
        api.new("customer", json!({ "name": "A", "email": email }))
            .await;
    }
}

async fn other_keys_compare_exactly(api: &dyn Api) {
    for name in [
        "a", "A", "a ", " a", "\u{e9}", "e\u{301}", "ﬁ", "fi", "ß", "ss",
    ] {
        let made = api.new("warehouse", json!({ "name": name })).await;
        let got = api
            .ok("warehouse_get", json!({ "key": { "name": name } }))
            .await;
        assert_eq!(got, made, "{name:?}");
    }
}

async fn a_secret_key_is_not_told(api: &dyn Api) {
    let data = json!({ "name": "A", "email": "a@x", "card_hash": "c0ffee" });
    let ada = api.new("customer", data).await;
    let params = json!({ "data": { "name": "B", "email": "b@x", "card_hash": "c0ffee" } });
    let error = api.fails("customer_new", params, "conflict").await;
    let wanted = json!({ "kind": "conflict", "type": "customer", "key": ["card_hash"] });
    assert_eq!(error.data, wanted);
    assert!(!error.message.contains(id(&ada)), "{}", error.message);
}

async fn the_first_violated_key_is_told(api: &dyn Api) {
    let data = json!({ "id": "ada-1", "name": "A", "email": "a@x", "card_hash": "1", "number": 1 });
    api.new("customer", data).await;
    for (data, key) in [
        (
            json!({ "id": "ada-1", "name": "B", "email": "A@x", "card_hash": "1" }),
            "id",
        ),
        (
            json!({ "name": "B", "number": 1, "card_hash": "1", "email": "A@x" }),
            "email",
        ),
        (
            json!({ "name": "B", "number": 1, "card_hash": "1", "email": "b@x" }),
            "card_hash",
        ),
        (
            json!({ "name": "B", "number": 1, "email": "b@x" }),
            "number",
        ),
    ] {
        let error = api
            .fails("customer_new", json!({ "data": data }), "conflict")
            .await;
        assert_eq!(error.data["key"], json!([key]), "{data}");
    }
    // A unique field comes before a composite key, wherever they stand in the schema.
    api.new("select", json!({ "order": 1, "group": "a", "rowid": "x" }))
        .await;
    let both = json!({ "data": { "order": 1, "group": "a", "rowid": "x" } });
    let error = api.fails("select_new", both, "conflict").await;
    assert_eq!(error.data["key"], json!(["rowid"]));
    let one = json!({ "data": { "order": 1, "group": "a", "rowid": "y" } });
    let error = api.fails("select_new", one, "conflict").await;
    assert_eq!(error.data["key"], json!(["order", "group"]));
}

async fn a_change_can_violate_a_key(api: &dyn Api) {
    let (ada, bob) = (customer(api, "ada").await, customer(api, "bob").await);
    for mode in ["patch", "merge", "replace"] {
        let params = json!({
            "id": bob["id"], "mode": mode, "data": { "name": "bob", "email": "ADA@example.org" },
        });
        let error = api.fails("customer_set", params, "conflict").await;
        assert_eq!(error.data, conflict("customer", &["email"], &ada), "{mode}");
    }
    assert_eq!(api.get("customer", id(&bob)).await, bob);
    let notes = app(api, &developer(api, "dev").await, "notes").await;
    version(api, &notes, 1).await;
    let second = version(api, &notes, 2).await;
    let params = json!({ "id": second["id"], "data": { "version_code": 1 } });
    api.fails("version_set", params, "conflict").await;
}

async fn an_object_does_not_clash_with_itself(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let set = api
        .patch("customer", id(&ada), json!({ "email": "ADA@EXAMPLE.ORG" }))
        .await;
    assert_eq!(
        (&set["email"], &set["rev"]),
        (&json!("ADA@EXAMPLE.ORG"), &json!(2))
    );
    let got = api
        .ok(
            "customer_get",
            json!({ "key": { "email": "ada@example.org" } }),
        )
        .await;
    assert_eq!(got, set);
}

async fn a_key_is_free_again_once_it_is_given_up(api: &dyn Api) {
    let (ada, bob) = (customer(api, "ada").await, customer(api, "bob").await);
    api.patch("customer", id(&ada), json!({ "email": "new@example.org" }))
        .await;
    api.patch("customer", id(&bob), json!({ "email": "ADA@example.org" }))
        .await;
    let got = api
        .ok(
            "customer_get",
            json!({ "key": { "email": "ada@example.org" } }),
        )
        .await;
    assert_eq!(got["id"], bob["id"]);
    let first = product(api, 1, &json!({})).await;
    api.ok("product_delete", json!({ "id": first["id"] })).await;
    api.new("product", product_data(1, &json!({}))).await;
}
