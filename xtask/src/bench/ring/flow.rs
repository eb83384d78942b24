//! A flow of records between threads, and how fast it is.
//!
//! Every consumer gets every record. A peer that laps is held back by the harness: each consumer shows now and
//! then what it has seen, and no producer goes further than its part of half a ring beyond the slowest one; so all
//! contenders lose nothing and do the same work. Producers run for a time, not for a count; the rate is taken by
//! the consumers' clocks, from the record that ends the first lap to the last one.
//!
//! Where each thread can have a core it gets one and spins; where they are more, they share, and yield.

use super::{
    payload::{PRODUCER_SHIFT, Payload},
    peer::{Batch, ByProducer, Check, InOrder, Patience, Peer, Publish as _, Receive as _},
};
use anyhow::{Context as _, Result, ensure};
use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Records of a ring: the power of two above what Kafka-like topics keep in the Go original, 10 000.
pub(crate) const CAPACITY: usize = 16_384;

/// A consumer shows what it has seen after so many records, and when there are none.
const SHOW_EVERY: u64 = 512;

/// A producer looks at the clock after so many records.
const CLOCK_EVERY: u64 = 1_024;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) producers: usize,
    pub(crate) consumers: usize,
    pub(crate) batch: usize,
    pub(crate) time: Duration,
    /// Lapping peers are held back. If not, what they lose is counted.
    pub(crate) lossless: bool,
}

/// What one run found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    /// Million records a second that the consumers got, all together.
    pub(crate) delivered: f64,
    /// The part of the records that they lost.
    pub(crate) lost: f64,
}

/// A word alone on its cache lines.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Word(AtomicU64);

struct Shared {
    start: Barrier,
    stop: AtomicBool,
    producing: AtomicUsize,
    /// Records of all producers that have ended.
    published: AtomicU64,
    /// By consumer, by producer.
    seen: Vec<Vec<Word>>,
}

pub(crate) fn run<V: Payload, P: Peer<V>>(shape: Shape) -> Result<Flow> {
    if shape.producers == 1 {
        run_checked::<V, P, InOrder<V>>(shape)
    } else {
        run_checked::<V, P, ByProducer<V>>(shape)
    }
}

fn run_checked<V: Payload, P: Peer<V>, C: Check<V>>(shape: Shape) -> Result<Flow> {
    let (producers, consumers) = P::open(CAPACITY, shape.producers, shape.consumers);
    let threads = shape.producers + shape.consumers;
    let words = || (0..shape.producers).map(|_| Word::default()).collect();
    let shared = Shared {
        start: Barrier::new(threads),
        stop: AtomicBool::new(false),
        producing: AtomicUsize::new(shape.producers),
        published: AtomicU64::new(0),
        seen: (0..shape.consumers).map(|_| words()).collect(),
    };
    let (shared, held) = (&shared, P::LAPS && shape.lossless);
    let runs = thread::scope(|scope| {
        for (index, producer) in producers.into_iter().enumerate() {
            scope.spawn(move || produce::<V, P>(producer, index, shape, shared, held));
        }
        let consumers: Vec<_> = consumers
            .into_iter()
            .enumerate()
            .map(|(index, consumer)| {
                scope.spawn(move || consume::<V, P, C>(consumer, index, shape, shared))
            })
            .collect();
        consumers
            .into_iter()
            .map(|consumer| consumer.join().expect("a consumer does not panic"))
            .collect::<Vec<_>>()
    });
    let published = shared.published.load(Ordering::Relaxed);
    let lost: u64 = runs.iter().map(|run| run.lost).sum();
    for run in &runs {
        ensure!(run.right, "a record came out of order, or torn");
        ensure!(run.seen == published, "{} of {published} records", run.seen);
    }
    ensure!(!shape.lossless || lost == 0, "{lost} records were lost");
    let begin = runs.iter().map(|run| run.begin).min();
    let end = runs.iter().map(|run| run.end).max();
    let seconds = end
        .zip(begin)
        .map(|(end, begin)| (end - begin).as_secs_f64())
        .context("a flow has a consumer")?;
    let timed: u64 = runs.iter().map(|run| run.timed).sum();
    Ok(Flow {
        delivered: timed as f64 / seconds / 1e6,
        lost: lost as f64 / (published * runs.len() as u64) as f64,
    })
}

