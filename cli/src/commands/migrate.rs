//! `osis migrate`

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use osis_core::Row;
use osis_core::Store;
use osis_core::backend::Problem;
use osis_core::schema::{Schema, Source as SchemaSource, TypeId, load};
use osis_core::store::Principal;
use osis_migrate::dedup::Policy;
use osis_migrate::follow::{Until, follow};
use osis_migrate::legacy::{Legacy, NameMap};
use osis_migrate::run::{Part, Report, Watch, look, migrate};
use osis_migrate::source::{Source, StoreSource};
use tokio::signal::unix::{SignalKind, signal};

use super::print;
use crate::args::{Common, Dedup, Migrate};
use crate::failure::Failure;
use crate::progress;
use crate::stores::{self, Purpose};

/// What a directory of the original OSIS is named by.
const LEGACY: &str = "osis-legacy:";

pub(super) async fn run(common: &Common, options: &Migrate) -> Result<(), Failure> {
    match options.from.strip_prefix(LEGACY) {
        Some(directory) => from_legacy(common, options, Path::new(directory)).await,
        None => from_store(common, options).await,
    }
}

async fn from_legacy(common: &Common, options: &Migrate, from: &Path) -> Result<(), Failure> {
    if options.follow {
        let message = "--follow goes with stores alone: a directory of the original OSIS does not \
                       tell what changes";
        return Err(Failure::misused(message));
    }
    let map = match &options.map {
        None => NameMap::default(),
        Some(file) => NameMap::parse(&file.display().to_string(), &stores::read(file)?)?,
    };
    let schema = Arc::new(stores::schema(common)?);
    let bar = progress::counter("reading");
    let policy = policy(options.dedup);
    let source = Legacy::open(from, schema, map, policy, &mut |n| bar.inc(n))?;
    bar.finish_and_clear();
    let unreadable = source.unreadable().iter().map(ToString::to_string);
    refuse_unreadable(&unreadable.collect::<Vec<_>>(), options)?;
    let mut bars = Bars::new();
    let plan = look(&source, policy, &mut bars).await?;
    let target = target(common, options, source.schema())?;
    let report = migrate(&source, plan, &target, &mut bars).await?;
    bars.clear();
    tell(common, options, &report)?;
    Ok(target.close().await?)
}

async fn from_store(common: &Common, options: &Migrate) -> Result<(), Failure> {
    if options.map.is_some() {
        return Err(Failure::misused(
            "--map goes with --from osis-legacy:DIR alone",
        ));
    }
    let source = stores::open_at(common, &options.from, stores::schema(common)?, Purpose::Use)?;
    let beside = beside(&source, options).await?;
    let source = StoreSource::new(source, name(&options.from), beside).await?;
    let mut bars = Bars::new();
    let plan = look(&source, policy(options.dedup), &mut bars).await?;
    let target = target(common, options, source.schema())?;
    let report = match options.follow {
        false => migrate(&source, plan, &target, &mut bars).await?,
        true => follow_until(&source, &target, options, &mut bars).await?,
    };
    bars.clear();
    tell(common, options, &report)?;
    target.close().await?;
    Ok(source.store().close().await?)
}

async fn follow_until(
    source: &StoreSource,
    target: &Store,
    options: &Migrate,
    bars: &mut Bars,
) -> Result<Report, Failure> {
    if options.until_caught_up {
        return Ok(follow(source, target, bars, Until::CaughtUp).await?);
    }
    // From now on: whoever asks during the copy is heard behind it.
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|error| Failure::new(format!("error: no signals: {error}")))?;
    let mut stopped = pin!(async {
        interrupt.recv().await;
    });
    Ok(follow(source, target, bars, Until::Stopped(stopped.as_mut())).await?)
}

/// Opens the target, with the source's schema if it is new.
fn target(common: &Common, options: &Migrate, schema: &Schema) -> Result<Store, Failure> {
    if name(&options.from) == name(&options.to) {
        return Err(Failure::misused("--from and --to name the same store"));
    }
    let schema = load(&[SchemaSource::new(
        "the source's schema",
        schema.text.as_str(),
    )])?;
    stores::open_at(common, &options.to, schema, Purpose::Fill)
}

