//! History as Parquet: the objects of log types, one file a day, in folders by date.
//!
//! `DIR/events/date=2026-11-21/events.parquet`: the form that DuckDB, ClickHouse and pandas take as a
//! table with a column `date`, of which they read just the days that are asked for. A type that has a
//! field `date` gets folders `_date=…`.
//!
//! Objects come in the order of their ids, which are about that of their times, so few days are
//! open at once and memory does not grow with the store. A day's file gets its name when it is whole:
//! one that is there is always complete.

mod columns;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osis_core::backend::Scope;
use osis_core::input::LOG_ID_SLACK_MS;
use osis_core::schema::{Schema, Type};
use osis_core::store::Principal;
use osis_core::{Error, ErrorKind, Id, Result, Row, Store, Time};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;

use crate::Progress;
use crate::export::Selection;
use crate::view::{View as _, weight};
use columns::Column;

/// How much of a day is held before it is written as a row group, in rows and bytes.
const GROUP: (usize, usize) = (100_000, 16 << 20);
const DAY_MS: i64 = 86_400_000;

/// What an export wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Written {
    /// How many files, each of one day of one type.
    pub files: u64,
    /// How many objects.
    pub rows: u64,
}

/// The log types that a selection names.
fn logs<'a>(selection: &Selection, schema: &'a Schema) -> Result<Vec<&'a Type>> {
    let logs = || schema.types.iter().filter(|ty| ty.log().is_some());
    if selection.types.is_empty() {
        return Ok(logs().collect());
    }
    let named = selection.types.iter().map(|&id| &schema.types[id]);
    let checked = named.map(|ty| match ty.log() {
        Some(_) => Ok(ty),
        None => {
            let known: Vec<&str> = logs().map(|ty| ty.name.as_str()).collect();
            let told = "is no log type, so it has no days; those are";
            let told = format!("{told} {}", known.join(", "));
            Err(Error::invalid(&*ty.name, told))
        }
    });
    checked.collect()
}

/// Writes the objects of log types, as of one moment, below a directory.
///
/// Files of days that the store holds are made anew; those of other days stay, so history that the
/// store no longer keeps is kept there.
///
/// # Errors
/// `Invalid` where a type is no log; those of the engine; `Internal` where a file cannot be written.
pub async fn export(
    store: &Store,
    selection: &Selection,
    directory: &Path,
    progress: Progress<'_>,
) -> Result<Written> {
    let types = logs(selection, store.schema())?;
    let who = Principal::Operator;
    let mut reader = store.read(&who, Scope::Consistent, None).await?;
    let mut written = Written::default();
    for ty in types {
        let mut days = Days::new(ty, selection, directory);
        let mut after: Option<Id> = None;
        loop {
            let page = reader.page(ty.id, after.as_ref()).await?;
            let read = page.rows.len() as u64;
            for row in page.rows {
                days.take(row)?;
            }
            days.close_past(page.next.as_ref())?;
            progress(read);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        written.files += days.written.files;
        written.rows += days.written.rows;
    }
    Ok(written)
}

/// The days of a type that are being written.
struct Days<'a> {
    ty: &'a Type,
    /// The position of the time that tells the day.
    time: usize,
    /// The folder of the type.
    folder: PathBuf,
    schema: TypePtr,
    columns: Vec<Column<'a>>,
    properties: Arc<WriterProperties>,
    open: BTreeMap<i64, Day>,
    /// All days before this one are closed.
    closed_before: i64,
    written: Written,
}

