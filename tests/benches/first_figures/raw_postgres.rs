//! The limit of the PostgreSQL engine: tokio-postgres doing the store's statements by itself, a
//! connection a client.
//!
//! Each write is a transaction of its own, as a program makes it that uses PostgreSQL in the plain
//! way, with the row locked that the store's writers take turns by. Events are looked for by their ids
//! and copied in, with words that are made but once; what the store counts of words is not counted.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};

use crate::load::Figure;
use crate::{EVENTS, Kind, Sample, WORDS};

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
                        Kind::Ingest => ingest(&connection, &sample, run, client, n).await,
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
        Kind::Find | Kind::New | Kind::Ingest => {
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
    let execute = async |sql: &str, values: &[&(dyn ToSql + Sync)]| {
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

/// What goes to the server as it is.
#[derive(Debug)]
struct Bytes<'a>(&'a [u8]);

impl ToSql for Bytes<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Words of a first searchable field, as a `tsvector`.
fn lexemes(words: &[&str]) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_i32(i32::try_from(words.len()).expect("they are few"));
    for (at, word) in (1..).zip(words) {
        bytes.put_slice(format!("\u{100}{word}\0").as_bytes());
        bytes.put_u16(1);
        bytes.put_u16(at);
    }
    bytes
}

async fn ingest(client: &Client, sample: &Sample, run: usize, number: usize, n: usize) {
    const TYPES: [Type; 14] = [
        Type::TEXT,
        Type::INT8,
        Type::TIMESTAMPTZ,
        Type::TIMESTAMPTZ,
        Type::TEXT,
        Type::TEXT,
        Type::TIMESTAMPTZ,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::JSON,
        Type::TS_VECTOR,
        Type::INT8_ARRAY,
    ];
    let now = SystemTime::now();
    let ms = now.duration_since(SystemTime::UNIX_EPOCH);
    let ms = ms.expect("the clock is right").as_millis();
    let ids: Vec<String> = (0..EVENTS)
        .map(|at| format!("{ms:012x}-{run}-{number}-{n}-{at}"))
        .collect();
    client.batch_execute("BEGIN").await.expect("it begins");
    let lock = "SELECT seq FROM _osis_meta FOR UPDATE";
    client.query_typed(lock, &[]).await.expect("it runs");
    let look = "SELECT t.id FROM events t WHERE t.id = ANY($1)";
    let found = client.query_typed(look, &[(&ids, Type::TEXT_ARRAY)]).await;
    assert!(found.expect("it runs").is_empty());
    let copy = "COPY events (id, rev, created_at, updated_at, app_id, kind, occurred_at, \
        version_code, device_id, platform, message, properties, _words, _slots) \
        FROM STDIN (FORMAT binary)";
    let words = lexemes(&["program", "started", "the", "was"]);
    let sink = client.copy_in(copy).await.expect("it can be copied");
    let mut rows = pin!(BinaryCopyInWriter::new(sink, &TYPES));
    for (at, id) in ids.iter().enumerate() {
        let app = &sample.ids[(n + at) % sample.ids.len()];
        let device = format!("device-{}", at % 97);
        let properties = format!("{{\"cold\":true,\"ms\":{at}}}");
        let row: [&(dyn ToSql + Sync); 14] = [
            id,
            &1_i64,
            &now,
            &now,
            app,
            &"start",
            &now,
            &7_i64,
            &device,
            &"linux",
            &"the program was started",
            &Bytes(properties.as_bytes()),
            &Bytes(&words),
            &[4_i64].as_slice(),
        ];
        rows.as_mut().write(&row).await.expect("it can be written");
    }
    rows.finish().await.expect("it is copied");
    let seq = "UPDATE _osis_meta SET seq = seq + 1";
    client.query_typed(seq, &[]).await.expect("it runs");
    client.batch_execute("COMMIT").await.expect("it commits");
}
