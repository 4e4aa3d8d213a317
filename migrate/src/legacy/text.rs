//! The text of a file of the original OSIS: OTOML as its writer leaves it.
//!
//! It is TOML behind a line `O:`, and is read as such, as the original reads it. Where that fails
//! because of what its writer does wrong, the file is read again with that put right, as long as the
//! meaning is clear: a text with a line break stands between `"""` without a single escape, so
//! backslashes, control characters and quotes in it are what they are; a date-time is written as a
//! table with a private key.

use osis_core::json::Json;
use toml::de::{DeTable, Error};

use crate::seedfile::toml_json;

/// How the original's writer shows a TOML date-time.
const DATETIME: &str = "{ $__toml_private_datetime = ";

/// A field of a file: its name, its value, its line.
pub(super) type Entry = (String, Json, usize);

/// What is wrong with a text, and in which line.
pub(super) type Fault = (Option<usize>, String);

/// Reads the fields of a file.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Entry>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        (Some(line), "is no UTF-8".to_owned())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() || text.trim() == "O:" {
        return Err((
            None,
            "is empty: it was cut off when it was written".to_owned(),
        ));
    }
    let (body, above) = body(text);
    let (table, errors) = DeTable::parse_recoverable(body);
    let first = errors
        .into_iter()
        .min_by_key(|error| error.span().map(|span| span.start));
    let Some(error) = first else {
        return Ok(fields(body, above, table.into_inner()));
    };
    let told = fault(body, above, &error);
    let Some(mended) = mended(body) else {
        return Err(told);
    };
    // Lines of the mended text are not those of the file, but of what is wrong in both only the
    // first is told.
    let read = DeTable::parse(&mended).map(|table| fields(&mended, above, table.into_inner()));
    read.map_err(|_| told)
}

/// What is behind the first line, and how many lines are before that.
fn body(text: &str) -> (&str, usize) {
    match text.split_once('\n') {
        Some((first, rest)) if first.trim_end() == "O:" => (rest, 1),
        _ => (text, 0),
    }
}

fn fields(text: &str, above: usize, table: DeTable<'_>) -> Vec<Entry> {
    let entries = table.into_iter().map(|(key, value)| {
        let line = line_of(text, key.span().start) + above;
        let key = key.into_inner().into_owned();
        (key, toml_json(value.into_inner()), line)
    });
    entries.collect()
}

fn fault(text: &str, above: usize, error: &Error) -> Fault {
    let line = error.span().map(|span| line_of(text, span.start) + above);
    let message = error.message().lines().next().unwrap_or_default();
    (line, format!("is no OTOML: {message}"))
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// The text with the writer's own faults put right; nothing if there is none, or if more than one
/// meaning is left.
fn mended(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 64);
    let mut rest = text;
    let mut changed = false;
    while !rest.is_empty() {
        let (line, behind) = rest.split_once('\n').unwrap_or((rest, ""));
        let Some(name) = opens_text(line) else {
            let put_right = datetime(line);
            changed |= put_right != line;
            out.push_str(&put_right);
            out.push('\n');
            rest = behind;
            continue;
        };
        let head = line.len()
            - line
                .trim_start_matches(name)
                .trim_start_matches(" = ")
                .len()
            + 3;
        let (content, behind) = raw_text(&rest[head..])?;
        out.push_str(name);
        out.push_str(" = ");
        out.push_str(&toml::Value::String(content.to_owned()).to_string());
        out.push('\n');
        changed = true;
        rest = behind;
    }
    changed.then_some(out)
}

/// The name of the field whose text of several lines begins here.
fn opens_text(line: &str) -> Option<&str> {
    let (name, value) = line.split_once(" = ")?;
    (is_name(name) && value.starts_with("\"\"\"")).then_some(name)
}

/// What stands up to the end of a text of several lines, and what is behind that line. The end is
/// three quotes at the end of a line behind which a field begins, or nothing is left. Where there
/// are several such places, the meaning is not clear.
fn raw_text(text: &str) -> Option<(&str, &str)> {
    let mut ends = Vec::new();
    let mut from = 0;
    while let Some(found) = text[from..].find("\"\"\"") {
        let mut at = from + found;
        // Of more quotes in a row, the last three end it.
        while text[at + 3..].starts_with('"') {
            at += 1;
        }
        let behind = &text[at + 3..];
        let next = behind.strip_prefix('\n');
        if behind.is_empty() || next.is_some_and(begins_field) {
            ends.push((&text[..at], next.unwrap_or_default()));
        }
        from = at + 3;
    }
    match ends.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

fn begins_field(text: &str) -> bool {
    let line = text.lines().next().unwrap_or_default();
    let named = line
        .split_once(" = ")
        .is_some_and(|(name, _)| is_name(name));
    text.is_empty() || named || line.starts_with("[[")
}

fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

/// A line in which a date-time is a text instead of a table with a private key.
fn datetime(line: &str) -> String {
    let Some((before, behind)) = line.split_once(DATETIME) else {
        return line.to_owned();
    };
    match behind.split_once(" }") {
        Some((time, behind)) => datetime(&format!("{before}{time}{behind}")),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use osis_core::json::Json;

    use super::entries;

    fn text_of(file: &str) -> String {
        let read = entries(file.as_bytes()).unwrap_or_else(|fault| panic!("{fault:?}\n{file}"));
        let text = read.iter().find(|(name, ..)| name == "text");
        match text {
            Some((_, Json::Str(text), _)) => text.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_that_the_original_cannot_read_back_are_read() {
        for text in [
            "a\n\\d+\\",
            "say \"\"\"\nthree\"",
            "\u{1b}[31mred\nnot",
            "a\0b\n",
            "last\n\"quoted\"",
            "a\n\"\"\" b",
        ] {
            let file = format!("O:\nnumber = 1\ntext = \"\"\"{text}\"\"\"\nzeta = \"z\"\n");
            assert_eq!(text_of(&file), text, "{file}");
            let last = format!("O:\ntext = \"\"\"{text}\"\"\"\n");
            assert_eq!(text_of(&last), text, "{last}");
        }
    }

    #[test]
    fn what_is_toml_means_what_it_means_there() {
        for (value, text) in [
            ("\"a \\\"b\\\"\\t\"", "a \"b\"\t"),
            ("\"\"\"\nfirst line goes\"\"\"", "first line goes"),
            ("'C:\\temp'", "C:\\temp"),
        ] {
            for (start, end) in [
                ("O:\n", "\n"),
                ("O:\r\n", "\r\n"),
                ("", ""),
                ("\u{feff}O:\n", "\n"),
            ] {
                assert_eq!(text_of(&format!("{start}text = {value}{end}")), text);
            }
        }
        let private = "O:\ntext = { $__toml_private_datetime = \"2026-11-21T07:00:00Z\" }\n";
        assert_eq!(text_of(private), "2026-11-21T07:00:00Z");
    }

    #[test]
    fn what_is_not_clear_is_refused_with_its_line() {
        for (file, line) in [
            ("", None),
            ("O:\n", None),
            ("O:\na = 1\nb = {\n", Some(3)),
            ("O:\na = 1\ntext = \"\"\"torn\noff", Some(4)),
            ("O:\na = 1\nb = NaN\n", Some(3)),
            (
                "O:\ntext = \"\"\"a\\d\"\"\"\nb = 1\n\"\"\"\nc = 1\n",
                Some(2),
            ),
        ] {
            let fault = entries(file.as_bytes());
            let told = fault.as_ref().map_err(|(line, _)| *line).map(Vec::len);
            assert_eq!(told, Err(line), "{file:?}: {fault:?}");
        }
    }
}
