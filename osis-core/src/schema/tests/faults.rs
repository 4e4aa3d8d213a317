//! What is refused: the cases of `faults.txt`, and what needs several files or many lines.

use super::{faults_of, parse};
use crate::schema::{Source, load};

const HEAD: &str = "name = \"shop\"\nversion = 1\n";

const FIELDS_OF_TYPE: &str = r#"
[types.app.fields]
a = { type = "string" }
n = { type = "int" }
t = { type = "text" }
l = { type = "list", of = "string" }
s = { type = "string", secret = true }
at = { type = "time", required = true }
late = { type = "time" }
b = { type = "ref", to = "big" }
up = { type = "ref", to = "app" }
[types.big]
"#;

const FIELDS_OF_LOG: &str = r#"
[types.visit.fields]
a = { type = "string" }
n = { type = "int" }
t = { type = "text" }
l = { type = "list", of = "string" }
s = { type = "string", secret = true }
at = { type = "time", required = true }
secret_at = { type = "time", required = true, secret = true }
late = { type = "time" }
"#;

/// The file that a snippet stands for.
fn file(place: &str, snippet: &str) -> String {
    match place {
        "field" => format!("{HEAD}[types.app.fields]\n{snippet}\n"),
        "type" => format!("{HEAD}[types.app]\n{snippet}{FIELDS_OF_TYPE}"),
        "log" => format!("{HEAD}[types.visit]\n{snippet}{FIELDS_OF_LOG}"),
        "file" => snippet.to_owned(),
        other => panic!("{other}"),
    }
}

#[test]
fn refuses_with_path_line_column_and_what_was_expected() {
    let cases = include_str!("faults.txt").split("\n=== ").skip(1);
    let mut count = 0;
    for case in cases {
        let (place, rest) = case.split_once('\n').unwrap();
        let (snippet, expected) = rest.split_once("\n---\n").unwrap();
        let error = parse(&file(place, snippet)).expect_err(snippet);
        let found = faults_of(&error).into_iter().map(|(path, message)| {
            format!("{path} @ {}", message.strip_prefix("shop.toml:").unwrap())
        });
        assert_eq!(
            found.collect::<Vec<_>>().join("\n"),
            expected.trim_end(),
            "{snippet}"
        );
        count += 1;
    }
    assert!(count > 100, "{count} cases");
}

#[test]
fn one_sentence_says_the_first_fault_and_how_many_there_are() {
    let error = parse("name = \"shop\"\nversion = 0\n[types.app]\nx = 1\ny = 2\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "shop.toml:2:11: expected a whole number from 1 to 4294967295, got 0 (and 2 more faults)"
    );
    let error = parse("name = \"shop\"\nversion = 0\n[types.app]\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "shop.toml:2:11: expected a whole number from 1 to 4294967295, got 0"
    );
}

#[test]
fn columns_count_characters() {
    let error = parse("name = \"shop\"\nversion = 1\ntypes.app = { doc = \"äöü\", x = 1 }\n");
    assert!(
        faults_of(&error.unwrap_err())[0]
            .1
            .starts_with("shop.toml:3:28: unknown attribute")
    );
}

#[test]
fn faults_name_their_file_and_the_other() {
    let shop = "name = \"shop\"\nversion = 1\n[types.app]\n[types.visit]\nplural = \"versions\"\n";
    let error = load(&[Source::builtin(), Source::new("dir/shop.toml", shop)]).unwrap_err();
    let builtin = Source::builtin();
    let line = |of: &str| builtin.text.lines().position(|line| line == of).unwrap() + 1;
    let expected = [
        format!(
            "dir/shop.toml:3:8: the name \"app\" is taken by the type \"app\" at {}:{}:8",
            builtin.file,
            line("[types.app]")
        ),
        format!(
            "dir/shop.toml:3:8: the plural \"apps\" is taken by the type \"app\" at {}:{}:8",
            builtin.file,
            line("[types.app]")
        ),
        format!(
            "dir/shop.toml:5:10: the plural \"versions\" is taken by the type \"version\" at {}:{}:8",
            builtin.file,
            line("[types.version]")
        ),
    ];
    let found: Vec<&str> = faults_of(&error)
        .into_iter()
        .map(|(_, message)| message)
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn schemas_have_different_names() {
    let text = |ty: &str| format!("name = \"shop\"\nversion = 1\n[types.{ty}]\n");
    let error = load(&[
        Source::new("a.toml", text("a")),
        Source::new("b.toml", text("b")),
    ]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "b.toml:1:8: there is another schema of the name \"shop\""
    );
}

#[test]
fn a_schema_there_must_be() {
    assert_eq!(
        load(&[]).unwrap_err().to_string(),
        "schema: there is none, expected at least one schema file"
    );
}

#[test]
fn sizes_are_bounded() {
    let fields = |count: usize| {
        let lines = (0..count).map(|n| format!("f{n} = {{ type = \"int\" }}\n"));
        format!("{HEAD}[types.app.fields]\n{}", lines.collect::<String>())
    };
    assert!(parse(&fields(200)).is_ok());
    let error = parse(&fields(201)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "shop.toml:204:1: is one too many, at most 200 fields fit"
    );

    let types = |count: usize| {
        let lines = (0..count).map(|n| format!("[types.t{n}]\n"));
        format!("{HEAD}{}", lines.collect::<String>())
    };
    assert!(parse(&types(200)).is_ok());
    let error = parse(&types(201)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "shop.toml:203:8: is one type too many, at most 200 fit"
    );

    let error = parse(&file("field", &"a = 1\n".repeat(200))).unwrap_err();
    assert_eq!(faults_of(&error).len(), 1);
    let wrong: String = (0..150).map(|n| format!("f{n} = 1\n")).collect();
    let error = parse(&file("field", &wrong)).unwrap_err();
    assert_eq!(faults_of(&error).len(), 100);
    assert!(error.to_string().ends_with("(and 149 more faults)"));

    let keys: Vec<String> = (0..33).map(|_| "[\"a\", \"n\"]".to_owned()).collect();
    let error = parse(&file("type", &format!("unique = [{}]", keys.join(", ")))).unwrap_err();
    assert!(error.to_string().contains("has 33 entries, at most 32 fit"));
    let pattern = format!(
        "a = {{ type = \"string\", pattern = \"{}\" }}",
        "x".repeat(4097)
    );
    let error = parse(&file("field", &pattern)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has 4097 bytes, at most 4096 fit"),
        "{error}"
    );
    let deep = format!("{HEAD}x = {}{}", "[".repeat(500), "]".repeat(500));
    assert!(parse(&deep).unwrap_err().to_string().contains("recursion"));
}

#[test]
fn the_default_of_an_indexed_string_is_short() {
    let text = |attributes: &str, default: usize| {
        let default = "x".repeat(default);
        let field = format!("a = {{ type = \"string\", default = \"{default}\" }}");
        format!(
            "{HEAD}[types.app]\n{attributes}\n[types.app.fields]\n{field}\nn = {{ type = \"int\" }}\n"
        )
    };
    assert!(parse(&text("", 4096)).is_ok());
    for attributes in [
        "unique = [[\"a\"]]",
        "unique = [[\"n\", \"a\"]]",
        "index = [[\"n\", \"-a\"]]",
    ] {
        assert!(parse(&text(attributes, 1024)).is_ok(), "{attributes}");
        let error = parse(&text(attributes, 1025)).expect_err(attributes);
        assert!(
            error
                .to_string()
                .contains("has 1025 bytes of UTF-8, at most 1024 fit"),
            "{error}"
        );
    }
}
