//! Searches on a whole archive: how good, how alike on every engine, and how fast, beside plain
//! FTS5 and plain Tantivy with their defaults on the same data in the same run.
//!
//! `cargo build --release -p osis-cli && cargo bench -p osis-tests --bench search_figures -- CATALOG`
//! prints tables in Markdown. CATALOG is a seed of lines, as `examples/debian-catalog` makes it;
//! `--seconds N` is how long each row of times takes. `--languages SEED WORDS`, as
//! `examples/debian-appstream` makes both, has translations looked for at the end.

#[path = "../first_figures/load.rs"]
mod load;
mod plain;
mod queries;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use load::Figure;
use osis_tests::dice;
use plain::{Fts5, Plain, PlainTantivy};
use queries::{App, Asked, Judged};
use serde_json::{Value, json};

/// How many clients ask at once.
const CLIENTS: usize = 16;
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
    name: &'static str,
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(name: &'static str, osis: &Path, url: &str, catalog: &Path) -> Self {
        let mut child = Command::new(osis)
            .args(["serve", "--listen", "127.0.0.1:0", "--store", url, "--seed"])
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
            name,
            child,
            address,
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
    let catalog = arguments.first().filter(|arg| arg.ends_with(".ndjson"));
    let catalog = PathBuf::from(catalog.expect("the first argument is a catalogue of lines"));
    let languages = arguments.iter().position(|arg| arg == "--languages");
    let apps = queries::apps(&catalog);

    let own = std::env::current_exe().expect("this program has a path");
    let target = own
        .ancestors()
        .nth(2)
        .expect("it lies in target/release/deps");
    let osis = target.join("osis");
    let dir = tempfile::tempdir_in(target).expect("a folder");
    let (database, store) = (dir.path().join("osis.db"), dir.path().join("store"));
    let servers = [
        Server::start(
            "sqlite:",
            &osis,
            &format!("sqlite:{}", database.display()),
            &catalog,
        ),
        Server::start(
            "file:",
            &osis,
            &format!("file:{}", store.display()),
            &catalog,
        ),
    ];
    let fts5: Arc<dyn Plain> = Arc::new(Fts5::new(&dir.path().join("plain.db"), &apps));
    let tantivy: Arc<dyn Plain> = Arc::new(PlainTantivy::new(&apps));
    println!("{} apps.\n", apps.len());

    let seed = dice::number("OSIS_SEED").unwrap_or(5);
    let asked = queries::of_archive(&apps, QUERIES, seed);
    judge(&servers, &[&fts5, &tantivy], &apps).await;
    overlap(&servers, &[&fts5, &tantivy], &asked).await;
    times(&servers, [&fts5, &tantivy], &asked, length).await;
    corrections(&servers, &apps).await;
    if let Some(at) = languages {
        find_languages(&servers, &arguments[at + 1], &arguments[at + 2]).await;
    }
}

