//! The Debian archive as a catalogue of apps, and what is looked for in it: queries made of its
//! texts, and queries that somebody has judged.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::dice::Dice;

/// The queries that were judged by hand.
const JUDGED: &str = include_str!("../data/judged.toml");
/// Of a sample, so many packages of the archive are one beside those that somebody looks for.
const SAMPLE_EVERY: usize = 40;

/// An app of the catalogue.
#[derive(Debug, Clone)]
pub struct App {
    /// As it is seeded.
    pub object: Value,
    /// Its key.
    pub package_id: String,
    /// The name of the package.
    pub name: String,
    /// What it says of itself.
    pub description: String,
    /// Its section.
    pub category: String,
    /// Its tags.
    pub tags: Vec<String>,
}

/// Developers and apps of a catalogue.
#[derive(Debug)]
pub struct Catalog {
    /// Who makes the apps, as seeded.
    pub developers: Vec<Value>,
    /// The apps.
    pub apps: Vec<App>,
}

impl Catalog {
    /// The machine's own package lists; why there are none.
    ///
    /// # Errors
    /// What the program said that reads them.
    pub fn of_machine() -> Result<Self, String> {
        let lines = run_example("debian-catalog", &[])?;
        Ok(Self::of_lines(&lines))
    }

    /// A seed of lines as `examples/debian-catalog` makes it, its versions left out. Each object
    /// gets an id of its own, the same on every store: ids decide between hits of equal relevance.
    pub fn of_lines(lines: &str) -> Self {
        let mut catalog = Self {
            developers: Vec::new(),
            apps: Vec::new(),
        };
        for line in lines.lines() {
            let mut line: Value = serde_json::from_str(line).unwrap();
            let mut object = line["object"].take();
            match line["type"].as_str() {
                Some("developer") => {
                    object["id"] = json!(format!("dev-{:06}", catalog.developers.len()));
                    catalog.developers.push(object);
                }
                Some("app") => {
                    // Not in the order of names, as ids of a living store are not.
                    let shuffled = catalog.apps.len().wrapping_mul(7919) % 1_000_003;
                    object["id"] = json!(format!("app-{shuffled:07}"));
                    catalog.apps.push(App::of(object));
                }
                _ => {}
            }
        }
        catalog
    }

    /// Some of the apps: all that a judged query asks for, those that say something in another
    /// script, and some of the others.
    pub fn sample(mut self) -> Self {
        let wanted: BTreeSet<String> = judged().into_iter().flat_map(|j| j.expected).collect();
        let mut place = 0;
        self.apps.retain(|app| {
            place += 1;
            place % SAMPLE_EVERY == 0
                || wanted.contains(&app.name)
                || words(&app.description).iter().any(|word| is_foreign(word))
        });
        self
    }

    /// What seeds it: the parameters of calls of `osis_seed`, one after the other.
    pub fn seeds(&self) -> Vec<Value> {
        let apps: Vec<&Value> = self.apps.iter().map(|app| &app.object).collect();
        let developers = self.developers.chunks(1000);
        let developers = developers.map(|some| json!({ "objects": { "developer": some } }));
        let apps = apps.chunks(1000);
        let apps = apps.map(|some| json!({ "objects": { "app": some } }));
        developers.chain(apps).collect()
    }

    /// Writes it as a seed of lines.
    pub fn write(&self, path: &Path) {
        let mut out = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
        let developers = self.developers.iter().map(|object| ("developer", object));
        let apps = self.apps.iter().map(|app| ("app", &app.object));
        for (ty, object) in developers.chain(apps) {
            writeln!(out, "{}", json!({ "type": ty, "object": object })).unwrap();
        }
        out.flush().unwrap();
    }
}

impl App {
    fn of(object: Value) -> Self {
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let tags = object["tags"].as_array();
        let tags = tags.map(Vec::as_slice).unwrap_or_default().iter();
        Self {
            package_id: text("package_id"),
            name: text("name"),
            description: text("description"),
            category: text("category"),
            tags: tags.filter_map(Value::as_str).map(str::to_owned).collect(),
            object,
        }
    }
}

/// Runs a program of `examples/`; what it printed, or why it could not.
///
/// # Errors
/// What it said itself.
pub fn run_example(name: &str, arguments: &[&Path]) -> Result<String, String> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let output = Command::new(examples.join(name)).args(arguments).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.trim().lines().last().unwrap_or("it failed").to_owned());
    }
    Ok(String::from_utf8(output.stdout).unwrap())
}

/// Translated names and summaries of apps.
#[derive(Debug)]
pub struct Translations {
    /// What `osis_seed` takes to update the apps.
    pub objects: Vec<Value>,
    /// A language, an app's key, and a word of its name in that language.
    pub words: Vec<(String, String, String)>,
}

impl Translations {
    /// Of the apps of a catalogue, from the machine's own AppStream lists, in a folder for files.
    ///
    /// # Errors
    /// What the program said that reads them.
    pub fn of_machine(catalog: &Catalog, folder: &Path) -> Result<Self, String> {
        let (seed, words) = (folder.join("catalog.ndjson"), folder.join("words.tsv"));
        catalog.write(&seed);
        let objects = run_example("debian-appstream", &[&seed, Path::new("--words"), &words])?;
        Ok(Self::of_lines(
            &objects,
            &std::fs::read_to_string(words).unwrap(),
        ))
    }

