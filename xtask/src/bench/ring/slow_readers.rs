//! A producer at full speed, and a thousand readers: some healthy, most of them too slow or stuck.

use super::flow::{CAPACITY, take_core};
use anyhow::{Result, ensure};
use ringbuf_core::{Reader, Ring, TryReadError};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Records of an append.
const BATCH: u64 = 16;

/// Slow readers get one turn where healthy ones get so many.
const SLOWER: u64 = 10;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) healthy: usize,
    pub(crate) slow: usize,
    /// They begin to read, and never go on.
    pub(crate) stuck: usize,
}

/// A reader, and what it had.
struct Subscriber {
    reader: Reader<u64>,
    delivered: u64,
    lost: u64,
    right: bool,
}

impl Subscriber {
    /// Reads once. Whether there may be more.
    fn turn(&mut self) -> bool {
        let position = self.reader.position();
        match self.reader.read_batch(256) {
            Ok(numbers) => {
                let expected = position..position + numbers.len() as u64;
                self.right &= numbers.iter().copied().eq(expected);
                self.delivered += numbers.len() as u64;
                true
            }
            Err(TryReadError::Lapped { from, to }) => {
                self.right &= from == position && from < to;
                self.lost += to - from;
                true
            }
            Err(_) => false,
        }
    }
}

/// Million records a second that the producer appends. All the others are one thread, on the other core.
pub(crate) fn producer_rate(crowd: Crowd, time: Duration) -> Result<f64> {
    let (mut producer, ring) = Ring::new(CAPACITY)?;
    producer.append_batch(0..BATCH);
    let subscribers = |count| -> Vec<Subscriber> {
        (0..count)
            .map(|_| Subscriber {
                reader: ring.reader(0),
                delivered: 0,
                lost: 0,
                right: true,
            })
            .collect()
    };
    let (mut healthy, mut slow, mut stuck) = (
        subscribers(crowd.healthy),
        subscribers(crowd.slow),
        subscribers(crowd.stuck),
    );
    for subscriber in &mut stuck {
        // Stuck inside: it keeps its segment.
        ensure!(subscriber.reader.try_read() == Ok(&0), "the first record");
        subscriber.delivered += 1;
    }
    let done = AtomicBool::new(false);
    let done = &done;
    let rate = thread::scope(|scope| {
        let producing = scope.spawn(move || {
            take_core(0, 2);
            let mut next = BATCH;
            let mut append_until = |deadline: Instant| {
                let first = next;
                while Instant::now() < deadline {
                    for _ in 0..64 {
                        producer.append_batch(next..next + BATCH);
                        next += BATCH;
                    }
                }
                next - first
            };
            append_until(Instant::now() + time / 4); // memory that is used once is used again
            let begin = Instant::now();
            let appended = append_until(begin + time);
            let spent = begin.elapsed();
            done.store(true, Ordering::Release);
            appended as f64 / spent.as_secs_f64() / 1e6
        });
        let (healthy, slow) = (&mut healthy, &mut slow);
        scope.spawn(move || {
            take_core(1, 2);
            let mut round = 0;
            while !done.load(Ordering::Acquire) {
                for one in &mut *healthy {
                    one.turn();
                }
                if round % SLOWER == 0 {
                    for one in &mut *slow {
                        one.turn();
                    }
                }
                round += 1;
            }
        });
        producing.join().expect("the producer does not panic")
    });
    for subscriber in healthy.iter_mut().chain(&mut slow).chain(&mut stuck) {
        while subscriber.turn() {}
        let had = subscriber.delivered + subscriber.lost;
        ensure!(subscriber.right, "a record out of order");
        ensure!(had == ring.tail(), "{had} records of {}", ring.tail());
    }
    Ok(rate)
}
