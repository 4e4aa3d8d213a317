//! Roll-ups of whole stores: of objects that were there before, in exports and digests.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::process::Output;

use osis_tests::binary::Served;
use osis_tests::places::{Kind, Place};
use serde_json::{Value, json};

osis_tests::on_every_store!(
    objects_from_before_a_roll_up_are_counted,
    cells_are_exported_and_held_against_what_is_imported,
);

const HITS: &str = "
name = 'hits'
version = 1
[types.hit]
plural = 'hits'
class = 'log'
time = 'at'
[types.hit.fields]
at = { type = 'time', required = true }
host = { type = 'string' }
";

fn serve(place: &Place, schema: &str) -> Served {
    let file = place.beside("hits.toml");
    std::fs::write(&file, schema).unwrap();
    let more = ["--schema".to_owned(), file.display().to_string()];
    Served::start(place.options().into_iter().chain(more))
}

fn by_host(server: &Served) -> Value {
    server.call("hit_aggregate", &json!({ "group_by": ["host"] }))
}

fn objects_from_before_a_roll_up_are_counted(kind: Kind) {
    let place = Place::new(kind);
    let server = serve(&place, HITS);
    let items: Value = (0..30)
        .map(|n| json!({ "at": format!("2026-03-{:02}T07:00:00Z", 1 + n % 20), "host": format!("h{}", n % 3) }))
        .collect();
    server.call("hit_ingest", &json!({ "items": items }));
    let before = by_host(&server);
    assert_eq!(before["source"], "raw");
    assert!(server.terminate().success());

    let rolled_up = HITS.replace(
        "time = 'at'",
        "time = 'at'\nrollup = { unit = 'day', by = ['host'] }",
    );
    let server = serve(&place, &rolled_up);
    let after = by_host(&server);
    assert_eq!(after["source"], "rollup");
    assert_eq!(after["rows"], before["rows"]);
    assert!(server.terminate().success());

    if kind == Kind::Sqlite {
        // As a version left it that knew of no roll-ups.
        let database = rusqlite::Connection::open(place.path()).unwrap();
        let tables = "DROP TABLE _osis_rollups; DROP TABLE _osis_rolled_up";
        database.execute_batch(tables).unwrap();
        database.close().unwrap();
        assert_eq!(by_host(&serve(&place, &rolled_up)), after);
    }
}

fn cells_are_exported_and_held_against_what_is_imported(kind: Kind) {
    let (from, to) = (Place::new(kind), Place::new(kind));
    let server = from.serve();
    let items: Value = (0..40)
        .map(|n| json!({ "at": format!("2026-03-{:02}T07:00:00Z", 1 + n % 2), "page": format!("p{}", n % 4), "took_ms": n }))
        .collect();
    server.call("visit_ingest", &json!({ "items": items }));
    assert!(server.terminate().success());
    let exported = from.command(&["export"]).output().unwrap();
    let text = String::from_utf8(exported.stdout).unwrap();
    let cells: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["rollup"] == "visit")
        .collect();
    let first = json!({
        "bucket": "2026-03-01T00:00:00.000Z", "page": "p0", "count": 10,
        "sum:took_ms": 180, "values:took_ms": 10, "max:took_ms": 36,
    });
    assert_eq!(cells.len(), 4, "{text}");
    assert!(cells.iter().any(|cell| cell["row"] == first), "{cells:?}");

    let import = |text: &str| -> Output {
        let file = to.beside("in.ndjson");
        std::fs::write(&file, text).unwrap();
        let import = to
            .command(&["import", "--json", file.to_str().unwrap()])
            .output();
        import.unwrap()
    };
    let alone: String = text
        .lines()
        .filter(|line| line.starts_with("{\"rollup\""))
        .map(|line| format!("{line}\n"))
        .collect();
    let refused = import(&alone);
    assert!(!refused.status.success());
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        told.contains("line 1: ") && told.contains("10 objects"),
        "{told}"
    );
    for (imported, skipped) in [(40, 4), (0, 44)] {
        let done = import(&text);
        assert!(done.status.success(), "{done:?}");
        let report: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(report, json!({ "imported": imported, "skipped": skipped }));
    }
    let digest = from.digest();
    assert_eq!(digest, to.digest());
    assert_eq!(digest["rollups"]["visit"]["count"], 4);
    assert_eq!(digest["rollups"]["event"]["count"], 0);
}
