//! The steps of a history.

use osis_core::schema::{Schema, Type};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{queries, values};
use crate::families;

/// One thing that is done to both stores.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A call, whose answers are to be equal.
    Call {
        /// The method.
        method: String,
        /// Its parameters.
        params: Value,
    },
    /// A walk from page to page, each engine with its own cursors.
    Walk {
        /// A `_list` or a `_find`.
        method: String,
        /// Its parameters, but for the cursor.
        params: Value,
    },
    /// An upsert by key. Where it makes an object, the engines give it different ids, so it is
    /// deleted again at once.
    UpsertByKey {
        /// The type.
        ty: String,
        /// The parameters of `_set`.
        params: Value,
    },
    /// A seed. Objects without id that match nothing are given one first.
    Seed {
        /// The type, and the data of an object.
        objects: Vec<(usize, Value)>,
        /// `insert` or `update`.
        mode: &'static str,
    },
}

/// A history of one family of types: some objects to begin with, then any steps.
pub(crate) fn history(schema: &Schema) -> BoxedStrategy<Vec<Step>> {
    let families = families(schema).into_iter().map(|family| {
        let first = beginning(schema, &family);
        let steps = prop::collection::vec(step(schema, &family), 1..50);
        steps
            .prop_map(move |steps| first.iter().cloned().chain(steps).collect())
            .boxed()
    });
    prop::strategy::Union::new(families.collect::<Vec<_>>()).boxed()
}

/// Three objects of each type; those that refer come after those that they refer to.
fn beginning(schema: &Schema, family: &[usize]) -> Vec<Step> {
    let objects = |ty: &usize| {
        let ty = &schema.types[*ty];
        (0..3)
            .map(|n| json!({ "data": values::first(schema, ty, n) }))
            .map(|params| Step::Call {
                method: format!("{}_new", ty.name),
                params,
            })
    };
    // Types may stand in any order, and refer in circles: what fails at first is there later.
    let once: Vec<Step> = family.iter().flat_map(objects).collect();
    let times = family.len();
    (0..times).flat_map(|_| once.clone()).collect()
}

/// Any step on any of some types.
fn step(schema: &Schema, family: &[usize]) -> BoxedStrategy<Step> {
    let of_types: Vec<_> = family
        .iter()
        .map(|ty| of_type(schema, &schema.types[*ty]))
        .collect();
    let any_type = prop::strategy::Union::new(of_types);
    prop_oneof![
        12 => any_type,
        1 => transaction(schema, family),
        1 => seed(schema, family),
    ]
    .boxed()
}

fn of_type(schema: &Schema, ty: &Type) -> BoxedStrategy<Step> {
    let mut steps = vec![
        (
            6,
            call(
                ty,
                "new",
                values::new(schema, ty)
                    .prop_map(|data| json!({ "data": data }))
                    .boxed(),
            ),
        ),
        (5, call(ty, "set", set(schema, ty))),
        (2, call(ty, "delete", delete(schema, ty))),
        (1, call(ty, "get", values::target(schema, ty))),
        (
            1,
            call(
                ty,
                "count",
                queries::filter(schema, ty)
                    .prop_map(|filter| json!({ "filter": filter }))
                    .boxed(),
            ),
        ),
        (1, call(ty, "aggregate", queries::aggregate(schema, ty))),
        (3, list(schema, ty)),
    ];
    if !ty.search_fields().is_empty() {
        steps.push((2, find(schema, ty)));
    }
    if ty.log().is_some() {
        let items = prop::collection::vec(values::new(schema, ty), 0..6);
        let items = items.prop_map(|items| json!({ "items": items }));
        steps.push((3, call(ty, "ingest", items.boxed())));
    }
    for key in values::keys(ty).into_iter().filter(|_| ty.log().is_none()) {
        steps.push((1, upsert_by_key(schema, ty, key)));
    }
    prop::strategy::Union::new_weighted(steps).boxed()
}

fn call(ty: &Type, verb: &str, params: BoxedStrategy<Value>) -> BoxedStrategy<Step> {
    let method = format!("{}_{verb}", ty.name);
    params
        .prop_map(move |params| Step::Call {
            method: method.clone(),
            params,
        })
        .boxed()
}

/// Parameters of `_set`: any mode, with and without revision and upsert.
fn set(schema: &Schema, ty: &Type) -> BoxedStrategy<Value> {
    let modes = select(vec!["patch", "patch", "replace", "merge"]);
    let if_rev = prop::option::weighted(0.3, 0..4i64);
    // An upsert by key is a step of its own; one of a log object would need an id of its time.
    let upsert = any::<bool>().prop_map({
        let is_log = ty.log().is_some();
        move |upsert| upsert && !is_log
    });
    let parts = (
        values::target(schema, ty),
        modes,
        values::data(schema, ty, false),
        values::data(schema, ty, true),
        if_rev,
        upsert,
    );
    let set = parts.prop_map(|(mut params, mode, some, most, if_rev, upsert)| {
        let upsert = upsert && params.get("id").is_some();
        params["data"] = if mode == "replace" || upsert {
            most
        } else {
            some
        };
        params["mode"] = json!(mode);
        params["if_rev"] = json!(if_rev);
        params["upsert"] = json!(upsert);
        params
    });
    set.boxed()
}