/// How much of what people expect is among the first ten.
async fn judge(servers: &[Server], plain: &[&Arc<dyn Plain>], apps: &[App]) {
    let judged = queries::judged();
    let known: BTreeSet<&str> = apps.iter().map(|app| app.name.as_str()).collect();
    let expected = judged.iter().flat_map(|query| &query.expected);
    let absent: Vec<&String> = expected
        .filter(|name| !known.contains(name.as_str()))
        .collect();
    assert!(absent.is_empty(), "not in the catalogue: {absent:?}");

    println!(
        "| of {} judged queries | right words | mistyped |",
        judged.len()
    );
    println!("|---|---|---|");
    for server in servers {
        let mut connection = load::Connection::open(server.address).await;
        let mut found = Vec::new();
        for query in &judged {
            let params = json!({"query": query.query, "limit": TOP, "fields": ["name"]});
            found.push(server.top(&mut connection, &params).await);
        }
        tell_share(&format!("`{}`", server.name), &judged, &found);
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

fn tell_share(name: &str, judged: &[Judged], found: &[Vec<String>]) {
    let share = |mistyped: bool| {
        let all = judged.iter().zip(found);
        let shares: Vec<f64> = all
            .filter(|(query, _)| query.mistyped == mistyped)
            .map(|(query, found)| {
                let right = query.expected.iter().filter(|name| found.contains(name));
                right.count() as f64 / query.expected.len() as f64
            })
            .collect();
        100.0 * shares.iter().sum::<f64>() / shares.len() as f64
    };
    println!("| {name} | {:.1} % | {:.1} % |", share(false), share(true));
    if std::env::var_os("OSIS_MISSED").is_some() {
        for (query, found) in judged.iter().zip(found) {
            let missed = query.expected.iter().filter(|name| !found.contains(name));
            let missed: Vec<&String> = missed.collect();
            if !missed.is_empty() {
                eprintln!("{name}: {:?} lacks {missed:?}: {found:?}", query.query);
            }
        }
    }
}

/// How many of the first ten two engines share.
async fn overlap(servers: &[Server], plain: &[&Arc<dyn Plain>], asked: &[Asked]) {
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
        found.push((format!("`{}`", server.name), tops));
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

/// How long searches take while 16 clients ask at once.
async fn times(servers: &[Server], plain: [&Arc<dyn Plain>; 2], asked: &[Asked], length: Duration) {
    println!("| {CLIENTS} clients, 20 best | calls/s | p50 | p95 | p99 | p95 of plain |");
    println!("|---|---|---|---|---|---|");
    for (server, plain) in servers.iter().zip(plain) {
        let requests: Arc<Vec<String>> = Arc::new(asked.iter().map(Asked::request).collect());
        let body = move |client: usize, n: usize| {
            let pick = client
                .wrapping_mul(7919)
                .wrapping_add(n.wrapping_mul(104_729));
            requests[pick % requests.len()].clone()
        };
        let ours = load::run(server.address, CLIENTS, length, body).await;
        let (index, queries) = (Arc::clone(plain), asked.to_vec());
        let bare = tokio::task::spawn_blocking(move || ask_plainly(&index, &queries, length));
        let bare = bare.await.expect("the plain run ends");
        tell_times(
            &format!("`{}` over JSON-RPC", server.name),
            &ours,
            Some(&bare),
        );
        tell_times(&format!("{}, in its process", plain.name()), &bare, None);
    }
    println!();
}

fn tell_times(name: &str, figure: &Figure, beside: Option<&Figure>) {
    let share = beside.map(|beside| figure.p95.as_secs_f64() / beside.p95.as_secs_f64());
    println!(
        "| {name} | {:.0} | {} | {} | {} | {} |",
        figure.rate,
        millis(figure.p50),
        millis(figure.p95),
        millis(figure.p99),
        share.map_or_else(|| "1".to_owned(), |share| format!("{share:.2}")),
    );
}

fn ask_plainly(index: &Arc<dyn Plain>, asked: &[Asked], length: Duration) -> Figure {
    let started = Instant::now();
    let asked: Arc<Vec<Asked>> = Arc::new(asked.to_vec());
    let threads: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (index, asked) = (index.reader(), Arc::clone(&asked));
            std::thread::spawn(move || {
                let (mut times, mut n) = (Vec::new(), 0_usize);
                while started.elapsed() < length {
                    let pick = client
                        .wrapping_mul(7919)
                        .wrapping_add(n.wrapping_mul(104_729));
                    let begun = Instant::now();
                    std::hint::black_box(index.top(&asked[pick % asked.len()], 20));
                    times.push(begun.elapsed());
                    n += 1;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for thread in threads {
        times.extend(thread.join().expect("a client ends"));
    }
    Figure::of(times, started.elapsed())
}

/// What typo correction costs: one client, mistyped names beside the right ones.
async fn corrections(servers: &[Server], apps: &[App]) {
    let pairs = queries::mistyped(apps, 200);
    println!("| one client | right words, p50 | p95 | mistyped, p50 | p95 |");
    println!("|---|---|---|---|---|");
    for server in servers {
        let mut connection = load::Connection::open(server.address).await;
        let mut figures = Vec::new();
        for (right, words) in [(true, &pairs), (false, &pairs)] {
            let (started, mut times) = (Instant::now(), Vec::new());
            for (word, wrong) in words {
                let query = if right { word } else { wrong };
                let begun = Instant::now();
                let params = json!({"query": query, "limit": 20});
                std::hint::black_box(server.top(&mut connection, &params).await);
                times.push(begun.elapsed());
            }
            figures.push(Figure::of(times, started.elapsed()));
        }
        println!(
            "| `{}` | {} | {} | {} | {} |",
            server.name,
            millis(figures[0].p50),
            millis(figures[0].p95),
            millis(figures[1].p50),
            millis(figures[1].p95),
        );
    }
}

/// Whether apps are found by a word of their name in each language that they were translated to.
async fn find_languages(servers: &[Server], seed: &str, words: &str) {
    let seed = std::fs::read_to_string(seed).expect("the translations are there");
    let objects: Vec<Value> = seed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON")["object"].take())
        .collect();
    let words = std::fs::read_to_string(words).expect("the words are there");
    let words: Vec<Vec<&str>> = words
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    let languages: BTreeSet<&str> = words.iter().map(|parts| parts[0]).collect();
    println!("\n| words of {} languages | found |", languages.len());
    println!("|---|---|");
    for server in servers {
        let mut connection = load::Connection::open(server.address).await;
        for objects in objects.chunks(200) {
            let params = json!({"objects": {"app": objects}, "mode": "update"});
            let request =
                json!({"jsonrpc": "2.0", "id": 1, "method": "osis_seed", "params": params});
            let answer = connection.call(&request.to_string()).await;
            let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
            assert!(answer.get("result").is_some(), "{answer}");
        }
        let mut missed: Vec<&Vec<&str>> = Vec::new();
        for parts in &words {
            let params = json!({
                "query": parts[2], "filter": {"package_id": parts[1]}, "typo": false,
                "fields": ["name"], "limit": 1,
            });
            if server.top(&mut connection, &params).await.is_empty() {
                missed.push(parts);
            }
        }
        println!(
            "| `{}` | {} of {} |",
            server.name,
            words.len() - missed.len(),
            words.len()
        );
        if !missed.is_empty() {
            eprintln!("missed: {missed:?}");
        }
    }
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
