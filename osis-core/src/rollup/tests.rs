//! Cells beside the objects that they are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Cell, CellScan, Cells, Deltas, Place, Plan, Spec, text};
use crate::error::{Faults, Result};
use crate::json::Json;
use crate::object::{Id, Row};
use crate::query::aggregate::{Aggregate, Bucket, Group, Unit};
use crate::query::{Filter, Test};
use crate::resolve::{RowChange, Transition};
use crate::schema::{Column, Metric, Schema, Source, Type, TypeId, load};
use crate::table::{Clock, Record, Table};
use crate::time::Time;
use crate::value::Value;

const SCHEMA: &str = "
    name = 's'
    version = 1
    [types.visit]
    plural = 'visits'
    class = 'log'
    time = 'at'
    rollup = { unit = 'day', by = ['app', 'ok', 'share'], metrics = ['count', 'sum:n', 'sum:x', 'min:n', 'max:n', 'min:at', 'max:name'] }
    [types.visit.fields]
    at = { type = 'time', required = true }
    app = { type = 'string', index = true }
    ok = { type = 'bool' }
    share = { type = 'float' }
    n = { type = 'int' }
    x = { type = 'float' }
    name = { type = 'string' }
";

const AT: usize = 0;
const APP: usize = 1;
const SHARE: usize = 3;
const N: usize = 4;
const X: usize = 5;

struct Visit(Row);

impl Record for Visit {
    fn row(&self) -> &Row {
        &self.0
    }
}

fn schema() -> Schema {
    load(&[Source::new("s.toml", SCHEMA)]).unwrap()
}

fn row(id: u8, values: Vec<Value>) -> Row {
    Row {
        id: Id::trusted(&format!("visit-{id:03}")),
        rev: 1,
        created_at: Time::MIN,
        updated_at: Time::MIN,
        values: values.into(),
    }
}

fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![
        (0..4i64, 0..24i64, 0..3i64).prop_map(|(day, hour, ms)| {
            let start = at("2026-02-27T00:00:00Z").as_millis();
            Time::from_millis(start + day * 86_400_000 + hour * 3_600_000 + ms).unwrap()
        }),
        Just(Time::MIN),
        Just(Time::MAX),
    ]
}

fn text_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(Value::from("a")),
        Just(Value::from("a\",\"b")),
        Just(Value::from("#")),
        Just(Value::from("é".repeat(700).as_str())),
        Just(Value::from("")),
    ]
}

fn float() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(Value::Float(0.1)),
        Just(Value::Float(-0.3)),
        Just(Value::Float(1e300)),
        Just(Value::Float(f64::MAX)),
    ]
}

fn int() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-3..3i64).prop_map(Value::Int),
        Just(Value::Int(i64::MAX)),
    ]
}

fn flag() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool)]
}

fn visit() -> impl Strategy<Value = Vec<Value>> {
    (
        time(),
        text_value(),
        flag(),
        float(),
        int(),
        float(),
        text_value(),
    )
        .prop_map(|(at, app, ok, share, n, x, name)| {
            vec![Value::Time(at), app, ok, share, n, x, name]
        })
}

/// An object made, changed or removed.
fn steps() -> impl Strategy<Value = Vec<(u8, Option<Vec<Value>>)>> {
    let step = (0..12u8, prop::option::weighted(0.8, visit()));
    prop::collection::vec(step, 1..40)
}

/// The cells that objects come to.
fn counted<'a>(ty: &Type, rows: impl Iterator<Item = &'a Row>) -> BTreeMap<Place, Cell> {
    let spec = Spec::of(ty).unwrap();
    let mut cells: BTreeMap<Place, Cell> = BTreeMap::new();
    for row in rows {
        let cell = Cell::of(&spec, row);
        match cells.get_mut(&cell.place()) {
            Some(own) => own.add(&cell),
            None => drop(cells.insert(cell.place(), cell)),
        }
    }
    cells
}

fn by_place(cells: Vec<Cell>) -> BTreeMap<Place, Cell> {
    cells.into_iter().map(|cell| (cell.place(), cell)).collect()
}

/// A database, as [`Deltas`] sees it.
#[derive(Default)]
struct Database {
    rows: BTreeMap<Id, Row>,
    cells: BTreeMap<Place, Cell>,
}

impl Cells for Database {
    fn cells(&mut self, _: TypeId, places: &[Place]) -> Result<Vec<Option<Cell>>> {
        Ok(places
            .iter()
            .map(|place| self.cells.get(place).cloned())
            .collect())
    }

    fn objects(&mut self, _: TypeId, filter: &Filter, each: &mut dyn FnMut(&Row)) -> Result<()> {
        self.rows
            .values()
            .filter(|row| filter.matches(row))
            .for_each(each);
        Ok(())
    }
}

