//! Who may read the store's files, and files that the store may not read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osis_core::Backend as _;
use osis_core::backend::Scope;
use osis_core::batch::{Batch, Op};
use osis_core::input::Draft;
use osis_core::object::Id;
use osis_core::schema::{Source, load};
use osis_core::value::Value;
use tempfile::TempDir;

use crate::files::Bent;
use crate::{FileBackend, FileConfig};

const SCHEMA: &str = "
name = 'access'
version = 1
[types.note]
plural = 'notes'
[types.note.fields]
name = { type = 'string', required = true }
[types.key]
plural = 'keys'
[types.key.fields]
name = { type = 'string', required = true }
word = { type = 'text', secret = true }
[types.visit]
plural = 'visits'
class = 'log'
time = 'at'
[types.visit.fields]
at = { type = 'time', required = true }
word = { type = 'string', secret = true }
";

fn open(directory: &Path, files: &Arc<Bent>) -> FileBackend {
    let schema = load(&[Source::new("access.toml", SCHEMA)]).unwrap();
    let config = FileConfig {
        files: Arc::clone(files) as _,
        ..FileConfig::new(directory)
    };
    FileBackend::open(config, Some(schema)).unwrap()
}

/// Makes an object of a type.
async fn make(backend: &FileBackend, ty: &str, id: Option<&str>, values: &[Value]) {
    let draft = Draft {
        id: id.map(Id::trusted),
        values: values.iter().cloned().map(Some).collect(),
        links: Vec::new(),
    };
    let type_id = backend.schema().find(ty).unwrap().id;
    let new = Op::New { type_id, draft };
    let answers = backend.apply(vec![Batch::of(vec![new])]).await;
    assert!(answers[0].is_ok(), "{answers:?}");
}

/// The name of a note; nothing where it is not served.
async fn name(backend: &FileBackend, id: &str) -> Option<String> {
    let mut snapshot = backend.snapshot(Scope::Consistent, None).await.unwrap();
    let rows = snapshot.get(0, &[Id::trusted(id)]).await.unwrap();
    rows[0]
        .as_ref()
        .map(|row| row.values[0].as_str().unwrap().to_owned())
}

async fn until_named(backend: &FileBackend, id: &str, wanted: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while name(backend, id).await.as_deref() != Some(wanted) {
        assert!(Instant::now() < until, "{:?}", name(backend, id).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

#[tokio::test]
async fn what_may_hold_secrets_is_for_its_owner_alone() {
    let directory = TempDir::new().unwrap();
    let backend = open(directory.path(), &Arc::new(Bent::quick()));
    make(&backend, "note", None, &["a".into()]).await;
    make(&backend, "key", None, &["a".into(), "secret".into()]).await;
    let at = Value::Time(osis_core::time::Time::now());
    make(&backend, "visit", None, &[at, "secret".into()]).await;
    backend.close().await.unwrap();
    let usual = directory.path().join("usual");
    std::fs::write(&usual, "").unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let usual = mode(&usual);
    let mut kinds = std::collections::BTreeSet::new();
    for path in files(directory.path()) {
        let rel = path.strip_prefix(directory.path()).unwrap();
        let kind = rel.iter().next().unwrap().to_str().unwrap().to_owned();
        let name = rel.file_name().unwrap().to_str().unwrap();
        let wanted = match kind.as_str() {
            "notes" => usual,
            "keys" | "visits" => 0o600,
            "log" if name.ends_with(".otoml") => 0o600,
            ".osis" if name == "catalogue" || name.ends_with(".bodies") => 0o600,
            _ => continue,
        };
        assert_eq!(mode(&path), wanted, "{}", rel.display());
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    assert_eq!(mode(&directory.path().join(".osis/cache-0")), 0o700);
}

#[tokio::test]
async fn a_file_without_the_right_to_read_it_stays_as_it_was_served() {
    let directory = TempDir::new().unwrap();
    let bent = Arc::new(Bent::quick());
    let backend = open(directory.path(), &bent);
    make(&backend, "note", Some("note-1"), &["a".into()]).await;
    make(&backend, "note", Some("note-2"), &["b".into()]).await;
    backend.settle();
    let path = directory.path().join("notes/-1/note-1.otoml");
    bent.forbid(&path, true);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"a\"", "\"changed\"")).unwrap();
    let is_told = |backend: &FileBackend| {
        let problems = backend.problems();
        let told = |problem: &osis_core::backend::Problem| {
            problem.path == "notes/-1/note-1.otoml" && problem.message.contains("cannot be read")
        };
        problems.iter().any(told)
    };
    // Both end, although there is a file about which nothing can be known.
    for _ in 0..2 {
        assert!(backend.take_in(Duration::from_secs(20)));
    }
    backend.settle();
    assert!(is_told(&backend), "{:?}", backend.problems());
    assert_eq!(name(&backend, "note-1").await.as_deref(), Some("a"));
    backend.close().await.unwrap();
    drop(backend);
    // With caches and without.
    for _ in 0..2 {
        let backend = open(directory.path(), &bent);
        assert!(backend.take_in(Duration::from_secs(20)));
        backend.settle();
        assert!(is_told(&backend), "{:?}", backend.problems());
        assert_eq!(name(&backend, "note-1").await.as_deref(), Some("a"));
        assert_eq!(name(&backend, "note-2").await.as_deref(), Some("b"));
        backend.close().await.unwrap();
        drop(backend);
        std::fs::remove_dir_all(directory.path().join(".osis")).unwrap();
    }
    let backend = open(directory.path(), &bent);
    bent.forbid(&path, false);
    until_named(&backend, "note-1", "changed").await;
    backend.settle();
    assert_eq!(backend.problems(), []);
    backend.close().await.unwrap();
}

#[tokio::test]
async fn a_start_without_caches_serves_all_that_it_may_read() {
    let directory = TempDir::new().unwrap();
    let bent = Arc::new(Bent::quick());
    let backend = open(directory.path(), &bent);
    make(&backend, "note", Some("note-1"), &["a".into()]).await;
    make(&backend, "note", Some("note-2"), &["b".into()]).await;
    backend.close().await.unwrap();
    drop(backend);
    let path = directory.path().join("notes/-1/note-1.otoml");
    bent.forbid(&path, true);
    // As a version control has it: files alone.
    std::fs::remove_dir_all(directory.path().join(".osis")).unwrap();
    std::fs::remove_dir_all(directory.path().join("log")).unwrap();
    let backend = open(directory.path(), &bent);
    assert!(backend.take_in(Duration::from_secs(20)));
    assert_eq!(name(&backend, "note-1").await, None);
    assert_eq!(name(&backend, "note-2").await.as_deref(), Some("b"));
    assert_eq!(backend.problems().len(), 1, "{:?}", backend.problems());
    bent.forbid(&path, false);
    until_named(&backend, "note-1", "a").await;
    backend.close().await.unwrap();
}
