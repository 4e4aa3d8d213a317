//! Two hosts on one volume: a file store on a real GlusterFS volume of two replicas, mounted twice.
//!
//! The machine that runs this stands for both hosts: each has its mount, its processes and its
//! caches. What holds on one disk must hold here: seeds once, counters exact, nothing lost that was
//! acknowledged. `OSIS_GLUSTER_ROUNDS` runs more rounds; where the machine cannot have a volume
//! (see `scripts/gluster-volume`), the tests say that they are skipped.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use osis_tests::binary::Served;
use osis_tests::dice::{Dice, number};
use osis_tests::fixture::{OBJECTS, catalogue};
use osis_tests::http::Connection;
use osis_tests::places::Place;
use osis_tests::volume::Volume;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How late another host may see what was acknowledged (§1).
const SEEN_WITHIN: Duration = Duration::from_secs(1);

fn rounds() -> u64 {
    number("OSIS_GLUSTER_ROUNDS").unwrap_or(3)
}

/// Both hosts must read the same content.
fn assert_same_digest(hosts: &[Place; 2]) -> Value {
    let [first, second] = [hosts[0].digest(), hosts[1].digest()];
    assert_eq!(first, second, "the hosts disagree");
    first
}

/// Calls until the answer is as wanted; how long that took. Fails where it takes longer than
/// another host may lag.
fn seen(what: &str, mut look: impl FnMut() -> Value, wanted: impl Fn(&Value) -> bool) -> Duration {
    let begun = Instant::now();
    loop {
        let sent = begun.elapsed();
        let answer = look();
        if wanted(&answer) {
            return begun.elapsed();
        }
        assert!(
            sent < SEEN_WITHIN,
            "{what} is not to be seen on the other host after {sent:?}: {answer}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn start_seed(place: &Place, seed: &str) -> Child {
    let mut command = place.command(&["seed", "--json", seed]);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a seed reported: created, unchanged.
fn report(child: Child) -> (u64, u64) {
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "a seed failed: {told}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    (
        report["created"].as_u64().unwrap(),
        report["unchanged"].as_u64().unwrap(),
    )
}

#[test]
fn hosts_that_seed_at_once_leave_one_copy() {
    const PROCESSES: usize = 8;
    let Some(volume) = Volume::up("hosts_that_seed_at_once_leave_one_copy") else {
        return;
    };
    let local = TempDir::new().unwrap();
    let seed = local.path().join("seed.json");
    std::fs::write(&seed, catalogue().to_string()).unwrap();
    for round in 0..rounds() {
        let hosts = volume.store(&format!("store-{round}"));
        let started = Instant::now();
        let seeding: Vec<Child> = (0..PROCESSES)
            .map(|n| start_seed(&hosts[n % 2], seed.to_str().unwrap()))
            .collect();
        let mut reports: Vec<_> = seeding.into_iter().map(report).collect();
        eprintln!(
            "round {round}: {PROCESSES} seeds in {:?}",
            started.elapsed()
        );
        reports.sort_unstable();
        let mut wanted = vec![(0, OBJECTS); PROCESSES - 1];
        wanted.push((OBJECTS, 0));
        assert_eq!(reports, wanted, "one process creates, and it creates all");
        let servers = hosts.each_ref().map(Place::serve);
        for server in &servers {
            let info = server.call("osis_info", &json!({}));
            for (ty, objects) in catalogue().as_object().unwrap() {
                let wanted = objects.as_array().unwrap().len();
                assert_eq!(info["counts"][ty], wanted, "{ty}: {info}");
            }
            let find = json!({ "query": "many", "limit": 1 });
            assert_eq!(server.call("app_find", &find)["total"], 40);
            let feed = server.call("osis_changes", &json!({ "since": 0, "limit": 1000 }));
            let changes = feed["changes"].as_array().unwrap().len();
            assert_eq!(changes, usize::try_from(OBJECTS).unwrap());
        }
        for server in servers {
            assert!(server.terminate().success());
        }
        assert_same_digest(&hosts);
    }
}

#[test]
fn counters_of_both_hosts_are_exact() {
    const WORKERS: usize = 8;
    const TIMES: usize = 15;
    let Some(volume) = Volume::up("counters_of_both_hosts_are_exact") else {
        return;
    };
    let hosts = volume.store("store");
    // Two processes a host.
    let servers: [Served; 4] = std::array::from_fn(|n| hosts[n % 2].serve());
    let data = |name: &str| json!({ "data": { "name": name, "hits": 0 } });
    for name in ["guarded", "merged"] {
        servers[0].call("tally_new", &data(name));
        for server in &servers {
            let filter = json!({ "filter": { "name": name } });
            let count = || server.call("tally_count", &filter);
            seen("the counter", count, |answer| answer["count"] == 1);
        }
    }
    let together = Barrier::new(WORKERS);
    std::thread::scope(|scope| {
        for n in 0..WORKERS {
            let (server, together) = (&servers[n % 4], &together);
            scope.spawn(move || {
                let mut connection = server.connect();
                together.wait();
                for _ in 0..TIMES {
                    increment_guarded(&mut connection);
                    let merge = json!({
                        "key": { "name": "merged" }, "mode": "merge", "upsert": true,
                        "data": { "hits": 1, "names": [format!("w{}", n % 4)] },
                    });
                    let answer = connection.call("tally_set", &merge);
                    assert!(answer.get("result").is_some(), "{answer}");
                }
            });
        }
    });
    for server in &servers {
        for name in ["guarded", "merged"] {
            let get = json!({ "key": { "name": name } });
            let exact = |tally: &Value| tally["hits"] == WORKERS * TIMES;
            seen(name, || server.call("tally_get", &get), exact);
            let tally = server.call("tally_get", &get);
            assert_eq!(tally["rev"], WORKERS * TIMES + 1, "{tally}");
        }
    }
    for server in servers {
        assert!(server.terminate().success());
    }
    assert_same_digest(&hosts);
}

/// Adds one by compare-and-swap, until nobody was quicker.
fn increment_guarded(connection: &mut Connection) {
    let key = json!({ "name": "guarded" });
    loop {
        let now = connection.call("tally_get", &json!({ "key": key }));
        let (rev, hits) = (&now["result"]["rev"], now["result"]["hits"].as_i64());
        let set = json!({ "key": key, "if_rev": rev, "data": { "hits": hits.unwrap() + 1 } });
        let answer = connection.call("tally_set", &set);
        match answer["error"]["data"]["kind"].as_str() {
            None => return,
            Some("rev_mismatch") => {}
            Some(other) => panic!("{other}: {answer}"),
        }
    }
}

#[test]
fn what_one_host_acknowledges_the_other_sees() {
    let Some(volume) = Volume::up("what_one_host_acknowledges_the_other_sees") else {
        return;
    };
    let hosts = volume.store("store");
    let servers = hosts.each_ref().map(Place::serve);
    let mut longest = BTreeMap::new();
    for n in 0..40 {
        let (writer, reader) = (&servers[n % 2], &servers[(n + 1) % 2]);
        let mut took = |what: &'static str, time: Duration| {
            let known: &mut Duration = longest.entry(what).or_default();
            *known = time.max(*known);
        };
        let id = format!("customer-{n}");
        let get = json!({ "filter": { "id": id } });
        // The reader has looked in vain: its mount may remember that.
        assert_eq!(reader.call("customer_count", &get)["count"], 0);
        let data = json!({ "id": id, "name": format!("word{n}"), "email": format!("{n}@x") });
        writer.call("customer_new", &json!({ "data": data }));
        let count = || reader.call("customer_count", &get);
        took(
            "new",
            seen("a new object", count, |answer| answer["count"] == 1),
        );
        let find = json!({ "query": format!("word{n}"), "typo": false });
        let found = || reader.call("customer_find", &find);
        took(
            "find",
            seen("its name", found, |answer| answer["total"] == 1),
        );
        writer.call(
            "customer_set",
            &json!({ "id": id, "data": { "name": format!("other{n}") } }),
        );
        let object = || reader.call("customer_get", &json!({ "id": id }));
        took("set", seen("a change", object, |answer| answer["rev"] == 2));
        if n % 4 == 0 {
            writer.call("customer_delete", &json!({ "id": id }));
            took(
                "delete",
                seen("a delete", count, |answer| answer["count"] == 0),
            );
        }
    }
    eprintln!("the longest that it took until the other host saw: {longest:?}");
    for server in servers {
        assert!(server.terminate().success());
    }
    assert_same_digest(&hosts);
}

/// What a writer was told of its objects: the revision, or that they are gone.
type Ledger = BTreeMap<String, Option<i64>>;

#[test]
fn a_host_that_is_killed_loses_nothing() {
    const WRITERS: usize = 6;
    let Some(volume) = Volume::up("a_host_that_is_killed_loses_nothing") else {
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("OSIS_CRASH_SEED").unwrap_or(now.as_nanos() as u64);
    eprintln!("OSIS_CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    let hosts = volume.store("store");
    let mut acknowledged = Ledger::new();
    for round in 0..rounds() {
        let servers = hosts.each_ref().map(Place::serve);
        let doomed = dice.roll(2);
        let addresses = servers.each_ref().map(Served::address);
        let mut servers = servers.map(Some);
        let after = 20 + dice.roll(60);
        let (count, stop) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let ledgers = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (count, stop, ledgers) = (&count, &stop, &ledgers);
                scope.spawn(move || {
                    let mut connection = Connection::open(addresses[writer % 2]);
                    let mut ledger = Ledger::new();
                    let mut n = 0;
                    while stop.load(Ordering::Relaxed) == 0 {
                        let id = format!("memo-{round}-{writer}-{n}");
                        if !write(&mut connection, &id, n, &mut ledger) {
                            break;
                        }
                        count.fetch_add(1, Ordering::Relaxed);
                        n += 1;
                    }
                    ledgers.lock().unwrap().push(ledger);
                });
            }
            while count.load(Ordering::Relaxed) < after {
                std::thread::yield_now();
            }
            servers[doomed].take().unwrap().kill();
            // The other one goes on, also past what the dead one was at.
            let goal = count.load(Ordering::Relaxed) + 30;
            while count.load(Ordering::Relaxed) < goal {
                std::thread::yield_now();
            }
            stop.store(1, Ordering::Relaxed);
        });
        for ledger in ledgers.into_inner().unwrap() {
            acknowledged.extend(ledger);
        }
        let survivor = servers[1 - doomed].take().unwrap();
        verify(&survivor, &acknowledged);
        let again = hosts[doomed].serve();
        verify(&again, &acknowledged);
        assert!(survivor.terminate().success() && again.terminate().success());
        assert_same_digest(&hosts);
    }
    assert!(acknowledged.len() > 20, "the load was none");
}

