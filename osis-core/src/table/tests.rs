//! Tables answer what looking at every object answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::query::Test;
use crate::schema::{Class, Direction, Schema, Source, load};
use crate::time::Time;

const SCHEMA: &str = r#"
name = "tables"
version = 1

[types.thing]
plural = "things"
unique = [["shelf", "place"]]
index = [["-grade", "name"]]

[types.thing.fields]
name   = { type = "string", required = true, index = true }
code   = { type = "string", unique = true }
mail   = { type = "string", unique = "fold" }
parent = { type = "ref", to = "thing", on_delete = "cascade" }
shelf  = { type = "int" }
place  = { type = "int" }
tags   = { type = "list", of = "string", index = true }
grade  = { type = "float" }
seen   = { type = "time", index = true }
state  = { type = "enum", values = ["a", "ab", "b"], index = true }
plain  = { type = "string" }
"#;

const TEXTS: &[&str] = &[
    "",
    "a",
    "ab",
    "ab\u{10ffff}",
    "ab\u{10ffff}\u{10ffff}",
    "abc",
    "b",
    "\u{d7ff}",
    "\u{e000}",
    "\u{10ffff}",
];

#[derive(Debug)]
struct Plain(Row);

impl Record for Plain {
    fn row(&self) -> &Row {
        &self.0
    }
}

fn schema() -> Schema {
    let source = Source {
        file: "tables.toml".to_owned(),
        text: SCHEMA.to_owned(),
    };
    load(&[source]).unwrap()
}

fn id(n: u8) -> Id {
    Id::trusted(&format!("id-{n:04}"))
}

fn time(ms: i64) -> Time {
    Time::from_millis(ms).unwrap()
}

fn value(kind: &FieldKind) -> BoxedStrategy<Value> {
    let text = || prop::sample::select(TEXTS).prop_map(Value::from);
    match kind {
        FieldKind::String => text().boxed(),
        FieldKind::Int => (-1i64..3).prop_map(Value::Int).boxed(),
        FieldKind::Float => prop::sample::select(vec![-1.5, 0.0, 0.1, 1e300])
            .prop_map(Value::Float)
            .boxed(),
        FieldKind::Time => (-2i64..3).prop_map(|ms| Value::Time(time(ms))).boxed(),
        FieldKind::Enum(values) => prop::sample::select(values.clone())
            .prop_map(|text| Value::from(text.as_str()))
            .boxed(),
        FieldKind::Ref { .. } => (0u8..4).prop_map(|n| Value::from(id(n).as_str())).boxed(),
        FieldKind::List(_) => prop::collection::vec(text(), 0..4)
            .prop_map(|items| Value::List(items.into()))
            .boxed(),
        other => panic!("{other:?} is not used here"),
    }
}

fn or_null(strategy: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 3 => strategy].boxed()
}

/// A row; keys may clash here, which no table minds.
fn row(ty: &Type) -> BoxedStrategy<Row> {
    let values: Vec<_> = ty
        .fields
        .iter()
        .map(|field| match field.required {
            true => value(&field.kind),
            false => or_null(value(&field.kind)),
        })
        .collect();
    (0u8..60, 1i64..3, 0i64..3, values)
        .prop_map(|(n, rev, created, values)| Row {
            id: id(n),
            rev,
            created_at: time(created),
            updated_at: time(created + rev),
            values: values.into(),
        })
        .boxed()
}

fn column(ty: &Type) -> BoxedStrategy<Column> {
    let system = [
        Column::Id,
        Column::Rev,
        Column::CreatedAt,
        Column::UpdatedAt,
    ];
    let fields = (0..ty.fields.len()).map(Column::Field);
    prop::sample::select(system.into_iter().chain(fields).collect::<Vec<_>>()).boxed()
}

/// A value to hold a column against.
fn operand(ty: &Type, column: Column) -> BoxedStrategy<Value> {
    match column {
        Column::Id => (0u8..42).prop_map(|n| Value::from(id(n).as_str())).boxed(),
        column => or_null(value(ty.column_kind(column))),
    }
}

fn test(ty: &Type) -> BoxedStrategy<Filter> {
    let schema = Arc::new(schema());
    let type_id = ty.id;
    column(ty)
        .prop_flat_map(move |column| {
            let ty = &schema.types[type_id];
            let one = || operand(ty, column);
            let test = match ty.column_kind(column) {
                FieldKind::List(_) => prop_oneof![
                    one().prop_map(Test::Eq),
                    any::<bool>().prop_map(Test::Exists),
                    prop::sample::select(TEXTS).prop_map(|text| Test::Has(Value::from(text))),
                ]
                .boxed(),
                kind => {
                    let prefix = prop::sample::select(TEXTS);
                    let prefixes = u32::from(*kind == FieldKind::String && column != Column::Id);
                    prop_oneof![
                        3 => one().prop_map(Test::Eq),
                        2 => prop::collection::vec(one(), 0..4).prop_map(Test::In),
                        1 => any::<bool>().prop_map(Test::Exists),
                        1 => one().prop_map(Test::Gt),
                        1 => one().prop_map(Test::Gte),
                        1 => one().prop_map(Test::Lt),
                        1 => one().prop_map(Test::Lte),
                        prefixes * 3 => prefix.prop_map(|text| Test::Prefix(text.into())),
                    ]
                    .boxed()
                }
            };
            test.prop_map(move |test| Filter::Column(column, test))
        })
        .boxed()
}

