//! Statements on their way into PostgreSQL: named and prepared where the text is one of a few,
//! unnamed where it is a caller's query or a pooler stands between.

use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt as _;
use osis_core::schema::FieldKind;
use osis_core::value::Value;
use osis_sql::Param;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, RowStream, Statement};

use crate::config::Pooler;
use crate::dialect::Postgres;
use crate::error::Outcome;
use crate::rows::{Bind, BindMany, array_of, type_of};

/// A statement with its values.
pub(crate) type Sql = osis_sql::Sql<Postgres>;

/// A value with the type that it is sent as.
pub(crate) type Bound<'a> = (Box<dyn ToSql + Sync + Send + 'a>, Type);

/// A connection, and whether statements may be prepared on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link<'a> {
    /// The connection.
    pub(crate) client: &'a ClientWrapper,
    /// What stands between.
    pub(crate) pooler: Pooler,
}

impl Link<'_> {
    /// Runs a statement whose text is one of a few: it is prepared once for a connection. It is on
    /// its way when this was first polled after [`Self::prepare`] has seen it.
    pub(crate) async fn fixed(self, text: &str, values: Vec<Bound<'_>>) -> Outcome<RowStream> {
        if self.pooler == Pooler::Transaction {
            return Ok(self.client.query_typed_raw(text, refs(&values)).await?);
        }
        let types: Vec<Type> = values.iter().map(|(_, ty)| ty.clone()).collect();
        let statement = self.prepare(text, &types).await?;
        let values = values
            .iter()
            .map(|(value, _)| &**value as &(dyn ToSql + Sync));
        let values: Vec<&(dyn ToSql + Sync)> = values.collect();
        Ok(self.client.query_raw(&statement, values).await?)
    }

    async fn prepare(self, text: &str, types: &[Type]) -> Outcome<Statement> {
        Ok(self.client.prepare_typed_cached(text, types).await?)
    }

    /// Prepares a statement, so that [`Self::fixed`] sends it without waiting for anything.
    pub(crate) async fn get_ready(self, text: &str, types: &[Type]) -> Outcome<()> {
        if self.pooler == Pooler::None {
            self.prepare(text, types).await?;
        }
        Ok(())
    }

    /// As [`Self::fixed`], with all rows of the answer.
    pub(crate) async fn all_of(self, text: &str, values: Vec<Bound<'_>>) -> Outcome<Vec<Row>> {
        let rows = self.fixed(text, values).await?;
        Ok(rows.try_collect().await?)
    }

    /// Runs a statement once, in one round trip.
    pub(crate) async fn stream(self, sql: &Sql) -> Outcome<RowStream> {
        let values: Vec<Bound<'_>> = sql.params().iter().map(bound).collect();
        let rows = self
            .client
            .query_typed_raw(sql.text_so_far(), refs(&values));
        Ok(rows.await?)
    }

    /// Runs a statement once and takes what `read` makes of each row.
    pub(crate) async fn all<T>(
        self,
        sql: &Sql,
        mut read: impl FnMut(&Row) -> Outcome<T>,
    ) -> Outcome<Vec<T>> {
        let mut rows = std::pin::pin!(self.stream(sql).await?);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await? {
            found.push(read(&row)?);
        }
        Ok(found)
    }

    /// Runs a statement once and takes the number in its first row.
    pub(crate) async fn count(self, sql: &Sql) -> Outcome<u64> {
        let counts = self.all(sql, |row| Ok(row.try_get::<_, i64>(0)?)).await?;
        let count = counts.first().copied().unwrap_or(0);
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

fn refs<'a>(
    values: &'a [Bound<'_>],
) -> impl ExactSizeIterator<Item = (&'a (dyn ToSql + Sync), Type)> {
    values
        .iter()
        .map(|(value, ty)| (&**value as &(dyn ToSql + Sync), ty.clone()))
}

/// What stands at a placeholder. Comparisons see `json` as text.
fn bound(param: &Param) -> Bound<'_> {
    match param {
        Param::One(value, FieldKind::Json) => (Box::new(Bind(value)), Type::TEXT),
        Param::One(value, kind) => (Box::new(Bind(value)), type_of(kind)),
        Param::Many(values, kind) => (Box::new(BindMany(values)), array_of(kind)),
    }
}

/// A value of a kind.
pub(crate) fn one<'a>(value: &'a Value, kind: &FieldKind) -> Bound<'a> {
    (Box::new(Bind(value)), type_of(kind))
}

/// A text.
pub(crate) fn text(text: &str) -> Bound<'_> {
    (Box::new(text), Type::TEXT)
}

/// Texts, as an array.
pub(crate) fn texts<'a>(texts: Vec<&'a str>) -> Bound<'a> {
    (Box::new(texts), Type::TEXT_ARRAY)
}

/// A whole number.
pub(crate) fn int<'a>(number: i64) -> Bound<'a> {
    (Box::new(number), Type::INT8)
}

/// Whole numbers, as an array.
pub(crate) fn ints<'a>(numbers: Vec<i64>) -> Bound<'a> {
    (Box::new(numbers), Type::INT8_ARRAY)
}
