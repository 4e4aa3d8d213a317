//! Filters, orders, aggregates and searches, made from the schema.

use osis_core::schema::{Field, FieldKind, Item, Schema, Type};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::values::{IDS, domain, id_of, value};

/// A filter of some depth.
pub(crate) fn filter(schema: &Schema, ty: &Type) -> BoxedStrategy<Value> {
    let fields = ty.fields.iter().filter(|field| field.filterable());
    let mut tests: Vec<BoxedStrategy<Value>> = fields
        .map(|field| test(field, value(schema, field), domain(schema, field)))
        .collect();
    let ids: Vec<Value> = (0..IDS).map(|n| json!(id_of(ty, n))).collect();
    tests.push(
        select(ids)
            .prop_map(|id| json!({ "id": { "gte": id } }))
            .boxed(),
    );
    tests.push(
        (0..4i64)
            .prop_map(|rev| json!({ "rev": { "gt": rev } }))
            .boxed(),
    );
    let leaf = prop_oneof![6 => prop::strategy::Union::new(tests), 3 => Just(json!({}))];
    let tree = leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|or| json!({ "or": or })),
            inner.clone().prop_map(|not| json!({ "not": not })),
            (inner.clone(), inner).prop_map(|(a, b)| and(a, &b)),
        ]
    });
    tree.boxed()
}

/// Both filters, as far as one object can hold them.
fn and(mut a: Value, b: &Value) -> Value {
    if let (Value::Object(a), Value::Object(b)) = (&mut a, b) {
        b.iter().for_each(|(name, test)| {
            a.entry(name.clone()).or_insert_with(|| test.clone());
        });
    }
    a
}

fn test(field: &Field, value: BoxedStrategy<Value>, domain: Vec<Value>) -> BoxedStrategy<Value> {
    let mut operators = vec!["eq", "ne"];
    if !matches!(field.kind, FieldKind::Bool | FieldKind::List(_)) {
        operators.extend(["gt", "gte", "lt", "lte"]);
    }
    if field.kind == FieldKind::String {
        operators.push("prefix");
    }
    let name = field.name.clone();
    let one = (select(operators), value.clone())
        .prop_map(move |(operator, value)| json!({ name.clone(): { operator: value } }));
    let name = field.name.clone();
    let plain = value
        .clone()
        .prop_map(move |value| json!({ name.clone(): value }));
    let name = field.name.clone();
    let exists = any::<bool>().prop_map(move |set| json!({ name.clone(): { "exists": set } }));
    let name = field.name.clone();
    let within = prop::collection::vec(value, 0..4)
        .prop_map(move |values| json!({ name.clone(): { "in": values } }));
    let name = field.name.clone();
    let items: Vec<Value> = match &field.kind {
        FieldKind::List(Item::String) => ["red", "tree", "", "red house"]
            .map(|item| json!(item))
            .into(),
        FieldKind::List(Item::Int) => vec![json!(1), json!(2)],
        _ => domain,
    };
    let has = select(items).prop_map(move |item| json!({ name.clone(): { "has": item } }));
    match field.kind {
        FieldKind::List(_) => prop_oneof![plain, one, exists, within, has].boxed(),
        _ => prop_oneof![2 => plain, 3 => one, 1 => exists, 1 => within].boxed(),
    }
}

/// An order that does not hang on when things happened.
pub(crate) fn sort(ty: &Type) -> BoxedStrategy<Value> {
    let fields = ty
        .fields
        .iter()
        .filter(|field| field.sortable())
        .map(|field| field.name.as_str());
    let names = fields.chain(["id", "rev"]);
    let columns: Vec<String> = names
        .flat_map(|name| [name.to_owned(), format!("-{name}")])
        .collect();
    prop::collection::vec(select(columns), 0..3)
        .prop_map(|sort| json!(sort))
        .boxed()
}

/// The parameters of an aggregate.
pub(crate) fn aggregate(schema: &Schema, ty: &Type) -> BoxedStrategy<Value> {
    let sortable: Vec<&Field> = ty.fields.iter().filter(|field| field.sortable()).collect();
    let groups: Vec<String> = sortable.iter().map(|field| field.name.clone()).collect();
    let metrics = sortable.iter().flat_map(|field| {
        let names: &[&str] = match field.kind {
            FieldKind::Int | FieldKind::Float => &["sum", "avg", "min", "max", "unique"],
            FieldKind::String | FieldKind::Time => &["min", "max", "unique"],
            _ => &["unique"],
        };
        names.iter().map(|name| format!("{name}:{}", field.name))
    });
    let metrics: Vec<String> = std::iter::once("count".to_owned()).chain(metrics).collect();
    let times = sortable
        .iter()
        .filter(|field| field.kind == FieldKind::Time);
    let times: Vec<String> = times.map(|field| field.name.clone()).collect();
    let bucket = match times.is_empty() {
        true => Just(json!(null)).boxed(),
        false => (select(times), select(vec!["hour", "day", "week", "month"]))
            .prop_map(|(field, unit)| json!({ "field": field, "unit": unit }))
            .boxed(),
    };
    let parameters = (
        filter(schema, ty),
        prop::sample::subsequence(groups.clone(), 0..=groups.len().min(2)),
        prop::option::weighted(0.4, bucket),
        prop::sample::subsequence(metrics.clone(), 1..=metrics.len().min(4)),
    );
    let parameters = parameters.prop_map(|(filter, group_by, bucket, metrics)| {
        json!({ "filter": filter, "group_by": group_by, "bucket": bucket, "metrics": metrics })
    });
    parameters.boxed()
}

/// A query of the search language.
pub(crate) fn query(ty: &Type) -> BoxedStrategy<String> {
    let words = [
        "red", "house", "green", "tree", "ete", "漢", "字", "one", "ada", "x", "nothing",
    ];
    let fields: Vec<String> = ty
        .search_fields()
        .iter()
        .map(|f| ty.fields[*f].name.clone())
        .collect();
    let word = select(words.to_vec()).prop_map(str::to_owned);
    let term = prop_oneof![
        4 => word.clone(),
        1 => word.clone().prop_map(|word| format!("{}*", word.chars().take(2).collect::<String>() + "x")),
        1 => select(vec!["ho*", "gre*", "tr*", "re*"]).prop_map(str::to_owned),
        2 => (word.clone(), word.clone()).prop_map(|(a, b)| format!("\"{a} {b}\"")),
        1 => (word.clone(), word.clone()).prop_map(|(a, b)| format!("{a}-{b}")),
        1 => (select(fields), word).prop_map(|(field, word)| format!("{field}:{word}")),
    ];
    let tree = term.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{a} -({b})")),
        ]
    });
    tree.boxed()
}