fn aggregates() -> impl Strategy<Value = Aggregate> {
    let column = |name: &'static str| Column::Field(schema().types[0].field(name).unwrap());
    let by = prop::sample::subsequence(vec!["app", "ok", "share"], 0..3)
        .prop_map(move |names| names.into_iter().map(column).collect::<Vec<_>>());
    let bucket = prop::option::of(prop_oneof![
        Just(Unit::Day),
        Just(Unit::Week),
        Just(Unit::Month)
    ]);
    let bucket = bucket.prop_map(|unit| {
        unit.map(|unit| Bucket {
            column: Column::Field(AT),
            unit,
        })
    });
    let field = Column::Field;
    let metrics = prop::sample::subsequence(
        vec![
            Metric::Count,
            Metric::Sum(field(N)),
            Metric::Sum(field(X)),
            Metric::Avg(field(N)),
            Metric::Avg(field(X)),
            Metric::Min(field(N)),
            Metric::Max(field(N)),
            Metric::Min(field(AT)),
            Metric::Max(field(6)),
            Metric::Unique(field(APP)),
            Metric::Max(field(SHARE)),
        ],
        1..11,
    );
    (by, bucket, metrics, filter()).prop_map(|(group_by, bucket, metrics, filter)| Aggregate {
        type_id: 0,
        filter,
        group_by,
        bucket,
        metrics,
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let day = (0..4i64).prop_map(|day| {
        let start = at("2026-02-27T00:00:00Z").as_millis();
        Time::from_millis(start + day * 86_400_000).unwrap()
    });
    let last = |time: Time| Value::Time(Time::from_millis(time.as_millis() - 1).unwrap());
    let on_time = (0..4, day).prop_map(move |(n, day)| match n {
        0 => Test::Gte(Value::Time(day)),
        1 => Test::Lt(Value::Time(day)),
        2 => Test::Gt(last(day)),
        _ => Test::Lte(last(day)),
    });
    let leaf = prop_oneof![
        on_time.prop_map(|test| Filter::Column(Column::Field(AT), test)),
        text_value().prop_map(|value| Filter::Column(Column::Field(APP), Test::Eq(value))),
        prop::collection::vec(text_value(), 0..3)
            .prop_map(|values| Filter::Column(Column::Field(APP), Test::In(values))),
        flag().prop_map(|value| Filter::Column(Column::Field(2), Test::Eq(value))),
        Just(Filter::Column(
            Column::Field(SHARE),
            Test::Gt(Value::Float(0.0))
        )),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Any),
            inner.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

fn sorted(mut groups: Vec<Group>) -> Vec<Group> {
    groups.sort_by_cached_key(|group| format!("{:?} {:?}", group.bucket, group.by));
    groups
}

fn pages(table: &Table<Visit>, mut scan: CellScan) -> Vec<Cell> {
    // So few that there are several pages.
    scan.limit = 3;
    let mut cells: Vec<Cell> = Vec::new();
    loop {
        let page = table.cells(&scan);
        let is_last = page.len() < scan.limit;
        scan.after = page.last().map(Cell::place);
        cells.extend(page);
        if is_last {
            return cells;
        }
    }
}

proptest! {
    #[test]
    fn a_table_keeps_the_cells_of_its_objects(steps in steps()) {
        let schema = schema();
        let ty = &schema.types[0];
        let mut table: Table<Visit> = Table::new(ty);
        for (id, values) in steps {
            match values {
                Some(values) => drop(table.insert(Arc::new(Visit(row(id, values))))),
                None => drop(table.remove(&row(id, Vec::new()).id)),
            }
            let wanted = counted(ty, table.iter().map(|visit| visit.row()));
            prop_assert_eq!(by_place(pages(&table, CellScan::all(0))), wanted);
        }
    }

    #[test]
    fn deltas_keep_the_cells_of_a_database(commits in prop::collection::vec(steps(), 1..4)) {
        let schema = schema();
        let mut database = Database::default();
        for steps in commits {
            let mut deltas = Deltas::new(&schema);
            for (id, values) in steps {
                let id = row(id, Vec::new()).id;
                let after = values.map(|values| Row { id: id.clone(), values: values.into(), ..row(0, Vec::new()) });
                let before = match &after {
                    Some(after) => database.rows.insert(id, after.clone()),
                    None => database.rows.remove(&id),
                };
                let change = match (before, after) {
                    (None, None) => continue,
                    (None, Some(after)) => Transition::Insert(after),
                    (Some(before), Some(after)) => Transition::Update { before, after },
                    (Some(before), None) => Transition::Remove(before),
                };
                deltas.note(&[RowChange { type_id: 0, at: Time::MIN, change }]);
            }
            for change in deltas.settle(&mut database).unwrap() {
                match change.cell {
                    Some(cell) => drop(database.cells.insert(change.place, cell)),
                    None => drop(database.cells.remove(&change.place)),
                }
            }
            prop_assert_eq!(&database.cells, &counted(&schema.types[0], database.rows.values()));
        }
    }

    #[test]
    fn cells_answer_as_objects_do(
        visits in prop::collection::vec(visit(), 0..30),
        aggregate in aggregates(),
    ) {
        let schema = schema();
        let ty = &schema.types[0];
        let mut table: Table<Visit> = Table::new(ty);
        for (id, values) in (0..).zip(visits) {
            table.insert(Arc::new(Visit(row(id, values))));
        }
        let mut plan = Plan::of(ty, &aggregate).unwrap();
        let mut groups = plan.groups(ty);
        for cell in pages(&table, plan.scan()) {
            plan.add(&mut groups, &cell);
        }
        let raw = table.groups(ty, &aggregate, Clock::until(None)).unwrap();
        prop_assert_eq!(sorted(groups.finish()), sorted(raw));
    }

    #[test]
    fn texts_of_cells_come_back(visits in prop::collection::vec(visit(), 1..10)) {
        let schema = schema();
        let ty = &schema.types[0];
        let rows: Vec<Row> = (0..).zip(visits).map(|(id, values)| row(id, values)).collect();
        for cell in counted(ty, rows.iter()).into_values() {
            let written = text::Shown { ty, cell: &cell }.text().unwrap();
            prop_assert_eq!(text::parse(ty, &written), Ok(cell));
        }
    }
}

#[test]
fn what_cells_do_not_hold_is_not_asked_of_them() {
    let schema = schema();
    let ty = &schema.types[0];
    let plain = Aggregate {
        type_id: 0,
        filter: Filter::EVERY,
        group_by: Vec::new(),
        bucket: None,
        metrics: vec![Metric::Count],
    };
    assert!(Plan::of(ty, &plain).is_some());
    let on = |column: usize, test: Test| Filter::Column(Column::Field(column), test);
    let noon = || Value::Time(at("2026-03-01T12:00:00Z"));
    let midnight = || Value::Time(at("2026-03-01T00:00:00Z"));
    let with_filter = |filter| Aggregate {
        filter,
        ..plain.clone()
    };
    let hour = Some(Bucket {
        column: Column::Field(AT),
        unit: Unit::Hour,
    });
    for other in [
        with_filter(on(AT, Test::Lt(noon()))),
        with_filter(on(AT, Test::Gt(midnight()))),
        with_filter(on(AT, Test::Lte(midnight()))),
        with_filter(on(AT, Test::Eq(midnight()))),
        with_filter(on(N, Test::Eq(Value::Int(1)))),
        with_filter(Filter::Not(Box::new(on(X, Test::Exists(true))))),
        with_filter(Filter::Column(Column::Rev, Test::Eq(Value::Int(1)))),
        Aggregate {
            group_by: vec![Column::Field(N)],
            ..plain.clone()
        },
        Aggregate {
            bucket: hour,
            ..plain.clone()
        },
        Aggregate {
            metrics: vec![Metric::Min(Column::Field(X))],
            ..plain.clone()
        },
        Aggregate {
            metrics: vec![Metric::Unique(Column::Field(N))],
            ..plain.clone()
        },
    ] {
        assert!(Plan::of(ty, &other).is_none(), "{other:?}");
    }
}

#[test]
fn damaged_texts_of_cells_are_refused() {
    let schema = schema();
    let ty = &schema.types[0];
    let good = r#"{"bucket":"2026-03-01T00:00:00.000Z","app":"a","ok":null,"share":null,"count":1,"sum:n":1,"values:n":1,"sum:x":null,"values:x":0,"exact:x":"0","min:n":1,"max:n":1,"min:at":"2026-03-01T01:00:00.000Z","max:name":null}"#;
    assert!(text::parse(ty, good).is_ok());
    for (from, to, path) in [
        ("T00:00", "T01:00", "row.bucket"),
        (r#""count":1"#, r#""count":-1"#, "row.count"),
        (r#""app":"a""#, r#""app":1"#, "row.app"),
        (r#""ok":null,"#, "", "row.ok"),
        (r#""exact:x":"0""#, r#""exact:x":"00@0""#, "row.exact:x"),
        (r#""sum:n":1"#, r#""sum:n":1.5"#, "row.sum:n"),
        (r#""count":1"#, r#""count":1,"other":2"#, "row.other"),
    ] {
        let damaged = Json::parse(good.replace(from, to).as_bytes()).unwrap();
        let mut faults = Faults::default();
        assert_eq!(text::read(ty, &damaged, "row", &mut faults), None);
        let crate::ErrorKind::Invalid(told) = faults.into_error().kind().clone() else {
            panic!("{from}");
        };
        assert!(told.iter().any(|fault| fault.path == path), "{told:?}");
    }
}
