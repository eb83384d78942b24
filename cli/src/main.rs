//! `footman`: the server and the command line of Footman, Kafka in memory.
//!
//! Parse, run, exit code. What a command does is in its file under `commands/`; what it reads and writes is
//! cut and formed by `input`, `start`, `quantity` and `output`, which are pure.

#![forbid(unsafe_code)]

mod activity;
mod advice;
mod args;
mod commands;
mod config;
mod connection;
mod corpus;
mod input;
mod notice;
mod outcome;
mod output;
mod pem;
mod quantity;
mod resume;
mod screen;
mod server_limits;
mod signal;
mod source;
mod start;
mod stdout;
mod template;
mod text_table;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::args::{Cli, Command};
use crate::notice::{Stderr, notice};
use crate::outcome::Outcome;

/// A connection has 28 KiB of HTTP/2's buffers of which most is never touched. This allocator gives the same places to the next
/// connection; the system's lays others over them, so that each wave of peers costs more, up to all of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::read();
    start_logging();
    match run(cli) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            notice(&advice::explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<Outcome> {
    let server = &cli.server;
    match cli.command {
        Command::Serve(args) => block_on(commands::serve::run(args)),
        Command::Produce(args) => block_on(commands::produce::run(server, args)),
        Command::Consume(args) => block_on(commands::consume::run(server, args)),
        Command::Topics(command) => block_on(commands::topics::run(server, command)),
        Command::Top(args) => block_on(commands::top::run(server, args)),
        Command::Bench(command) => block_on(commands::bench::run(server, command)),
        Command::Info(args) => block_on(commands::info::run(server, args)),
        Command::Demo(args) => block_on(commands::demo::run(args)),
        Command::Completions { shell } => commands::shell::completions(shell),
        Command::Man { folder } => commands::shell::man(&folder),
    }
}

fn block_on(command: impl Future<Output = Result<Outcome>>) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(command);
    // Whatever still runs has nothing left to say, and must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// Logs go to stderr; warnings and errors unless `RUST_LOG` says otherwise. Of h2 only errors: it warns of every peer that breaks
/// HTTP/2's rules, and peers must not fill the log.
fn start_logging() {
    let said = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let said = if said.is_empty() {
        "warn,h2=error"
    } else {
        &said
    };
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .parse_lossy(said);
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Stderr)
        .with_ansi(std::io::stderr().is_terminal() && !no_color)
        .init();
}
