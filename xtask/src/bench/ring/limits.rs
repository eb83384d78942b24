//! What the machine itself can do: no ring is faster than these.

use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::Result;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let count = if bench.quick() { 5_000_000 } else { 20_000_000 };
    bench.group(
        "ring/limits/fetch-add",
        ("ns", Better::Lower),
        vec![(
            "limit:fetch_add".into(),
            Box::new(move || Ok(fetch_add(count))),
        )],
    )
}

/// Nanoseconds of one uncontended `fetch_add`.
fn fetch_add(count: u64) -> f64 {
    let word = AtomicU64::new(0);
    let began = Instant::now();
    for _ in 0..count {
        std::hint::black_box(&word).fetch_add(1, Ordering::Relaxed);
    }
    began.elapsed().as_secs_f64() * 1e9 / count as f64
}
