//! How many objects a page looks at: no more than the index that serves it has entries for it.

use std::cell::Cell;
use std::sync::Arc;

use super::*;
use crate::json::Json;
use crate::query::sort;
use crate::schema::{Schema, Source, load};
use crate::time::Time;

const SCHEMA: &str = r#"
name = "tables"
version = 1

[types.thing]
plural = "things"
index = [["shelf", "-place"]]

[types.thing.fields]
name   = { type = "string", required = true, index = true }
code   = { type = "string", unique = true }
parent = { type = "ref", to = "thing" }
shelf  = { type = "int" }
place  = { type = "int" }
tags   = { type = "list", of = "string", index = true }
plain  = { type = "string" }
"#;

const COUNT: i64 = 3000;

thread_local! {
    static LOOKED: Cell<usize> = const { Cell::new(0) };
}

#[derive(Debug)]
struct Counted(Row);

impl Record for Counted {
    fn row(&self) -> &Row {
        LOOKED.set(LOOKED.get() + 1);
        &self.0
    }
}

fn filled(schema: &Schema) -> Table<Counted> {
    let ty = &schema.types[0];
    let mut table = Table::new(ty);
    for n in 0..COUNT {
        let text = |name: &str, of: i64| Value::from(format!("{name}{}", n % of).as_str());
        let mut values = vec![Value::Null; ty.fields.len()];
        let mut set = |name: &str, value| values[ty.field(name).unwrap()] = value;
        set("name", text("name", 300));
        set("code", text("code", COUNT));
        set("parent", Value::from(format!("id-{:05}", n / 10).as_str()));
        set("shelf", Value::Int(n / 10));
        set("place", Value::Int(n % 10));
        set("tags", Value::List([text("t", 300), text("u", 3)].into()));
        set("plain", text("plain", 300));
        let row = Row {
            id: Id::trusted(&format!("id-{n:05}")),
            rev: 1,
            created_at: Time::MIN,
            updated_at: Time::MIN,
            values: values.into(),
        };
        table.insert(Arc::new(Counted(row)));
    }
    table
}

#[test]
fn pages_and_counts_look_at_what_their_index_names() {
    let schema = load(&[Source::new("tables.toml", SCHEMA)]).unwrap();
    let ty = &schema.types[0];
    let table = filled(&schema);
    let parse = |text: &str| Json::parse(text.as_bytes()).unwrap();
    for (wanted, order, found) in [
        (r#"{"id": "id-00007"}"#, r#""id""#, 1),
        (r#"{"code": "code7"}"#, r#""id""#, 1),
        (r#"{"name": "name7"}"#, r#""id""#, 10),
        (r#"{"name": {"prefix": "name77"}}"#, r#""-plain""#, 10),
        (r#"{"name": {"in": ["name7", "name8"]}}"#, r#""plain""#, 20),
        (r#"{"name": "name7", "plain": "plain7"}"#, r#""id""#, 10),
        (r#"{"parent": "id-00007"}"#, r#""id""#, 10),
        (r#"{"shelf": 7}"#, r#""-place""#, 10),
        (r#"{"shelf": {"gte": 7, "lt": 9}}"#, r#""place""#, 20),
        (r#"{"tags": {"has": "t7"}}"#, r#""id""#, 10),
        (r#"{"tags": {"has": "u1"}, "name": "name7"}"#, r#""id""#, 10),
        ("{}", r#""id""#, 20),
        ("{}", r#""-name""#, 20),
        ("{}", r#"["shelf", "-place"]"#, 20),
    ] {
        let mut faults = crate::error::Faults::default();
        let filter = Filter::parse(ty, &parse(wanted), "filter", &mut faults).unwrap();
        let sort = Sort::new(sort::parse(ty, &parse(order), "sort", &mut faults).unwrap());
        LOOKED.set(0);
        let page = table.page(&filter, &sort, None, 20, Clock::none()).unwrap();
        assert_eq!(page.len(), found, "{wanted} by {order}");
        // Each is looked at a few times: by the filter, the order and the page.
        let looked = LOOKED.get();
        assert!(looked <= 400, "{wanted} by {order}: {looked} looks");
        if wanted != "{}" {
            LOOKED.set(0);
            table.count(&filter, Clock::none()).unwrap();
            let looked = LOOKED.get();
            assert!(looked <= 200, "count of {wanted}: {looked} looks");
        }
    }
    // What no index serves is looked at one by one.
    let mut faults = crate::error::Faults::default();
    let filter = parse(r#"{"plain": "plain7"}"#);
    let filter = Filter::parse(ty, &filter, "filter", &mut faults).unwrap();
    LOOKED.set(0);
    assert_eq!(table.count(&filter, Clock::none()).unwrap(), 10);
    assert!(LOOKED.get() >= 3000);
}
