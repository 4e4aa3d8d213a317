//! `osis check`, and stores that hold what they do not serve: duplicates that an older program left
//! in the files of a store, and what refers to them.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Output;

use osis_tests::binary::command;
use osis_tests::files::object_file;
use osis_tests::fixture::version_data;
use osis_tests::places::{Kind, Place};
use rusqlite::Connection;
use serde_json::{Value, json};

/// A file store with an app of two versions.
fn store() -> Place {
    let place = Place::new(Kind::File);
    let server = place.serve();
    let developer = json!({ "id": "ada-1", "email": "ada@x", "name": "Ada" });
    server.call("developer_new", &json!({ "data": developer }));
    let app =
        json!({ "id": "app-1", "developer_id": "ada-1", "package_id": "org.x.a", "name": "A" });
    server.call("app_new", &json!({ "data": app }));
    for code in [1, 2] {
        let mut data = version_data("app-1", code);
        data["id"] = json!(format!("version-{code}"));
        server.call("version_new", &json!({ "data": data }));
    }
    assert!(server.terminate().success());
    place
}

/// Writes the file of an object as an older program would have.
fn write(place: &Place, plural: &str, id: &str, fields: &str) -> PathBuf {
    let file = object_file(place.path(), plural, id);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let times =
        "created_at = 2030-01-01T00:00:00.000Z\nrev = 4\nupdated_at = 2030-01-01T00:00:00.000Z\n";
    std::fs::write(&file, format!("O:\nid = \"{id}\"\n{times}{fields}")).unwrap();
    file
}

/// The second replica's copies: the same app, and versions of that, one of which the first has too.
fn race(place: &Place) {
    let app =
        "developer_id = \"ada-1\"\nname = \"B\"\npackage_id = \"org.x.a\"\nstatus = \"draft\"\n";
    write(place, "apps", "app-2", app);
    for code in [2, 3] {
        let version = format!(
            "app_id = \"app-2\"\npackage_size = 1\npackage_url = \"u\"\nsignature = \"s\"\n\
             status = \"draft\"\nversion_code = {code}\nversion_name = \"n\"\n"
        );
        write(place, "versions", &format!("copied-{code}"), &version);
    }
}

fn json_of(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"))
}

fn check(place: &Place, more: &[&str]) -> (i32, Value) {
    let mut command = place.command(&["check", "--json"]);
    let output = command.args(more).output().unwrap();
    (output.status.code().unwrap(), json_of(&output))
}

/// What is found of which objects: their ids.
fn ids(findings: &Value) -> BTreeSet<&str> {
    let findings = findings.as_array().unwrap().iter();
    findings
        .filter_map(|finding| finding["id"].as_str())
        .collect()
}