impl<'a> Days<'a> {
    fn new(ty: &'a Type, selection: &Selection, directory: &Path) -> Self {
        let columns = columns::of(ty, selection.without_secrets);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("osis ", env!("CARGO_PKG_VERSION")).to_owned());
        Self {
            ty,
            time: ty.log().map_or(0, |log| log.time),
            folder: directory.join(&ty.plural),
            schema: columns::schema(ty, &columns),
            columns,
            properties: Arc::new(properties.build()),
            open: BTreeMap::new(),
            closed_before: i64::MIN,
            written: Written::default(),
        }
    }

    fn take(&mut self, row: Row) -> Result<()> {
        let happened = row.values[self.time].as_time().unwrap_or(Time::MIN);
        let number = happened.as_millis().div_euclid(DAY_MS);
        if number < self.closed_before {
            let told = format!(
                "{} {} happened on another day than its id says; `osis check` knows more",
                self.ty.name, row.id
            );
            return Err(Error::new(ErrorKind::Internal, told));
        }
        let day = self.open.entry(number).or_default();
        day.weight += weight(&row);
        day.rows.push(row);
        if day.rows.len() >= GROUP.0 || day.weight >= GROUP.1 {
            self.write(number)?;
        }
        Ok(())
    }

    /// Closes the days of which nothing can come behind an id any more; all of them at the end.
    fn close_past(&mut self, last: Option<&Id>) -> Result<()> {
        if let Some(last) = last {
            let at = last.uuid_v7_time().map_or(0, Time::as_millis);
            let oldest = at.saturating_sub(LOG_ID_SLACK_MS);
            // Ids cannot tell times before 1970 apart.
            if oldest > 0 {
                self.closed_before = oldest.div_euclid(DAY_MS);
            }
        } else {
            self.closed_before = i64::MAX;
        }
        while let Some((&number, _)) = self.open.first_key_value()
            && number < self.closed_before
        {
            self.write(number)?;
            if let Some(writer) = self.open.remove(&number).and_then(|day| day.writer) {
                self.written.files += 1;
                let path = self.path(number);
                finish(writer, &path)?;
            }
        }
        Ok(())
    }

    /// Writes what is held of a day.
    fn write(&mut self, number: i64) -> Result<()> {
        let path = self.path(number);
        let Some(day) = self.open.get_mut(&number) else {
            return Ok(());
        };
        if day.rows.is_empty() {
            return Ok(());
        }
        let writer = match &mut day.writer {
            Some(writer) => writer,
            none => none.insert(create(&path, &self.schema, &self.properties)?),
        };
        columns::write(writer, &self.columns, &day.rows).map_err(|e| failed(&path, &e))?;
        self.written.rows += day.rows.len() as u64;
        day.rows.clear();
        day.weight = 0;
        Ok(())
    }

    /// Where the file of a day lies.
    fn path(&self, number: i64) -> PathBuf {
        let at = Time::from_millis(number * DAY_MS).unwrap_or(Time::MIN);
        let date = at.to_civil().date();
        let column = match self.ty.field("date") {
            Some(_) => "_date",
            None => "date",
        };
        let folder = self.folder.join(format!("{column}={date}"));
        folder.join(format!("{}.parquet", self.ty.plural))
    }
}

/// A day of which not everything is written.
#[derive(Default)]
struct Day {
    writer: Option<SerializedFileWriter<File>>,
    rows: Vec<Row>,
    weight: usize,
}

/// Begins a file, under another name until it is whole.
fn create(
    path: &Path,
    schema: &TypePtr,
    properties: &Arc<WriterProperties>,
) -> Result<SerializedFileWriter<File>> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|e| failed(folder, &e.into()))?;
    let file = File::create(unfinished(path)).map_err(|e| failed(path, &e.into()))?;
    SerializedFileWriter::new(file, Arc::clone(schema), Arc::clone(properties))
        .map_err(|e| failed(path, &e))
}

fn finish(writer: SerializedFileWriter<File>, path: &Path) -> Result<()> {
    let file = writer.into_inner().map_err(|e| failed(path, &e))?;
    file.sync_all()
        .and_then(|()| std::fs::rename(unfinished(path), path))
        .map_err(|e| failed(path, &e.into()))
}

fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("parquet.unfinished")
}

fn failed(path: &Path, error: &ParquetError) -> Error {
    let told = format!("{} cannot be written: {error}", path.display());
    Error::internal(told, error.to_string())
}
