//! A SQLite store beside an unmodified [Litestream](https://litestream.io), in each form of its
//! configuration: everything is killed under writes, and what Litestream restores is the store as it was
//! at some commit, whole; and as it was at a point in time.
//!
//! `scripts/setup-tests` installs the programs. How much was lost is told, not judged: it depends on the
//! machine.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use osis_core::Time;
use osis_tests::binary::Served;
use osis_tests::fixture::SHOP_FILE;
use osis_tests::parts;
use osis_tests::places::{Kind, Place};
use serde_json::{Value, json};

/// Longer than Litestream waits between two looks: one second, by the configuration.
const SOON: Duration = Duration::from_secs(3);
const WRITERS: usize = 3;

/// A version of Litestream, with the form of its configuration.
#[derive(Debug, Clone, Copy)]
struct Version(&'static str, &'static str);

const NOW: Version = Version("0.5.17", "0.5");
const BEFORE: Version = Version("0.3.13", "0.3");

impl Version {
    fn program(self) -> PathBuf {
        let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools");
        Path::new(tools).join(format!("litestream-{}/bin/litestream", self.0))
    }

    /// Whether it is here; says loudly that `test` is left out where it is not.
    fn is_there(self, test: &str) -> bool {
        let is_there = self.program().exists();
        if !is_there {
            let why = format!(
                "Litestream {} is not there; call scripts/setup-tests",
                self.0
            );
            parts::skip(test, &why);
        }
        is_there
    }
}

/// A store with the configuration of a Litestream beside it.
struct Site {
    place: Place,
    version: Version,
    config: PathBuf,
}

impl Site {
    fn new(version: Version) -> Self {
        let place = Place::new(Kind::Sqlite);
        let form = format!("--litestream-config={}", version.1);
        let replica = place.beside("replica");
        let output = place.command(&["backup", &form, replica.to_str().unwrap()]);
        let output = { output }.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let config = place.beside("litestream.yml");
        std::fs::write(&config, output.stdout).unwrap();
        Self {
            place,
            version,
            config,
        }
    }