#[test]
fn a_store_without_faults_has_no_problems() {
    for kind in [Kind::Sqlite, Kind::File] {
        let place = Place::new(kind);
        let seed = place.beside("seed.json");
        std::fs::write(&seed, osis_tests::fixture::catalogue().to_string()).unwrap();
        let seeded = place
            .command(&["seed", seed.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(seeded.status.success(), "{seeded:?}");
        assert_eq!(check(&place, &[]), (0, json!({ "problems": [] })));
        let repaired = json!({ "problems": [], "repaired": [] });
        assert_eq!(check(&place, &["--repair"]), (0, repaired));
    }
}

#[test]
fn files_that_are_not_served_are_named_and_mended() {
    let place = store();
    race(&place);
    let broken = write(
        &place,
        "developers",
        "broken-1",
        "email = \"no email\"\nname = \"N\"\n",
    );
    let (status, found) = check(&place, &[]);
    assert_eq!(status, 1, "{found}");
    assert_eq!(
        ids(&found["problems"]),
        BTreeSet::from(["app-2", "copied-2", "copied-3"])
    );
    let problems = found["problems"].as_array().unwrap();
    let of = |path: &str| {
        problems
            .iter()
            .find(|one| one["path"].as_str().unwrap().ends_with(path))
    };
    assert!(
        of("apps/-2/app-2.otoml").unwrap()["message"]
            .as_str()
            .unwrap()
            .contains("app-1 has its key")
    );
    assert_eq!(of("broken-1.otoml").unwrap()["line"], 6, "{found}");
    let (status, mended) = check(&place, &["--repair"]);
    assert_eq!(status, 1, "the broken file is left: {mended}");
    assert_eq!(
        ids(&mended["repaired"]),
        BTreeSet::from(["app-2", "copied-2", "copied-3"])
    );
    std::fs::remove_file(broken).unwrap();
    assert_eq!(check(&place, &[]), (0, json!({ "problems": [] })));
    let server = place.serve();
    let version = server.call("version_get", &json!({ "id": "copied-3" }));
    assert_eq!(
        (&version["app_id"], &version["rev"]),
        (&json!("app-1"), &json!(4))
    );
    assert_eq!(server.call("app_count", &json!({}))["count"], 1);
    assert_eq!(server.call("version_count", &json!({}))["count"], 3);
    assert!(server.terminate().success());
    let aside = object_file(place.path(), "apps", "app-2").with_extension("otoml.set-aside");
    assert!(
        std::fs::read_to_string(aside)
            .unwrap()
            .contains("name = \"B\""),
        "nothing is lost"
    );
}

#[test]
fn files_that_are_not_served_are_migrated_and_merged() {
    for (policy, kept, dropped) in [
        ("keep-oldest", "app-1", ["app-2", "copied-2"]),
        ("keep-newest", "app-2", ["app-1", "version-2"]),
    ] {
        let from = store();
        race(&from);
        let to = Place::new(Kind::Sqlite);
        let migrate = |more: &[&str]| {
            let mut command = command([
                "migrate",
                "--json",
                "--from",
                &from.url(),
                "--to",
                &to.url(),
            ]);
            command.args(more).output().unwrap()
        };
        let refused = migrate(&[]);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(told.contains("app-1, app-2 have the same"), "{told}");
        assert!(!to.path().exists());
        let report = json_of(&migrate(&["--dedup", policy]));
        assert_eq!(ids(&report["dropped"]), BTreeSet::from(dropped), "{report}");
        let server = to.serve();
        let versions = server.call("version_list", &json!({ "sort": "version_code" }));
        let versions = versions["items"].as_array().unwrap();
        let codes: Vec<&Value> = versions
            .iter()
            .map(|version| &version["version_code"])
            .collect();
        assert_eq!(codes, [1, 2, 3]);
        assert!(
            versions.iter().all(|version| version["app_id"] == kept),
            "{versions:?}"
        );
        assert_eq!(server.call("app_list", &json!({}))["items"][0]["id"], kept);
        assert!(server.terminate().success());
        assert_eq!(check(&to, &[]).0, 0);
    }
}

#[test]
fn what_others_did_to_a_database_is_named() {
    let place = Place::new(Kind::Sqlite);
    let seed = place.beside("seed.json");
    std::fs::write(&seed, osis_tests::fixture::catalogue().to_string()).unwrap();
    let seeded = place
        .command(&["seed", seed.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(seeded.status.success(), "{seeded:?}");
    let file = Connection::open(place.path()).unwrap();
    file.execute_batch(
        "PRAGMA foreign_keys = OFF; DELETE FROM developers WHERE email = 'bob@example.org';
         UPDATE versions SET version_code = -1 WHERE version_code = 7;",
    )
    .unwrap();
    drop(file);
    let (status, found) = check(&place, &[]);
    assert_eq!(status, 1);
    let told = |part: &str| {
        let problems = found["problems"].as_array().unwrap().iter();
        problems
            .filter(|one| one["message"].as_str().unwrap().contains(part))
            .count()
    };
    assert_eq!(told("developer_id refers to"), 20, "{found}");
    assert_eq!(told("version_code"), 1, "{found}");
}

#[test]
fn a_damaged_page_is_named() {
    let place = Place::new(Kind::Sqlite);
    let seed = place.beside("seed.json");
    std::fs::write(&seed, osis_tests::fixture::catalogue().to_string()).unwrap();
    let seeded = place
        .command(&["seed", seed.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(seeded.status.success(), "{seeded:?}");
    let file = Connection::open(place.path()).unwrap();
    let number = |sql: &str| -> usize {
        let found: u32 = file.query_row(sql, [], |row| row.get(0)).unwrap();
        found.try_into().unwrap()
    };
    let index = "SELECT rootpage FROM sqlite_schema WHERE name = '_osis_apps$$unique$package_id'";
    let (page, size) = (number(index), number("PRAGMA page_size"));
    drop(file);
    let mut bytes = std::fs::read(place.path()).unwrap();
    bytes[page * size - size / 2..page * size].fill(0xff);
    std::fs::write(place.path(), bytes).unwrap();
    let output = place.command(&["check", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found = json_of(&output);
    let named = format!("{page}");
    let told = found["problems"].as_array().unwrap().iter().any(|one| {
        let message = one["message"].as_str().unwrap();
        message.contains(&named) && one["path"].as_str().unwrap().ends_with("osis.db")
    });
    assert!(told, "{found}");
}
