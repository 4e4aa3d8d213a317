//! Searches: the page of what a query finds, in its order, and how much there is.

use std::cmp::Ordering;

use osis_core::backend::{Found, Search};
use osis_core::object::Row;
use osis_core::query::Filter;
use osis_core::schema::Type;
use osis_core::text::{Document, Ranking};
use osis_core::value::Value;
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::connection::Limit;
use crate::error::{Failure, Outcome};
use crate::filter::Conditions;
use crate::fts::{Asked, ask};
use crate::lookup;
use crate::names::{self, PENDING};
use crate::query::order;
use crate::rows::{read, select_list};
use crate::sql::Sql;
use crate::statements::TextStatements;
use crate::text_index;

/// Answers a search. Runs in a transaction.
///
/// Rows that the text index lacks are looked at themselves. They stand by a relevance of their own
/// then, but what is found is right; and there are none, unless the transaction began before they
/// could be taken in.
pub(crate) fn search(
    connection: &Connection,
    catalog: &Catalog,
    search: &Search,
    limit: &Limit,
) -> Outcome<Found> {
    let (ty, statements) = catalog.of(search.type_id);
    let Some(text) = &statements.text else {
        return Ok(Found {
            hits: Vec::new(),
            total: 0,
        });
    };
    let numbers = text_index::pending(connection, catalog, search.type_id, usize::MAX)?;
    let asked = ask(connection, ty, text, &search.query)?;
    let index = Index {
        connection,
        ty,
        text,
        search,
        asked,
        whole: numbers.is_empty(),
    };
    let mut found = Found {
        hits: index.page()?,
        total: index.total()?,
    };
    if !numbers.is_empty() {
        let rest = matched(connection, catalog, search, &numbers, limit)?;
        found.total += rest.len() as u64;
        found
            .hits
            .extend(rest.into_iter().filter(|hit| is_after(search, ty, hit)));
        found.hits.sort_by(|a, b| compare(search, a, b));
        found.hits.truncate(search.limit);
    }
    Ok(found)
}

/// A query on the text index.
struct Index<'a> {
    connection: &'a Connection,
    ty: &'a Type,
    text: &'a TextStatements,
    search: &'a Search,
    asked: Asked,
    /// Whether the index lacks nothing of the type.
    whole: bool,
}

impl Index<'_> {
    /// The page, numbers and order first: so only the rows of the page are read whole.
    fn page(&self) -> Outcome<Vec<(f64, Row)>> {
        let (ty, score, table) = (self.ty, &self.text.score, &self.text.table);
        let mut sql = Sql::new(format!(
            "SELECT m.score, {} FROM (SELECT {table}.rowid AS n, {score} AS score, t.\"id\" AS id",
            select_list(ty)
        ));
        self.matches(&mut sql, true);
        match &self.search.sort {
            Some(sort) => {
                if let Some(after) = &self.search.after {
                    sql.push(" AND ");
                    let after = Filter::after(sort.columns(), after, ty);
                    Conditions::of(ty).write(&mut sql, &after);
                }
                order(&mut sql, ty, sort);
            }
            None => {
                if let Some([Value::Float(last), id]) = self.search.after.as_deref() {
                    sql.push(&format!(" AND ({score} < ")).double(*last);
                    sql.push(&format!(" OR ({score} = ")).double(*last);
                    sql.push(" AND t.\"id\" > ").value(id).push("))");
                }
                sql.push(" ORDER BY 2 DESC, 3");
            }
        }
        sql.push(" LIMIT ").limit(self.search.limit);
        sql.push(&format!(
            ") m JOIN {} t ON t.\"_n\" = m.n",
            names::table(ty)
        ));
        match &self.search.sort {
            Some(sort) => order(&mut sql, ty, sort),
            None => _ = sql.push(" ORDER BY m.score DESC, m.id"),
        }
        sql.all(self.connection, |row| Ok((row.get(0)?, read(ty, row, 1)?)))
    }

    fn total(&self) -> Outcome<u64> {
        let mut sql = Sql::new("SELECT count(*)");
        self.matches(&mut sql, self.search.filter != Filter::EVERY);
        sql.count(self.connection)
    }

    /// Adds from where, and under which conditions.
    fn matches(&self, sql: &mut Sql, with_rows: bool) {
        let table = &self.text.table;
        sql.push(&format!(" FROM {table}"));
        if with_rows {
            // CROSS keeps the index outside: for each row it would run the query anew.
            let rows = names::table(self.ty);
            sql.push(&format!(" CROSS JOIN {rows} t ON t.\"_n\" = {table}.rowid"));
        }
        sql.push(&format!(" WHERE {table} MATCH "));
        match &self.asked {
            Asked::Whole(expression) => _ = sql.text(expression),
            Asked::Among(expression, numbers) => {
                sql.text(expression)
                    .push(&format!(" AND +{table}.rowid IN "));
                sql.array(numbers.iter());
            }
        }
        if !self.whole {
            sql.push(&format!(
                " AND {table}.rowid NOT IN (SELECT n FROM {PENDING} WHERE type = "
            ));
            sql.text(&self.ty.name).push(")");
        }
        if self.search.filter != Filter::EVERY {
            sql.push(" AND ");
            Conditions::of(self.ty).write(sql, &self.search.filter);
        }
    }
}

/// Those of the rows that the text index lacks which the search means.
fn matched(
    connection: &Connection,
    catalog: &Catalog,
    search: &Search,
    numbers: &[i64],
    limit: &Limit,
) -> Outcome<Vec<(f64, Row)>> {
    let ty = &catalog.schema.types[search.type_id];
    let mut found = Vec::new();
    for &number in numbers {
        if limit.is_over() {
            return Err(Failure::TooLate);
        }
        let Some(row) = lookup::get_by_number(connection, catalog, search.type_id, number)? else {
            continue;
        };
        let document = Document::of(ty, &row);
        if search.filter.matches(&row) && search.query.matches(&document) {
            found.push((document, row));
        }
    }
    let ranking = Ranking::of(
        ty,
        &search.query,
        found.iter().map(|(document, _)| document),
    );
    let scores: Vec<f64> = found
        .iter()
        .map(|(document, _)| ranking.score(document))
        .collect();
    Ok(scores
        .into_iter()
        .zip(found)
        .map(|(score, (_, row))| (score, row))
        .collect())
}

fn compare(search: &Search, a: &(f64, Row), b: &(f64, Row)) -> Ordering {
    match &search.sort {
        Some(sort) => sort.compare(&a.1, &b.1),
        None => b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)),
    }
}

fn is_after(search: &Search, ty: &Type, (score, row): &(f64, Row)) -> bool {
    match (&search.sort, search.after.as_deref()) {
        (_, None) => true,
        (Some(sort), Some(after)) => Filter::after(sort.columns(), after, ty).matches(row),
        (None, Some([Value::Float(last), Value::Str(id)])) => {
            score < last || (score == last && row.id.as_str() > &**id)
        }
        (None, Some(_)) => true,
    }
}
