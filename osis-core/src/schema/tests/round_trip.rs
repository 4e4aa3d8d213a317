//! The canonical text: reading it gives the schema again, and only what is said changes it.

use proptest::prelude::*;

use super::{parse, types};
use crate::schema::{BUILTIN, Schema, Source, diff::diff, load};

/// Fails unless reading the canonical text gives the schema again.
fn holds(schema: &Schema) -> Result<(), TestCaseError> {
    let again = match parse(&schema.text) {
        Ok(again) => again,
        Err(error) => return Err(TestCaseError::fail(format!("{error}\n{}", schema.text))),
    };
    prop_assert_eq!(&again.text, &schema.text);
    prop_assert_eq!(&again.hash, &schema.hash);
    prop_assert_eq!(&again.name, &schema.name);
    prop_assert_eq!(again.version, schema.version);
    prop_assert_eq!(format!("{:?}", again.types), format!("{:?}", schema.types));
    prop_assert_eq!(again.to_json(), schema.to_json());
    prop_assert_eq!(diff(schema, &again), vec![]);
    Ok(())
}

#[test]
fn the_builtin_schema_comes_back() {
    let schema = load(&[Source::builtin()]).unwrap();
    holds(&schema).unwrap();
    assert_eq!(schema.hash.len(), 64);
    assert!(
        schema
            .hash
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
}

#[test]
fn the_text_is_what_it_is() {
    // A change here changes the hash of every stored schema.
    let schema = types(
        r#"
        # A comment.
        [types.category]
        doc = "Quotes \" and \\ and\nlines, \u0001 and ä."
        plural = "categories"
        class = "object"
        index = [["-name", "rank"]]
        unique = [["name", "code"]]
        owner = "id"
        access = { write = "owner", read_if = { rank = { eq = 1.5 }, name = { ne = "x", prefix = "y" }, not = { name = { in = ["a", "b"] } }, or = [] }, read = "owner" }

        [types.category.relations]
        shelves = { limit = 50, via = "category_id", from = "shelf" }
        newest = { from = "shelf", via = "category_id", sort = "-created_at", limit = 1 }

        [types.category.fields.name]
        search = 4
        required = true
        type = "string"
        pattern = '^\w+$'
        [types.category.fields.rank]
        type = "float"
        default = 1e300
        min = 1
        [types.category.fields]
        code = { type = "int" }
        tags = { type = "list", of = "string", default = [], merge = "union" }
        more = { type = "json", default = { "a b" = [1, {}], "" = true } }

        [types.shelf]
        plural = "shelfs"
        class = "log"
        time = "at"
        rollup = { metrics = ["count"], unit = "day" }
        access = { read = "any", write = "admin" }
        [types.shelf.fields]
        category_id = { type = "ref", to = "category", on_delete = "set_null" }
        at = { type = "time", required = true, immutable = true }
        "#,
    );
    let expected = r#"name = "shop"
version = 1

[types.category]
plural = "categories"
doc = "Quotes \" and \\ and\nlines, \u0001 and ä."
owner = "id"
access = { read = "owner", read_if = { rank = 1.5, name = { ne = "x", prefix = "y" }, not = { name = { in = ["a", "b"] } }, or = [] }, write = "owner" }
unique = [["name", "code"]]
index = [["-name", "rank"]]

[types.category.fields]
name = { type = "string", required = true, search = 4, pattern = "^\\w+$" }
rank = { type = "float", default = 1e300, min = 1.0 }
code = { type = "int" }
tags = { type = "list", of = "string", default = [], merge = "union" }
more = { type = "json", default = { "" = true, "a b" = [1, {}] } }

[types.category.relations]
shelves = { from = "shelf", via = "category_id" }
newest = { from = "shelf", via = "category_id", sort = "-created_at", limit = 1 }

[types.shelf]
class = "log"
time = "at"
rollup = { unit = "day" }

[types.shelf.fields]
category_id = { type = "ref", to = "category", on_delete = "set_null" }
at = { type = "time", required = true }
"#;
    assert_eq!(schema.text, expected);
    holds(&schema).unwrap();
}

#[test]
fn comments_and_layout_do_not_change_the_hash() {
    let schema = load(&[Source::builtin()]).unwrap();
    let squeezed: String = BUILTIN
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| format!("  {line} # comment\r\n"))
        .collect();
    assert_eq!(parse(&squeezed).unwrap().hash, schema.hash);
    let spoken = BUILTIN.replacen("limit = 50", "limit = 49", 1);
    assert_ne!(parse(&spoken).unwrap().hash, schema.hash);
}

#[test]
fn json_has_the_shape_of_the_toml() {
    let schema = load(&[Source::builtin()]).unwrap();
    let json = schema.to_json();
    assert_eq!(json["name"], "appstore");
    assert_eq!(
        json["types"]["app"]["fields"]["status"]["values"][1],
        "published"
    );
    assert_eq!(
        json["types"]["app"]["access"]["read_if"]["status"],
        "published"
    );
    assert_eq!(json["types"]["version"]["unique"][0][1], "version_code");
    assert_eq!(
        json["types"]["app"]["relations"]["latest_version"]["limit"],
        1
    );
    let toml: serde_json::Value = toml::from_str(&schema.text).unwrap();
    for (name, ty) in toml["types"].as_object().unwrap() {
        for (attribute, value) in ty.as_object().unwrap() {
            assert_eq!(&json["types"][name][attribute], value, "{name}.{attribute}");
        }
    }
}

