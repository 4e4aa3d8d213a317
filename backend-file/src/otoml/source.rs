//! A file as a person left it, and as TOML wants it: without byte order mark and `O:` line, and with
//! LF for line ends, so that a text over several lines is the same whatever editor saved it.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::Fault;

/// The file.
#[derive(Debug)]
pub(super) struct Source<'a> {
    /// All of it.
    pub(super) text: &'a str,
    /// The TOML in it, with LF only.
    pub(super) body: Cow<'a, str>,
    /// Where it begins in `text`.
    start: usize,
    /// Offsets in `body` before which `text` has a CR more.
    dropped: Vec<usize>,
    /// Where the lines of `body` begin, once somebody has asked.
    lines: OnceCell<Vec<usize>>,
    /// How many lines come before it.
    lines_before: usize,
}

impl<'a> Source<'a> {
    /// Looks at the bytes of a file.
    ///
    /// # Errors
    /// If they are not UTF-8.
    pub(super) fn of_bytes(bytes: &'a [u8]) -> Result<Self, Fault> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(text)),
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let valid = String::from_utf8_lossy(valid);
                let line = valid.rsplit('\n').next().unwrap_or_default();
                Err(Fault {
                    line: valid.matches('\n').count() + 1,
                    column: line.trim_start_matches('\u{feff}').chars().count() + 1,
                    message: "is not UTF-8".to_owned(),
                })
            }
        }
    }

    /// Looks at the text of a file.
    pub(super) fn new(text: &'a str) -> Self {
        let marked = text.strip_prefix('\u{feff}').unwrap_or(text);
        let behind_head = head_len(marked).and_then(|len| marked.get(len..));
        let raw = behind_head.unwrap_or(marked);
        let (body, dropped) = unix(raw);
        Self {
            text,
            start: text.len() - raw.len(),
            dropped,
            lines: OnceCell::new(),
            lines_before: usize::from(behind_head.is_some()),
            body,
        }
    }

    /// The offset in the file of an offset in the body: where a line ends in CR LF, before both.
    pub(super) fn original(&self, at: usize) -> usize {
        self.start + at + self.dropped.partition_point(|dropped| *dropped < at)
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let breaks = self.body.bytes().enumerate().filter(|(_, b)| *b == b'\n');
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect()
        })
    }

    /// The line, from 1, of an offset in the body.
    pub(super) fn line(&self, at: usize) -> usize {
        self.lines_before + self.lines().partition_point(|start| *start <= at)
    }

    /// Where the line of an offset in the body begins.
    pub(super) fn line_start(&self, at: usize) -> usize {
        let line = self.lines().partition_point(|start| *start <= at);
        self.lines()
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0)
    }

    /// Where the line behind that of an offset in the body begins, or the body ends.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let line = self.lines().partition_point(|start| *start <= at);
        self.lines().get(line).copied().unwrap_or(self.body.len())
    }

    /// What the file ends its lines with.
    pub(super) fn line_break(&self) -> &'static str {
        match self.text.split_once('\n') {
            Some((first, _)) if first.ends_with('\r') => "\r\n",
            _ => "\n",
        }
    }

    /// A fault at an offset in the body.
    pub(super) fn fault(&self, at: usize, message: String) -> Fault {
        let before = self.body.get(self.line_start(at)..at).unwrap_or_default();
        Fault {
            line: self.line(at),
            column: before.chars().count() + 1,
            message,
        }
    }

    /// The fault that the TOML parser found.
    pub(super) fn syntax_fault(&self, error: &toml_edit::TomlError) -> Fault {
        let at = error.span().map_or(0, |span| span.start);
        self.fault(at, format!("is not valid TOML: {}", error.message()))
    }
}

/// The length of a first line `O:`, blanks behind it and its line break included.
fn head_len(text: &str) -> Option<usize> {
    let (line, len) = match text.split_once('\n') {
        Some((line, _)) => (line.strip_suffix('\r').unwrap_or(line), line.len() + 1),
        None => (text, text.len()),
    };
    (line.trim_end_matches([' ', '\t']) == "O:").then_some(len)
}

/// A text with LF for each CR LF, and the offsets at which a CR fell away.
fn unix(text: &str) -> (Cow<'_, str>, Vec<usize>) {
    if !text.contains("\r\n") {
        return (Cow::Borrowed(text), Vec::new());
    }
    let mut out = String::with_capacity(text.len());
    let mut dropped = Vec::new();
    for (n, part) in text.split("\r\n").enumerate() {
        if n > 0 {
            dropped.push(out.len());
            out.push('\n');
        }
        out.push_str(part);
    }
    (Cow::Owned(out), dropped)
}
