//! What SQLite makes of the statements: filters, sorts, cursors and counts are answered from indexes
//! where the schema has one.

use osis_core::backend::{Related, Scan};
use osis_core::error::Faults;
use osis_core::json::Json;
use osis_core::object::Id;
use osis_core::query::aggregate::Aggregate;
use osis_core::query::{Filter, Sort, sort};
use osis_core::resolve::Transition;
use osis_core::schema::{Metric, Type};
use osis_core::value::Value;
use osis_sql::query as shared;

use super::{Inside, PROBE, THING, schema, thing};
use crate::query;
use crate::sql::Sql;

/// A store with so many rows that no plan is as good as another, and their statistics.
fn filled() -> Inside {
    let mut inside = Inside::new(PROBE);
    let schema = schema(PROBE);
    for n in 0..3000_i64 {
        let text = |name: &str, of: i64| Value::from(format!("{name}{}", n % of).as_str());
        let tags = [text("t", 300), text("u", 7)];
        let values = [
            ("word", text("w", 500)),
            (
                "maybe",
                if n % 3 == 0 {
                    Value::Null
                } else {
                    text("m", 500)
                },
            ),
            ("folded", text("f", 5000)),
            ("number", Value::Int(n / 3)),
            ("count", Value::Int(n)),
            (
                "parent",
                if n == 0 {
                    Value::Null
                } else {
                    Value::from(format!("id-{:04}", n / 10).as_str())
                },
            ),
            ("tags", Value::List(tags.into())),
        ];
        inside.write(Transition::Insert(thing(&schema, n as usize, &values)));
    }
    inside.connection.execute_batch("ANALYZE").unwrap();
    inside
}

fn filter(ty: &Type, json: &str) -> Filter {
    let mut faults = Faults::default();
    let json = Json::parse(json.as_bytes()).unwrap();
    let filter = Filter::parse(ty, &json, "filter", &mut faults);
    filter.unwrap_or_else(|| panic!("{:?}", faults.into_error()))
}

fn order(ty: &Type, json: &str) -> Sort {
    let mut faults = Faults::default();
    let json = Json::parse(json.as_bytes()).unwrap();
    Sort::new(sort::parse(ty, &json, "sort", &mut faults).unwrap())
}

/// What SQLite says that it will do, in the order of its steps.
fn plan(inside: &Inside, sql: &Sql) -> String {
    let text = format!("EXPLAIN QUERY PLAN {}", sql.text_so_far());
    let mut statement = inside.connection.prepare(&text).unwrap();
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get::<_, String>(3).unwrap());
    }
    steps.join("; ")
}

/// The statement of a page, as a scan makes it.
fn page(inside: &Inside, scan: &Scan) -> Sql {
    let ty = &inside.catalog.schema.types[scan.type_id];
    let filter = shared::scan_filter(scan, ty);
    let lists = query::lists(&inside.connection, ty, &filter, &scan.sort, scan.limit).unwrap();
    shared::page(ty, &filter, &scan.sort, scan.limit, lists)
}

fn scan(ty: &Type, wanted: &str, sorted: &str) -> Scan {
    Scan {
        type_id: THING,
        filter: filter(ty, wanted),
        sort: order(ty, sorted),
        after: None,
        limit: 20,
    }
}

