//! Searches: the page of what a query finds, in its order, and how much there is.
//!
//! PostgreSQL says which rows match and where the query's words stand in them; what that is worth
//! is core's to reckon ([`Ranking`]), so a score is what it is on every engine that asks core.

use std::cmp::Ordering;

use futures_util::TryStreamExt as _;
use osis_core::backend::{Found, Search};
use osis_core::object::{Id, Row};
use osis_core::query::{Facet, Filter, Tally};
use osis_core::schema::{FieldKind, Type};
use osis_core::text::{self, Document, Lengths, Ranking, Term};
use osis_core::value::Value;
use osis_sql::query::order;
use osis_sql::{Conditions, select_list, unsigned};

use crate::catalog::Catalog;
use crate::error::{Failure, Outcome};
use crate::fts::{self, Words};
use crate::lookup;
use crate::names::{self, SLOTS, WORDS};
use crate::rows;
use crate::sql::{Link, Sql};

/// Answers a search. Runs in a transaction.
pub(crate) async fn search(link: Link<'_>, catalog: &Catalog, search: &Search) -> Outcome<Found> {
    let (ty, statements) = catalog.of(search.type_id);
    let Some(text) = &statements.text else {
        return Ok(Found {
            hits: Vec::new(),
            total: 0,
            facets: Tally::new(ty, &search.facets).finish(),
        });
    };
    let lengths = link.all_of(&text.lengths, Vec::new()).await?;
    let fields = text::searchable(ty);
    let mut objects = 0;
    // A field that no object has a word in has no row.
    let mut slots = vec![0; fields.len()];
    for row in &lengths {
        let (place, n) = (row.try_get::<_, i64>(0)?, unsigned(row.try_get(1)?));
        match usize::try_from(place) {
            Ok(place) => {
                if let Some(slot) = slots.get_mut(place) {
                    *slot = n;
                }
            }
            Err(_) => objects = n,
        }
    }
    let asked = Asked {
        link,
        catalog,
        ty,
        search,
        fields,
        terms: search.query.wanted(),
        expression: fts::expression(ty, &search.query),
        objects,
        lengths: Lengths::new(ty, objects, &slots),
    };
    let rest = asked.rest().await?;
    match search.sort {
        Some(_) => asked.sorted(&rest).await,
        None => asked.ranked(&rest).await,
    }
}

/// A search with what it is reckoned by.
struct Asked<'a> {
    link: Link<'a>,
    catalog: &'a Catalog,
    ty: &'a Type,
    search: &'a Search,
    /// The searchable fields.
    fields: Vec<usize>,
    /// What a match may have.
    terms: Vec<&'a Term>,
    /// The query; none if it is too long for PostgreSQL, and each row must be looked at.
    expression: Option<String>,
    /// How many objects the type has.
    objects: u64,
    lengths: Lengths,
}

