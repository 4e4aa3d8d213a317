//! The command line: every command and option, with its help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// A typed object store with full-text search, served over JSON-RPC.
#[derive(Debug, Parser)]
#[command(name = "osis", version, propagate_version = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Where the objects live: sqlite:FILE, file:DIR, postgres://HOST/DATABASE?schema=osis, or
    /// memory: for trying
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "sqlite:osis-data/osis.db"
    )]
    pub(crate) store: String,
    /// Where a file store keeps this host's caches [default: in the store; on a shared volume in
    /// the user's cache directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Configuration file; its keys are the options' names, its tables the commands'
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A schema beside the built-in one; may be given several times
    #[arg(long = "schema", global = true, value_name = "FILE")]
    pub(crate) schemas: Vec<PathBuf>,
    /// Leave the built-in schema out
    #[arg(long, global = true)]
    pub(crate) no_builtin_schema: bool,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a store over JSON-RPC (HTTP and WebSocket)
    Serve(Serve),
    /// Make one call, on a server or straight on a store
    Call(Call),
    /// Put the objects of seed files in place, each exactly once
    Seed(Seed),
    /// Write every object as a line of JSON
    Export(Export),
    /// Read the lines of an export
    Import(Import),
    /// Copy a store into another, once and whole
    Migrate(Migrate),
    /// Print a digest of all content, equal on stores that hold the same
    Digest,
    /// Look for what is wrong with a store
    Check(Check),
    /// Copy a store into a new directory, consistently, while it is in use
    Backup(Backup),
    /// Put a backup back in place
    Restore(Restore),
    /// The schema in force, and schemas of the original OSIS
    #[command(subcommand)]
    Schema(Schema),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7040")]
    pub(crate) listen: String,
    /// A seed file to put in place before serving; may be given several times
    #[arg(long = "seed", value_name = "FILE")]
    pub(crate) seeds: Vec<PathBuf>,
    /// Largest request body, such as 10MiB
    #[arg(long, value_name = "SIZE", default_value = "10MiB", value_parser = size)]
    pub(crate) max_request: usize,
    /// Most calls in one batch
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) max_batch: usize,
    /// Most connections at once
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(crate) max_connections: usize,
    /// Longest time that a call may take, such as 30s
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Call {
    /// The method, such as app_find
    pub(crate) method: String,
    /// Its parameters as JSON, such as '{"query": "editor"}'; - reads them from standard input
    pub(crate) params: Option<String>,
    /// Call this server instead of opening the store
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Seed {
    /// Seed files: .toml, .json, .ndjson
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What becomes of objects that are there
    #[arg(long, value_enum, default_value = "insert")]
    pub(crate) mode: Mode,
    /// Check and report, but keep nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What a seed does with objects that are there.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Mode {
    /// Leave them as they are
    Insert,
    /// Patch them with the named fields
    Update,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Only this type; may be given several times
    #[arg(long = "type", value_name = "T")]
    pub(crate) types: Vec<String>,
    /// Leave secret fields out
    #[arg(long)]
    pub(crate) no_secrets: bool,
    /// Write log types as Parquet below this directory instead, one file a day
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    pub(crate) parquet: Option<PathBuf>,
    /// The file to write; standard output if absent
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// The file to read; standard input if absent
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    /// What to copy: a store, or osis-legacy:DIR, a directory of the original OSIS
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// The store to copy it to: one that is not there, that is empty, or that this was begun with
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    /// What becomes of objects with the same key
    #[arg(long, value_enum, default_value = "fail")]
    pub(crate) dedup: Dedup,
    /// Leave files out that cannot be read, instead of failing
    #[arg(long)]
    pub(crate) skip_unreadable: bool,
    /// Types and fields of an osis-legacy: directory under other names (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) map: Option<PathBuf>,
    /// Go on copying what changes, until SIGINT
    #[arg(long)]
    pub(crate) follow: bool,
    /// With --follow: end as soon as the target has caught up
    #[arg(long, requires = "follow")]
    pub(crate) until_caught_up: bool,
    /// Write what was done to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Mend what can be mended without losing anything, and say what was done
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Backup {
    /// The directory to make; with --litestream-config where Litestream's replica is to be, a
    /// directory or a URL such as s3://BUCKET/PATH
    #[arg(value_name = "DEST", required_unless_present = "litestream_config")]
    pub(crate) dest: Option<String>,
    /// Print a configuration for Litestream, of this version, instead of making a backup
    #[arg(
        long,
        value_name = "VERSION",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0.5"
    )]
    pub(crate) litestream_config: Option<Litestream>,
}

/// A version of Litestream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Litestream {
    /// 0.5 and later
    #[value(name = "0.5")]
    Now,
    /// 0.3
    #[value(name = "0.3")]
    Before,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The directory of a backup
    #[arg(value_name = "SRC")]
    pub(crate) src: PathBuf,
    /// Replace a store that is not empty, or damaged
    #[arg(long)]
    pub(crate) force: bool,
}

/// What becomes of objects with the same key.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Dedup {
    /// They are listed, and nothing is done
    Fail,
    /// The oldest stays, by created_at, then id
    KeepOldest,
    /// The newest stays, by created_at, then id
    KeepNewest,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Schema {
    /// Print it as TOML (with --json: as JSON)
    Show,
    /// Turn the schema language of the original OSIS (.oschema) into TOML
    Import(SchemaImport),
}

#[derive(Debug, clap::Args)]
pub(crate) struct SchemaImport {
    /// The files; those that they include are read as well
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The schema's name; that of the first file if absent
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// Reads `10MiB`, `512KiB`, `1000`.
fn size(text: &str) -> Result<usize, String> {
    let wanted = || format!("expected a size such as 10MiB, 512KiB or 4096, got {text:?}");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        _ => return Err(wanted()),
    };
    let number: usize = digits.parse().map_err(|_| wanted())?;
    number
        .checked_mul(unit)
        .filter(|size| *size > 0)
        .ok_or_else(wanted)
}

/// Reads `30s`, `500ms`, `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    let wanted = || format!("expected a time such as 30s, 500ms or 2m, got {text:?}");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wanted())?;
    let time = match &text[digits.len()..] {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        _ => return Err(wanted()),
    };
    if time.is_zero() {
        Err(wanted())
    } else {
        Ok(time)
    }
}
