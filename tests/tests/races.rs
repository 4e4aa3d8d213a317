//! Races: several processes that open, seed and change one store at the same moment.
//!
//! The stories that this project exists for: two replicas seeded duplicates; counters lost counts.
//! The processes are the `osis` binary, so that all of opening, locking and committing is between
//! them and nothing of this process. `OSIS_RACE_ROUNDS` races that often.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Barrier;

use osis_tests::binary::Served;
use osis_tests::dice::number;
use osis_tests::fixture::{OBJECTS, catalogue};
use osis_tests::places::{Kind, Place};
use serde_json::{Value, json};

osis_tests::on_every_store!(
    processes_that_seed_at_once_leave_one_copy,
    servers_that_open_a_new_store_at_once_share_it,
    a_cursor_goes_on_on_another_replica_and_after_a_restart,
    servers_that_seed_at_start_leave_one_copy,
    increments_guarded_by_a_revision_are_exact,
    counters_that_merge_are_exact,
    upserts_of_one_key_make_one_object,
    a_key_has_one_winner,
    the_feed_has_every_commit_once_and_in_order,
    readers_see_whole_transactions_of_other_processes,
    a_wait_ends_with_a_change_of_another_process,
    a_seed_by_hand_and_a_server_agree,
);

/// A store that is not there yet, and a seed for it.
struct Fresh {
    place: Place,
}

impl Fresh {
    fn new(kind: Kind) -> Self {
        let fresh = Self {
            place: Place::new(kind),
        };
        std::fs::write(fresh.seed(), catalogue().to_string()).unwrap();
        fresh
    }

    fn seed(&self) -> PathBuf {
        self.place.beside("seed.json")
    }

    fn serve(&self) -> Served {
        self.place.serve()
    }

    fn start_seed(&self) -> Child {
        let seed = self.seed();
        let mut command = self
            .place
            .command(&["seed", "--json", seed.to_str().unwrap()]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// What a seed reported: created, unchanged.
fn report(child: Child) -> (u64, u64) {
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "a seed failed: {told}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["updated"], 0, "{report}");
    (
        report["created"].as_u64().unwrap(),
        report["unchanged"].as_u64().unwrap(),
    )
}

fn assert_one_copy(fresh: &Fresh) {
    let server = fresh.serve();
    let info = server.call("osis_info", &json!({}));
    for (ty, objects) in catalogue().as_object().unwrap() {
        assert_eq!(
            info["counts"][ty],
            objects.as_array().unwrap().len(),
            "{ty}: {info}"
        );
    }
    let found = server.call("app_find", &json!({ "query": "many", "limit": 1 }));
    assert_eq!(found["total"], 40);
    let feed = server.call("osis_changes", &json!({ "since": 0, "limit": 1000 }));
    assert_eq!(
        feed["changes"].as_array().map(Vec::len),
        usize::try_from(OBJECTS).ok()
    );
    assert!(server.terminate().success());
}

fn processes_that_seed_at_once_leave_one_copy(kind: Kind) {
    for (processes, rounds) in [(2, 4), (8, 3)] {
        for _ in 0..number("OSIS_RACE_ROUNDS").unwrap_or(rounds) {
            let fresh = Fresh::new(kind);
            let children: Vec<Child> = (0..processes).map(|_| fresh.start_seed()).collect();
            let mut reports: Vec<_> = children.into_iter().map(report).collect();
            reports.sort_unstable();
            let mut wanted = vec![(0, OBJECTS); processes - 1];
            wanted.push((OBJECTS, 0));
            assert_eq!(
                reports, wanted,
                "exactly one process creates, and it creates all"
            );
            assert_one_copy(&fresh);
        }
    }
}

fn servers_that_open_a_new_store_at_once_share_it(kind: Kind) {
    let fresh = Fresh::new(kind);
    let servers: Vec<Served> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..4).map(|_| scope.spawn(|| fresh.serve())).collect();
        starting
            .into_iter()
            .map(|server| server.join().unwrap())
            .collect()
    });
    for (n, server) in servers.iter().enumerate() {
        let data = json!({ "id": format!("memo-{n}"), "body": "a" });
        server.call("memo_new", &json!({ "data": data }));
        for other in &servers {
            let got = other.call("memo_get", &json!({ "id": format!("memo-{n}") }));
            assert_eq!(
                got["body"], "a",
                "every replica sees what another acknowledged"
            );
        }
        let data = json!({ "email": format!("{n}@x"), "name": format!("word{n}") });
        server.call("customer_new", &json!({ "data": data }));
        for other in &servers {
            let query = json!({ "query": format!("word{n}"), "typo": false });
            assert_eq!(
                other.call("customer_find", &query)["total"],
                1,
                "searches too"
            );
        }
    }
}

