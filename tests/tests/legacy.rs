//! `osis migrate --from osis-legacy:DIR`: real directories that the original OSIS wrote, one of them
//! while two of its processes raced.
//!
//! What arrives is held against what an independent reader finds: `NAME.expected.json`, which a
//! script in another language made of the same files, and, field by field, the files themselves as
//! a plain TOML parser reads them.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::UNIX_EPOCH;

use osis_core::Time;
use osis_tests::binary::command;
use osis_tests::places::{Kind, Place};
use serde_json::{Value, json};
use tempfile::TempDir;
use toml::Table;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/legacy");
const TYPES: [&str; 4] = ["developer", "app", "version", "event"];

/// An old directory, unpacked.
struct Old {
    name: &'static str,
    folder: TempDir,
}

impl Old {
    fn unpack(name: &'static str) -> Self {
        let folder = TempDir::new().unwrap();
        let mut tar = Command::new("tar");
        tar.args(["-xzf", &format!("{FIXTURES}/{name}.tar.gz"), "-C"]);
        assert!(tar.arg(folder.path()).status().unwrap().success());
        Self { name, folder }
    }

    fn directory(&self) -> PathBuf {
        let directory = self.folder.path().join(self.name);
        // The oldest releases had a base and a collection above the types.
        match self.name {
            "named" => directory.join("appstore"),
            _ => directory,
        }
    }

    fn expected(&self) -> Value {
        let file = format!("{FIXTURES}/{}.expected.json", self.name);
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    }

    fn migrate(&self, to: &Place, more: &[&str]) -> Output {
        let from = format!("osis-legacy:{}", self.directory().display());
        let mut command = command(["migrate", "--json", "--from", &from, "--to", &to.url()]);
        command.args(more).output().unwrap()
    }

    /// The objects of a type, by SID, as a plain TOML parser reads them, with their files.
    fn objects(&self, ty: &str) -> BTreeMap<String, (Table, PathBuf)> {
        let files = std::fs::read_dir(self.directory().join(ty)).unwrap();
        let objects = files.map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let table: Table = text.strip_prefix("O:\n").unwrap().parse().unwrap();
            (sid(&table["sid"]), (table, path))
        });
        objects.collect()
    }
}

fn sid(value: &toml::Value) -> String {
    let Some(table) = value.as_table() else {
        return value.as_str().unwrap().to_owned();
    };
    let mut number = table["global_id"].as_integer().unwrap();
    let mut text = String::new();
    while number > 0 {
        let digit = u32::try_from(number % 36).unwrap();
        text.insert(0, char::from_digit(digit, 36).unwrap());
        number /= 36;
    }
    let length = usize::try_from(table["length"].as_integer().unwrap()).unwrap();
    format!("{text:0>length$}")
}

fn done(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    told
}

/// The objects of a type in a store, by id.
fn stored(place: &Place, ty: &str) -> BTreeMap<String, Value> {
    let mut export = command(["export", "--store", &place.url(), "--type", ty]);
    let output = export.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let objects = text.lines().filter_map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        // Behind the objects of a log type come its roll-ups.
        let object = line.get_mut("object")?.take();
        Some((object["id"].as_str().unwrap().to_owned(), object))
    });
    objects.collect()
}

fn counts(report: &Value) -> Value {
    let count = |ty: &&str| ((*ty).to_owned(), report["types"][*ty]["count"].clone());
    Value::Object(TYPES.iter().map(count).collect())
}

/// What an old value is in the new store.
fn now(field: &str, value: &toml::Value) -> Value {
    match (field, value) {
        ("app_id" | "developer_id", value) => json!(sid(value)),
        ("occurred_at" | "published_at", value) => {
            let text = value.as_str().unwrap();
            json!(format!("{}.000Z", text.replace(' ', "T")))
        }
        (_, value) => serde_json::to_value(value).unwrap(),
    }
}

fn time(seconds: i64) -> Value {
    json!(Time::from_millis(seconds * 1000).unwrap().to_string())
}

/// What an object is to be, but for its id.
fn expected(old: &Table, path: &Path) -> Value {
    let mut object = json!({ "rev": 1 });
    for (field, value) in old.iter().filter(|(field, _)| *field != "sid") {
        object[field] = now(field, value);
    }
    let written = path.metadata().unwrap().modified().unwrap();
    let written = written.duration_since(UNIX_EPOCH).unwrap().as_secs();
    // An object cannot have been changed before it was made.
    let mut least = 0;
    for field in ["created_at", "updated_at"] {
        let seconds = match old[field].as_integer().unwrap() {
            0 => i64::try_from(written).unwrap(),
            seconds => seconds,
        };
        least = least.max(seconds);
        object[field] = time(least);
    }
    object
}

