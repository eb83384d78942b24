//! Benches: each figure is a median of several runs of release builds, printed with its spread, the
//! machine and the versions; nothing here is asserted, because machines are shared and noisy.
//!
//! The peers are dependencies of the features `bench` and `bench-servers` only. Where an area needs them,
//! the task builds itself again with them, in release, and goes on there.

#[cfg(feature = "bench")]
mod batcher;
mod bench_run;
#[cfg(feature = "bench")]
mod broker;
mod chart;
mod compare;
#[cfg(feature = "bench")]
pub(crate) mod grpc;
mod html;
mod machine;
mod pipe;
mod report;
#[cfg(feature = "bench")]
mod ring;
#[cfg(feature = "bench-servers")]
mod servers;
mod table;

use crate::command::{self, cargo, target};
use anyhow::{Context as _, Result, ensure};
use bench_run::BenchRun;
use report::Report;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

/// Measures: ours and the peers in one run, medians and their spread, ratios.
///
/// Prints a table a group as it goes, and writes a page with plots. The groups and the JSON are those that
/// scripts may rely on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench ring --quick --only ring/1to1
  cargo xtask bench all --json target/bench/all.json
  cargo xtask bench all --compare target/bench/all.json
  cargo xtask bench --from target/bench/all.json --only servers/fanout/ --svg docs/plots")]
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
    /// Say what changed since an older run's JSON, by more than its spread
    #[arg(long, value_name = "OLD")]
    compare: Option<PathBuf>,
    /// Where to write the page with plots [default: bench/report.html in the build folder]
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Also write each plot as an SVG into this folder
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
    /// Measure nothing: report on the figures of an older run's JSON
    #[arg(long, value_name = "OLD", conflicts_with_all = ["quick", "json"])]
    from: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Area {
    /// `ringbuf-core` beside the rings, channels and queues that one would take instead
    Ring,
    /// `footman-batcher` beside channels with hand-written loops, and the crates that batch
    Batcher,
    /// `footman-broker` beside the bare ring and tokio's broadcast channel
    Broker,
    /// The gRPC server beside the servers that one writes with tonic
    Grpc,
    /// The server and its clients beside NATS, Kafka and Redis with theirs (`cargo xtask peers` fetches them);
    /// and as its users meet it: `footman produce`, `footman serve`, `footman consume`
    Servers,
    /// Everything
    All,
}

impl Area {
    /// The feature of this crate that brings the peers of the area.
    fn feature(self) -> &'static str {
        match self {
            Self::Ring | Self::Batcher | Self::Broker | Self::Grpc => "bench",
            Self::Servers | Self::All => "bench-servers",
        }
    }

    fn is_built(self) -> bool {
        match self {
            Self::Ring | Self::Batcher | Self::Broker | Self::Grpc => cfg!(feature = "bench"),
            Self::Servers | Self::All => cfg!(feature = "bench-servers"),
        }
    }
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    // Read before anything is measured: a file that is not there is said at once.
    let read = |file: &Option<PathBuf>| file.as_deref().map(Report::read_json).transpose();
    let (old, kept) = (read(&flags.compare)?, read(&flags.from)?);
    let report = match kept {
        Some(report) => report.only(flags.only.as_deref()),
        None => {
            if !flags.area.is_built() {
                return run_with(flags.area.feature());
            }
            measure(flags)?
        }
    };
    ensure!(!report.is_empty(), "there is no such group");
    println!("{}", table::summary(&report));
    if let Some(old) = &old {
        println!("{}", compare::table(old, &report));
    }
    if let Some(file) = &flags.json {
        report.write_json(file)?;
    }
    let default = || target().join("bench/report.html");
    let html = flags.html.clone().unwrap_or_else(default);
    write(&html, &html::page(&report, old.as_ref())?)?;
    println!("plots and all figures: {}", html.display());
    if let Some(folder) = &flags.svg {
        for chart in chart::all(&report)? {
            write(&folder.join(chart.file_name()), &chart.svg)?;
        }
    }
    Ok(())
}

fn measure(flags: &Flags) -> Result<Report> {
    let started = Instant::now();
    let mut bench = BenchRun::new(flags.quick, flags.only.clone());
    #[cfg(feature = "bench")]
    if matches!(flags.area, Area::Ring | Area::All) {
        ring::measure(&mut bench)?;
    }
    #[cfg(feature = "bench")]
    if matches!(flags.area, Area::Batcher | Area::All) {
        batcher::measure(&mut bench)?;
    }
    #[cfg(feature = "bench")]
    if matches!(flags.area, Area::Broker | Area::All) {
        broker::measure(&mut bench)?;
    }
    if matches!(flags.area, Area::Grpc | Area::Servers | Area::All) {
        command::run(cargo().args(["build", "--release", "--locked", "--package", "footman"]))?;
    }
    #[cfg(feature = "bench")]
    if matches!(flags.area, Area::Grpc | Area::All) {
        grpc::measure(&mut bench)?;
    }
    if matches!(flags.area, Area::Servers | Area::All) {
        #[cfg(feature = "bench-servers")]
        servers::measure(&mut bench)?;
        pipe::measure(&mut bench)?;
    }
    bench.show();
    let report = bench.into_report();
    println!("\nmeasured in {:.0?}", started.elapsed());
    Ok(report)
}

fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
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
