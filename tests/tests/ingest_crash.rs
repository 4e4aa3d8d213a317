//! kill -9 during ingest: no acknowledged event is lost, none is doubled by sending it again, and
//! events, counts and roll-ups agree.
//!
//! Writers send events in calls of some dozens, and each call that was not answered again to the next
//! server, as clients do. `OSIS_CRASH_ROUNDS` runs more rounds, `OSIS_CRASH_SEED` the same ones again.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use osis_tests::binary::Served;
use osis_tests::dice::{Dice, number};
use osis_tests::http::Connection;
use osis_tests::places::{Kind, Place};
use serde_json::{Value, json};

osis_tests::on_every_store!(events_and_roll_ups_agree_after_kill_9);

const WRITERS: usize = 4;

/// Noon on the second of March 2026 in milliseconds since 1970: within a day of all times here.
const NOON: u64 = 1_772_452_800_000;

/// What one writer knows of its events.
struct Ledger {
    writer: usize,
    made: usize,
    /// What is there of each event, by id: page, day and time taken.
    acknowledged: BTreeMap<String, Event>,
    /// The calls that were not answered.
    unanswered: Vec<Call>,
}

type Event = (String, String, Option<i64>);

/// A write that is sent until it is answered.
#[derive(Clone)]
struct Call {
    method: &'static str,
    params: Value,
    /// What becomes of events by it.
    becomes: Vec<(String, Option<Event>)>,
}

fn events_and_roll_ups_agree_after_kill_9(kind: Kind) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("OSIS_CRASH_SEED").unwrap_or(now.as_nanos() as u64);
    eprintln!("OSIS_CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    let place = Place::new(kind);
    let ledger = |writer| Ledger {
        writer,
        made: 0,
        acknowledged: BTreeMap::new(),
        unanswered: Vec::new(),
    };
    let mut ledgers: Vec<Ledger> = (0..WRITERS).map(ledger).collect();
    for _ in 0..number("OSIS_CRASH_ROUNDS").unwrap_or(10) {
        let server = place.serve();
        ledgers = load_and_kill(server, ledgers, 1 + dice.roll(40), &mut dice);
        let server = place.serve();
        agree(&server);
        let mut connection = server.connect();
        for ledger in &mut ledgers {
            while let Some(call) = ledger.unanswered.pop() {
                assert!(ledger.send(&mut connection, call), "the server is gone");
            }
        }
        verify(&server, &ledgers);
        agree(&server);
        assert!(server.terminate().success());
    }
    let acknowledged: usize = ledgers.iter().map(|ledger| ledger.acknowledged.len()).sum();
    assert!(
        acknowledged > 200,
        "the load was none: {acknowledged} events"
    );
    let before = place.digest();
    assert_ne!(before["rollups"]["visit"]["count"], 0);
    if kind == Kind::File {
        std::fs::remove_dir_all(place.path().join(".osis")).unwrap();
        assert_eq!(
            place.digest(),
            before,
            "without .osis it holds something else"
        );
    }
}

