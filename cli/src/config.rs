//! Options from the environment and the configuration file.
//!
//! The command line wins over the environment, that over the file, that over the default. Both are
//! hung on clap's own description of the options, so every option has them and none is forgotten:
//! `--max-batch` of `serve` is `OSIS_MAX_BATCH`, and `max_batch` under `[serve]` in the file.

use std::ffi::OsString;

use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command, CommandFactory as _};
use toml::{Table, Value};

use crate::args::Args;
use crate::failure::Failure;

/// The file that is read where `--config` names none, if it is there.
const DEFAULT_FILE: &str = "osis.toml";

/// The command line with the defaults of environment and configuration file.
///
/// # Errors
/// If the file cannot be read, or names an option that is not there.
pub(crate) fn command() -> Result<Command, Failure> {
    let table = match named_file() {
        Some(path) => Some(read(&path.to_string_lossy())?),
        None if std::path::Path::new(DEFAULT_FILE).exists() => Some(read(DEFAULT_FILE)?),
        None => None,
    };
    let mut command = with_environment(Args::command());
    if let Some(table) = table {
        command = with_file(command, &table, "")?;
    }
    Ok(command)
}

/// What `--config` or `OSIS_CONFIG` says: looked at before clap, since the rest depends on it.
fn named_file() -> Option<OsString> {
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--config" {
            return args.next();
        }
        if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    std::env::var_os("OSIS_CONFIG")
}

fn read(path: &str) -> Result<Table, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::misused(format!("cannot read {path}: {error}")))?;
    text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        Failure::misused(format!("{path}:{line}: {}", error.message()))
    })
}

fn with_environment(command: Command) -> Command {
    command
        .mut_args(|arg| {
            let built_in = matches!(arg.get_id().as_str(), "help" | "version");
            match arg.get_long() {
                Some(long) if !built_in => {
                    let name = format!("OSIS_{}", long.replace('-', "_").to_uppercase());
                    with_words(arg.env(name).hide_env_values(true))
                }
                _ => arg,
            }
        })
        .mut_subcommands(with_environment)
}

/// Lets a flag be turned off as well: `--json=false`, `OSIS_JSON=1`, `json = true`.
fn with_words(arg: Arg) -> Arg {
    match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .hide_default_value(true)
            .hide_possible_values(true)
            .value_parser(BoolishValueParser::new()),
        _ => arg,
    }
}

/// Takes the file's values as defaults. A table is a command; a key outside of tables is an option
/// of every command that has it.
fn with_file(mut command: Command, table: &Table, place: &str) -> Result<Command, Failure> {
    for (name, value) in table {
        let place = format!("{place}{name}");
        if let (Value::Table(inner), Some(sub)) = (value, command.find_subcommand(name)) {
            let changed = with_file(sub.clone(), inner, &format!("{place}."))?;
            command = command.mut_subcommand(name, |_| changed);
            continue;
        }
        let long = name.replace('_', "-");
        let texts = texts(value).ok_or_else(|| {
            Failure::misused(format!(
                "the configuration's {place} is no value of an option"
            ))
        })?;
        let known = std::iter::once(&command).chain(command.get_subcommands());
        if !known.into_iter().any(|command| has(command, &long)) {
            let message = format!("the configuration names {place}, which is no option");
            return Err(Failure::misused(message));
        }
        command = with_default(command, &long, &texts);
        command = command.mut_subcommands(|sub| with_default(sub, &long, &texts));
    }
    Ok(command)
}

fn has(command: &Command, long: &str) -> bool {
    command
        .get_arguments()
        .any(|arg| arg.get_long() == Some(long))
}

fn with_default(command: Command, long: &str, texts: &[String]) -> Command {
    command.mut_args(|arg| match arg.get_long() {
        Some(own) if own == long => arg.default_values(texts.to_vec()),
        _ => arg,
    })
}

/// A value as command line texts.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Integer(n) => Some(vec![n.to_string()]),
        Value::Boolean(b) => Some(vec![b.to_string()]),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}