/// What lies in a store beside what it serves.
async fn beside(source: &Store, options: &Migrate) -> Result<Vec<(TypeId, Row)>, Failure> {
    let mut rows = Vec::new();
    let mut taken = HashSet::new();
    let mut unreadable: Vec<Problem> = Vec::new();
    for unserved in source.unserved(&Principal::Operator).await? {
        match unserved.row {
            Ok(row) => {
                rows.push((unserved.type_id, row));
                taken.insert(unserved.path);
            }
            Err(problem) => unreadable.push(problem),
        }
    }
    // Events lie many in a file, and an object may be served as it was before its file was broken.
    for problem in source.problems(&Principal::Operator) {
        let is_known = |known: &Problem| known.path == problem.path;
        if !taken.contains(&problem.path) && !unreadable.iter().any(is_known) {
            unreadable.push(problem);
        }
    }
    let lines: Vec<String> = unreadable
        .iter()
        .map(|problem| match problem.line {
            Some(line) => format!("{}:{line}: {}", problem.path, problem.message),
            None => format!("{}: {}", problem.path, problem.message),
        })
        .collect();
    refuse_unreadable(&lines, options)?;
    Ok(rows)
}

/// Refuses files that cannot be read, or names them where they are left out.
fn refuse_unreadable(lines: &[String], options: &Migrate) -> Result<(), Failure> {
    match lines.is_empty() || options.skip_unreadable {
        true => {
            lines.iter().for_each(|line| eprintln!("left out: {line}"));
            Ok(())
        }
        false => Err(Failure::new(format!(
            "error: {}\nerror: mend these files, or leave them out with --skip-unreadable",
            lines.join("\nerror: ")
        ))),
    }
}

fn policy(dedup: Dedup) -> Policy {
    match dedup {
        Dedup::Fail => Policy::Fail,
        Dedup::KeepOldest => Policy::KeepOldest,
        Dedup::KeepNewest => Policy::KeepNewest,
    }
}

/// What a URL names, the same however it is written, and without a password.
fn name(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once(':') else {
        return url.to_owned();
    };
    if let Some((credentials, host)) = rest.strip_prefix("//").and_then(|r| r.split_once('@')) {
        let user = credentials.split(':').next().unwrap_or_default();
        return format!("{scheme}://{user}@{host}");
    }
    let path = Path::new(rest);
    let absolute: PathBuf = path
        .canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned());
    format!("{scheme}:{}", absolute.display())
}

/// Prints and writes what was done.
fn tell(common: &Common, options: &Migrate, report: &Report) -> Result<(), Failure> {
    let json = serde_json::to_string(report)
        .map_err(|error| Failure::new(format!("error: the report cannot be written: {error}")))?;
    if let Some(file) = &options.report {
        std::fs::write(file, format!("{json}\n")).map_err(|error| {
            Failure::new(format!("error: cannot write {}: {error}", file.display()))
        })?;
    }
    if common.json {
        print(json);
        return Ok(());
    }
    for (name, of) in &report.types {
        print(format_args!("{} {:>9} {name}", of.digest, of.count));
    }
    for (name, of) in &report.rollups {
        print(format_args!(
            "{} {:>9} {name}, rolled up",
            of.digest, of.count
        ));
    }
    for dropped in &report.dropped {
        let (name, key) = (&dropped.type_name, &dropped.key);
        print(format_args!(
            "dropped {name} {}: {} has its {key}",
            dropped.id, dropped.kept
        ));
    }
    Ok(())
}

/// A bar for each part of the work.
struct Bars {
    bar: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Bars {
    fn begin(&mut self, part: Part, objects: Option<u64>) {
        self.clear();
        self.bar = match part {
            Part::Looking => progress::bar("looking for duplicates", objects),
            Part::Copying => progress::bar("copying", objects),
            Part::Comparing => progress::bar("comparing", objects),
        };
    }

    fn done(&mut self, objects: u64) {
        self.bar.inc(objects);
    }

    fn caught_up(&mut self) {
        self.clear();
        print("caught up");
    }

    fn cut_over(&mut self, pause: Duration) {
        self.clear();
        tracing::info!(pause_ms = pause.as_millis(), "cut over");
    }
}