impl Asked<'_> {
    /// The page by falling relevance.
    async fn ranked(&self, rest: &Rest) -> Outcome<Found> {
        // Of a single term all matches are those that it occurs in.
        let counts_itself = self.terms.len() == 1
            && self.search.filter == Filter::EVERY
            && matches!(self.search.query, text::Query::Term(_));
        let matches = self.matches().await?;
        let found = match counts_itself {
            true => vec![(matches.len() + rest.found.len()) as u64],
            false => self.found(rest).await?,
        };
        let ranking = self.ranking(&found);
        let indexed = matches.into_iter().map(|(id, weights)| {
            let weights = weights.into_iter().enumerate();
            // Summing begins with +0.0, lest nothing be -0.0.
            let score = weights.fold(0.0, |sum, (term, weight)| sum + ranking.part(term, weight));
            (score, id)
        });
        let looked_at = rest.found.iter();
        let looked_at = looked_at.map(|(document, row)| (ranking.score(document), row.id.clone()));
        let mut scored: Vec<(f64, Id)> = indexed.chain(looked_at).collect();
        let total = scored.len() as u64;
        if let Some([Value::Float(last), Value::Str(id)]) = self.search.after.as_deref() {
            scored.retain(|(score, own)| score < last || (score == last && own.as_str() > &**id));
        }
        let by_rank =
            |a: &(f64, Id), b: &(f64, Id)| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1));
        if scored.len() > self.search.limit && self.search.limit > 0 {
            scored.select_nth_unstable_by(self.search.limit - 1, by_rank);
        }
        scored.truncate(self.search.limit);
        scored.sort_unstable_by(by_rank);
        let ids: Vec<Id> = scored.iter().map(|(_, id)| id.clone()).collect();
        let mut rows = lookup::get(self.link, self.catalog, self.search.type_id, &ids).await?;
        let hits = scored
            .into_iter()
            .filter_map(|(score, id)| Some((score, rows.remove(&id)?)));
        Ok(Found {
            hits: hits.collect(),
            total,
            facets: self.facets(rest).await?,
        })
    }

    /// The page in the order of a sort.
    async fn sorted(&self, rest: &Rest) -> Outcome<Found> {
        let found = self.found(rest).await?;
        let ranking = self.ranking(&found);
        let mut hits: Vec<(f64, Row)> = Vec::new();
        let mut total = rest.found.len() as u64;
        if let (Some(expression), Some(sort)) = (&self.expression, &self.search.sort) {
            let mut sql = self.select(&format!(", {}", select_list(self.ty)));
            self.restrict(&mut sql, expression);
            if let Some(after) = &self.search.after {
                sql.push(" AND ");
                let after = Filter::after(sort.columns(), after, self.ty);
                Conditions::of(self.ty).write(&mut sql, &after);
            }
            order(&mut sql, self.ty, sort);
            sql.push(" LIMIT ").limit(self.search.limit);
            hits = self
                .link
                .all(&sql, |row| {
                    let weights = self.weights(row)?.into_iter().enumerate();
                    let score = weights.fold(0.0, |sum, (n, w)| sum + ranking.part(n, w));
                    Ok((score, rows::read(self.ty, row, 3)?))
                })
                .await?;
            let mut sql = Sql::new(format!("SELECT count(*) FROM {} t", names::table(self.ty)));
            self.restrict(&mut sql, expression);
            total += self.link.count(&sql).await?;
        }
        let is_after = |row: &Row| match (&self.search.sort, &self.search.after) {
            (Some(sort), Some(after)) => Filter::after(sort.columns(), after, self.ty).matches(row),
            _ => true,
        };
        let beside = rest.found.iter().filter(|(_, row)| is_after(row));
        hits.extend(beside.map(|(document, row)| (ranking.score(document), row.clone())));
        hits.sort_by(|a, b| match &self.search.sort {
            Some(sort) => sort.compare(&a.1, &b.1),
            None => Ordering::Equal,
        });
        hits.truncate(self.search.limit);
        Ok(Found {
            hits,
            total,
            facets: self.facets(rest).await?,
        })
    }

    fn ranking(&self, found: &[u64]) -> Ranking<'_> {
        Ranking::new(
            &self.search.query,
            self.lengths.clone(),
            self.objects,
            found,
        )
    }

    /// In how many objects each term occurs.
    async fn found(&self, rest: &Rest) -> Outcome<Vec<u64>> {
        let mut counts = rest.counts.clone();
        // Without an expression, all objects were looked at.
        if self.expression.is_none() || self.terms.is_empty() {
            return Ok(counts);
        }
        let mut sql = Sql::new("SELECT ");
        for (n, term) in self.terms.iter().enumerate() {
            let table = names::table(self.ty);
            sql.push(if n == 0 { "" } else { ", " });
            sql.push(&format!(
                "(SELECT count(*) FROM {table} t WHERE t.{WORDS} @@ "
            ))
            .text(fts::term_expression(self.ty, term))
            .push("::tsquery)");
        }
        let terms = self.terms.len();
        let indexed = self.link.all(&sql, |row| {
            let counts = (0..terms).map(|n| Ok(unsigned(row.try_get(n)?)));
            counts.collect::<Outcome<Vec<u64>>>()
        });
        let indexed = indexed.await?.pop().unwrap_or_default();
        counts
            .iter_mut()
            .zip(indexed)
            .for_each(|(sum, n)| *sum += n);
        Ok(counts)
    }

    /// The values of the columns that are asked for, counted over all matches.
    async fn facets(&self, rest: &Rest) -> Outcome<Vec<Facet>> {
        let columns = &self.search.facets;
        let mut tally = Tally::new(self.ty, columns);
        if let (Some(expression), false) = (&self.expression, columns.is_empty()) {
            let names = columns.iter();
            let names = names.map(|column| format!("t.{}", names::column(self.ty, *column)));
            let mut sql = Sql::new(format!(
                "SELECT {} FROM {} t",
                names.collect::<Vec<_>>().join(", "),
                names::table(self.ty)
            ));
            self.restrict(&mut sql, expression);
            let mut rows = std::pin::pin!(self.link.stream(&sql).await?);
            while let Some(row) = rows.try_next().await? {
                for (place, column) in columns.iter().enumerate() {
                    let value = rows::read_column(self.ty, *column, &row, place)?;
                    tally.add_value(place, &value);
                }
            }
        }
        rest.found.iter().for_each(|(_, row)| tally.add(row));
        Ok(tally.finish())
    }

    /// The ids of the rows whose words match, each with the weight of every term.
    async fn matches(&self) -> Outcome<Vec<(Id, Vec<f64>)>> {
        let Some(expression) = &self.expression else {
            return Ok(Vec::new());
        };
        let mut sql = self.select("");
        self.restrict(&mut sql, expression);
        let mut rows = std::pin::pin!(self.link.stream(&sql).await?);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let id = Id::parse(row.try_get(0)?)
                .ok_or_else(|| Failure::Damaged(format!("an id of {} is none", self.ty.name)))?;
            found.push((id, self.weights(&row)?));
        }
        Ok(found)
    }

    /// Begins a statement that selects the id of a row, its words as far as they are asked for, and
    /// its slots.
    fn select(&self, more: &str) -> Sql {
        let mut sql = Sql::new("SELECT t.\"id\", ");
        match fts::lexemes(self.ty, &self.terms) {
            // Marks the query's lexemes and leaves out what is not marked.
            Some(lexemes) => {
                let lexemes = lexemes.into_iter().map(|text| Value::Str(text.into()));
                sql.push(&format!("ts_filter(setweight(t.{WORDS}, 'A', "))
                    .many(lexemes.collect(), &FieldKind::String)
                    .push("), '{a}')");
            }
            None => _ = sql.push(&format!("t.{WORDS}")),
        }
        sql.push(&format!(
            ", t.{SLOTS}{more} FROM {} t",
            names::table(self.ty)
        ));
        sql
    }

    fn restrict(&self, sql: &mut Sql, expression: &str) {
        sql.push(&format!(" WHERE t.{WORDS} @@ "))
            .text(expression)
            .push("::tsquery");
        if self.search.filter != Filter::EVERY {
            sql.push(" AND ");
            Conditions::of(self.ty).write(sql, &self.search.filter);
        }
    }

    /// The weight of each term in a row that begins with what [`Self::select`] selects.
    fn weights(&self, row: &tokio_postgres::Row) -> Outcome<Vec<f64>> {
        let words: Words = row.try_get(1)?;
        let slots: Vec<i64> = row.try_get(2)?;
        let weigh = |term: &&Term| {
            fts::places(&self.fields, term).fold(0.0, |sum, place| {
                let times = words.occurrences(place, term) as u64;
                let slots = slots.get(place).copied().map_or(0, unsigned);
                sum + self.lengths.weigh(place, times, slots)
            })
        };
        Ok(self.terms.iter().map(weigh).collect())
    }

    /// The rows whose words do not fit into an index, or all rows where the query does not fit: core
    /// looks at them.
    async fn rest(&self) -> Outcome<Rest> {
        let condition = match self.expression {
            Some(_) => format!("t.{WORDS} IS NULL"),
            None => "TRUE".to_owned(),
        };
        let sql = Sql::new(format!(
            "SELECT {} FROM {} t WHERE {condition}",
            select_list(self.ty),
            names::table(self.ty)
        ));
        let mut rest = Rest {
            found: Vec::new(),
            counts: vec![0; self.terms.len()],
        };
        let mut rows = std::pin::pin!(self.link.stream(&sql).await?);
        while let Some(row) = rows.try_next().await? {
            let row = rows::read(self.ty, &row, 0)?;
            let document = Document::of(self.ty, &row);
            for (count, term) in rest.counts.iter_mut().zip(&self.terms) {
                let mut fields = document.fields().iter();
                *count += u64::from(fields.any(|field| term.occurs_in(field)));
            }
            if self.search.filter.matches(&row) && self.search.query.matches(&document) {
                rest.found.push((document, row));
            }
        }
        Ok(rest)
    }
}

/// What is known of rows by looking at them.
struct Rest {
    /// Those that the search means.
    found: Vec<(Document, Row)>,
    /// In how many of them, found or not, each term occurs.
    counts: Vec<u64>,
}