/// Every object has arrived with every field.
fn assert_whole(old: &Old, to: &Place) {
    for ty in TYPES {
        let mut stored = stored(to, ty);
        let objects = old.objects(ty);
        assert_eq!(objects.len(), stored.len(), "{ty}");
        let mut events: Vec<Value> = Vec::new();
        for (sid, (table, path)) in &objects {
            let mut wanted = expected(table, path);
            if ty == "event" {
                events.push(wanted);
                continue;
            }
            wanted["id"] = json!(sid);
            assert_eq!(stored.remove(sid), Some(wanted), "{ty} {sid}");
        }
        if ty == "event" {
            assert_events(&events, stored);
        }
    }
}

/// Events get ids of their own, which carry their time.
fn assert_events(wanted: &[Value], stored: BTreeMap<String, Value>) {
    let mut found = Vec::new();
    for (id, mut object) in stored {
        let at = osis_core::Id::parse(&id).unwrap().uuid_v7_time().unwrap();
        assert_eq!(object["occurred_at"], json!(at.to_string()));
        object.as_object_mut().unwrap().remove("id");
        found.push(object.to_string());
    }
    let mut wanted: Vec<String> = wanted.iter().map(Value::to_string).collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

#[test]
fn clean_directories_arrive_whole() {
    for name in ["clean", "named"] {
        let old = Old::unpack(name);
        for kind in [Kind::Sqlite, Kind::File] {
            let to = Place::new(kind);
            let report = done(&old.migrate(&to, &[]));
            assert_eq!(counts(&report), old.expected()["counts"], "{name}");
            assert_eq!(report["dropped"], json!([]));
            assert_whole(&old, &to);
        }
    }
}

#[test]
fn the_same_directory_gives_the_same_content_at_each_run() {
    let old = Old::unpack("clean");
    let (one, two) = (Place::new(Kind::Sqlite), Place::new(Kind::File));
    let first = done(&old.migrate(&one, &[]));
    assert_eq!(done(&old.migrate(&two, &[])), first);
}

#[test]
fn duplicates_are_listed_and_nothing_is_made() {
    let old = Old::unpack("raced");
    let to = Place::new(Kind::Sqlite);
    let told = refused(&old.migrate(&to, &[]));
    assert!(!to.path().exists());
    let expected = old.expected();
    let mut groups = 0;
    for ty in TYPES {
        for duplicate in expected["duplicates"][ty].as_array().into_iter().flatten() {
            let ids: Vec<&str> = duplicate["ids"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            let line = format!("{ty}: {} have the same", ids.join(", "));
            assert!(told.contains(&line), "{line}\n{told}");
            groups += 1;
        }
    }
    assert_eq!(told.matches("have the same").count(), groups);
}

#[test]
fn a_raced_directory_ends_without_duplicates_and_with_valid_references() {
    let old = Old::unpack("raced");
    for policy in ["keep-oldest", "keep-newest"] {
        let to = Place::new(Kind::Sqlite);
        let report = done(&old.migrate(&to, &["--dedup", policy]));
        let expected = &old.expected()[policy];
        assert_eq!(counts(&report)["version"], expected["counts"]["version"]);
        let told = |dropped: &Value| -> BTreeSet<(String, String, String)> {
            let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
            let dropped = dropped.as_array().unwrap().iter();
            dropped
                .map(|one| (text(one, "type"), text(one, "id"), text(one, "kept")))
                .collect()
        };
        assert_eq!(
            told(&report["dropped"]),
            told(&expected["dropped"]),
            "{policy}"
        );
        let instead: BTreeMap<(String, String), String> = told(&report["dropped"])
            .into_iter()
            .map(|(ty, id, kept)| ((ty, id), kept))
            .collect();
        assert_merged(&old, &to, &instead);
    }
}

/// What is left has all its fields, and refers to what is left.
fn assert_merged(old: &Old, to: &Place, instead: &BTreeMap<(String, String), String>) {
    let all: BTreeMap<&str, BTreeMap<String, Value>> =
        TYPES.iter().map(|ty| (*ty, stored(to, ty))).collect();
    for (ty, field, target) in [
        ("app", "developer_id", "developer"),
        ("version", "app_id", "app"),
    ] {
        for (sid, (table, path)) in old.objects(ty) {
            if instead.contains_key(&(ty.to_owned(), sid.clone())) {
                assert!(!all[ty].contains_key(&sid), "{ty} {sid} was dropped");
                continue;
            }
            let mut wanted = expected(&table, &path);
            let held = wanted[field].as_str().unwrap().to_owned();
            if let Some(kept) = instead.get(&(target.to_owned(), held)) {
                wanted[field] = json!(kept);
            }
            assert!(all[target].contains_key(wanted[field].as_str().unwrap()));
            wanted["id"] = json!(sid);
            assert_eq!(all[ty].get(&sid), Some(&wanted), "{ty} {sid}");
        }
    }
}

#[test]
fn a_map_renames_and_drops() {
    let old = Old::unpack("clean");
    let directory = old.directory();
    std::fs::rename(directory.join("developer"), directory.join("users")).unwrap();
    let file = directory.join("app/000f.otoml");
    let file = if file.exists() {
        file
    } else {
        first(&directory.join("app"))
    };
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replacen("name = ", "title = ", 1) + "zeal = 7\n";
    std::fs::write(&file, text).unwrap();
    let to = Place::new(Kind::Sqlite);
    let told = refused(&old.migrate(&to, &["--dedup", "keep-oldest"]));
    for part in [
        "users: the schema has no type",
        "app.title: app has no field",
        "--map",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let map = old.folder.path().join("map.toml");
    let renames = "[types.users]\nto = \"developer\"\n[types.app.fields]\ntitle = \"name\"\nzeal = false\n\
                   [types.event]\nto = false\n";
    std::fs::write(&map, renames).unwrap();
    let report = done(&old.migrate(&to, &["--map", map.to_str().unwrap()]));
    let counts = counts(&report);
    assert_eq!(
        (&counts["developer"], &counts["event"]),
        (&json!(40), &json!(0))
    );
    std::fs::write(&map, "[types.users]\nto = 7\n").unwrap();
    let told = refused(&old.migrate(&Place::new(Kind::Sqlite), &["--map", map.to_str().unwrap()]));
    assert!(told.contains("types.users"), "{told}");
}

fn first(folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.swap_remove(0)
}

#[test]
fn files_that_cannot_be_read_are_named_and_left_out_if_asked() {
    let old = Old::unpack("clean");
    let directory = old.directory();
    // What its writer leaves: empty files, torn ones, and texts that nobody can read back.
    for (name, text, told) in [
        ("zz01", "", "zz01.otoml: is empty"),
        (
            "zz02",
            "O:\nkind = \"install\"\nmessage = \"\"\"torn\noff",
            "zz02.otoml:4: is no OTOML",
        ),
        ("zz03", "O:\nkind = \"install\"\n", "zz03.otoml: has no sid"),
        (
            "zz04",
            "O:\nkind = 7\napp_id = \"a\"\nsid = { global_id = 1, length = 4 }\n",
            "zz04.otoml:2: event.kind: expected",
        ),
    ] {
        std::fs::write(directory.join(format!("event/{name}.otoml")), text).unwrap();
        let to = Place::new(Kind::Sqlite);
        let output = refused(&old.migrate(&to, &[]));
        assert!(output.contains(told), "{told}\n{output}");
        assert!(output.contains("--skip-unreadable"), "{output}");
        assert!(!to.path().exists());
    }
    // One that the original could not read either, but whose meaning is clear.
    let text = "O:\napp_id = \"a.b\"\nkind = \"crash\"\nmessage = \"\"\"at C:\\dir\nline 2\"\"\"\n\
                occurred_at = \"2026-01-02 03:04:05\"\nsid = { global_id = 1679000, length = 4 }\n";
    let id = sid(&"v = { global_id = 1679000, length = 4 }"
        .parse::<Table>()
        .unwrap()["v"]);
    std::fs::write(directory.join(format!("event/{id}.otoml")), text).unwrap();
    let to = Place::new(Kind::Sqlite);
    let output = old.migrate(&to, &["--skip-unreadable"]);
    let report = done(&output);
    assert_eq!(counts(&report)["event"], 101);
    assert_eq!(
        String::from_utf8_lossy(&output.stderr)
            .matches("left out: ")
            .count(),
        4
    );
    let read = stored(&to, "event").into_values().any(|event| {
        event["message"] == "at C:\\dir\nline 2"
            && event["occurred_at"] == "2026-01-02T03:04:05.000Z"
    });
    assert!(read, "the text with a backslash");
}

#[test]
fn references_to_nothing_are_found_before_anything_is_written() {
    let old = Old::unpack("clean");
    let directory = old.directory();
    let gone = first(&directory.join("developer"));
    std::fs::remove_file(&gone).unwrap();
    let to = Place::new(Kind::Sqlite);
    let told = refused(&old.migrate(&to, &[]));
    let id = gone.file_stem().unwrap().to_str().unwrap().to_owned();
    let line = format!("developer_id refers to developer {id}, which does not exist");
    assert!(told.contains(&line), "{told}");
    assert!(!to.path().exists());
}
