//! Writes entries.

use std::collections::HashMap;
use std::fmt::Write as _;

use osis_core::schema::{Schema, TypeId};

use super::{Change, Content, Entry, FORMAT, trailer};
use crate::otoml::{Fields, HEAD, put_string};

/// See [`Entry::encode`].
pub(super) fn entry(entry: &Entry, schema: &Schema) -> String {
    let mut out = HEAD.to_owned();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "first = {}\nformat = {FORMAT}\nlast = {}\n",
        entry.first, entry.last
    );
    if let Some(text) = &entry.new_schema {
        put_text(&mut out, "new_schema", text);
    }
    put_text(&mut out, "schema", &entry.schema);
    put_text(&mut out, "writer", &entry.writer);
    let mut fields = HashMap::new();
    for change in &entry.changes {
        put_change(&mut out, schema, change, &mut fields);
    }
    let end = trailer(out.as_bytes());
    out.push_str(&end);
    out
}

fn put_text(out: &mut String, name: &str, text: &str) {
    out.push_str(name);
    out.push_str(" = ");
    put_string(out, text);
    out.push('\n');
}

fn put_change<'a>(
    out: &mut String,
    schema: &'a Schema,
    change: &Change,
    fields: &mut HashMap<TypeId, Fields<'a>>,
) {
    let ty = &schema.types[change.type_id];
    let Change {
        seq, id, at, rev, ..
    } = change;
    let _ = write!(out, "[[change]]\nat = {at}\n");
    if change.content == Content::Folded {
        out.push_str("folded = true\n");
    }
    let (op, name) = (change.op.name(), &ty.name);
    let _ = write!(
        out,
        "id = \"{id}\"\nop = \"{op}\"\nrev = {rev}\nseq = {seq}\ntype = \"{name}\"\n"
    );
    if let Some(was) = &change.was {
        let _ = writeln!(
            out,
            "was = {{ hash = \"{}\", rev = {} }}",
            was.hash, was.rev
        );
    }
    if let Content::Full(row) = &change.content {
        debug_assert_eq!((&row.id, row.rev), (id, *rev), "a change of another object");
        let _ = write!(
            out,
            "[change.object]\ncreated_at = {}\nupdated_at = {}\n",
            row.created_at, row.updated_at
        );
        let fields = fields.entry(ty.id).or_insert_with(|| Fields::of(ty));
        fields.put(out, &row.values);
    }
}
