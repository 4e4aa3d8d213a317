//! `osis migrate` between stores: everything arrives as it was, once, whatever is killed when and
//! whoever writes meanwhile.
//!
//! All of it is done by the `osis` binary, in processes of its own. `OSIS_MIGRATE_KILLS` kills more
//! runs, `OSIS_CRASH_SEED` the same ones again.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use osis_tests::binary::{Served, command};
use osis_tests::dice::{Dice, number};
use osis_tests::places::{Kind, Place};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn kinds() -> Vec<Kind> {
    Kind::all("moving to and from PostgreSQL")
}

/// From each kind to another, and to each from another.
fn ring() -> Vec<(Kind, Kind)> {
    let kinds = kinds();
    let next = kinds.iter().cycle().skip(1).copied();
    kinds.iter().copied().zip(next).collect()
}

/// Every ordered pair of kinds of store.
fn pairs() -> impl Iterator<Item = (Place, Place)> {
    let pairs = kinds()
        .into_iter()
        .flat_map(|from| kinds().into_iter().map(move |to| (from, to)));
    pairs.map(|(from, to)| (Place::new(from), Place::new(to)))
}

/// Fills a store with objects of every kind: secrets, references forward and to their own type, log
/// types, objects that were changed and deleted. Answers the store's seq.
fn fill(place: &Place, many: usize) -> u64 {
    let file = place.beside("seed.ndjson");
    let mut lines = String::new();
    let mut add = |ty: &str, object: Value| {
        lines.push_str(&format!("{}\n", json!({ "type": ty, "object": object })));
    };
    for n in 0..many {
        let invited_by = (n > 0).then(|| json!({ "email": format!("c{}@x", many - n) }));
        add(
            "customer",
            json!({
                "email": format!("c{n}@x"), "name": format!("Customer {n}"), "number": n,
                "card_hash": format!("hash {n}"), "pin": "1234", "invited_by": invited_by,
            }),
        );
        add(
            "product",
            json!({ "sku": format!("AB-{n}"), "title": "Übergröße", "tags": ["a", "ß"] }),
        );
        add("memo", json!({ "body": format!("line\n\"{n}\" \\ ende") }));
        add(
            "event",
            json!({
                "app_id": format!("app{}", n % 7), "kind": "install",
                "occurred_at": format!("2026-11-{:02}T10:00:00.{:03}Z", 1 + n % 28, n % 1000),
                "properties": { "n": n, "f": 0.1 },
            }),
        );
    }
    add(
        "customer",
        json!({ "email": format!("c{many}@x"), "name": "last" }),
    );
    std::fs::write(&file, lines).unwrap();
    let seeded = place.command(&["seed", file.to_str().unwrap()]).output();
    assert_done(&seeded.unwrap());
    let server = place.serve();
    for n in 0..many.min(20) {
        let key = json!({ "email": format!("c{n}@x") });
        server.call(
            "customer_set",
            &json!({ "key": key, "data": { "vip": true } }),
        );
        let key = json!({ "key": { "sku": format!("AB-{n}") } });
        server.call("product_delete", &key);
    }
    let seq = server.call("osis_info", &json!({}))["seq"].as_u64();
    assert!(server.terminate().success());
    seq.unwrap()
}

fn migrate(from: &Place, to: &Place, more: &[&str]) -> Command {
    let (source, target) = (from.url(), to.url());
    let mut command = command(["migrate", "--json", "--from", &source, "--to", &target]);
    command.args(more);
    command
}

fn run(from: &Place, to: &Place, more: &[&str]) -> Output {
    migrate(from, to, more).output().unwrap()
}

fn assert_done(output: &Output) -> Value {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let last = output.stdout.trim_ascii().rsplit(|b| *b == b'\n').next();
    serde_json::from_slice(last.unwrap()).unwrap_or_default()
}

fn assert_refused(output: &Output, why: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(why), "{told}");
}

