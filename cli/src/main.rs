//! `osis`: a typed object store with full-text search, served over JSON-RPC.
//!
//! Exit status: 0 done, 1 failed or problems found, 2 wrong usage. Results go to standard output,
//! logs and progress to standard error.

mod args;
mod commands;
mod config;
mod failure;
mod progress;
mod stores;

use std::process::ExitCode;

use clap::FromArgMatches as _;

use args::Args;
use failure::Failure;

fn main() -> ExitCode {
    let matches = match config::command().and_then(|command| Ok(command.try_get_matches()?)) {
        Ok(matches) => matches,
        Err(failure) => return failure.report(),
    };
    let args = match Args::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => return Failure::from(error).report(),
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("OSIS_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(format!("cannot start threads: {error}")).report(),
    };
    match runtime.block_on(commands::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
