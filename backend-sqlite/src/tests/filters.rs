//! Filters, sorts, pages and aggregates answer as core's definitions do, for random rows.

use std::cmp::Ordering;

use osis_core::backend::Scan;
use osis_core::object::{Id, Row};
use osis_core::query::aggregate::{Aggregate, Bucket, Figure, Group, Groups, Unit};
use osis_core::query::{Filter, Sort, Test};
use osis_core::resolve::Transition;
use osis_core::schema::{Column, Direction, FieldKind, Item, Metric, Schema, Type};
use osis_core::time::Time;
use osis_core::value::Value;
use proptest::prelude::*;

use super::{Inside, PROBE, THING, schema, thing};
use osis_sql::Conditions;

use crate::dialect::Sqlite;
use crate::query;
use crate::sql::{Run, Sql};

/// Texts on which comparing, ranges and folding could go wrong.
const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "ab\u{10ffff}",
    "ab\u{10ffff}\u{10ffff}",
    "b",
    "é",
    "e\u{301}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{10ffff}",
    "%",
    "_",
    "a%",
    "'",
    "\"",
    "1",
    "1.0",
    "null",
    "[\"a\"]",
    "\u{1}",
    " ",
];
const NUMBERS: &[i64] = &[0, 1, -1, 2, 10, i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1];
const RATIOS: &[f64] = &[
    0.0,
    1.0,
    -1.5,
    1e300,
    -1e300,
    5e-324,
    0.1,
    9_007_199_254_740_993.0,
];
const BYTES: &[&[u8]] = &[b"", b"a", b"\0"];
const TIMES: &[i64] = &[
    0,
    1,
    -1,
    1_700_000_000_123,
    -62_135_596_800_000,
    253_402_300_799_999,
];

fn one<T: Clone + std::fmt::Debug + 'static>(from: &'static [T]) -> BoxedStrategy<T> {
    prop::sample::select(from).boxed()
}

fn text() -> BoxedStrategy<Value> {
    one(TEXTS).prop_map(Value::from).boxed()
}

/// A value of a kind that is not null.
fn value(kind: &FieldKind) -> BoxedStrategy<Value> {
    let list = |item: BoxedStrategy<Value>| {
        prop::collection::vec(item, 0..4)
            .prop_map(|items| Value::List(items.into()))
            .boxed()
    };
    let number = || one(NUMBERS).prop_map(Value::Int).boxed();
    match kind {
        FieldKind::String | FieldKind::Text => text(),
        FieldKind::Int => number(),
        FieldKind::Float => one(RATIOS).prop_map(Value::Float).boxed(),
        FieldKind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldKind::Time => one(TIMES)
            .prop_map(|ms| Value::Time(Time::from_millis(ms).unwrap()))
            .boxed(),
        FieldKind::Enum(_) => one(&["a", "ab", "b"]).prop_map(Value::from).boxed(),
        FieldKind::Ref { .. } => one(&["id-0000", "id-0001"]).prop_map(Value::from).boxed(),
        FieldKind::List(Item::String) => list(text()),
        FieldKind::List(Item::Int) => list(number()),
        FieldKind::Json => one(&["{}", "[1]", "\"a\""])
            .prop_map(|t| Value::Json(t.into()))
            .boxed(),
        FieldKind::Bytes => one(BYTES)
            .prop_map(|bytes| Value::Bytes(bytes.into()))
            .boxed(),
    }
}

fn or_null(strategy: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 3 => strategy].boxed()
}

fn row(n: usize) -> impl Strategy<Value = Row> {
    let schema = schema(PROBE);
    let ty = &schema.types[THING];
    let values: Vec<BoxedStrategy<Value>> = ty
        .fields
        .iter()
        .map(|field| match (field.name.as_str(), field.required) {
            // Unique, and checked by nobody here.
            ("folded", _) => Just(Value::from(format!("Fold {n}").as_str())).boxed(),
            (_, true) => value(&field.kind),
            (_, false) => or_null(value(&field.kind)),
        })
        .collect();
    let system = (0..3_i64, one(TIMES));
    (values, system).prop_map(move |(values, (rev, created))| Row {
        id: Id::parse(&format!("id-{n:04}")).unwrap(),
        rev,
        created_at: Time::from_millis(created).unwrap(),
        updated_at: Time::MAX,
        values: values.into(),
    })
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let rows: Vec<_> = (0..12).map(row).collect();
    rows
}

