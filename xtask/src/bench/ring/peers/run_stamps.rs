//! The other way to have many producers, at its best: a claim by `fetch_add`, and a stamp for each run.
//!
//! A producer claims the sequences of its whole batch at once, writes its records, and publishes them by one store: the
//! end of its run, as a stamp at the place of its first record. A reader loads one stamp a run. This is the least
//! that such a ring can do: numbers only, places that are never taken back, and consumers whom the harness
//! holds producers back for, so that nothing is lapped and no claim is left unfinished.

use crate::bench::ring::peer::{Batch, Check, Patience, Peer, Publish, Receive};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub(crate) struct RunStamps;

#[repr(align(128))]
struct Claimed(AtomicU64);

struct Shared {
    claimed: Claimed,
    /// At the place of a run's first record: the sequence after its last one.
    stamps: Vec<AtomicU64>,
    values: Vec<AtomicU64>,
}

impl Shared {
    fn place(&self, sequence: u64) -> usize {
        sequence as usize & (self.values.len() - 1)
    }
}

pub(crate) struct RunProducer(Arc<Shared>);

pub(crate) struct RunConsumer {
    shared: Arc<Shared>,
    next: u64,
    /// Where the run ends in which `next` is, if it is in one.
    end: u64,
}

impl Peer<u64> for RunStamps {
    const LAPS: bool = true;
    type Producer = RunProducer;
    type Consumer = RunConsumer;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        let words = || (0..capacity).map(|_| AtomicU64::new(0)).collect();
        let shared = Arc::new(Shared {
            claimed: Claimed(AtomicU64::new(0)),
            stamps: words(),
            values: words(),
        });
        let producer = || RunProducer(Arc::clone(&shared));
        let consumer = || RunConsumer {
            shared: Arc::clone(&shared),
            next: 0,
            end: 0,
        };
        (
            (0..producers).map(|_| producer()).collect(),
            (0..consumers).map(|_| consumer()).collect(),
        )
    }
}

impl Publish<u64> for RunProducer {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, u64>, _patience: &mut Patience) {
        let shared = &*self.0;
        let records = batch.len() as u64;
        let first = shared.claimed.0.fetch_add(records, Ordering::Relaxed);
        for (sequence, value) in (first..).zip(batch) {
            shared.values[shared.place(sequence)].store(value, Ordering::Relaxed);
        }
        shared.stamps[shared.place(first)].store(first + records, Ordering::Release);
    }
}

impl Receive<u64> for RunConsumer {
    #[inline]
    fn receive(&mut self, most: usize, check: &mut impl Check<u64>) {
        let shared = &*self.shared;
        if self.next == self.end {
            // A stamp that an earlier lap left here is not beyond `next`.
            let stamp = shared.stamps[shared.place(self.next)].load(Ordering::Acquire);
            self.end = self.end.max(stamp);
        }
        let to = self.end.min(self.next + most as u64);
        for sequence in self.next..to {
            check.record(&shared.values[shared.place(sequence)].load(Ordering::Relaxed));
        }
        self.next = to;
    }
}
