//! A `Ring` under real threads: the ledger holds, order holds, every value is whole and dropped once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use ringbuf_core::{Reader, Ring, RingOptions, TryReadError};

const RECORDS: u64 = 200_000;

/// A value that shows when it is torn, and counts its drops.
struct Value {
    words: [u64; 6],
    drops: Arc<AtomicU64>,
}

impl Value {
    fn new(number: u64, drops: &Arc<AtomicU64>) -> Self {
        Self {
            words: [number; 6],
            drops: Arc::clone(drops),
        }
    }

    fn number(&self) -> u64 {
        assert_eq!(self.words, [self.words[0]; 6], "torn");
        self.words[0]
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.words = [u64::MAX, 0, 1, 2, 3, 4];
        self.drops.fetch_add(1, Relaxed);
    }
}

/// Reads to the end of the ring: delivered and lost.
fn follow(mut reader: Reader<Value>, batch: usize, sleeps: bool, in_order: bool) -> (u64, u64) {
    let (mut delivered, mut lost) = (0, 0);
    loop {
        let at = reader.position();
        match reader.read_batch(batch) {
            Ok(values) => {
                for (sequence, value) in (at..).zip(values) {
                    let number = value.number();
                    assert!(!in_order || number == sequence, "not the record asked for");
                }
                delivered += values.len() as u64;
            }
            Err(TryReadError::Lapped { from, to }) => {
                assert!(from == at && to > from);
                lost += to - from;
            }
            Err(TryReadError::Empty) if sleeps => reader.wait(),
            Err(TryReadError::Empty) => thread::yield_now(),
            Err(TryReadError::Closed) => return (delivered, lost),
        }
    }
}

fn ledger_holds(options: RingOptions, producers: u64) {
    let drops = Arc::new(AtomicU64::new(0));
    let (producer, ring): (_, Ring<Value>) = options.build().unwrap();
    thread::scope(|scope| {
        let readers: Vec<_> = [(1, false), (7, true), (usize::MAX, false), (1, true)]
            .into_iter()
            .map(|(batch, sleeps)| {
                let reader = ring.reader(0);
                scope.spawn(move || follow(reader, batch, sleeps, producers == 1))
            })
            .collect();
        if producers == 1 {
            let mut producer = producer;
            let drops = &drops;
            scope.spawn(move || {
                let mut next = 0;
                while next < RECORDS {
                    let end = RECORDS.min(next + 1 + next % 50);
                    if next % 3 == 0 {
                        producer.append_batch((next..end).map(|number| Value::new(number, drops)));
                        next = end;
                    } else {
                        next = producer.append(Value::new(next, drops)) + 1;
                    }
                }
            });
        } else {
            let producer = producer.share();
            for name in 0..producers {
                let (producer, drops) = (producer.clone(), &drops);
                scope.spawn(move || {
                    for number in (name..RECORDS).step_by(producers as usize) {
                        assert!(producer.append(Value::new(number, drops)).is_ok());
                    }
                });
            }
        }
        for reader in readers {
            let (delivered, lost) = reader.join().unwrap();
            assert_eq!(delivered + lost, RECORDS);
        }
    });
    drop(ring);
    assert_eq!(drops.load(Relaxed), RECORDS, "each value is dropped once");
}

#[test]
fn a_small_ring_with_one_producer() {
    ledger_holds(RingOptions::new(40), 1);
}

#[test]
fn a_large_ring_with_one_producer_and_sleepers() {
    ledger_holds(RingOptions::new(10_000).with_waiting(), 1);
}

#[test]
fn a_small_ring_with_four_producers_and_sleepers() {
    ledger_holds(RingOptions::new(40).with_waiting(), 4);
}

#[test]
fn a_large_ring_with_two_producers() {
    ledger_holds(RingOptions::new(10_000), 2);
}

/// Readers in a lap race must get on: a lapped reader holds where it resumes.
#[test]
fn a_reader_under_a_producer_at_full_speed_gets_records() {
    let (mut producer, ring) = Ring::new(64).unwrap();
    let mut reader = ring.reader(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..1_000_000_u64 {
                assert_eq!(producer.append(number), number);
            }
        });
        let (mut delivered, mut laps) = (0, 0);
        loop {
            match reader.try_read() {
                Ok(_) => delivered += 1,
                Err(TryReadError::Lapped { .. }) => laps += 1,
                Err(TryReadError::Empty) => std::hint::spin_loop(),
                Err(TryReadError::Closed) => break,
            }
        }
        assert!(delivered > laps, "{delivered} records, {laps} laps");
    });
}
