//! FTS5 and Tantivy as they come: their own tokenizers, their own relevance, all fields alike.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, PhraseQuery, Query, QueryParser, RegexQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, STORED, Schema, TEXT, Value as _};
use tantivy::{Index, IndexReader, TantivyDocument, Term, doc};

use crate::archive::{App, Asked};

/// An engine without OSIS.
pub trait Plain: Send + Sync + fmt::Debug {
    /// What it is.
    fn name(&self) -> &'static str;

    /// A reader of its own for a thread.
    fn reader(&self) -> Box<dyn Plain>;

    /// The names of the first apps that meet a query.
    fn top(&self, asked: &Asked, limit: usize) -> Vec<String>;

    /// The names of the first apps for what somebody types, by the engine's own defaults.
    fn top_by_default(&self, query: &str, limit: usize) -> Vec<String>;
}

/// A table of FTS5 with its default tokenizer, ordered by its `rank`.
pub struct Fts5 {
    path: PathBuf,
    // A connection is used by one thread alone; only the first is shared, by who waits for it.
    connection: std::sync::Mutex<Connection>,
}

impl fmt::Debug for Fts5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fts5").field("path", &self.path).finish()
    }
}

impl Fts5 {
    /// With these apps, in a new file.
    pub fn new(path: &Path, apps: &[App]) -> Self {
        let mut connection = Connection::open(path).expect("a database can be made");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE VIRTUAL TABLE apps USING fts5(name, package_id, category, tags, description)",
            )
            .expect("FTS5 is there");
        let transaction = connection.transaction().expect("a transaction begins");
        for app in apps {
            transaction
                .prepare_cached("INSERT INTO apps VALUES (?, ?, ?, ?, ?)")
                .and_then(|mut insert| {
                    let tags = app.tags.join(" ");
                    insert.execute([
                        &app.name,
                        &app.package_id,
                        &app.category,
                        &tags,
                        &app.description,
                    ])
                })
                .expect("a row fits");
        }
        transaction
            .execute("INSERT INTO apps (apps) VALUES ('optimize')", [])
            .expect("it can be merged");
        transaction.commit().expect("it is kept");
        Self {
            path: path.to_owned(),
            connection: std::sync::Mutex::new(connection),
        }
    }

    fn ask(&self, expression: &str, limit: usize) -> Vec<String> {
        let connection = self.connection.lock().expect("no thread panics");
        let mut statement = connection
            .prepare_cached("SELECT name FROM apps WHERE apps MATCH ? ORDER BY rank LIMIT ?")
            .expect("the statement is right");
        let names = statement.query_map((expression, limit as i64), |row| row.get(0));
        let names = names.expect("it runs");
        names.map(|name| name.expect("a name is a text")).collect()
    }
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\"\""))
}

impl Plain for Fts5 {
    fn name(&self) -> &'static str {
        "plain FTS5, bm25"
    }

    fn reader(&self) -> Box<dyn Plain> {
        let connection = Connection::open(&self.path).expect("the database opens");
        Box::new(Self {
            path: self.path.clone(),
            connection: std::sync::Mutex::new(connection),
        })
    }

    fn top(&self, asked: &Asked, limit: usize) -> Vec<String> {
        let expression = match asked {
            Asked::Words(words) => {
                let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                words.join(" ")
            }
            Asked::Phrase(words) => quoted(&words.join(" ")),
            Asked::Prefix(word) => format!("{} *", quoted(word)),
        };
        self.ask(&expression, limit)
    }

    fn top_by_default(&self, query: &str, limit: usize) -> Vec<String> {
        let words: Vec<String> = query.split_whitespace().map(quoted).collect();
        self.ask(&words.join(" "), limit)
    }
}

/// An index of Tantivy with its default tokenizer and query parser.
#[derive(Clone)]
pub struct PlainTantivy {
    fields: Vec<Field>,
    name: Field,
    reader: IndexReader,
    parser: Arc<QueryParser>,
}

impl fmt::Debug for PlainTantivy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainTantivy").finish_non_exhaustive()
    }
}

impl PlainTantivy {
    /// With these apps, in memory.
    pub fn new(apps: &[App]) -> Self {
        let mut schema = Schema::builder();
        let name = schema.add_text_field("name", TEXT | STORED);
        let others = ["package_id", "category", "tags", "description"]
            .map(|field| schema.add_text_field(field, TEXT));
        let index = Index::create_in_ram(schema.build());
        let mut writer = index.writer(100 << 20).expect("an index can be written");
        for app in apps {
            let mut document = doc!(
                name => app.name.as_str(),
                others[0] => app.package_id.as_str(),
                others[1] => app.category.as_str(),
                others[3] => app.description.as_str(),
            );
            for tag in &app.tags {
                document.add_text(others[2], tag);
            }
            writer.add_document(document).expect("a document fits");
        }
        writer.commit().expect("it is kept");
        writer.wait_merging_threads().expect("merges end");
        let reader = index.reader().expect("it can be read");
        let mut fields = vec![name];
        fields.extend(others);
        let parser = Arc::new(QueryParser::for_index(&index, fields.clone()));
        Self {
            fields,
            name,
            reader,
            parser,
        }
    }

    fn ask(&self, query: &dyn Query, limit: usize) -> Vec<String> {
        let searcher = self.reader.searcher();
        let best = TopDocs::with_limit(limit).order_by_score();
        let best = searcher.search(query, &best).expect("it searches");
        best.into_iter()
            .map(|(_, address)| {
                let document: TantivyDocument = searcher.doc(address).expect("it is there");
                let name = document.get_first(self.name).and_then(|name| name.as_str());
                name.unwrap_or_default().to_owned()
            })
            .collect()
    }

    /// A query in any of the fields.
    fn anywhere(&self, of: impl Fn(Field) -> Box<dyn Query>) -> Box<dyn Query> {
        let sides = self.fields.iter().map(|field| (Occur::Should, of(*field)));
        Box::new(BooleanQuery::new(sides.collect()))
    }
}

impl Plain for PlainTantivy {
    fn name(&self) -> &'static str {
        "plain Tantivy"
    }

    fn reader(&self) -> Box<dyn Plain> {
        Box::new(self.clone())
    }

    fn top(&self, asked: &Asked, limit: usize) -> Vec<String> {
        let option = IndexRecordOption::WithFreqs;
        let word = |word: &str| {
            self.anywhere(|field| {
                Box::new(TermQuery::new(Term::from_field_text(field, word), option))
            })
        };
        let query: Box<dyn Query> = match asked {
            Asked::Words(words) => {
                let words = words.iter().map(|text| (Occur::Must, word(text)));
                Box::new(BooleanQuery::new(words.collect()))
            }
            Asked::Phrase(words) => self.anywhere(|field| {
                let terms = words.iter().map(|word| Term::from_field_text(field, word));
                Box::new(PhraseQuery::new(terms.collect()))
            }),
            Asked::Prefix(word) => self.anywhere(|field| {
                let pattern = format!("{word}.*");
                Box::new(RegexQuery::from_pattern(&pattern, field).expect("letters and digits"))
            }),
        };
        self.ask(&*query, limit)
    }

    fn top_by_default(&self, query: &str, limit: usize) -> Vec<String> {
        let (query, _) = self.parser.parse_query_lenient(query);
        self.ask(&*query, limit)
    }
}
