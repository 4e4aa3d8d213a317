//! Changes blocks of the file of a day, and leaves alone what stands around them.

use std::collections::HashSet;

use osis_core::object::{Id, Row};
use osis_core::schema::Type;

use super::{Contents, Edit};
use crate::otoml::{self, Found};
use crate::record::{Hash, Version};

/// The text after edits, and which events it then has. An empty text: nothing is left that anybody
/// wants. Nothing at all if the file cannot be edited so.
pub(super) fn apply(
    ty: &Type,
    read: &Contents,
    edits: &[Edit],
) -> Option<(String, Vec<(Id, Version)>)> {
    let text = std::str::from_utf8(&read.text).ok()?;
    if edits.len() != read.found.len() {
        return None;
    }
    let wanted: Option<Vec<Row>> = read
        .found
        .iter()
        .zip(edits)
        .filter(|(_, edit)| **edit != Edit::Drop)
        .map(|(found, edit)| match edit {
            Edit::Put(row) => Some(row.clone()),
            Edit::Keep | Edit::Drop => found.clone().into_row(),
        })
        .collect();
    // Where blocks stay that a person has not finished, the text cannot be made anew.
    let text = match wanted {
        Some(wanted) => {
            let wanted: Vec<&Row> = wanted.iter().collect();
            let spliced = (!is_canonical(ty, text, &read.found))
                .then(|| splice(ty, text, &read.found, edits))
                .filter(|text| says(ty, text, &wanted));
            match spliced {
                Some(text) => text,
                None if wanted.is_empty() => String::new(),
                None => otoml::day(ty, &wanted),
            }
        }
        None => splice(ty, text, &read.found, edits),
    };
    if text.is_empty() {
        return Some((text, Vec::new()));
    }
    let found = otoml::read_day(ty, text.as_bytes()).ok()?;
    if found.is_empty() && !text.lines().any(is_comment) {
        return Some((String::new(), Vec::new()));
    }
    let mut seen = HashSet::new();
    let rows = found.into_iter().filter_map(Found::into_row);
    let objects = rows.filter(|row| seen.insert(row.id.clone())).map(|row| {
        let version = Version {
            rev: row.rev,
            hash: Hash::of(ty, &row.values),
        };
        (row.id, version)
    });
    Some((text, objects.collect()))
}

/// Whether a text is as the store writes it.
fn is_canonical(ty: &Type, text: &str, found: &[Found]) -> bool {
    let rows: Option<Vec<Row>> = found.iter().cloned().map(Found::into_row).collect();
    rows.is_some_and(|rows| otoml::day(ty, &rows.iter().collect::<Vec<_>>()) == text)
}

/// Whether a text says exactly these events.
fn says(ty: &Type, text: &str, wanted: &[&Row]) -> bool {
    otoml::read_day(ty, text.as_bytes()).is_ok_and(|found| {
        let rows: Vec<Option<Row>> = found.into_iter().map(Found::into_row).collect();
        rows.len() == wanted.len()
            && rows
                .iter()
                .zip(wanted)
                .all(|(row, wanted)| row.as_ref() == Some(*wanted))
    })
}

/// Replaces the lines of blocks.
fn splice(ty: &Type, text: &str, found: &[Found], edits: &[Edit]) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (n, (block, edit)) in found.iter().zip(edits).enumerate() {
        let begin = (block.line - 1).min(lines.len());
        let next = found.get(n + 1).map_or(lines.len(), |next| next.line - 1);
        let next = next.clamp(begin, lines.len());
        // What follows the last line of content speaks of the next block.
        let after = lines[begin..next]
            .iter()
            .rposition(|line| !line.trim().is_empty() && !is_comment(line));
        let end = begin + after.map_or(0, |last| last + 1);
        out.extend(lines[at.min(begin)..begin].iter().copied());
        match edit {
            Edit::Keep => out.extend(lines[begin..end].iter().copied()),
            Edit::Drop => {}
            Edit::Put(row) => {
                let block = otoml::day(ty, &[row]);
                out.push_str(block.strip_prefix(otoml::HEAD).unwrap_or(&block));
            }
        }
        at = end;
    }
    out.extend(lines[at..].iter().copied());
    out
}

/// Whether a line is a comment.
fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}
