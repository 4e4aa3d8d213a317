//! JSON as callers send it, read strictly and without loss.
//!
//! A typed store must tell `1` from `1.0` and `1e400` from a number, must see that a name stands
//! twice in an object, and must name the path of a string with an unpaired surrogate. General
//! parsers answer all of these with one error for the whole text, or not at all, so the reader is
//! our own: a recursive descent of bounded depth over RFC 8259.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

/// A JSON value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number without fraction or exponent that 64 bits hold, signed or (above 2⁶³) unsigned.
    Int(i128),
    /// A number with fraction or exponent that a double holds.
    Float(f64),
    /// Any other number, as it was written: an integer of more than 64 bits, or `1e400`.
    Huge(Box<str>),
    /// A text. Where it held an unpaired surrogate it now holds U+0000, which the store refuses
    /// in any string just the same.
    Str(String),
    /// A list.
    Array(Vec<Json>),
    /// An object: names are unique and stand in the order in which they were written.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Containers nested deeper than this are a parse error.
    pub const DEPTH_MAX: usize = 128;

    /// Reads one JSON text in UTF-8.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        if let Err(error) = std::str::from_utf8(text) {
            return Err(ParseError::at(text, error.valid_up_to(), "invalid UTF-8"));
        }
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.blanks();
        match reader.peek() {
            None => Ok(value),
            Some(_) => Err(reader.error("something behind the end of the value")),
        }
    }

    /// The value of that name, if this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Self::Object(entries) => entries.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for error messages: `a string`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number with fraction or exponent",
            Self::Huge(_) => "a number out of range",
            Self::Str(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Int(n) => match i64::try_from(*n) {
                Ok(n) => serializer.serialize_i64(n),
                Err(_) => serializer.serialize_i128(*n),
            },
            Self::Float(x) => serializer.serialize_f64(*x),
            Self::Huge(text) => serializer.serialize_str(text),
            Self::Str(text) => serializer.serialize_str(text),
            Self::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                items
                    .iter()
                    .try_for_each(|item| seq.serialize_element(item))?;
                seq.end()
            }
            Self::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries
                    .iter()
                    .try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}

/// Where a text stops being JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What was wrong.
    pub message: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in bytes.
    pub column: usize,
}

impl ParseError {
    fn at(text: &[u8], at: usize, message: &str) -> Self {
        let before = &text[..at.min(text.len())];
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let start = before
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |n| n + 1);
        Self {
            message: message.to_owned(),
            line,
            column: before.len() - start + 1,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at line {}, column {}",
            self.message, self.line, self.column
        )
    }
}

impl std::error::Error for ParseError {}

