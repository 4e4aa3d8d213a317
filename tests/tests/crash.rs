//! kill -9 under load: what was acknowledged is there afterwards, and the rest is whole.
//!
//! Writers keep a ledger of what a server acknowledged: of each app the last state that they know
//! of, and the one change whose answer they were still waiting for when the server died, which may
//! or may not have happened. After each restart the store is held against the ledgers; the rounds
//! go on in the same store. `OSIS_CRASH_ROUNDS` runs more rounds, `OSIS_CRASH_SEED` the same ones
//! again.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use osis_core::schema::Type;
use osis_tests::binary::Served;
use osis_tests::dice::{Dice, number};
use osis_tests::files;
use osis_tests::fixture::{self, version_data};
use osis_tests::http::Connection;
use osis_tests::places::{Kind, Place};
use serde_json::{Value, json};

osis_tests::on_every_store!(
    acknowledged_writes_survive_kill_9,
    a_store_killed_while_it_is_made_is_made_by_the_next,
);

const WRITERS: usize = 6;

/// A state of an app: its revision, its name and the codes of its versions; or that it is gone.
type State = Option<(i64, String, BTreeSet<i64>)>;

/// What one writer knows of its apps.
#[derive(Debug, Default)]
struct Ledger {
    writer: usize,
    made: usize,
    acknowledged: BTreeMap<String, State>,
    /// The change that was not answered: the app, and what it would be.
    pending: Option<(String, State)>,
    /// Increments of the common counter: acknowledged, and sent.
    added: (u64, u64),
}

fn acknowledged_writes_survive_kill_9(kind: Kind) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let seed = number("OSIS_CRASH_SEED").unwrap_or(now as u64);
    eprintln!("OSIS_CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    let place = Place::new(kind);
    let mut ledgers: Vec<Ledger> = (0..WRITERS)
        .map(|writer| Ledger {
            writer,
            ..Ledger::default()
        })
        .collect();
    for round in 0..number("OSIS_CRASH_ROUNDS").unwrap_or(10) {
        let server = place.serve();
        if round == 0 {
            prepare(&server);
        }
        let after = 1 + dice.roll(150);
        ledgers = load_and_kill(server, ledgers, after, &mut dice);
        check_torn(&place);
        let server = place.serve();
        verify(&server, &mut ledgers);
        check_stopped(&place, server);
    }
    let acknowledged: usize = ledgers.iter().map(|ledger| ledger.acknowledged.len()).sum();
    assert!(acknowledged > 20, "the load was none: {acknowledged} apps");
}

fn a_store_killed_while_it_is_made_is_made_by_the_next(kind: Kind) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let seed = number("OSIS_CRASH_SEED").unwrap_or(now as u64);
    eprintln!("OSIS_CRASH_SEED={seed}");
    let mut dice = Dice::new(seed);
    let memos: Value = (0..200)
        .map(|n| json!({ "body": format!("memo {n}") }))
        .collect();
    for _ in 0..number("OSIS_CRASH_ROUNDS").unwrap_or(10) {
        let place = Place::new(kind);
        let file = place.beside("seed.json");
        std::fs::write(&file, json!({ "memo": memos }).to_string()).unwrap();
        let seed = || {
            let mut seed = place.command(&["seed", "--json", file.to_str().unwrap()]);
            seed.stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut killed = seed();
        // Opening, making the tables and seeding take about as long.
        std::thread::sleep(Duration::from_micros(dice.roll(120_000) as u64));
        killed.kill().unwrap();
        killed.wait().unwrap();
        let output = seed().wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let seen = (report["created"].as_u64(), report["unchanged"].as_u64());
        assert!(
            matches!(seen, (Some(200), Some(0)) | (Some(0), Some(200))),
            "{report}"
        );
        check_stopped(&place, place.serve());
    }
}

/// A developer for each writer, and the common counter.
fn prepare(server: &Served) {
    let developers = (0..WRITERS).map(|w| {
        json!({ "id": format!("developer-{w}"), "name": format!("w{w}"), "email": format!("w{w}@x") })
    });
    let objects = json!({
        "developer": developers.collect::<Value>(), "tally": [{ "id": "common", "name": "common", "hits": 0 }],
    });
    server.call("osis_seed", &json!({ "objects": objects }));
}

