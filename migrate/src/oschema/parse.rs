//! Definitions from tokens: types, their fields, services, includes.
//!
//! The grammar, with what is optional in brackets:
//!
//! ```text
//! file       = { "include" TEXT | "service" NAME "{" … "}" | definition }
//! definition = NAME [":" NAME] "=" type
//! type       = one { "|" one }
//! one        = NAME | literal | "[" type "]" | "(" … ")" | "{" NAME ":" type "}" | "{" { field [","] } "}"
//! field      = NAME ["?"] ":" type ["=" literal] ["@" "index"]
//! ```
//!
//! `{ str: any }` is a map and `{ name: str }` an object of one field: what stands before the colon
//! tells, a primitive's name or another.

use std::collections::HashMap;

use super::kind::is_primitive;
use super::lex::{Comment, Kind, Token};
use super::{Fault, Place};

/// How deep types may be nested.
const DEPTH_MAX: usize = 64;

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) definitions: Vec<Definition>,
    /// Their names.
    pub(super) services: Vec<String>,
    /// Names of files, and where they stand.
    pub(super) includes: Vec<(String, Place)>,
}

/// A definition of a type.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) shape: Shape,
    /// The comment right above it.
    pub(super) doc: Option<String>,
    /// Whether a comment says `[rootobject]`.
    pub(super) is_marked: bool,
}

impl Definition {
    /// The fields of a type whose objects are stored for themselves.
    pub(super) fn stored(&self) -> Option<&[Member]> {
        match &self.shape {
            Shape::Object(members)
                if self.is_marked || members.iter().any(|member| member.name == "sid") =>
            {
                Some(members)
            }
            _ => None,
        }
    }
}

/// What a type consists of.
#[derive(Debug)]
pub(super) enum Shape {
    Name(String, Place),
    Literal(Literal),
    List(Box<Shape>),
    Map(Box<Shape>),
    Tuple(Vec<Shape>),
    Object(Vec<Member>),
    Union(Vec<Shape>),
}

/// A value that stands for itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// A field of an object.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) is_optional: bool,
    pub(super) shape: Shape,
    pub(super) default: Option<(Literal, Place)>,
    pub(super) is_indexed: bool,
    /// What the comments beside and right above it say.
    pub(super) doc: Option<String>,
    /// The marks in them, such as `unique`.
    pub(super) marks: Vec<String>,
}

/// Reads what a file's tokens say.
pub(super) fn file(tokens: Vec<Token>) -> Result<Parsed, Fault> {
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
    };
    let mut parsed = Parsed::default();
    while *parser.kind() != Kind::End {
        let next = parser.tokens.get(parser.at + 1).map(|token| &token.kind);
        match (parser.kind().clone(), next.cloned()) {
            (Kind::Name(word), Some(Kind::Text(path))) if word == "include" => {
                parser.at += 1;
                parsed.includes.push((path, parser.place()));
                parser.at += 1;
            }
            (Kind::Name(word), Some(Kind::Name(name))) if word == "service" => {
                parser.at += 2;
                parser.service()?;
                parsed.services.push(name);
            }
            _ => parsed.definitions.push(parser.definition()?),
        }
    }
    Ok(parsed)
}

