//! How long searches take: many clients at once, mistyped words, and while others write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use osis_tests::archive::{self, App, Asked};
use osis_tests::plain::Plain;
use serde_json::{Value, json};

use crate::Server;
use crate::load::{self, Figure};

/// How many clients ask at once.
const CLIENTS: usize = 16;
/// How often somebody writes, where searches run beside writes.
const WRITE_EVERY: Duration = Duration::from_millis(100);

/// How long searches take while 16 clients ask at once.
pub(crate) async fn times(
    servers: &[Server],
    plain: &[Arc<dyn Plain>],
    asked: &[Asked],
    length: Duration,
) {
    let mut limits = Vec::new();
    for plain in plain {
        let (index, queries) = (Arc::clone(plain), asked.to_vec());
        let bare = tokio::task::spawn_blocking(move || ask_plainly(&index, &queries, length));
        limits.push((plain.name(), bare.await.expect("the plain run ends")));
    }
    let shares = limits.iter().map(|(name, _)| format!("p95 ÷ {name}"));
    let shares = shares.collect::<Vec<_>>().join(" | ");
    println!("| {CLIENTS} clients, 20 best | calls/s | p50 | p95 | p99 | {shares} |");
    println!("|---|---|---|---|---|---|---|");
    for server in servers {
        let ours = load::run(server.address, CLIENTS, length, bodies(asked)).await;
        tell_times(&format!("{} over JSON-RPC", server.name), &ours, &limits);
    }
    for (name, figure) in &limits {
        tell_times(&format!("{name}, in its process"), figure, &limits);
    }
    println!();
}

/// The n-th request of each client.
fn bodies(asked: &[Asked]) -> impl Fn(usize, usize) -> String + Clone + Send + 'static {
    let requests: Arc<Vec<String>> = Arc::new(asked.iter().map(Asked::request).collect());
    move |client, n| requests[pick(client, n) % requests.len()].clone()
}

/// Spreads what clients ask over all there is to ask.
fn pick(client: usize, n: usize) -> usize {
    client
        .wrapping_mul(7919)
        .wrapping_add(n.wrapping_mul(104_729))
}

fn tell_times(name: &str, figure: &Figure, limits: &[(&str, Figure)]) {
    let shares = limits.iter().map(|(_, limit)| {
        let share = figure.p95.as_secs_f64() / limit.p95.as_secs_f64();
        format!("{share:.2}")
    });
    println!(
        "| {name} | {:.0} | {} | {} | {} | {} |",
        figure.rate,
        millis(figure.p50),
        millis(figure.p95),
        millis(figure.p99),
        shares.collect::<Vec<_>>().join(" | "),
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
                    let asked = &asked[pick(client, n) % asked.len()];
                    let begun = Instant::now();
                    std::hint::black_box(index.top(asked, 20));
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
pub(crate) async fn corrections(servers: &[Server], apps: &[App]) {
    let pairs = archive::mistyped(apps, 200);
    println!("| one client | right words, p50 | p95 | mistyped, p50 | p95 |");
    println!("|---|---|---|---|---|");
    for server in servers {
        let mut connection = load::Connection::open(server.address).await;
        let mut figures = Vec::new();
        for right in [true, false] {
            let (started, mut times) = (Instant::now(), Vec::new());
            for (word, wrong) in &pairs {
                let query = if right { word } else { wrong };
                let begun = Instant::now();
                let params = json!({"query": query, "limit": 20});
                std::hint::black_box(server.top(&mut connection, &params).await);
                times.push(begun.elapsed());
            }
            figures.push(Figure::of(times, started.elapsed()));
        }
        println!(
            "| {} | {} | {} | {} | {} |",
            server.name,
            millis(figures[0].p50),
            millis(figures[0].p95),
            millis(figures[1].p50),
            millis(figures[1].p95),
        );
    }
    println!();
}

/// What searches cost while somebody writes steadily, beside nobody: queries and
/// mistyped words.
pub(crate) async fn beside_writes(
    servers: &[Server],
    apps: &[App],
    asked: &[Asked],
    length: Duration,
) {
    let wrong = archive::mistyped(apps, 200).into_iter();
    let wrong: Vec<Asked> = wrong.map(|(_, wrong)| Asked::Words(vec![wrong])).collect();
    println!("| {CLIENTS} clients | nobody writes, p50 | p95 | a write each 100 ms, p50 | p95 |");
    println!("|---|---|---|---|---|");
    for server in servers {
        for (what, asked) in [("queries", asked), ("mistyped words", &wrong)] {
            let quiet = load::run(server.address, CLIENTS, length, bodies(asked)).await;
            let apps: Vec<String> = apps.iter().map(|app| app.package_id.clone()).collect();
            let writer = tokio::spawn(write_steadily(server.address, apps));
            let beside = load::run(server.address, CLIENTS, length, bodies(asked)).await;
            writer.abort();
            println!(
                "| {}, {what} | {} | {} | {} | {} |",
                server.name,
                millis(quiet.p50),
                millis(quiet.p95),
                millis(beside.p50),
                millis(beside.p95),
            );
        }
    }
}

/// Changes the tags of one app after the other, for ever.
async fn write_steadily(server: std::net::SocketAddr, apps: Vec<String>) {
    let mut connection = load::Connection::open(server).await;
    let mut every = tokio::time::interval(WRITE_EVERY);
    for (n, app) in apps.iter().cycle().enumerate() {
        every.tick().await;
        let params = json!({"key": {"package_id": app}, "data": {"tags": [format!("seen{n}")]}});
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "app_set", "params": params});
        let answer = connection.call(&request.to_string()).await;
        let answer: Value = serde_json::from_slice(answer).expect("an answer is JSON");
        assert!(answer.get("result").is_some(), "{answer}");
    }
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
