//! Benches: each figure is a median of several runs of release builds, printed with its spread, the
//! machine and the versions; nothing here is asserted, because machines are shared and noisy.
//!
//! The peers are dependencies of the features `bench` and `bench-servers` only. Where an area needs them,
//! the task builds itself again with them, in release, and goes on there.

#[cfg(feature = "bench")]
mod batcher;
mod bench_run;
mod pipe;
mod report;
#[cfg(feature = "bench")]
mod ring;

use crate::command::{self, cargo};
use anyhow::Result;
use bench_run::BenchRun;
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
    /// Only the groups whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Also write the figures as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Area {
    /// `ringbuf-core` beside the rings, channels and queues that one would take instead
    Ring,
    /// `footman-batcher` beside channels with hand-written loops, and the crates that batch
    Batcher,
    /// The server, as its users meet it: `footman produce`, `footman serve`, `footman consume`
    Servers,
    /// Everything
    All,
}

impl Area {
    /// The feature of this crate that brings the peers of the area.
    fn feature(self) -> Option<&'static str> {
        match self {
            Self::Servers => None,
            Self::Ring | Self::Batcher | Self::All => Some("bench"),
        }
    }

    fn is_built(self) -> bool {
        match self.feature() {
            None => true,
            Some("bench") => cfg!(feature = "bench"),
            Some(_) => cfg!(feature = "bench-servers"),
        }
    }
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    if let Some(feature) = flags.area.feature()
        && !flags.area.is_built()
    {
        return run_with(feature);
    }
    let mut bench = BenchRun::new(flags.quick, flags.only.clone());
    #[cfg(feature = "bench")]
    if matches!(flags.area, Area::Ring | Area::All) {
        ring::measure(&mut bench)?;
    }
    #[cfg(feature = "bench")]
    if matches!(flags.area, Area::Batcher | Area::All) {
        batcher::measure(&mut bench)?;
    }
    if matches!(flags.area, Area::Servers | Area::All) {
        command::run(cargo().args(["build", "--release", "--locked", "--package", "footman"]))?;
        pipe::measure(&mut bench)?;
    }
    let report = bench.into_report();
    println!("\n{report}");
    if let Some(file) = &flags.json {
        report.write_json(file)?;
    }
    Ok(())
}

/// Runs this same task from a build that has its peers.
fn run_with(feature: &str) -> Result<()> {
    let mut again = cargo();
    again.args([
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "xtask",
        "--features",
        feature,
        "--",
    ]);
    command::run(again.args(std::env::args_os().skip(1)))
}
