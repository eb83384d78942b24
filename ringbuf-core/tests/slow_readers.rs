//! A thousand readers of one ring, most of them slow or stuck: the producer never waits, and each loss is exact.

use std::thread;

use ringbuf_core::{Reader, Ring, TryReadError};

const CAPACITY: u64 = 4_096;
const RECORDS: u64 = 400_000;

/// A reader, and what it had: the records are the numbers of their sequences.
struct Subscriber {
    reader: Reader<u64>,
    delivered: u64,
    lost: u64,
    ended: bool,
}

impl Subscriber {
    fn new(ring: &Ring<u64>) -> Self {
        Self {
            reader: ring.reader(0),
            delivered: 0,
            lost: 0,
            ended: false,
        }
    }

    /// Reads once: whether there may be more.
    fn turn(&mut self) -> bool {
        let at = self.reader.position();
        match self.reader.read_batch(256) {
            Ok(numbers) => {
                assert!(numbers.iter().copied().eq(at..at + numbers.len() as u64));
                self.delivered += numbers.len() as u64;
                true
            }
            Err(TryReadError::Lapped { from, to }) => {
                assert!(from == at && to > from);
                self.lost += to - from;
                true
            }
            Err(end) => {
                self.ended = end == TryReadError::Closed;
                false
            }
        }
    }

    fn finish(&mut self) {
        while self.turn() {}
        assert!(self.ended);
        assert_eq!(self.delivered + self.lost, RECORDS, "the ledger");
    }
}

#[test]
fn a_thousand_readers_most_of_them_slow_or_stuck_lose_exactly_what_they_are_told() {
    let (mut producer, ring) = Ring::new(CAPACITY as usize).unwrap();
    let crowd = |count| -> Vec<_> { (0..count).map(|_| Subscriber::new(&ring)).collect() };
    let (mut healthy, mut slow, mut stuck) = (crowd(100), crowd(400), crowd(500));
    producer.append_batch(0..16);
    // Half of the stuck ones stand in the first segment, half never came.
    for one in stuck.iter_mut().step_by(2) {
        assert!(one.reader.try_read() == Ok(&0));
        one.delivered += 1;
    }
    thread::scope(|scope| {
        let appending = scope.spawn(move || {
            // To its end, whatever the readers do.
            for first in (16..RECORDS).step_by(16) {
                assert_eq!(producer.append_batch(first..first + 16).start, first);
            }
        });
        let mut round = 0;
        while !appending.is_finished() {
            for one in &mut healthy {
                one.turn();
            }
            if round % 10 == 0 {
                for one in &mut slow {
                    one.turn();
                }
            }
            round += 1;
        }
        appending.join().unwrap();
    });
    let kept = RECORDS - CAPACITY..RECORDS;
    assert_eq!(ring.oldest()..ring.tail(), kept);
    for one in healthy.iter_mut().chain(&mut slow) {
        one.finish();
    }
    for (index, one) in stuck.iter_mut().enumerate() {
        one.finish();
        // What it stood in when the ring moved on, and what is kept; all else was lost.
        let held = if index % 2 == 0 { 16 } else { 0 };
        assert_eq!(one.delivered, held + CAPACITY, "stuck reader {index}");
        assert_eq!(one.lost, RECORDS - CAPACITY - held);
    }
}
