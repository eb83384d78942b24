//! Benches: each figure is a median of several runs of release builds, printed with its spread, the
//! machine and the versions; nothing here is asserted, because machines are shared and noisy.

mod pipe;
mod report;

use crate::command::{self, cargo};
use anyhow::Result;
use report::Report;
use std::path::PathBuf;

/// Measures; the groups and the JSON are those that scripts may rely on.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// What to measure
    #[arg(value_enum, default_value_t = Area::All)]
    area: Area,
    /// Fewer and shorter runs
    #[arg(long)]
    quick: bool,
    /// Also write the figures as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Area {
    /// The server, as its users meet it: `footman produce`, `footman serve`, `footman consume`
    Servers,
    /// Everything
    All,
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    command::run(cargo().args(["build", "--release", "--locked", "--package", "footman"]))?;
    let mut report = Report::new();
    match flags.area {
        Area::Servers | Area::All => pipe::measure(flags.quick, &mut report)?,
    }
    println!("\n{report}");
    if let Some(file) = &flags.json {
        report.write_json(file)?;
    }
    Ok(())
}