/// The rate of a flow that loses nothing.
pub(crate) fn rate<V: Payload, P: Peer<V>>(shape: Shape) -> Result<f64> {
    run::<V, P>(shape).map(|flow| flow.delivered)
}

/// Takes the core of this number, if there is one for each of `threads`.
pub(crate) fn take_core(number: usize, threads: usize) -> Patience {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let has_core = threads <= cores.len() && core_affinity::set_for_current(cores[number]);
    Patience::new(has_core)
}

fn produce<V: Payload, P: Peer<V>>(
    mut producer: P::Producer,
    index: usize,
    shape: Shape,
    shared: &Shared,
    held: bool,
) {
    let mut patience = take_core(index, shape.producers + shape.consumers);
    let source = V::source(index as u64);
    let first = (index as u64) << PRODUCER_SHIFT;
    let ahead = (CAPACITY / 2 / shape.producers) as u64;
    let (mut count, mut limit) = (0, if held { ahead } else { u64::MAX });
    let mut deadline = None;
    shared.start.wait();
    while !shared.stop.load(Ordering::Relaxed) {
        let clock = count + CLOCK_EVERY;
        while count < clock {
            while count + shape.batch as u64 > limit {
                let seen = shared.seen.iter().map(|seen| &seen[index].0);
                let slowest = seen.map(|seen| seen.load(Ordering::Acquire)).min();
                limit = slowest.unwrap_or(0) + ahead;
                if count + shape.batch as u64 > limit {
                    patience.pause();
                }
            }
            patience.reset();
            let batch = Batch::new(&source, first + count, shape.batch);
            producer.publish(batch, &mut patience);
            count += shape.batch as u64;
        }
        if deadline.is_none() && count >= (CAPACITY / shape.producers) as u64 {
            deadline = Some(Instant::now() + shape.time);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            shared.stop.store(true, Ordering::Relaxed);
        }
    }
    shared.published.fetch_add(count, Ordering::Relaxed);
    shared.producing.fetch_sub(1, Ordering::Release);
}

struct ConsumerRun {
    begin: Instant,
    end: Instant,
    /// Records between the two.
    timed: u64,
    seen: u64,
    lost: u64,
    right: bool,
}

fn consume<V: Payload, P: Peer<V>, C: Check<V>>(
    mut consumer: P::Consumer,
    index: usize,
    shape: Shape,
    shared: &Shared,
) -> ConsumerRun {
    let mut patience = take_core(shape.producers + index, shape.producers + shape.consumers);
    let mut check = C::new(shape.producers);
    let mut shown = 0;
    let mut begin = None;
    let got = |check: &C| check.seen() - check.lost_records();
    shared.start.wait();
    loop {
        let before = check.seen();
        consumer.receive(shape.batch, &mut check);
        let idle = check.seen() == before;
        if idle || check.seen() - shown >= SHOW_EVERY {
            for (producer, seen) in shared.seen[index].iter().enumerate() {
                seen.0.store(check.seen_of(producer), Ordering::Release);
            }
            shown = check.seen();
            if begin.is_none() && shown >= CAPACITY as u64 {
                begin = Some((Instant::now(), got(&check)));
            }
        }
        if !idle {
            patience.reset();
        } else if shared.producing.load(Ordering::Acquire) == 0
            && check.seen() >= shared.published.load(Ordering::Relaxed)
        {
            break;
        } else {
            patience.pause();
        }
    }
    let end = Instant::now();
    let (begin, first) = begin.unwrap_or((end, got(&check)));
    ConsumerRun {
        begin,
        end,
        timed: got(&check) - first,
        seen: check.seen(),
        lost: check.lost_records(),
        right: check.is_right(),
    }
}
