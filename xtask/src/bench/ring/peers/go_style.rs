//! The plain lapping ring that one writes in Go: a counter, and a pointer in each slot. It has no batches.

use crate::bench::ring::{
    payload::Payload,
    peer::{Batch, Check, Patience, Peer, Publish, Receive},
};
use arc_swap::ArcSwapOption;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub(crate) struct GoStyle;

struct Shared<V> {
    tail: AtomicU64,
    slots: Vec<ArcSwapOption<(u64, V)>>,
}

impl<V> Shared<V> {
    fn slot(&self, sequence: u64) -> &ArcSwapOption<(u64, V)> {
        &self.slots[sequence as usize & (self.slots.len() - 1)]
    }
}

pub(crate) struct GoProducer<V>(Arc<Shared<V>>);

pub(crate) struct GoConsumer<V> {
    shared: Arc<Shared<V>>,
    next: u64,
}

impl<V: Payload> Peer<V> for GoStyle {
    const LAPS: bool = true;
    type Producer = GoProducer<V>;
    type Consumer = GoConsumer<V>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        let shared = Arc::new(Shared {
            tail: AtomicU64::new(0),
            slots: (0..capacity).map(|_| ArcSwapOption::empty()).collect(),
        });
        let producer = || GoProducer(Arc::clone(&shared));
        let consumer = || GoConsumer {
            shared: Arc::clone(&shared),
            next: 0,
        };
        (
            (0..producers).map(|_| producer()).collect(),
            (0..consumers).map(|_| consumer()).collect(),
        )
    }
}

impl<V: Payload> Publish<V> for GoProducer<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, _patience: &mut Patience) {
        for value in batch {
            let sequence = self.0.tail.fetch_add(1, Ordering::AcqRel);
            let record = Arc::new((sequence, value));
            self.0.slot(sequence).store(Some(record));
        }
    }
}

impl<V: Payload> Receive<V> for GoConsumer<V> {
    #[inline]
    fn receive(&mut self, most: usize, check: &mut impl Check<V>) {
        for _ in 0..most {
            if self.next >= self.shared.tail.load(Ordering::Acquire) {
                return;
            }
            let slot = self.shared.slot(self.next).load();
            match &*slot {
                Some(record) if record.0 == self.next => check.record(&record.1),
                Some(record) if record.0 > self.next => {
                    let capacity = self.shared.slots.len() as u64;
                    let oldest = self.shared.tail.load(Ordering::Acquire) - capacity;
                    check.lost(oldest - self.next);
                    self.next = oldest;
                    continue;
                }
                _ => return, // claimed and not there yet
            }
            self.next += 1;
        }
    }
}
