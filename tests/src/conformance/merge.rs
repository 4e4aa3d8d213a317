//! Merges: each field's rule (§2 `merge`, §3 "`_set`").

use serde_json::{Value, json};

use crate::api::{Api, id};

cases![each_merge:
    each_rule_does_what_its_name_says,
    null_leaves_a_ruled_field_alone,
    null_leaves_a_required_field_alone_where_it_has_a_rule,
    a_field_without_a_rule_is_patched,
    what_is_not_named_stays,
    a_merge_keeps_the_bounds_of_its_fields,
    what_is_added_may_lie_outside_the_bounds_that_the_sum_keeps,
    a_merge_of_what_is_not_there_makes_it,
    only_a_merge_applies_the_rules,
    counters_in_one_transaction_add_up,
];

/// A tally that holds one value; what it holds after another was merged into it.
async fn merged(api: &dyn Api, name: &str, field: &str, held: &Value, given: &Value) -> Value {
    let made = api.new("tally", json!({ "name": name, field: held })).await;
    let params = json!({ "id": made["id"], "mode": "merge", "data": { field: given } });
    let set = api.ok("tally_set", params).await;
    assert_eq!(api.get("tally", id(&made)).await, set);
    let changed = set[field] != *held;
    assert_eq!(
        set["rev"],
        1 + i64::from(changed),
        "{field}: {held} and {given}"
    );
    set[field].clone()
}

async fn each_rule_does_what_its_name_says(api: &dyn Api) {
    let (early, late) = (
        json!("2026-01-01T00:00:00.000Z"),
        json!("2026-01-02T00:00:00.000Z"),
    );
    let rows = [
        ("hits", json!(5), json!(3), json!(8)),
        ("hits", json!(5), json!(-7), json!(-2)),
        ("hits", json!(5), json!(0), json!(5)),
        ("hits", json!(null), json!(3), json!(3)),
        (
            "hits",
            json!(9_007_199_254_740_992_i64),
            json!(1),
            json!(9_007_199_254_740_993_i64),
        ),
        ("weight", json!(0.5), json!(0.25), json!(0.75)),
        ("weight", json!(0.5), json!(1), json!(1.5)),
        ("weight", json!(null), json!(0.25), json!(0.25)),
        ("best", json!(5), json!(3), json!(5)),
        ("best", json!(5), json!(7), json!(7)),
        ("best", json!(null), json!(-7), json!(-7)),
        ("worst", json!(5.0), json!(3.0), json!(3.0)),
        ("worst", json!(-5.0), json!(3.0), json!(-5.0)),
        ("worst", json!(null), json!(3.0), json!(3.0)),
        ("latest", early.clone(), late.clone(), late.clone()),
        ("latest", late.clone(), early.clone(), late.clone()),
        ("latest", json!(null), early.clone(), early.clone()),
        ("first", early.clone(), late.clone(), early.clone()),
        ("first", late, early.clone(), early),
        (
            "names",
            json!(["b", "a"]),
            json!(["c", "a", "d"]),
            json!(["b", "a", "c", "d"]),
        ),
        ("names", json!(["b"]), json!(["a", "a"]), json!(["b", "a"])),
        ("names", json!(["b"]), json!([]), json!(["b"])),
        (
            "names",
            json!([]),
            json!(["a", "b", "a"]),
            json!(["a", "b"]),
        ),
        (
            "names",
            json!(null),
            json!(["a", "b", "a"]),
            json!(["a", "b"]),
        ),
        ("numbers", json!([3, 1]), json!([2, 3, 2]), json!([3, 1, 2])),
        ("origin", json!("here"), json!("there"), json!("here")),
        ("origin", json!(""), json!("there"), json!("")),
        ("origin", json!(null), json!("there"), json!("there")),
    ];
    for (number, (field, held, given, wanted)) in rows.into_iter().enumerate() {
        let result = merged(api, &number.to_string(), field, &held, &given).await;
        assert_eq!(result, wanted, "{field}: {held} and {given}");
    }
}

async fn null_leaves_a_ruled_field_alone(api: &dyn Api) {
    let rows = [
        ("hits", json!(5)),
        ("weight", json!(0.5)),
        ("best", json!(5)),
        ("worst", json!(5.0)),
        ("latest", json!("2026-01-01T00:00:00.000Z")),
        ("names", json!(["a"])),
        ("origin", json!("here")),
        ("hits", json!(null)),
    ];
    for (number, (field, held)) in rows.into_iter().enumerate() {
        let result = merged(api, &number.to_string(), field, &held, &json!(null)).await;
        assert_eq!(result, held, "{field}");
    }
}

