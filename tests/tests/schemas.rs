//! Schemas: the built-in one is what it is said to be; others beside it; what differs from the
//! store's own.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::path::PathBuf;
use std::process::Output;

use osis_core::schema::{
    Column, Field, FieldKind, Format, Item, OnDelete, Owner, Source, Type, Unique, Who, load,
};
use osis_tests::binary::{Served, command};
use osis_tests::fixture::SHOP_FILE;
use serde_json::{Value, json};
use tempfile::TempDir;

mod builtin {
    use super::*;

    /// A field in the words of the contract's table.
    fn words(schema: &osis_core::Schema, field: &Field) -> String {
        let mut words = vec![field.name.clone()];
        words.push(match &field.kind {
            FieldKind::Enum(values) => values.join("·"),
            FieldKind::Ref { to, on_delete } => {
                assert_eq!(*on_delete, OnDelete::Cascade);
                format!("ref {} cascade", schema.types[*to].name)
            }
            FieldKind::List(Item::String) => "list".to_owned(),
            other => other.name().to_owned(),
        });
        words.extend(field.default.as_ref().map(|default| {
            format!("={}", osis_core::output::plain_json(default)).replace('"', "")
        }));
        let flags = [
            (field.required, "R"),
            (field.unique == Some(Unique::Exact), "U"),
            (field.unique == Some(Unique::Fold), "U:fold"),
            (field.format == Some(Format::Email), "email"),
            (field.secret, "secret"),
            (field.index, "index"),
        ];
        words.extend(
            flags
                .iter()
                .filter(|(set, _)| *set)
                .map(|(_, word)| (*word).to_owned()),
        );
        words.extend(field.search.map(|weight| format!("S{weight}")));
        words.extend(
            field
                .min
                .as_ref()
                .map(|min| format!("min {}", osis_core::output::plain_json(min))),
        );
        words.join(" ")
    }

