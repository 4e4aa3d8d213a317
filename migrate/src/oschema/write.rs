//! Types of the original as TOML of our schema language.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use toml::Value;

use super::kind::{Kind, Names};
use super::parse::{Definition, Literal, Member};
use super::{Fault, Place};

/// Fields that every object has here.
const SYSTEM: [&str; 3] = ["sid", "created_at", "updated_at"];
/// Names that no field can have here.
const RESERVED: [&str; 6] = ["id", "rev", "or", "not", "and", "expand"];
/// Longest documentation that fits on the line of its field.
const DOC_MAX: usize = 200;

/// Writes the types that are stored.
pub(super) fn schema(
    name: &str,
    files: &[PathBuf],
    definitions: &[Definition],
    services: &[String],
) -> Result<String, Vec<Fault>> {
    let names = Names::new(definitions);
    let mut faults = Vec::new();
    for definition in definitions {
        names.unknown(&definition.shape, &mut faults);
    }
    let stored: Vec<(&Definition, &[Member])> = definitions
        .iter()
        .filter_map(|definition| Some((definition, definition.stored()?)))
        .collect();
    let mut writer = Writer {
        names,
        types: stored.iter().map(|(of, _)| snake_case(&of.name)).collect(),
        out: head(name, files, services),
        faults,
    };
    if stored.is_empty() {
        writer.faults.push(nothing(files, definitions));
    }
    let mut taken = BTreeMap::new();
    for (definition, members) in stored {
        let name = snake_case(&definition.name);
        if let Some(other) = taken.insert(name.clone(), &definition.place) {
            let told = format!("its type would be {name:?}, as that of {other}");
            writer.faults.push((definition.place.clone(), told));
        }
        writer.definition(&name, definition, members);
    }
    match writer.faults.is_empty() {
        true => Ok(writer.out),
        false => Err(writer.faults),
    }
}

/// Says that there is nothing to store.
fn nothing(files: &[PathBuf], definitions: &[Definition]) -> Fault {
    if let Some(first) = definitions.first() {
        let told = "no type has a field sid or the mark [rootobject]: nothing would be stored";
        return (first.place.clone(), told.to_owned());
    }
    let file = files.first().map(|file| file.display().to_string());
    let place = Place {
        file: file.unwrap_or_default().into(),
        line: 1,
        column: 1,
    };
    (place, "defines nothing: expected NAME = TYPE".to_owned())
}

fn head(name: &str, files: &[PathBuf], services: &[String]) -> String {
    let named = files.iter().filter_map(|file| file.file_name());
    let named: Vec<_> = named.map(|name| name.to_string_lossy()).collect();
    let mut head = format!("# Made of {}.\n", named.join(", "));
    if !services.is_empty() {
        let services = services.join(", ");
        let _ = writeln!(
            head,
            "# Not taken over: the methods of {services}. Programs that call a store do such work."
        );
    }
    let _ = write!(head, "name = {}\nversion = 1\n", quoted(name));
    head
}

struct Writer<'a> {
    names: Names<'a>,
    /// The types that there will be.
    types: HashSet<String>,
    out: String,
    faults: Vec<Fault>,
}

impl<'a> Writer<'a> {
    fn definition(&mut self, name: &str, definition: &Definition, members: &'a [Member]) {
        let _ = write!(self.out, "\n[types.{name}]\n");
        if let Some(plural) = plural(name) {
            let _ = writeln!(self.out, "plural = {}", quoted(&plural));
        }
        if let Some(doc) = &definition.doc {
            let _ = writeln!(self.out, "doc = {}", quoted(doc));
        }
        let _ = write!(self.out, "\n[types.{name}.fields]\n");
        let mut taken = HashSet::new();
        for member in members {
            if SYSTEM.contains(&member.name.as_str()) {
                continue;
            }
            let mut now = snake_case(&member.name);
            if RESERVED.contains(&now.as_str()) {
                now.push('_');
            }
            if !taken.insert(now.clone()) {
                let told = format!("its field would be {now:?}, as that of another one");
                self.faults.push((member.place.clone(), told));
            }
            match self.field(member) {
                Ok((attributes, remarks)) => {
                    let renamed = (now != member.name).then(|| {
                        let old = &member.name;
                        format!(
                            "was {old}; osis migrate wants to know: {old} = \"{now}\" in its --map"
                        )
                    });
                    for remark in remarks.into_iter().chain(renamed) {
                        let _ = writeln!(self.out, "# {now}: {remark}");
                    }
                    let _ = writeln!(self.out, "{now} = {{ {attributes} }}");
                }
                Err(fault) => self.faults.push(fault),
            }
        }
    }

