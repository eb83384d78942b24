//! `ringbuf-core` beside its peers, and the limits of the machine that both run on.

mod limits;

use super::bench_run::BenchRun;
use anyhow::Result;

pub(crate) fn measure(bench: &mut BenchRun) -> Result<()> {
    limits::measure(bench)
}