fn columns(ty: &Type) -> Vec<Column> {
    let system = [
        Column::Id,
        Column::Rev,
        Column::CreatedAt,
        Column::UpdatedAt,
    ];
    system
        .into_iter()
        .chain((0..ty.fields.len()).map(Column::Field))
        .collect()
}

fn test(ty: &Type, column: Column) -> BoxedStrategy<Filter> {
    let kind = ty.column_kind(column);
    let value = match column {
        Column::Id => one(&["id-0000", "id-0003", "id-0010"])
            .prop_map(Value::from)
            .boxed(),
        _ => value(kind),
    };
    let item = match kind {
        FieldKind::List(Item::Int) => one(NUMBERS).prop_map(Value::Int).boxed(),
        _ => text(),
    };
    let bound = || value.clone();
    // Lists have no order that a filter could ask for.
    let ordered = u32::from(!matches!(kind, FieldKind::List(_)));
    prop_oneof![
        3 => or_null(bound()).prop_map(Test::Eq),
        2 => prop::collection::vec(or_null(bound()), 0..4).prop_map(Test::In),
        1 => any::<bool>().prop_map(Test::Exists),
        ordered => bound().prop_map(Test::Gt),
        ordered => bound().prop_map(Test::Gte),
        ordered => bound().prop_map(Test::Lt),
        ordered => bound().prop_map(Test::Lte),
        2 => one(TEXTS).prop_map(|start| Test::Prefix(start.into())),
        2 => item.prop_map(Test::Has),
    ]
    .prop_map(move |test| Filter::Column(column, test))
    .boxed()
}

fn filter() -> impl Strategy<Value = Filter> {
    let schema = schema(PROBE);
    let ty = &schema.types[THING];
    let tests: Vec<_> = columns(ty)
        .into_iter()
        .map(|column| test(ty, column))
        .collect();
    let leaf = prop::strategy::Union::new(tests);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Any),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

fn sort() -> impl Strategy<Value = Sort> {
    let schema = schema(PROBE);
    let ty = &schema.types[THING];
    let sortable: Vec<Column> = columns(ty)
        .into_iter()
        .filter(|column| match column {
            Column::Field(field) => ty.fields[*field].sortable(),
            _ => true,
        })
        .collect();
    let direction = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    prop::collection::vec((prop::sample::select(sortable), direction), 0..3).prop_map(|columns| {
        let mut unique: Vec<(Column, Direction)> = Vec::new();
        for (column, direction) in columns {
            if !unique.iter().any(|(known, _)| *known == column) {
                unique.push((column, direction));
            }
        }
        Sort::new(unique)
    })
}

fn filled(rows: &[Row]) -> Inside {
    let mut inside = Inside::new(PROBE);
    inside
        .connection
        .execute_batch("PRAGMA foreign_keys = OFF")
        .unwrap();
    rows.iter()
        .for_each(|row| inside.write(Transition::Insert(row.clone())));
    inside
}

fn expected(rows: &[Row], scan: &Scan, ty: &Type) -> Vec<Row> {
    let after = scan
        .after
        .as_ref()
        .map(|v| Filter::after(scan.sort.columns(), v, ty));
    let mut found: Vec<Row> = rows
        .iter()
        .filter(|row| scan.filter.matches(row) && after.as_ref().is_none_or(|a| a.matches(row)))
        .cloned()
        .collect();
    found.sort_by(|a, b| scan.sort.compare(a, b));
    found.truncate(scan.limit);
    found
}

/// Groups in an order, so that two sets of them can be compared.
fn ordered(mut groups: Vec<Group>) -> Vec<Group> {
    let key = |group: &Group| {
        group
            .bucket
            .iter()
            .chain(&group.by)
            .cloned()
            .collect::<Vec<_>>()
    };
    groups.sort_by(|a, b| {
        let orders = key(a).into_iter().zip(key(b)).map(|(a, b)| a.order(&b));
        orders.fold(Ordering::Equal, Ordering::then)
    });
    groups
}

