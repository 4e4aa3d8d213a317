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
use osis_tests::postgres::{Cluster, is_there};
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

/// A store with the catalogue.
fn seeded(kind: Kind) -> Place {
    let place = Place::new(kind);
    let seed = place.beside("seed.json");
    std::fs::write(&seed, osis_tests::fixture::catalogue().to_string()).unwrap();
    let seeded = place
        .command(&["seed", seed.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(seeded.status.success(), "{seeded:?}");
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
    for kind in Kind::all("a check of a store on PostgreSQL") {
        let place = seeded(kind);
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
fn what_cannot_be_read_stops_a_migration_unless_it_is_left_out() {
    let from = store();
    let server = from.serve();
    let event = json!({ "app_id": "a", "kind": "k", "occurred_at": "2026-11-01T10:00:00Z" });
    server.call("event_ingest", &json!({ "items": [event] }));
    assert!(server.terminate().success());
    let events = walkdir::WalkDir::new(from.path().join("events"));
    let mut files = events.into_iter().map(Result::unwrap);
    let day = files.find(|file| file.file_type().is_file()).unwrap();
    let day = day.into_path();
    let good = std::fs::read_to_string(&day).unwrap();
    let lines = good.lines().count();
    // A block among others, and a file of which the last good version is served.
    std::fs::write(
        &day,
        format!("{good}\n[[event]]\napp_id = 7\nkind = \"x\"\n"),
    )
    .unwrap();
    write(
        &from,
        "developers",
        "ada-1",
        "email = \"no email\"\nname = \"N\"\n",
    );
    let (to, url) = (Place::new(Kind::Sqlite), from.url());
    let migrate = |more: &[&str]| {
        let to = to.url();
        let mut command = command(["migrate", "--json", "--from", &url, "--to", &to]);
        command.args(more).output().unwrap()
    };
    let refused = migrate(&[]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(!to.path().exists());
    let name = day.file_name().unwrap().to_str().unwrap();
    for part in [
        format!("{name}:{}: ", lines + 2),
        "ada-1.otoml:6: ".to_owned(),
    ] {
        assert!(told.contains(&part), "{part}\n{told}");
    }
    let report = json_of(&migrate(&["--skip-unreadable"]));
    assert_eq!(report["types"]["event"]["count"], 1);
    assert_eq!(report["types"]["developer"]["count"], 1);
}

#[test]
fn what_others_did_to_a_database_is_named() {
    let place = seeded(Kind::Sqlite);
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
    let place = seeded(Kind::Sqlite);
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

/// Damages a fresh PostgreSQL store by hand, and takes all that is told of it.
fn told_of(damage: &str) -> Vec<String> {
    let place = seeded(Kind::Postgres);
    Cluster::shared().sql_in(&place.url(), damage);
    let (status, found) = check(&place, &[]);
    assert_eq!(status, 1, "{damage} was not seen");
    let problems = found["problems"].as_array().unwrap().iter();
    problems
        .map(|one| one["message"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_others_did_to_a_database_on_a_server_is_named() {
    if !is_there("what_others_did_to_a_database_on_a_server_is_named") {
        return;
    }
    for (damage, wanted, times) in [
        (
            "SET session_replication_role = replica;
             DELETE FROM developers WHERE email = 'bob@example.org'",
            "developer_id refers to",
            20,
        ),
        (
            "UPDATE versions SET version_code = -1 WHERE version_code = 7",
            "version_code",
            1,
        ),
        (
            "DROP INDEX \"_osis_apps$$unique$package_id\";
             UPDATE apps SET package_id = (SELECT min(package_id) FROM apps)
             WHERE package_id = (SELECT max(package_id) FROM apps)",
            "has the same package_id as",
            1,
        ),
        (
            "DROP INDEX \"_osis_apps$$unique$package_id\"",
            "apps has no _osis_apps$$unique$package_id",
            1,
        ),
        (
            "ALTER TABLE apps DROP CONSTRAINT \"_osis_apps$$ref$developer_id\"",
            "apps has no _osis_apps$$ref$developer_id",
            1,
        ),
        (
            "DROP INDEX \"_osis_apps$$text\"",
            "apps has no _osis_apps$$text",
            1,
        ),
        ("DROP TABLE memos", "damaged: relation", 1),
        (
            "UPDATE apps SET _words = NULL WHERE id = (SELECT min(id) FROM apps)",
            "is not found by its words",
            1,
        ),
        (
            "UPDATE apps SET _slots = '{1, 2, 3}' WHERE id = (SELECT min(id) FROM apps)",
            "is not found by its words",
            1,
        ),
        (
            "UPDATE apps SET name = 'Other' WHERE id = (SELECT min(id) FROM apps)",
            "is not found by its words",
            1,
        ),
        (
            "UPDATE _osis_terms SET n = n + 1 WHERE type = 'app' AND word = 'many'",
            "counts 1 words of apps wrongly, the first is \"many\"",
            1,
        ),
        (
            "DELETE FROM _osis_terms WHERE type = 'app' AND word = 'many'",
            "counts 1 words of apps wrongly, the first is \"many\"",
            1,
        ),
        (
            "INSERT INTO _osis_terms VALUES ('app', 'nowhere', 1)",
            "counts 1 words of apps wrongly, the first is \"nowhere\"",
            1,
        ),
        (
            "UPDATE _osis_text_lengths SET n = n - 1 WHERE type = 'app' AND place = 0",
            "other lengths of the texts of apps",
            1,
        ),
        (
            "UPDATE _osis_meta SET seq = 0",
            "the feed has a record of commit 1, and goes from 0 to 0",
            1,
        ),
        (
            "UPDATE _osis_meta SET oldest = 5",
            "the feed begins at 5, and the last commit is 1",
            1,
        ),
        (
            "UPDATE memos SET rev = 7 WHERE id = (SELECT min(id) FROM memos)",
            "has rev 7, and the feed's last word on it is new at rev 1",
            1,
        ),
        (
            "DELETE FROM memos WHERE id = (SELECT min(id) FROM memos)",
            "is not there, and the feed's last word on it is new at rev 1",
            1,
        ),
        (
            "UPDATE pg_index SET indisready = false WHERE indexrelid = 'memos_pkey'::regclass;
             INSERT INTO memos SELECT 'memo-unseen', rev, created_at, updated_at, body
             FROM memos LIMIT 1;
             UPDATE pg_index SET indisready = true WHERE indexrelid = 'memos_pkey'::regclass",
            "rows, and its index of ids has",
            1,
        ),
    ] {
        let told = told_of(damage);
        let named = told.iter().filter(|message| message.contains(wanted));
        assert!(named.count() >= times, "{damage}: {told:#?}");
    }
}

/// A page of an index that the disk has lost does not keep the rest from being looked at.
#[test]
fn a_damaged_page_on_a_server_is_named() {
    if !is_there("a_damaged_page_on_a_server_is_named") {
        return;
    }
    let cluster = Cluster::own();
    let place = Place::on_cluster(&cluster);
    let server = place.serve();
    for n in 0..3 {
        let memos: Value = (0..300)
            .map(|m| json!({ "id": format!("memo-{n}-{m}"), "body": "a" }))
            .collect();
        server.call("osis_seed", &json!({ "objects": { "memo": memos } }));
    }
    assert!(server.terminate().success());
    assert_eq!(check(&place, &[]).0, 0);
    let find = "CHECKPOINT; SELECT pg_relation_filepath('TABLE')";
    let file = |table: &str| {
        let found = cluster.sql_in(&place.url(), &find.replace("TABLE", table));
        cluster.folder().join("data").join(found)
    };
    let (index, table) = (file("memos_pkey"), file("_osis_changes"));
    cluster.kill();
    for file in [index, table] {
        let mut bytes = std::fs::read(&file).unwrap();
        // The second page of some.
        bytes[8192..16384].fill(0xff);
        std::fs::write(&file, bytes).unwrap();
    }
    cluster.start();
    let (status, found) = check(&place, &[]);
    assert_eq!(status, 1);
    let problems = found["problems"].as_array().unwrap();
    let messages = problems.iter().map(|one| one["message"].as_str().unwrap());
    let named: BTreeSet<&str> = messages
        .filter_map(|message| message.split_once("invalid page in block 1 of relation "))
        .map(|(_, file)| file)
        .collect();
    assert_eq!(named.len(), 2, "{found}");
}
