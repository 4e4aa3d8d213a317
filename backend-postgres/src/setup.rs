//! Opening: an empty schema of a database becomes a store, an existing store is looked at before it
//! is trusted.
//!
//! Whatever is to be done happens in one transaction, under a lock of the database that only those
//! who open take: any number of processes may open one new store at the same moment, and one of them
//! sets it up.

use osis_core::error::{Error, Result};
use osis_core::object::Id;
use osis_core::schema::diff::{self, SchemaPolicy};
use osis_core::schema::{Schema, Source, load};
use osis_core::time::Time;
use osis_sql::Steps;

use crate::catalog::{Catalog, Opened};
use crate::committer::Hands;
use crate::config::PostgresConfig;
use crate::ddl;
use crate::error::{Failure, Outcome, unavailable};
use crate::history::{self, Stored};
use crate::names::{self, META, WRITERS};
use crate::partitions;
use crate::rollups;
use crate::sql::{self, Link};
use crate::words;

/// The version of the store's own tables.
const FORMAT: i64 = 1;
/// The oldest server that has all that is used: 15.
const SERVER_MIN: i64 = 150_000;

/// Opens a store; nothing where there is none and none is to be made.
///
/// # Errors
/// `Unavailable` where there is no connection, the server is too old or the user lacks rights;
/// `Invalid` where the schema of the database holds something else, a newer format, or a schema that
/// differs too much.
pub(crate) fn open(
    hands: &mut Hands,
    config: PostgresConfig,
    wanted: Wanted,
) -> Result<Option<Catalog>> {
    let place = config.place();
    let explain = |failure: Failure| failure.explain(&place);
    hands.connect().map_err(explain)?;
    let link = hands.link().map_err(explain)?;
    let setup = Setup {
        link,
        config: &config,
        place: &place,
    };
    let opened = hands.wait(async {
        setup.check_server().await?;
        begin(link, &config.schema_name, hands.begin_writing())
            .await
            .map_err(explain)?;
        let Some(opened) = setup.run(wanted).await? else {
            return Ok(None);
        };
        let kept = rollups::bring_up_to_date(link, &opened.schema).await;
        kept.map_err(explain)?;
        let committed = link.client.batch_execute("COMMIT").await;
        committed.map_err(|error| explain(Failure::from(error)))?;
        Ok(Some(opened))
    });
    let opened = match opened {
        Ok(Some(opened)) => opened,
        nothing => {
            hands.roll_back();
            return nothing.map(|_| None);
        }
    };
    // In a transaction of its own: without it, rows go to the partition for the rest.
    if let Err(failure) = partitions::make(hands, &opened.schema) {
        tracing::warn!(
            place,
            ?failure,
            "partitions for the months to come could not be made"
        );
        hands.roll_back();
    }
    Ok(Some(Catalog::new(config, opened)))
}

struct Setup<'a> {
    link: Link<'a>,
    config: &'a PostgresConfig,
    place: &'a str,
}

