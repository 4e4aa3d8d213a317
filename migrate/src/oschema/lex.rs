//! Tokens of the original's schema language, with the comments round them.

use std::iter::Peekable;
use std::rc::Rc;
use std::str::Chars;

use super::{Fault, Place};

/// What a line is that ends the free text at a file's head.
const HEAD_ENDS: &str = "# ===SCHEMA===";

/// A token.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) place: Place,
    /// The comments between the token before and this one, but for that beside the former.
    pub(super) above: Vec<Comment>,
    /// The comment behind it on its line.
    pub(super) beside: Option<String>,
}

/// A comment on a line of its own.
#[derive(Debug, Clone)]
pub(super) struct Comment {
    pub(super) text: String,
    pub(super) line: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Text(String),
    Int(i64),
    Float(f64),
    /// One of `= : ? | , -> { } [ ] ( ) @`.
    Sign(&'static str),
    End,
}

impl Kind {
    /// How a message names it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Text(text) => format!("{text:?}"),
            Self::Int(n) => n.to_string(),
            Self::Float(n) => n.to_string(),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end of the file".to_owned(),
        }
    }
}

const SIGNS: [(char, &str); 11] = [
    ('=', "="),
    (':', ":"),
    ('?', "?"),
    ('|', "|"),
    (',', ","),
    ('{', "{"),
    ('}', "}"),
    ('[', "["),
    (']', "]"),
    ('(', "("),
    (')', ")"),
];

/// Cuts a file into tokens; the last one is its end.
pub(super) fn tokens(file: &Rc<str>, text: &str) -> Result<Vec<Token>, Fault> {
    let head = text.lines().position(|line| line.trim() == HEAD_ENDS);
    let mut lexer = Lexer {
        file,
        left: text.chars().peekable(),
        line: 1,
        column: 1,
    };
    while head.is_some_and(|head| lexer.line <= head + 1) && lexer.next().is_some() {}
    let mut tokens: Vec<Token> = Vec::new();
    let mut above = Vec::new();
    loop {
        lexer.blanks();
        let place = lexer.place();
        let Some(first) = lexer.left.peek().copied() else {
            tokens.push(Token {
                kind: Kind::End,
                place,
                above,
                beside: None,
            });
            return Ok(tokens);
        };
        if first == '#' {
            let text = lexer.comment();
            match tokens.last_mut() {
                Some(last) if last.place.line == place.line => last.beside = Some(text),
                _ => above.push(Comment {
                    text,
                    line: place.line,
                }),
            }
            continue;
        }
        let kind = lexer.token(first, &place)?;
        let above = std::mem::take(&mut above);
        tokens.push(Token {
            kind,
            place,
            above,
            beside: None,
        });
    }
}

struct Lexer<'a> {
    file: &'a Rc<str>,
    left: Peekable<Chars<'a>>,
    line: usize,
    column: usize,
}

impl Lexer<'_> {
    fn place(&self) -> Place {
        Place {
            file: Rc::clone(self.file),
            line: self.line,
            column: self.column,
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.left.next()?;
        (self.line, self.column) = match c {
            '\n' => (self.line + 1, 1),
            _ => (self.line, self.column + 1),
        };
        Some(c)
    }

    fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while self.left.peek().copied().is_some_and(&is_part) {
            text.extend(self.next());
        }
        text
    }

    fn blanks(&mut self) {
        // A byte order mark at the head is none of the text.
        self.take_while(|c| c.is_whitespace() || c == '\u{feff}');
    }

    fn comment(&mut self) -> String {
        let text = self.take_while(|c| c != '\n');
        text.trim_start_matches('#').trim().to_owned()
    }

    fn token(&mut self, first: char, place: &Place) -> Result<Kind, Fault> {
        let sign = SIGNS.iter().find(|(sign, _)| *sign == first);
        if let Some((_, sign)) = sign {
            self.next();
            return Ok(Kind::Sign(sign));
        }
        match first {
            '"' => self.text(place),
            '-' | '0'..='9' => self.number(place),
            '@' => {
                self.next();
                Ok(Kind::Sign("@"))
            }
            c if c.is_ascii_alphabetic() || c == '_' => Ok(Kind::Name(
                self.take_while(|c| c.is_ascii_alphanumeric() || c == '_'),
            )),
            c => Err((
                place.clone(),
                format!("{c:?} means nothing here, expected a definition: NAME = TYPE"),
            )),
        }
    }

    fn text(&mut self, place: &Place) -> Result<Kind, Fault> {
        self.next();
        let mut text = String::new();
        loop {
            let here = self.place();
            match self.next() {
                Some('"') => return Ok(Kind::Text(text)),
                Some('\\') => text.push(match self.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(c @ ('\\' | '"')) => c,
                    _ => {
                        let told = "no such escape, expected \\n, \\t, \\r, \\\\ or \\\"";
                        return Err((here, told.to_owned()));
                    }
                }),
                None | Some('\n') => {
                    let told = "the text that begins here has no closing quote on its line";
                    return Err((place.clone(), told.to_owned()));
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn number(&mut self, place: &Place) -> Result<Kind, Fault> {
        let mut text: String = self.next().into_iter().collect();
        if text == "-" && self.left.peek() == Some(&'>') {
            self.next();
            return Ok(Kind::Sign("->"));
        }
        text += &self.take_while(|c| c.is_ascii_digit() || c == '.');
        let number = match text.contains('.') {
            true => text
                .parse()
                .ok()
                .filter(|n: &f64| n.is_finite())
                .map(Kind::Float),
            false => text.parse().ok().map(Kind::Int),
        };
        number.ok_or_else(|| {
            let told = format!("{text:?} is no number: whole ones have 64 bits, others one point");
            (place.clone(), told)
        })
    }
}
