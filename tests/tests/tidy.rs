//! House rules that can be tested: who may import whom, and documents that tell the truth.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Table;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn table(path: impl AsRef<Path>) -> Table {
    read(path).parse().unwrap()
}

/// The folders of the workspace's crates.
fn members() -> Vec<String> {
    let workspace = table("Cargo.toml");
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| member.as_str().unwrap().to_owned())
        .collect()
}

/// The names of what a crate depends on, for its tests too if asked.
fn dependencies(member: &str, kinds: &[&str]) -> BTreeSet<String> {
    let manifest = table(format!("{member}/Cargo.toml"));
    let tables = kinds
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

const ALL_KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Every Rust file of the workspace.
fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && name != "node_modules" && !name.starts_with('.')
            {
                walk(&path, found);
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    members()
        .iter()
        .for_each(|member| walk(&root().join(member), &mut found));
    found
}

#[test]
fn imports_point_one_way() {
    let is_backend = |name: &str| name.starts_with("osis-backend-");
    for member in members() {
        let own = dependencies(&member, &ALL_KINDS).into_iter();
        let own: Vec<String> = own.filter(|name| name.starts_with("osis-")).collect();
        let allowed = |name: &str| match member.as_str() {
            "osis-core" | "host" => false,
            "sql" | "rpc" | "migrate" => name == "osis-core",
            "fuzz" => matches!(name, "osis-core" | "osis-migrate"),
            "cli" => matches!(name, "osis-core" | "osis-rpc" | "osis-migrate") || is_backend(name),
            "tests" => true,
            backend if backend.starts_with("backend-") => {
                matches!(name, "osis-core" | "osis-host" | "osis-sql")
            }
            // A benchmark measures whatever there is.
            "benches" => true,
            other => panic!("{other} is a new crate: say here what it may import"),
        };
        let wrong: Vec<&String> = own.iter().filter(|name| !allowed(name)).collect();
        assert!(wrong.is_empty(), "{member} must not import {wrong:?}");
    }
}

#[test]
fn only_who_must_knows_databases_and_networks() {
    let rules: [(&[&str], &[&str]); 2] = [
        (
            &["rusqlite", "libsqlite3-sys", "tantivy", "tokio-postgres"],
            &["backend-sqlite", "backend-file", "backend-postgres"],
        ),
        (
            &[
                "axum",
                "hyper",
                "hyper-util",
                "tower-http",
                "jsonrpsee",
                "tokio-tungstenite",
            ],
            &["rpc", "cli"],
        ),
    ];
    for member in members()
        .iter()
        .filter(|member| !matches!(member.as_str(), "tests" | "benches"))
    {
        let own = dependencies(member, &["dependencies", "build-dependencies"]);
        for (crates, knowing) in rules {
            let known: Vec<&&str> = crates.iter().filter(|name| own.contains(**name)).collect();
            assert!(
                known.is_empty() || knowing.contains(&member.as_str()),
                "{member} knows {known:?}"
            );
        }
    }
}

#[test]
fn versions_stand_in_the_root_alone() {
    for member in members() {
        let manifest = table(format!("{member}/Cargo.toml"));
        for kind in ALL_KINDS {
            for (name, dependency) in manifest
                .get(kind)
                .and_then(|kind| kind.as_table())
                .into_iter()
                .flatten()
            {
                let shared = dependency.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(
                    shared,
                    Some(true),
                    "{member}: {name} has a version of its own"
                );
            }
        }
    }
}

#[test]
fn the_architecture_names_every_crate_and_no_other() {
    let text = read("ARCHITECTURE.md");
    let map = text
        .split("## Code map")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let rows = map.lines().filter(|line| line.starts_with("| `"));
    let told: BTreeMap<String, String> = rows
        .map(|row| {
            let mut cells = row
                .split('|')
                .skip(1)
                .map(|cell| cell.trim().trim_matches('`').to_owned());
            (
                cells.next().unwrap(),
                cells.next().unwrap().trim_end_matches('/').to_owned(),
            )
        })
        .collect();
    let name = |member: &String| {
        let manifest = table(format!("{member}/Cargo.toml"));
        manifest["package"]["name"].as_str().unwrap().to_owned()
    };
    let there: BTreeMap<String, String> = members()
        .into_iter()
        .map(|member| (name(&member), member))
        .collect();
    assert_eq!(told, there);
}

/// The texts between backticks, with what stands between each and the next.
fn quoted(text: &str) -> Vec<(String, String)> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts: Vec<&str> = text.split('`').collect();
    let odd = parts.chunks_exact(2).map(|pair| pair[1].to_owned());
    let even = parts
        .iter()
        .skip(2)
        .step_by(2)
        .map(|between| (*between).to_owned());
    odd.zip(even).collect()
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let text = read("ARCHITECTURE.md");
    let invariants = text.split("## Invariants").nth(1).unwrap();
    let starts = |line: &&str| line.chars().next().is_some_and(|c| c.is_ascii_digit());
    let numbered = invariants.lines().filter(starts).count();
    assert!(numbered > 3, "there are {numbered} invariants");
    let quoted = quoted(invariants);
    let named = quoted
        .windows(2)
        .filter(|pair| pair[0].0.ends_with(".rs") && pair[0].1 == ": ");
    let named: Vec<(String, String)> = named
        .map(|pair| (pair[0].0.clone(), pair[1].0.clone()))
        .collect();
    assert!(
        named.len() >= numbered,
        "{numbered} invariants name {} tests",
        named.len()
    );
    for (file, test) in named {
        let found = read(&file).contains(&format!("fn {test}("));
        assert!(
            found,
            "ARCHITECTURE.md names {test} in {file}, which has no such test"
        );
    }
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "these do not open with //!: {silent:#?}");
}

#[test]
fn every_area_of_the_suite_is_run() {
    let folder = root().join("tests/src/conformance");
    let areas = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let declared = read("tests/src/conformance/mod.rs");
    for area in areas.filter(|path| !path.ends_with("mod.rs")) {
        let name = area.file_stem().unwrap().to_str().unwrap().to_owned();
        let listed = declared
            .lines()
            .any(|line| line.trim() == format!("{name} each_{name},"));
        assert!(
            listed,
            "the area {name} is not in areas!, so its cases never run"
        );
    }
    // Every engine runs it, here and through the wire.
    for member in members()
        .iter()
        .filter_map(|member| member.strip_prefix("backend-"))
    {
        for file in [format!("{member}.rs"), format!("rpc_{member}.rs")] {
            assert!(
                read(format!("tests/tests/{file}")).contains("osis_tests::conformance!("),
                "{file}"
            );
        }
    }
}