fn filter(ty: &Type) -> BoxedStrategy<Filter> {
    let several = test(ty).prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            1 => prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Any),
            1 => inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    });
    prop_oneof![1 => Just(Filter::EVERY), 6 => several].boxed()
}

fn sort(ty: &Type) -> BoxedStrategy<Sort> {
    let direction = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    prop::collection::vec((column(ty), direction), 0..3)
        .prop_map(Sort::new)
        .boxed()
}

/// What is put in and, where the flag is not set, taken out.
type History = Vec<(bool, Row)>;

fn history(ty: &Type) -> BoxedStrategy<History> {
    prop::collection::vec((prop::bool::weighted(0.8), row(ty)), 0..120).boxed()
}

fn build(ty: &Type, history: &History) -> (Table<Plain>, Vec<Row>) {
    let mut table = Table::new(ty);
    let mut all = std::collections::BTreeMap::new();
    // What can be put in at once is.
    let mut history = history.iter().peekable();
    while let Some((_, row)) =
        history.next_if(|(is_put, row)| *is_put && !all.contains_key(&row.id))
    {
        all.insert(row.id.clone(), row.clone());
    }
    let filled: Vec<_> = all.values().cloned().map(Plain).map(Arc::new).collect();
    table.fill(&filled);
    for (is_put, row) in history {
        let (before, known) = match is_put {
            true => (
                table.insert(Arc::new(Plain(row.clone()))),
                all.insert(row.id.clone(), row.clone()),
            ),
            false => (table.remove(&row.id), all.remove(&row.id)),
        };
        assert_eq!(before.map(|record| record.0.clone()), known);
    }
    (table, all.into_values().collect())
}

/// What a page is, by its definition.
fn page(ty: &Type, all: &[Row], filter: &Filter, sort: &Sort, after: Option<&[Value]>) -> Vec<Row> {
    let beyond = after.map(|after| Filter::after(sort.columns(), after, ty));
    let meant = |row: &&Row| filter.matches(row) && beyond.as_ref().is_none_or(|b| b.matches(row));
    let mut rows: Vec<Row> = all.iter().filter(meant).cloned().collect();
    rows.sort_by(|a, b| sort.compare(a, b));
    rows
}

