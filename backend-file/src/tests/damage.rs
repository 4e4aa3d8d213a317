//! Parts of the log that are missing or damaged.

use std::path::{Path, PathBuf};

use osis_core::Backend as _;
use osis_core::backend::Scope;
use osis_core::error::ErrorKind;
use tempfile::TempDir;

use super::opening::{make, names, open};
use crate::FileBackend;

fn entry(directory: &TempDir, seq: u64) -> PathBuf {
    let name = format!("log/000000000/{seq:012}.otoml");
    directory.path().join(name)
}

/// A store whose log has six entries, all of them in files, and no process.
async fn store() -> TempDir {
    let directory = TempDir::new().unwrap();
    let backend = open(&directory);
    for name in ["a", "b", "c", "d", "e", "f"] {
        make(&backend, name).await.unwrap();
    }
    backend.close().await.unwrap();
    directory
}

fn forget(directory: &TempDir) {
    std::fs::remove_dir_all(directory.path().join(".osis")).unwrap();
}

fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

async fn feed(backend: &FileBackend, since: u64) -> Result<Vec<u64>, ErrorKind> {
    let mut snapshot = backend.snapshot(Scope::Consistent, None).await.unwrap();
    let feed = snapshot.changes(since, &[], 100).await;
    feed.map(|feed| feed.changes.iter().map(|change| change.seq).collect())
        .map_err(|error| error.kind().clone())
}

/// What is found is told at its place; what is done about it lets everything go on.
async fn check(spoil: impl Fn(&TempDir), spoilt: &[u64], loses_caches: bool) {
    let directory = store().await;
    spoil(&directory);
    if loses_caches {
        forget(&directory);
    }
    let backend = open(&directory);
    assert_eq!(names(&backend).await, ["a", "b", "c", "d", "e", "f"]);
    let told = backend.inspect().await.unwrap();
    let paths: Vec<String> = told.iter().map(|problem| problem.path.clone()).collect();
    let expected: Vec<String> = spoilt
        .iter()
        .map(|seq| format!("log/000000000/{seq:012}.otoml"))
        .collect();
    assert_eq!(paths, expected);
    assert!(feed(&backend, 0).await.is_err());
    // Nobody is kept from writing.
    make(&backend, "g").await.unwrap();

    let mended = backend.repair().await.unwrap();
    assert_eq!(mended.len(), spoilt.len(), "{mended:?}");
    assert_eq!(backend.inspect().await.unwrap(), []);
    let gone = feed(&backend, 6).await.unwrap_err();
    assert!(matches!(gone, ErrorKind::Gone { oldest: 7 }), "{gone:?}");
    make(&backend, "h").await.unwrap();
    assert_eq!(feed(&backend, 7).await.unwrap(), [8]);
    backend.close().await.unwrap();
    drop(backend);

    forget(&directory);
    let backend = open(&directory);
    let all = ["a", "b", "c", "d", "e", "f", "g", "h"];
    assert_eq!(names(&backend).await, all);
    assert_eq!(backend.inspect().await.unwrap(), []);
    assert_eq!(backend.repair().await.unwrap(), []);
    assert_eq!(feed(&backend, 7).await.unwrap(), [8]);
    backend.close().await.unwrap();
}

#[tokio::test]
async fn a_missing_entry_is_told_and_mended() {
    for loses_caches in [false, true] {
        let remove = |directory: &TempDir| std::fs::remove_file(entry(directory, 3)).unwrap();
        check(remove, &[3], loses_caches).await;
    }
}

#[tokio::test]
async fn missing_entries_in_a_row_are_one_hole() {
    let remove = |directory: &TempDir| {
        std::fs::remove_file(entry(directory, 1)).unwrap();
        std::fs::remove_file(entry(directory, 3)).unwrap();
        std::fs::remove_file(entry(directory, 4)).unwrap();
    };
    check(remove, &[1, 3], true).await;
}

#[tokio::test]
async fn a_damaged_entry_is_told_and_set_aside() {
    for loses_caches in [false, true] {
        check(|directory| damage(&entry(directory, 4)), &[4], loses_caches).await;
    }
}

#[tokio::test]
async fn the_last_entry_may_be_damaged() {
    for loses_caches in [false, true] {
        check(|directory| damage(&entry(directory, 6)), &[6], loses_caches).await;
    }
}
