//! One module a command.

mod backup;
mod call;
mod check;
mod digest;
mod export;
mod import;
mod litestream;
mod migrate;
mod restore;
mod schema;
mod seed;
mod serve;

use crate::args::{Args, Command, Schema};
use crate::failure::Failure;

/// Runs the command that was asked for.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let common = &args.common;
    match &args.command {
        Command::Serve(options) => serve::run(common, options).await,
        Command::Call(options) => call::run(common, options).await,
        Command::Seed(options) => seed::run(common, options).await,
        Command::Export(options) => export::run(common, options).await,
        Command::Import(options) => import::run(common, options).await,
        Command::Migrate(options) => migrate::run(common, options).await,
        Command::Check(options) => check::run(common, options).await,
        Command::Backup(options) => backup::run(common, options).await,
        Command::Restore(options) => restore::run(common, options).await,
        Command::Digest => digest::run(common).await,
        Command::Schema(Schema::Show) => schema::show(common).await,
        Command::Schema(Schema::Import(options)) => schema::import(common, options),
    }
}

/// Prints a line of results; a reader that has gone is no failure.
fn print(text: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
