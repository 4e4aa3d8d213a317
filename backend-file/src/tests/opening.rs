//! Opening what people have had their hands on.

use std::path::Path;
use std::time::{Duration, Instant};

use osis_core::Backend as _;
use osis_core::backend::{Scan, Scope};
use osis_core::batch::{Batch, Commit, Op};
use osis_core::input::Draft;
use osis_core::query::{Filter, Sort};
use osis_core::schema::{Source, load};
use osis_core::value::Value;
use tempfile::TempDir;

use crate::{FileBackend, FileConfig};

const SCHEMA: &str = "
name = 'opening'
version = 1
[types.note]
plural = 'notes'
[types.note.fields]
name = { type = 'string', required = true }
";

pub(super) fn open(directory: &TempDir) -> FileBackend {
    try_open(FileConfig::new(directory.path())).unwrap()
}

fn try_open(config: FileConfig) -> osis_core::Result<FileBackend> {
    let schema = load(&[Source::new("opening.toml", SCHEMA)]).unwrap();
    FileBackend::open(config, Some(schema))
}

/// Makes a note.
pub(super) async fn make(backend: &FileBackend, name: &str) -> osis_core::Result<Commit> {
    let draft = Draft {
        id: None,
        values: vec![Some(Value::from(name))],
        links: Vec::new(),
    };
    let new = Op::New { type_id: 0, draft };
    backend.apply(vec![Batch::of(vec![new])]).await.remove(0)
}

/// The names of all notes, in order.
pub(super) async fn names(backend: &FileBackend) -> Vec<String> {
    let scan = Scan {
        type_id: 0,
        filter: Filter::EVERY,
        sort: Sort::default(),
        after: None,
        limit: 1000,
    };
    let mut snapshot = backend.snapshot(Scope::Consistent, None).await.unwrap();
    let rows = snapshot.scan(&scan).await.unwrap();
    let names = rows.iter().map(|row| row.values[0].as_str().unwrap());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    names
}

