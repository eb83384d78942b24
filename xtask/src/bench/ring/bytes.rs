//! `ByteRing`: one log copied by many readers, and what an append of a record costs.

use super::flow::take_core;
use crate::bench::{
    bench_run::{BenchRun, Contender},
    report::Better,
};
use anyhow::{Result, ensure};
use bytes::Bytes;
use ringbuf_core::{ByteReader, ByteRing, ByteRingOptions};
use std::{hint::black_box, sync::Barrier, thread, time::Instant};
use tokio::sync::broadcast;

const READERS: usize = 64;

const RECORD_BYTES: usize = 128;

/// What a reader takes at once: a write to a socket.
const RUN_BYTES: usize = 64 * 1024;

/// The log that the readers read: far more than the first two caches hold.
const LOG_BYTES: usize = 12 * 1024 * 1024;

pub(crate) fn measure(bench: &mut BenchRun) -> Result<()> {
    let group = "bytering/fan-out/64";
    if bench.wants(group) {
        let log = Log::new();
        let passes = if bench.quick() { 1 } else { 2 };
        bench.group(
            group,
            ("GB/s", Better::Higher),
            vec![
                ("ringbuf-core".into(), Box::new(|| log.by_runs(passes))),
                (
                    "limit:memcpy in step".into(),
                    Box::new(|| log.by_memcpy(passes)),
                ),
            ],
        )?;
    }
    let appends = if bench.quick() { 1 << 19 } else { 1 << 20 };
    for (group, kept) in [
        ("bytering/append/128B", 8 << 20),
        ("bytering/append/128B/1MiB", 1 << 20),
    ] {
        let contenders: Vec<Contender<'_>> = vec![
            (
                "ringbuf-core".into(),
                Box::new(move || Ok(append(kept, appends))),
            ),
            (
                "ringbuf-core, runs of 64".into(),
                Box::new(move || Ok(append_runs(kept, appends))),
            ),
            (
                "tokio::broadcast of Bytes".into(),
                Box::new(move || send_bytes(kept, appends)),
            ),
            (
                "limit:memcpy".into(),
                Box::new(move || Ok(copy(kept, appends))),
            ),
        ];
        bench.group(group, ("ns", Better::Lower), contenders)?;
    }
    Ok(())
}

/// A full log, as a ring and as plain memory.
struct Log {
    ring: ByteRing,
    _producer: ringbuf_core::ByteProducer,
    bytes: Vec<u8>,
}

impl Log {
    fn new() -> Self {
        let (mut producer, ring) =
            ByteRing::new(ByteRingOptions::new().with_max_records(u64::MAX)).expect("the limits");
        let mut bytes = Vec::with_capacity(LOG_BYTES);
        for number in 0..LOG_BYTES / RECORD_BYTES {
            let mut record = [number as u8; RECORD_BYTES];
            record[..8].copy_from_slice(&(number as u64).to_le_bytes());
            producer.append(&record);
            bytes.extend_from_slice(&record);
        }
        Self {
            ring,
            _producer: producer,
            bytes,
        }
    }

    /// Gigabytes a second that the readers copy out of the ring, half of them on each of two threads.
    fn by_runs(&self, passes: usize) -> Result<f64> {
        on_two_threads(passes, || {
            let mut readers: Vec<ByteReader> =
                (0..READERS / 2).map(|_| self.ring.reader(0)).collect();
            let mut copied = 0;
            let mut buffer = vec![0; RUN_BYTES];
            let mut wrong = false;
            while readers[0].lag() > 0 {
                let from = copied / readers.len();
                let mut length = 0;
                for reader in &mut readers {
                    let Ok(run) = reader.try_read(usize::MAX, RUN_BYTES) else {
                        return None;
                    };
                    length = run.bytes().len();
                    black_box(&mut buffer[..length]).copy_from_slice(black_box(run.bytes()));
                    copied += length;
                }
                // What the last reader got is looked at where it is cheap to: its first record, and its last.
                let ends = [0..8, length - RECORD_BYTES..length - RECORD_BYTES + 8];
                wrong |= ends
                    .into_iter()
                    .any(|at| buffer[at.clone()] != self.bytes[from + at.start..from + at.end]);
            }
            (!wrong).then_some(copied)
        })
    }

