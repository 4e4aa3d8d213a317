//! The words of a type's rows all together: what is counted of them, and how they are made anew.

use std::collections::BTreeMap;

use osis_core::schema::Type;
use osis_core::text::{self, Document};
use osis_sql::select_list;
use tokio_postgres::types::Type as SqlType;

use crate::effects::ADD_TERMS;
use crate::error::Outcome;
use crate::fts::{self, Words};
use crate::names::{self, LENGTHS, SLOTS, WORDS};
use crate::rows;
use crate::sql::{self, Bound, Link};

/// How many rows get their words anew at once.
const MADE_AT_ONCE: i64 = 500;

/// What relevance and the correction of typos rest on.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// How many objects there are (at place -1), and how many slots each searchable field has
    /// altogether.
    pub(crate) lengths: BTreeMap<i64, i64>,
    /// In how many objects each word occurs.
    pub(crate) terms: BTreeMap<String, i64>,
}

impl Counts {
    /// Counts an object.
    pub(crate) fn add(&mut self, document: &Document) {
        *self.lengths.entry(-1).or_default() += 1;
        for (place, slots) in (0..).zip(fts::slots(document)) {
            *self.lengths.entry(place).or_default() += slots;
        }
        for word in fts::vocabulary(document) {
            match self.terms.get_mut(word) {
                Some(n) => *n += 1,
                None => _ = self.terms.insert(word.to_owned(), 1),
            }
        }
    }

    async fn write(&self, link: Link<'_>, ty: &Type) -> Outcome<()> {
        let sql = format!(
            "INSERT INTO {LENGTHS} (type, place, n) SELECT $1, * FROM unnest($2::bigint[], $3::bigint[])"
        );
        let values = vec![
            sql::text(&ty.name),
            sql::ints(self.lengths.keys().copied().collect()),
            sql::ints(self.lengths.values().copied().collect()),
        ];
        link.all_of(&sql, values).await?;
        let values = vec![
            sql::texts(vec![ty.name.as_str(); self.terms.len()]),
            sql::texts(self.terms.keys().map(String::as_str).collect()),
            sql::ints(self.terms.values().copied().collect()),
        ];
        link.all_of(&ADD_TERMS, values).await?;
        Ok(())
    }
}

/// Makes the words of all rows of a type anew, of which nothing is counted. Runs in a turn to write.
pub(crate) async fn make_anew(link: Link<'_>, ty: &Type) -> Outcome<()> {
    if text::searchable(ty).is_empty() {
        return Ok(());
    }
    let table = names::table(ty);
    let select = format!(
        "SELECT {} FROM {table} t WHERE t.\"id\" > $1 ORDER BY t.\"id\" LIMIT $2",
        select_list(ty)
    );
    let update = format!("UPDATE {table} SET {WORDS} = $2, {SLOTS} = $3 WHERE \"id\" = $1");
    let (mut last, mut counts) = (String::new(), Counts::default());
    loop {
        let values = vec![sql::text(&last), sql::int(MADE_AT_ONCE)];
        let found = link.all_of(&select, values).await?;
        let Some(end) = found.last() else { break };
        let end: String = end.try_get(0)?;
        for row in &found {
            let row = rows::read(ty, row, 0)?;
            let document = Document::of(ty, &row);
            counts.add(&document);
            let words: Bound<'_> = (Box::new(Words::of(&document)), SqlType::TS_VECTOR);
            let slots = sql::ints(fts::slots(&document));
            link.all_of(&update, vec![sql::text(row.id.as_str()), words, slots])
                .await?;
        }
        last = end;
    }
    counts.write(link, ty).await
}
