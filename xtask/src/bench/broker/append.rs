//! What one append costs: beside the ring's own, with nobody there and with ten thousand that wait elsewhere or
//! are far behind.

use super::{VALUE, VALUES, records, topic, values};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::{Result, ensure};
use footman_broker::{Broker, Consumer, Producer, Record, StartAt};
use ringbuf_core::{ByteRing, ByteRingOptions};
use std::{
    hint::black_box,
    task::{Context, Waker},
    time::Instant,
};

/// Records that topic and ring keep.
const KEPT: u64 = 65_536;
/// Records of a batch.
const BATCH: usize = 100;
const IDLE: usize = 10_000;

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let count = if bench.quick() { 500_000 } else { 3_000_000 };
    let (values, records) = (values(), records());
    for idle in [0, IDLE] {
        let group = format!("broker/append/{idle}-idle");
        if !bench.wants(&group) {
            continue;
        }
        let (broker, producer) = topic(KEPT)?;
        let consumers = idle_consumers(&broker, idle)?;
        let ring = || {
            let limits = ByteRingOptions::new().with_max_records(KEPT);
            let (mut ring, _) = ByteRing::new(limits)?;
            let began = Instant::now();
            for i in 0..count {
                black_box(ring.append(black_box(&values[i % VALUES])));
            }
            Ok(nanos(began, count))
        };
        let ring_batches = || {
            let limits = ByteRingOptions::new().with_max_records(KEPT);
            let (mut ring, _) = ByteRing::new(limits)?;
            let (batch, ends) = (vec![1; VALUE * BATCH], ends());
            let began = Instant::now();
            for _ in 0..count / BATCH {
                let mut writing = ring.batch();
                writing.push_run(black_box(&batch), &ends);
                black_box(writing.publish());
            }
            Ok(nanos(began, count))
        };
        bench.group(
            &group,
            ("ns/record", Better::Lower),
            vec![
                (
                    "footman-broker".into(),
                    Box::new(|| one_by_one(&producer, &records, count)),
                ),
                ("ringbuf-core".into(), Box::new(ring)),
            ],
        )?;
        bench.group(
            &format!("{group}/b{BATCH}"),
            ("ns/record", Better::Lower),
            vec![
                (
                    "footman-broker".into(),
                    Box::new(|| batches(&producer, &records, count)),
                ),
                ("ringbuf-core".into(), Box::new(ring_batches)),
            ],
        )?;
        ensure!(consumers.len() == idle, "they were there all the time");
    }
    Ok(())
}

fn ends() -> Vec<u32> {
    (1..=BATCH).map(|i| (i * VALUE) as u32).collect()
}

fn nanos(began: Instant, count: usize) -> f64 {
    began.elapsed().as_secs_f64() * 1e9 / count as f64
}

fn one_by_one(producer: &Producer, records: &[Record], count: usize) -> Result<f64> {
    let began = Instant::now();
    for i in 0..count {
        black_box(producer.produce(black_box(&records[i % VALUES]))?);
    }
    Ok(nanos(began, count))
}

fn batches(producer: &Producer, records: &[Record], count: usize) -> Result<f64> {
    let mut batches = records.chunks_exact(BATCH).cycle();
    let began = Instant::now();
    for _ in 0..count / BATCH {
        let batch = batches.next().unwrap_or_default();
        black_box(producer.produce_batch(black_box(batch))?);
    }
    Ok(nanos(began, count))
}

/// Half of them sleep until something comes to other topics, half stand at the topic's first record and never
/// read.
fn idle_consumers(broker: &Broker, count: usize) -> Result<Vec<Consumer>> {
    let mut asleep = Context::from_waker(Waker::noop());
    (0..count)
        .map(|i| {
            let mut consumer = broker.consumer();
            if i % 2 == 0 {
                consumer.subscribe(&format!("other-{}", i % 16), StartAt::Latest)?;
                ensure!(consumer.poll_next_item(&mut asleep).is_pending());
            } else {
                consumer.subscribe("t", StartAt::Earliest)?;
            }
            Ok(consumer)
        })
        .collect()
}
