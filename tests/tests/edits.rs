//! A person at the files of a file store, while a server runs and while none does (§6): what is
//! edited, added, deleted and moved becomes the store's content, and what is broken is kept and
//! reported.
//!
//! The contract gives a local disk one second; what is waited for here is polled far longer, since
//! a busy machine is no error, and how long it took is printed.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use osis_tests::binary::Served;
use osis_tests::files;
use osis_tests::fixture::{self, version_data};
use osis_tests::parts;
use osis_tests::places::{Kind, Place};
use serde_json::{Value, json};

/// Whoever waits longer than this waits for ever.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long something that must not happen is waited for.
const A_WHILE: Duration = Duration::from_millis(1500);

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    eprintln!("{what}: {:?}", begun.elapsed());
}

/// A person's desk: a store with a few objects, a server on it, and the files before them.
struct Desk {
    // Goes before the folder that it serves.
    server: Option<Served>,
    place: Place,
}

impl Desk {
    /// Ada has two apps, the first with a version; a customer has an order.
    fn new() -> Self {
        let place = Place::new(Kind::File);
        let server = place.serve();
        let app = |id: &str, package: &str, name: &str| {
            json!({
                "id": id, "developer_id": "ada-1", "package_id": package,
                "name": name, "category": "tools", "tags": ["small", "new"],
            })
        };
        let mut version = version_data("notes-1", 1);
        version["id"] = json!("version-1");
        let objects = json!({
            "developer": [{ "id": "ada-1", "email": "ada@example.org", "name": "Ada" }],
            "app": [
                app("notes-1", "org.example.first", "Notes"),
                app("paint-1", "org.example.second", "Paint"),
            ],
            "version": [version],
            "customer": [{ "id": "bob-1", "name": "Bob", "email": "bob@x" }],
            "order": [{ "id": "order-1", "customer_id": "bob-1", "placed_at": "2026-01-01T00:00:00Z" }],
        });
        server.call("osis_seed", &json!({ "objects": objects }));
        let desk = Self {
            place,
            server: Some(server),
        };
        for (plural, id) in [
            ("apps", "notes-1"),
            ("apps", "paint-1"),
            ("versions", "version-1"),
            ("orders", "order-1"),
        ] {
            let file = desk.file(plural, id);
            until("an object has its file", || file.exists());
        }
        desk
    }

    fn directory(&self) -> &Path {
        self.place.path()
    }

    fn file(&self, plural: &str, id: &str) -> PathBuf {
        files::object_file(self.directory(), plural, id)
    }

    fn server(&self) -> &Served {
        self.server.as_ref().unwrap()
    }

    fn call(&self, method: &str, params: &Value) -> Value {
        self.server().call(method, params)
    }

    /// Stops the server in good order.
    fn stop(&mut self) {
        assert!(self.server.take().unwrap().terminate().success());
    }

    /// Starts a server again.
    fn start(&mut self) {
        self.server = Some(self.place.serve());
    }

    /// An object, or null.
    fn get(&self, ty: &str, id: &str) -> Value {
        let mut connection = self.server().connect();
        let mut answer = connection.call(&format!("{ty}_get"), &json!({ "id": id }));
        answer["result"].take()
    }

    /// How many apps a search finds.
    fn found(&self, query: &str) -> u64 {
        let find = json!({ "query": query, "typo": false });
        self.call("app_find", &find)["total"].as_u64().unwrap()
    }

    /// The last record of an object in the change feed.
    fn last_record(&self, id: &str) -> Value {
        let feed = self.call("osis_changes", &json!({ "since": 0, "limit": 1000 }));
        let changes = feed["changes"].as_array().unwrap();
        let last = changes.iter().rfind(|change| change["id"] == id);
        last.cloned().unwrap_or_default()
    }

    /// The problems with a file, as `osis_info` names them.
    fn problems(&self, file: &Path) -> Vec<Value> {
        let info = self.call("osis_info", &json!({}));
        let name = file.strip_prefix(self.directory()).unwrap();
        let problems = info["problems"].as_array().unwrap().iter();
        let of_it = |problem: &&Value| Path::new(problem["path"].as_str().unwrap()).ends_with(name);
        problems.filter(of_it).cloned().collect()
    }

