//! How long a file store of many objects takes to open, and how much memory an object takes.
//!
//! `cargo build --release -p osis-cli && cargo bench -p osis-tests --bench file_start -- OBJECTS`
//! makes a store of so many objects (100,000 without a number), and prints a table in Markdown. The
//! limits of an open stand beside it in the same run: a bare walk over the same tree that asks each
//! file's metadata, and a bare read of the caches. Each open is a process of its own, whose memory
//! is asked before and after; the best of some runs is shown, as the file system's cache is warm in
//! all of them.

#![expect(
    clippy::unwrap_used,
    reason = "what is not as expected ends the benchmark"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use osis_backend_file::{FileBackend, FileConfig};
use osis_core::Store;
use serde_json::{Value, json};
use walkdir::WalkDir;

/// Names the store in the environment of a process that is to open it.
const ROLE: &str = "OSIS_BENCH_OPEN";
const RUNS: usize = 5;
const CATEGORIES: [&str; 4] = ["editors", "games", "net", "utils"];

fn main() {
    if let Some(directory) = std::env::var_os(ROLE) {
        return open(Path::new(&directory));
    }
    let number = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let objects: usize = number.unwrap_or(100_000);
    let own = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir_in(own.parent().unwrap()).unwrap();
    let store = folder.path().join("store");
    make(&own, folder.path(), &store, objects);

    let caches = store.join(".osis");
    let walk = best(|| timed(|| walk(&store, &caches)));
    let read = best(|| timed(|| read_all(&caches)));
    let warm = best(|| opened(&own, &store));
    let cold = best(|| {
        std::fs::remove_dir_all(&caches).unwrap();
        opened(&own, &store)
    });
    println!("{objects} objects.\n");
    println!("| what | time | of the bare walk | memory | bytes an object |");
    println!("|---|---|---|---|---|");
    for (what, run) in [
        ("bare walk with metadata", &walk),
        ("bare read of the caches", &read),
        ("open with caches", &warm),
        ("open without caches", &cold),
    ] {
        let memory = run.memory.map_or_else(
            || " – | – ".to_owned(),
            |bytes| {
                format!(
                    " {:.1} MiB | {} ",
                    bytes as f64 / 1048576.0,
                    bytes / objects as u64
                )
            },
        );
        println!(
            "| {what} ({}) | {:.0} ms | {:.2} |{memory}|",
            run.amount,
            run.time.as_secs_f64() * 1000.0,
            run.time.as_secs_f64() / walk.time.as_secs_f64(),
        );
    }
}

/// What a run measured.
struct Run {
    time: Duration,
    amount: String,
    memory: Option<u64>,
}

fn best(mut run: impl FnMut() -> Run) -> Run {
    let runs = (0..RUNS).map(|_| run());
    runs.min_by_key(|run| run.time).unwrap()
}

fn timed(work: impl FnOnce() -> String) -> Run {
    let begun = Instant::now();
    let amount = work();
    Run {
        time: begun.elapsed(),
        amount,
        memory: None,
    }
}

/// Asks the metadata of all that a start must look at.
fn walk(store: &Path, caches: &Path) -> String {
    let entries = WalkDir::new(store).into_iter();
    let entries = entries.filter_entry(|entry| entry.path() != caches);
    let files = entries
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(std::fs::Metadata::is_file);
    format!("{} files", files.count())
}

fn read_all(caches: &Path) -> String {
    let entries = WalkDir::new(caches).into_iter().map(Result::unwrap);
    let bytes: usize = entries
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| std::fs::read(entry.path()).unwrap().len())
        .sum();
    format!("{:.1} MiB", bytes as f64 / 1048576.0)
}

/// Makes the store: a line of an export for each object, through the binary.
fn make(own: &Path, folder: &Path, store: &Path, objects: usize) {
    let osis: PathBuf = own.ancestors().nth(2).unwrap().join("osis");
    let file = folder.join("objects.ndjson");
    let mut lines = String::new();
    writeln!(
        lines,
        "{}",
        line(
            "developer",
            json!({ "email": "a@example.org", "name": "Ada" }),
            0
        )
    )
    .unwrap();
    for n in 1..objects {
        let app = json!({
            "developer_id": format!("object-{:08}", 0),
            "package_id": format!("org.example.app{n}"),
            "name": format!("App {n}"),
            "description": "A program that is made in order to measure how long a store takes to \
                open: it has a text of some length, as the packages of an archive have, with words \
                that occur in many of them and a few that do not.",
            "category": (CATEGORIES[n % CATEGORIES.len()]),
            "tags": ["bench", "example"],
            "status": "published",
        });
        writeln!(lines, "{}", line("app", app, n)).unwrap();
    }
    std::fs::write(&file, lines).unwrap();
    let url = format!("file:{}", store.display());
    let import = Command::new(osis)
        .args(["import", &file.display().to_string(), "--store", &url])
        .stdout(Stdio::null())
        .status()
        .expect("osis is there: build it with cargo build --release -p osis-cli");
    assert!(import.success());
}

fn line(ty: &str, mut object: Value, n: usize) -> Value {
    object["id"] = json!(format!("object-{n:08}"));
    object["rev"] = json!(1);
    object["created_at"] = json!("2026-01-01T00:00:00.000Z");
    object["updated_at"] = json!("2026-01-01T00:00:00.000Z");
    json!({ "type": ty, "object": object })
}

/// Lets a new process open the store; it says how long it took and what it took in memory.
fn opened(own: &Path, store: &Path) -> Run {
    let output = Command::new(own).env(ROLE, store).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    Run {
        time: Duration::from_nanos(told["nanos"].as_u64().unwrap()),
        amount: format!("{} objects", told["objects"]),
        memory: told["bytes"].as_u64(),
    }
}

/// Opens the store in this process, and tells what it took.
fn open(directory: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let before = resident();
        let begun = Instant::now();
        let backend = FileBackend::open(FileConfig::new(directory), None).unwrap();
        let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap();
        let bytes = resident()
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before));
        let store = Store::new(std::sync::Arc::new(backend));
        let objects: u64 = counts(&store).await;
        println!(
            "{}",
            json!({ "nanos": nanos, "bytes": bytes, "objects": objects })
        );
        store.close().await.unwrap();
    });
}

async fn counts(store: &Store) -> u64 {
    let service = osis_rpc::Service::new(store.clone(), osis_rpc::Limits::default());
    let params = osis_core::json::Json::Null;
    let caller = osis_rpc::Caller::operator();
    let info = service.call("osis_info", params, &caller).await.unwrap();
    let info: Value = serde_json::from_str(&info).unwrap();
    let counts = info["counts"].as_object().unwrap();
    counts.values().filter_map(Value::as_u64).sum()
}

/// The memory that this process has in use, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
