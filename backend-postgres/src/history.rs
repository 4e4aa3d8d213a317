//! The schema as the database has it: which is in force, which were, and the steps between them.

use std::sync::LazyLock;

use osis_core::schema::{Schema, Source, load};
use osis_core::time::Time;
use osis_sql::{Steps, unsigned};

use crate::catalog::Catalog;
use crate::changes::no_meta;
use crate::error::{Failure, Outcome};
use crate::names::{HISTORY, META};
use crate::sql::{self, Link};

/// What a database says of its schema and its commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The version of the store's own tables.
    pub(crate) format: i64,
    /// Tells the store from all others.
    pub(crate) store_id: String,
    /// The schema in force, as canonical TOML.
    pub(crate) text: String,
    /// The hash under which it is in force.
    pub(crate) hash: String,
    /// The last commit.
    pub(crate) seq: u64,
}

impl Stored {
    /// Reads it.
    pub(crate) async fn read(link: Link<'_>) -> Outcome<Self> {
        let sql = format!(
            "SELECT h.text, m.schema_hash, m.seq, m.format, m.store_id FROM {META} m \
             JOIN {HISTORY} h ON h.n = (SELECT max(n) FROM {HISTORY})"
        );
        let rows = link.all_of(&sql, Vec::new()).await?;
        let row = rows
            .first()
            .ok_or_else(|| Failure::Damaged(format!("{META} or {HISTORY} is empty")))?;
        Ok(Self {
            text: row.try_get(0)?,
            hash: row.try_get(1)?,
            seq: unsigned(row.try_get(2)?),
            format: row.try_get(3)?,
            store_id: row.try_get(4)?,
        })
    }

    /// The schema itself.
    ///
    /// # Errors
    /// If it cannot be read: it was written by a newer version of the program, or by hand.
    pub(crate) fn schema(&self, place: &str) -> osis_core::error::Result<Schema> {
        load(&[Source::new(
            format!("schema stored in {place}"),
            self.text.as_str(),
        )])
    }
}

/// The last seq, if the schema that this process knows is in force. The row stays locked until the
/// transaction ends: so writers of all processes take turns, each seeing what those before it have
/// committed.
///
/// # Errors
/// [`Failure::SchemaChanged`] if another process has put another schema in force.
pub(crate) async fn lock_in_force(link: Link<'_>, catalog: &Catalog) -> Outcome<u64> {
    static SQL: LazyLock<String> =
        LazyLock::new(|| format!("SELECT seq, schema_hash FROM {META} FOR UPDATE"));
    in_force(link, catalog, &SQL).await
}

/// The last seq, if the schema that this process knows is in force.
pub(crate) async fn check_in_force(link: Link<'_>, catalog: &Catalog) -> Outcome<u64> {
    static SQL: LazyLock<String> = LazyLock::new(|| format!("SELECT seq, schema_hash FROM {META}"));
    in_force(link, catalog, &SQL).await
}

async fn in_force(link: Link<'_>, catalog: &Catalog, sql: &str) -> Outcome<u64> {
    let rows = link.all_of(sql, Vec::new()).await?;
    let row = rows.first().ok_or_else(no_meta)?;
    catalog.check_schema(row.try_get(1)?)?;
    Ok(unsigned(row.try_get(0)?))
}

/// Notes a schema that comes into force.
pub(crate) async fn record(link: Link<'_>, schema: &Schema, steps: &Steps) -> Outcome<()> {
    let insert = format!(
        "INSERT INTO {HISTORY} (name, version, hash, text, applied_at, up, down) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)"
    );
    let (up, down) = (Steps::json(&steps.up), Steps::json(&steps.down));
    let at = Time::now().to_string();
    let values = vec![
        sql::text(&schema.name),
        sql::int(i64::from(schema.version)),
        sql::text(&schema.hash),
        sql::text(&schema.text),
        sql::text(&at),
        sql::text(&up),
        sql::text(&down),
    ];
    link.all_of(&insert, values).await?;
    let update = format!("UPDATE {META} SET schema_hash = $1");
    link.all_of(&update, vec![sql::text(&schema.hash)]).await?;
    Ok(())
}