/// Makes a memo, changes every second one, deletes every fifth; whether all was acknowledged.
fn write(connection: &mut Connection, id: &str, n: usize, ledger: &mut Ledger) -> bool {
    let mut call = |method: &str, params: &Value, state: Option<i64>| {
        // What is under way when the server dies may have happened or not.
        let known = ledger.remove(id);
        let Ok(answer) = connection.try_call(method, params) else {
            return false;
        };
        assert!(
            answer.get("result").is_some(),
            "{method} {params} {known:?}: {answer}"
        );
        ledger.insert(id.to_owned(), state);
        true
    };
    call(
        "memo_new",
        &json!({ "data": { "id": id, "body": "a" } }),
        Some(1),
    ) && (!n.is_multiple_of(2)
        || call(
            "memo_set",
            &json!({ "id": id, "data": { "body": "b" } }),
            Some(2),
        ))
        && (!n.is_multiple_of(5) || call("memo_delete", &json!({ "id": id }), None))
}

/// Every acknowledged state is there, within the time that another host may lag.
fn verify(server: &Served, acknowledged: &Ledger) {
    let missing = || -> Value {
        let mut there = BTreeMap::new();
        let mut params = json!({ "limit": 1000 });
        loop {
            let mut page = server.call("memo_list", &params);
            for memo in page["items"].as_array().unwrap() {
                there.insert(
                    memo["id"].as_str().unwrap().to_owned(),
                    memo["rev"].as_i64(),
                );
            }
            if page["next_cursor"].is_null() {
                break;
            }
            params["cursor"] = page["next_cursor"].take();
        }
        let lost = acknowledged
            .iter()
            .filter(|(id, state)| there.get(*id).copied().flatten() != **state);
        lost.map(|(id, state)| json!([id, state, there.get(id)]))
            .collect()
    };
    seen("what was acknowledged", missing, |lost| *lost == json!([]));
}
