//! `osis schema import`: schemas of the original OSIS, and a real directory of its objects that is
//! migrated into a store with the schema so made.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use osis_core::schema::{Schema, Source, load};
use osis_tests::binary::command;
use serde_json::{Value, json};
use tempfile::TempDir;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/legacy");

fn import(files: &[&Path], more: &[&str]) -> Output {
    let mut import = command(["schema", "import"]);
    import.args(files).args(more).output().unwrap()
}

fn made(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The schema that a text is turned into, with its TOML.
fn imported(text: &str) -> (Schema, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("shop.oschema");
    std::fs::write(&file, text).unwrap();
    let toml = made(&import(&[&file], &[]));
    (load(&[Source::new("made", toml.as_str())]).unwrap(), toml)
}

/// What is told of a text that is refused, without the folder that it lay in.
fn refused(text: &str) -> String {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("shop.oschema");
    std::fs::write(&file, text).unwrap();
    let output = import(&[&file], &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(output.stdout.is_empty(), "{output:?}");
    told.replace(&format!("{}/", folder.path().display()), "")
}

fn fields(schema: &Schema, ty: &str) -> Value {
    schema.to_json()["types"][ty]["fields"].clone()
}

#[test]
fn every_type_of_the_language_has_its_place() {
    let (schema, toml) = imported(
        r#"
        Size: u8 = 1 | 5 | 9
        Grade = 1 | 2 | 3
        Alias = Text
        Text = str
        Colour: str = "red" | "blue"
        Part = { name: str, parts: [Part] }   # nested in itself
        LineItem = {
            sid: str
            yes: bool  a: u8  b: u16  c: u32  d: u64  e: i8  f: i16  g: i32  h: i64
            x: f32  y?: f64
            text: str  alias: Alias  when: otime  size: Size  grade: Grade  colour: Colour = "blue"
            other?: sid  line_item?: sid  line_item_id?: sid
            tags: [str]  colours: [Colour]  others?: [sid]  counts: [u32]  grid: [[u8]]
            price: ocur  place: olocation  home: oaddress  anything?: any
            parts: [Part]  part: Part  inline: { a: str  b?: u8 }  map: {str: u8}  pair: (str, n: u8)
            str: str
            mixed: str | u8
            count: u8 = 7 @index  rate: f64 = 1  name?: str = "x" @index
        }
        "#,
    );
    let fields = fields(&schema, "line_item");
    let int =
        |min: i64, max: i64| json!({ "type": "int", "required": true, "min": min, "max": max });
    let json = json!({ "type": "json" });
    let list = |of: &str| json!({ "type": "list", "of": of, "default": [] });
    for (name, wanted) in [
        ("yes", json!({ "type": "bool", "required": true })),
        ("a", int(0, 255)),
        ("b", int(0, 65_535)),
        ("c", int(0, 4_294_967_295)),
        ("d", json!({ "type": "int", "required": true, "min": 0 })),
        ("e", int(-128, 127)),
        ("f", int(-32_768, 32_767)),
        ("g", int(-2_147_483_648, 2_147_483_647)),
        ("h", json!({ "type": "int", "required": true })),
        ("x", json!({ "type": "float", "required": true })),
        ("y", json!({ "type": "float" })),
        ("alias", json!({ "type": "string", "required": true })),
        ("when", json!({ "type": "time", "required": true })),
        ("size", int(1, 9)),
        ("grade", int(1, 3)),
        (
            "colour",
            json!({ "type": "enum", "values": ["red", "blue"], "default": "blue" }),
        ),
        ("other", json!({ "type": "string" })),
        ("line_item", json!({ "type": "ref", "to": "line_item" })),
        ("line_item_id", json!({ "type": "ref", "to": "line_item" })),
        ("tags", list("string")),
        ("colours", list("string")),
        ("others", json!({ "type": "list", "of": "string" })),
        ("counts", list("int")),
        ("grid", json.clone()),
        ("price", json.clone()),
        ("place", json.clone()),
        ("home", json.clone()),
        ("anything", json.clone()),
        ("parts", json.clone()),
        ("part", json.clone()),
        ("inline", json.clone()),
        ("map", json.clone()),
        ("pair", json.clone()),
        ("str", json!({ "type": "string", "required": true })),
        ("mixed", json),
        (
            "count",
            json!({ "type": "int", "default": 7, "index": true, "min": 0, "max": 255 }),
        ),
        ("rate", json!({ "type": "float", "default": 1.0 })),
        (
            "name",
            json!({ "type": "string", "default": "x", "search": 1 }),
        ),
    ] {
        let mut found = fields[name].clone();
        found.as_object_mut().unwrap().remove("on_delete");
        assert_eq!(found, wanted, "{name}\n{toml}");
    }
    assert!(
        toml.contains("# parts: a list of Part; json takes anything\n"),
        "{toml}"
    );
    assert!(
        toml.contains("# other: a SID; which type it refers to is not said\n"),
        "{toml}"
    );
}

#[test]
fn names_become_ours_and_are_told() {
    let (schema, toml) = imported(
        "# Someone. [rootobject]\nHTTPUser = { id: u64  userName: str  _hidden?: str  not?: bool }\n\
         City = { sid: str  name: str }\nBox = { sid: str  n: u8 }",
    );
    let names: Vec<(&str, &str)> = schema
        .types
        .iter()
        .map(|ty| (ty.name.as_str(), ty.plural.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("http_user", "http_users"),
            ("city", "cities"),
            ("box", "boxes")
        ]
    );
    assert_eq!(schema.types[0].doc.as_deref(), Some("Someone."));
    assert_eq!(schema.name, "shop");
    let fields: Vec<&str> = schema.types[0]
        .fields
        .iter()
        .map(|f| f.name.as_str())
        .collect();
    assert_eq!(fields, ["id_", "user_name", "hidden", "not_"]);
    assert!(
        toml.contains("userName = \"user_name\" in its --map"),
        "{toml}"
    );
}

#[test]
fn faults_are_told_with_file_line_and_column() {
    for (text, told) in [
        (
            "A = { sid: str\n  x str }",
            "shop.oschema:2:5: expected `:` behind the field x, got str",
        ),
        (
            "A = { sid: str x: }",
            "shop.oschema:1:19: expected a type, such as str,",
        ),
        (
            "A = { sid: str\n x: Nope }",
            "shop.oschema:2:5: unknown type \"Nope\"",
        ),
        (
            "A = { sid: str x: str @unique }",
            "shop.oschema:1:24: @unique means nothing",
        ),
        (
            "A = { sid: str x: u8 = 256 }",
            "shop.oschema:1:24: the default 256 is none of its type's",
        ),
        (
            "A = { sid: str x: u8 = \"a\" }",
            "shop.oschema:1:24: the default is of another type",
        ),
        (
            "A = { sid: str x: \"a\" | \"b\" = \"c\" }",
            "the default \"c\" is none of a, b",
        ),
        (
            "A = { sid: str x: u8 x: u8 }",
            "shop.oschema:1:22: there is a field x already",
        ),
        (
            "A = { sid: str }\nA = str",
            "shop.oschema:2:1: A is defined already, at shop.oschema:1:1",
        ),
        (
            "str = u8 A = { sid: str }",
            "shop.oschema:1:1: str is a type of the language",
        ),
        (
            "A = { sid: str x: B }\nB = C\nC = B",
            "B is defined by itself: B → C → B",
        ),
        (
            "A = { x: str }",
            "shop.oschema:1:1: no type has a field sid",
        ),
        ("# nothing", "shop.oschema:1:1: defines nothing"),
        (
            "A = { sid: str",
            "shop.oschema:1:15: expected a field or `}`, got the end of the file",
        ),
        (
            "A = \"open",
            "shop.oschema:1:5: the text that begins here has no closing quote",
        ),
        ("A = \"a\\d\"", "shop.oschema:1:7: no such escape"),
        ("A = %", "shop.oschema:1:5: '%' means nothing here"),
        (
            "A = 99999999999999999999",
            "shop.oschema:1:5: \"99999999999999999999\" is no number",
        ),
        (
            "service S {\n m()",
            "shop.oschema:1:11: this service has no closing `}`",
        ),
        (
            "include \"gone.oschema\"",
            "shop.oschema:1:9: gone.oschema cannot be read",
        ),
        (
            "AbC = { sid: str n: u8 }\nAb_c = { sid: str n: u8 }",
            "its type would be \"ab_c\", as that of",
        ),
        (
            "A = { sid: str fooBar: u8 foo_bar: u8 }",
            "shop.oschema:1:27: its field would be \"foo_bar\"",
        ),
    ] {
        let message = refused(text);
        assert!(
            message.contains(told),
            "{text}\nwanted {told}\ngot {message}"
        );
    }
    // All of them, not the first alone.
    let both = refused("A = { sid: str x: Nope }\nB = [Nil]");
    assert_eq!(both.matches("unknown type").count(), 2, "{both}");
    let deep = format!("A = {}u8{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(refused(&deep).contains("nested more than 64 deep"));
}

#[test]
fn a_real_directory_fits_the_schema_that_is_made() {
    let schema = Path::new(FIXTURES).join("appstore.oschema");
    let toml = made(&import(&[&schema], &["--name", "store"]));
    assert!(
        toml.contains("# Not taken over: the methods of Telemetry."),
        "{toml}"
    );
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("store.toml");
    std::fs::write(&file, &toml).unwrap();
    let made = load(&[Source::new("store.toml", toml.as_str())]).unwrap();
    let names: Vec<&str> = made.types.iter().map(|ty| ty.name.as_str()).collect();
    assert_eq!(names, ["app", "version", "event", "developer"]);
    let app = made.find("app").unwrap();
    assert_eq!(
        app.doc.as_deref(),
        Some("An application. It belongs to a developer.")
    );
    assert_eq!(app.keys.len(), 1, "{toml}");
    assert_eq!(
        fields(&made, "version")["app_id"],
        json!({ "type": "ref", "to": "app", "required": true })
    );

    let mut tar = Command::new("tar");
    tar.args(["-xzf", &format!("{FIXTURES}/clean.tar.gz"), "-C"]);
    assert!(tar.arg(folder.path()).status().unwrap().success());
    let from = format!("osis-legacy:{}", folder.path().join("clean").display());
    let to: PathBuf = folder.path().join("new.db");
    let mut migrate = command(["migrate", "--json", "--from", &from, "--no-builtin-schema"]);
    migrate.arg("--schema").arg(&file);
    let done = migrate
        .arg("--to")
        .arg(format!("sqlite:{}", to.display()))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}\n{toml}");
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    let expected = std::fs::read_to_string(format!("{FIXTURES}/clean.expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    for (ty, count) in expected["counts"].as_object().unwrap() {
        assert_eq!(report["types"][ty]["count"], *count, "{ty}");
    }
}