fn a_cursor_goes_on_on_another_replica_and_after_a_restart(kind: Kind) {
    let fresh = Fresh::new(kind);
    let server = fresh.serve();
    server.call("osis_seed", &json!({ "objects": catalogue() }));
    let whole = server.call("app_list", &json!({ "sort": "-name" }));
    let mut params = json!({ "sort": "-name", "limit": 15 });
    let mut walked = server.call("app_list", &params);
    params["cursor"] = walked["next_cursor"].clone();
    let other = fresh.serve();
    let second = other.call("app_list", &params);
    assert!(server.terminate().success() && other.terminate().success());
    params["cursor"] = second["next_cursor"].clone();
    let third = fresh.serve().call("app_list", &params);
    let items = walked["items"].as_array_mut().unwrap();
    items.extend(
        [&second, &third]
            .iter()
            .flat_map(|page| page["items"].as_array().unwrap().clone()),
    );
    assert_eq!(walked["items"], whole["items"]);
    assert!(third["next_cursor"].is_null());
}

fn servers_that_seed_at_start_leave_one_copy(kind: Kind) {
    for _ in 0..number("OSIS_RACE_ROUNDS").unwrap_or(3) {
        let fresh = Fresh::new(kind);
        let seed = fresh.seed();
        let servers: Vec<Served> = std::thread::scope(|scope| {
            let start = || {
                let with_seed = ["--seed".to_owned(), seed.display().to_string()];
                Served::start(with_seed.into_iter().chain(fresh.place.options()))
            };
            let starting: Vec<_> = (0..3).map(|_| scope.spawn(start)).collect();
            starting
                .into_iter()
                .map(|server| server.join().unwrap())
                .collect()
        });
        for server in &servers {
            let apps = server.call("app_count", &json!({}))["count"].as_u64();
            let wanted = catalogue()["app"].as_array().map(Vec::len);
            assert_eq!(
                apps,
                wanted.map(|n| n as u64),
                "it serves what it was to seed"
            );
        }
        servers
            .into_iter()
            .for_each(|server| assert!(server.terminate().success()));
        assert_one_copy(&fresh);
    }
}

/// Runs workers on two servers of one store, all beginning at the same moment.
fn with_workers(
    kind: Kind,
    workers: usize,
    work: impl Fn(usize, &mut dyn FnMut(&str, &Value) -> Value) + Sync,
) -> Fresh {
    let fresh = Fresh::new(kind);
    let servers = [fresh.serve(), fresh.serve()];
    let together = Barrier::new(workers);
    std::thread::scope(|scope| {
        for n in 0..workers {
            let (server, together, work) = (&servers[n % 2], &together, &work);
            scope.spawn(move || {
                let mut connection = server.connect();
                together.wait();
                work(n, &mut |method, params| connection.call(method, params));
            });
        }
    });
    servers
        .into_iter()
        .for_each(|server| assert!(server.terminate().success()));
    fresh
}

const WORKERS: usize = 8;
const TIMES: usize = 40;

