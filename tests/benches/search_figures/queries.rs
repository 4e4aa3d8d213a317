//! What is asked: queries made of the archive, and those that somebody has judged.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

use osis_tests::dice::Dice;
use serde_json::{Value, json};

/// The queries that were judged by hand.
const JUDGED: &str = include_str!("../../data/judged.toml");

/// An app of the catalogue.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) package_id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) category: String,
    pub(crate) tags: Vec<String>,
}

/// A query, in a form that every engine can be asked in.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// All of these words.
    Words(Vec<String>),
    /// These words one behind the other.
    Phrase(Vec<String>),
    /// A word that begins so.
    Prefix(String),
}

impl Asked {
    /// In the search language.
    pub(crate) fn query(&self) -> String {
        match self {
            Self::Words(words) => words.join(" "),
            Self::Phrase(words) => format!("\"{}\"", words.join(" ")),
            Self::Prefix(word) => format!("{word}*"),
        }
    }

    /// As a call.
    pub(crate) fn request(&self) -> String {
        let params = json!({"query": self.query(), "limit": 20});
        json!({"jsonrpc": "2.0", "id": 1, "method": "app_find", "params": params}).to_string()
    }
}

/// A query with the packages that somebody expects among the first ten.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) query: String,
    pub(crate) expected: Vec<String>,
    pub(crate) mistyped: bool,
}

/// The apps of a catalogue.
pub(crate) fn apps(catalog: &Path) -> Vec<App> {
    let file = std::fs::File::open(catalog).expect("the catalogue is there");
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    let objects = lines.map(|line| -> Value {
        serde_json::from_str(&line).expect("a line of the catalogue is JSON")
    });
    let apps = objects.filter(|line| line["type"] == "app").map(|line| {
        let text = |name: &str| {
            let text = line["object"][name].as_str();
            text.unwrap_or_default().to_owned()
        };
        let tags = line["object"]["tags"].as_array();
        let tags = tags.map(Vec::as_slice).unwrap_or_default().iter();
        App {
            package_id: text("package_id"),
            name: text("name"),
            description: text("description"),
            category: text("category"),
            tags: tags.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    });
    apps.collect()
}

/// Queries such as people ask: names of packages, words and phrases of descriptions, beginnings of
/// words, and words that are not English.
pub(crate) fn of_archive(apps: &[App], count: usize, seed: u64) -> Vec<Asked> {
    let mut dice = Dice::new(seed);
    let foreign: BTreeSet<String> = apps
        .iter()
        .flat_map(|app| words(&app.description))
        .filter(|word| !word.is_ascii() && word.chars().count() > 2)
        .collect();
    let foreign: Vec<String> = foreign.into_iter().collect();
    let mut asked = Vec::with_capacity(count);
    while asked.len() < count {
        let app = dice.one_of(apps);
        let text = words(&app.description);
        if text.len() < 6 {
            continue;
        }
        let at = dice.roll(text.len() - 3);
        asked.push(match asked.len() % 10 {
            0..3 => Asked::Words(words(&app.name)),
            3..5 => Asked::Words(vec![text[at].clone()]),
            5 => Asked::Words(vec![text[at].clone(), dice.one_of(&text).clone()]),
            6 | 7 => Asked::Phrase(text[at..at + 2 + dice.roll(2)].to_vec()),
            8 if text[at].is_ascii() && text[at].len() >= 4 => {
                Asked::Prefix(text[at][..3 + dice.roll(text[at].len() - 3)].to_owned())
            }
            9 if !foreign.is_empty() => Asked::Words(vec![dice.one_of(&foreign).clone()]),
            _ => continue,
        });
    }
    asked
}

/// The queries that were judged by hand.
pub(crate) fn judged() -> Vec<Judged> {
    let file: toml::Table = JUDGED.parse().expect("the judged queries are TOML");
    let queries = file["judged"].as_array().expect("they are a list");
    let judged = queries.iter().map(|query| {
        let expected = query["expected"].as_array().expect("names are a list");
        Judged {
            query: query["query"]
                .as_str()
                .expect("a query is a text")
                .to_owned(),
            expected: expected
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            mistyped: query.get("mistyped").is_some(),
        }
    });
    judged.collect()
}

/// Names of one long word, each with itself mistyped: two neighbours are swapped.
pub(crate) fn mistyped(apps: &[App], count: usize) -> Vec<(String, String)> {
    let mut dice = Dice::new(7);
    let mut pairs = Vec::with_capacity(count);
    while pairs.len() < count {
        let name = &dice.one_of(apps).name;
        let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_word || name.len() < 8 {
            continue;
        }
        let at = 1 + dice.roll(name.len() - 2);
        let mut wrong = name.clone().into_bytes();
        wrong.swap(at, at - 1);
        let wrong = String::from_utf8(wrong).expect("letters stay letters");
        pairs.push((name.clone(), wrong));
    }
    pairs
}

/// The words of a text, as core makes them, but for the very long ones.
fn words(text: &str) -> Vec<String> {
    let mut words = osis_core::text::words(text);
    words.retain(|word| word.chars().count() < 30);
    words
}
