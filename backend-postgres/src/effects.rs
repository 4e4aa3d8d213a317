//! Writes what batches come to: rows with their words, change records, and how long the texts are
//! altogether.
//!
//! Rows are noted first and sent later, many at once, without waiting for the answer to each: a
//! server across a network answers a hundred statements as soon as one. Long runs of new rows go by
//! `COPY`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::Poll;

use futures_util::TryStreamExt as _;
use osis_core::backend::Change as Record;
use osis_core::object::Row;
use osis_core::resolve::{RowChange, Transition};
use osis_core::schema::{FieldKind, Type, TypeId};
use osis_core::text::{self, Document};
use osis_core::value::Value;
use osis_sql::{fold_fields, folded};
use tokio_postgres::RowStream;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type as SqlType};

use crate::catalog::Catalog;
use crate::changes::{self, Records};
use crate::error::{Failure, Outcome};
use crate::fts::{self, Words};
use crate::names::{LENGTHS, TERMS};
use crate::rows::{Bind, type_of};
use crate::sql::{self, Bound, Link};
use crate::statements::{Extent, TypeStatements, is_small, set_columns};

/// From how many new rows of one type on they go by `COPY`.
const COPY_MIN: usize = 50;
/// How many statements are under way at once.
const UNDER_WAY_MAX: usize = 500;

static ADD_LENGTHS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO {LENGTHS} AS l (type, place, n) SELECT * FROM unnest($1, $2, $3) \
         ON CONFLICT (type, place) DO UPDATE SET n = l.n + excluded.n"
    )
});

/// Counts objects by words: arrays of types, words and numbers.
pub(crate) static ADD_TERMS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO {TERMS} AS t (type, word, n) SELECT * FROM unnest($1, $2, $3) \
         ON CONFLICT (type, word) DO UPDATE SET n = t.n + excluded.n"
    )
});

/// Forgets words that occur in no object any more: arrays of types and words.
static DROP_TERMS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "DELETE FROM {TERMS} t USING unnest($1, $2) d (type, word) \
         WHERE t.type = d.type AND t.word = d.word AND t.n <= 0"
    )
});

/// What is to be written.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    changes: Vec<Change>,
    records: Records,
    /// What is added to the lengths of a type's texts: by type and place, -1 for the objects.
    lengths: BTreeMap<(TypeId, i64), i64>,
    /// What is added to the number of objects of a type in which a word occurs.
    terms: BTreeMap<(TypeId, Box<str>), i64>,
}

impl Pending {
    /// Notes the rows of one batch as the commit `seq`.
    pub(crate) fn add(&mut self, catalog: &Catalog, rows: Vec<RowChange>, seq: u64) {
        let mut ordinal = 0;
        for row in rows {
            let ty = &catalog.schema.types[row.type_id];
            // Log types make no records.
            if let Some((id, rev, op)) = row.record(&catalog.schema) {
                let (type_id, id, at) = (row.type_id, id.clone(), row.at);
                let record = Record {
                    seq,
                    type_id,
                    id,
                    rev,
                    op,
                    at,
                };
                self.records.add(&record, &ty.name, ordinal);
                ordinal += 1;
            }
            self.note(ty, row.type_id, row.change);
        }
    }

    /// Whether rows of a type are noted that are not written yet.
    pub(crate) fn touches(&self, type_id: TypeId) -> bool {
        self.changes.iter().any(|change| change.type_id == type_id)
    }

    fn note(&mut self, ty: &Type, type_id: TypeId, transition: Transition) {
        let (kind, before, row) = match transition {
            Transition::Insert(row) => (Kind::Insert, None, row),
            Transition::Update { before, after } => (
                Kind::Update(extent(ty, &before, &after)),
                Some(before),
                after,
            ),
            Transition::Remove(row) => (Kind::Remove, None, row),
        };
        let mut change = Change::new(ty, type_id, kind, row);
        if !text::searchable(ty).is_empty() && kind != Kind::Update(Extent::Small) {
            let document = Document::of(ty, &change.row);
            let before = before.map(|before| Document::of(ty, &before));
            self.count(type_id, kind, before.as_ref(), &document);
            if kind != Kind::Remove {
                change.words = Words::of(&document);
                change.slots = fts::slots(&document);
            }
        }
        self.changes.push(change);
    }

    /// Counts what a change does to the lengths.
    fn count(&mut self, type_id: TypeId, kind: Kind, before: Option<&Document>, now: &Document) {
        let mut add = |document: &Document, sign: i64| {
            for (place, slots) in (0..).zip(fts::slots(document)) {
                *self.lengths.entry((type_id, place)).or_default() += sign * slots;
            }
            for word in fts::vocabulary(document) {
                *self.terms.entry((type_id, word.into())).or_default() += sign;
            }
        };
        match kind {
            Kind::Insert => add(now, 1),
            Kind::Update(_) => {
                add(now, 1);
                if let Some(before) = before {
                    add(before, -1);
                }
            }
            Kind::Remove => add(now, -1),
        }
        let objects = match kind {
            Kind::Insert => 1,
            Kind::Update(_) => 0,
            Kind::Remove => -1,
        };
        *self.lengths.entry((type_id, -1)).or_default() += objects;
    }
}