async fn null_leaves_a_required_field_alone_where_it_has_a_rule(api: &dyn Api) {
    let made = api.new("tally", json!({ "name": "a", "base": 3 })).await;
    let merge = json!({ "id": made["id"], "mode": "merge", "data": { "base": null } });
    assert_eq!(api.ok("tally_set", merge).await, made);
    let unset = json!({ "id": made["id"], "mode": "merge", "data": { "name": null } });
    api.fault("tally_set", unset, "data.name").await;
    let patch = json!({ "id": made["id"], "data": { "base": null } });
    api.fault("tally_set", patch, "data.base").await;
}

async fn a_field_without_a_rule_is_patched(api: &dyn Api) {
    let rows = [
        (json!("a"), json!("b")),
        (json!("a"), json!(null)),
        (json!(null), json!("b")),
    ];
    for (number, (held, given)) in rows.into_iter().enumerate() {
        assert_eq!(
            merged(api, &number.to_string(), "note", &held, &given).await,
            given
        );
    }
}

async fn what_is_not_named_stays(api: &dyn Api) {
    let data = json!({ "name": "a", "hits": 1, "note": "n", "names": ["x"], "origin": "o" });
    let made = api.new("tally", data).await;
    let params = json!({ "key": { "name": "a" }, "mode": "merge", "data": { "hits": 1 } });
    let set = api.ok("tally_set", params).await;
    let mut wanted = made.clone();
    wanted["hits"] = json!(2);
    wanted["rev"] = json!(2);
    wanted["updated_at"] = set["updated_at"].clone();
    assert_eq!(set, wanted);
}

async fn a_merge_keeps_the_bounds_of_its_fields(api: &dyn Api) {
    let rows = [
        ("hits", json!(i64::MAX), json!(1)),
        ("hits", json!(i64::MIN), json!(-1)),
        ("weight", json!(f64::MAX), json!(f64::MAX)),
        ("level", json!(8), json!(3)),
        ("level", json!(1), json!(-2)),
        ("names", json!(["a", "b", "c"]), json!(["d", "e"])),
    ];
    for (number, (field, held, given)) in rows.into_iter().enumerate() {
        let made = api
            .new("tally", json!({ "name": number.to_string(), field: held }))
            .await;
        let params = json!({ "id": made["id"], "mode": "merge", "data": { field: given } });
        api.fault("tally_set", params, &format!("data.{field}"))
            .await;
        assert_eq!(api.get("tally", id(&made)).await, made);
    }
}

async fn what_is_added_may_lie_outside_the_bounds_that_the_sum_keeps(api: &dyn Api) {
    let made = api.new("tally", json!({ "name": "a", "level": 5 })).await;
    let params = json!({ "id": made["id"], "mode": "merge", "data": { "level": -2 } });
    assert_eq!(api.ok("tally_set", params).await["level"], 3);
    let fresh = json!({
        "key": { "name": "b" }, "mode": "merge", "upsert": true, "data": { "level": -2 },
    });
    api.fault("tally_set", fresh, "data.level").await;
}

async fn a_merge_of_what_is_not_there_makes_it(api: &dyn Api) {
    let params = json!({
        "key": { "name": "a" }, "mode": "merge", "upsert": true,
        "data": { "hits": 2, "names": ["x"], "origin": "first" },
    });
    let made = api.ok("tally_set", params.clone()).await;
    assert_eq!((&made["rev"], &made["hits"]), (&json!(1), &json!(2)));
    let again = api.ok("tally_set", params).await;
    assert_eq!((&again["rev"], &again["hits"]), (&json!(2), &json!(4)));
    assert_eq!(
        (&again["names"], &again["origin"]),
        (&json!(["x"]), &json!("first"))
    );
}

async fn only_a_merge_applies_the_rules(api: &dyn Api) {
    let made = api
        .new("tally", json!({ "name": "a", "hits": 5, "origin": "here" }))
        .await;
    let data = json!({ "name": "a", "hits": 3, "origin": "there" });
    for mode in ["patch", "replace"] {
        let params = json!({ "id": made["id"], "mode": mode, "data": data });
        let set = api.ok("tally_set", params).await;
        assert_eq!(
            (&set["hits"], &set["origin"]),
            (&json!(3), &json!("there")),
            "{mode}"
        );
    }
    let unset = api.patch("tally", id(&made), json!({ "hits": null })).await;
    assert_eq!(unset["hits"], json!(null));
}

async fn counters_in_one_transaction_add_up(api: &dyn Api) {
    api.new("tally", json!({ "name": "a" })).await;
    let op = json!({ "method": "tally_set", "params": {
        "key": { "name": "a" }, "mode": "merge", "data": { "hits": 1 },
    } });
    let ops = vec![op; 20];
    let done = api.ok("osis_transaction", json!({ "ops": ops })).await;
    assert_eq!(
        (&done["results"][19]["hits"], &done["results"][19]["rev"]),
        (&json!(20), &json!(21))
    );
}
