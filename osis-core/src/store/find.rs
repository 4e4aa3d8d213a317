//! Walking through what a search finds, page by page.
//!
//! Relevance depends on all objects of a type, so any write may move any hit to the other side of
//! a page's end. A walk keeps two promises all the same: it never repeats an object, and it skips
//! none while the type does not change. So its position holds, beside the place in the order, the
//! commit at which the walk began and which objects it has shown.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::Reader;
use crate::backend::{Found, Search};
use crate::error::{Error, ErrorKind, Result};
use crate::object::{Id, Row};
use crate::output::{Expand, Object};
use crate::query::{Facet, Sort};
use crate::schema::{FieldKind, Type};
use crate::text;
use crate::value::Value;

/// Of so many objects a position remembers that they were shown. A longer walk ends early if the
/// type changes on the way, rather than repeat one.
const SEEN_MAX: usize = 1000;
/// Bytes of the mark of one object: with a thousand of them, one in ten million searches through a
/// changing type would leave out an object by chance.
const MARK: usize = 6;
/// Stands for marks that were too many.
const OVERFLOW: &str = "*";

/// What `_find` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Find {
    /// What is looked for, and the page. Its `after` is a position as [`Hits::next`] gave it.
    pub search: Search,
    /// Whether bare words that occur nowhere are replaced by what may have been meant.
    pub typo: bool,
    /// Whether to show where the query was met.
    pub highlight: bool,
    /// What is brought along.
    pub expand: Vec<Expand>,
}

/// A page of what a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    /// The objects.
    pub hits: Vec<Hit>,
    /// How many objects match altogether.
    pub total: u64,
    /// The position to go on from, if something follows.
    pub next: Option<Vec<Value>>,
    /// For each column that was asked for, how many of all matches have which value.
    pub facets: Vec<Facet>,
    /// The words that were replaced, each with what stands for it, sorted.
    pub corrected: BTreeMap<String, Vec<String>>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// How well it meets the query.
    pub score: f64,
    /// What was found.
    pub object: Object,
    /// The fields in which the query was met, as HTML; empty where nobody asked.
    pub highlight: Vec<(usize, String)>,
}

/// What the values of a position are: the place in the order, the commit, the marks.
pub fn find_position<'a>(ty: &'a Type, sort: Option<&Sort>) -> Vec<&'a FieldKind> {
    let place = match sort {
        Some(sort) => sort
            .columns()
            .iter()
            .map(|(column, _)| ty.column_kind(*column))
            .collect(),
        None => vec![&FieldKind::Float, &FieldKind::String],
    };
    place
        .into_iter()
        .chain([&FieldKind::Int, &FieldKind::String])
        .collect()
}

/// Where a walk stands.
struct Walk {
    place: Option<Vec<Value>>,
    begun: Option<u64>,
    seen: Seen,
}

impl Walk {
    fn of(after: Option<&[Value]>) -> Result<Self> {
        let Some(after) = after else {
            return Ok(Self {
                place: None,
                begun: None,
                seen: Seen::Marks(Vec::new()),
            });
        };
        let unfit = || Error::invalid("cursor", "is no cursor of this store");
        let [place @ .., Value::Int(begun), Value::Str(seen)] = after else {
            return Err(unfit());
        };
        let fits = place.len() >= 2 || matches!(place, [Value::Str(_)]);
        let begun = u64::try_from(*begun).ok().filter(|_| fits);
        let begun = Some(begun.ok_or_else(unfit)?);
        Ok(Self {
            place: Some(place.to_vec()),
            begun,
            seen: Seen::read(seen).ok_or_else(unfit)?,
        })
    }

    fn position(self) -> Option<Vec<Value>> {
        let mut values = self.place?;
        values.push(Value::Int(i64::try_from(self.begun?).ok()?));
        values.push(Value::Str(self.seen.text().into()));
        Some(values)
    }
}

/// Which objects a walk has shown.
enum Seen {
    Marks(Vec<[u8; MARK]>),
    TooMany,
}

