//! Snapshots: what clients and people see, word by word. A changed snapshot is a changed promise.
//!
//! Exchanges are taken from the wire, with what differs from run to run masked: ids that the store
//! made, its times, cursors, scores. The tables are read from the file, as any SQLite tool does.
//! `cargo insta review` shows what changed.

use osis_rpc::Limits;
use osis_tests::fixture;
use osis_tests::settings::Site;
use serde_json::{Value, json};

/// A conversation with a server, as text.
struct Talk {
    site: Site,
    text: String,
    /// Ids that the store made, in the order in which they were seen.
    ids: Vec<String>,
}

impl Talk {
    fn new() -> Self {
        Self {
            site: Site::on_sqlite(Limits::default()),
            text: String::new(),
            ids: Vec::new(),
        }
    }

    /// One call; its result.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.say(&request.to_string());
        answer["result"].clone()
    }

    /// One body; its answer.
    fn say(&mut self, body: &str) -> Value {
        let answer = self.site.connect().post(body);
        let (mut masked, json) = match answer.body.is_empty() {
            true => (json!("(an empty body)"), json!(null)),
            false => (answer.json(), answer.json()),
        };
        let mut asked = serde_json::from_str(body).unwrap_or_else(|_| json!(body));
        self.mask("", &mut asked);
        self.mask("", &mut masked);
        self.text
            .push_str(&format!("--> {asked}\n<-- {masked:#}\n\n"));
        json
    }

    fn mask(&mut self, name: &str, value: &mut Value) {
        match value {
            Value::Object(members) => members
                .iter_mut()
                .for_each(|(name, value)| self.mask(name, value)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask(name, item)),
            Value::String(text) => {
                *text = match name {
                    "created_at" | "updated_at" | "at" => "(time)".to_owned(),
                    "cursor" | "next_cursor" => "(cursor)".to_owned(),
                    "version" | "replica" | "hash" => format!("({name})"),
                    _ => self.without_ids(text),
                };
            }
            Value::Number(_) if name == "score" || name == "uptime_s" => {
                *value = json!(format!("({name})"));
            }
            _ => {}
        }
    }

    /// A text in which ids that the store made are numbered.
    fn without_ids(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        while let Some(id) = made_id(&text) {
            let known = self.ids.iter().position(|known| *known == id);
            let n = known.unwrap_or_else(|| {
                self.ids.push(id.clone());
                self.ids.len() - 1
            });
            text = text.replace(&id, &format!("(id {n})"));
        }
        text
    }
}

/// The first UUIDv7 in a text.
fn made_id(text: &str) -> Option<String> {
    let form = |part: &&str| {
        part.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && part.as_bytes()[14] == b'7'
    };
    let parts = text
        .char_indices()
        .filter_map(|(at, _)| text.get(at..at + 36));
    parts.into_iter().find(form).map(str::to_owned)
}

/// A developer with two apps, one of which has versions.
fn catalogue(talk: &mut Talk) {
    let version = |code: i64| fixture::version_data("app-notes", code);
    let objects = json!({
        "developer": [{ "id": "dev-ada", "email": "ada@example.org", "name": "Ada" }],
        "app": [
            { "id": "app-notes", "developer_id": { "email": "ada@example.org" },
              "package_id": "org.example.notes", "name": "Notes", "tags": ["text", "plain <b>"] },
            { "id": "app-maps", "developer_id": "dev-ada", "package_id": "org.example.maps",
              "name": "Maps", "description": "Maps & notes of the world", "status": "published" },
        ],
        "version": [version(1), version(2)],
    });
    talk.call("osis_seed", &json!({ "objects": objects }));
}

#[test]
fn objects_come_and_change_and_go() {
    let mut talk = Talk::new();
    let data = json!({ "email": "ada@example.org", "name": "Ada", "password_hash": "secret" });
    let ada = talk.call("developer_new", &json!({ "data": data }));
    talk.call(
        "developer_get",
        &json!([{ "email": "ADA@example.org" }, null, ["name", "rev"]]),
    );
    talk.call(
        "developer_set",
        &json!({ "id": ada["id"], "data": { "verified": true }, "if_rev": 1 }),
    );
    talk.call(
        "tally_set",
        &json!({ "key": { "name": "t" }, "data": { "hits": 2 }, "mode": "merge", "upsert": true }),
    );
    talk.call("developer_delete", &json!({ "id": ada["id"] }));
    insta::assert_snapshot!(talk.text);
}