fn rows<'a>(records: impl IntoIterator<Item = &'a Arc<Plain>>) -> Vec<Row> {
    let records = records.into_iter();
    records.map(|record| record.0.clone()).collect()
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn pages_and_counts_are_those_of_a_scan(
        (history, other, filter, sort, after, limit) in {
            let schema = schema();
            let ty = &schema.types[0];
            let after = prop_oneof![
                1 => Just(None),
                3 => any::<prop::sample::Index>().prop_map(|at| Some((at, true))),
                1 => any::<prop::sample::Index>().prop_map(|at| Some((at, false))),
            ];
            let limit = prop_oneof![0usize..6, Just(usize::MAX)];
            (history(ty), row(ty), filter(ty), sort(ty), after, limit)
        }
    ) {
        let schema = schema();
        let ty = &schema.types[0];
        let (table, all) = build(ty, &history);
        // A position of an object that is there and meant, or of any.
        let after = after.map(|(at, is_meant)| {
            let meant = match is_meant {
                true => page(ty, &all, &filter, &sort, None),
                false => all.clone(),
            };
            let row = if meant.is_empty() { &other } else { at.get(&meant) };
            sort.position(row)
        });
        let expected = page(ty, &all, &filter, &sort, after.as_deref());
        let clock = Clock::none();
        let found = table.page(&filter, &sort, after.as_deref(), limit, clock).unwrap();
        prop_assert_eq!(rows(&found), &expected[..limit.min(expected.len())]);
        let meant = page(ty, &all, &filter, &Sort::default(), None);
        prop_assert_eq!(table.count(&filter, clock).unwrap(), meant.len() as u64);
        prop_assert_eq!(sorted(rows(table.matching(&filter))), meant);
        prop_assert_eq!(rows(table.iter()), &all[..]);
        for other in all.iter().take(3).chain([&other]) {
            let same = |row: &Row| row.values == other.values;
            let alike = rows(table.alike(&other.values)).into_iter().filter(same);
            let expected = all.iter().filter(|row| same(row)).cloned();
            prop_assert_eq!(alike.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn relations_and_groups_are_those_of_a_scan(
        (history, filter, sort, limit, group_by) in {
            let schema = schema();
            let ty = &schema.types[0];
            (history(ty), filter(ty), sort(ty), 0usize..4, column(ty))
        }
    ) {
        let schema = schema();
        let ty = &schema.types[0];
        let (table, all) = build(ty, &history);
        let via = ty.field("parent").unwrap();
        let ids: Vec<Id> = (0..5).map(id).collect();
        let clock = Clock::none();
        let related = Related { type_id: 0, via, filter, sort, limit };
        let lists = table.related(&related, &ids, clock).unwrap();
        for (id, list) in ids.iter().zip(&lists) {
            let holds = Filter::Column(Column::Field(via), Test::Eq(Value::from(id.as_str())));
            prop_assert_eq!(
                rows(table.holders(via, id.as_str())),
                page(ty, &all, &holds, &Sort::default(), None)
            );
            let holds = holds.and(related.filter.clone());
            let mut expected = page(ty, &all, &holds, &related.sort, None);
            expected.truncate(limit);
            prop_assert_eq!(rows(list), expected);
        }
        let aggregate = Aggregate {
            type_id: 0,
            filter: related.filter,
            group_by: vec![group_by],
            bucket: None,
            metrics: vec![crate::schema::Metric::Count],
        };
        let mut groups = Groups::new(&aggregate, ty);
        for row in page(ty, &all, &aggregate.filter, &Sort::default(), None) {
            groups.add(&[row.value(group_by)]);
        }
        let by = |groups: Vec<Group>| {
            let pairs = groups.into_iter().map(|group| (group.by, group.figures));
            pairs.collect::<std::collections::HashMap<_, _>>()
        };
        let found = table.groups(ty, &aggregate, clock).unwrap();
        prop_assert_eq!(by(found), by(groups.finish()));
    }

    #[test]
    fn keys_find_whom_they_name(
        (history, asked) in {
            let schema = schema();
            let ty = &schema.types[0];
            (history(ty), row(ty))
        }
    ) {
        let schema = schema();
        let ty = &schema.types[0];
        let (table, all) = build(ty, &history);
        for (n, key) in ty.keys.iter().enumerate() {
            for asked in all.iter().chain([&asked]) {
                let Some(values) = key.of(&asked.values) else {
                    continue;
                };
                let holder = all.iter().find(|row| key.of(&row.values).as_ref() == Some(&values));
                prop_assert_eq!(table.by_key(n, &values).map(|record| &record.0), holder);
            }
        }
    }
}

fn thing(ty: &Type, n: u8) -> Arc<Plain> {
    let mut values = vec![Value::Null; ty.fields.len()];
    values[ty.field("name").unwrap()] = Value::from(format!("name {n}").as_str());
    Arc::new(Plain(Row {
        id: id(n),
        rev: 1,
        created_at: time(0),
        updated_at: time(0),
        values: values.into(),
    }))
}

#[test]
fn a_copy_stays_as_it_was() {
    let schema = schema();
    let ty = &schema.types[0];
    let mut table = Table::new(ty);
    (0..100).for_each(|n| drop(table.insert(thing(ty, n))));
    let copy = table.clone();
    (0..50).for_each(|n| drop(table.remove(&id(n))));
    (100..120).for_each(|n| drop(table.insert(thing(ty, n))));
    assert_eq!((copy.len(), table.len()), (100, 70));
    let name = Filter::Column(Column::Field(0), Test::Eq(Value::from("name 7")));
    assert_eq!(copy.count(&name, Clock::none()).unwrap(), 1);
    assert_eq!(table.count(&name, Clock::none()).unwrap(), 0);
}

#[test]
fn a_scan_ends_with_its_time() {
    let schema = schema();
    let ty = &schema.types[0];
    assert!(matches!(ty.class, Class::Object));
    let mut table = Table::new(ty);
    for n in 0..3000 {
        let mut record = thing(ty, 0).0.clone();
        record.id = Id::trusted(&format!("id-{n:05}"));
        table.insert(Arc::new(Plain(record)));
    }
    let past = Clock::until(Instant::now().checked_sub(Duration::from_secs(1)));
    let none = Filter::Column(Column::Rev, Test::Gt(Value::Int(1)));
    let failures = [
        table.count(&none, past).err(),
        table.page(&none, &Sort::default(), None, 1, past).err(),
    ];
    for failure in failures {
        let kind = failure.map(|error| error.kind().clone());
        assert!(
            matches!(kind, Some(ErrorKind::Unavailable { .. })),
            "{kind:?}"
        );
    }
}
