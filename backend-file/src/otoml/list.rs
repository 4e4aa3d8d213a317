//! Brings a list that a person has put comments into up to date, item by item.

use osis_core::value::Value;
use toml_edit::{Array, Value as Toml};

use super::source::Source;
use super::update::Edit;
use super::write::{Form, put_value};

/// The changes of a list that has comments and an item a line; nothing of any other, which is
/// better written anew.
///
/// Items that are gone take along the comment on their line, not the comments above it.
pub(super) fn edits(
    source: &Source<'_>,
    array: &Array,
    old: &[Value],
    new: &[Value],
) -> Option<Vec<Edit>> {
    let items: Vec<_> = array.iter().map(Toml::span).collect::<Option<_>>()?;
    if items.is_empty() || items.len() != old.len() || !is_annotated(source, array, &items) {
        return None;
    }
    let same = |(old, new): &(&Value, &Value)| old == new;
    let before = old.iter().zip(new).take_while(same).count();
    let (old_rest, new_rest) = (&old[before..], &new[before..]);
    let rest = old_rest.iter().rev().zip(new_rest.iter().rev());
    let after = rest.take_while(same).count();

    let first = source.line_start(items[0].start);
    let indent = source.body.get(first..items[0].start)?;
    let mut edits = Vec::new();
    let mut added = String::new();
    for value in &new_rest[..new_rest.len() - after] {
        added.push_str(indent);
        put_value(&mut added, 0, value, Form::Line);
        added.push_str(",\n");
    }
    let at = match before.checked_sub(1).map(|last| &items[last]) {
        Some(last) => source.line_end(last.end),
        None => first,
    };
    if !added.is_empty() {
        if before == items.len() && !array.trailing_comma() {
            let end = items[before - 1].end;
            edits.push(Edit {
                piece: end..end,
                text: ",".to_owned(),
            });
        }
        edits.push(Edit {
            piece: at..at,
            text: added,
        });
    }
    edits.extend(items[before..old.len() - after].iter().map(|item| Edit {
        piece: source.line_start(item.start)..source.line_end(item.end),
        text: String::new(),
    }));
    Some(edits)
}

/// Whether a list has comments, each item its own line, and each comma the line of its item.
fn is_annotated(source: &Source<'_>, array: &Array, items: &[std::ops::Range<usize>]) -> bool {
    let whole = array.span().unwrap_or_default();
    let ends = items.iter().map(|item| item.end);
    let starts = items.iter().map(|item| item.start);
    let gaps = std::iter::once(whole.start + 1)
        .chain(ends)
        .zip(starts.chain([whole.end.saturating_sub(1)]));
    let gaps: Vec<&str> = gaps
        .map(|(from, to)| source.body.get(from..to).unwrap_or_default())
        .collect();
    let lone = gaps.iter().all(|gap| gap.contains('\n'));
    let led = items.iter().all(|item| {
        let line = source.body.get(source.line_start(item.start)..item.start);
        line.is_some_and(|line| line.trim().is_empty())
    });
    let inner = gaps.get(1..items.len()).unwrap_or_default();
    let commas = inner
        .iter()
        .all(|gap| gap.trim_start_matches([' ', '\t']).starts_with(','));
    let last = gaps
        .last()
        .map_or("", |gap| gap.trim_start_matches([' ', '\t']));
    let last = last.starts_with(',') == array.trailing_comma();
    lone && led && commas && last && gaps.iter().any(|gap| gap.contains('#'))
}
