//! What a contender has to do: open a ring, append batches, read what is there.

use super::payload::{PRODUCER_SHIFT, Payload};
use std::{marker::PhantomData, thread};

/// A ring, channel or queue that can move records from each producer to all consumers.
pub(crate) trait Peer<V: Payload> {
    /// It laps consumers rather than wait for them.
    const LAPS: bool;

    type Producer: Publish<V> + Send;
    type Consumer: Receive<V> + Send;

    /// Ends of a new ring of `capacity` records, a power of two, with all its consumers at the start.
    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>);
}

pub(crate) trait Publish<V: Payload> {
    /// Appends the whole batch, waiting for room if the peer is one that waits.
    fn publish(&mut self, batch: Batch<'_, V>, patience: &mut Patience);
}

pub(crate) trait Receive<V: Payload> {
    /// Shows `check` the records that are there, without waiting: up to `most`, or all where the peer's own way
    /// is to take all.
    fn receive(&mut self, most: usize, check: &mut impl Check<V>);
}

/// The next records of a producer.
pub(crate) struct Batch<'s, V: Payload> {
    source: &'s V::Source,
    next: u64,
    end: u64,
}

impl<'s, V: Payload> Batch<'s, V> {
    pub(crate) fn new(source: &'s V::Source, first: u64, records: usize) -> Self {
        Self {
            source,
            next: first,
            end: first + records as u64,
        }
    }
}

impl<V: Payload> Clone for Batch<'_, V> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<V: Payload> Iterator for Batch<'_, V> {
    type Item = V;

    #[inline]
    fn next(&mut self) -> Option<V> {
        (self.next < self.end).then(|| {
            let value = V::make(self.source, self.next);
            self.next += 1;
            value
        })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.end - self.next) as usize;
        (left, Some(left))
    }
}

impl<V: Payload> ExactSizeIterator for Batch<'_, V> {}

/// What a consumer does with each record: looks whether it is the one that must come.
pub(crate) trait Check<V: Payload> {
    fn new(producers: usize) -> Self;

    fn record(&mut self, value: &V);

    /// The ring said that so many records were lost.
    fn lost(&mut self, records: u64);

    /// Records that came, and those that were said to be lost.
    fn seen(&self) -> u64;

    /// Records of one producer that came.
    fn seen_of(&self, producer: usize) -> u64;

    /// Whether each record was the right one.
    fn is_right(&self) -> bool;

    fn lost_records(&self) -> u64;
}

/// One producer: the records are consecutive, but for those lost.
pub(crate) struct InOrder<V> {
    next: u64,
    lost: u64,
    /// Not 0 once a record was a wrong one.
    wrong: u64,
    payload: PhantomData<V>,
}

impl<V: Payload> Check<V> for InOrder<V> {
    fn new(_producers: usize) -> Self {
        Self {
            next: 0,
            lost: 0,
            wrong: 0,
            payload: PhantomData,
        }
    }

    #[inline]
    fn record(&mut self, value: &V) {
        self.wrong |= value.number() ^ V::shown(self.next);
        self.next += 1;
    }

    fn lost(&mut self, records: u64) {
        self.lost += records;
        self.next += records;
    }

    #[inline]
    fn seen(&self) -> u64 {
        self.next
    }

    fn seen_of(&self, _producer: usize) -> u64 {
        self.next
    }

    fn is_right(&self) -> bool {
        self.wrong == 0
    }

    fn lost_records(&self) -> u64 {
        self.lost
    }
}

/// Several producers: the records of each are consecutive. None may be lost.
pub(crate) struct ByProducer<V> {
    next: Vec<u64>,
    seen: u64,
    lost: u64,
    wrong: u64,
    payload: PhantomData<V>,
}

impl<V: Payload> Check<V> for ByProducer<V> {
    fn new(producers: usize) -> Self {
        Self {
            next: vec![0; producers],
            seen: 0,
            lost: 0,
            wrong: 0,
            payload: PhantomData,
        }
    }

    #[inline]
    fn record(&mut self, value: &V) {
        let number = value.number();
        let producer = number >> PRODUCER_SHIFT;
        match self.next.get_mut(producer as usize) {
            Some(next) => {
                self.wrong |= number ^ V::shown((producer << PRODUCER_SHIFT) | *next);
                *next += 1;
            }
            None => self.wrong = u64::MAX,
        }
        self.seen += 1;
    }

    fn lost(&mut self, records: u64) {
        self.lost += records;
        self.seen += records;
    }

    #[inline]
    fn seen(&self) -> u64 {
        self.seen
    }

    fn seen_of(&self, producer: usize) -> u64 {
        self.next[producer]
    }

    fn is_right(&self) -> bool {
        self.wrong == 0
    }

    fn lost_records(&self) -> u64 {
        self.lost
    }
}

/// How a thread waits for another one: the same for all contenders.
#[derive(Debug, Clone)]
pub(crate) struct Patience {
    turns: u32,
    /// Spins before it lets others run: many where each thread has a core, few where threads share.
    spins: u32,
}

impl Patience {
    pub(crate) fn new(has_core: bool) -> Self {
        Self {
            turns: 0,
            spins: if has_core { 2_000 } else { 4 },
        }
    }

    pub(crate) fn reset(&mut self) {
        self.turns = 0;
    }

    pub(crate) fn pause(&mut self) {
        self.turns += 1;
        if self.turns > self.spins {
            thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}