    fn who(who: Who) -> &'static str {
        match who {
            Who::Any => "any",
            Who::Owner => "owner",
            Who::Admin => "admin",
            Who::None => "none",
        }
    }

    fn access(ty: &Type) -> String {
        let owner = match ty.owner {
            None => "–",
            Some(Owner::Id) => "id",
            Some(Owner::Field(field) | Owner::Through(field)) => &ty.fields[field].name,
        };
        let or = if ty.access.read_if.is_some() {
            " or published"
        } else {
            ""
        };
        format!(
            "{owner}: {}{or}, {}",
            who(ty.access.read),
            who(ty.access.write)
        )
    }

    #[test]
    fn every_type_has_the_fields_and_the_access_that_it_is_said_to_have() {
        let wanted: [(&str, &str, &str, &[&str]); 7] = [
            (
                "developer",
                "developers",
                "id: owner, owner",
                &[
                    "email string R U:fold email S2",
                    "name string R S4",
                    "password_hash string secret",
                    "oauth_provider string",
                    "oauth_id string",
                    "verified bool =false",
                ],
            ),
            (
                "api_key",
                "api_keys",
                "developer_id: owner, admin",
                &[
                    "developer_id ref developer cascade R",
                    "name string R",
                    "key_hash string R U secret",
                    "key_prefix string R",
                    "permissions list =[]",
                    "last_used_at time",
                    "expires_at time",
                ],
            ),
            (
                "app",
                "apps",
                "developer_id: owner or published, owner",
                &[
                    "developer_id ref developer cascade R index",
                    "package_id string R U S2",
                    "name string R S4",
                    "description text S1",
                    "category string index S2",
                    "tags list =[] index S2",
                    "status draft·published·suspended =draft index",
                ],
            ),
            (
                "version",
                "versions",
                "app_id: owner or published, owner",
                &[
                    "app_id ref app cascade R index",
                    "version_code int R min 0",
                    "version_name string R S4",
                    "package_url string R",
                    "package_size int R min 0",
                    "signature string R",
                    "permissions list =[]",
                    "min_mosis_version string",
                    "release_notes text S1",
                    "status draft·review·approved·published·rejected =draft index",
                    "review_notes string",
                    "published_at time",
                ],
            ),
            (
                "signing_key",
                "signing_keys",
                "developer_id: any, owner",
                &[
                    "developer_id ref developer cascade R",
                    "name string R",
                    "public_key text R",
                    "fingerprint string R U",
                    "is_active bool =true",
                ],
            ),
            (
                "event",
                "events",
                "–: admin, any",
                &[
                    "app_id string R index",
                    "kind string R index",
                    "occurred_at time R",
                    "version_code int",
                    "device_id string",
                    "platform string",
                    "message text S1",
                    "properties json",
                ],
            ),
            (
                "audit_log",
                "audit_logs",
                "–: admin, none",
                &[
                    "actor string",
                    "action string",
                    "target_type string",
                    "target_id string index",
                    "occurred_at time R",
                    "details json",
                ],
            ),
        ];
        let schema = load(&[Source::builtin()]).unwrap();
        assert_eq!(
            (schema.name.as_str(), schema.types.len()),
            ("appstore", wanted.len())
        );
        for (ty, (name, plural, who, fields)) in schema.types.iter().zip(wanted) {
            assert_eq!((ty.name.as_str(), ty.plural.as_str()), (name, plural));
            let words: Vec<String> = ty
                .fields
                .iter()
                .map(|field| words(&schema, field))
                .collect();
            assert_eq!(words, fields, "{name}");
            assert_eq!(access(ty), who, "{name}");
        }
    }

    #[test]
    fn keys_relations_and_logs_are_as_they_are_said_to_be() {
        let schema = load(&[Source::builtin()]).unwrap();
        let ty = |name: &str| schema.find(name).unwrap();
        let keys = |name: &str| -> Vec<Vec<&str>> {
            (0..ty(name).keys.len())
                .map(|key| ty(name).key_fields(key))
                .collect()
        };
        assert_eq!(keys("version"), [["app_id", "version_code"]]);
        assert_eq!(keys("app"), [["package_id"]]);
        let relation = |name: &str, relation: &str| {
            let found = ty(name).relation(relation).unwrap();
            let from = &schema.types[found.from];
            let sort: Vec<&str> = found
                .sort
                .iter()
                .map(|(column, _)| from.column_name(*column))
                .collect();
            (
                from.name.clone(),
                from.fields[found.via].name.clone(),
                sort.join(" "),
                found.limit,
            )
        };
        let told = |from: &str, via: &str, sort: &str, limit: usize| {
            (from.to_owned(), via.to_owned(), sort.to_owned(), limit)
        };
        assert_eq!(
            relation("developer", "apps"),
            told("app", "developer_id", "name", 50)
        );
        assert_eq!(
            relation("app", "versions"),
            told("version", "app_id", "version_code", 50)
        );
        assert_eq!(
            relation("app", "latest_version"),
            told("version", "app_id", "version_code", 1)
        );
        for (name, days) in [("event", 90), ("audit_log", 365)] {
            let log = ty(name).log().unwrap();
            assert_eq!(
                (ty(name).fields[log.time].name.as_str(), log.retention_days),
                ("occurred_at", Some(days))
            );
        }
        let rollup = ty("event").log().unwrap().rollup.as_ref().unwrap();
        let by: Vec<&str> = rollup
            .by
            .iter()
            .map(|f| ty("event").column_name(Column::Field(*f)))
            .collect();
        assert_eq!(by, ["app_id", "kind"]);
    }

    #[test]
    fn a_package_id_looks_like_one() {
        let schema = load(&[Source::builtin()]).unwrap();
        let app = schema.find("app").unwrap();
        let pattern = app.fields[app.field("package_id").unwrap()]
            .pattern
            .as_ref()
            .unwrap();
        for (id, fits) in [
            ("org.example.notes", true),
            ("a.b", true),
            ("lib+x.y_z-1", true),
            ("notes", false),
            ("1a.b", false),
            (".a.b", false),
            ("a.", false),
            ("a..b", false),
            ("a.b c", false),
            ("", false),
        ] {
            assert_eq!(pattern.is_match(id), fits, "{id:?}");
        }
    }
}

