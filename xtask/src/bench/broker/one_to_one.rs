//! One producer's thread, one consumer's thread: the broker beside tokio's broadcast channel of `Bytes`.
//!
//! Both get the same values, made before. The producer is never further ahead than half of what is kept, so
//! nobody loses a record, and the consumer checks each one: its number, hence order and count.

use super::{VALUES, number_of, records, topic, values};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::{Result, ensure};
use bytes::Bytes;
use footman_broker::{Item, Record, StartAt};
use std::{
    hint::spin_loop,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::broadcast;

/// Records that the topic or channel keeps.
const KEPT: u64 = 65_536;
/// The producer is at most so far ahead.
const WINDOW: u64 = KEPT / 2;
/// The consumer says where it is once in so many records.
const REPORT: u64 = 256;

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let count = if bench.quick() { 1_000_000 } else { 6_000_000 };
    let (values, records) = (values(), records());
    for batch in [1, 100] {
        // The channel has no batches: a batch is as many sends.
        bench.group(
            &format!("broker/1to1/128B/b{batch}"),
            ("M records/s", Better::Higher),
            vec![
                (
                    "footman-broker".into(),
                    Box::new(|| through_broker(&records, batch, count)),
                ),
                (
                    "tokio-broadcast".into(),
                    Box::new(|| through_broadcast(&values, count / batch as u64 * batch as u64)),
                ),
            ],
        )?;
    }
    Ok(())
}

/// Waits until the consumer is near enough.
fn stay_near(sent: u64, seen: &AtomicU64) {
    while sent.saturating_sub(seen.load(Ordering::Acquire)) > WINDOW {
        spin_loop();
    }
}

fn through_broker(records: &[Record], batch: usize, count: u64) -> Result<f64> {
    let (broker, producer) = topic(KEPT)?;
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest)?;
    let seen = AtomicU64::new(0);
    let count = count / batch as u64 * batch as u64;
    let mut batches = records.chunks_exact(batch).cycle();
    let in_a_round = (VALUES / batch * batch) as u64;
    thread::scope(|scope| {
        let consume = scope.spawn(|| {
            let mut next = 0;
            while next < count {
                let Item::Records(run) = consumer.poll(Duration::MAX)? else {
                    anyhow::bail!("something was lost at {next}");
                };
                for record in &run {
                    ensure!(record.offset == next && number_of(record.value) == next % in_a_round);
                    next += 1;
                }
                seen.store(next, Ordering::Release);
            }
            Ok(Instant::now())
        });
        let began = Instant::now();
        let mut sent = 0;
        while sent < count {
            stay_near(sent, &seen);
            let batch = batches.next().unwrap_or_default();
            if let [record] = batch {
                producer.produce(record)?;
            } else {
                producer.produce_batch(batch)?;
            }
            sent += batch.len() as u64;
        }
        let ended = consume.join().expect("the consumer does not panic")?;
        Ok(count as f64 / 1e6 / (ended - began).as_secs_f64())
    })
}

fn through_broadcast(values: &[Bytes], count: u64) -> Result<f64> {
    let (sender, mut receiver) = broadcast::channel::<Bytes>(KEPT as usize);
    let seen = AtomicU64::new(0);
    thread::scope(|scope| {
        let consume = scope.spawn(|| {
            for next in 0..count {
                let value = receiver.blocking_recv()?;
                ensure!(number_of(&value) == next % VALUES as u64);
                if next % REPORT == REPORT - 1 {
                    seen.store(next, Ordering::Release);
                }
            }
            Ok(Instant::now())
        });
        let began = Instant::now();
        let mut batch = values.iter().cycle();
        for sent in 0..count {
            stay_near(sent, &seen);
            sender.send(batch.next().cloned().unwrap_or_default())?;
        }
        let ended = consume.join().expect("the consumer does not panic")?;
        Ok(count as f64 / 1e6 / (ended - began).as_secs_f64())
    })
}
