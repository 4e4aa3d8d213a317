//! A large directory of the original OSIS in which one object of a hundred is there twice, migrated
//! with either policy, and held against what a plain reading of the rules gives.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use osis_tests::binary::command;
use osis_tests::dice::{Dice, number};
use osis_tests::places::{Kind, Place};
use serde_json::{Value, json};

/// How many developers, apps and versions there are.
const MANY: [usize; 3] = [400, 1200, 3000];
const TYPES: [&str; 3] = ["developer", "app", "version"];
/// Which field of a type refers to the type before.
const REFS: [&str; 3] = ["", "developer_id", "app_id"];

type Objects = BTreeMap<String, Value>;

/// What there is of each type, by id, with `made` in seconds.
fn objects(dice: &mut Dice) -> [Objects; 3] {
    let mut all = [Objects::new(), Objects::new(), Objects::new()];
    for (at, many) in MANY.into_iter().enumerate() {
        for n in 0..many {
            // One of a hundred has the key of another.
            let key = match dice.roll(100) {
                0 => dice.roll(many),
                _ => n,
            };
            let above = match at {
                0 => String::new(),
                _ => format!("{:04}", 1 + 3 * (key % MANY[at - 1]) + at - 1),
            };
            // Few different seconds, so that ids decide often.
            let made = 1_700_000_000 + dice.roll(50);
            let object = match at {
                0 if n % 2 == 0 => json!({ "email": format!("d{key}@Example.org") }),
                0 => json!({ "email": format!("d{key}@example.ORG") }),
                1 => json!({ "developer_id": above, "package_id": format!("org.x.a{key}") }),
                // Versions of two apps clash when the apps become one.
                _ => json!({ "app_id": above, "version_code": key / MANY[1] }),
            };
            let mut object = object;
            object["name"] = json!(format!("{} {n}", TYPES[at]));
            object["made"] = json!(made);
            all[at].insert(format!("{:04}", 1 + 3 * n + at), object);
        }
    }
    all
}

/// Writes them as the original does.
fn write(folder: &Path, all: &[Objects; 3]) {
    for (at, objects) in all.iter().enumerate() {
        let folder = folder.join(TYPES[at]);
        std::fs::create_dir_all(&folder).unwrap();
        for (id, object) in objects {
            let number = u64::from_str_radix(id, 36).unwrap();
            let mut text = format!(
                "O:\ncreated_at = {0}\nsid = {{ global_id = {number}, length = 4 }}\nupdated_at = {0}\n",
                object["made"]
            );
            for (field, value) in object.as_object().unwrap() {
                match (at, field.as_str()) {
                    (_, "made") => {}
                    (2, "name") => {
                        let more = "package_size = 1\npackage_url = \"u\"\nsignature = \"s\"\n";
                        let _ = write!(text, "version_name = {value}\n{more}");
                    }
                    _ => {
                        let _ = writeln!(text, "{field} = {value}");
                    }
                }
            }
            std::fs::write(folder.join(format!("{id}.otoml")), text).unwrap();
        }
    }
}

fn key(at: usize, object: &Value) -> String {
    match at {
        0 => object["email"].as_str().unwrap().to_lowercase(),
        1 => object["package_id"].to_string(),
        _ => format!("{} {}", object["app_id"], object["version_code"]),
    }
}

/// What is left, and what was dropped for what: by the rules, as one would do it by hand. Keys of a
/// type change only by what is dropped of the type before, so one pass does.
fn merged(all: &[Objects; 3], keeps_oldest: bool) -> ([Objects; 3], BTreeSet<[String; 3]>) {
    let mut left = all.clone();
    let mut dropped = BTreeSet::new();
    for at in 0..3 {
        let mut groups: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
        for (id, object) in &left[at] {
            let made = object["made"].as_u64().unwrap();
            groups
                .entry(key(at, object))
                .or_default()
                .push((made, id.clone()));
        }
        for mut group in groups.into_values() {
            group.sort();
            let (_, kept) = match keeps_oldest {
                true => group.remove(0),
                false => group.pop().unwrap(),
            };
            for (_, id) in group {
                left[at].remove(&id);
                if at < 2 {
                    let refer = left[at + 1].values_mut();
                    for object in refer.filter(|object| object[REFS[at + 1]] == json!(id)) {
                        object[REFS[at + 1]] = json!(kept);
                    }
                }
                dropped.insert([TYPES[at].to_owned(), id, kept.clone()]);
            }
        }
    }
    (left, dropped)
}

/// The objects of a type in a store, as far as the directory says what they are.
fn stored(place: &Place, at: usize) -> Objects {
    let mut export = command(["export", "--store", &place.url(), "--type", TYPES[at]]);
    let output = export.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let objects = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let object = &line["object"];
        let mut found = json!({ "name": object["name"] });
        for field in [
            "email",
            "developer_id",
            "package_id",
            "app_id",
            "version_code",
        ] {
            if let Some(value) = object.get(field) {
                found[field] = value.clone();
            }
        }
        if at == 2 {
            found["name"] = object["version_name"].clone();
        }
        let made: osis_core::Time =
            osis_core::Time::parse(object["created_at"].as_str().unwrap()).unwrap();
        found["made"] = json!(made.as_millis() / 1000);
        (object["id"].as_str().unwrap().to_owned(), found)
    });
    objects.collect()
}

#[test]
fn a_large_directory_with_duplicates_ends_clean() {
    let seed = number("OSIS_DUPLICATES_SEED").unwrap_or(1);
    let all = objects(&mut Dice::new(seed));
    let from = Place::new(Kind::Sqlite);
    let folder = from.beside("old");
    write(&folder, &all);
    let from = format!("osis-legacy:{}", folder.display());
    for (policy, kind) in [("keep-oldest", Kind::File), ("keep-newest", Kind::Sqlite)] {
        let to = Place::new(kind);
        let url = to.url();
        let mut migrate = command(["migrate", "--json", "--from", &from, "--to", &url]);
        let output = migrate.args(["--dedup", policy]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (left, dropped) = merged(&all, policy == "keep-oldest");
        // A version that only clashes once its app is another's is among them.
        assert!(
            dropped.len() > 60,
            "too few are there twice: {}",
            dropped.len()
        );
        let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
        let told: BTreeSet<[String; 3]> = report["dropped"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| [text(one, "type"), text(one, "id"), text(one, "kept")])
            .collect();
        assert_eq!(told, dropped, "{policy}, OSIS_DUPLICATES_SEED={seed}");
        for at in 0..3 {
            let stored = stored(&to, at);
            assert_eq!(stored.len(), left[at].len(), "{policy} {}", TYPES[at]);
            for (id, object) in &left[at] {
                assert_eq!(stored.get(id), Some(object), "{policy} {} {id}", TYPES[at]);
            }
        }
        let check = command(["check", "--json", "--store", &url])
            .output()
            .unwrap();
        assert_eq!(
            check.stdout.trim_ascii(),
            br#"{"problems":[]}"#,
            "every reference is valid"
        );
    }
}
