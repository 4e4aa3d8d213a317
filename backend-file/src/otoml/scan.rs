//! Reads what [`super::write`] wrote, and nothing else: fast and lean.
//!
//! The log and most files are never touched by people. Their text is a small part of TOML, in which
//! a line begins with a name of the type, names rise, and a value has one form. Whatever else stands
//! there ends the scan, and the caller turns to the whole of TOML or, for the log, gives up. What a
//! scan accepts, TOML reads the same.

use std::borrow::Cow;

use base64::Engine as _;
use osis_core::object::Id;
use osis_core::schema::{Column, FieldKind, Item, Type};
use osis_core::time::Time;
use osis_core::value::Value;

use super::Found;
use super::write::{Columns, INDENT};

/// What a scan gives, or what it had expected where it stopped.
pub(crate) type Scan<T> = Result<T, &'static str>;

/// How long a time is.
const TIME_LEN: usize = 24;

/// A place in a text.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a text.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The offset that it has reached, in bytes.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether the text is over.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    /// The next byte.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over a word if it is next.
    pub(crate) fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Steps over a word that must be next; `expected` says so if it is not.
    pub(crate) fn expect(&mut self, word: &str, expected: &'static str) -> Scan<()> {
        if self.eat(word) {
            Ok(())
        } else {
            Err(expected)
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The part before the next byte of some kind, and steps to that byte.
    fn until(&mut self, stop: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.bytes().position(stop).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// The name at the beginning of a line, and steps behind its ` = `; nothing where none begins.
    pub(crate) fn name(&mut self) -> Option<&'a str> {
        let start = self.at;
        let name = self.until(|b| !matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !name.is_empty() && self.eat(" = ") {
            return Some(name);
        }
        self.at = start;
        None
    }

    /// A line break.
    pub(crate) fn line_end(&mut self) -> Scan<()> {
        self.expect("\n", "expected the end of the line")
    }

    /// A string in double quotes, on one line.
    pub(crate) fn string(&mut self) -> Scan<Cow<'a, str>> {
        self.expect("\"", "expected a string in double quotes")?;
        let plain = self.plain(b'"');
        if self.eat("\"") {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err("expected the end of a string"),
            }
            text.push_str(self.plain(b'"'));
        }
    }

    /// What needs no escape, up to a quote, a backslash or a control character.
    fn plain(&mut self, quote: u8) -> &'a str {
        self.until(|b| b == quote || b == b'\\' || b == 0x7f || (b < 0x20 && b != b'\t'))
    }

    fn escape(&mut self) -> Scan<char> {
        self.at += 1;
        let escaped = self.peek().ok_or("expected an escape")?;
        self.at += 1;
        Ok(match escaped {
            b'b' => '\u{8}',
            b't' => '\t',
            b'n' => '\n',
            b'f' => '\u{c}',
            b'r' => '\r',
            b'"' => '"',
            b'\\' => '\\',
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4);
                let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                let c = code
                    .and_then(char::from_u32)
                    .ok_or("expected four digits")?;
                self.at += 4;
                c
            }
            _ => {
                // Back onto a character's border.
                self.at -= 1;
                return Err("expected an escape");
            }
        })
    }

    /// A text over its lines, between `"""`.
    fn lines(&mut self) -> Scan<String> {
        self.expect("\"\"\"\n", "expected a text")?;
        let mut text = String::new();
        loop {
            text.push_str(self.until(|b| {
                matches!(b, b'"' | b'\\' | 0x7f) || (b < 0x20 && b != b'\t' && b != b'\n')
            }));
            match self.peek() {
                Some(b'\\') => text.push(self.escape()?),
                Some(b'"') => {
                    let quotes = self.until(|b| b != b'"');
                    match quotes.len() {
                        1 | 2 => text.push_str(quotes),
                        3 => return Ok(text),
                        _ => return Err("expected the end of a text"),
                    }
                }
                _ => return Err("expected the end of a text"),
            }
        }
    }

    /// A string in single quotes.
    fn literal(&mut self) -> Scan<&'a str> {
        self.expect("'", "expected a string")?;
        let text = self.until(|b| b == b'\'' || b == 0x7f || (b < 0x20 && b != b'\t'));
        self.expect("'", "expected the end of a string")?;
        Ok(text)
    }

    /// A whole number.
    pub(crate) fn int(&mut self) -> Scan<i64> {
        let token = self.until(|b| !matches!(b, b'-' | b'0'..=b'9'));
        let digits = token.strip_prefix('-').unwrap_or(token);
        let plain = digits == "0" && token == "0" || !digits.starts_with('0');
        let number = token.parse().ok().filter(|_| plain);
        number.ok_or("expected a whole number")
    }

    fn float(&mut self) -> Scan<f64> {
        let token = self.until(|b| !matches!(b, b'-' | b'.' | b'e' | b'0'..=b'9'));
        let number: f64 = token.parse().map_err(|_| "expected a number")?;
        // Only as the writer spells it: TOML does not take all that Rust takes.
        let same = format!("{number:?}") == token && !(number == 0.0 && token.starts_with('-'));
        if same {
            Ok(number)
        } else {
            Err("expected a number")
        }
    }

    /// `true` or `false`.
    pub(crate) fn bool(&mut self) -> Scan<bool> {
        if self.eat("true") {
            return Ok(true);
        }
        self.expect("false", "expected true or false")
            .map(|()| false)
    }

    /// A time with three decimals, in UTC.
    pub(crate) fn time(&mut self) -> Scan<Time> {
        let text = self.rest().get(..TIME_LEN).filter(|text| {
            let b = text.as_bytes();
            b[10] == b'T' && b[19] == b'.' && b[TIME_LEN - 1] == b'Z'
        });
        let time = text.and_then(Time::parse).ok_or("expected a time")?;
        self.at += TIME_LEN;
        Ok(time)
    }

    fn text(&mut self) -> Scan<Box<str>> {
        if self.rest().starts_with("\"\"\"") {
            return self.lines().map(String::into_boxed_str);
        }
        self.string().map(box_str)
    }

    fn list(&mut self, item: Item) -> Scan<Box<[Value]>> {
        let mut items = Vec::new();
        self.expect("[", "expected a list")?;
        let a_line_each = self.eat("\n");
        while !self.eat("]") {
            if a_line_each {
                self.expect(INDENT, "expected an item")?;
            } else if !items.is_empty() {
                self.expect(", ", "expected a comma")?;
            }
            items.push(match item {
                Item::Int => Value::Int(self.int()?),
                Item::String => Value::Str(box_str(self.string()?)),
            });
            if a_line_each {
                self.expect(",\n", "expected a comma and the end of the line")?;
            }
        }
        Ok(items.into())
    }

    /// The value of a field, up to the end of its line. Only its form is checked, and of JSON not
    /// even that.
    fn value(&mut self, kind: &FieldKind) -> Scan<Value> {
        Ok(match kind {
            FieldKind::String | FieldKind::Text | FieldKind::Enum(_) | FieldKind::Ref { .. } => {
                Value::Str(self.text()?)
            }
            FieldKind::Int => Value::Int(self.int()?),
            FieldKind::Float => Value::Float(self.float()?),
            FieldKind::Bool => Value::Bool(self.bool()?),
            FieldKind::Time => Value::Time(self.time()?),
            FieldKind::List(item) => Value::List(self.list(*item)?),
            FieldKind::Json if self.peek() == Some(b'\'') => Value::Json(self.literal()?.into()),
            FieldKind::Json => Value::Json(box_str(self.string()?)),
            FieldKind::Bytes => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(&*self.string()?);
                Value::Bytes(decoded.map_err(|_| "expected base64")?.into())
            }
        })
    }

    /// An id.
    pub(crate) fn id(&mut self) -> Scan<Id> {
        Id::parse(&self.string()?).ok_or("expected an id")
    }

    /// The lines of an object, up to the first that begins with no name.
    pub(super) fn object(&mut self, ty: &Type, columns: &Columns<'_>) -> Scan<Found> {
        let mut found = Found {
            id: None,
            rev: None,
            created_at: None,
            updated_at: None,
            values: vec![Value::Null; ty.fields.len()].into(),
            line: 1,
        };
        let mut behind = columns.list.iter();
        let mut start = self.at;
        while let Some(name) = self.name() {
            let Some((_, column)) = behind.find(|(known, _)| *known == name) else {
                self.at = start;
                return Err("no field of this name is expected here");
            };
            match column {
                Column::Id => found.id = Some(self.id()?),
                Column::Rev => found.rev = Some(self.int()?),
                Column::CreatedAt => found.created_at = Some(self.time()?),
                Column::UpdatedAt => found.updated_at = Some(self.time()?),
                Column::Field(position) => {
                    found.values[*position] = self.value(&ty.fields[*position].kind)?;
                }
            }
            self.line_end()?;
            start = self.at;
        }
        Ok(found)
    }

    /// The fields of an object, as the log holds them.
    pub(crate) fn fields(&mut self, ty: &Type, fields: &super::Fields<'_>) -> Scan<Box<[Value]>> {
        self.object(ty, &fields.0).map(|found| found.values)
    }
}

fn box_str(text: Cow<'_, str>) -> Box<str> {
    match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    }
}