/// A place for a store and for schemas.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn store(&self) -> PathBuf {
        self.0.path().join("osis.db")
    }

    /// A schema file; its name is its first word.
    fn schema(&self, text: &str) -> String {
        let name = text.split(['"']).nth(1).unwrap();
        let path = self.0.path().join(format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn arguments(&self, schemas: &[&str]) -> Vec<String> {
        let store = [
            "--store".to_owned(),
            format!("sqlite:{}", self.store().display()),
        ];
        let schemas = schemas
            .iter()
            .flat_map(|schema| ["--schema".to_owned(), (*schema).to_owned()]);
        store.into_iter().chain(schemas).collect()
    }

    fn run(&self, words: &[&str], schemas: &[&str]) -> Output {
        let words = words.iter().map(|word| (*word).to_owned());
        command(words.chain(self.arguments(schemas)))
            .output()
            .unwrap()
    }

    /// What a command says that fails.
    fn refused(&self, words: &[&str], schemas: &[&str]) -> String {
        let output = self.run(words, schemas);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {told}");
        told
    }

    fn serve(&self, schemas: &[&str]) -> Served {
        Served::start(self.arguments(schemas))
    }

    /// The types of the schema in force.
    fn types(&self, schemas: &[&str]) -> Vec<String> {
        let output = self.run(&["schema", "show"], schemas);
        let text = String::from_utf8(output.stdout).unwrap();
        let types: toml::Table = text
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {text}"));
        types["types"].as_table().unwrap().keys().cloned().collect()
    }
}

const NOTE: &str = "name = \"notes\"\nversion = 1\n[types.note]\n[types.note.fields]\ntext = { type = \"string\" }\n";

#[test]
fn a_schema_with_an_error_is_refused_before_anything_is_opened() {
    let place = Place::new();
    let wrong = place.schema(&NOTE.replace("\"string\"", "\"strng\""));
    let told = place.refused(&["serve", "--listen", "127.0.0.1:0"], &[&wrong]);
    assert!(
        told.contains("notes.toml:5:"),
        "no file, line and column: {told}"
    );
    assert!(
        told.contains("strng") && told.contains("string"),
        "not what was expected: {told}"
    );
    assert!(!place.store().exists(), "it was opened");
}

#[test]
fn names_of_several_schemas_must_not_clash() {
    let place = Place::new();
    let own = place.schema(&NOTE.replace("types.note", "types.app"));
    let told = place.refused(&["serve", "--listen", "127.0.0.1:0"], &[&own]);
    assert!(told.contains("app"), "{told}");
    assert!(!place.store().exists(), "it was opened");
}

#[test]
fn schemas_stand_beside_the_built_in_one_or_without_it() {
    let place = Place::new();
    let notes = place.schema(NOTE);
    assert!(place.serve(&[&notes, SHOP_FILE]).terminate().success());
    let types = place.types(&[]);
    assert!(
        ["app", "note", "customer"]
            .iter()
            .all(|ty| types.iter().any(|own| own == ty)),
        "{types:?}"
    );
    let place = Place::new();
    let arguments = place.arguments(&[&place.schema(NOTE)]).into_iter();
    let server = Served::start(arguments.chain(["--no-builtin-schema".to_owned()]));
    let counts = server.call("osis_info", &json!({}))["counts"].clone();
    assert_eq!(counts, json!({ "note": 0 }));
}

#[test]
fn serve_applies_a_change_that_loses_nothing() {
    let place = Place::new();
    let before = place.schema(NOTE);
    let server = place.serve(&[&before]);
    let made = server.call("note_new", &json!({ "data": { "text": "a" } }));
    assert!(server.terminate().success());
    let more = NOTE.replace(
        "text = { type = \"string\" }",
        "text = { type = \"string\", index = true }\nstars = { type = \"int\" }\n[types.pad]\n[types.pad.fields]\nname = { type = \"string\" }",
    );
    let server = place.serve(&[&place.schema(&more)]);
    let mut wanted = made.clone();
    wanted["stars"] = json!(null);
    assert_eq!(
        server.call("note_get", &json!({ "id": made["id"] })),
        wanted
    );
    server.call("pad_new", &json!({ "data": { "name": "p" } }));
    let set = server.call(
        "note_set",
        &json!({ "id": made["id"], "data": { "stars": 3 } }),
    );
    assert_eq!((&set["stars"], &set["rev"]), (&json!(3), &json!(2)));
}

#[test]
fn serve_refuses_any_other_change_and_names_the_way() {
    for (what, changed) in [
        ("a field that is gone", NOTE.replace("text =", "title =")),
        ("another type", NOTE.replace("\"string\"", "\"int\"")),
        (
            "a new required field",
            NOTE.to_owned() + "must = { type = \"int\", required = true }\n",
        ),
        (
            "a type that is gone",
            NOTE.replace("types.note", "types.pad"),
        ),
        (
            "a new key",
            NOTE.replace("\"string\"", "\"string\", unique = true"),
        ),
    ] {
        let place = Place::new();
        let server = place.serve(&[&place.schema(NOTE)]);
        let made = server.call("note_new", &json!({ "data": { "text": "a" } }));
        assert!(server.terminate().success());
        let told = place.refused(
            &["serve", "--listen", "127.0.0.1:0"],
            &[&place.schema(&changed)],
        );
        assert!(told.contains("osis schema show"), "{what}: {told}");
        let server = place.serve(&[&place.schema(NOTE)]);
        assert_eq!(
            server.call("note_get", &json!({ "id": made["id"] })),
            made,
            "{what}"
        );
    }
}

#[test]
fn other_commands_use_the_stored_schema() {
    let place = Place::new();
    assert!(place.serve(&[&place.schema(NOTE)]).terminate().success());
    let stored = place.types(&[]);
    assert!(stored.contains(&"note".to_owned()) && !stored.contains(&"customer".to_owned()));
    let output = place.run(
        &["call", "note_new", r#"{"data": {"text": "a"}}"#],
        &[SHOP_FILE],
    );
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["text"], "a");
    assert_eq!(
        place.types(&[SHOP_FILE]),
        stored,
        "nothing was changed by it"
    );
}
