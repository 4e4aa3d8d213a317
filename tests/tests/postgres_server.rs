//! What only a store on a server can meet: the server dies under load and comes back, refuses, is
//! reached encrypted or through a pooler.
//!
//! Each test has a server of its own, for what it does to it. `OSIS_CRASH_ROUNDS` kills it more
//! often.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use osis_tests::binary::{Served, command};
use osis_tests::dice::number;
use osis_tests::fixture::SHOP_FILE;
use osis_tests::places::Place;
use osis_tests::postgres::{Cluster, is_there};
use serde_json::{Value, json};

const WRITERS: usize = 6;

/// What became of one writer's writes.
#[derive(Debug, Default)]
struct Ledger {
    /// Acknowledged: they must be there.
    done: Vec<String>,
    /// Answered `unavailable`: they must not be there.
    refused: Vec<String>,
    /// Increments of the common counter: acknowledged, and those of which nothing is known.
    added: (u64, u64),
}

impl Ledger {
    fn write(&mut self, server: &Served, stop: &AtomicBool, writer: usize, done: &AtomicUsize) {
        let mut connection = server.connect();
        for n in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let id = format!("memo-{writer}-{n}");
            let data = json!({ "id": id, "body": format!("word{writer}x{n}") });
            match kind(&connection.call("memo_new", &json!({ "data": data }))).as_str() {
                "" => self.done.push(id),
                "unavailable" => self.refused.push(id),
                other => panic!("{other}"),
            }
            let params = json!({ "id": "common", "mode": "merge", "data": { "hits": 1 } });
            match kind(&connection.call("tally_set", &params)).as_str() {
                "" => self.added.0 += 1,
                "unavailable" => {}
                other => panic!("{other}"),
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The kind of an answer's error; empty if it is none.
fn kind(answer: &Value) -> String {
    match answer.get("error") {
        None => String::new(),
        Some(error) => match error["data"]["kind"].as_str() {
            Some(kind) => kind.to_owned(),
            None => panic!("{error}"),
        },
    }
}

/// Every commit under way when the server dies is either done or not; what it was is found out when
/// the server is back, and told so.
#[test]
fn writes_go_on_when_the_server_was_killed() {
    if !is_there("writes_go_on_when_the_server_was_killed") {
        return;
    }
    let cluster = Cluster::own();
    let place = Place::on_cluster(&cluster);
    let servers = [place.serve(), place.serve()];
    let tally = json!({ "tally": [{ "id": "common", "name": "common", "hits": 0 }] });
    servers[0].call("osis_seed", &json!({ "objects": tally }));
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ledgers: Vec<Ledger> = std::thread::scope(|scope| {
        let writing: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (server, stop, done) = (&servers[writer % 2], &stop, &done);
                scope.spawn(move || {
                    let mut ledger = Ledger::default();
                    ledger.write(server, stop, writer, done);
                    ledger
                })
            })
            .collect();
        for round in 0..number("OSIS_CRASH_ROUNDS").unwrap_or(5) {
            let from = done.load(Ordering::Relaxed);
            while done.load(Ordering::Relaxed) < from + 60 {
                assert!(
                    !writing
                        .iter()
                        .any(std::thread::ScopedJoinHandle::is_finished)
                );
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_micros(round * 1777 % 5000));
            cluster.kill();
            cluster.start();
        }
        stop.store(true, Ordering::Relaxed);
        let ledgers = writing.into_iter().map(|writer| writer.join().unwrap());
        ledgers.collect()
    });
    for server in servers {
        verify(&server, &ledgers);
        assert!(server.terminate().success());
    }
    let checked = place.command(&["check"]).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

fn verify(server: &Served, ledgers: &[Ledger]) {
    let mut there: BTreeMap<String, u64> = BTreeMap::new();
    let mut params = json!({ "limit": 1000 });
    loop {
        let mut page = server.call("memo_list", &params);
        for memo in page["items"].as_array().unwrap() {
            *there
                .entry(memo["id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        if page["next_cursor"].is_null() {
            break;
        }
        params["cursor"] = page["next_cursor"].take();
    }
    for ledger in ledgers {
        for id in &ledger.done {
            assert_eq!(there.remove(id), Some(1), "{id} was acknowledged");
        }
        for id in &ledger.refused {
            assert!(!there.contains_key(id), "{id} was refused and is there");
        }
    }
    assert!(there.is_empty(), "nobody made these: {there:?}");
    let hits = server.call("tally_get", &json!({ "id": "common" }))["hits"].as_u64();
    let added: u64 = ledgers.iter().map(|ledger| ledger.added.0).sum();
    assert_eq!(hits, Some(added), "each increment counts once");
    assert!(added > 100, "the load was none: {added}");
    let mut since = 0;
    let info = server.call("osis_info", &json!({}));
    let mut last = 0;
    loop {
        let feed = server.call("osis_changes", &json!({ "since": since, "limit": 1000 }));
        let changes = feed["changes"].as_array().unwrap();
        if changes.is_empty() {
            break;
        }
        for change in changes {
            let seq = change["seq"].as_u64().unwrap();
            assert!(seq == last || seq == last + 1, "{seq} follows {last}");
            last = seq;
        }
        since = feed["next"].as_u64().unwrap();
    }
    assert_eq!(info["seq"].as_u64(), Some(last), "the numbers have no gaps");
}

/// What a person reads who cannot open a store.
fn refusal(url: &str, more: &[(&str, &str)]) -> String {
    let output = command(["seed", "--store", url, "--schema", SHOP_FILE, "/dev/null"])
        .envs(more.iter().copied())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{url} was opened");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn refusals_say_what_to_do() {
    if !is_there("refusals_say_what_to_do") {
        return;
    }
    let cluster = Cluster::own();
    cluster.sql("CREATE ROLE locked LOGIN PASSWORD 'right'; CREATE ROLE poor LOGIN;");
    cluster.sql("CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0;");
    cluster.sql("CREATE SCHEMA foreigner; CREATE TABLE foreigner.t (n int);");
    cluster.let_in_by_password("locked");
    let as_user = |user: &str| {
        cluster
            .url("schema=osis")
            .replace("user=osis", &format!("user={user}"))
    };
    let gone = cluster.url("schema=osis").replace("host=", "host=/nowhere");
    let locked = as_user("locked");
    for (url, more, wanted) in [
        (locked.clone(), &[("PGPASSWORD", "wrong")][..], "password"),
        (locked.clone(), &[], "set it in PGPASSWORD"),
        (as_user("poor"), &[], "lacks rights"),
        (as_user("nobody"), &[], "does not exist"),
        (gone, &[], "no connection to"),
        (
            cluster.url("schema=osis").replace("/postgres?", "/none?"),
            &[],
            "make the database first",
        ),
        (
            cluster.url("schema=osis").replace("/postgres?", "/latin?"),
            &[],
            "make one with UTF8",
        ),
        (cluster.url("schema=foreigner"), &[], "name another schema"),
    ] {
        let told = refusal(&url, more);
        assert!(told.contains(wanted), "{url}: {told}");
        assert!(
            !told.contains("wrong\"") && told.lines().count() <= 2,
            "{told}"
        );
    }
    // A schema that is made for the user is enough.
    cluster.sql("CREATE SCHEMA osis AUTHORIZATION locked");
    let output = command([
        "seed",
        "--store",
        &locked,
        "--schema",
        SHOP_FILE,
        "/dev/null",
    ])
    .env("PGPASSWORD", "right")
    .output()
    .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("/dev/null") || output.status.success(),
        "{told}"
    );
    assert_ne!(cluster.sql("SELECT to_regclass('osis._osis_meta')"), "");
}

/// Pages that the API asks for are read from an index, in their order, and no further than they go.
#[test]
fn pages_are_read_by_their_indexes() {
    if !is_there("pages_are_read_by_their_indexes") {
        return;
    }
    let cluster = Cluster::own();
    cluster.explain_all();
    let place = Place::on_cluster(&cluster);
    let server = place.serve();
    let developers: Value = (0..3000)
        .map(|n| json!({ "id": format!("developer-{n}"), "name": format!("d{n}"), "email": format!("d{n}@x") }))
        .collect();
    server.call(
        "osis_seed",
        &json!({ "objects": { "developer": developers } }),
    );
    let apps: Vec<Value> = (0..8000)
        .map(|n| {
            json!({
                "id": format!("app-{n:05}"), "developer_id": format!("developer-{}", n % 50),
                "package_id": format!("org.example.n{n}"), "name": format!("name{n} common"),
                "category": format!("c{}", n % 400), "tags": [format!("t{}", n % 400)],
            })
        })
        .collect();
    for apps in apps.chunks(2000) {
        server.call("osis_seed", &json!({ "objects": { "app": apps } }));
    }
    // As autovacuum does: statistics, and new words out of GIN's list into its index.
    cluster.sql("VACUUM ANALYZE");
    for (n, (method, params, index)) in [
        ("app_get", json!({ "id": "app-00007" }), "apps_pkey"),
        (
            "app_get",
            json!({ "key": { "package_id": "org.example.n7" } }),
            "_osis_apps$$unique$package_id",
        ),
        (
            "developer_get",
            json!({ "key": { "email": "D7@X" } }),
            "_osis_developers$$unique$email",
        ),
        ("app_list", json!({ "limit": 20 }), "apps_pkey"),
        (
            "app_list",
            json!({ "filter": { "category": "c3" }, "sort": "category", "limit": 20 }),
            "_osis_apps$$index$category",
        ),
        (
            "app_list",
            json!({ "filter": { "developer_id": "developer-3" }, "limit": 20 }),
            "_osis_apps$$index$developer_id",
        ),
        (
            "app_list",
            json!({ "filter": { "tags": { "has": "t77" } }, "limit": 20 }),
            "_osis_apps$$items$tags",
        ),
        (
            "app_list",
            json!({ "filter": { "package_id": { "prefix": "org.example.n777" } }, "limit": 20 }),
            "_osis_apps$$unique$package_id",
        ),
        (
            "app_find",
            json!({ "query": "name777", "limit": 20 }),
            "_osis_apps$$text",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        // Twice: connections prepare what they ask again.
        let mark = format!("mark {n} of the log");
        cluster.sql(&format!("SELECT '{mark}'"));
        server.call(method, &params);
        let log = cluster.whole_log();
        let since = log.rsplit(&mark).next().unwrap();
        assert!(
            since.contains(index),
            "{method} {params} uses no {index}: {since}"
        );
        // Some twenty rows are as well sorted; a whole type is not.
        let sorts = since.contains("Sort Key") && params == json!({ "limit": 20 });
        assert!(
            !sorts && !since.contains("Seq Scan on apps"),
            "{method} {params}: {since}"
        );
    }
}

/// What the URL says of limits and names is what the server sees.
#[test]
fn limits_and_names_are_those_of_the_url() {
    if !is_there("limits_and_names_are_those_of_the_url") {
        return;
    }
    let cluster = Cluster::own();
    let url = cluster
        .url("schema=osis&pool=2&application_name=shop-a&statement_timeout=1s&lock_timeout=1500ms");
    let server = Served::start(["--store", &url, "--schema", SHOP_FILE]);
    let memo = |n: usize| json!({ "data": { "id": format!("memo-{n}"), "body": "a" } });
    server.call("memo_new", &memo(1));
    let seen = "SELECT count(*) FILTER (WHERE application_name = 'shop-a') > 0, \
                count(*) FILTER (WHERE application_name = 'osis') FROM pg_stat_activity";
    assert_eq!(cluster.sql(seen), "t|0");
    let hold = |lock: &str| format!("BEGIN; {lock}; SELECT pg_sleep(4); COMMIT");
    let is_held = |wanted: &str| {
        let held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        while cluster.sql(held) != wanted {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| cluster.sql(&hold("LOCK TABLE osis.memos")));
        is_held("1");
        // A read is given up by the server; it would otherwise wait for the lock, and go well.
        let answer = server.connect().call("memo_list", &json!({}));
        assert_eq!(kind(&answer), "unavailable", "{answer}");
        holder.join().unwrap();
        let holder =
            scope.spawn(|| cluster.sql(&hold("SELECT seq FROM osis._osis_meta FOR UPDATE")));
        is_held("1");
        // A write waits for its turn again and again, as long as the call may take.
        server.call("memo_new", &memo(2));
        holder.join().unwrap();
    });
    let log = cluster.whole_log();
    for wanted in ["due to statement timeout", "due to lock timeout"] {
        assert!(log.contains(wanted), "{log}");
    }
    assert_eq!(server.call("memo_count", &json!({}))["count"], 2);
    assert!(server.terminate().success());
}

/// A new store is filled by thousands of rows a commit, without anybody having looked at its
/// statistics: what is there already is found by index nevertheless.
#[test]
fn rows_are_found_by_index_while_a_store_is_filled() {
    if !is_there("rows_are_found_by_index_while_a_store_is_filled") {
        return;
    }
    let cluster = Cluster::own();
    cluster.explain_all();
    let server = Place::on_cluster(&cluster).serve();
    let now = osis_core::Time::now();
    for batch in 0..12 {
        let items: Vec<Value> = (0..500)
            .map(|n| {
                let id = osis_core::Id::generate(now);
                json!({ "id": id, "app_id": "a", "kind": format!("{batch} {n}"),
                    "occurred_at": now.to_string() })
            })
            .collect();
        server.call("event_ingest", &json!({ "items": items }));
    }
    assert!(server.terminate().success());
    let log = cluster.whole_log();
    let mut plans = 0;
    for told in log.split("Query Text: ").skip(1) {
        let plan = told.split(" UTC [").next().unwrap_or_default();
        if plan.contains("FROM \"events\" t WHERE t.\"id\" = ANY(") {
            plans += 1;
            assert!(!plan.contains("Seq Scan"), "{plan}");
        }
    }
    assert!(plans >= 12, "the statement has changed: {plans} plans");
}

/// A child that ends with this.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A few calls of each sort.
fn works(place_url: &str) {
    let server = Served::start(["--store", place_url, "--schema", SHOP_FILE]);
    let other = Served::start(["--store", place_url, "--schema", SHOP_FILE]);
    for n in 0..30 {
        let data = json!({ "email": format!("{n}@x"), "name": format!("word{n} both") });
        let made = server.call("customer_new", &json!({ "data": data }));
        let got = other.call("customer_get", &json!({ "id": made["id"] }));
        assert_eq!(got, made);
        let query = json!({ "query": format!("word{n}"), "typo": false });
        assert_eq!(other.call("customer_find", &query)["total"], 1);
        let all = other.call("customer_list", &json!({ "sort": "-name", "count": true }));
        assert_eq!(all["total"], n + 1);
    }
    let since = server.call("osis_info", &json!({}))["seq"].clone();
    let feed = json!({ "since": since, "wait_ms": 20_000 });
    let told = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| other.call("osis_changes", &feed));
        std::thread::sleep(Duration::from_millis(300));
        server.call("memo_new", &json!({ "data": { "body": "a" } }));
        waiting.join().unwrap()
    });
    assert_eq!(told["changes"].as_array().unwrap().len(), 1, "{told}");
    assert!(server.terminate().success() && other.terminate().success());
}