/// Copies a directory, which must not be there yet.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[tokio::test]
async fn a_schema_file_that_was_edited_is_put_back() {
    let directory = TempDir::new().unwrap();
    let backend = open(&directory);
    make(&backend, "a").await.unwrap();
    backend.close().await.unwrap();
    drop(backend);
    let path = directory.path().join("schema.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("opening", "edited")).unwrap();
    let backend = open(&directory);
    assert_eq!(backend.schema().name, "opening");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    backend.close().await.unwrap();
}

#[tokio::test]
async fn what_is_left_of_a_store_gets_no_new_id() {
    for has_log in [true, false] {
        let directory = TempDir::new().unwrap();
        let backend = open(&directory);
        make(&backend, "a").await.unwrap();
        backend.close().await.unwrap();
        drop(backend);
        let path = directory.path().join("store.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        if !has_log {
            std::fs::remove_dir_all(directory.path().join("log")).unwrap();
        }
        let refused = try_open(FileConfig::new(directory.path())).unwrap_err();
        let message = refused.message();
        let there = if has_log { "log/0000" } else { "notes/" };
        assert!(
            message.contains("store.toml is missing") && message.contains(there),
            "{message}"
        );
        assert!(!path.exists());
        std::fs::write(&path, text).unwrap();
        let backend = open(&directory);
        assert_eq!(names(&backend).await, ["a"]);
        backend.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_was_half_made_is_finished() {
    let directory = TempDir::new().unwrap();
    open(&directory).close().await.unwrap();
    std::fs::remove_file(directory.path().join("store.toml")).unwrap();
    let backend = open(&directory);
    make(&backend, "a").await.unwrap();
    assert_eq!(names(&backend).await, ["a"]);
    backend.close().await.unwrap();
}

#[tokio::test]
async fn two_copies_of_a_store_share_no_cache() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let open = |name: &str| {
        let cache = Some(at("cache"));
        try_open(FileConfig {
            cache,
            ..FileConfig::new(at(name))
        })
        .unwrap()
    };
    let first = open("first");
    make(&first, "a").await.unwrap();
    first.close().await.unwrap();
    drop(first);
    copy(&at("first"), &at("second"));
    for name in ["first", "second", "first", "second"] {
        let backend = open(name);
        make(&backend, &format!("{name}'s")).await.unwrap();
        backend.close().await.unwrap();
    }
    let caches = std::fs::read_dir(at("cache")).unwrap().count();
    assert_eq!(caches, 2);
    assert_eq!(names(&open("first")).await, ["a", "first's", "first's"]);
    assert_eq!(names(&open("second")).await, ["a", "second's", "second's"]);
}

#[tokio::test]
async fn a_store_that_was_moved_is_not_begun_anew() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let backend = try_open(FileConfig::new(at("old"))).unwrap();
    make(&backend, "a").await.unwrap();
    std::fs::rename(at("old"), at("new")).unwrap();
    let refused = make(&backend, "b").await.unwrap_err();
    assert!(refused.message().contains("was moved"), "{refused}");
    assert!(!at("old").exists());
    // Another store in its place is none of this process's either.
    let other = try_open(FileConfig::new(at("old"))).unwrap();
    let refused = make(&backend, "b").await.unwrap_err();
    assert!(refused.message().contains("another store"), "{refused}");
    backend.close().await.unwrap();
    drop(backend);
    assert_eq!(names(&other).await, [""; 0]);
    other.close().await.unwrap();
    drop(other);
    std::fs::remove_dir_all(at("old")).unwrap();
    let backend = try_open(FileConfig::new(at("new"))).unwrap();
    assert_eq!(names(&backend).await, ["a"]);
    // What the store writes meanwhile may come between.
    while at("new").exists() {
        let _ = std::fs::remove_dir_all(at("new"));
    }
    assert!(make(&backend, "b").await.is_err());
    backend.close().await.unwrap();
    drop(backend);
    assert!(!at("new").exists());
}

#[tokio::test]
async fn a_catalogue_of_another_history_is_not_used() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let open = |cache: &str| {
        let cache = Some(at(cache));
        try_open(FileConfig {
            cache,
            ..FileConfig::new(at("store"))
        })
        .unwrap()
    };
    let backend = open("mine");
    make(&backend, "a").await.unwrap();
    backend.close().await.unwrap();
    drop(backend);
    copy(&at("store"), &at("copy"));
    let backend = open("mine");
    make(&backend, "b").await.unwrap();
    backend.close().await.unwrap();
    drop(backend);
    // Put back, and used by another host: a commit of the same number.
    std::fs::remove_dir_all(at("store")).unwrap();
    copy(&at("copy"), &at("store"));
    let backend = open("theirs");
    make(&backend, "c").await.unwrap();
    backend.close().await.unwrap();
    drop(backend);
    let backend = open("mine");
    assert_eq!(names(&backend).await, ["a", "c"]);
    backend.close().await.unwrap();
    drop(backend);
    // The log has not got a delete of what was never there.
    let backend = open("theirs");
    let mut snapshot = backend.snapshot(Scope::Consistent, None).await.unwrap();
    assert_eq!(snapshot.seq().await.unwrap(), 2);
    backend.close().await.unwrap();
}

