//! The tokens of a query: which signs are operators where they stand, and which are mere text.

/// One token, with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'q> {
    pub(super) kind: Kind<'q>,
    /// Where it begins, from 1, in characters.
    pub(super) column: usize,
    /// Where it ends, in bytes.
    pub(super) end: usize,
    /// No blank lies between it and the token before.
    pub(super) glued: bool,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'q> {
    /// `(`
    Open,
    /// `)`
    Close,
    /// `AND`
    And,
    /// `OR`
    Or,
    /// `NOT`, or `-` where a term begins.
    Not,
    /// `name:` where a term begins; the name alone.
    Field(&'q str),
    /// A text without blanks, parentheses and quotes.
    Bare(&'q str),
    /// The text between quotes.
    Phrase {
        text: &'q str,
        /// A `*` ends it.
        prefix: bool,
    },
    /// A quote that no other closes; it takes all that is left.
    Unclosed,
}

/// Splits a query into tokens, in time linear in its length.
pub(super) struct Lexer<'q> {
    text: &'q str,
    at: usize,
    column: usize,
    last: Last,
}

/// What the next token directly behind means.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    /// Nothing special.
    Any,
    /// Behind `-` a term begins, so words in capitals are words.
    Minus,
    /// Behind `name:` nothing but parentheses and quotes is an operator.
    Field,
}

impl<'q> Lexer<'q> {
    pub(super) fn new(text: &'q str) -> Self {
        Self {
            text,
            at: 0,
            column: 1,
            last: Last::Any,
        }
    }

    fn rest(&self) -> &'q str {
        &self.text[self.at..]
    }

    /// Takes the next `bytes` bytes, which end on a character boundary.
    fn skip(&mut self, bytes: usize) -> &'q str {
        let taken = &self.rest()[..bytes];
        self.at += bytes;
        self.column += taken.chars().count();
        taken
    }

    fn kind(&mut self, last: Last) -> Option<Kind<'q>> {
        let rest = self.rest();
        Some(match rest.chars().next()? {
            '(' => self.sign(Kind::Open),
            ')' => self.sign(Kind::Close),
            '"' => self.quoted(),
            '-' if last != Last::Field && begins_term(&rest[1..]) => {
                self.last = Last::Minus;
                self.sign(Kind::Not)
            }
            _ => match field_name(rest).filter(|_| last != Last::Field) {
                Some(name) => {
                    self.last = Last::Field;
                    self.skip(name.len() + 1);
                    Kind::Field(name)
                }
                None => self.bare(last),
            },
        })
    }

    fn sign(&mut self, kind: Kind<'q>) -> Kind<'q> {
        self.skip(1);
        kind
    }

    fn quoted(&mut self) -> Kind<'q> {
        self.skip(1);
        let Some(len) = self.rest().find('"') else {
            self.skip(self.rest().len());
            return Kind::Unclosed;
        };
        let text = self.skip(len);
        self.skip(1);
        let after = self.rest().trim_start_matches('*');
        let prefix = after.len() < self.rest().len() && ends_term(after);
        if prefix {
            self.skip(self.rest().len() - after.len());
        }
        Kind::Phrase { text, prefix }
    }

    fn bare(&mut self, last: Last) -> Kind<'q> {
        let rest = self.rest();
        let len = rest.find(is_boundary).unwrap_or(rest.len());
        match self.skip(len) {
            "AND" if last == Last::Any => Kind::And,
            "OR" if last == Last::Any => Kind::Or,
            "NOT" if last == Last::Any => Kind::Not,
            text => Kind::Bare(text),
        }
    }
}

impl<'q> Iterator for Lexer<'q> {
    type Item = Token<'q>;

    fn next(&mut self) -> Option<Token<'q>> {
        let blanks = self.rest().len() - self.rest().trim_start().len();
        self.skip(blanks);
        let (column, glued) = (self.column, blanks == 0);
        let last = std::mem::replace(&mut self.last, Last::Any);
        let kind = self.kind(if glued { last } else { Last::Any })?;
        Some(Token {
            kind,
            column,
            end: self.at,
            glued,
        })
    }
}

fn is_boundary(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}

fn ends_term(rest: &str) -> bool {
    rest.chars().next().is_none_or(is_boundary)
}

fn begins_term(rest: &str) -> bool {
    rest.chars()
        .next()
        .is_some_and(|c| !c.is_whitespace() && c != ')')
}