fn the_tally(fresh: &Fresh) -> Value {
    let server = fresh.serve();
    let tally = server.call("tally_get", &json!({ "key": { "name": "t" } }));
    assert!(server.terminate().success());
    tally
}

fn increments_guarded_by_a_revision_are_exact(kind: Kind) {
    let fresh = with_workers(kind, WORKERS, |_, call| {
        for _ in 0..TIMES {
            loop {
                let key = json!({ "name": "t" });
                let now = call("tally_get", &json!({ "key": key }));
                let (rev, hits) = match now.get("result") {
                    Some(tally) => (
                        tally["rev"].as_i64().unwrap(),
                        tally["hits"].as_i64().unwrap(),
                    ),
                    None => (0, 0),
                };
                let set = json!({
                    "key": key, "data": { "hits": hits + 1 }, "if_rev": rev, "upsert": rev == 0,
                });
                let answer = call("tally_set", &set);
                match answer["error"]["data"]["kind"].as_str() {
                    None => break,
                    Some("rev_mismatch") => {}
                    Some(other) => panic!("{other}: {answer}"),
                }
            }
        }
    });
    let tally = the_tally(&fresh);
    assert_eq!(
        (&tally["hits"], &tally["rev"]),
        (&json!(WORKERS * TIMES), &json!(WORKERS * TIMES))
    );
}