/// Lets the writers write until so many writes are acknowledged, and kills the server then.
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
                let mut dice = dice.child();
                let acknowledged = &acknowledged;
                scope.spawn(move || {
                    let Ok(mut connection) = Connection::try_open(address) else {
                        return ledger;
                    };
                    while ledger.write(&mut connection, &mut dice) {
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                    ledger
                })
            })
            .collect();
        while acknowledged.load(Ordering::Relaxed) < after {
            std::thread::yield_now();
        }
        server.kill();
        writing
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    })
}

impl Ledger {
    /// Makes one write; whether it was acknowledged.
    fn write(&mut self, connection: &mut Connection, dice: &mut Dice) -> bool {
        let known: Vec<String> = self.there().cloned().collect();
        if known.is_empty() {
            return self.make(connection, 0);
        }
        let id = dice.one_of(&known);
        match dice.roll(10) {
            0..3 => self.make(connection, 0),
            3..5 => self.make(connection, 1 + i64::try_from(dice.roll(3)).unwrap()),
            5..7 => self.rename(connection, id),
            7 => self.delete(connection, id),
            8 => self.rename_and_add_version(connection, id),
            _ => self.count(connection),
        }
    }

    fn there(&self) -> impl Iterator<Item = &String> {
        self.acknowledged
            .iter()
            .filter(|(_, state)| state.is_some())
            .map(|(id, _)| id)
    }

    /// Sends a change of an app; notes it as pending until it is answered.
    fn send(
        &mut self,
        connection: &mut Connection,
        method: &str,
        params: &Value,
        id: &str,
        state: State,
    ) -> bool {
        self.pending = Some((id.to_owned(), state.clone()));
        let Ok(answer) = connection.try_call(method, params) else {
            return false;
        };
        assert!(
            answer.get("result").is_some(),
            "{method} {params}: {answer}"
        );
        self.pending = None;
        self.acknowledged.insert(id.to_owned(), state);
        true
    }

    /// A new app, in one transaction with some versions.
    fn make(&mut self, connection: &mut Connection, versions: i64) -> bool {
        self.made += 1;
        let (id, name) = (
            format!("app-{}-{}", self.writer, self.made),
            self.word("new"),
        );
        let data = json!({
            "id": id, "developer_id": format!("developer-{}", self.writer),
            "package_id": format!("org.w{}.n{}", self.writer, self.made), "name": name,
        });
        let new = json!({ "method": "app_new", "params": { "data": data } });
        let codes: BTreeSet<i64> = (1..=versions).collect();
        let version = |code: &i64| json!({ "method": "version_new", "params": { "data": version_data(&id, *code) } });
        let ops: Vec<Value> = std::iter::once(new)
            .chain(codes.iter().map(version))
            .collect();
        let state = Some((1, name.clone(), codes));
        match versions {
            0 => self.send(connection, "app_new", &json!({ "data": data }), &id, state),
            _ => self.send(
                connection,
                "osis_transaction",
                &json!({ "ops": ops }),
                &id,
                state,
            ),
        }
    }

    fn rename(&mut self, connection: &mut Connection, id: &str) -> bool {
        let Some((rev, _, codes)) = self.acknowledged[id].clone() else {
            return true;
        };
        let name = self.word("set");
        let params = json!({ "id": id, "if_rev": rev, "data": { "name": name } });
        self.send(
            connection,
            "app_set",
            &params,
            id,
            Some((rev + 1, name, codes)),
        )
    }

    fn rename_and_add_version(&mut self, connection: &mut Connection, id: &str) -> bool {
        let Some((rev, _, mut codes)) = self.acknowledged[id].clone() else {
            return true;
        };
        let (name, code) = (self.word("both"), codes.last().unwrap_or(&0) + 1);
        codes.insert(code);
        let ops = json!([
            { "method": "version_new", "params": { "data": version_data(id, code) } },
            { "method": "app_set", "params": { "id": id, "data": { "name": name } } },
        ]);
        self.send(
            connection,
            "osis_transaction",
            &json!({ "ops": ops }),
            id,
            Some((rev + 1, name, codes)),
        )
    }

