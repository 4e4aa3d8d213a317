//! The limit of the engine: rusqlite doing the store's statements by itself, a thread a client.
//!
//! Reads have a connection each. Writes share one, as SQLite has one writer; each is a transaction
//! of its own with `synchronous=FULL`, like a program that uses SQLite in the plain way.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use crate::load::Figure;
use crate::{Kind, Sample, WORDS};

const COLUMNS: &str = "a.id, a.rev, a.created_at, a.updated_at, a.developer_id, a.package_id, \
    a.name, a.description, a.category, a.tags, a.status";

/// A copy of the store for the raw runs to work on.
pub(crate) fn copy(from: &Path, to: &Path) {
    let source = Connection::open(from).expect("the store opens");
    source
        .execute("VACUUM INTO ?1", [to.to_string_lossy()])
        .expect("the store can be copied");
    let copy = connect(to);
    copy.pragma_update(None, "journal_mode", "WAL")
        .expect("WAL can be set");
    // The store has its statistics too.
    copy.execute_batch("ANALYZE").expect("it can be analysed");
}

fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("the copy opens");
    connection
        .pragma_update(None, "synchronous", "FULL")
        .expect("FULL can be set");
    connection
        .busy_timeout(Duration::from_secs(10))
        .expect("a time limit can be set");
    connection
}

/// Runs clients that do the statements of a kind of call.
pub(crate) fn run(
    path: &Path,
    sample: &Arc<Sample>,
    kind: Kind,
    run: usize,
    clients: usize,
    length: Duration,
) -> Figure {
    let writer = Arc::new(Mutex::new(connect(path)));
    let started = Instant::now();
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let (writer, sample, path) = (Arc::clone(&writer), Arc::clone(sample), path.to_owned());
            std::thread::spawn(move || {
                let reader = connect(&path);
                let mut times = Vec::new();
                let mut n = 0;
                while started.elapsed() < length {
                    let begun = Instant::now();
                    match kind {
                        Kind::New => insert(
                            &writer.lock().expect("no thread panics"),
                            &sample,
                            run,
                            client,
                            n,
                        ),
                        _ => read(&reader, &sample, kind, client, n),
                    }
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

fn read(connection: &Connection, sample: &Sample, kind: Kind, client: usize, n: usize) {
    let pick = client
        .wrapping_mul(7919)
        .wrapping_add(n.wrapping_mul(104_729));
    let (sql, operand) = match kind {
        Kind::Get => {
            let id = sample.ids[pick % sample.ids.len()].clone();
            (format!("SELECT {COLUMNS} FROM apps a WHERE a.id = ?1"), id)
        }
        Kind::List => {
            let category = sample.categories[pick % sample.categories.len()].clone();
            let sql = format!(
                "SELECT {COLUMNS} FROM apps a WHERE a.status = 'published' AND a.category = ?1 \
                 ORDER BY a.created_at DESC, a.id LIMIT 51"
            );
            (sql, category)
        }
        Kind::Find | Kind::New | Kind::Ingest => {
            let text = "\"_osis_apps$$text\"";
            let sql = format!(
                "SELECT {COLUMNS} FROM {text} CROSS JOIN apps a ON a._n = {text}.rowid \
                 WHERE {text} MATCH ?1 ORDER BY rank LIMIT 21"
            );
            (sql, WORDS[pick % WORDS.len()].to_owned())
        }
    };
    let mut statement = connection
        .prepare_cached(&sql)
        .expect("the statement is right");
    let mut rows = statement.query([operand]).expect("it runs");
    while let Some(row) = rows.next().expect("it goes on") {
        for column in 0..11 {
            std::hint::black_box(row.get_ref(column).expect("the column is there"));
        }
    }
}

fn insert(connection: &Connection, sample: &Sample, run: usize, client: usize, n: usize) {
    let app = sample.app(run, client, n);
    let text = |name: &str| app[name].as_str().expect("it is a text").to_owned();
    let id = format!("raw-{run}-{client}-{n}");
    let now = "2026-01-01T00:00:00.000Z";
    let execute = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        let mut statement = connection
            .prepare_cached(sql)
            .expect("the statement is right");
        statement.execute(values).expect("it runs");
    };
    execute("BEGIN IMMEDIATE", params![]);
    execute(
        "INSERT INTO apps (id, rev, created_at, updated_at, developer_id, package_id, name, \
         description, category, tags, status) VALUES (?1, 1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'draft')",
        params![
            id,
            now,
            text("developer_id"),
            text("package_id"),
            text("name"),
            text("description"),
            text("category"),
            app["tags"].to_string()
        ],
    );
    let row = connection.last_insert_rowid();
    for tag in ["bench", "example"] {
        execute(
            "INSERT INTO \"_osis_apps$tags\" (value, n) VALUES (?1, ?2)",
            params![tag, row],
        );
    }
    execute(
        "INSERT OR REPLACE INTO _osis_text_pending (type, n) VALUES ('app', ?1)",
        params![row],
    );
    execute("UPDATE _osis_meta SET seq = seq + 1", params![]);
    execute(
        "INSERT INTO _osis_changes (seq, ordinal, type, id, rev, op, at) \
         VALUES ((SELECT seq FROM _osis_meta), 0, 'app', ?1, 1, 'new', ?2)",
        params![id, now],
    );
    let key = connection.last_insert_rowid();
    execute(
        "INSERT OR REPLACE INTO _osis_text_pending (type, n) VALUES ('app', ?1)",
        params![key],
    );
    execute("COMMIT", params![]);
}