    /// The attributes of a field, and what a reader should know.
    fn field(&self, member: &'a Member) -> Result<(String, Vec<String>), Fault> {
        let kind = self.names.kind(member)?;
        let has = |mark: &str| member.marks.iter().any(|found| found == mark);
        let mut remarks = Vec::new();
        let mut all = match &kind {
            Kind::Sid => match self.referent(&member.name) {
                Some(to) => format!("type = \"ref\", to = {}", quoted(to)),
                None => {
                    remarks.push("a SID; which type it refers to is not said".to_owned());
                    "type = \"string\"".to_owned()
                }
            },
            Kind::Json(what) => {
                remarks.push(format!("{what}; json takes anything"));
                "type = \"json\"".to_owned()
            }
            kind => of_kind(kind),
        };
        if kind == Kind::Text
            && let Some(to) = self.referent(&member.name)
        {
            let told = format!(
                "does it hold a {to}? Then: type = \"ref\", to = {}",
                quoted(to)
            );
            remarks.push(told);
        }
        let is_list = matches!(kind, Kind::Texts | Kind::Ints);
        match &member.default {
            Some((default, place)) => {
                let default = checked(&kind, default).map_err(|told| (place.clone(), told))?;
                let _ = write!(all, ", default = {default}");
            }
            None if is_list && !member.is_optional => all.push_str(", default = []"),
            None => {}
        }
        // An empty list is no reason to refuse an object, nor is an empty record.
        let may_be_missing = member.is_optional || is_list || matches!(kind, Kind::Json(_));
        if has("required") || !(may_be_missing || member.default.is_some()) {
            all.push_str(", required = true");
        }
        let is_keyable = !matches!(kind, Kind::Float | Kind::Json(_)) && !is_list;
        if has("unique") && is_keyable {
            all.push_str(", unique = true");
        }
        if member.is_indexed {
            match kind {
                Kind::Text | Kind::Enum(_) | Kind::Texts => all.push_str(", search = 1"),
                Kind::Json(_) | Kind::Sid => {}
                _ => all.push_str(", index = true"),
            }
        }
        if let Some(doc) = &member.doc {
            let doc: String = doc.chars().take(DOC_MAX).collect();
            let _ = write!(all, ", doc = {}", quoted(&doc));
        }
        Ok((all, remarks))
    }

    /// The type that a field refers to by its name: `app_id`, `app_sid` or `app`.
    fn referent(&self, field: &str) -> Option<&str> {
        let field = snake_case(field);
        let named = ["_id", "_sid"]
            .iter()
            .find_map(|end| field.strip_suffix(end));
        self.types.get(named.unwrap_or(&field)).map(String::as_str)
    }
}

fn of_kind(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "type = \"bool\"".to_owned(),
        Kind::Float => "type = \"float\"".to_owned(),
        Kind::Time => "type = \"time\"".to_owned(),
        Kind::Texts => "type = \"list\", of = \"string\"".to_owned(),
        Kind::Ints => "type = \"list\", of = \"int\"".to_owned(),
        Kind::Int(least, most) => {
            let bound = |name: &str, n: &Option<i64>| match n {
                Some(n) => format!(", {name} = {n}"),
                None => String::new(),
            };
            format!(
                "type = \"int\"{}{}",
                bound("min", least),
                bound("max", most)
            )
        }
        Kind::Enum(values) => {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("type = \"enum\", values = [{}]", values.join(", "))
        }
        Kind::Text | Kind::Sid | Kind::Json(_) => "type = \"string\"".to_owned(),
    }
}

/// A default in TOML, if a field of that kind can have it.
fn checked(kind: &Kind, default: &Literal) -> Result<String, String> {
    match (kind, default) {
        (Kind::Bool, Literal::Bool(value)) => Ok(value.to_string()),
        (Kind::Float, Literal::Float(n)) => Ok(Value::Float(*n).to_string()),
        (Kind::Float, Literal::Int(n)) => Ok(format!("{n}.0")),
        (Kind::Text, Literal::Text(text)) => Ok(quoted(text)),
        (Kind::Int(least, most), Literal::Int(n)) => {
            match least.is_none_or(|least| *n >= least) && most.is_none_or(|most| *n <= most) {
                true => Ok(n.to_string()),
                false => Err(format!("the default {n} is none of its type's numbers")),
            }
        }
        (Kind::Enum(values), Literal::Text(text)) => match values.contains(text) {
            true => Ok(quoted(text)),
            false => Err(format!(
                "the default {text:?} is none of {}",
                values.join(", ")
            )),
        },
        _ => Err("the default is of another type than the field".to_owned()),
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// `UserProfile` as `user_profile`, `HTTPServer` as `http_server`: as the original names folders.
pub(super) fn snake_case(name: &str) -> String {
    let mut out = String::new();
    let mut letters = name.chars().peekable();
    let mut after_small = false;
    while let Some(c) = letters.next() {
        let before_small = letters.peek().is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (after_small || (before_small && !out.is_empty())) {
            out.push('_');
        }
        match c.is_ascii_alphanumeric() {
            true => out.push(c.to_ascii_lowercase()),
            false => out.push('_'),
        }
        after_small = c.is_ascii_lowercase();
    }
    while out.contains("__") {
        out = out.replace("__", "_");
    }
    out.trim_matches('_').to_owned()
}

/// The plural of a name, where it is not the name with an `s`.
fn plural(name: &str) -> Option<String> {
    let is_vowel = |c: char| "aeiou".contains(c);
    if let Some(stem) = name.strip_suffix('y')
        && !stem.ends_with(is_vowel)
    {
        return Some(format!("{stem}ies"));
    }
    let hisses = ["s", "x", "z", "ch", "sh"]
        .iter()
        .any(|end| name.ends_with(end));
    hisses.then(|| format!("{name}es"))
}