#[tokio::test]
async fn a_catalogue_of_the_same_history_is_used_again() {
    let directory = TempDir::new().unwrap();
    let mut built = String::new();
    for n in 0..3 {
        let backend = open(&directory);
        let lineage = backend.lineage();
        assert!(n == 0 || lineage == built, "it was built anew");
        built = lineage;
        make(&backend, "a").await.unwrap();
        backend.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_schema_file_that_was_removed_is_put_back() {
    let directory = TempDir::new().unwrap();
    let backend = open(&directory);
    make(&backend, "a").await.unwrap();
    backend.close().await.unwrap();
    drop(backend);
    let file = directory.path().join("schema.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let backend = open(&directory);
    assert_eq!(names(&backend).await, ["a"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    backend.close().await.unwrap();
}

#[tokio::test]
async fn a_broken_store_file_is_named_with_its_line() {
    let directory = TempDir::new().unwrap();
    open(&directory).close().await.unwrap();
    let file = directory.path().join("store.toml");
    std::fs::write(&file, "format = 1\nid = ]\n").unwrap();
    let error = try_open(FileConfig::new(directory.path())).unwrap_err();
    let message = error.message();
    assert!(message.contains("store.toml, line 2: "), "{message}");
    assert!(message.contains("put the file back"), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[tokio::test]
async fn a_store_that_was_moved_is_told_of_to_who_only_reads() {
    let folder = TempDir::new().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let backend = try_open(FileConfig::new(&here)).unwrap();
    make(&backend, "a").await.unwrap();
    backend.settle();
    std::fs::rename(&here, &there).unwrap();
    let begun = Instant::now();
    while !backend
        .problems()
        .iter()
        .any(|problem| problem.message.contains("moved or removed"))
    {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            backend.problems()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::rename(&there, &here).unwrap();
    while !backend.problems().is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(40),
            "{:?}",
            backend.problems()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    backend.close().await.unwrap();
}

#[tokio::test]
async fn a_catalogue_that_was_built_anew_is_kept() {
    let directory = TempDir::new().unwrap();
    let backend = open(&directory);
    make(&backend, "a").await.unwrap();
    backend.close().await.unwrap();
    drop(backend);
    std::fs::remove_dir_all(directory.path().join(".osis")).unwrap();
    let mut built = Vec::new();
    for _ in 0..2 {
        let backend = open(&directory);
        assert_eq!(names(&backend).await, ["a"]);
        built.push(backend.lineage());
        backend.close().await.unwrap();
    }
    assert_eq!(built[0], built[1], "it was built anew once more");
}

#[tokio::test]
async fn files_whose_names_are_no_ids_are_told() {
    let directory = TempDir::new().unwrap();
    let at = |rel: &str| directory.path().join(rel);
    let backend = open(&directory);
    make(&backend, "a").await.unwrap();
    backend.close().await.unwrap();
    drop(backend);
    let text = "name = \"by hand\"\n";
    std::fs::create_dir_all(at("notes/ab")).unwrap();
    for rel in [
        "notes/My note.otoml",
        "notes/ab/NOTE-AB.otoml",
        "notes/ab/ab.otoml",
    ] {
        std::fs::write(at(rel), text).unwrap();
    }
    for rel in [
        "notes/.mine.otoml",
        "notes/ab/note-ab.otoml~",
        "notes/ab/4913",
        "notes/README",
    ] {
        std::fs::write(at(rel), text).unwrap();
    }
    let backend = open(&directory);
    assert!(backend.take_in(Duration::from_secs(20)));
    let told = |backend: &FileBackend| -> Vec<String> {
        let problems = backend.problems().into_iter();
        let told = problems.filter(|problem| problem.message.starts_with("is not read: "));
        told.map(|problem| problem.path).collect()
    };
    let wanted = [
        "notes/My note.otoml",
        "notes/ab/NOTE-AB.otoml",
        "notes/ab/ab.otoml",
    ];
    assert_eq!(told(&backend), wanted);
    std::fs::rename(at("notes/ab/NOTE-AB.otoml"), at("notes/ab/note-ab.otoml")).unwrap();
    for rel in ["notes/My note.otoml", "notes/ab/ab.otoml"] {
        std::fs::remove_file(at(rel)).unwrap();
    }
    let until = Instant::now() + Duration::from_secs(20);
    while !backend.problems().is_empty() || names(&backend).await != ["a", "by hand"] {
        assert!(Instant::now() < until, "{:?}", backend.problems());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    backend.close().await.unwrap();
}