    fn delete(&mut self, connection: &mut Connection, id: &str) -> bool {
        self.send(connection, "app_delete", &json!({ "id": id }), id, None)
    }

    fn count(&mut self, connection: &mut Connection) -> bool {
        self.added.1 += 1;
        let params = json!({ "id": "common", "mode": "merge", "data": { "hits": 1 } });
        let Ok(answer) = connection.try_call("tally_set", &params) else {
            return false;
        };
        assert!(answer.get("result").is_some(), "{answer}");
        self.added.0 += 1;
        true
    }

    /// A word that no other app has had.
    fn word(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what}{}x{}", self.writer, self.made)
    }
}

/// Holds the store against the ledgers, and the ledgers' open ends against the store.
fn verify(server: &Served, ledgers: &mut [Ledger]) {
    let apps = walk(server, "app");
    let versions = walk(server, "version");
    let mut there: BTreeMap<String, State> = BTreeMap::new();
    for app in &apps {
        let (rev, name) = (
            app["rev"].as_i64().unwrap(),
            app["name"].as_str().unwrap().to_owned(),
        );
        there.insert(
            app["id"].as_str().unwrap().to_owned(),
            Some((rev, name, BTreeSet::new())),
        );
    }
    for version in &versions {
        let app = there.get_mut(version["app_id"].as_str().unwrap());
        let Some(Some((_, _, codes))) = app else {
            panic!("a version of no app: {version}")
        };
        assert!(
            codes.insert(version["version_code"].as_i64().unwrap()),
            "a key twice: {version}"
        );
    }
    for ledger in ledgers.iter_mut() {
        settle(ledger, &there);
        for (id, state) in &ledger.acknowledged {
            let found = there.remove(id).flatten();
            assert_eq!(found, *state, "{id} is not what was acknowledged");
        }
    }
    assert!(there.is_empty(), "nobody made these: {there:?}");
    verify_keys(server, &apps);
    verify_search(server, &apps);
    verify_feed(server, &apps);
    let hits = server.call("tally_get", &json!({ "id": "common" }))["hits"]
        .as_u64()
        .unwrap();
    let (least, most) = ledgers
        .iter()
        .fold((0, 0), |(a, b), own| (a + own.added.0, b + own.added.1));
    assert!(
        (least..=most).contains(&hits),
        "{hits} increments, {least} acknowledged, {most} sent"
    );
}

/// Sees what became of the change that was not answered.
fn settle(ledger: &mut Ledger, there: &BTreeMap<String, State>) {
    let Some((id, wanted)) = ledger.pending.take() else {
        return;
    };
    let found = there.get(&id).cloned().flatten();
    let before = ledger.acknowledged.get(&id).cloned().flatten();
    assert!(
        found == wanted || found == before,
        "{id} is {found:?}: neither {before:?} nor {wanted:?}"
    );
    ledger.acknowledged.insert(id, found);
}

fn walk(server: &Served, ty: &str) -> Vec<Value> {
    let mut params = json!({ "limit": 1000 });
    let mut objects = Vec::new();
    loop {
        let mut page = server.call(&format!("{ty}_list"), &params);
        objects.extend(page["items"].as_array().unwrap().iter().cloned());
        if page["next_cursor"].is_null() {
            return objects;
        }
        params["cursor"] = page["next_cursor"].take();
    }
}

