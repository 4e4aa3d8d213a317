//! The last good version of what a person has broken, for a process that knows nothing but the
//! files.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use osis_core::Backend as _;
use osis_core::backend::{ChangeOp, Scope};
use osis_core::batch::{Batch, Commit, Op, SetMode};
use osis_core::error::Result;
use osis_core::input::{Draft, Target};
use osis_core::object::{Id, Row};
use osis_core::schema::{Source, load};
use osis_core::value::Value;
use tempfile::TempDir;

use crate::{FileBackend, FileConfig};

const SCHEMA: &str = "
name = 'kept'
version = 1
[types.note]
plural = 'notes'
[types.note.fields]
name = { type = 'string', required = true, unique = true }
text = { type = 'text' }
";

/// A store with two notes, `first-1` and `other-1`, named as they are.
struct Store {
    directory: TempDir,
    backend: Option<FileBackend>,
}

impl Store {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut store = Self {
            directory,
            backend: None,
        };
        store.open();
        for id in ["first-1", "other-1"] {
            store.make(id, id).await.unwrap();
        }
        store.settle();
        store
    }

    fn open(&mut self) {
        let schema = load(&[Source::new("kept.toml", SCHEMA)]).unwrap();
        let config = FileConfig::new(self.directory.path());
        self.backend = Some(FileBackend::open(config, Some(schema)).unwrap());
    }

    fn backend(&self) -> &FileBackend {
        self.backend.as_ref().unwrap()
    }

    fn settle(&self) {
        self.backend().settle();
    }

    /// Ends, loses its caches and all that the log has of its commits, and begins again.
    async fn start_over(&mut self) {
        self.backend.take().unwrap().close().await.unwrap();
        fs::remove_dir_all(self.directory.path().join(".osis")).unwrap();
        let log = self.directory.path().join("log");
        for entry in fs::read_dir(log).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with("0000") && path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            }
        }
        self.open();
    }

    async fn apply(&self, op: Op) -> Result<Commit> {
        let mut answers = self.backend().apply(vec![Batch::of(vec![op])]).await;
        answers.pop().unwrap()
    }

    async fn make(&self, id: &str, name: &str) -> Result<Commit> {
        let draft = Draft {
            id: Some(Id::trusted(id)),
            values: vec![Some(Value::from(name)), Some(Value::from("text"))],
            links: Vec::new(),
        };
        self.apply(Op::New { type_id: 0, draft }).await
    }

    async fn rename(&self, id: &str, name: &str) {
        let draft = Draft {
            id: None,
            values: vec![Some(Value::from(name)), None],
            links: Vec::new(),
        };
        let op = Op::Set {
            type_id: 0,
            target: Target::Id(Id::trusted(id)),
            draft,
            mode: SetMode::Patch,
            if_rev: None,
            upsert: false,
        };
        self.apply(op).await.unwrap();
    }

    async fn get(&self, id: &str) -> Option<Row> {
        let mut snapshot = self.backend().snapshot(Scope::Single, None).await.unwrap();
        let mut rows = snapshot.get(0, &[Id::trusted(id)]).await.unwrap();
        rows.pop().unwrap()
    }

    /// An object's name and revision.
    async fn note(&self, id: &str) -> Option<(String, i64)> {
        let row = self.get(id).await?;
        Some((row.values[0].as_str().unwrap().to_owned(), row.rev))
    }

    fn file(&self, id: &str) -> PathBuf {
        let shard = &id[id.len() - 2..];
        let notes = self.directory.path().join("notes");
        notes.join(shard).join(format!("{id}.otoml"))
    }

    fn edit(&self, id: &str, from: &str, to: &str) {
        let path = self.file(id);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn is_kept(&self, id: &str) -> bool {
        let kept = self.directory.path().join("log/kept/notes");
        kept.join(format!("{id}.otoml")).exists()
    }

    /// How many files have a problem.
    fn problems(&self) -> usize {
        self.backend().problems().len()
    }
}

/// Waits until something is so.
fn until(is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "it never came to that");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn named(name: &str, rev: i64) -> Option<(String, i64)> {
    Some((name.to_owned(), rev))
}

#[tokio::test]
async fn what_a_broken_file_held_is_served_by_who_never_saw_it() {
    let mut store = Store::new().await;
    store.edit("first-1", "name = \"first-1\"", "name = \"first");
    store.settle();
    let broken = fs::read_to_string(store.file("first-1")).unwrap();
    for _ in 0..2 {
        store.start_over().await;
        store.settle();
        assert_eq!(store.note("first-1").await, named("first-1", 1));
        assert_eq!(store.get("first-1").await.unwrap().values[1], "text".into());
        assert!(store.make("third-1", "first-1").await.is_err());
        assert_eq!((store.problems(), store.is_kept("first-1")), (1, true));
        assert_eq!(fs::read_to_string(store.file("first-1")).unwrap(), broken);
    }
    store.edit("first-1", "name = \"first", "name = \"mended\"");
    store.settle();
    assert_eq!(store.note("first-1").await, named("mended", 2));
    assert_eq!((store.problems(), store.is_kept("first-1")), (0, false));
    store.start_over().await;
    assert_eq!(store.note("first-1").await, named("mended", 2));
}