    fn litestream(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.version.program());
        let (first, rest) = arguments.split_first().unwrap();
        command.args([first, "-config", self.config.to_str().unwrap()]);
        command.args(rest).stdin(Stdio::null());
        command
    }

    fn replicate(&self) -> Running {
        let mut command = self.litestream(&["replicate"]);
        let log = std::fs::File::create(self.place.beside("litestream.log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        Running(command.spawn().unwrap())
    }

    /// Has Litestream restore the store, as it is or as it was at a time, as another one.
    fn restore(&self, name: &str, more: &[&str]) -> Restored {
        let path = self.place.beside(name);
        let (to, from) = (path.to_str().unwrap(), self.place.path().to_str().unwrap());
        let mut arguments = vec!["restore", "-o", to];
        arguments.extend(more);
        arguments.push(from);
        let output = self.litestream(&arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Restored(path)
    }
}

/// A program that goes when this does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A database that Litestream restored.
struct Restored(PathBuf);

impl Restored {
    fn check(&self) {
        let store = format!("sqlite:{}", self.0.display());
        let output = osis_tests::binary::command(["check", "--store", &store]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn serve(&self) -> Served {
        let store = format!("sqlite:{}", self.0.display());
        Served::start(["--store", &store, "--schema", SHOP_FILE])
    }
}

/// Makes memos until the server is gone; of each, its commit and when that was acknowledged.
fn write(server: &Served, writer: usize, made: &AtomicUsize) -> BTreeMap<u64, (String, Instant)> {
    let mut connection = server.connect();
    let mut ledger = BTreeMap::new();
    loop {
        let id = format!("memo-{writer}-{}", ledger.len());
        let data = json!({ "id": id, "body": "beside" });
        let ops = json!([{ "method": "memo_new", "params": { "data": data } }]);
        let Ok(answer) = connection.try_call("osis_transaction", &json!({ "ops": ops })) else {
            return ledger;
        };
        let seq = answer["result"]["seq"].as_u64();
        let seq = seq.unwrap_or_else(|| panic!("{answer}"));
        ledger.insert(seq, (id, Instant::now()));
        made.fetch_add(1, Ordering::Relaxed);
        // A steady load: saturation is another matter.
        sleep(Duration::from_millis(2));
    }
}

fn memos(server: &Served) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = json!({ "filter": { "id": { "gte": "memo-" } }, "limit": 1000, "cursor": cursor, "fields": ["id"] });
        let page = server.call("memo_list", &page);
        let items = page["items"].as_array().unwrap().iter();
        ids.extend(items.map(|item| item["id"].as_str().unwrap().to_owned()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            ids.sort();
            return ids;
        }
    }
}

fn what_is_restored_after_everything_was_killed_is_as_of_one_commit(version: Version) {
    let site = Site::new(version);
    let server = site.place.serve();
    server.call(
        "memo_new",
        &json!({ "data": { "id": "memo-first", "body": "x" } }),
    );
    let litestream = site.replicate();
    let made = AtomicUsize::new(0);
    let (ledger, killed) = std::thread::scope(|scope| {
        let writing: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (server, made) = (&server, &made);
                scope.spawn(move || write(server, writer, made))
            })
            .collect();
        sleep(2 * SOON);
        let killed = Instant::now();
        drop(litestream);
        server.kill_now();
        let ledgers = writing.into_iter().map(|writer| writer.join().unwrap());
        let ledger: BTreeMap<u64, (String, Instant)> = ledgers.flatten().collect();
        (ledger, killed)
    });
    assert!(!ledger.is_empty(), "nothing was written");
    let began = Instant::now();
    let restored = site.restore("restored.db", &[]);
    let took = began.elapsed();
    restored.check();
    let server = restored.serve();
    let as_of = server.call("osis_info", &json!({}))["seq"]
        .as_u64()
        .unwrap();
    let found = memos(&server);
    let mut wanted: Vec<String> = ledger
        .range(..=as_of)
        .map(|(_, (id, _))| id.clone())
        .collect();
    wanted.push("memo-first".to_owned());
    wanted.sort();
    // A commit whose answer nobody got may be there as well, one a writer.
    let unanswered = found.iter().filter(|id| wanted.binary_search(id).is_err());
    assert!(unanswered.count() <= WRITERS, "{found:?} of {wanted:?}");
    assert!(
        wanted.iter().all(|id| found.binary_search(id).is_ok()),
        "{wanted:?} in {found:?}"
    );
    let lost: Vec<&Instant> = ledger.range(as_of + 1..).map(|(_, (_, at))| at).collect();
    let seconds = lost.iter().min().map_or(0.0, |at| {
        killed.saturating_duration_since(**at).as_secs_f64()
    });
    eprintln!(
        "Litestream {}: of {} commits the last {} were lost, {seconds:.1} s; restored in {took:.1?}",
        version.0,
        ledger.len(),
        lost.len(),
    );
    assert!(
        as_of > 1,
        "Litestream has copied nothing of what was written beside it"
    );
}

fn a_store_is_restored_as_it_was_at_a_time(version: Version) {
    let site = Site::new(version);
    let server = site.place.serve();
    let _litestream = site.replicate();
    let memo = |id: &str| {
        server.call("memo_new", &json!({ "data": { "id": id, "body": "x" } }));
        sleep(SOON);
    };
    memo("memo-one");
    let between = Time::now().to_string();
    sleep(SOON);
    memo("memo-two");
    let now = site.restore("now.db", &[]);
    now.check();
    let restored = now.serve();
    assert_eq!(memos(&restored), ["memo-one", "memo-two"]);
    assert!(restored.terminate().success());
    let then = site.restore("then.db", &["-timestamp", &between]);
    then.check();
    let restored = then.serve();
    assert_eq!(memos(&restored), ["memo-one"]);
    // Who has read further than that is told so.
    let since = server.call("osis_info", &json!({}))["seq"].clone();
    let gone = restored
        .connect()
        .call("osis_changes", &json!({ "since": since }));
    assert_eq!(gone["error"]["data"]["kind"], json!("gone"), "{gone}");
}

macro_rules! on_each_version {
    ($($test:ident),+ $(,)?) => {
        mod now {
            $(#[test]
            fn $test() {
                if super::NOW.is_there(stringify!($test)) {
                    super::$test(super::NOW);
                }
            })+
        }

        mod before {
            $(#[test]
            fn $test() {
                if super::BEFORE.is_there(stringify!($test)) {
                    super::$test(super::BEFORE);
                }
            })+
        }
    };
}

on_each_version!(
    what_is_restored_after_everything_was_killed_is_as_of_one_commit,
    a_store_is_restored_as_it_was_at_a_time,
);