/// Lets the writers write until so many calls are acknowledged, and kills the server then.
fn load_and_kill(
    server: Served,
    ledgers: Vec<Ledger>,
    after: usize,
    dice: &mut Dice,
) -> Vec<Ledger> {
    let acknowledged = AtomicUsize::new(0);
    let address = server.address();
    std::thread::scope(|scope| {
        let writing: Vec<_> = ledgers
            .into_iter()
            .map(|mut ledger| {
                let (mut dice, acknowledged) = (dice.child(), &acknowledged);
                scope.spawn(move || {
                    let Ok(mut connection) = Connection::try_open(address) else {
                        return ledger;
                    };
                    loop {
                        let call = ledger.next(&mut dice);
                        if !ledger.send(&mut connection, call) {
                            return ledger;
                        }
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        while acknowledged.load(Ordering::Relaxed) < after {
            std::thread::yield_now();
        }
        server.kill();
        let ledgers = writing.into_iter().map(|writer| writer.join().unwrap());
        ledgers.collect()
    })
}

impl Ledger {
    /// A write that nobody has sent before: mostly events, some of them twice; now and then a change
    /// or a delete.
    fn next(&mut self, dice: &mut Dice) -> Call {
        let known: Vec<&String> = self.acknowledged.keys().collect();
        match dice.roll(8) {
            0 if !known.is_empty() => {
                let id = (*dice.one_of(&known)).clone();
                let (page, day, _) = self.acknowledged[&id].clone();
                let took = i64::try_from(dice.roll(1000)).unwrap();
                Call {
                    method: "visit_set",
                    params: json!({ "id": id, "data": { "took_ms": took } }),
                    becomes: vec![(id, Some((page, day, Some(took))))],
                }
            }
            1 if !known.is_empty() => {
                let id = (*dice.one_of(&known)).clone();
                Call {
                    method: "visit_delete",
                    params: json!({ "id": id }),
                    becomes: vec![(id, None)],
                }
            }
            _ => self.ingest(dice),
        }
    }

    fn ingest(&mut self, dice: &mut Dice) -> Call {
        let mut items = Vec::new();
        let mut becomes = Vec::new();
        for _ in 0..1 + dice.roll(60) {
            self.made += 1;
            let id = format!(
                "{:08x}-{:04x}-7000-8000-{:04x}{:08x}",
                NOON >> 16,
                NOON & 0xffff,
                self.writer,
                self.made
            );
            let page = format!("p{}", dice.roll(5));
            let day = format!("2026-03-0{}", 1 + dice.roll(3));
            let hour = if day.ends_with('1') { "23" } else { "07" };
            let took = (dice.roll(4) > 0).then(|| i64::try_from(dice.roll(1000)).unwrap());
            let at = format!("{day}T{hour}:00:00.000Z");
            items.push(json!({ "id": id, "page": page, "at": at, "took_ms": took }));
            becomes.push((id, Some((page, day, took))));
        }
        if dice.roll(3) == 0 {
            items.push(items[0].clone());
        }
        Call {
            method: "visit_ingest",
            params: json!({ "items": items }),
            becomes,
        }
    }

    /// Sends a call; whether it was answered.
    fn send(&mut self, connection: &mut Connection, call: Call) -> bool {
        let Ok(answer) = connection.try_call(call.method, &call.params) else {
            self.unanswered.push(call);
            return false;
        };
        let is_gone = answer["error"]["data"]["kind"] == "not_found";
        let was_done = call.method == "visit_delete" && is_gone;
        assert!(was_done || answer.get("result").is_some(), "{answer}");
        for (id, event) in call.becomes {
            match event {
                Some(event) => drop(self.acknowledged.insert(id, event)),
                None => drop(self.acknowledged.remove(&id)),
            }
        }
        true
    }
}

/// Holds the events against the ledgers.
fn verify(server: &Served, ledgers: &[Ledger]) {
    let mut there: BTreeMap<String, Event> = BTreeMap::new();
    let mut params = json!({ "limit": 1000 });
    loop {
        let mut page = server.call("visit_list", &params);
        for visit in page["items"].as_array().unwrap() {
            let text = |name: &str| visit[name].as_str().unwrap().to_owned();
            let event = (
                text("page"),
                text("at")[..10].to_owned(),
                visit["took_ms"].as_i64(),
            );
            assert!(there.insert(text("id"), event).is_none(), "twice: {visit}");
        }
        if page["next_cursor"].is_null() {
            break;
        }
        params["cursor"] = page["next_cursor"].take();
    }
    let acknowledged = ledgers
        .iter()
        .flat_map(|ledger| ledger.acknowledged.clone());
    let acknowledged: BTreeMap<String, Event> = acknowledged.collect();
    let others = |these: &BTreeMap<String, Event>, those: &BTreeMap<String, Event>| {
        let only = these
            .iter()
            .filter(|(id, event)| those.get(*id) != Some(event));
        only.map(|(id, event)| (id.clone(), event.clone()))
            .collect::<Vec<_>>()
    };
    let (lost, strange) = (others(&acknowledged, &there), others(&there, &acknowledged));
    assert!(
        lost.is_empty() && strange.is_empty(),
        "acknowledged, and not there: {lost:?}; there, and not acknowledged: {strange:?}"
    );
}

/// The roll-up has the numbers of the events.
fn agree(server: &Served) {
    let mut params = json!({
        "bucket": { "field": "at", "unit": "day" }, "group_by": ["page"],
        "metrics": ["count", "sum:took_ms", "max:took_ms"],
    });
    let rolled_up = server.call("visit_aggregate", &params);
    assert_eq!(rolled_up["source"], "rollup");
    // No roll-up knows of revisions.
    params["filter"] = json!({ "rev": { "gte": 1 } });
    let raw = server.call("visit_aggregate", &params);
    assert_eq!(raw["source"], "raw");
    assert_eq!(rolled_up["rows"], raw["rows"]);
}