#[test]
fn pages_come_from_the_indexes_that_a_schema_has() {
    let inside = filled();
    let ty = &inside.catalog.schema.types[THING];
    for (wanted, sorted, index) in [
        (
            r#"{"id": "id-0007"}"#,
            r#""id""#,
            "sqlite_autoindex_things_1",
        ),
        (
            r#"{"id": {"in": ["id-0007", "id-0008"]}}"#,
            r#""id""#,
            "sqlite_autoindex_things_1",
        ),
        (r#"{"maybe": "m7"}"#, r#""id""#, "$$index$maybe"),
        (
            r#"{"maybe": {"prefix": "m77"}}"#,
            r#""maybe""#,
            "$$index$maybe",
        ),
        (
            r#"{"maybe": {"in": ["m7", "m8"]}}"#,
            r#""id""#,
            "$$index$maybe",
        ),
        (r#"{"number": 7}"#, r#""id""#, "$$index$number"),
        (
            r#"{"number": {"gte": 7, "lt": 9}}"#,
            r#""number""#,
            "$$index$number",
        ),
        (
            r#"{"number": {"gt": 995}}"#,
            r#""-number""#,
            "$$index$number",
        ),
        (r#"{"word": "w7"}"#, r#""-number""#, "$$index$word$-number"),
        (
            r#"{"word": "w7", "number": {"lt": 900}}"#,
            r#""-number""#,
            "$$index$word$-number",
        ),
        (r#"{"parent": "id-0007"}"#, r#""id""#, "$$index$parent"),
        (
            r#"{"parent": "id-0007", "flag": true}"#,
            r#""id""#,
            "$$index$parent",
        ),
        (
            r#"{"tags": {"has": "t77"}}"#,
            r#""id""#,
            "_osis_things$tags",
        ),
        ("{}", r#""id""#, "sqlite_autoindex_things_1"),
        ("{}", r#""number""#, "$$index$number"),
        ("{}", r#""-maybe""#, "$$index$maybe"),
        ("{}", r#"["word", "-number"]"#, "$$index$word$-number"),
        ("{}", r#""-at""#, "$$index$-at"),
    ] {
        let first = scan(ty, wanted, sorted);
        let found = query::scan(&inside.connection, &inside.catalog, &first).unwrap();
        let behind = found.last().map(|row| first.sort.position(row));
        // The first page, and one that goes on behind it.
        for after in [None, behind] {
            let scan = Scan {
                after,
                ..first.clone()
            };
            let plan = plan(&inside, &page(&inside, &scan));
            assert!(plan.contains(index), "{wanted} by {sorted}: {plan}");
            // A few rows are as well sorted; a whole type is neither sorted nor gone through by
            // another index than that of its order.
            let is_whole = wanted == "{}";
            let scans = plan.contains("SCAN t") && !(is_whole && plan.contains("USING INDEX"));
            assert!(!scans, "{wanted} by {sorted}: {plan}");
            assert!(
                !is_whole || !plan.contains("TEMP B-TREE FOR ORDER BY"),
                "by {sorted}: {plan}"
            );
        }
    }
}

#[test]
fn counts_groups_and_relations_come_from_indexes() {
    let inside = filled();
    let ty = &inside.catalog.schema.types[THING];
    for (wanted, index) in [
        (r#"{"maybe": "m7"}"#, "$$index$maybe"),
        (r#"{"number": {"gte": 7, "lt": 9}}"#, "$$index$number"),
        (r#"{"tags": {"has": "t77"}}"#, "_osis_things$tags"),
        (
            r#"{"or": [{"maybe": "m7"}, {"parent": "id-0007"}]}"#,
            "$$index$parent",
        ),
    ] {
        let wanted = filter(ty, wanted);
        let counted = plan(&inside, &shared::count(ty, &wanted));
        assert!(
            counted.contains(index) && !counted.contains("SCAN t"),
            "{wanted:?}: {counted}"
        );
        let aggregate = Aggregate {
            type_id: THING,
            filter: wanted,
            group_by: vec![ty.column("flag").unwrap()],
            bucket: None,
            metrics: vec![Metric::Count],
        };
        let grouped = plan(&inside, &shared::counts(ty, &aggregate));
        assert!(
            grouped.contains(index) && !grouped.contains("SCAN t"),
            "{grouped}"
        );
    }
    let related = Related {
        type_id: THING,
        via: ty.field("parent").unwrap(),
        filter: Filter::EVERY,
        sort: Sort::default(),
        limit: 5,
    };
    let id = Id::parse("id-0007").unwrap();
    let own = shared::related_filter(&related, &id);
    let sql = shared::page(ty, &own, &related.sort, related.limit, Default::default());
    let plan = plan(&inside, &sql);
    assert!(
        plan.contains("$$index$parent") && !plan.contains("SCAN"),
        "{plan}"
    );
}