#[test]
fn a_pooler_may_stand_between() {
    const TEST: &str = "a_pooler_may_stand_between";
    if !is_there(TEST) {
        return;
    }
    let cluster = Cluster::own();
    // What is done for poolers does no harm without one.
    works(&cluster.url("schema=alone&pool=4&pgbouncer=transaction"));
    let pooler = "/usr/sbin/pgbouncer";
    if !Path::new(pooler).exists() {
        osis_tests::parts::skip(TEST, "pgbouncer is not installed (scripts/setup-tests)");
        return;
    }
    let settings = cluster.folder().join("pgbouncer.ini");
    let folder = cluster.folder().display();
    let text = format!(
        "[databases]\n* = host={folder} port=5432\n[pgbouncer]\nlisten_addr =\n\
         unix_socket_dir = {folder}\nlisten_port = 6432\nauth_type = any\npool_mode = transaction\n\
         default_pool_size = 3\nmax_client_conn = 100\nserver_reset_query_always = 1\n\
         server_reset_query = DISCARD ALL\n",
    );
    // `any` lets everybody in as one user.
    let text = text.replace("port=5432", "port=5432 user=osis");
    std::fs::write(&settings, text).unwrap();
    let mut start = cluster.as_server(pooler);
    let child = start
        .arg("-q")
        .arg(&settings)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _ends = Ends(child);
    while !cluster.folder().join(".s.PGSQL.6432").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    works(&cluster.url("port=6432&schema=pooled&pool=6&pgbouncer=transaction"));
}

