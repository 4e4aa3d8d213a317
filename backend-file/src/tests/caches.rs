//! The caches of a process: what room they take, and whether the next process can use them.

use std::path::Path;
use std::sync::Arc;

use osis_core::Backend as _;
use osis_core::backend::{Scan, Scope};
use osis_core::batch::{Batch, Op, SetMode};
use osis_core::input::{Draft, Target};
use osis_core::object::Id;
use osis_core::query::{Filter, Sort};
use osis_core::schema::{Source, load};
use osis_core::value::Value;
use tempfile::TempDir;

use crate::files::Bent;
use crate::{FileBackend, FileConfig, Files};

const SCHEMA: &str = "
name = 'caches'
version = 1
[types.note]
plural = 'notes'
[types.note.fields]
text = { type = 'text' }
";

fn open(directory: &Path, files: Arc<dyn Files>) -> osis_core::Result<FileBackend> {
    let schema = load(&[Source::new("caches.toml", SCHEMA)]).unwrap();
    let config = FileConfig {
        files,
        ..FileConfig::new(directory)
    };
    FileBackend::open(config, Some(schema))
}

/// Gives notes texts of a thousand characters that tell what they are of; makes those that are not
/// there.
async fn write(backend: &FileBackend, notes: impl Iterator<Item = usize>, round: usize) -> bool {
    let ops = notes.map(|n| Op::Set {
        type_id: 0,
        target: Target::Id(Id::trusted(&format!("note-{n}"))),
        draft: Draft {
            id: None,
            values: vec![Some(Value::Str(text(n, round).into()))],
            links: Vec::new(),
        },
        mode: SetMode::Patch,
        if_rev: None,
        upsert: true,
    });
    let batch = Batch::of(ops.collect());
    backend.apply(vec![batch]).await.remove(0).is_ok()
}

fn text(n: usize, round: usize) -> String {
    format!("{n} {round} ")
        .repeat(1000)
        .chars()
        .take(1000)
        .collect()
}

/// The texts of all notes, by their numbers.
async fn texts(backend: &FileBackend) -> Vec<(usize, String)> {
    let scan = Scan {
        type_id: 0,
        filter: Filter::EVERY,
        sort: Sort::default(),
        after: None,
        limit: 1000,
    };
    let mut snapshot = backend.snapshot(Scope::Consistent, None).await.unwrap();
    let rows = snapshot.scan(&scan).await.unwrap();
    let number = |id: &Id| id.as_str()["note-".len()..].parse().unwrap();
    let texts = rows.iter().map(|row| {
        let text = row.values[0].as_str().unwrap().to_owned();
        (number(&row.id), text)
    });
    texts.collect()
}

/// How many bytes lie in a directory.
fn size(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

#[tokio::test]
async fn many_updates_take_little_more_room_than_what_is_there() {
    let directory = TempDir::new().unwrap();
    let files: Arc<dyn Files> = Arc::new(Bent::quick());
    for round in 0..12 {
        let backend = open(directory.path(), Arc::clone(&files)).unwrap();
        for n in 0..3 {
            let n = 3 * round + n;
            assert!(write(&backend, 0..20, n).await);
            // One that is not written again, lest whole files be out of use.
            assert!(write(&backend, 100 + n..=100 + n, n).await);
        }
        backend.close().await.unwrap();
    }
    let backend = open(directory.path(), files).unwrap();
    for (n, found) in texts(&backend).await {
        let round = if n < 20 { 35 } else { n - 100 };
        assert_eq!(found, text(n, round));
    }
    let live = 56 * 1000;
    let bodies = directory.path().join(".osis/cache-0/bodies");
    let taken = size(&bodies);
    assert!(
        taken < 4 * live,
        "{taken} bytes for {live}, of 756,000 written"
    );
    backend.close().await.unwrap();
}

#[tokio::test]
async fn a_process_that_ends_before_it_has_saved_leaves_usable_caches() {
    let directory = TempDir::new().unwrap();
    let files = Arc::new(Bent::quick());
    let open = || open(directory.path(), Arc::clone(&files) as _).unwrap();
    let backend = open();
    assert!(write(&backend, 0..40, 0).await);
    let built = backend.lineage();
    backend.close().await.unwrap();
    drop(backend);
    let catalogue = directory.path().join(".osis/cache-0/catalogue");
    for round in 1..5 {
        // Whatever it moves and lets go of, the catalogue that names it stays.
        files.forbid(&catalogue, true);
        let backend = open();
        assert!(write(&backend, 0..39, round).await);
        backend.close().await.unwrap();
        drop(backend);
        files.forbid(&catalogue, false);
        let backend = open();
        assert_eq!(backend.lineage(), built, "it was built anew");
        for (n, found) in texts(&backend).await {
            assert_eq!(found, text(n, if n < 39 { round } else { 0 }));
        }
        backend.close().await.unwrap();
    }
}
