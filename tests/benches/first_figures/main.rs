//! First figures: get by id, durable new, a page of a list, a search (and on PostgreSQL an ingest of
//! many events), at 1, 16 and 64 clients, of a SQLite store, a file store and a PostgreSQL store, each beside its limits in the same run: a
//! jsonrpsee server whose methods do nothing, and rusqlite or tokio-postgres doing the statements of
//! the store by themselves.
//!
//! `cargo build --release -p osis-cli && cargo bench -p osis-tests --bench first_figures -- CATALOG`
//! prints a table in Markdown. CATALOG is a seed file; without one, `examples/catalog.toml`.

mod load;
mod noop;
mod raw;
mod raw_postgres;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use load::Figure;
use osis_tests::postgres::Cluster;
use serde_json::{Value, json};

const CLIENTS: [usize; 3] = [1, 16, 64];
const LENGTH: Duration = Duration::from_secs(3);
const WORDS: [&str; 12] = [
    "editor",
    "network",
    "game",
    "library",
    "python",
    "image",
    "server",
    "font",
    "audio",
    "compiler",
    "perl module",
    "\"command line\"",
];

fn main() {
    if std::env::var_os(noop::ROLE).is_some() {
        return noop::serve();
    }
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    runtime.block_on(measure());
}

/// How many events a call of [`Kind::Ingest`] brings.
pub(crate) const EVENTS: usize = 500;

/// The kinds of call that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `app_get` by id.
    Get,
    /// `app_new`, durable.
    New,
    /// `app_list`: 50 published apps of a category by falling age.
    List,
    /// `app_find`: the 20 most relevant apps with a word.
    Find,
    /// `event_ingest` of [`EVENTS`] events; beside PostgreSQL alone.
    Ingest,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Get, Self::New, Self::List, Self::Find];

    fn name(self) -> &'static str {
        match self {
            Self::Get => "get by id",
            Self::New => "durable new",
            Self::List => "list page of 50",
            Self::Find => "find, 20 best",
            Self::Ingest => "ingest of 500 events",
        }
    }
}

/// What calls are made of.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Ids of apps.
    pub(crate) ids: Vec<String>,
    /// Categories of apps.
    pub(crate) categories: Vec<String>,
    /// A developer for new apps.
    pub(crate) developer: String,
}

impl Sample {
    /// The n-th request of a client.
    fn request(&self, kind: Kind, run: usize, client: usize, n: usize) -> String {
        let pick = client
            .wrapping_mul(7919)
            .wrapping_add(n.wrapping_mul(104_729));
        let (method, params) = match kind {
            Kind::Get => ("app_get", json!({"id": self.ids[pick % self.ids.len()]})),
            Kind::New => ("app_new", json!({"data": self.app(run, client, n)})),
            Kind::List => {
                let category = &self.categories[pick % self.categories.len()];
                let filter = json!({"status": "published", "category": category});
                (
                    "app_list",
                    json!({"filter": filter, "sort": "-created_at", "limit": 50}),
                )
            }
            Kind::Find => (
                "app_find",
                json!({"query": WORDS[pick % WORDS.len()], "limit": 20}),
            ),
            Kind::Ingest => ("event_ingest", json!({"items": self.events(pick)})),
        };
        json!({"jsonrpc": "2.0", "id": n, "method": method, "params": params}).to_string()
    }

    /// Events of now, as programs report them.
    fn events(&self, pick: usize) -> Value {
        let now = osis_core::time::Time::now().to_string();
        let event = |n: usize| {
            json!({
                "app_id": self.ids[(pick + n) % self.ids.len()],
                "kind": "start",
                "occurred_at": now,
                "version_code": 7,
                "device_id": format!("device-{}", n % 97),
                "platform": "linux",
                "message": "the program was started",
                "properties": {"cold": true, "ms": n},
            })
        };
        (0..EVENTS).map(event).collect()
    }

    /// A new app of about the size of a package.
    pub(crate) fn app(&self, run: usize, client: usize, n: usize) -> Value {
        json!({
            "developer_id": self.developer,
            "package_id": format!("org.example.bench{run}.c{client}.n{n}"),
            "name": format!("Bench {run} {client} {n}"),
            "description": "A program that is made in order to measure how fast a store can keep \
                it: it has a text of some length, as the packages of an archive have, with words \
                that occur in many of them and a few that do not.",
            "category": "utils",
            "tags": ["bench", "example"],
        })
    }
}

/// A child process that is killed when it goes out of scope.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts: build it with cargo build --release -p osis-cli");
        let out = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let line = out
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("listening on http://").map(str::to_owned));
        let address = line
            .and_then(|text| text.parse().ok())
            .expect("the server tells its address");
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A store with the catalogue, and a server on it.
struct Subject {
    server: Server,
    sample: Arc<Sample>,
}

impl Subject {
    async fn start(osis: &Path, url: &str, catalog: &Path) -> Self {
        let server = Server::start(
            Command::new(osis)
                .args(["serve", "--listen", "127.0.0.1:0", "--store", url, "--seed"])
                .arg(catalog),
        );
        let sample = Arc::new(sample(server.address).await);
        Self { server, sample }
    }

    async fn measure(&self, kind: Kind, run: usize, clients: usize) -> Figure {
        serve(self.server.address, &self.sample, kind, run, clients).await
    }
}