/// Every object of a store, as it is exported.
fn export(place: &Place) -> Vec<String> {
    let exported = place.command(&["export"]).output().unwrap();
    assert!(exported.status.success(), "{exported:?}");
    let text = String::from_utf8(exported.stdout).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn every_object_arrives_as_it_was_on_every_pair_of_stores() {
    for (from, to) in pairs() {
        let seq = fill(&from, 400);
        let file = to.beside("report.json");
        let done = assert_done(&run(&from, &to, &["--report", file.to_str().unwrap()]));
        assert_eq!(done["types"], from.digest()["types"]);
        assert_eq!(to.digest(), from.digest());
        assert_eq!(export(&to), export(&from), "read by another way");
        assert_eq!(done["types"]["memo"]["count"], 400);
        assert_eq!(done["dropped"], json!([]));
        assert_eq!(done["rollups"], from.digest()["rollups"]);
        let report: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(report, done);
        let server = to.serve();
        for since in [0, 1, seq] {
            let error = server
                .connect()
                .call("osis_changes", &json!({ "since": since }));
            assert_eq!(
                error["error"]["data"]["kind"], "gone",
                "since {since}: {error}"
            );
        }
        let info = server.call("osis_info", &json!({}));
        assert!(info["seq"].as_u64() > Some(seq), "{info}");
        let found = server.call("customer_find", &json!({ "query": "customer 17" }));
        assert_eq!(found["total"], 1);
        assert!(server.terminate().success());
        assert_refused(&run(&from, &to, &[]), "holds objects of");
    }
}

#[test]
fn a_target_that_holds_something_else_is_refused_and_left_as_it_is() {
    for kind in kinds() {
        let (from, to) = (Place::new(Kind::Sqlite), Place::new(kind));
        fill(&from, 3);
        fill(&to, 2);
        let before = to.digest();
        assert_refused(&run(&from, &to, &[]), "holds objects of");
        assert_eq!(to.digest(), before);
    }
    for kind in kinds() {
        let (from, to) = (Place::new(kind), Place::new(kind));
        assert_refused(&run(&from, &to, &[]), "there is no store");
        assert!(!from.is_made() && !to.is_made());
    }
    let (from, to) = (Place::new(Kind::Sqlite), Place::new(Kind::Sqlite));
    fill(&from, 3);
    let same = run(&from, &from, &[]);
    assert_eq!(same.status.code(), Some(2), "{same:?}");
    // A store of another schema, though empty.
    let made = command(["import", "--store", &to.url()]).output().unwrap();
    assert_done(&made);
    assert_refused(&run(&from, &to, &[]), "another schema");
}

#[test]
fn a_run_that_is_killed_at_any_point_is_gone_on_with() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("OSIS_CRASH_SEED").unwrap_or(now.as_nanos() as u64);
    eprintln!("OSIS_CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    for (from, to) in ring() {
        let (from, mut to) = (Place::new(from), Place::new(to));
        fill(&from, 800);
        let (mut cut_off, mut gone_on) = (0, 0);
        for _ in 0..number("OSIS_MIGRATE_KILLS").unwrap_or(6) {
            let mut child = quiet(&mut migrate(&from, &to, &[]));
            std::thread::sleep(Duration::from_millis(dice.roll(800) as u64));
            child.kill().unwrap();
            cut_off += usize::from(!child.wait().unwrap().success());
            if is_unfinished(&to) {
                gone_on += 1;
            } else if to.digest() == from.digest() {
                // It was killed behind its end, or not at all.
                to = Place::new(to.kind());
            }
        }
        eprintln!("{cut_off} runs were cut off, {gone_on} of them in the midst");
        assert_done(&run(&from, &to, &[]));
        assert_eq!(to.digest(), from.digest());
        assert_eq!(export(&to), export(&from));
        assert!(to.serve().terminate().success());
    }
}

/// Whether a store is an unfinished copy: then it is not served. One that is not there is made.
fn is_unfinished(place: &Place) -> bool {
    let mut serve = place.command(&["serve", "--listen", "127.0.0.1:0", "--seed", "none.toml"]);
    let told = serve.output().unwrap();
    assert!(!told.status.success(), "the seed is not there");
    String::from_utf8_lossy(&told.stderr).contains("an unfinished copy of")
}