impl Setup<'_> {
    fn explain(&self, failure: &Failure) -> Error {
        failure.explain(self.place)
    }

    /// Looks whether the server is one that holds stores.
    async fn check_server(&self) -> Result<()> {
        let sql = "SELECT current_setting('server_version_num')::bigint, \
                   current_setting('server_version'), current_setting('server_encoding')";
        let rows = self.link.client.query_typed(sql, &[]).await;
        let rows = rows.map_err(|error| self.explain(&error.into()))?;
        let read = |row: &tokio_postgres::Row| -> Outcome<(i64, String, String)> {
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
        };
        let row = rows.first().map(read).transpose();
        let (number, version, encoding) = row
            .map_err(|failure| self.explain(&failure))?
            .unwrap_or_default();
        match unfit(number, &version, &encoding) {
            Some(why) => Err(unavailable(None, format!("{} {why}", self.place))),
            None => Ok(()),
        }
    }

    /// Looks, and does what there is to do.
    async fn run(&self, wanted: Wanted) -> Result<Option<Opened>> {
        let things = things(self.link, &self.config.schema_name)
            .await
            .map_err(|failure| self.explain(&failure))?;
        match (things, wanted) {
            (Things::Store, wanted) => self.take_over(wanted.schema()).await.map(Some),
            (Things::Foreign, _) => Err(foreign(&self.config.schema_name, self.place)),
            (_, Wanted::Existing) => Ok(None),
            (things, wanted) => self.create(things, wanted.schema()).await.map(Some),
        }
    }

    async fn create(&self, things: Things, wanted: Option<Schema>) -> Result<Opened> {
        let schema = match wanted {
            Some(schema) => schema,
            None => load(&[Source::builtin()])?,
        };
        refuse_reserved(&schema)?;
        let made = self.make(things, &schema).await;
        let store_id = made.map_err(|failure| self.explain(&failure))?;
        Ok(Opened {
            hash: schema.hash.clone(),
            schema,
            store_id,
            seq: 0,
        })
    }

    async fn make(&self, things: Things, schema: &Schema) -> Outcome<String> {
        let client = self.link.client;
        if things == Things::Nothing {
            let name = names::quote(&self.config.schema_name);
            client
                .batch_execute(&format!("CREATE SCHEMA {name}"))
                .await?;
        }
        for statement in ddl::create_system()
            .iter()
            .chain(&ddl::create_types(schema))
        {
            client.batch_execute(statement).await?;
        }
        let id = Id::generate(Time::now());
        let sql = format!(
            "INSERT INTO {META} (one, format, store_id, seq, oldest, schema_hash) \
             VALUES (1, $1, $2, 0, 0, $3)"
        );
        let values = vec![
            sql::int(FORMAT),
            sql::text(id.as_str()),
            sql::text(&schema.hash),
        ];
        self.link.all_of(&sql, values).await?;
        history::record(self.link, schema, &Steps::default()).await?;
        tracing::info!(place = self.place, schema = schema.name, "made a new store");
        Ok(id.to_string())
    }

    async fn take_over(&self, wanted: Option<Schema>) -> Result<Opened> {
        let stored = Stored::read(self.link).await;
        let stored = stored.map_err(|failure| self.explain(&failure))?;
        if stored.format > FORMAT {
            return Err(Error::invalid(
                "store",
                format!(
                    "{} has format {}, and this version of osis knows formats up to {FORMAT}; use \
                     a newer one",
                    self.place, stored.format
                ),
            ));
        }
        let forgotten = self.forget_writers().await;
        forgotten.map_err(|failure| self.explain(&failure))?;
        let schema = stored.schema(self.place)?;
        let wanted = wanted.filter(|wanted| {
            wanted.hash != schema.hash && self.config.schema != SchemaPolicy::Stored
        });
        let Some(wanted) = wanted else {
            return Ok(Opened {
                schema,
                hash: stored.hash,
                store_id: stored.store_id,
                seq: stored.seq,
            });
        };
        let steps = self.plan(&schema, &wanted)?;
        let applied = self.apply(&schema, &wanted, &steps).await;
        let seq = applied.map_err(|failure| self.explain(&failure))?;
        Ok(Opened {
            hash: wanted.hash.clone(),
            schema: wanted,
            store_id: stored.store_id,
            seq,
        })
    }

    /// Forgets what processes have committed last that are long gone.
    async fn forget_writers(&self) -> Outcome<()> {
        let sql = format!("DELETE FROM {WRITERS} WHERE at < now() - interval '7 days'");
        Ok(self.link.client.batch_execute(&sql).await?)
    }

    fn plan(&self, stored: &Schema, wanted: &Schema) -> Result<Steps> {
        let losses = diff::losses(stored, wanted);
        if !losses.is_empty() {
            return Err(diff::refused(self.place, &losses));
        }
        refuse_reserved(wanted)?;
        plan(stored, wanted).map_err(|reasons| diff::refused(self.place, &reasons))
    }

    /// Changes the tables, in turn with all writers; the last seq then.
    async fn apply(&self, stored: &Schema, schema: &Schema, steps: &Steps) -> Outcome<u64> {
        let lock = format!("SELECT seq FROM {META} FOR UPDATE");
        self.link.all_of(&lock, Vec::new()).await?;
        for statement in &steps.up {
            self.link.client.batch_execute(statement).await?;
        }
        for ty in &schema.types {
            let now = ddl::layout(schema, ty).parts;
            let before = stored.find(&ty.name);
            let before = before.map(|ty| ddl::layout(stored, ty).parts);
            if before.is_some_and(|before| now.has_other_words(&before)) {
                words::make_anew(self.link, ty).await?;
            }
        }
        history::record(self.link, schema, steps).await?;
        tracing::info!(
            place = self.place,
            schema = schema.name,
            version = schema.version,
            statements = steps.up.len(),
            "applied a new schema"
        );
        let stored = Stored::read(self.link).await?;
        Ok(stored.seq)
    }
}