#[tokio::test]
async fn what_is_served_instead_of_a_refused_edit_is_kept() {
    let mut store = Store::new().await;
    store.edit("first-1", "name = \"first-1\"", "name = \"other-1\"");
    store.settle();
    assert_eq!((store.problems(), store.is_kept("first-1")), (1, true));
    store.start_over().await;
    store.settle();
    assert_eq!(store.note("first-1").await, named("first-1", 1));
    assert_eq!(store.note("other-1").await, named("other-1", 1));
    assert_eq!((store.problems(), store.is_kept("first-1")), (1, true));
    // Once the other has let the name go, the edit is taken.
    store.rename("other-1", "else").await;
    store.edit("first-1", "text = \"text\"", "text = \"texts\"");
    store.settle();
    assert_eq!(store.note("first-1").await, named("other-1", 2));
    assert_eq!((store.problems(), store.is_kept("first-1")), (0, false));
}

#[tokio::test]
async fn what_clients_write_while_a_file_is_broken_is_kept_too() {
    let mut store = Store::new().await;
    store.edit("first-1", "rev = 1", "rev = = 1");
    store.settle();
    store.rename("first-1", "second").await;
    store.rename("first-1", "third").await;
    store.settle();
    store.start_over().await;
    store.settle();
    assert_eq!(store.note("first-1").await, named("third", 3));
    // What the person mends is of old: it is kept beside.
    store.edit("first-1", "rev = = 1", "rev = 1");
    store.edit("first-1", "text = \"text\"", "text = \"mine\"");
    store.settle();
    assert_eq!(store.note("first-1").await, named("third", 3));
    let text = fs::read_to_string(store.file("first-1")).unwrap();
    assert!(text.contains("name = \"third\""), "{text}");
    assert_eq!((store.problems(), store.is_kept("first-1")), (1, false));
}

#[tokio::test]
async fn what_was_deleted_while_its_file_was_broken_does_not_come_back() {
    let mut store = Store::new().await;
    store.edit("first-1", "rev = 1", "rev = = 1");
    store.settle();
    let kept = store.directory.path().join("log/kept/notes/first-1.otoml");
    let text = fs::read(&kept).unwrap();
    let op = Op::Delete {
        type_id: 0,
        target: Target::Id(Id::trusted("first-1")),
        if_rev: None,
    };
    store.apply(op).await.unwrap();
    store.settle();
    assert!(!kept.exists());
    store.start_over().await;
    assert_eq!(store.note("first-1").await, None);
    // One that a slower process wrote just then goes before the log forgets the delete.
    store.make("first-1", "first").await.unwrap();
    store.settle();
    fs::write(&kept, text).unwrap();
    store.backend.take().unwrap().close().await.unwrap();
    store.open();
    store.settle();
    assert!(!kept.exists());
    assert_eq!(store.note("first-1").await, named("first", 1));
}

#[tokio::test]
async fn a_file_restored_as_it_was_needs_no_kept_version() {
    let store = Store::new().await;
    let good = fs::read(store.file("first-1")).unwrap();
    store.edit("first-1", "O:", "P:");
    store.settle();
    assert!(store.is_kept("first-1"));
    fs::write(store.file("first-1"), &good).unwrap();
    store.settle();
    assert_eq!((store.problems(), store.is_kept("first-1")), (0, false));
    assert_eq!(store.note("first-1").await, named("first-1", 1));
}

#[tokio::test]
async fn a_copy_that_was_refused_never_takes_the_place_of_what_is_served() {
    let mut store = Store::new().await;
    let text = fs::read_to_string(store.file("first-1")).unwrap();
    let copy = store.file("aaaa-1");
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    fs::write(&copy, text.replace("id = \"first-1\"", "id = \"aaaa-1\"")).unwrap();
    store.settle();
    let mark = "log/kept/notes/aaaa-1.refused";
    let mark = store.directory.path().join(mark);
    for _ in 0..2 {
        assert_eq!((store.problems(), mark.exists()), (1, true));
        store.start_over().await;
        assert_eq!(store.note("first-1").await, named("first-1", 1));
        assert_eq!(store.note("aaaa-1").await, None);
        store.settle();
    }
    // Once its key is free it is taken, with a commit; and then it is an object like any other.
    store.rename("first-1", "second").await;
    until(|| store.problems() == 0);
    store.settle();
    assert_eq!(store.note("aaaa-1").await, named("first-1", 1));
    assert_eq!((store.problems(), mark.exists()), (0, false));
    store.start_over().await;
    assert_eq!(store.note("aaaa-1").await, named("first-1", 1));
    assert_eq!(store.note("first-1").await, named("second", 2));
}

#[tokio::test]
async fn a_refused_file_that_is_gone_leaves_no_mark() {
    let store = Store::new().await;
    let path = store.file("third-1");
    fs::write(&path, "name = \"first-1\"\n").unwrap();
    store.settle();
    let kept = store.directory.path().join("log/kept/notes");
    assert!(kept.join("third-1.refused").exists());
    fs::remove_file(&path).unwrap();
    until(|| !kept.join("third-1.refused").exists());
}

#[tokio::test]
async fn a_file_that_is_removed_together_with_the_caches_is_a_delete() {
    let mut store = Store::new().await;
    store.backend.take().unwrap().close().await.unwrap();
    fs::remove_dir_all(store.directory.path().join(".osis")).unwrap();
    fs::remove_file(store.file("first-1")).unwrap();
    store.open();
    store.settle();
    assert_eq!(store.note("first-1").await, None);
    assert_eq!(store.note("other-1").await, named("other-1", 1));
    let mut snapshot = store.backend().snapshot(Scope::Single, None).await.unwrap();
    let feed = snapshot.changes(0, &[], 10).await.unwrap();
    let last = feed.changes.last().unwrap();
    assert_eq!((last.id.as_str(), last.op), ("first-1", ChangeOp::Delete));
}