    /// Waits until a file has a problem, which must name the line.
    fn until_broken(&self, file: &Path, line: Option<usize>) {
        until("the problem is reported", || {
            !self.problems(file).is_empty()
        });
        let problem = &self.problems(file)[0];
        assert_eq!(
            problem.get("line"),
            line.map(Value::from).as_ref(),
            "{problem}"
        );
        assert!(
            !problem["message"].as_str().unwrap().is_empty(),
            "{problem}"
        );
    }

    fn until_mended(&self, file: &Path) {
        until("the problem is gone", || self.problems(file).is_empty());
    }
}

/// How an editor saves.
type Save = fn(&Path, &str);

/// Saves as `vim` and most editors do: another file takes the name.
fn save(file: &Path, text: &str) {
    let beside = file.with_file_name(".4913.swp");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, file).unwrap();
}

/// Saves as `nano` and shells do: into the file that is there.
fn save_in_place(file: &Path, text: &str) {
    std::fs::write(file, text).unwrap();
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Replaces a part of a file, which must be there.
fn edit(file: &Path, from: &str, to: &str, save: Save) {
    let text = read(file);
    assert!(text.contains(from), "no {from:?} in {text}");
    save(file, &text.replacen(from, to, 1));
}

/// The number of the line with some text, from 1.
fn line_of(text: &str, part: &str) -> Option<usize> {
    text.lines()
        .position(|line| line.contains(part))
        .map(|n| n + 1)
}

#[test]
fn an_edit_shows_in_reads_searches_and_the_feed() {
    let desk = Desk::new();
    let file = desk.file("apps", "notes-1");
    let saves: [Save; 2] = [save, save_in_place];
    for (n, save) in saves.into_iter().enumerate() {
        let (before, after) = (["Notes", "Ledger"][n], ["Ledger", "Diary"][n]);
        let rev = desk.get("app", "notes-1")["rev"].as_i64().unwrap();
        edit(
            &file,
            &format!("name = \"{before}\""),
            &format!("name = \"{after}\""),
            save,
        );
        until("the edit is read", || {
            desk.get("app", "notes-1")["name"] == after
        });
        assert_eq!((desk.found(after), desk.found(before)), (1, 0));
        let app = desk.get("app", "notes-1");
        assert_eq!(app["rev"], rev + 1, "{app}");
        let record = desk.last_record("notes-1");
        assert_eq!(
            (&record["op"], &record["rev"]),
            (&json!("set"), &json!(rev + 1)),
            "{record}"
        );
        let written = format!("rev = {}", rev + 1);
        until("the file has its revision", || {
            read(&file).contains(&written)
        });
    }
    assert!(desk.problems(&file).is_empty());
}

#[test]
fn what_is_the_stores_own_is_put_back() {
    let desk = Desk::new();
    let file = desk.file("apps", "notes-1");
    let (text, object) = (read(&file), desk.get("app", "notes-1"));
    for (field, value) in [
        ("rev", "99"),
        ("created_at", "2001-01-01T00:00:00.000Z"),
        ("updated_at", "2001-01-01T00:00:00.000Z"),
    ] {
        let old = text
            .lines()
            .find(|line| line.starts_with(&format!("{field} =")))
            .unwrap();
        edit(&file, old, &format!("{field} = {value}"), save);
        until("it is put back", || read(&file) == text);
        assert_eq!(desk.get("app", "notes-1"), object, "{field}");
    }
}

#[test]
fn a_file_that_is_added_is_a_new_object() {
    let desk = Desk::new();
    for (id, head) in [("plain-1", ""), ("marked-1", "O:\n")] {
        let file = desk.file("apps", id);
        let text = format!(
            "{head}# made by hand\n\nid = \"{id}\"\npackage_id = \"org.example.{id}\"\n\
             name = \"Byhand {id}\"   # for now\ndeveloper_id = 'ada-1'\n"
        );
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        save(&file, &text);
        until("the new object is read", || !desk.get("app", id).is_null());
        let app = desk.get("app", id);
        assert_eq!(
            (&app["rev"], &app["status"]),
            (&json!(1), &json!("draft")),
            "{app}"
        );
        assert_eq!(desk.last_record(id)["op"], "new");
        // Later writes of the store leave what the person made of it.
        desk.call(
            "app_set",
            &json!({ "id": id, "data": { "category": "games" } }),
        );
        until("the file has the change", || {
            read(&file).contains("category = \"games\"")
        });
        let text = read(&file);
        assert_eq!(text.starts_with("O:\n"), head == "O:\n", "{text}");
        for kept in [
            "# made by hand\n",
            "   # for now\n",
            "developer_id = 'ada-1'\n",
        ] {
            assert!(text.contains(kept), "{kept:?} is gone: {text}");
        }
        assert!(desk.problems(&file).is_empty());
    }
    assert_eq!(desk.found("byhand"), 2);
}

#[test]
fn comments_and_layout_survive_later_writes() {
    let desk = Desk::new();
    let file = desk.file("apps", "notes-1");
    let plain = read(&file);
    let at = |field: &str| {
        let line = plain
            .lines()
            .find(|line| line.starts_with(&format!("{field} =")));
        line.unwrap().to_owned()
    };
    // Another order, spaces, a list over several lines, quotes of the other kind.
    let text = format!(
        "O:\n# what we sell\n{}\n{}\n\n[[]]\n{}  # the shop's\n{}\n{}\n  {}\n{}\n{}\nstatus   =   'draft'\n",
        at("name"),
        at("id"),
        at("package_id"),
        at("developer_id"),
        at("category"),
        at("rev"),
        at("created_at"),
        at("updated_at"),
    )
    .replace("[[]]", "tags = [\n  \"small\", # really\n  \"new\",\n]");
    save(&file, &text);
    // Nothing has changed but the layout.
    std::thread::sleep(A_WHILE);
    assert_eq!(read(&file), text);
    assert_eq!(desk.get("app", "notes-1")["rev"], 1);
    desk.call(
        "app_set",
        &json!({ "id": "notes-1", "data": { "name": "Ledger" } }),
    );
    until("the file has the change", || {
        read(&file).contains("\"Ledger\"")
    });
    let after = read(&file);
    let changed: Vec<(&str, &str)> = text
        .lines()
        .zip(after.lines())
        .filter(|(old, new)| old != new)
        .collect();
    assert_eq!(text.lines().count(), after.lines().count(), "{after}");
    let fields = changed
        .iter()
        .map(|(_, new)| new.split(" =").next().unwrap().trim());
    let fields: BTreeSet<&str> = fields.collect();
    assert_eq!(
        fields,
        BTreeSet::from(["name", "rev", "updated_at"]),
        "{after}"
    );
}

#[test]
fn a_broken_file_is_reported_and_its_last_good_object_served() {
    let desk = Desk::new();
    let file = desk.file("apps", "notes-1");
    let good = read(&file);
    let object = desk.get("app", "notes-1");
    let breaks: [(&str, &str, Save); 5] = [
        // No TOML.
        ("name = \"Notes\"", "name = \"Not", save),
        // A value of another type, one that is not allowed, and one that is missing.
        ("name = \"Notes\"", "name = 7", save_in_place),
        ("status = \"draft\"", "status = \"frob\"", save),
        ("category = \"tools\"", "color = \"red\"", save_in_place),
        // A reference to nothing.
        ("developer_id = \"ada-1\"", "developer_id = \"eve-1\"", save),
    ];
    for (from, to, save) in breaks {
        let broken = good.replacen(from, to, 1);
        assert_ne!(broken, good);
        save(&file, &broken);
        desk.until_broken(&file, line_of(&broken, to));
        assert_eq!(desk.get("app", "notes-1"), object, "{to}");
        assert_eq!(desk.found("notes"), 1, "{to}");
        // Another process that starts now sees it alike.
        let other = desk.place.serve();
        assert_eq!(
            other.call("app_get", &json!({ "id": "notes-1" })),
            object,
            "{to}"
        );
        assert!(other.terminate().success());
        assert_eq!(read(&file), broken, "a broken file is never overwritten");
        save(&file, &good);
        desk.until_mended(&file);
        assert_eq!(desk.get("app", "notes-1"), object, "{to}");
    }
    // Mended with something new in it.
    save(&file, &good.replacen("id = ", "id ", 1));
    until("the problem is reported", || {
        !desk.problems(&file).is_empty()
    });
    save(
        &file,
        &good.replacen("name = \"Notes\"", "name = \"Mended\"", 1),
    );
    desk.until_mended(&file);
    until("what it says is read", || {
        desk.get("app", "notes-1")["name"] == "Mended"
    });
    assert_eq!((desk.found("mended"), desk.found("notes")), (1, 0));
}

#[test]
fn a_broken_file_survives_a_write_of_its_object() {
    let mut desk = Desk::new();
    let file = desk.file("apps", "notes-1");
    let broken = read(&file).replacen("name = \"Notes\"", "name = ", 1);
    save(&file, &broken);
    desk.until_broken(&file, line_of(&broken, "name = "));
    let set = json!({ "id": "notes-1", "data": { "category": "games" } });
    let answer = desk.server().connect().call("app_set", &set);
    std::thread::sleep(A_WHILE);
    assert_eq!(read(&file), broken, "after {answer}");
    if answer.get("result").is_some() {
        // What was acknowledged does not depend on the file, nor on what is derived.
        desk.stop();
        std::fs::remove_dir_all(desk.directory().join(".osis")).unwrap();
        desk.start();
        assert_eq!(desk.get("app", "notes-1")["category"], "games");
        assert_eq!(read(&file), broken);
    }
}

#[test]
fn a_deleted_file_is_a_delete_with_its_cascades() {
    let desk = Desk::new();
    std::fs::remove_file(desk.file("developers", "ada-1")).unwrap();
    until("the object is gone", || {
        desk.get("developer", "ada-1").is_null()
    });
    for (ty, plural, id) in [
        ("app", "apps", "notes-1"),
        ("app", "apps", "paint-1"),
        ("version", "versions", "version-1"),
    ] {
        assert!(desk.get(ty, id).is_null(), "{id} refers to nothing");
        assert_eq!(desk.last_record(id)["op"], "delete");
        let file = desk.file(plural, id);
        until("its referrers' files are gone", || !file.exists());
    }
    assert_eq!(desk.found("notes OR paint"), 0);
}

#[test]
fn a_deleted_file_that_is_referred_to_is_put_back() {
    let mut desk = Desk::new();
    let file = desk.file("customers", "bob-1");
    let (text, object) = (read(&file), desk.get("customer", "bob-1"));
    std::fs::remove_file(&file).unwrap();
    until("the file is back", || file.exists());
    assert_eq!(read(&file), text);
    assert_eq!(desk.get("customer", "bob-1"), object);
    // While nothing runs, too.
    desk.stop();
    std::fs::remove_file(&file).unwrap();
    desk.start();
    until("the file is back", || file.exists());
    assert_eq!(desk.get("customer", "bob-1"), object);
    // Together with what refers to it, it goes.
    desk.call("order_delete", &json!({ "id": "order-1" }));
    std::fs::remove_file(&file).unwrap();
    until("the object is gone", || {
        desk.get("customer", "bob-1").is_null()
    });
}

#[test]
fn of_two_files_with_one_key_the_first_is_served() {
    let desk = Desk::new();
    let first = desk.file("apps", "notes-1");
    let second = desk.file("apps", "copy-1");
    std::fs::create_dir_all(second.parent().unwrap()).unwrap();
    let copy = read(&first).replacen("id = \"notes-1\"", "id = \"copy-1\"", 1);
    save(&second, &copy);
    until("the problem is reported", || {
        !desk.problems(&second).is_empty()
    });
    assert!(desk.get("app", "copy-1").is_null());
    let key = json!({ "key": { "package_id": "org.example.first" } });
    assert_eq!(desk.call("app_get", &key)["id"], "notes-1");
    assert_eq!(desk.found("notes"), 1);
    // A process without caches decides alike.
    let other = desk.place.serve();
    assert_eq!(other.call("app_get", &key)["id"], "notes-1");
    assert!(other.terminate().success());
    assert_eq!(
        read(&second),
        copy,
        "a file that is not served is not overwritten"
    );
    edit(&second, "org.example.first", "org.example.third", save);
    desk.until_mended(&second);
    until("the second is served", || {
        !desk.get("app", "copy-1").is_null()
    });
    assert_eq!(desk.found("notes"), 2);
}

#[test]
fn a_file_that_is_moved_is_found() {
    let desk = Desk::new();
    let file = desk.file("apps", "notes-1");
    let object = desk.get("app", "notes-1");
    // Into the wrong folder: the store puts it right.
    let wrong = desk.directory().join("apps/zz/notes-1.otoml");
    std::fs::create_dir_all(wrong.parent().unwrap()).unwrap();
    std::fs::rename(&file, &wrong).unwrap();
    until("it is where it belongs", || {
        file.exists() && !wrong.exists()
    });
    let after = desk.get("app", "notes-1");
    assert_eq!(
        (&after["id"], &after["name"]),
        (&object["id"], &object["name"])
    );
    // To another name, with the id changed along: another object with what the first one held.
    let moved = desk.file("apps", "moved-1");
    let text = read(&file).replacen("id = \"notes-1\"", "id = \"moved-1\"", 1);
    std::fs::create_dir_all(moved.parent().unwrap()).unwrap();
    std::fs::remove_file(&file).unwrap();
    save(&moved, &text);
    until("it has another id", || {
        desk.get("app", "notes-1").is_null() && !desk.get("app", "moved-1").is_null()
    });
    let moved_object = desk.get("app", "moved-1");
    assert_eq!(moved_object["package_id"], object["package_id"]);
    until("nothing is wrong", || {
        desk.problems(&file).is_empty() && desk.problems(&moved).is_empty()
    });
    assert_eq!(desk.found("notes"), 1);
}

#[test]
fn edits_while_nothing_runs_are_found_at_start() {
    let mut desk = Desk::new();
    desk.call(
        "app_new",
        &json!({ "data": {
        "id": "gone-1", "developer_id": "ada-1", "package_id": "org.example.gone", "name": "Gone",
    } }),
    );
    desk.stop();
    let (notes, paint) = (desk.file("apps", "notes-1"), desk.file("apps", "paint-1"));
    edit(
        &notes,
        "name = \"Notes\"",
        "name = \"Offline\"  # at night",
        save_in_place,
    );
    let broken = read(&paint).replacen("name = \"Paint\"", "name = 7", 1);
    save(&paint, &broken);
    std::fs::remove_file(desk.file("apps", "gone-1")).unwrap();
    let added = desk.file("developers", "eve-1");
    std::fs::create_dir_all(added.parent().unwrap()).unwrap();
    save(
        &added,
        "id = \"eve-1\"\nemail = \"eve@example.org\"\nname = \"Eve\"\n",
    );
    desk.start();
    until("the edit is read", || {
        desk.get("app", "notes-1")["name"] == "Offline"
    });
    until("the added one is read", || {
        desk.get("developer", "eve-1")["name"] == "Eve"
    });
    until("the deleted one is gone", || {
        desk.get("app", "gone-1").is_null()
    });
    desk.until_broken(&paint, line_of(&broken, "name = 7"));
    assert_eq!(desk.get("app", "paint-1")["name"], "Paint");
    assert_eq!(
        (
            desk.found("offline"),
            desk.found("notes"),
            desk.found("gone")
        ),
        (1, 0, 0)
    );
    assert_eq!(desk.get("app", "notes-1")["rev"], 2);
    until("the comment is kept beside the new revision", || {
        let text = read(&notes);
        text.contains("# at night") && text.contains("rev = 2")
    });
}

#[test]
fn what_is_derived_may_go_while_nothing_runs() {
    let mut desk = Desk::new();
    desk.stop();
    let before = desk.place.digest();
    std::fs::remove_dir_all(desk.directory().join(".osis")).unwrap();
    assert_eq!(desk.place.digest(), before);
    std::fs::remove_dir_all(desk.directory().join(".osis")).unwrap();
    desk.start();
    assert_eq!((desk.found("notes"), desk.found("paint")), (1, 1));
    let object = desk.get("app", "notes-1");
    assert_eq!(object["rev"], 1, "{object}");
    desk.call(
        "app_set",
        &json!({ "id": "notes-1", "if_rev": 1, "data": { "name": "On" } }),
    );
    let schema = fixture::schema();
    let app = schema.find("app").unwrap();
    until("the file has it", || {
        let files = files::objects(desk.directory(), app);
        files::as_served(app, &files["notes-1"]) == desk.get("app", "notes-1")
    });
}

#[test]
fn an_edit_and_a_write_at_once_lose_neither() {
    let desk = Desk::new();
    let file = desk.file("apps", "notes-1");
    let folder = file.parent().unwrap();
    for n in 0..30 {
        let (by_hand, by_call) = (format!("Hand{n}"), format!("call{n}"));
        let text = read(&file);
        let name = text
            .lines()
            .find(|line| line.starts_with("name ="))
            .unwrap();
        let edited = text.replacen(name, &format!("name = \"{by_hand}\""), 1);
        std::thread::scope(|scope| {
            scope.spawn(|| save(&file, &edited));
            let data = json!({ "id": "notes-1", "data": { "category": by_call } });
            desk.call("app_set", &data);
        });
        // The write was acknowledged. The edit is taken, or kept where its author finds it.
        let kept_beside = || {
            let entries = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let is_copy = |path: &PathBuf| path.to_string_lossy().contains("notes-1.conflict-");
            let mut copies = entries.filter(is_copy);
            copies.find(|path| {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                text.contains(&by_hand)
            })
        };
        until("the edit is taken or kept", || {
            let object = desk.get("app", "notes-1");
            // An edit of a file that did not have the change yet says the old category, too.
            object["name"] == by_hand || (object["category"] == by_call && kept_beside().is_some())
        });
        if let Some(copy) = kept_beside() {
            until("the copy is reported", || !desk.problems(&copy).is_empty());
            std::fs::remove_file(&copy).unwrap();
            desk.until_mended(&copy);
        }
        until("the file is what is served", || {
            let schema = fixture::schema();
            let app = schema.find("app").unwrap();
            let text = read(&file);
            let table = text.trim_start_matches("O:\n").parse();
            table.is_ok_and(|table| files::as_served(app, &table) == desk.get("app", "notes-1"))
        });
    }
}

/// The files of the days of a log type.
fn day_files(desk: &Desk, plural: &str) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(desk.directory().join(plural));
    let files = files.into_iter().flatten();
    let files = files.filter(|entry| entry.file_type().is_file());
    files.map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn blocks_of_a_day_are_edited_refused_and_mended() {
    let mut desk = Desk::new();
    let made: Vec<Value> = ["/a", "/b"]
        .map(|page| json!({ "data": { "page": page, "at": "2026-11-21T07:00:00Z" } }))
        .iter()
        .map(|visit| desk.call("visit_new", visit))
        .collect();
    let id = |n: usize| made[n]["id"].as_str().unwrap();
    until("the visits have a file", || {
        let files = day_files(&desk, "visits");
        files.len() == 1 && id(1).len() == read(&files[0]).matches(id(1)).count() * 36
    });
    let file = day_files(&desk, "visits").remove(0);
    edit(
        &file,
        "page = \"/a\"",
        "# The entrance.\npage = '/home' # was /a",
        save,
    );
    until("the edit is read", || {
        desk.get("visit", id(0))["page"] == "/home"
    });
    until("the file has its revision", || {
        read(&file).contains("rev = 2\n")
    });
    let layout = "# The entrance.\npage = '/home' # was /a\n";
    assert!(read(&file).contains(layout), "{}", read(&file));
    // The time of an event cannot be changed, and its new neighbour's id is of another time.
    let text = read(&file);
    let begin = text.find(&format!("id = \"{}\"", id(1))).unwrap();
    let begin = text[..begin].rfind("\nat = ").unwrap();
    let (before, own) = text.split_at(begin);
    let refused = format!(
        "{before}{}\n[[visit]] # mine\nat = 2026-12-24T18:00:00Z\nid = \"{}\"\npage = \"/c\"\n",
        own.replacen("T07:00:00.000Z", "T08:00:00.000Z", 1),
        id(1).replace("01", "02"),
    );
    save_in_place(&file, &refused);
    let line = line_of(&refused, "at = 2026-11-21T08:00:00.000Z");
    for _ in 0..2 {
        desk.until_broken(&file, line);
        let message = desk.problems(&file)[0]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains("at: cannot be changed"), "{message}");
        assert!(message.contains("within a day of at"), "{message}");
        assert_eq!(desk.get("visit", id(1)), made[1]);
        assert_eq!(desk.call("visit_count", &json!({}))["count"], 2);
        assert_eq!(read(&file), refused, "a refused block is not overwritten");
        desk.stop();
        desk.start();
    }
    // The store writes the others of the file.
    let set = json!({ "id": id(0), "data": { "agent": "other" } });
    desk.call("visit_set", &set);
    until("the file has the change", || {
        read(&file).contains("agent = \"other\"\n")
    });
    let text = read(&file);
    assert!(
        text.contains(layout) && text.contains("[[visit]] # mine\n"),
        "{text}"
    );
    let mended = text
        .replacen("T08:00:00.000Z", "T07:00:00.000Z", 1)
        .replace("at = 2026-12-24T18:00:00Z", "at = 2026-11-21T18:00:00Z")
        .replace(&format!("id = \"{}\"\n", id(1).replace("01", "02")), "");
    save(&file, &mended);
    desk.until_mended(&file);
    until("the new one is read", || {
        desk.call("visit_count", &json!({}))["count"] == 3
    });
    assert_eq!(desk.get("visit", id(1)), made[1]);
    until("the new one has its id", || {
        read(&file).matches("\nid = ").count() == 3
    });
    assert!(read(&file).contains("[[visit]] # mine\n"));
    assert_eq!(day_files(&desk, "visits"), [file]);
}

