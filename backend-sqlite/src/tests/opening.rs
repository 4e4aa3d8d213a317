//! Opening: new files, many processes, foreign and damaged files.

use std::sync::{Arc, Barrier};

use osis_core::backend::Backend;
use osis_core::error::ErrorKind;
use rusqlite::Connection;

use super::{Disk, PROBE, ids, make, schema};
use crate::{SqliteBackend, SqliteConfig};

#[test]
fn eight_at_once_make_one_store() {
    for _ in 0..5 {
        let disk = Disk::new();
        let barrier = Arc::new(Barrier::new(8));
        let openers: Vec<_> = (0..8)
            .map(|_| {
                let (config, barrier) = (disk.config(), Arc::clone(&barrier));
                std::thread::spawn(move || {
                    barrier.wait();
                    SqliteBackend::open(config, Some(schema(PROBE))).map(drop)
                })
            })
            .collect();
        for opener in openers {
            opener.join().unwrap().unwrap();
        }
        let count = |table: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM {table}");
            disk.tool().query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count("_osis_meta"), 1);
        assert_eq!(count("_osis_schema_history"), 1);
    }
}

/// Not a test of its own: what the processes of the next one run.
#[test]
#[ignore = "run as a child by eight_processes_write_to_one_new_store"]
fn child_that_writes() {
    let Some(path) = std::env::var_os("OSIS_TEST_DB") else {
        return;
    };
    let name = std::env::var("OSIS_TEST_NAME").unwrap();
    let backend = SqliteBackend::open(SqliteConfig::new(path), Some(schema(PROBE))).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for n in 0..20 {
            make(&backend, &format!("{name}-{n:04}"), "word")
                .await
                .unwrap();
        }
        backend.close().await.unwrap();
    });
}

#[test]
fn eight_processes_write_to_one_new_store() {
    let disk = Disk::new();
    let children: Vec<_> = (0..8)
        .map(|n| {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "tests::opening::child_that_writes"])
                .env("OSIS_TEST_DB", disk.config().path)
                .env("OSIS_TEST_NAME", format!("p{n}"))
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let backend = disk.open(PROBE);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(runtime.block_on(ids(&backend)).len(), 160);
    assert_eq!(*backend.commits().borrow(), 160);
}

#[test]
fn makes_the_directory() {
    let disk = Disk::new();
    let path = disk.directory.path().join("a/b/osis.db");
    let backend = SqliteBackend::open(SqliteConfig::new(&path), Some(schema(PROBE))).unwrap();
    assert_eq!(backend.path(), path);
    assert!(path.is_file());
}

#[test]
fn a_name_that_looks_like_a_uri_is_a_name() {
    let disk = Disk::new();
    let path = disk.directory.path().join("file:x?mode=memory");
    drop(SqliteBackend::open(SqliteConfig::new(&path), Some(schema(PROBE))).unwrap());
    assert!(path.is_file());
}

#[test]
fn files_of_others_are_left_alone() {
    let disk = Disk::new();
    let open = || {
        SqliteBackend::open(disk.config(), Some(schema(PROBE)))
            .map(drop)
            .unwrap_err()
    };
    disk.tool().execute_batch("CREATE TABLE t (a)").unwrap();
    let error = open();
    assert!(error.to_string().contains("another program"), "{error}");

    std::fs::write(
        disk.config().path,
        "this is a text, and quite a long one at that",
    )
    .unwrap();
    let error = open();
    assert!(matches!(error.kind(), ErrorKind::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("no SQLite database"), "{error}");
    assert!(
        std::fs::read_to_string(disk.config().path)
            .unwrap()
            .starts_with("this is a text")
    );

    std::fs::remove_file(disk.config().path).unwrap();
    drop(disk.open(PROBE));
    disk.tool()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let error = open();
    assert!(error.to_string().contains("format 99"), "{error}");

    std::fs::remove_file(disk.config().path).unwrap();
    std::fs::create_dir(disk.config().path).unwrap();
    let error = open();
    assert!(error.to_string().contains("is a directory"), "{error}");
}

#[test]
fn the_header_says_whose_file_it_is() {
    let disk = Disk::new();
    drop(disk.open(PROBE));
    let tool = disk.tool();
    let pragma = |name: &str| -> i32 { tool.pragma_query_value(None, name, |r| r.get(0)).unwrap() };
    assert_eq!(pragma("application_id").to_be_bytes(), *b"OSIS");
    assert_eq!(pragma("user_version"), 1);
    let mode: String = tool
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_reads_while_the_store_is_open() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    make(&backend, "abcd", "Hello").await.unwrap();
    let tool: Connection = disk.tool();
    let row: (String, String, i64) = tool
        .query_row("SELECT id, word, count FROM things", [], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?))
        })
        .unwrap();
    assert_eq!(row, ("abcd".to_owned(), "Hello".to_owned(), 0));
}