/// Names that are defined twice.
pub(super) fn doubled(definitions: &[Definition]) -> Vec<Fault> {
    let mut first: HashMap<&str, &Place> = HashMap::new();
    let mut faults = Vec::new();
    for Definition { name, place, .. } in definitions {
        if let Some(other) = first.get(name.as_str()) {
            let told = format!("{name} is defined already, at {other}");
            faults.push((place.clone(), told));
        } else if is_primitive(name) {
            faults.push((place.clone(), format!("{name} is a type of the language")));
        }
        first.entry(name).or_insert(place);
    }
    faults
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    // Invariant: the last token is the end, and nothing goes beyond it.
    fn token(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn kind(&self) -> &Kind {
        &self.token().kind
    }

    fn place(&self) -> Place {
        self.token().place.clone()
    }

    fn expected<T>(&self, what: &str) -> Result<T, Fault> {
        let told = format!("expected {what}, got {}", self.kind().shown());
        Err((self.place(), told))
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.kind(), Kind::Sign(found) if *found == sign)
    }

    /// Steps over a sign if it is there.
    fn skip(&mut self, sign: &str) -> bool {
        let is_there = self.is(sign);
        self.at += usize::from(is_there);
        is_there
    }

    fn sign(&mut self, sign: &str, before: &str) -> Result<(), Fault> {
        match self.skip(sign) {
            true => Ok(()),
            false => self.expected(&format!("`{sign}` {before}")),
        }
    }

    fn name(&mut self, what: &str) -> Result<String, Fault> {
        let Kind::Name(name) = self.kind().clone() else {
            return self.expected(what);
        };
        self.at += 1;
        Ok(name)
    }

    /// Steps over a service: its methods are no part of a schema.
    fn service(&mut self) -> Result<(), Fault> {
        let begins = self.place();
        self.sign("{", "before a service's methods")?;
        let mut open = 1;
        while open > 0 {
            match self.kind() {
                Kind::Sign("{") => open += 1,
                Kind::Sign("}") => open -= 1,
                Kind::End => return Err((begins, "this service has no closing `}`".to_owned())),
                _ => {}
            }
            self.at += 1;
        }
        Ok(())
    }

    fn definition(&mut self) -> Result<Definition, Fault> {
        let (place, above) = (self.place(), self.token().above.clone());
        let name = self.name("a definition: NAME = TYPE")?;
        if self.skip(":") {
            self.name("the type of the enum's values")?;
        }
        self.sign("=", &format!("behind {name}"))?;
        let shape = self.shape()?;
        let is_marked = above
            .iter()
            .any(|comment| comment.text.contains("[rootobject]"));
        Ok(Definition {
            doc: said(&block_above(&above, place.line)).0,
            name,
            place,
            shape,
            is_marked,
        })
    }

    fn shape(&mut self) -> Result<Shape, Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let told = format!("types are nested more than {DEPTH_MAX} deep");
            return Err((self.place(), told));
        }
        let mut variants = vec![self.one()?];
        while self.skip("|") {
            variants.push(self.one()?);
        }
        self.depth -= 1;
        Ok(match variants.len() {
            1 => variants.swap_remove(0),
            _ => Shape::Union(variants),
        })
    }

    fn one(&mut self) -> Result<Shape, Fault> {
        if let Some(literal) = self.literal() {
            return Ok(Shape::Literal(literal));
        }
        match self.kind().clone() {
            Kind::Name(name) => {
                let place = self.place();
                self.at += 1;
                Ok(Shape::Name(name, place))
            }
            Kind::Sign("[") => {
                self.at += 1;
                let item = self.shape()?;
                self.sign("]", "behind the type of a list's items")?;
                Ok(Shape::List(Box::new(item)))
            }
            Kind::Sign("(") => self.tuple(),
            Kind::Sign("{") => self.object(),
            _ => self.expected("a type, such as str, [str], \"a\" | \"b\" or { name: str }"),
        }
    }

    fn literal(&mut self) -> Option<Literal> {
        let literal = match self.kind().clone() {
            Kind::Text(text) => Literal::Text(text),
            Kind::Int(n) => Literal::Int(n),
            Kind::Float(n) => Literal::Float(n),
            Kind::Name(name) if name == "true" || name == "false" => Literal::Bool(name == "true"),
            _ => return None,
        };
        self.at += 1;
        Some(literal)
    }

    /// `(str, u32)` or `(name: str, age: u32)`.
    fn tuple(&mut self) -> Result<Shape, Fault> {
        self.at += 1;
        let mut parts = Vec::new();
        while !self.skip(")") {
            let next = self.tokens.get(self.at + 1).map(|token| &token.kind);
            if matches!(self.kind(), Kind::Name(_)) && next == Some(&Kind::Sign(":")) {
                self.at += 2;
            }
            parts.push(self.shape()?);
            if !self.is(")") {
                self.sign(",", "or `)` in a tuple")?;
            }
        }
        Ok(Shape::Tuple(parts))
    }

    fn object(&mut self) -> Result<Shape, Fault> {
        self.at += 1;
        let ahead = |n: usize| self.tokens.get(self.at + n).map(|token| &token.kind);
        let is_map = matches!(ahead(0), Some(Kind::Name(name)) if is_primitive(name))
            && ahead(1) == Some(&Kind::Sign(":"));
        let begins = self.at;
        if is_map {
            self.at += 2;
            let value = self.shape()?;
            if self.skip("}") {
                return Ok(Shape::Map(Box::new(value)));
            }
            // A field that is called like a primitive.
            self.at = begins;
        }
        let mut members: Vec<Member> = Vec::new();
        while !self.skip("}") {
            let member = self.member()?;
            if members.iter().any(|other| other.name == member.name) {
                let told = format!("there is a field {} already", member.name);
                return Err((member.place, told));
            }
            members.push(member);
        }
        Ok(Shape::Object(members))
    }

    fn member(&mut self) -> Result<Member, Fault> {
        let (place, above) = (self.place(), self.token().above.clone());
        let name = self.name("a field or `}`")?;
        let is_optional = self.skip("?");
        self.sign(":", &format!("behind the field {name}"))?;
        let shape = self.shape()?;
        let default = match self.skip("=") {
            false => None,
            true => {
                let place = self.place();
                let Some(literal) = self.literal() else {
                    return self.expected("a default: a text, a number, true or false");
                };
                Some((literal, place))
            }
        };
        let mut is_indexed = false;
        while self.skip("@") {
            let place = self.place();
            match self.name("index behind `@`")?.as_str() {
                "index" => is_indexed = true,
                other => {
                    let told = format!("@{other} means nothing, expected @index");
                    return Err((place, told));
                }
            }
        }
        self.skip(",");
        let mut told = block_above(&above, place.line);
        told.extend(self.tokens[self.at - 1].beside.clone());
        let (doc, marks) = said(&told);
        Ok(Member {
            is_indexed: is_indexed || marks.iter().any(|mark| mark == "index"),
            name,
            place,
            is_optional,
            shape,
            default,
            doc,
            marks,
        })
    }
}

/// The comments on the lines right above a line, but for ruled ones.
fn block_above(comments: &[Comment], line: usize) -> Vec<String> {
    let near = comments.iter().rev().enumerate();
    let mut block: Vec<String> = near
        .take_while(|(n, comment)| comment.line + n + 1 == line)
        .map(|(_, comment)| comment.text.clone())
        .filter(|text| text.contains(char::is_alphanumeric))
        .collect();
    block.reverse();
    block
}

/// What comments say, and the marks in brackets in them.
fn said(comments: &[String]) -> (Option<String>, Vec<String>) {
    let (mut text, mut marks) = (comments.join(" "), Vec::new());
    for mark in ["index", "unique", "required", "rootobject"] {
        let written = format!("[{mark}]");
        if text.contains(&written) {
            text = text.replace(&written, "");
            marks.push(mark.to_owned());
        }
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (Some(text).filter(|text| !text.is_empty()), marks)
}