struct Reader<'a> {
    /// Invariant: valid UTF-8, checked by [`Json::parse`].
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, message: &str) -> ParseError {
        ParseError::at(self.text, self.at, message)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Json, ParseError> {
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => Ok(Json::Str(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.error("expected a JSON value")),
            None => Err(self.error("the text ends where a value was expected")),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, ParseError> {
        if self.text[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.error("expected a JSON value"))
    }

    fn enter(&mut self, depth: usize) -> Result<(), ParseError> {
        if depth > Json::DEPTH_MAX {
            return Err(self.error("nested deeper than 128"));
        }
        self.at += 1;
        self.blanks();
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Json, ParseError> {
        self.enter(depth)?;
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.blanks();
            if self.eat(b']') {
                return Ok(Json::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, ParseError> {
        self.enter(depth)?;
        let mut entries: Vec<(String, Json)> = Vec::new();
        let mut names = Names::default();
        if self.eat(b'}') {
            return Ok(Json::Object(entries));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a name in double quotes"));
            }
            let start = self.at;
            let name = self.string()?;
            if names.seen(&name, &entries) {
                self.at = start;
                return Err(self.error(&format!("the name {name:?} stands twice in one object")));
            }
            self.blanks();
            if !self.eat(b':') {
                return Err(self.error("expected `:`"));
            }
            entries.push((name, self.value(depth)?));
            self.blanks();
            if self.eat(b'}') {
                return Ok(Json::Object(entries));
            }
            if !self.eat(b',') {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    fn number(&mut self) -> Result<Json, ParseError> {
        let start = self.at;
        self.eat(b'-');
        let whole = self.digits()?;
        if whole > 1 && self.text[self.at - whole] == b'0' {
            return Err(self.error("a number begins with 0"));
        }
        let mut is_int = true;
        if self.eat(b'.') {
            is_int = false;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            is_int = false;
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        let text = str_of(&self.text[start..self.at]);
        let bits = i128::from(i64::MIN)..=i128::from(u64::MAX);
        if is_int {
            return Ok(match text.parse::<i128>() {
                Ok(n) if bits.contains(&n) => Json::Int(n),
                _ => Json::Huge(text.into()),
            });
        }
        match text.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(Json::Float(x)),
            _ => Ok(Json::Huge(text.into())),
        }
    }

    fn digits(&mut self) -> Result<usize, ParseError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.error("expected a digit"));
        }
        Ok(self.at - start)
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while matches!(self.peek(), Some(b) if b != b'"' && b != b'\\' && b >= 0x20) {
                self.at += 1;
            }
            out.push_str(str_of(&self.text[start..self.at]));
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                Some(_) => return Err(self.error("a control character in a string")),
                None => return Err(self.error("the text ends within a string")),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), ParseError> {
        self.at += 1;
        let c = match self.peek() {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                out.push(self.code_point()?);
                return Ok(());
            }
            _ => return Err(self.error("an unknown escape in a string")),
        };
        self.at += 1;
        out.push(c);
        Ok(())
    }

    /// Reads the four digits behind `\u`, and a second escape where a pair of surrogates needs it.
    fn code_point(&mut self) -> Result<char, ParseError> {
        let first = self.hex4()?;
        if (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or('\0'));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or('\0'))
    }

    fn hex4(&mut self) -> Result<u32, ParseError> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else {
            return Err(self.error("expected four hexadecimal digits"));
        };
        self.at += 4;
        Ok(u32::from_str_radix(str_of(digits), 16).unwrap_or(0))
    }
}

fn str_of(bytes: &[u8]) -> &str {
    // Invariant of Reader::text: it is UTF-8 and cut at ASCII bytes only.
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Finds names that stand twice: by comparing in small objects, by a set in large ones.
#[derive(Default)]
struct Names {
    set: HashSet<String>,
}

impl Names {
    const SMALL: usize = 16;

    fn seen(&mut self, name: &str, entries: &[(String, Json)]) -> bool {
        if entries.len() < Self::SMALL {
            return entries.iter().any(|(n, _)| n == name);
        }
        if self.set.is_empty() {
            self.set.extend(entries.iter().map(|(n, _)| n.clone()));
        }
        !self.set.insert(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Json;

    #[test]
    fn tells_apart_what_general_parsers_do_not() {
        let parse = |text: &str| Json::parse(text.as_bytes());
        assert_eq!(parse("1"), Ok(Json::Int(1)));
        assert_eq!(parse("-0"), Ok(Json::Int(0)));
        assert_eq!(parse("1.0"), Ok(Json::Float(1.0)));
        assert_eq!(
            parse("18446744073709551615"),
            Ok(Json::Int(u64::MAX.into()))
        );
        assert_eq!(
            parse("18446744073709551616"),
            Ok(Json::Huge("18446744073709551616".into()))
        );
        assert_eq!(parse("1e400"), Ok(Json::Huge("1e400".into())));
        assert_eq!(parse(r#""\ud83d\ude00""#), Ok(Json::Str("😀".into())));
        assert_eq!(parse(r#""\ud83dx\udc00""#), Ok(Json::Str("\0x\0".into())));
        let twice = parse("{\"a\": 1,\n \"a\": 2}").unwrap_err();
        assert_eq!((twice.line, twice.column), (2, 2));
        assert!(Json::parse(b"\"\xff\"").is_err());
        assert!(parse(&("[".repeat(128) + &"]".repeat(128))).is_ok());
        assert!(parse(&("[".repeat(129) + &"]".repeat(129))).is_err());
        assert!(parse(&"[".repeat(1_000_000)).is_err());
        let many: Vec<String> = (0..40).map(|n| format!("\"k{n}\":0")).collect();
        assert!(parse(&format!("{{{}}}", many.join(","))).is_ok());
        assert!(parse(&format!("{{{},\"k7\":0}}", many.join(","))).is_err());
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<f64>()
                .prop_filter("finite", |x| x.is_finite())
                .prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::vec((any::<String>(), inner), 0..8)
                    .prop_map(|e| serde_json::Value::Object(e.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(value in any_json()) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let ours = Json::parse(text.as_bytes()).unwrap();
            let again: serde_json::Value =
                serde_json::from_str(&serde_json::to_string(&ours).unwrap()).unwrap();
            prop_assert_eq!(again, value);
        }

        #[test]
        fn accepts_no_more_than_serde_json(text in "[\\[\\]{}:,\"\\\\u0-9eE+\\-. a-f]{0,24}") {
            if Json::parse(text.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
            }
        }
    }
}
