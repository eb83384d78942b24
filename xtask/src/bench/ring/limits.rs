//! What the machine itself can do: no ring is faster than these.

use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::Result;
use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// Memory that is copied: what a second-level cache holds twice, and what none does.
const COPIES: [(&str, usize); 2] = [
    ("limit:memcpy, 384 KiB", 384 << 10),
    ("limit:memcpy, 48 MiB", 48 << 20),
];

pub(crate) fn measure(bench: &mut BenchRun) -> Result<()> {
    let count = if bench.quick() { 5_000_000 } else { 20_000_000 };
    bench.group(
        "ring/limits/fetch-add",
        ("ns", Better::Lower),
        vec![(
            "limit:fetch_add".into(),
            Box::new(move || Ok(fetch_add(count))),
        )],
    )?;
    bench.group(
        "ring/limits/memcpy",
        ("GB/s", Better::Higher),
        COPIES
            .into_iter()
            .map(|(name, bytes)| (name.into(), Box::new(move || Ok(memcpy(bytes))) as Box<_>))
            .collect(),
    )
}

/// Nanoseconds of one uncontended `fetch_add`.
fn fetch_add(count: u64) -> f64 {
    let word = AtomicU64::new(0);
    let began = Instant::now();
    for _ in 0..count {
        black_box(&word).fetch_add(1, Ordering::Relaxed);
    }
    began.elapsed().as_secs_f64() * 1e9 / count as f64
}

/// Gigabytes a second copied from one place to another.
fn memcpy(bytes: usize) -> f64 {
    let (from, mut to) = (vec![1_u8; bytes], vec![0_u8; bytes]);
    let times = (1 << 28) / bytes;
    to.copy_from_slice(&from);
    let began = Instant::now();
    for _ in 0..times {
        black_box(&mut to[..]).copy_from_slice(black_box(&from));
    }
    (times * bytes) as f64 / began.elapsed().as_secs_f64() / 1e9
}