#[test]
fn of_several_hosts_the_one_that_takes_writes_is_used() {
    if !is_there("of_several_hosts_the_one_that_takes_writes_is_used") {
        return;
    }
    let cluster = Cluster::own();
    let standby = cluster.standby();
    let both = format!(
        "postgres:///postgres?host={},{}&user=osis&schema=osis",
        standby.folder().display(),
        cluster.folder().display()
    );
    let server = Served::start(["--store", &both, "--schema", SHOP_FILE]);
    let data = |n: usize| json!({ "data": { "id": format!("memo-{n}"), "body": "a" } });
    server.call("memo_new", &data(1));
    // What is acknowledged is on the standby too: so it was set up.
    cluster.kill();
    standby.promote();
    for n in 2..10 {
        let answer = server.connect().call("memo_new", &data(n));
        assert!(
            matches!(kind(&answer).as_str(), "" | "unavailable"),
            "{answer}"
        );
    }
    server.call("memo_new", &data(10));
    assert_eq!(
        server.call("memo_get", &json!({ "id": "memo-1" }))["body"],
        "a"
    );
    assert!(server.terminate().success());
}

#[test]
fn connections_are_encrypted_as_the_url_says() {
    const TEST: &str = "connections_are_encrypted_as_the_url_says";
    if !is_there(TEST) {
        return;
    }
    let cluster = Cluster::own();
    if Command::new("openssl").arg("version").output().is_err() {
        osis_tests::parts::skip(TEST, "openssl is not installed (scripts/setup-tests)");
        return;
    }
    let port = cluster.listen_encrypted();
    let roots = cluster.folder().join("authority.crt");
    let url = |host: &str, more: &str| {
        format!("postgres://osis@{host}:{port}/postgres?schema=osis&{more}")
    };
    let roots = format!("sslrootcert={}", roots.display());
    for mode in ["sslmode=prefer", "sslmode=require"] {
        works_at(&cluster, &url("127.0.0.1", mode), true);
    }
    works_at(&cluster, &url("127.0.0.1", "sslmode=disable"), false);
    works_at(
        &cluster,
        &url("localhost", &format!("sslmode=verify-full&{roots}")),
        true,
    );
    works_at(
        &cluster,
        &url("127.0.0.1", &format!("sslmode=verify-ca&{roots}")),
        true,
    );
    for (host, more) in [
        ("127.0.0.1", format!("sslmode=verify-full&{roots}")),
        ("localhost", "sslmode=verify-full".to_owned()),
        ("localhost", "sslmode=verify-ca".to_owned()),
    ] {
        let told = refusal(&url(host, &more), &[]);
        assert!(
            told.contains("certificate") || told.contains("sslrootcert"),
            "{more}: {told}"
        );
    }
}

/// A store is served, and its connections are encrypted or not.
fn works_at(cluster: &Cluster, url: &str, encrypted: bool) {
    let server = Served::start(["--store", url, "--schema", SHOP_FILE]);
    server.call("osis_info", &json!({}));
    let sql = "SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
               WHERE a.application_name = 'osis'";
    let wanted = if encrypted { "t" } else { "f" };
    assert_eq!(cluster.sql(sql), wanted, "{url}");
    assert!(server.terminate().success());
}