#[test]
fn a_changed_field_is_a_line_for_git() {
    let desk = Desk::new();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(desk.place.path())
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            // Nothing of whoever runs this.
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .args(arguments)
            .output()
    };
    if git(&["--version"]).is_err() {
        return parts::skip("a_changed_field_is_a_line_for_git", "git is not installed");
    }
    let run = |arguments: &[&str]| {
        let output = git(arguments).unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["init", "--quiet"]);
    run(&["add", "--all"]);
    run(&["commit", "--quiet", "--message", "a"]);
    let tracked = run(&["ls-files"]);
    assert!(
        !tracked.contains(".osis/"),
        "what is derived is not for git: {tracked}"
    );
    let file = desk.file("apps", "notes-1");
    desk.call(
        "app_set",
        &json!({ "id": "notes-1", "data": { "name": "Ledger" } }),
    );
    until("the file has the change", || {
        read(&file).contains("\"Ledger\"")
    });
    let diff = run(&["diff", "--unified=0", "--", "apps"]);
    let lines = |sign: &str| -> Vec<String> {
        let headers = format!("{sign}{sign}{sign}");
        diff.lines()
            .filter(|line| line.starts_with(sign) && !line.starts_with(&headers))
            .map(|line| line[1..].split(" =").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(lines("-"), ["name", "rev", "updated_at"], "{diff}");
    assert_eq!(lines("+"), ["name", "rev", "updated_at"], "{diff}");
    // What was checked out again is an edit.
    run(&["checkout", "--quiet", "--", "apps"]);
    until("the old name is back", || {
        desk.get("app", "notes-1")["name"] == "Notes"
    });
    assert_eq!(desk.get("app", "notes-1")["rev"], 3);
}