fn aggregate(
    schema: &Schema,
    by: &[&str],
    bucket: Option<Unit>,
    metrics: Vec<Metric>,
) -> Aggregate {
    let ty = &schema.types[THING];
    let bucket = bucket.map(|unit| Bucket {
        column: ty.column("at").unwrap(),
        unit,
    });
    Aggregate {
        type_id: THING,
        filter: Filter::EVERY,
        group_by: by.iter().map(|name| ty.column(name).unwrap()).collect(),
        bucket,
        metrics,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn filters_mean_what_core_says(
        rows in rows(),
        filters in prop::collection::vec(filter(), 16),
    ) {
        let inside = filled(&rows);
        for filter in filters {
            let scan = Scan {
                type_id: THING,
                filter,
                sort: Sort::default(),
                after: None,
                limit: 100,
            };
            let ty = &inside.catalog.schema.types[THING];
            let expected = expected(&rows, &scan, ty);
            let found = query::scan(&inside.connection, &inside.catalog, &scan).unwrap();
            prop_assert_eq!(&found, &expected, "{:?}", scan.filter);
            let count =
                query::count(&inside.connection, &inside.catalog, THING, &scan.filter).unwrap();
            prop_assert_eq!(count, expected.len() as u64);
            let mut sql = Sql::new("SELECT t.id FROM things t");
            Conditions::of(ty).with(Sqlite::Ask).restrict(&mut sql, &scan.filter);
            sql.push(" ORDER BY t.id");
            let asked: Vec<String> = sql.all(&inside.connection, |row| Ok(row.get(0)?)).unwrap();
            let expected: Vec<String> = expected.iter().map(|row| row.id.to_string()).collect();
            prop_assert_eq!(asked, expected, "{:?}", scan.filter);
        }
    }

    #[test]
    fn pages_follow_one_another(
        rows in rows(),
        sort in sort(),
        filter in filter(),
        limit in 1..5_usize,
    ) {
        let inside = filled(&rows);
        let ty = &inside.catalog.schema.types[THING];
        let mut scan = Scan { type_id: THING, filter, sort, after: None, limit };
        let all = expected(&rows, &Scan { limit: 100, ..scan.clone() }, ty);
        let mut found = Vec::new();
        loop {
            let page = query::scan(&inside.connection, &inside.catalog, &scan).unwrap();
            prop_assert_eq!(&page, &expected(&rows, &scan, ty));
            found.extend(page.iter().cloned());
            match page.last() {
                Some(last) => scan.after = Some(scan.sort.position(last)),
                None => break,
            }
        }
        prop_assert_eq!(found, all);
    }

    #[test]
    fn lists_stay_in_step(changes in prop::collection::vec((0..4_usize, row(0)), 1..12)) {
        let mut inside = Inside::new(PROBE);
        inside.connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        let mut rows: Vec<Option<Row>> = vec![None; 4];
        for (n, mut row) in changes {
            row.id = Id::parse(&format!("id-{n:04}")).unwrap();
            let ty = &inside.catalog.schema.types[THING];
            row.values[ty.field("folded").unwrap()] = Value::Null;
            let gone = row.rev == 0;
            let change = match (rows[n].take(), gone) {
                (Some(before), true) => Transition::Remove(before),
                (Some(before), false) => Transition::Update { before, after: row.clone() },
                (None, _) => Transition::Insert(row.clone()),
            };
            rows[n] = (!matches!(change, Transition::Remove(_))).then_some(row);
            inside.write(change);
        }
        let kept: Vec<Row> = rows.into_iter().flatten().collect();
        let ty = &inside.catalog.schema.types[THING];
        for name in ["tags", "marks"] {
            let column = ty.column(name).unwrap();
            let texts = TEXTS.iter().map(|text| Value::from(*text));
            for item in texts.chain(NUMBERS.iter().map(|n| Value::Int(*n))) {
                let scan = Scan {
                    type_id: THING,
                    filter: Filter::Column(column, Test::Has(item)),
                    sort: Sort::default(),
                    after: None,
                    limit: 100,
                };
                let found = query::scan(&inside.connection, &inside.catalog, &scan).unwrap();
                prop_assert_eq!(found, expected(&kept, &scan, ty), "{:?}", scan.filter);
            }
        }
    }

    #[test]
    fn aggregates_count_what_core_counts(rows in rows(), filter in filter()) {
        let inside = filled(&rows);
        let schema = &inside.catalog.schema;
        let ty = &schema.types[THING];
        let column = |name: &str| ty.column(name).unwrap();
        let figures = vec![
            Metric::Count,
            Metric::Sum(column("number")),
            Metric::Avg(column("ratio")),
            Metric::Min(column("maybe")),
            Metric::Max(column("at")),
            Metric::Unique(column("state")),
        ];
        for mut aggregate in [
            aggregate(schema, &[], None, vec![Metric::Count]),
            aggregate(schema, &["maybe", "flag"], None, vec![Metric::Count, Metric::Count]),
            aggregate(schema, &["ratio", "number"], None, vec![Metric::Count]),
            aggregate(schema, &["state"], Some(Unit::Week), figures.clone()),
            aggregate(schema, &[], None, figures),
            aggregate(schema, &[], Some(Unit::Month), vec![Metric::Count]),
        ] {
            aggregate.filter = filter.clone();
            let mut groups = Groups::new(&aggregate, ty);
            for row in rows.iter().filter(|row| aggregate.filter.matches(row)) {
                let values: Vec<Value> =
                    aggregate.columns().into_iter().map(|column| row.value(column)).collect();
                groups.add(&values);
            }
            let found = query::aggregate(&inside.connection, &inside.catalog, &aggregate).unwrap();
            prop_assert_eq!(ordered(found), ordered(groups.finish()), "{:?}", aggregate);
        }
    }
}

#[test]
fn an_aggregate_without_rows_has_one_group() {
    let inside = Inside::new(PROBE);
    let aggregate = aggregate(&inside.catalog.schema, &[], None, vec![Metric::Count]);
    let groups = query::aggregate(&inside.connection, &inside.catalog, &aggregate).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].figures, [Figure::Value(Value::Int(0))]);
}