fn counters_that_merge_are_exact(kind: Kind) {
    let fresh = with_workers(kind, WORKERS, |n, call| {
        for time in 0..TIMES {
            let data = json!({
                "hits": 1, "best": n * TIMES + time, "names": [format!("w{}", n % 4)], "origin": format!("w{n}"),
            });
            let set =
                json!({ "key": { "name": "t" }, "mode": "merge", "upsert": true, "data": data });
            let answer = call("tally_set", &set);
            assert!(answer.get("result").is_some(), "{answer}");
        }
    });
    let tally = the_tally(&fresh);
    assert_eq!(
        (&tally["hits"], &tally["rev"]),
        (&json!(WORKERS * TIMES), &json!(WORKERS * TIMES))
    );
    assert_eq!(tally["best"], WORKERS * TIMES - 1);
    let names: BTreeSet<&str> = tally["names"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(names, BTreeSet::from(["w0", "w1", "w2", "w3"]));
}

fn upserts_of_one_key_make_one_object(kind: Kind) {
    let fresh = with_workers(kind, WORKERS, |n, call| {
        for round in 0..20 {
            let email = format!("{}@x", round % 5);
            let set = json!({
                "key": { "email": email }, "upsert": true, "data": { "name": format!("w{n}r{round}") },
            });
            let answer = call("customer_set", &set);
            assert!(answer.get("result").is_some(), "{answer}");
        }
    });
    let server = fresh.serve();
    let customers = server.call("customer_list", &json!({ "sort": "email" }));
    let items = customers["items"].as_array().unwrap();
    assert_eq!(items.len(), 5, "{customers}");
    for (n, customer) in items.iter().enumerate() {
        assert_eq!(customer["email"], format!("{n}@x"));
        // No two of them write the same name, so each upsert is a revision.
        assert_eq!(customer["rev"], WORKERS * 20 / 5, "{customer}");
    }
    assert!(server.terminate().success());
}

fn a_key_has_one_winner(kind: Kind) {
    let winners = std::sync::Mutex::new(Vec::new());
    let fresh = with_workers(kind, WORKERS, |n, call| {
        for round in 0..20 {
            let data = json!({ "name": format!("w{n}"), "email": format!("round{round}@x") });
            let answer = call("customer_new", &json!({ "data": data }));
            match answer.get("result") {
                Some(made) => winners.lock().unwrap().push((round, made["id"].clone())),
                None => assert_eq!(answer["error"]["data"]["kind"], "conflict", "{answer}"),
            }
        }
    });
    let mut winners = winners.into_inner().unwrap();
    winners.sort_by_key(|(round, _)| *round);
    let rounds: Vec<usize> = winners.iter().map(|(round, _)| *round).collect();
    assert_eq!(rounds, (0..20).collect::<Vec<_>>());
    let server = fresh.serve();
    for (round, id) in winners {
        let key = json!({ "key": { "email": format!("round{round}@x") } });
        assert_eq!(server.call("customer_get", &key)["id"], id);
    }
}

fn the_feed_has_every_commit_once_and_in_order(kind: Kind) {
    let fresh = with_workers(kind, WORKERS, |n, call| {
        for time in 0..20 {
            let memo = |part: u32| {
                let data = json!({ "id": format!("memo-{n}-{time}-{part}"), "body": "a" });
                json!({ "method": "memo_new", "params": { "data": data } })
            };
            call("osis_transaction", &json!({ "ops": [memo(0), memo(1)] }));
        }
    });
    let server = fresh.serve();
    let feed = server.call("osis_changes", &json!({ "since": 0, "limit": 1000 }));
    let changes = feed["changes"].as_array().unwrap();
    assert_eq!(changes.len(), WORKERS * 20 * 2);
    let ids: BTreeSet<&str> = changes
        .iter()
        .map(|change| change["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), changes.len());
    let seqs: Vec<u64> = changes
        .iter()
        .map(|change| change["seq"].as_u64().unwrap())
        .collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    for pair in changes.chunks(2) {
        assert_eq!(pair[0]["seq"], pair[1]["seq"], "the records of one commit");
        let stem = |change: &Value| {
            change["id"]
                .as_str()
                .unwrap()
                .rsplit_once('-')
                .unwrap()
                .0
                .to_owned()
        };
        assert_eq!(stem(&pair[0]), stem(&pair[1]));
    }
}

fn readers_see_whole_transactions_of_other_processes(kind: Kind) {
    let fresh = Fresh::new(kind);
    let (writer, reader) = (fresh.serve(), fresh.serve());
    for name in ["a", "b"] {
        writer.call("tally_new", &json!({ "data": { "name": name, "hits": 0 } }));
    }
    let add = |name: &str| {
        let params = json!({ "key": { "name": name }, "mode": "merge", "data": { "hits": 1 } });
        json!({ "method": "tally_set", "params": params })
    };
    let both = json!({ "ops": [add("a"), add("b")] });
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut connection = writer.connect();
            (0..200).for_each(|_| drop(connection.call("osis_transaction", &both)));
        });
        let mut connection = reader.connect();
        while !writing.is_finished() {
            let listed = connection.call("tally_list", &json!({ "sort": "name" }));
            let items = &listed["result"]["items"];
            assert_eq!(
                items[0]["hits"], items[1]["hits"],
                "half of a transaction: {listed}"
            );
        }
    });
    let after = reader.call("tally_get", &json!({ "key": { "name": "a" } }));
    assert_eq!(after["hits"], 200, "the last one too");
}

fn a_wait_ends_with_a_change_of_another_process(kind: Kind) {
    let fresh = Fresh::new(kind);
    let (reader, writer) = (fresh.serve(), fresh.serve());
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| reader.call("osis_changes", &json!({ "since": 0, "wait_ms": 25_000 })));
        let data = json!({ "id": "memo-1", "body": "a" });
        writer.call("memo_new", &json!({ "data": data }));
        let feed = waiting.join().unwrap();
        assert_eq!(
            feed["changes"][0]["id"], "memo-1",
            "it waited to the end: {feed}"
        );
    });
}

fn a_seed_by_hand_and_a_server_agree(kind: Kind) {
    let fresh = Fresh::new(kind);
    let server = fresh.serve();
    let by_hand = fresh.start_seed();
    let objects = json!({ "objects": catalogue() });
    let by_server = server.call("osis_seed", &objects);
    let (created, _) = report(by_hand);
    assert_eq!(created + by_server["created"].as_u64().unwrap(), OBJECTS);
    assert!(server.terminate().success());
    assert_one_copy(&fresh);
}