/// Answers to many calls, in batches.
fn batch(server: &Served, method: &str, params: &[Value]) -> Vec<Value> {
    let mut connection = server.connect();
    let mut results = Vec::new();
    for part in params.chunks(500) {
        let requests: Vec<Value> = part
            .iter()
            .map(|params| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
            .collect();
        let answers = connection.post(json!(requests).to_string()).json();
        results.extend(
            answers
                .as_array()
                .unwrap()
                .iter()
                .map(|answer| answer["result"].clone()),
        );
    }
    results
}

fn verify_keys(server: &Served, apps: &[Value]) {
    let keys: Vec<Value> = apps
        .iter()
        .map(|app| json!({ "key": { "package_id": app["package_id"] } }))
        .collect();
    for (app, by_key) in apps.iter().zip(batch(server, "app_get", &keys)) {
        assert_eq!(by_key, *app, "by its key it is another");
    }
    let packages: BTreeSet<&str> = apps
        .iter()
        .map(|app| app["package_id"].as_str().unwrap())
        .collect();
    assert_eq!(packages.len(), apps.len(), "a key twice");
}

/// Every app is found by its name of now, and by nothing that it was called before.
fn verify_search(server: &Served, apps: &[Value]) {
    let queries: Vec<Value> = apps
        .iter()
        .map(|app| json!({ "query": app["name"], "typo": false }))
        .collect();
    for (app, found) in apps.iter().zip(batch(server, "app_find", &queries)) {
        assert_eq!(
            (&found["total"], &found["hits"][0]["object"]),
            (&json!(1), app)
        );
    }
    let all = json!({ "query": "name:new* OR name:set* OR name:both*", "typo": false });
    assert_eq!(server.call("app_find", &all)["total"], apps.len());
}

/// The last record of every object tells of it as it is.
fn verify_feed(server: &Served, apps: &[Value]) {
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    let mut since = json!(0);
    loop {
        let feed = server.call(
            "osis_changes",
            &json!({ "since": since, "limit": 1000, "types": ["app"] }),
        );
        for change in feed["changes"].as_array().unwrap() {
            last.insert(change["id"].as_str().unwrap().to_owned(), change.clone());
        }
        if feed["changes"] == json!([]) {
            break;
        }
        since = feed["next"].clone();
    }
    for app in apps {
        let record = last.remove(app["id"].as_str().unwrap());
        assert_eq!(
            record.map(|record| record["rev"].clone()).as_ref(),
            Some(&app["rev"]),
            "{app}"
        );
    }
    assert!(
        last.values().all(|record| record["op"] == "delete"),
        "of objects that are gone: {last:?}"
    );
}

/// Right after a crash: what is on disk may be old, but nothing of it is half.
fn check_torn(place: &Place) {
    if place.kind() == Kind::File {
        let schema = fixture::schema();
        for ty in schema.types.iter().filter(|ty| ty.log().is_none()) {
            files::objects(place.path(), ty);
        }
    }
}

/// Stops a server in good order; what it leaves on disk is what it served.
fn check_stopped(place: &Place, server: Served) {
    match place.kind() {
        Kind::Sqlite => {
            assert!(server.terminate().success());
            check_database(place.path());
        }
        // Words, counts and the feed are those of the objects; tests/postgres_server.rs kills the
        // server that holds them.
        Kind::Postgres => {
            assert!(server.terminate().success());
            let checked = place.command(&["check"]).output().unwrap();
            assert!(checked.status.success(), "{checked:?}");
        }
        Kind::File => {
            let schema = fixture::schema();
            let served: BTreeMap<usize, Vec<Value>> = schema
                .types
                .iter()
                .filter(|ty| ty.log().is_none())
                .map(|ty| (ty.id, walk(&server, &ty.name)))
                .collect();
            assert!(server.terminate().success());
            let of = |ty: &Type| served[&ty.id].clone();
            files::assert_files_are_what_is_served(place.path(), &schema, of);
            // Nothing is in what is derived alone.
            let before = place.digest();
            std::fs::remove_dir_all(place.path().join(".osis")).unwrap();
            assert_eq!(
                place.digest(),
                before,
                "without .osis it holds something else"
            );
        }
    }
}

/// SQLite itself finds nothing wrong with the file.
fn check_database(path: &Path) {
    let database = rusqlite::Connection::open(path).unwrap();
    for (pragma, wanted) in [("integrity_check", Some("ok")), ("foreign_key_check", None)] {
        let mut statement = database.prepare(&format!("PRAGMA {pragma}")).unwrap();
        let mut rows = statement.query([]).unwrap();
        let first: Option<String> = rows.next().unwrap().map(|row| row.get(0).unwrap());
        assert_eq!(first.as_deref(), wanted, "{pragma}");
    }
}
