//! How long a file store of many objects takes to open, and how much memory an object takes.
//!
//! `cargo build --release -p osis-cli && cargo bench -p osis-tests --bench file_start -- OBJECTS`
//! makes a store of so many objects (100,000 without a number), and prints a table in Markdown. What
//! no open can do without is timed in the same run: a bare walk over the same tree that asks each
//! file's metadata, and the loading of the saved catalogue by itself, as the engine's log tells it
//! of the same opens. Their sum is what an open is held against: until the store answers, and until
//! all files were looked at for edits. Each open is a process of its own, whose memory is asked
//! before and after; the best of some runs is shown, as the file system's cache is warm in all of
//! them.

#![expect(
    clippy::unwrap_used,
    reason = "what is not as expected ends the benchmark"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
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
    let walk = best((0..RUNS).map(|_| timed(|| walk(&store, &caches))));
    let read = best((0..RUNS).map(|_| timed(|| read_all(&caches))));
    let warm: Vec<Opened> = (0..RUNS).map(|_| opened(&own, &store)).collect();
    let cold = (0..RUNS).map(|_| {
        std::fs::remove_dir_all(&caches).unwrap();
        opened(&own, &store).open
    });
    let cold = best(cold);
    let load = best(warm.iter().map(|opened| opened.load.clone().unwrap()));
    let looked = best(warm.iter().map(|opened| opened.looked.clone()));
    let warm = best(warm.iter().map(|opened| opened.open.clone()));
    let least = walk.time + load.time;
    println!("{objects} objects.\n");
    println!("| what | time | ÷ (walk + load) | memory | bytes an object |");
    println!("|---|---|---|---|---|");
    for (what, run) in [
        ("bare walk with metadata", &walk),
        ("bare read of the caches", &read),
        ("loading the catalogue", &load),
        ("open with caches", &warm),
        ("the same, and all files looked at", &looked),
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
            run.time.as_secs_f64() / least.as_secs_f64(),
        );
    }
    println!(
        "\nopen ÷ (walk + load): {:.2}",
        warm.time.as_secs_f64() / least.as_secs_f64()
    );
}

/// What a run measured.
#[derive(Clone)]
struct Run {
    time: Duration,
    amount: String,
    memory: Option<u64>,
}

/// What was measured of one opening.
struct Opened {
    /// Until it answers.
    open: Run,
    /// Until all files were looked at for edits.
    looked: Run,
    /// The loading of the saved catalogue, where there was one.
    load: Option<Run>,
}

fn best(runs: impl Iterator<Item = Run>) -> Run {
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
fn opened(own: &Path, store: &Path) -> Opened {
    let output = Command::new(own).env(ROLE, store).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = |nanos: u64| Run {
        time: Duration::from_nanos(nanos),
        amount: format!("{} objects", told["objects"]),
        memory: None,
    };
    let load = told["load_us"].as_u64();
    Opened {
        open: Run {
            memory: told["bytes"].as_u64(),
            ..run(told["open"].as_u64().unwrap())
        },
        looked: run(told["looked"].as_u64().unwrap()),
        load: load.map(|us| run(us * 1000)),
    }
}

/// Opens the store in this process, and tells what it took.
fn open(directory: &Path) {
    let told = Told::default();
    let writer = told.clone();
    tracing_subscriber::fmt()
        .with_env_filter("osis_backend_file::save=debug")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let before = resident();
        let begun = Instant::now();
        let backend = FileBackend::open(FileConfig::new(directory), None).unwrap();
        let open = u64::try_from(begun.elapsed().as_nanos()).unwrap();
        let bytes = resident()
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before));
        assert!(backend.take_in(Duration::from_secs(600)));
        let looked = u64::try_from(begun.elapsed().as_nanos()).unwrap();
        let store = Store::new(Arc::new(backend));
        let objects: u64 = counts(&store).await;
        let load_us = told.number("took_us=");
        println!(
            "{}",
            json!({
                "open": open, "looked": looked, "load_us": load_us, "bytes": bytes,
                "objects": objects,
            })
        );
        store.close().await.unwrap();
    });
}

/// What the engine's log told.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl Told {
    /// The first number behind a name.
    fn number(&self, name: &str) -> Option<u64> {
        let told = self.0.lock().unwrap();
        let text = String::from_utf8_lossy(&told);
        let (_, behind) = text.split_once(name)?;
        let digits = behind.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    }
}

impl std::io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