/// What happens to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Insert,
    Update(Extent),
    Remove,
}

/// How much of a row changes: words and large fields are left alone where they can be.
fn extent(ty: &Type, before: &Row, after: &Row) -> Extent {
    let searchable = text::searchable(ty);
    let stays = |field: usize| before.values[field] == after.values[field];
    let is_plain = |field: &usize| is_small(&ty.fields[*field].kind) && !searchable.contains(field);
    match (0..ty.fields.len()).all(|field| is_plain(&field) || stays(field)) {
        true => Extent::Small,
        false => Extent::Whole,
    }
}

/// A row that is to be written, in the forms that PostgreSQL takes.
#[derive(Debug)]
struct Change {
    type_id: TypeId,
    kind: Kind,
    row: Row,
    /// Id, creation and last change.
    system: [Value; 3],
    folds: Vec<Value>,
    /// None where the words do not fit.
    words: Option<Words>,
    slots: Vec<i64>,
}

impl Change {
    fn new(ty: &Type, type_id: TypeId, kind: Kind, row: Row) -> Self {
        let folds = fold_fields(ty).map(|field| folded(ty, field, &row));
        Self {
            type_id,
            kind,
            folds: folds.collect(),
            system: [
                Value::from(row.id.as_str()),
                Value::Time(row.created_at),
                Value::Time(row.updated_at),
            ],
            row,
            words: None,
            slots: Vec::new(),
        }
    }

    /// What a new row sets, in the order of the statements' columns.
    fn written(&self, ty: &Type) -> Vec<Bound<'_>> {
        let [id, created_at, updated_at] = &self.system;
        let mut values: Vec<Bound<'_>> = vec![
            sql::one(id, &FieldKind::String),
            sql::int(self.row.rev),
            sql::one(created_at, &FieldKind::Time),
            sql::one(updated_at, &FieldKind::Time),
        ];
        let fields = self.row.values.iter().zip(&ty.fields);
        values.extend(fields.map(|(value, field)| sql::one(value, &field.kind)));
        let folds = self.folds.iter();
        values.extend(folds.map(|value| sql::one(value, &FieldKind::String)));
        if !text::searchable(ty).is_empty() {
            values.push((Box::new(self.words.as_ref()), SqlType::TS_VECTOR));
            values.push((Box::new(&self.slots), SqlType::INT8_ARRAY));
        }
        values
    }

    /// The statement that writes it, and its values.
    fn statement<'a>(&'a self, ty: &Type, own: &'a TypeStatements) -> (&'a str, Vec<Bound<'a>>) {
        match self.kind {
            Kind::Insert => (&own.insert, self.written(ty)),
            Kind::Update(extent) => {
                let mut written: Vec<Option<Bound<'a>>> =
                    self.written(ty).into_iter().map(Some).collect();
                let set = set_columns(ty, extent).into_iter();
                let mut values: Vec<Bound<'a>> = set.filter_map(|n| written[n].take()).collect();
                values.extend(self.test(ty));
                let change = match extent {
                    Extent::Whole => &own.update,
                    Extent::Small => &own.update_small,
                };
                (&change.text, values)
            }
            Kind::Remove => (&own.remove.text, self.test(ty)),
        }
    }

    /// What says which row it is: the id, of a log type the time too.
    fn test(&self, ty: &Type) -> Vec<Bound<'_>> {
        let id: Bound<'_> = (Box::new(Bind(&self.system[0])), SqlType::TEXT);
        let time = ty.log().map(|log| {
            let value = &self.row.values[log.time];
            let bound: Bound<'_> = (Box::new(Bind(value)), type_of(&FieldKind::Time));
            bound
        });
        std::iter::once(id).chain(time).collect()
    }
}

/// Writes all that is noted.
///
/// # Errors
/// Those of PostgreSQL; then the transaction must not be committed.
pub(crate) async fn write(link: Link<'_>, catalog: &Catalog, pending: Pending) -> Outcome<()> {
    prepare(link, catalog, &pending).await?;
    let mut under_way = UnderWay::default();
    let mut changes = pending.changes.as_slice();
    while let Some(first) = changes.first() {
        let is_alike =
            |change: &&Change| change.kind == Kind::Insert && change.type_id == first.type_id;
        let run = changes.iter().take_while(is_alike).count();
        let (ty, statements) = catalog.of(first.type_id);
        if run >= COPY_MIN {
            under_way.finish().await?;
            copy(link, ty, statements, &changes[..run]).await?;
            changes = &changes[run..];
            continue;
        }
        let (text, values) = first.statement(ty, statements);
        under_way
            .send(link.fixed(text, values), Some(first))
            .await?;
        changes = &changes[1..];
    }
    if !pending.records.is_empty() {
        let values = pending.records.bound();
        under_way
            .send(link.fixed(&changes::APPEND, values), None)
            .await?;
    }
    let lengths: Vec<_> = pending.lengths.iter().filter(|(_, n)| **n != 0).collect();
    if !lengths.is_empty() {
        let types = lengths
            .iter()
            .map(|((ty, _), _)| catalog.schema.types[*ty].name.as_str());
        let places = lengths.iter().map(|((_, place), _)| *place);
        let values = vec![
            sql::texts(types.collect()),
            sql::ints(places.collect()),
            sql::ints(lengths.iter().map(|(_, n)| **n).collect()),
        ];
        under_way
            .send(link.fixed(&ADD_LENGTHS, values), None)
            .await?;
    }
    under_way.finish().await?;
    write_terms(link, catalog, &pending).await
}