fn quiet(command: &mut Command) -> Child {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Writes to a server until told to stop; counts the events that it ingests.
fn write_on(server: &Served, writer: usize, stop: &AtomicBool, events: &AtomicU64) {
    let mut connection = server.connect();
    let mut call = |method: &str, params: Value| {
        let answer = connection.call(method, &params);
        assert!(answer.get("error").is_none(), "{answer}");
    };
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("live-{writer}-{n}");
        call("memo_new", json!({ "data": { "id": id, "body": "a" } }));
        match n % 4 {
            0 => call("memo_delete", json!({ "id": id })),
            1 => call(
                "memo_set",
                json!({ "id": id, "data": { "body": format!("b{n}") } }),
            ),
            // Addresses go from one to another.
            2 => {
                let email = format!("{writer}@live");
                let other = json!({ "key": { "email": email }, "upsert": true, "data": {
                    "name": "N", "email": email, "vip": n % 8 == 2 } });
                call("customer_set", other);
            }
            _ => {
                let key = json!({ "email": format!("{writer}@live") });
                call("customer_delete", json!({ "key": key }));
            }
        }
        let day = 1 + n % 28;
        let event =
            |kind: &str, at: String| json!({ "app_id": "live", "kind": kind, "occurred_at": at });
        let items = json!([
            event("late", format!("2026-10-{day:02}T00:00:00Z")),
            event("early", format!("2030-10-{day:02}T00:00:00Z")),
        ]);
        call("event_ingest", json!({ "items": items }));
        events.fetch_add(2, Ordering::Relaxed);
    }
}

/// Follows a store that two writers write to throughout, and ends in one way or the other.
fn follow_under_load(from: &Place, to: &Place, until_caught_up: bool) {
    fill(from, 300);
    let server = from.serve();
    let (stop, events) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (server, stop, events) = (&server, &stop, &events);
                scope.spawn(move || write_on(server, writer, stop, events))
            })
            .collect();
        let more: &[&str] = match until_caught_up {
            true => &["--follow", "--until-caught-up"],
            false => &["--follow"],
        };
        let mut child = migrate(from, to, more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if until_caught_up {
            // What was copied is what was there at one moment: it is verified, and it ends.
            let told: Vec<String> = lines.map(Result::unwrap).collect();
            assert!(child.wait().unwrap().success(), "{told:?}");
            stop.store(true, Ordering::Relaxed);
            writers
                .into_iter()
                .for_each(|writer| writer.join().unwrap());
            assert!(events.load(Ordering::Relaxed) > 0, "the load was none");
            return;
        }
        std::thread::sleep(Duration::from_secs(2));
        let all_write = || !writers.iter().any(ScopedJoinHandle::is_finished);
        while events.load(Ordering::Relaxed) < 100 && all_write() {
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        let events = events.load(Ordering::Relaxed);
        assert_eq!(lines.next().unwrap().unwrap(), "caught up");
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let told: Vec<String> = lines.map(Result::unwrap).collect();
        assert!(child.wait().unwrap().success(), "{told:?}");
        let report: Value = serde_json::from_str(told.last().unwrap()).unwrap();
        assert_eq!(report["types"]["event"]["count"], 300 + events);
    });
    assert!(server.terminate().success());
    if !until_caught_up {
        assert_eq!(to.digest(), from.digest());
        assert_eq!(export(to), export(from));
    }
    assert!(to.serve().terminate().success());
}

#[test]
fn a_live_store_is_followed_and_nothing_is_lost_or_doubled() {
    for (from, to) in ring() {
        follow_under_load(&Place::new(from), &Place::new(to), false);
    }
}

#[test]
fn a_live_store_is_left_once_it_is_caught_up_with() {
    for (from, to) in ring() {
        follow_under_load(&Place::new(from), &Place::new(to), true);
    }
}