#[test]
fn the_longest_filter_that_core_takes_runs() {
    let schema = schema(PROBE);
    let ty = &schema.types[THING];
    let row = thing(&schema, 0, &[("number", Value::Int(7))]);
    let inside = filled(std::slice::from_ref(&row));
    let number = ty.column("number").unwrap();
    let test = |n: i64| Filter::Column(number, Test::Gt(Value::Int(n)));
    let mut nested = Filter::Not(Box::new(Filter::Any((100..500).map(test).collect())));
    for _ in 0..32 {
        nested = Filter::Not(Box::new(Filter::Any(vec![test(1000), nested])));
    }
    for filter in [Filter::All((-400..0).map(test).collect()), nested] {
        let scan = Scan {
            type_id: THING,
            filter,
            sort: Sort::default(),
            after: Some(vec![Value::from("id")]),
            limit: 10,
        };
        let found = query::scan(&inside.connection, &inside.catalog, &scan).unwrap();
        assert_eq!(found, expected(std::slice::from_ref(&row), &scan, ty));
    }
}

#[test]
fn a_page_of_what_many_have_is_found_in_its_order() {
    let mut inside = Inside::new(PROBE);
    let rows: Vec<Row> = (0..2000)
        .map(|n| {
            let tag = if n % 1000 == 7 { "rare" } else { "common" };
            let tags = Value::List([Value::from(tag)].into());
            thing(&inside.catalog.schema, n, &[("tags", tags)])
        })
        .collect();
    rows.iter()
        .for_each(|row| inside.write(Transition::Insert(row.clone())));
    let schema = std::sync::Arc::clone(&inside.catalog.schema);
    let ty = &schema.types[THING];
    let tags = ty.column("tags").unwrap();
    for (tag, lists) in [
        ("common", Sqlite::Ask),
        ("rare", Sqlite::Collect),
        ("none", Sqlite::Collect),
    ] {
        let has = Filter::Column(tags, Test::Has(Value::from(tag)));
        let filter = Filter::EVERY.and(has);
        let chosen = query::lists(&inside.connection, ty, &filter, &Sort::default(), 50).unwrap();
        assert_eq!(chosen, lists, "{tag}");
        let scan = Scan {
            type_id: THING,
            filter,
            sort: Sort::default(),
            after: None,
            limit: 50,
        };
        let found = query::scan(&inside.connection, &inside.catalog, &scan).unwrap();
        assert_eq!(found, expected(&rows, &scan, ty));
    }
}