    /// As `examples/debian-appstream` writes them.
    pub fn of_lines(objects: &str, words: &str) -> Self {
        let objects = objects.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line["object"].take()
        });
        let words = words.lines().map(|line| {
            let parts: Vec<&str> = line.split('\t').collect();
            let [language, app, word] = parts[..] else {
                panic!("{line:?} is no word of a language");
            };
            (language.to_owned(), app.to_owned(), word.to_owned())
        });
        Self {
            objects: objects.collect(),
            words: words.collect(),
        }
    }
}

/// A query, in a form that every engine can be asked in.
#[derive(Debug, Clone)]
pub enum Asked {
    /// All of these words.
    Words(Vec<String>),
    /// These words one behind the other.
    Phrase(Vec<String>),
    /// A word that begins so.
    Prefix(String),
}

impl Asked {
    /// In the search language.
    pub fn query(&self) -> String {
        match self {
            Self::Words(words) => words.join(" "),
            Self::Phrase(words) => format!("\"{}\"", words.join(" ")),
            Self::Prefix(word) => format!("{word}*"),
        }
    }

    /// As a call.
    pub fn request(&self) -> String {
        let params = json!({"query": self.query(), "limit": 20});
        json!({"jsonrpc": "2.0", "id": 1, "method": "app_find", "params": params}).to_string()
    }
}

/// A query with the packages that somebody expects among the first ten.
#[derive(Debug)]
pub struct Judged {
    /// What they type.
    pub query: String,
    /// What they expect.
    pub expected: Vec<String>,
    /// Whether they mistyped it.
    pub mistyped: bool,
    /// Whether nothing of the ranking was ever chosen with it.
    pub held_out: bool,
}

impl Judged {
    /// The share of what is expected that was found.
    pub fn share(&self, found: &[String]) -> f64 {
        let right = self.expected.iter().filter(|name| found.contains(name));
        right.count() as f64 / self.expected.len() as f64
    }
}

/// The queries that were judged by hand.
pub fn judged() -> Vec<Judged> {
    let file: toml::Table = JUDGED.parse().unwrap();
    let part = |name: &str, held_out: bool| {
        let queries = file[name].as_array().unwrap().iter();
        let judged = queries.map(|query| {
            let expected = query["expected"].as_array().unwrap().iter();
            Judged {
                query: query["query"].as_str().unwrap().to_owned(),
                expected: expected
                    .filter_map(|name| name.as_str().map(str::to_owned))
                    .collect(),
                mistyped: query.get("mistyped").is_some(),
                held_out,
            }
        });
        judged.collect::<Vec<_>>()
    };
    let mut all = part("judged", false);
    all.extend(part("held_out", true));
    all
}

/// Queries such as people ask: names of packages, words and phrases of descriptions, beginnings of
/// words, and words that are not English.
pub fn of_archive(apps: &[App], count: usize, seed: u64) -> Vec<Asked> {
    let mut dice = Dice::new(seed);
    let foreign: BTreeSet<String> = apps
        .iter()
        .flat_map(|app| words(&app.description))
        .filter(|word| is_foreign(word))
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
            9 => Asked::Words(words(&app.name)),
            _ => continue,
        });
    }
    asked
}

/// Names of one long word, each with itself mistyped: two neighbours are swapped.
pub fn mistyped(apps: &[App], count: usize) -> Vec<(String, String)> {
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
        let wrong = String::from_utf8(wrong).unwrap();
        pairs.push((name.clone(), wrong));
    }
    pairs
}

/// What somebody sends by accident or malice, with whether it must be answered rather than refused.
pub fn accidents() -> Vec<(String, bool)> {
    let many = |n: usize| (0..n).map(|n| format!("w{n}")).collect::<Vec<_>>();
    // Beginnings that many words have.
    let beginnings: Vec<String> = ('a'..='z')
        .flat_map(|a| ('a'..='j').map(move |b| format!("{a}{b}*")))
        .collect();
    // Each word is like others, so that each is replaced by several.
    let mistyped: Vec<String> = (0..200).map(|n| format!("librarie{n}")).collect();
    vec![
        ("\"".to_owned(), false),
        ("\"\"\"".to_owned(), false),
        (many(10_000).join(" "), false),
        (many(10_000).join(" OR "), false),
        (format!("\"{}\"", many(10_000).join(" ")), false),
        (many(250).join(" OR "), true),
        (vec!["the of and"; 80].join(" "), true),
        (
            vec!["the of and"; 80].join(" OR ").replace(" of", " OR of"),
            true,
        ),
        ("a*".to_owned(), false),
        ("li*".to_owned(), true),
        (beginnings[..250].join(" OR "), true),
        (format!("\"{} li\"*", vec!["the"; 900].join(" ")), true),
        (mistyped.join(" OR "), true),
        ("a".repeat(1 << 20), true),
        ("é ".repeat(1 << 19), false),
        ("漢".repeat(1 << 18), false),
        ("(".repeat(1 << 20), false),
        ("(".repeat(10_000) + "library" + &")".repeat(10_000), false),
        ("(".repeat(32) + "library" + &")".repeat(32), true),
        ("the -(of OR ".repeat(15) + "and" + &")".repeat(15), true),
        ("OR ".repeat(5000), false),
    ]
}

fn is_foreign(word: &str) -> bool {
    !word.is_ascii() && word.chars().count() > 2
}

/// The words of a text, as core makes them, but for the very long ones.
fn words(text: &str) -> Vec<String> {
    let mut words = osis_core::text::words(text);
    words.retain(|word| word.chars().count() < 30);
    words
}
