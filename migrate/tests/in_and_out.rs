//! Seed files, export, import and digest, on the memory engine.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use osis_core::batch::{Batch, Op, Outcome, SeedMode, SeedReport};
use osis_core::memory::MemoryBackend;
use osis_core::schema::{Source, load};
use osis_core::store::Principal;
use osis_core::{Error, ErrorKind, Store};
use osis_migrate::export::Selection;
use osis_migrate::import::Imported;
use osis_migrate::{digest, export, import, seedfile};

const WHO: Principal = Principal::Operator;

const TREE: &str = r#"
name = "tree"
version = 1

[types.node]
plural = "nodes"

[types.node.fields]
name   = { type = "string", required = true, unique = true }
parent = { type = "ref", to = "node", on_delete = "cascade" }
secret = { type = "string", secret = true }
"#;

fn store() -> Store {
    let tree = Source::new("tree.toml", TREE);
    let schema = load(&[Source::builtin(), tree]).unwrap();
    Store::new(Arc::new(MemoryBackend::new(Arc::new(schema))))
}

async fn seed(store: &Store, name: &str, text: &str, mode: SeedMode) -> Result<SeedReport, Error> {
    let objects = seedfile::parse(store.schema(), name, text, mode)?;
    let batch = Batch::of(vec![Op::Seed { objects, mode }]);
    let commit = store.write_one(&WHO, batch).await?;
    match commit.outcomes.as_slice() {
        [Outcome::Seeded(report)] => Ok(*report),
        other => panic!("{other:?}"),
    }
}

/// Paths and messages of what was invalid.
fn faults(error: &Error) -> Vec<String> {
    let ErrorKind::Invalid(faults) = error.kind() else {
        panic!("{error:?}")
    };
    let lines = faults
        .iter()
        .map(|fault| format!("{}: {}", fault.path, fault.message));
    lines.collect()
}

async fn exported(store: &Store, selection: &Selection) -> String {
    let mut out = Vec::new();
    export::export(store, &WHO, selection, &mut out, &mut |_| {})
        .await
        .unwrap();
    String::from_utf8(out).unwrap()
}

async fn imported(store: &Store, lines: &str) -> Result<Imported, Error> {
    import::import(store, &WHO, &mut lines.as_bytes(), &mut |_| {}).await
}

const FORESTS: [(&str, &str); 3] = [
    (
        "a.toml",
        r#"
[[node]]
name = "leaf"
parent = { name = "branch" }
[[node]]
name = "branch"
parent = { name = "root" }
[[node]]
name = "root"
secret = "sap"
"#,
    ),
    (
        "a.json",
        r#"{"node": [{"name": "leaf", "parent": {"name": "branch"}},
            {"name": "branch", "parent": {"name": "root"}}, {"name": "root", "secret": "sap"}]}"#,
    ),
    (
        "a.ndjson",
        r#"{"type": "node", "object": {"name": "leaf", "parent": {"name": "branch"}}}
{"object": {"name": "branch", "parent": {"name": "root"}}, "type": "node"}

{"type": "node", "object": {"name": "root", "secret": "sap"}}
"#,
    ),
];

#[tokio::test]
async fn the_three_forms_of_a_seed_mean_the_same() {
    let store = store();
    for (n, (name, text)) in FORESTS.into_iter().enumerate() {
        let report = seed(&store, name, text, SeedMode::Insert).await.unwrap();
        let created = if n == 0 { 3 } else { 0 };
        assert_eq!(
            report,
            SeedReport {
                created,
                updated: 0,
                unchanged: 3 - created
            },
            "{name}"
        );
    }
    let change = "[[node]]\nname = \"root\"\nsecret = \"resin\"\n";
    let report = seed(&store, "b.toml", change, SeedMode::Update)
        .await
        .unwrap();
    assert_eq!(
        report,
        SeedReport {
            updated: 1,
            ..SeedReport::default()
        }
    );
}