impl Seen {
    fn read(text: &str) -> Option<Self> {
        if text == OVERFLOW {
            return Some(Self::TooMany);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (marks, []) = bytes.as_chunks::<MARK>() else {
            return None;
        };
        Some(Self::Marks(marks.to_vec()))
    }

    fn text(&self) -> String {
        match self {
            Self::Marks(marks) => URL_SAFE_NO_PAD.encode(marks.as_flattened()),
            Self::TooMany => OVERFLOW.to_owned(),
        }
    }

    fn has(&self, id: &Id) -> bool {
        matches!(self, Self::Marks(marks) if marks.contains(&mark(id)))
    }

    fn add(&mut self, id: &Id) {
        match self {
            Self::Marks(marks) if marks.len() < SEEN_MAX => marks.push(mark(id)),
            _ => *self = Self::TooMany,
        }
    }
}

fn mark(id: &Id) -> [u8; MARK] {
    let mut mark = [0; MARK];
    mark.copy_from_slice(&Sha256::digest(id.as_str())[..MARK]);
    mark
}

impl Reader {
    /// A page of what a search finds.
    ///
    /// # Errors
    /// Those of the engine; `Invalid` if the position is none.
    pub async fn find(&mut self, find: &Find) -> Result<Hits> {
        let mut walk = Walk::of(find.search.after.as_deref())?;
        let mut search = find.search.clone();
        let mut corrected = BTreeMap::new();
        if find.typo {
            corrected = self.corrections(&search).await?;
            search.query = search.query.corrected(&corrected);
        }
        let search = &search;
        // First of all: an engine may have to complete its text index before it takes a snapshot.
        let mut found = self.unseen(search, &walk).await?;
        let seq = self.seq().await?;
        let begun = *walk.begun.get_or_insert(seq);
        let changed = begun != seq;
        let lost = matches!(walk.seen, Seen::TooMany) && changed;
        if lost && self.has_changed(search.type_id, begun).await? {
            found.hits.clear();
        }
        let more = found.hits.len() > search.limit;
        found.hits.truncate(search.limit);
        found
            .hits
            .iter()
            .for_each(|(_, row)| walk.seen.add(&row.id));
        walk.place = found
            .hits
            .last()
            .map(|(score, row)| place(search, *score, row));
        let next = if more { walk.position() } else { None };
        let (scores, rows): (Vec<f64>, Vec<Row>) = found.hits.into_iter().unzip();
        let objects = self.expand(search.type_id, rows, &find.expand).await?;
        let ty = &self.schema.types[search.type_id];
        let hits = scores.into_iter().zip(objects).map(|(score, object)| Hit {
            score,
            highlight: match find.highlight {
                true => text::highlight(ty, &search.query, &object.row),
                false => Vec::new(),
            },
            object,
        });
        Ok(Hits {
            hits: hits.collect(),
            total: found.total,
            next,
            facets: found.facets,
            corrected,
        })
    }

    /// What stands for the words of a query that occur nowhere.
    async fn corrections(&mut self, search: &Search) -> Result<BTreeMap<String, Vec<String>>> {
        let words = search.query.correctable();
        if words.is_empty() {
            return Ok(BTreeMap::new());
        }
        let similar = self.snapshot.similar(search.type_id, &words).await?;
        let found = words.into_iter().zip(similar);
        let found = found.filter_map(|(word, similar)| Some((word, similar?)));
        Ok(found.filter(|(_, similar)| !similar.is_empty()).collect())
    }

    /// The next hits that the walk has not shown: one more than asked for, if there are.
    async fn unseen(&mut self, search: &Search, walk: &Walk) -> Result<Found> {
        let limit = search.limit + 1;
        let mut wanted = Search {
            after: walk.place.clone(),
            limit,
            ..search.clone()
        };
        let mut found = self.snapshot.search(&wanted).await?;
        let full = found.hits.len() == limit;
        found.hits.retain(|(_, row)| !walk.seen.has(&row.id));
        if full && found.hits.len() < limit {
            // No more can have been shown than the walk remembers.
            wanted.limit = limit + SEEN_MAX;
            found = self.snapshot.search(&wanted).await?;
            found.hits.retain(|(_, row)| !walk.seen.has(&row.id));
            found.hits.truncate(limit);
        }
        Ok(found)
    }

    /// Whether objects of a type have changed since a commit, as far as can be told.
    async fn has_changed(&mut self, type_id: usize, since: u64) -> Result<bool> {
        if self.schema.types[type_id].log().is_some() {
            return Ok(true);
        }
        match self.snapshot.changes(since, &[type_id], 1).await {
            Ok(feed) => Ok(!feed.changes.is_empty()),
            Err(error) if matches!(error.kind(), ErrorKind::Gone { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

fn place(search: &Search, score: f64, row: &Row) -> Vec<Value> {
    match &search.sort {
        Some(sort) => sort.position(row),
        None => vec![Value::Float(score), Value::from(row.id.as_str())],
    }
}
