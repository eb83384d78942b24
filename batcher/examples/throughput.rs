//! Measures one batcher against the usual hand-written loop: a crossbeam channel and threads.
//!
//! Run it with `cargo run --release -p footman-batcher --example throughput`. Items are `u64`, the
//! processor does nothing, the queue holds 1 024; the time ends when the last item was processed.
#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::convert::Infallible;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use footman_batcher::{Batch, Batcher};

const CAPACITY: usize = 1024;
const LINGER: Duration = Duration::from_millis(5);
const RUNS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("million items/s, median of {RUNS}    crossbeam   enqueue  ratio  enqueue_many");
    for (batch, producers, workers) in [
        (8, 1, 1),
        (64, 1, 1),
        (512, 1, 1),
        (64, 1, 2),
        (8, 4, 1),
        (64, 4, 1),
        (512, 4, 1),
        (64, 4, 2),
    ] {
        let items = 2_000_000;
        let crossbeam = median(|| Ok(crossbeam(items, batch, producers, workers)))?;
        let single = median(|| ours(items, batch, producers, workers, false))?;
        let many = median(|| ours(items, batch, producers, workers, true))?;
        println!(
            "batch {batch:>3}, producers {producers}, workers {workers}     {crossbeam:>8.1}  {single:>8.1}  {:>5.2}  {many:>8.1}",
            single / crossbeam,
        );
    }
    let (ours, crossbeam) = (caller_ns_ours()?, caller_ns_crossbeam());
    println!("ns per try_enqueue, never full:  ours {ours:.1}, crossbeam {crossbeam:.1}");
    Ok(())
}

type Figure = Result<f64, Box<dyn std::error::Error>>;

fn median(mut run: impl FnMut() -> Figure) -> Figure {
    let mut figures = Vec::new();
    for _ in 0..RUNS {
        figures.push(run()?);
    }
    figures.sort_by(f64::total_cmp);
    Ok(figures[RUNS / 2])
}

fn rate(items: u64, start: Instant) -> f64 {
    items as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn ours(items: u64, batch: usize, producers: u64, workers: usize, many: bool) -> Figure {
    let batcher = Batcher::builder()
        .max_items(batch)
        .linger(LINGER)
        .workers(workers)
        .capacity(CAPACITY)
        .start(|batch: &mut Batch<u64>| {
            std::hint::black_box(&batch[..]);
            Ok::<(), Infallible>(())
        })?;
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..producers {
            scope.spawn(|| {
                if many {
                    batcher
                        .enqueue_many(0..items / producers)
                        .expect("nobody stops it");
                } else {
                    for item in 0..items / producers {
                        batcher.enqueue(item).expect("nobody stops it");
                    }
                }
            });
        }
    });
    let report = batcher.safe_stop(Duration::from_secs(60));
    assert_eq!(report.processed, items / producers * producers);
    Ok(rate(items, start))
}

fn crossbeam(items: u64, batch: usize, producers: u64, workers: usize) -> f64 {
    let (sender, receiver) = bounded::<u64>(CAPACITY);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..workers {
            let receiver = receiver.clone();
            scope.spawn(move || crossbeam_worker(&receiver, batch));
        }
        for _ in 0..producers {
            let sender = sender.clone();
            scope.spawn(move || {
                for item in 0..items / producers {
                    sender.send(item).expect("the workers outlive it");
                }
            });
        }
        drop(sender);
    });
    rate(items, start)
}

/// What people write: block for the first item, then fill until the batch is full or due.
fn crossbeam_worker(receiver: &Receiver<u64>, size: usize) {
    let mut batch = Vec::with_capacity(size);
    while let Ok(first) = receiver.recv() {
        batch.push(first);
        let deadline = Instant::now() + LINGER;
        while batch.len() < size {
            match receiver
                .try_recv()
                .or_else(|_| receiver.recv_deadline(deadline))
            {
                Ok(item) => batch.push(item),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        std::hint::black_box(&batch);
        batch.clear();
    }
}

/// Bursts that never fill the queue, the worker catching up in between.
fn caller_ns_ours() -> Figure {
    let batcher =
        Batcher::builder()
            .workers(1)
            .capacity(8192)
            .start(|batch: &mut Batch<u64>| {
                std::hint::black_box(&batch[..]);
                Ok::<(), Infallible>(())
            })?;
    let mut figures = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        for item in 0..4096 {
            batcher.try_enqueue(item)?;
        }
        figures.push(start.elapsed().as_nanos() as f64 / 4096.0);
        batcher.flush(Duration::from_secs(10))?;
    }
    figures.sort_by(f64::total_cmp);
    Ok(figures[100])
}

fn caller_ns_crossbeam() -> f64 {
    let (sender, receiver) = bounded::<u64>(8192);
    thread::scope(|scope| {
        scope.spawn(|| crossbeam_worker(&receiver, 64));
        let mut figures = Vec::new();
        for _ in 0..200 {
            let start = Instant::now();
            for item in 0..4096 {
                sender.try_send(item).expect("a burst fits");
            }
            figures.push(start.elapsed().as_nanos() as f64 / 4096.0);
            while !sender.is_empty() {
                thread::yield_now();
            }
        }
        drop(sender);
        figures.sort_by(f64::total_cmp);
        figures[100]
    })
}
