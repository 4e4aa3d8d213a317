//! The partitions of log types: one a month, and one for what falls outside of them.
//!
//! Months are made ahead, never in the way of a write: to make one locks the partition for the
//! rest. What falls outside (events of years ago) goes there, where it is found as well.

use osis_core::schema::{Schema, Type};
use osis_core::time::Time;

use crate::committer::Hands;
use crate::error::Outcome;
use crate::group::roll_back;
use crate::names::{self, META, literal, quote};
use crate::sql::{self, Link};

/// Most months that are made back from now, where a type keeps its rows for long.
const BACK_MAX: i32 = 12;
/// The days of a long month, by which days are counted as months.
const DAYS: u32 = 31;

/// A month: its year, and its number from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Month {
    year: i32,
    month: i32,
}

impl Month {
    fn of(time: Time) -> Self {
        let at = time.to_civil();
        Self {
            year: i32::from(at.year()),
            month: i32::from(at.month()),
        }
    }

    fn plus(self, months: i32) -> Self {
        let all = self.year * 12 + self.month - 1 + months;
        Self {
            year: all.div_euclid(12),
            month: all.rem_euclid(12) + 1,
        }
    }

    fn start(self) -> String {
        format!("{:04}-{:02}-01 00:00:00+00", self.year, self.month)
    }

    fn name(self) -> String {
        format!("{:04}_{:02}", self.year, self.month)
    }
}

/// The statements that make the partitions of a log type for the months of which rows are kept, and
/// for the next one, those first that come first.
fn wanted(ty: &Type, now: Time) -> Vec<(String, Month, String)> {
    let Some(log) = ty.log() else {
        return Vec::new();
    };
    let kept = log.retention_days.map_or(BACK_MAX, |days| {
        i32::try_from(days / DAYS + 1).map_or(BACK_MAX, |months| months.min(BACK_MAX))
    });
    let now = Month::of(now);
    let months = (-kept..=1).map(|months| now.plus(months));
    months
        .map(|month| {
            let name = names::month_partition(&ty.plural, &month.name());
            let sql = format!(
                "CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})",
                quote(&name),
                names::table(ty),
                literal(&month.start()),
                literal(&month.plus(1).start())
            );
            (name, month, sql)
        })
        .collect()
}

/// Makes the partitions that are missing, each in the transaction that is open.
///
/// # Errors
/// Those of PostgreSQL.
pub(crate) async fn make_missing(link: Link<'_>, schema: &Schema, now: Time) -> Outcome<()> {
    for ty in &schema.types {
        let Some(log) = ty.log() else { continue };
        for (name, month, create) in wanted(ty, now) {
            if exists(link, &name).await? {
                continue;
            }
            // Rows of the month may lie in the rest already: then they stay there.
            let time = quote(&ty.fields[log.time].name);
            let rest = quote(&names::default_partition(&ty.plural));
            let sql = format!(
                "SELECT 1 FROM {rest} WHERE {time} >= {} AND {time} < {} LIMIT 1",
                literal(&month.start()),
                literal(&month.plus(1).start())
            );
            if link.client.query_typed(&sql, &[]).await?.is_empty() {
                link.client.batch_execute(&create).await?;
            }
        }
    }
    Ok(())
}

async fn exists(link: Link<'_>, name: &str) -> Outcome<bool> {
    let name = quote(name);
    let rows = link.all_of(
        "SELECT to_regclass($1)::text IS NOT NULL",
        vec![sql::text(&name)],
    );
    let rows = rows.await?;
    Ok(rows
        .first()
        .map(|row| row.try_get(0))
        .transpose()?
        .unwrap_or(false))
}

/// Makes the partitions that are missing in a transaction of its own, in turn with all writers.
///
/// # Errors
/// Those of PostgreSQL: among them that a long read has the partition for the rest in use.
pub(crate) fn make(hands: &Hands, schema: &Schema) -> Outcome<()> {
    if schema.types.iter().all(|ty| ty.log().is_none()) {
        return Ok(());
    }
    let link = hands.link()?;
    hands.wait(async {
        link.client.batch_execute(hands.begin_writing()).await?;
        link.client
            .batch_execute("SET LOCAL lock_timeout = 2000")
            .await?;
        let lock = format!("SELECT seq FROM {META} FOR UPDATE");
        link.all_of(&lock, Vec::new()).await?;
        let made = make_missing(link, schema, Time::now()).await;
        match made {
            Ok(()) => Ok(link.client.batch_execute("COMMIT").await?),
            Err(failure) => {
                roll_back(link).await?;
                Err(failure)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_one_another() {
        let december = Month::of(Time::parse("2026-12-31T23:59:59.999Z").unwrap());
        assert_eq!(december.name(), "2026_12");
        assert_eq!(december.plus(1).start(), "2027-01-01 00:00:00+00");
        assert_eq!(december.plus(-12).name(), "2025_12");
        assert_eq!(december.plus(-11).name(), "2026_01");
    }
}
