//! What an append and a read cost one thread: blocks of records go in and come out, timed apart.

use super::{
    flow::CAPACITY,
    payload::Payload,
    peer::{Batch, Check, InOrder, Patience, Peer, Publish as _, Receive as _},
};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Records that go in before they come out.
const BLOCK: usize = 512;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Append,
    Read,
}

/// Nanoseconds of a record.
pub(crate) fn cost<V: Payload, P: Peer<V>>(side: Side, batch: usize, blocks: usize) -> Result<f64> {
    let (mut producers, mut consumers) = P::open(CAPACITY, 1, 1);
    let (producer, consumer) = (&mut producers[0], &mut consumers[0]);
    let (source, mut patience) = (V::source(0), Patience::new(true));
    let mut check = InOrder::<V>::new(1);
    let (mut count, mut spent) = (0, Duration::ZERO);
    let warm = 2 * CAPACITY / BLOCK;
    for block in 0..warm + blocks {
        let end = count + BLOCK as u64;
        let begin = Instant::now();
        while count < end {
            producer.publish(Batch::new(&source, count, batch), &mut patience);
            count += batch as u64;
        }
        let appended = Instant::now();
        while check.seen() < end {
            let before = check.seen();
            consumer.receive(batch, &mut check);
            ensure!(
                check.seen() > before,
                "a record that was appended is not there"
            );
        }
        let read = Instant::now();
        if block >= warm {
            spent += match side {
                Side::Append => appended - begin,
                Side::Read => read - appended,
            };
        }
    }
    ensure!(
        check.is_right() && check.lost_records() == 0,
        "a record came out of order, torn, or not at all"
    );
    Ok(spent.as_secs_f64() * 1e9 / (blocks * BLOCK) as f64)
}

/// Nanoseconds of an append while so many readers, who have read what there was, look at nothing.
pub(crate) fn cost_with_idle_readers<P: Peer<u64>>(readers: usize, appends: u64) -> Result<f64> {
    let (mut producers, mut consumers) = P::open(CAPACITY, 1, readers);
    let producer = &mut producers[0];
    let mut patience = Patience::new(true);
    let mut append = |from: u64, to: u64| {
        for number in from..to {
            producer.publish(Batch::new(&(), number, 1), &mut patience);
        }
    };
    append(0, 1);
    for consumer in &mut consumers {
        let mut check = InOrder::<u64>::new(1);
        consumer.receive(1, &mut check);
        ensure!(
            check.seen() == 1 && check.is_right(),
            "the record is not there"
        );
        consumer.receive(1, &mut check);
        ensure!(check.seen() == 1, "a record that was not appended is there");
    }
    let warm = 2 * CAPACITY as u64;
    append(1, warm);
    let begin = Instant::now();
    append(warm, warm + appends);
    let spent = begin.elapsed();
    for consumer in &mut consumers {
        let mut check = InOrder::<u64>::new(1);
        consumer.receive(1, &mut check);
        ensure!(
            check.lost_records() > 0,
            "an idle reader was not told of its loss"
        );
    }
    Ok(spent.as_secs_f64() * 1e9 / appends as f64)
}