async fn measure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalog = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with("--"))
        .map_or_else(|| root.join("examples/catalog.toml"), PathBuf::from);
    let own = std::env::current_exe().expect("this program has a path");
    let osis = own
        .ancestors()
        .nth(2)
        .expect("it lies in target/release/deps")
        .join("osis");
    let dir = tempfile::tempdir_in(own.parent().expect("it has a folder")).expect("a folder");
    let database = dir.path().join("osis.db");
    let sqlite = format!("sqlite:{}", database.display());
    let sqlite = Subject::start(&osis, &sqlite, &catalog).await;
    let file = {
        let url = format!("file:{}", dir.path().join("store").display());
        Subject::start(&osis, &url, &catalog).await
    };
    let noop = Server::start(Command::new(&own).env(noop::ROLE, "1"));
    let copy = dir.path().join("raw.db");
    raw::copy(&database, &copy);

    println!("{} apps in the store.\n", sqlite.sample.ids.len());
    println!(
        "| call | clients | sqlite:/s | p50 | p95 | p99 | no-op jsonrpsee/s | of it | raw SQLite/s | of it \
         | file:/s | p50 | p95 | p99 | of sqlite: | of no-op |"
    );
    println!("|{}", "---|".repeat(16));
    for (run, kind) in Kind::ALL.into_iter().enumerate() {
        for clients in CLIENTS {
            let run = run * 100 + clients;
            let ours = sqlite.measure(kind, run, clients).await;
            let bare = serve(noop.address, &sqlite.sample, kind, run, clients).await;
            let (path, own) = (copy.clone(), Arc::clone(&sqlite.sample));
            let raw = tokio::task::spawn_blocking(move || {
                raw::run(&path, &own, kind, run, clients, LENGTH)
            });
            let raw = raw.await.expect("the raw run ends");
            print!(
                "| {} | {clients} | {:.0} | {} | {} | {} | {:.0} | {:.2} | {:.0} | {:.2} |",
                kind.name(),
                ours.rate,
                millis(ours.p50),
                millis(ours.p95),
                millis(ours.p99),
                bare.rate,
                ours.rate / bare.rate,
                raw.rate,
                ours.rate / raw.rate,
            );
            {
                let file = file.measure(kind, run, clients).await;
                print!(
                    " {:.0} | {} | {} | {} | {:.2} | {:.2} |",
                    file.rate,
                    millis(file.p50),
                    millis(file.p95),
                    millis(file.p99),
                    file.rate / ours.rate,
                    file.rate / bare.rate,
                );
            }
            println!();
        }
    }
    if osis_tests::postgres::is_there("the figures of PostgreSQL") {
        measure_postgres(&osis, &catalog, &sqlite).await;
    }
}

/// The PostgreSQL store beside tokio-postgres and the SQLite store.
async fn measure_postgres(osis: &Path, catalog: &Path, sqlite: &Subject) {
    let cluster = Cluster::own();
    let url = cluster.url("schema=osis");
    let postgres = Subject::start(osis, &url, catalog).await;
    cluster.sql("ANALYZE");
    println!(
        "\n| call | clients | postgres:/s | p50 | p99 | raw tokio-postgres/s | of it | sqlite:/s \
         | of it |\n|---|---|---|---|---|---|---|---|---|"
    );
    let kinds = Kind::ALL.into_iter().chain([Kind::Ingest]);
    for (run, kind) in kinds.enumerate() {
        for clients in CLIENTS {
            let run = 1000 + run * 100 + clients;
            let ours = postgres.measure(kind, run, clients).await;
            let (url, sample) = (cluster.url(""), &postgres.sample);
            let raw = raw_postgres::run(&url, "osis", sample, kind, run, clients, LENGTH).await;
            let beside = sqlite.measure(kind, run, clients).await;
            println!(
                "| {} | {clients} | {:.0} | {} | {} | {:.0} | {:.2} | {:.0} | {:.2} |",
                kind.name(),
                ours.rate,
                millis(ours.p50),
                millis(ours.p99),
                raw.rate,
                ours.rate / raw.rate,
                beside.rate,
                ours.rate / beside.rate,
            );
        }
    }
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

async fn serve(
    server: SocketAddr,
    sample: &Arc<Sample>,
    kind: Kind,
    run: usize,
    clients: usize,
) -> Figure {
    let sample = Arc::clone(sample);
    load::run(server, clients, LENGTH, move |client, n| {
        sample.request(kind, run, client, n)
    })
    .await
}

/// Looks through the store for what calls are made of.
async fn sample(server: SocketAddr) -> Sample {
    let mut connection = load::Connection::open(server).await;
    let mut ids = Vec::new();
    let mut categories = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let params = json!({"limit": 1000, "cursor": cursor, "fields": ["category"]});
        let result = call(&mut connection, "app_list", &params).await;
        for item in result["items"].as_array().expect("a page has items") {
            ids.extend(item["id"].as_str().map(str::to_owned));
            categories.extend(item["category"].as_str().map(str::to_owned));
        }
        cursor = result["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    categories.sort();
    categories.dedup();
    let developers = call(&mut connection, "developer_list", &json!({"limit": 1})).await;
    let developer = developers["items"][0]["id"]
        .as_str()
        .expect("there is a developer")
        .to_owned();
    // What the seed has left to be indexed is indexed before anything is measured.
    call(&mut connection, "app_find", &json!({"query": "editor"})).await;
    Sample {
        ids,
        categories,
        developer,
    }
}

async fn call(connection: &mut load::Connection, method: &str, params: &Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let answer = connection.call(&request.to_string()).await;
    let mut answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
    answer["result"].take()
}