/// What is wanted of a store.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// It must be there.
    Existing,
    /// It is made if it is missing, with this schema or the built-in one; one that is there gets the
    /// schema if it may.
    Any(Option<Schema>),
}

impl Wanted {
    fn schema(self) -> Option<Schema> {
        match self {
            Self::Existing => None,
            Self::Any(schema) => schema,
        }
    }
}

/// Begins, in turn with all who open a store of this name in the database.
///
/// # Errors
/// Those of PostgreSQL.
pub(crate) async fn begin(link: Link<'_>, schema_name: &str, begin: &str) -> Outcome<()> {
    link.client.batch_execute(begin).await?;
    let name = format!("osis:{schema_name}");
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
    link.all_of(sql, vec![sql::text(&name)]).await?;
    Ok(())
}

/// Looks what is in a schema of the database.
///
/// # Errors
/// Those of PostgreSQL.
pub(crate) async fn things(link: Link<'_>, schema_name: &str) -> Outcome<Things> {
    let sql = "SELECT n.oid IS NOT NULL, count(c.oid), \
               coalesce(bool_or(c.relname = $2), false) \
               FROM (SELECT $1::text AS name) w \
               LEFT JOIN pg_namespace n ON n.nspname = w.name \
               LEFT JOIN pg_class c ON c.relnamespace = n.oid GROUP BY 1";
    let rows = link
        .all_of(sql, vec![sql::text(schema_name), sql::text(META)])
        .await?;
    let Some(row) = rows.first() else {
        return Ok(Things::Nothing);
    };
    let (schema, things, store): (bool, i64, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(match (schema, things, store) {
        (_, _, true) => Things::Store,
        (true, 0, false) => Things::Schema,
        (true, _, false) => Things::Foreign,
        (false, _, false) => Things::Nothing,
    })
}

/// The refusal of a schema of the database that holds something else.
pub(crate) fn foreign(schema_name: &str, place: &str) -> Error {
    Error::invalid(
        "store",
        format!(
            "the schema {schema_name} of {place} holds tables of another program; name another schema"
        ),
    )
}

/// What is in a schema of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Things {
    /// There is no such schema.
    Nothing,
    /// It is empty.
    Schema,
    /// A store.
    Store,
    /// Something else.
    Foreign,
}

/// Why a server or a database holds no stores, if so: by the server's version, as a number and as it
/// is told, and the database's encoding.
pub(crate) fn unfit(number: i64, version: &str, encoding: &str) -> Option<String> {
    if number < SERVER_MIN {
        return Some(format!(
            "is served by PostgreSQL {version}; use version 15 or later"
        ));
    }
    (encoding != "UTF8").then(|| {
        format!(
            "is in a database with the encoding {encoding}; make one with UTF8: \
             createdb --encoding=UTF8 --template=template0 NAME"
        )
    })
}

/// Plans the change from one schema to another.
pub(crate) fn plan(stored: &Schema, wanted: &Schema) -> Result<Steps, Vec<String>> {
    let mut steps = osis_sql::plan(stored, wanted, ddl::layout)?;
    let before = ddl::references(stored);
    for (place, (make, remove)) in ddl::references(wanted) {
        if !before.contains_key(&place) {
            steps.up.push(make);
            steps.down.insert(0, remove);
        }
    }
    Ok(steps)
}

/// PostgreSQL's own tables stand before all others, and their names begin so.
fn refuse_reserved(schema: &Schema) -> Result<()> {
    match schema.types.iter().find(|ty| ty.plural.starts_with("pg_")) {
        Some(ty) => Err(Error::invalid(
            "schema",
            format!(
                "type {} cannot have the plural {}: PostgreSQL reserves it",
                ty.name, ty.plural
            ),
        )),
        None => Ok(()),
    }
}
