//! The tables that schemas become: a changed snapshot is a changed promise.

use osis_core::schema::BUILTIN;

use super::{PROBE, schema};
use crate::{ddl, names, setup};

#[test]
fn tables_of_the_builtin_schema() {
    let statements = [ddl::create_system(), ddl::create_types(&schema(BUILTIN))].concat();
    insta::assert_snapshot!(statements.join(";\n"));
}

#[test]
fn tables_of_every_kind_of_field() {
    insta::assert_snapshot!(ddl::create_types(&schema(PROBE)).join(";\n"));
}

#[test]
fn steps_to_a_newer_schema_and_back() {
    let newer = PROBE
        .replace(
            "ratio   = { type = \"float\" }",
            "ratio   = { type = \"float\", index = true }",
        )
        .replace(
            "[types.happening]\n",
            "[types.note]\nplural = \"notes\"\n[types.note.fields]\n\
            thing = { type = \"ref\", to = \"thing\" }\n[types.happening]\n",
        )
        .replace(
            "state   = {",
            "more    = { type = \"string\", search = 1 }\nstate   = {",
        );
    let steps = setup::plan(&schema(PROBE), &schema(&newer)).unwrap();
    insta::assert_snapshot!(format!(
        "-- up\n{};\n-- down\n{}",
        steps.up.join(";\n"),
        steps.down.join(";\n")
    ));
}

#[test]
fn long_names_are_made_short_and_stay_apart() {
    let long = |end: &str| names::fit(format!("{}{end}", "x".repeat(70)));
    assert_eq!(long("a").len(), 63);
    assert_ne!(long("a"), long("b"));
    assert_eq!(names::fit("x".repeat(63)), "x".repeat(63));
}
