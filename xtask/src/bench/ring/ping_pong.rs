//! A record there and one back, between two threads that poll, each on its core.

use super::{
    flow::take_core,
    peer::{Batch, Check, InOrder, Peer, Publish, Receive},
};
use anyhow::{Result, ensure};
use std::{
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

/// Records of each ring.
const CAPACITY: usize = 1_024;

/// Nanoseconds of a round trip.
pub(crate) fn round_trip<P: Peer<u64>>(trips: u64) -> Result<f64> {
    let (mut there, mut arrivals) = P::open(CAPACITY, 1, 1);
    let (mut back, mut returns) = P::open(CAPACITY, 1, 1);
    let start = Barrier::new(2);
    let start = &start;
    thread::scope(|scope| {
        let echo = scope.spawn(move || {
            let (back, arrivals) = (&mut back[0], &mut arrivals[0]);
            let mut patience = take_core(1, 2);
            let mut check = InOrder::<u64>::new(1);
            start.wait();
            for number in 0..trips {
                await_record(arrivals, &mut check, number);
                back.publish(Batch::new(&(), number, 1), &mut patience);
            }
            check.is_right()
        });
        let (there, returns) = (&mut there[0], &mut returns[0]);
        let timing = scope.spawn(move || {
            let mut patience = take_core(0, 2);
            let mut check = InOrder::<u64>::new(1);
            let warm = trips / 10;
            let mut begin = Instant::now();
            start.wait();
            for number in 0..trips {
                if number == warm {
                    begin = Instant::now();
                }
                there.publish(Batch::new(&(), number, 1), &mut patience);
                await_record(returns, &mut check, number);
            }
            let spent = begin.elapsed();
            (
                check.is_right(),
                spent.as_secs_f64() * 1e9 / (trips - warm) as f64,
            )
        });
        let (right, trip) = timing.join().expect("the timing thread does not panic");
        let echoed = echo.join().expect("the echo does not panic");
        ensure!(right && echoed, "a record came out of order");
        Ok(trip)
    })
}

fn await_record(consumer: &mut impl Receive<u64>, check: &mut InOrder<u64>, number: u64) {
    while check.seen() == number {
        consumer.receive(1, check);
    }
}

/// Nanoseconds of a round trip of one cache line, which both threads write in turn: no ring is faster.
pub(crate) fn line_round_trip(trips: u64) -> f64 {
    #[repr(align(128))]
    struct Line(AtomicU64);

    let (line, start) = (Line(AtomicU64::new(0)), Barrier::new(2));
    let (line, start) = (&line.0, &start);
    thread::scope(|scope| {
        scope.spawn(move || {
            take_core(1, 2);
            start.wait();
            for trip in 0..trips {
                while line.load(Ordering::Acquire) != 2 * trip + 1 {}
                line.store(2 * trip + 2, Ordering::Release);
            }
        });
        let timing = scope.spawn(move || {
            take_core(0, 2);
            start.wait();
            let begin = Instant::now();
            for trip in 0..trips {
                line.store(2 * trip + 1, Ordering::Release);
                while line.load(Ordering::Acquire) != 2 * trip + 2 {}
            }
            begin.elapsed().as_secs_f64() * 1e9 / trips as f64
        });
        timing.join().expect("the timing thread does not panic")
    })
}
