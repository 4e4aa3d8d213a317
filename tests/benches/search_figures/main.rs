//! Searches on a whole archive: how good, how alike on every engine, and how fast, beside plain
//! FTS5 and plain Tantivy with their defaults on the same data in the same run.
//!
//! `cargo build --release -p osis-cli && cargo bench -p osis-tests --bench search_figures` prints
//! tables in Markdown, of the machine's own package lists. `--seconds N` is how long each row of
//! times takes. That the answers are equal, in full, `tests/archive.rs` proves.

#[path = "../first_figures/load.rs"]
mod load;
mod speed;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use osis_tests::archive::{self, App, Asked, Catalog, Judged, Translations};
use osis_tests::dice;
use osis_tests::places::{Kind, Place};
use osis_tests::plain::{Fts5, Plain, PlainTantivy};
use serde_json::{Value, json};

/// How many queries are made of the archive.
const QUERIES: usize = 500;
/// How many hits are compared and judged.
const TOP: usize = 10;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    runtime.block_on(measure());
}

/// A store with the catalogue, in a process of its own.
struct Server {
    name: String,
    child: Child,
    address: SocketAddr,
    _place: Place,
}

impl Server {
    fn start(kind: Kind, osis: &Path, catalog: &Path) -> Self {
        let place = Place::new(kind);
        let mut child = Command::new(osis)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--store",
                &place.url(),
                "--seed",
            ])
            .arg(catalog)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts: build it with cargo build --release -p osis-cli");
        let out = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let address = out
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on http://").map(str::to_owned))
            .and_then(|text| text.parse().ok())
            .expect("the server tells its address");
        Self {
            name: format!("`{}:`", kind.name()),
            child,
            address,
            _place: place,
        }
    }

    /// The names of the first apps that a query finds.
    async fn top(&self, connection: &mut load::Connection, params: &Value) -> Vec<String> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "app_find", "params": params});
        let answer = connection.call(&request.to_string()).await;
        let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
        let hits = answer["result"]["hits"].as_array();
        let hits = hits.unwrap_or_else(|| panic!("{}: {params}: {answer}", self.name));
        hits.iter()
            .map(|hit| {
                hit["object"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn measure() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = arguments.iter().position(|arg| arg == "--seconds");
    let seconds = seconds.map(|at| arguments[at + 1].parse().expect("--seconds takes a number"));
    let length = Duration::from_secs(seconds.unwrap_or(10));
    let catalog = Catalog::of_machine().expect("there are package lists: apt-get update");
    let apps = &catalog.apps;

    let own = std::env::current_exe().expect("this program has a path");
    let target = own
        .ancestors()
        .nth(2)
        .expect("it lies in target/release/deps");
    let osis = target.join("osis");
    let dir = tempfile::tempdir_in(target).expect("a folder");
    let seed = dir.path().join("catalog.ndjson");
    catalog.write(&seed);
    let kinds = Kind::all("figures of PostgreSQL").into_iter();
    let servers: Vec<Server> = kinds
        .map(|kind| Server::start(kind, &osis, &seed))
        .collect();
    let plain: [Arc<dyn Plain>; 2] = [
        Arc::new(Fts5::new(&dir.path().join("plain.db"), apps)),
        Arc::new(PlainTantivy::new(apps)),
    ];
    println!("{} apps.\n", apps.len());

    let seed = dice::number("OSIS_SEED").unwrap_or(5);
    let asked = archive::of_archive(apps, QUERIES, seed);
    judge(&servers, &plain, apps).await;
    overlap(&servers, &plain, &asked).await;
    speed::times(&servers, &plain, &asked, length).await;
    speed::corrections(&servers, apps).await;
    speed::beside_writes(&servers, apps, &asked, length).await;
    match Translations::of_machine(&catalog, dir.path()) {
        Ok(translations) => find_languages(&servers, &translations).await,
        Err(why) => println!("no translations: {why}"),
    }
}

/// How much of what people expect is among the first ten.
async fn judge(servers: &[Server], plain: &[Arc<dyn Plain>], apps: &[App]) {
    let judged = archive::judged();
    let known: BTreeSet<&str> = apps.iter().map(|app| app.name.as_str()).collect();
    let expected = judged.iter().flat_map(|query| &query.expected);
    let absent: Vec<&String> = expected
        .filter(|name| !known.contains(name.as_str()))
        .collect();
    assert!(absent.is_empty(), "not in the catalogue: {absent:?}");

    let heads = PARTS.map(|part| format!("{} {}", part.of(&judged).count(), part.name));
    println!("| judged queries | {} |", heads.join(" | "));
    println!("|---|---|---|---|---|");
    for server in servers {
        let mut connection = load::Connection::open(server.address).await;
        let mut found = Vec::new();
        for query in &judged {
            let params = json!({"query": query.query, "limit": TOP, "fields": ["name"]});
            found.push(server.top(&mut connection, &params).await);
        }
        tell_share(&server.name, &judged, &found);
    }
    for plain in plain {
        let found: Vec<_> = judged
            .iter()
            .map(|query| plain.top_by_default(&query.query, TOP))
            .collect();
        tell_share(plain.name(), &judged, &found);
    }
    println!();
}

/// A part of the judged queries.
struct Part {
    name: &'static str,
    held_out: bool,
    mistyped: bool,
}

const PARTS: [Part; 4] = [
    Part {
        name: "right words",
        held_out: false,
        mistyped: false,
    },
    Part {
        name: "mistyped",
        held_out: false,
        mistyped: true,
    },
    Part {
        name: "held out, right words",
        held_out: true,
        mistyped: false,
    },
    Part {
        name: "held out, mistyped",
        held_out: true,
        mistyped: true,
    },
];

impl Part {
    /// Its queries, each by its place.
    fn of<'j>(&self, judged: &'j [Judged]) -> impl Iterator<Item = (usize, &'j Judged)> {
        let wanted = (self.held_out, self.mistyped);
        let all = judged.iter().enumerate();
        all.filter(move |(_, judged)| (judged.held_out, judged.mistyped) == wanted)
    }
}

fn tell_share(name: &str, judged: &[Judged], found: &[Vec<String>]) {
    let shares = PARTS.map(|part| {
        let shares: Vec<f64> = part
            .of(judged)
            .map(|(n, query)| query.share(&found[n]))
            .collect();
        format!(
            "{:.1} %",
            100.0 * shares.iter().sum::<f64>() / shares.len() as f64
        )
    });
    println!("| {name} | {} |", shares.join(" | "));
    if std::env::var_os("OSIS_MISSED").is_some() {
        // Of what is held out nothing is told: who sees it might please it.
        for (query, found) in judged
            .iter()
            .zip(found)
            .filter(|(query, _)| !query.held_out)
        {
            let missed = query.expected.iter().filter(|name| !found.contains(name));
            let missed: Vec<&String> = missed.collect();
            if !missed.is_empty() {
                eprintln!("{name}: {:?} lacks {missed:?}: {found:?}", query.query);
            }
        }
    }
}

/// How many of the first ten two engines share.
async fn overlap(servers: &[Server], plain: &[Arc<dyn Plain>], asked: &[Asked]) {
    let mut found: Vec<(String, Vec<Vec<String>>)> = Vec::new();
    for server in servers {
        let mut connection = load::Connection::open(server.address).await;
        let mut tops = Vec::new();
        for asked in asked {
            let params = json!({
                "query": asked.query(), "limit": TOP, "fields": ["name"], "typo": false,
            });
            tops.push(server.top(&mut connection, &params).await);
        }
        found.push((server.name.clone(), tops));
    }
    for plain in plain {
        let tops = asked.iter().map(|asked| plain.top(asked, TOP)).collect();
        found.push((plain.name().to_owned(), tops));
    }
    println!(
        "| top ten of {} queries | beside | shared of ten, on average | in the same order |",
        asked.len()
    );
    println!("|---|---|---|---|");
    for (n, (name, tops)) in found.iter().enumerate() {
        for (other, others) in &found[n + 1..] {
            let pairs: Vec<(&Vec<String>, &Vec<String>)> = tops
                .iter()
                .zip(others)
                .filter(|(a, b)| !a.is_empty() || !b.is_empty())
                .collect();
            // Where there are fewer than ten, the share of them counts.
            let shared = pairs.iter().map(|(a, b)| {
                let both = a.iter().filter(|name| b.contains(name)).count();
                10.0 * both as f64 / a.len().max(b.len()) as f64
            });
            let same = pairs.iter().filter(|(a, b)| a == b).count();
            println!(
                "| {name} | {other} | {:.2} | {same} of {} |",
                shared.sum::<f64>() / pairs.len() as f64,
                pairs.len()
            );
        }
    }
    println!();
}

/// Whether apps are found by a word of their name in each language that they were translated to.
async fn find_languages(servers: &[Server], translations: &Translations) {
    let words = &translations.words;
    let languages: BTreeSet<&String> = words.iter().map(|(language, ..)| language).collect();
    println!("\n| words of {} languages | found |", languages.len());
    println!("|---|---|");
    for server in servers {
        let mut connection = load::Connection::open(server.address).await;
        for objects in translations.objects.chunks(200) {
            let params = json!({"objects": {"app": objects}, "mode": "update"});
            let request =
                json!({"jsonrpc": "2.0", "id": 1, "method": "osis_seed", "params": params});
            let answer = connection.call(&request.to_string()).await;
            let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
            assert!(answer.get("result").is_some(), "{answer}");
        }
        let mut missed = Vec::new();
        for (language, app, word) in words {
            let params = json!({
                "query": word, "filter": {"package_id": app}, "typo": false,
                "fields": ["name"], "limit": 1,
            });
            if server.top(&mut connection, &params).await.is_empty() {
                missed.push((language, app, word));
            }
        }
        let found = words.len() - missed.len();
        println!("| {} | {found} of {} |", server.name, words.len());
        if !missed.is_empty() {
            eprintln!("missed: {missed:?}");
        }
    }
}