    /// The same copies in the same order, from plain memory.
    fn by_memcpy(&self, passes: usize) -> Result<f64> {
        on_two_threads(passes, || {
            let mut copied = 0;
            let mut buffer = vec![0; RUN_BYTES];
            for run in self.bytes.chunks(RUN_BYTES) {
                for _ in 0..READERS / 2 {
                    black_box(&mut buffer[..run.len()]).copy_from_slice(black_box(run));
                    copied += run.len();
                }
            }
            Some(copied)
        })
    }
}

fn on_two_threads(passes: usize, pass: impl Fn() -> Option<usize> + Sync) -> Result<f64> {
    let start = Barrier::new(2);
    let (start, pass) = (&start, &pass);
    let runs = thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|core| {
                scope.spawn(move || {
                    take_core(core, 2);
                    start.wait();
                    let begin = Instant::now();
                    let copied: Option<usize> = (0..passes).map(|_| pass()).sum();
                    (begin, Instant::now(), copied)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a copy does not panic"))
            .collect::<Vec<_>>()
    });
    let copied: Option<usize> = runs.iter().map(|run| run.2).sum();
    let expected = passes * READERS * LOG_BYTES;
    ensure!(copied == Some(expected), "{copied:?} bytes of {expected}");
    let begin = runs.iter().map(|run| run.0).min();
    let end = runs.iter().map(|run| run.1).max();
    let seconds = end
        .zip(begin)
        .map_or(0.0, |(end, begin)| (end - begin).as_secs_f64());
    Ok(expected as f64 / seconds / 1e9)
}

/// Nanoseconds of one record where `work` handles so many, once the memory has been used before.
fn per_record(records: u64, mut work: impl FnMut(u64)) -> f64 {
    work(records / 4);
    let begin = Instant::now();
    work(records);
    begin.elapsed().as_secs_f64() * 1e9 / records as f64
}

fn byte_ring(kept: u64) -> (ringbuf_core::ByteProducer, ByteRing) {
    let options = ByteRingOptions::new()
        .with_max_records(u64::MAX)
        .with_max_bytes(kept);
    ByteRing::new(options).expect("the limits are not 0")
}

fn append(kept: u64, records: u64) -> f64 {
    let (mut producer, ring) = byte_ring(kept);
    let record = [7; RECORD_BYTES];
    let spent = per_record(records, |records| {
        for _ in 0..records {
            producer.append(black_box(&record));
        }
    });
    assert_eq!(ring.tail(), records + records / 4);
    spent
}

fn append_runs(kept: u64, records: u64) -> f64 {
    const RUN: usize = 64;
    let (mut producer, ring) = byte_ring(kept);
    let run = [7; RECORD_BYTES * RUN];
    let ends: Vec<u32> = (1..=RUN).map(|end| (end * RECORD_BYTES) as u32).collect();
    let spent = per_record(records, |records| {
        for _ in 0..records / RUN as u64 {
            let mut batch = producer.batch();
            batch.push_run(black_box(&run), black_box(&ends));
            batch.publish();
        }
    });
    assert_eq!(ring.tail(), records + records / 4);
    spent
}

/// What one does without a ring of bytes: an allocation and a copy for each record.
fn send_bytes(kept: u64, records: u64) -> Result<f64> {
    let (sender, mut receiver) = broadcast::channel(kept as usize / RECORD_BYTES);
    let record = [7; RECORD_BYTES];
    let spent = per_record(records, |records| {
        for _ in 0..records {
            drop(sender.send(Bytes::copy_from_slice(black_box(&record))));
        }
    });
    ensure!(receiver.try_recv().is_err(), "the first record was lapped");
    Ok(spent)
}

/// The copy alone, into as much memory as the ring has, again and again.
fn copy(kept: u64, records: u64) -> f64 {
    let mut log = vec![0; kept as usize];
    let record = [7; RECORD_BYTES];
    let mut place = 0;
    per_record(records, |records| {
        for _ in 0..records {
            black_box(&mut log[place..place + RECORD_BYTES]).copy_from_slice(black_box(&record));
            place = (place + RECORD_BYTES) % kept as usize;
        }
    })
}