#[test]
fn lists_and_what_comes_along() {
    let mut talk = Talk::new();
    catalogue(&mut talk);
    let params = json!({
        "sort": "-name", "limit": 1, "fields": ["name", "status"], "count": true,
        "expand": ["developer_id", "latest_version", "versions"],
    });
    talk.call("app_list", &params);
    talk.call(
        "version_count",
        &json!({ "filter": { "version_code": { "gte": 2 } } }),
    );
    talk.call(
        "version_aggregate",
        &json!({ "group_by": ["app_id"], "metrics": ["count", "sum:package_size"] }),
    );
    insta::assert_snapshot!(talk.text);
}

#[test]
fn searches() {
    let mut talk = Talk::new();
    catalogue(&mut talk);
    talk.call(
        "app_find",
        &json!({ "query": "notes -world", "fields": ["name"] }),
    );
    talk.call("app_find", &json!({ "query": "nope:x (a OR" }));
    insta::assert_snapshot!(talk.text);
}

#[test]
fn transactions_and_the_change_feed() {
    let mut talk = Talk::new();
    let new =
        json!({ "method": "memo_new", "params": { "data": { "id": "memo-1", "body": "a" } } });
    let set = json!({ "method": "memo_set", "params": ["memo-1", { "count": 1 }] });
    let gone = json!({ "method": "memo_delete", "params": ["memo-2"] });
    talk.call(
        "osis_transaction",
        &json!({ "ops": [new, set], "dry_run": true }),
    );
    talk.call("osis_transaction", &json!({ "ops": [new, set, gone] }));
    talk.call("osis_transaction", &json!({ "ops": [new, set] }));
    talk.call("osis_changes", &json!({ "since": 0, "objects": true }));
    talk.call("osis_changes", &json!({ "since": 99 }));
    talk.call(
        "visit_ingest",
        &json!({ "items": [{ "page": "a", "at": "2026-01-01T01:00:00+01:00" }] }),
    );
    talk.call("osis_info", &json!({}));
    insta::assert_snapshot!(talk.text);
}

#[test]
fn errors() {
    let mut talk = Talk::new();
    catalogue(&mut talk);
    let data = json!({ "email": "no email", "name": 7, "nope": 1, "rev": 3 });
    talk.call("developer_new", &json!({ "data": data, "extra": true }));
    talk.call("app_new", &json!({}));
    talk.call("app_get", &json!({ "id": "Not An Id" }));
    talk.call("app_get", &json!({ "key": { "name": "Notes" } }));
    talk.call(
        "app_get",
        &json!({ "key": { "package_id": "org.example.none" } }),
    );
    talk.call(
        "app_new",
        &json!({ "data": { "developer_id": "nobody", "package_id": "a.b", "name": "x" } }),
    );
    talk.call("app_new", &json!({ "data": { "developer_id": "dev-ada", "package_id": "org.example.maps", "name": "x" } }));
    talk.call(
        "app_set",
        &json!({ "id": "app-maps", "data": {}, "if_rev": 7 }),
    );
    talk.call("app_list", &json!({ "filter": { "or": [{ "name": { "like": "x" } }] }, "sort": "tags", "limit": 0, "cursor": "x" }));
    talk.call("app_nope", &json!({}));
    talk.say("{\"jsonrpc\": \"2.0\", \"id\": 1, \"id\": 2}");
    talk.say("[]");
    talk.say("[1, {\"jsonrpc\": \"2.0\", \"method\": \"osis_info\", \"id\": {}}]");
    talk.say("{\"jsonrpc\": \"2.0\", \"method\": \"memo_new\", \"params\": [{\"body\": \"a\"}]}");
    insta::assert_snapshot!(talk.text);
}

#[test]
fn the_tables_of_a_store() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("osis.db");
    let config = osis_backend_sqlite::SqliteConfig::new(&path);
    let backend =
        osis_backend_sqlite::SqliteBackend::open(config, Some(fixture::schema())).unwrap();
    let database = rusqlite::Connection::open(&path).unwrap();
    // Without what FTS5 makes behind its own tables.
    let query =
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND sql NOT LIKE 'CREATE TABLE ''%'
                 ORDER BY tbl_name, type DESC, name";
    let mut statement = database.prepare(query).unwrap();
    let rows = statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    let tables: Vec<String> = rows.map(Result::unwrap).collect();
    drop(backend);
    insta::assert_snapshot!(tables.join(";\n\n"));
}