async fn write_terms(link: Link<'_>, catalog: &Catalog, pending: &Pending) -> Outcome<()> {
    let name = |ty: &TypeId| catalog.schema.types[*ty].name.as_str();
    let added: Vec<_> = pending.terms.iter().filter(|(_, n)| **n != 0).collect();
    if !added.is_empty() {
        let values = vec![
            sql::texts(added.iter().map(|((ty, _), _)| name(ty)).collect()),
            sql::texts(added.iter().map(|((_, word), _)| &**word).collect()),
            sql::ints(added.iter().map(|(_, n)| **n).collect()),
        ];
        link.all_of(&ADD_TERMS, values).await?;
    }
    let fewer: Vec<_> = added.iter().filter(|(_, n)| **n < 0).collect();
    if !fewer.is_empty() {
        let values = vec![
            sql::texts(fewer.iter().map(|((ty, _), _)| name(ty)).collect()),
            sql::texts(fewer.iter().map(|((_, word), _)| &**word).collect()),
        ];
        link.all_of(&DROP_TERMS, values).await?;
    }
    Ok(())
}

/// Prepares what will be sent: a statement that had to be prepared first would be overtaken.
async fn prepare(link: Link<'_>, catalog: &Catalog, pending: &Pending) -> Outcome<()> {
    let mut seen: Vec<(TypeId, Kind)> = Vec::new();
    for change in &pending.changes {
        if seen.contains(&(change.type_id, change.kind)) {
            continue;
        }
        seen.push((change.type_id, change.kind));
        let (_, own) = catalog.of(change.type_id);
        let (text, types) = match change.kind {
            Kind::Insert => (&own.insert, &own.columns),
            Kind::Update(Extent::Whole) => (&own.update.text, &own.update.types),
            Kind::Update(Extent::Small) => (&own.update_small.text, &own.update_small.types),
            Kind::Remove => (&own.remove.text, &own.remove.types),
        };
        link.get_ready(text, types).await?;
    }
    link.get_ready(&changes::APPEND, &changes::APPENDED).await?;
    let lengths = [
        SqlType::TEXT_ARRAY,
        SqlType::INT8_ARRAY,
        SqlType::INT8_ARRAY,
    ];
    link.get_ready(&ADD_LENGTHS, &lengths).await
}

async fn copy(
    link: Link<'_>,
    ty: &Type,
    statements: &TypeStatements,
    changes: &[Change],
) -> Outcome<()> {
    let sink = link.client.copy_in(&*statements.copy).await?;
    let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &statements.columns));
    for change in changes {
        let values = change.written(ty);
        let values: Vec<&(dyn ToSql + Sync)> = values
            .iter()
            .map(|(value, _)| &**value as &(dyn ToSql + Sync))
            .collect();
        writer.as_mut().write(&values).await?;
    }
    writer.finish().await?;
    Ok(())
}

type Answer<'a> = Pin<Box<dyn Future<Output = Outcome<RowStream>> + 'a>>;

/// Statements that were sent and whose answers are still to come, in their order.
#[derive(Default)]
struct UnderWay<'a> {
    sent: Vec<(Answer<'a>, Option<&'a Change>)>,
}

impl<'a> UnderWay<'a> {
    /// Sends a statement. One that changes a row must change exactly one.
    async fn send(
        &mut self,
        statement: impl Future<Output = Outcome<RowStream>> + 'a,
        change: Option<&'a Change>,
    ) -> Outcome<()> {
        if self.sent.len() >= UNDER_WAY_MAX {
            self.finish().await?;
        }
        let mut answer: Answer<'a> = Box::pin(statement);
        // The first look sends it; an answer at once is a failure to send.
        let at_once = std::future::poll_fn(|cx| {
            Poll::Ready(match answer.as_mut().poll(cx) {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => None,
            })
        });
        match at_once.await {
            Some(answer) => check(answer?, change).await,
            None => {
                self.sent.push((answer, change));
                Ok(())
            }
        }
    }

    /// Waits for all answers.
    async fn finish(&mut self) -> Outcome<()> {
        for (answer, change) in std::mem::take(&mut self.sent) {
            check(answer.await?, change).await?;
        }
        Ok(())
    }
}

async fn check(rows: RowStream, change: Option<&Change>) -> Outcome<()> {
    let mut rows = std::pin::pin!(rows);
    while rows.try_next().await?.is_some() {}
    match change {
        Some(change) if rows.rows_affected() != Some(1) => Err(Failure::Fault(format!(
            "what was just seen of {} is gone",
            change.row.id
        ))),
        _ => Ok(()),
    }
}