/// Fields of all kinds with all attributes.
const FIELDS: [&str; 22] = [
    r#"type = "string""#,
    r#"type = "string", required = true, unique = "fold", format = "email", search = 2"#,
    r#"type = "string", unique = true, pattern = '^[a-z"\\]+', max = 9, default = "ab""#,
    r#"type = "string", secret = true, immutable = true, doc = "Line\nline \"q\" \u0007""#,
    r#"type = "string", merge = "keep", index = true, min = 1, format = "url""#,
    r#"type = "text", search = 7"#,
    r#"type = "int", default = 0, merge = "add", min = -3, max = 9223372036854775807"#,
    r#"type = "int", required = true, unique = true"#,
    r#"type = "float", default = 1e16, merge = "max", min = -0.0, max = 1e300"#,
    r#"type = "float", index = true, default = 5"#,
    r#"type = "bool", default = true, unique = true"#,
    r#"type = "time", merge = "min", default = 2026-01-01T00:00:00.5+01:00"#,
    r#"type = "enum", values = ["a", "b c", "ü"], default = "b c", index = true, search = 1"#,
    r#"type = "ref", to = "t0""#,
    r#"type = "ref", to = "t1", on_delete = "cascade", required = true, immutable = true"#,
    r#"type = "ref", to = "t0", on_delete = "set_null", default = "abcd-1""#,
    r#"type = "list", of = "string", default = ["x", ""], search = 3, index = true"#,
    r#"type = "list", of = "int", merge = "union", max = 5000"#,
    r#"type = "json", default = { z = 1, a = [1.0, "x", { "k k" = false }] }"#,
    r#"type = "json", default = [[], {}, "\u007f"]"#,
    r#"type = "bytes", default = "AAECAw==""#,
    r#"type = "bytes", required = true"#,
];

/// Attributes of a type whose first three fields are a string, an int and a ref.
const ATTRIBUTES: [&str; 10] = [
    r#"doc = "What it \\ is.""#,
    r#"plural = "p{n}""#,
    r#"unique = [["k0", "k1"], ["k2", "k0"]]"#,
    r#"index = [["k0", "-created_at"], ["-k1"], ["k2"]]"#,
    r#"owner = "id""#,
    r#"access = { read = "admin", write = "any" }"#,
    r#"access = { read_if = { k0 = { ne = "x", gt = "a" }, k1 = { in = [1, 2] } } }"#,
    r#"access = { write = "none", read_if = { or = [{ k1 = 1 }, { not = { k0 = "x" } }], k2 = { exists = true } } }"#,
    r#"relations.r0 = { from = "t0", via = "k2", sort = ["-k0", "id"], limit = 3 }"#,
    r#"relations.r1 = { from = "t0", via = "k2" }"#,
];

prop_compose! {
    fn any_type()(
        fields in prop::sample::subsequence(FIELDS.to_vec(), 0..=FIELDS.len()).prop_shuffle(),
        attributes in prop::sample::subsequence(ATTRIBUTES.to_vec(), 0..4),
    ) -> (Vec<&'static str>, Vec<&'static str>) {
        (fields, attributes)
    }
}

/// A schema of two types. Attributes that exclude each other are left out.
fn written(version: u32, parts: &[(Vec<&str>, Vec<&str>)]) -> Schema {
    let mut text = format!("name = \"any\"\nversion = {version}\n");
    for (n, (fields, attributes)) in parts.iter().enumerate() {
        text += &format!("[types.t{n}]\n");
        let mut seen = Vec::new();
        for attribute in attributes {
            let name = attribute.split(' ').next().unwrap();
            let is_foreign = n == 1 && attribute.contains("from = \"t0\"");
            if !seen.contains(&name) && !is_foreign {
                text += &format!("{}\n", attribute.replace("{n}", &n.to_string()));
                seen.push(name);
            }
        }
        text += &format!("[types.t{n}.fields]\n");
        text += "k0 = { type = \"string\" }\nk1 = { type = \"int\" }\n";
        text += "k2 = { type = \"ref\", to = \"t0\" }\n";
        for field in fields {
            let position = FIELDS.iter().position(|known| known == field).unwrap();
            text += &format!("f{position} = {{ {field} }}\n");
        }
    }
    parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_schema_comes_back(a in any_type(), b in any_type(), version in 1u32..) {
        holds(&written(version, &[a, b]))?;
    }

    #[test]
    fn two_schemas_differ_exactly_if_their_hashes_do(
        a in any_type(), b in any_type(), c in any_type(), version in 1u32..3,
    ) {
        let one = written(1, &[a.clone(), b]);
        let other = written(version, &[a, c]);
        prop_assert_eq!(one.hash == other.hash, diff(&one, &other).is_empty());
        prop_assert_eq!(one.hash == other.hash, diff(&other, &one).is_empty());
    }

    #[test]
    fn no_text_panics(text in any::<String>(), cut in 0..BUILTIN.len(), with in any::<char>()) {
        let _ = parse(&text);
        let cut = BUILTIN.floor_char_boundary(cut);
        let _ = parse(&BUILTIN[..cut]);
        let mut broken = BUILTIN.to_owned();
        broken.insert(cut, with);
        let _ = parse(&broken);
    }
}
