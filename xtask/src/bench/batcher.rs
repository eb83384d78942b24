//! `footman-batcher` beside what one would take instead: channels and hand-written loops, stream adapters,
//! and the crates that batch requests.
//!
//! All contenders get the same items (`u64`), the same limits and the same processor, which counts and sums
//! what it is given; every run checks the count and the sum.

mod caller;
mod linger;
mod lost;
mod memory;
mod rate;
mod reply;
mod tally;
mod tasks;
mod threads;
mod wake;

use super::bench_run::BenchRun;
use anyhow::Result;
use std::time::Duration;

pub(crate) fn measure(bench: &mut BenchRun) -> Result<()> {
    if memory::measure_one_for_parent()? {
        return Ok(());
    }
    rate::measure(bench)?;
    caller::measure(bench)?;
    reply::measure(bench)?;
    wake::measure(bench)?;
    linger::measure(bench)?;
    memory::measure(bench)?;
    lost::measure(bench)
}

/// Our name in the report.
const OURS: &str = "footman-batcher";

/// What every contender is set to.
#[derive(Debug, Clone, Copy)]
struct Shape {
    batch: usize,
    workers: usize,
    capacity: usize,
    linger: Duration,
}

impl Shape {
    fn of(batch: usize, workers: usize) -> Self {
        Self {
            batch,
            workers,
            capacity: 1024,
            linger: Duration::from_millis(5),
        }
    }
}
