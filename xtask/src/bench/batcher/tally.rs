//! The processor of every contender: it counts and sums, so that a run can be checked.

use anyhow::{Result, ensure};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// What a contender calls with each batch.
pub(super) type Process = Arc<dyn Fn(&[u64]) + Send + Sync>;

/// What the processor has been given so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    count: AtomicU64,
    sum: AtomicU64,
    out_of_order: AtomicU64,
}

impl Tally {
    /// A tally and the processor that fills it.
    pub(super) fn new() -> (Arc<Self>, Process) {
        let tally = Arc::new(Self::default());
        let filled = Arc::clone(&tally);
        let process = move |batch: &[u64]| filled.add(batch);
        (tally, Arc::new(process))
    }

    fn add(&self, batch: &[u64]) {
        let sum = std::hint::black_box(batch).iter().sum();
        let count = self.count.fetch_add(batch.len() as u64, Relaxed);
        self.sum.fetch_add(sum, Relaxed);
        if batch.first() != Some(&count) {
            self.out_of_order.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Checks that `producers` times the numbers below `each` came, in order if only one went through
    /// one pair of hands.
    pub(super) fn check(&self, each: u64, producers: u64, workers: usize) -> Result<()> {
        let (count, sum) = (self.count(), self.sum.load(Relaxed));
        ensure!(
            (count, sum) == (each * producers, each * (each - 1) / 2 * producers),
            "{count} items with the sum {sum} came out of {producers} times {each}"
        );
        let batches = self.out_of_order.load(Relaxed);
        ensure!(
            producers > 1 || workers > 1 || batches == 0,
            "{batches} batches came out of order"
        );
        Ok(())
    }
}