/// The name before the colon, if the text begins with a name (in the form of field names) and one.
fn field_name(rest: &str) -> Option<&str> {
    let is_part = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let len = rest.bytes().take_while(is_part).count();
    let begins = rest.starts_with(|c: char| c.is_ascii_lowercase());
    (begins && rest[len..].starts_with(':')).then(|| &rest[..len])
}

#[cfg(test)]
mod tests {
    use super::Kind::{And, Bare, Close, Field, Not, Open, Or, Unclosed};
    use super::*;

    fn phrase(text: &str) -> Kind<'_> {
        Kind::Phrase {
            text,
            prefix: false,
        }
    }

    fn prefixed(text: &str) -> Kind<'_> {
        Kind::Phrase { text, prefix: true }
    }

    #[test]
    fn tells_operators_from_text() {
        let rows: &[(&str, &[Kind<'_>])] = &[
            ("", &[]),
            (" \u{3000}\n", &[]),
            (
                "a OR b AND NOT c",
                &[Bare("a"), Or, Bare("b"), And, Not, Bare("c")],
            ),
            (
                "or Or ORx OR* OR-",
                &[
                    Bare("or"),
                    Bare("Or"),
                    Bare("ORx"),
                    Bare("OR*"),
                    Bare("OR-"),
                ],
            ),
            (
                "func(x)OR(y)",
                &[
                    Bare("func"),
                    Open,
                    Bare("x"),
                    Close,
                    Or,
                    Open,
                    Bare("y"),
                    Close,
                ],
            ),
            ("a\"b\"c", &[Bare("a"), phrase("b"), Bare("c")]),
            (
                "\"\"\" (a OR\" -b",
                &[phrase(""), phrase(" (a OR"), Not, Bare("b")],
            ),
            (
                "-a a-b -(b) -\"c\"",
                &[
                    Not,
                    Bare("a"),
                    Bare("a-b"),
                    Not,
                    Open,
                    Bare("b"),
                    Close,
                    Not,
                    phrase("c"),
                ],
            ),
            ("- -) -", &[Bare("-"), Bare("-"), Close, Bare("-")]),
            ("--a ---", &[Not, Not, Bare("a"), Not, Not, Bare("-")]),
            ("-OR -NOT", &[Not, Bare("OR"), Not, Bare("NOT")]),
            (
                "name:a -name:b",
                &[Field("name"), Bare("a"), Not, Field("name"), Bare("b")],
            ),
            (
                "name:(a) name:\"b\"",
                &[
                    Field("name"),
                    Open,
                    Bare("a"),
                    Close,
                    Field("name"),
                    phrase("b"),
                ],
            ),
            (
                "name:-a name:b:c name:OR",
                &[
                    Field("name"),
                    Bare("-a"),
                    Field("name"),
                    Bare("b:c"),
                    Field("name"),
                    Bare("OR"),
                ],
            ),
            ("name: OR", &[Field("name"), Or]),
            (
                "12:30 Name:a a.b:c :a _x:y",
                &[
                    Bare("12:30"),
                    Bare("Name:a"),
                    Bare("a.b:c"),
                    Bare(":a"),
                    Bare("_x:y"),
                ],
            ),
            (
                "http://x a1_:b",
                &[Field("http"), Bare("//x"), Field("a1_"), Bare("b")],
            ),
            ("ab* a*b *a", &[Bare("ab*"), Bare("a*b"), Bare("*a")]),
            (
                "\"a\"* \"b\"**)\"c\"*d \"e*\"",
                &[
                    prefixed("a"),
                    prefixed("b"),
                    Close,
                    phrase("c"),
                    Bare("*d"),
                    phrase("e*"),
                ],
            ),
            ("a \"b (c", &[Bare("a"), Unclosed]),
        ];
        for (text, expected) in rows {
            let kinds: Vec<_> = Lexer::new(text).map(|token| token.kind).collect();
            assert_eq!(kinds, *expected, "{text:?}");
        }
    }

    #[test]
    fn counts_columns_in_characters() {
        let tokens: Vec<_> = Lexer::new("é  -name:漢字(\"ü\"* x")
            .map(|token| (token.column, token.end, token.glued))
            .collect();
        let expected = [
            (1, 2, true),
            (4, 5, false),
            (5, 10, true),
            (10, 16, true),
            (12, 17, true),
            (13, 22, true),
            (18, 24, false),
        ];
        assert_eq!(tokens, expected);
    }
}