#[tokio::test]
async fn every_fault_of_a_seed_is_told_with_its_line() {
    let store = store();
    let text = "[[node]]\nname = 5\n\n[[node]]\ncolour = 1\n[[tree]]\nname = \"x\"\n";
    let error = seed(&store, "a.toml", text, SeedMode::Insert)
        .await
        .unwrap_err();
    assert_eq!(
        faults(&error),
        [
            "a.toml:2: node.name: expected a string, got an integer",
            "a.toml:5: node.colour: node has no field of this name",
            "a.toml:4: node.name: is required",
            "a.toml:6: the schema has no type \"tree\" that can be seeded",
        ]
    );
    let text = "{\"node\": [\n{\"name\":\n5},\n{\n\"colour\": 1}\n],\n\"tree\": [{}]}";
    let error = seed(&store, "a.json", text, SeedMode::Insert)
        .await
        .unwrap_err();
    assert_eq!(
        faults(&error),
        [
            "a.json:2: node.name: expected a string, got an integer",
            "a.json:5: node.colour: node has no field of this name",
            "a.json:4: node.name: is required",
            "a.json:7: the schema has no type \"tree\" that can be seeded",
        ]
    );
    let text = "{\"type\": \"node\"}\n\n{\"type\": \"node\", \"object\": {\"name\": 5}}\nnothing\n";
    let error = seed(&store, "a.ndjson", text, SeedMode::Insert)
        .await
        .unwrap_err();
    let places: Vec<String> = faults(&error)
        .iter()
        .map(|fault| fault.split(": ").next().unwrap().to_owned())
        .collect();
    assert_eq!(places, ["a.ndjson:1", "a.ndjson:4", "a.ndjson:3"]);
    let text = "node = 5\ntree = 6\n";
    let error = seed(&store, "a.toml", text, SeedMode::Insert)
        .await
        .unwrap_err();
    assert_eq!(faults(&error).len(), 2, "{error}");
    let missing = "[[node]]\nname = \"a\"\nparent = { name = \"nobody\" }\n";
    let error = seed(&store, "a.toml", missing, SeedMode::Insert)
        .await
        .unwrap_err();
    assert_eq!(
        faults(&error),
        [
            "a.toml:1: node.parent: refers to node by name, but neither the store nor the seed has it"
        ]
    );
    for (name, text, place) in [
        ("a.toml", "[[node]]\nname = \n", "a.toml:2"),
        ("a.json", "{\"node\": [}", "a.json:1"),
        ("a.ndjson", "{\"type\": \"node\"}", "a.ndjson:1"),
        ("a.csv", "", "a.csv"),
    ] {
        let error = seed(&store, name, text, SeedMode::Insert)
            .await
            .unwrap_err();
        assert!(faults(&error)[0].starts_with(place), "{error}");
    }
}

#[tokio::test]
async fn an_export_is_read_back_whole_referents_first() {
    let from = store();
    seed(&from, "a.toml", FORESTS[0].1, SeedMode::Insert)
        .await
        .unwrap();
    let text = exported(&from, &Selection::default()).await;
    let order: Vec<&str> = ["root", "branch", "leaf"].into_iter().collect();
    let places: Vec<_> = order
        .iter()
        .map(|n| text.find(&format!("\"name\":\"{n}\"")))
        .collect();
    assert!(places.is_sorted() && places[0].is_some(), "{text}");

    let to = store();
    let all = Imported {
        imported: 3,
        skipped: 0,
    };
    assert_eq!(imported(&to, &text).await.unwrap(), all);
    let again = Imported {
        imported: 0,
        skipped: 3,
    };
    assert_eq!(imported(&to, &text).await.unwrap(), again);
    let digests = |store| async move { digest::digest(store, &WHO, &mut |_| {}).await.unwrap() };
    assert_eq!(digests(&from).await, digests(&to).await);

    let change = "[[node]]\nname = \"root\"\nsecret = \"resin\"\n";
    seed(&to, "b.toml", change, SeedMode::Update).await.unwrap();
    assert_ne!(digests(&from).await, digests(&to).await);
    let error = imported(&to, &text).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Conflict { .. }));
    assert!(error.message().starts_with("line 1: "), "{error}");
}

#[tokio::test]
async fn secrets_stay_where_they_are_not_wanted() {
    let store = store();
    seed(&store, "a.toml", FORESTS[0].1, SeedMode::Insert)
        .await
        .unwrap();
    let node = store.schema().find("node").unwrap().id;
    let whole = exported(&store, &Selection::default()).await;
    assert!(whole.contains("\"secret\":\"sap\""), "{whole}");
    let selection = Selection {
        types: vec![node],
        without_secrets: true,
    };
    let bare = exported(&store, &selection).await;
    assert!(!bare.contains("sap") && bare.lines().count() == 3, "{bare}");
}

#[tokio::test]
async fn lines_that_are_no_export_are_named() {
    let store = store();
    for (lines, wanted) in [
        (
            "\n{\"type\": \"node\", \"object\": {}}",
            "line 2: node.name: is required",
        ),
        (
            "{\"type\": \"tree\", \"object\": {}}",
            "line 1: the schema has no type \"tree\"",
        ),
        ("{", "line 1: expected a name"),
    ] {
        let error = imported(&store, lines).await.unwrap_err();
        assert!(faults(&error)[0].starts_with(wanted), "{error}");
    }
}

/// A ring of references is longer than the lines of one transaction.
#[tokio::test]
async fn circles_of_any_length_are_imported() {
    let from = store();
    let ring: String = (0..2500)
        .map(|n| {
            let next = (n + 1) % 2500;
            format!("[[node]]\nname = \"n{n}\"\nparent = {{ name = \"n{next}\" }}\n")
        })
        .collect();
    seed(&from, "ring.toml", &ring, SeedMode::Insert)
        .await
        .unwrap();
    let text = exported(&from, &Selection::default()).await;
    let to = store();
    let all = Imported {
        imported: 2500,
        skipped: 0,
    };
    assert_eq!(imported(&to, &text).await.unwrap(), all);
    let cut: String = text
        .lines()
        .take(2400)
        .map(|line| format!("{line}\n"))
        .collect();
    let error = imported(&store(), &cut).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Reference { .. }),
        "{error}"
    );
}
