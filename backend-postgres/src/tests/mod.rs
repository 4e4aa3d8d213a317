//! Tests of the engine that need its inside and no server: what every engine must do stands in the
//! conformance suite of the `tests` crate, what only a server does in its `postgres_server`.

mod config;
mod layout;
mod words;

use osis_core::schema::{Schema, Source, load};

/// A schema with every kind of field, most of them optional.
const PROBE: &str = r#"
name = "probe"
version = 1

[types.thing]
plural = "things"
index = [["word", "-number"], ["-at"]]

[types.thing.fields]
word    = { type = "string", required = true, index = true, search = 4 }
maybe   = { type = "string", index = true }
folded  = { type = "string", unique = "fold" }
text    = { type = "text", search = 1 }
number  = { type = "int", index = true }
count   = { type = "int", required = true }
ratio   = { type = "float" }
flag    = { type = "bool" }
at      = { type = "time" }
state   = { type = "enum", values = ["a", "ab", "b"] }
parent  = { type = "ref", to = "thing", on_delete = "cascade" }
words   = { type = "list", of = "string", search = 2 }
numbers = { type = "list", of = "int" }
tags    = { type = "list", of = "string", index = true }
marks   = { type = "list", of = "int", index = true }
extra   = { type = "json" }
raw     = { type = "bytes" }
hidden  = { type = "string", secret = true }

[types.happening]
plural = "happenings"
class = "log"
time = "at"

[types.happening.fields]
at    = { type = "time", required = true }
thing = { type = "string", unique = true }
"#;

fn schema(text: &str) -> Schema {
    load(&[Source::new("test.toml", text)]).unwrap()
}
