//! The limit of the PostgreSQL engine: tokio-postgres doing the store's statements by itself, a
//! connection a client.
//!
//! Each write is a transaction of its own, as a program makes it that uses PostgreSQL in the plain
//! way, with the row locked that the store's writers take turns by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use crate::load::Figure;
use crate::{Kind, Sample, WORDS};

const COLUMNS: &str = "t.id, t.rev, t.created_at, t.updated_at, t.developer_id, t.package_id, \
    t.name, t.description, t.category, t.tags, t.status";

/// Runs clients that do the statements of a kind of call in a schema of the server.
pub(crate) async fn run(
    url: &str,
    schema: &str,
    sample: &Arc<Sample>,
    kind: Kind,
    run: usize,
    clients: usize,
    length: Duration,
) -> Figure {
    let mut connected = Vec::new();
    for _ in 0..clients {
        connected.push(connect(url, schema).await);
    }
    let started = Instant::now();
    let tasks: Vec<_> = connected
        .into_iter()
        .enumerate()
        .map(|(client, connection)| {
            let sample = Arc::clone(sample);
            tokio::spawn(async move {
                let statements = Statements::prepare(&connection).await;
                let (mut times, mut n) = (Vec::new(), 0);
                while started.elapsed() < length {
                    let begun = Instant::now();
                    match kind {
                        Kind::New => insert(&connection, &sample, run, client, n).await,
                        _ => read(&connection, &statements, &sample, kind, client, n).await,
                    }
                    times.push(begun.elapsed());
                    n += 1;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("a client ends"));
    }
    Figure::of(times, started.elapsed())
}

async fn connect(url: &str, schema: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the server answers");
    tokio::spawn(connection);
    client
        .batch_execute(&format!("SET search_path = {schema}"))
        .await
        .expect("the schema is there");
    client
}

struct Statements {
    get: tokio_postgres::Statement,
    matches: tokio_postgres::Statement,
}

impl Statements {
    async fn prepare(client: &Client) -> Self {
        let get = format!("SELECT {COLUMNS} FROM apps t WHERE t.id = ANY($1)");
        let matches = "SELECT t.id, ts_filter(setweight(t._words, 'A', $2), '{a}')::text, t._slots \
            FROM apps t WHERE t._words @@ $1::text::tsquery";
        Self {
            get: client.prepare(&get).await.expect("it is right"),
            matches: client.prepare(matches).await.expect("it is right"),
        }
    }
}

async fn read(
    client: &Client,
    statements: &Statements,
    sample: &Sample,
    kind: Kind,
    number: usize,
    n: usize,
) {
    let pick = number
        .wrapping_mul(7919)
        .wrapping_add(n.wrapping_mul(104_729));
    let rows = match kind {
        Kind::Get => {
            let ids = vec![sample.ids[pick % sample.ids.len()].as_str()];
            client.query(&statements.get, &[&ids]).await
        }
        Kind::List => {
            let category = sample.categories[pick % sample.categories.len()].as_str();
            let sql = format!(
                "SELECT {COLUMNS} FROM apps t WHERE t.status = 'published' AND t.category = $1 \
                 ORDER BY t.created_at DESC, t.id LIMIT 51"
            );
            client.query_typed(&sql, &[(&category, Type::TEXT)]).await
        }
        Kind::Find | Kind::New => {
            let words: Vec<String> = WORDS[pick % WORDS.len()]
                .split_whitespace()
                .map(|word| word.trim_matches('"').to_owned())
                .collect();
            let marks: Vec<char> = (0x100..0x105).filter_map(char::from_u32).collect();
            let any = |word: &String| {
                let lexemes = marks.iter().map(|mark| format!("'{mark}{word}'"));
                format!("({})", lexemes.collect::<Vec<_>>().join(" | "))
            };
            let query = words.iter().map(any).collect::<Vec<_>>().join(" & ");
            let lexemes: Vec<String> = words
                .iter()
                .flat_map(|word| marks.iter().map(move |mark| format!("{mark}{word}")))
                .collect();
            let found = client.query(&statements.matches, &[&query, &lexemes]).await;
            let found = found.expect("it runs");
            let ids: Vec<&str> = found.iter().take(21).map(|row| row.get(0)).collect();
            client.query(&statements.get, &[&ids]).await
        }
    };
    for row in rows.expect("it runs") {
        std::hint::black_box(row.len());
    }
}

async fn insert(client: &Client, sample: &Sample, run: usize, number: usize, n: usize) {
    // It writes into the store's own tables, where the store has used this run's names.
    let app = sample.app(run + 1_000_000, number, n);
    let text = |name: &str| app[name].as_str().expect("it is a text").to_owned();
    let id = format!("raw-{run}-{number}-{n}");
    let tags = vec!["bench", "example"];
    let execute = async |sql: &str, values: &[&(dyn tokio_postgres::types::ToSql + Sync)]| {
        client.execute(sql, values).await.expect("it runs");
    };
    client.batch_execute("BEGIN").await.expect("it begins");
    execute("SELECT seq FROM _osis_meta FOR UPDATE", &[]).await;
    execute(
        "INSERT INTO apps (id, rev, created_at, updated_at, developer_id, package_id, name, \
         description, category, tags, status, _words, _slots) \
         VALUES ($1, 1, now(), now(), $2, $3, $4, $5, $6, $7, 'draft', \
         to_tsvector('simple', $5), ARRAY[1, 1, 1, 1, 30])",
        &[
            &id,
            &text("developer_id"),
            &text("package_id"),
            &text("name"),
            &text("description"),
            &text("category"),
            &tags,
        ],
    )
    .await;
    execute(
        "INSERT INTO _osis_changes (seq, ordinal, type, id, rev, op, at) \
         SELECT seq + 1, 0, 'app', $1, 1, 'new', now() FROM _osis_meta",
        &[&id],
    )
    .await;
    execute("UPDATE _osis_meta SET seq = seq + 1", &[]).await;
    client.batch_execute("COMMIT").await.expect("it commits");
}