fn delete(schema: &Schema, ty: &Type) -> BoxedStrategy<Value> {
    let if_rev = prop::option::weighted(0.2, 1..3i64);
    let params = (values::target(schema, ty), if_rev).prop_map(|(mut params, if_rev)| {
        params["if_rev"] = json!(if_rev);
        params
    });
    params.boxed()
}

fn list(schema: &Schema, ty: &Type) -> BoxedStrategy<Step> {
    let expand = ty.relations.iter().map(|relation| relation.name.clone());
    let refs = ty
        .fields
        .iter()
        .filter(|field| matches!(field.kind, osis_core::schema::FieldKind::Ref { .. }));
    let expand: Vec<String> = expand.chain(refs.map(|field| field.name.clone())).collect();
    let expand = prop::sample::subsequence(expand.clone(), 0..=expand.len());
    let method = format!("{}_list", ty.name);
    let params = (
        queries::filter(schema, ty),
        queries::sort(ty),
        1..4u32,
        expand,
    );
    let walk = params.prop_map(move |(filter, sort, limit, expand)| {
        let params = json!({
            "filter": filter, "sort": sort, "limit": limit, "expand": expand, "count": true,
        });
        Step::Walk {
            method: method.clone(),
            params,
        }
    });
    walk.boxed()
}

fn find(schema: &Schema, ty: &Type) -> BoxedStrategy<Step> {
    let method = format!("{}_find", ty.name);
    let params = (
        queries::query(ty),
        queries::filter(schema, ty),
        queries::sort(ty),
        1..4u32,
    );
    let walk = params.prop_map(move |(query, filter, sort, limit)| {
        let sort = if sort == json!([]) {
            json!(["id"])
        } else {
            sort
        };
        let params = json!({
            "query": query, "filter": filter, "sort": sort, "limit": limit, "typo": false,
        });
        Step::Walk {
            method: method.clone(),
            params,
        }
    });
    walk.boxed()
}

fn upsert_by_key(schema: &Schema, ty: &Type, key: usize) -> BoxedStrategy<Step> {
    let modes = select(vec!["patch", "replace", "merge"]);
    let parts = (
        values::key(schema, ty, key),
        values::data(schema, ty, true),
        modes,
    );
    let name = ty.name.clone();
    let key_fields: Vec<String> = ty.key_fields(key).into_iter().map(str::to_owned).collect();
    let step = parts.prop_map(move |(key, mut data, mode)| {
        // Mostly the data leave the key out; sometimes they disagree with it.
        if let (Value::Object(data), "patch" | "merge") = (&mut data, mode) {
            data.retain(|name, _| !key_fields.contains(name));
        }
        let params = json!({ "key": key, "data": data, "mode": mode, "upsert": true });
        Step::UpsertByKey {
            ty: name.clone(),
            params,
        }
    });
    step.boxed()
}

fn transaction(schema: &Schema, family: &[usize]) -> BoxedStrategy<Step> {
    let ops = family.iter().flat_map(|ty| {
        let ty = &schema.types[*ty];
        let op = |verb: &str, params: BoxedStrategy<Value>| {
            let method = format!("{}_{verb}", ty.name);
            params
                .prop_map(move |params| json!({ "method": method, "params": params }))
                .boxed()
        };
        [
            op(
                "new",
                values::new(schema, ty)
                    .prop_map(|data| json!({ "data": data }))
                    .boxed(),
            ),
            op("set", set(schema, ty)),
            op("delete", delete(schema, ty)),
        ]
    });
    let ops = prop::strategy::Union::new(ops.collect::<Vec<_>>());
    let params = (prop::collection::vec(ops, 1..6), prop::bool::weighted(0.2));
    let step = params.prop_map(|(ops, dry_run)| Step::Call {
        method: "osis_transaction".to_owned(),
        params: json!({ "ops": ops, "dry_run": dry_run }),
    });
    step.boxed()
}

fn seed(schema: &Schema, family: &[usize]) -> BoxedStrategy<Step> {
    let objects = family.iter().copied().map(|ty| {
        let data = values::new(schema, &schema.types[ty]);
        let is_log = schema.types[ty].log().is_some();
        let data = (data, any::<bool>()).prop_map(move |(mut data, named)| {
            if let (Value::Object(data), false, false) = (&mut data, named, is_log) {
                data.remove("id");
            }
            (ty, data)
        });
        data.boxed()
    });
    let objects = prop::strategy::Union::new(objects.collect::<Vec<_>>());
    let parts = (
        prop::collection::vec(objects, 1..6),
        select(vec!["insert", "update"]),
    );
    parts
        .prop_map(|(objects, mode)| Step::Seed { objects, mode })
        .boxed()
}
