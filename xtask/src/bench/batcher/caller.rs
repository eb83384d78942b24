//! What an enqueue costs its caller: bursts that never fill the queue, a worker that drains meanwhile.

use super::{OURS, Shape, tally::Tally, tasks, threads};
use crate::bench::{
    bench_run::{BenchRun, Contender},
    report::Better,
};
use anyhow::{Result, ensure};
use footman_batcher::Batcher;
use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

/// Items that a thread enqueues in one go.
const BURST: u64 = 4096;

fn shape() -> Shape {
    Shape {
        capacity: 8 * BURST as usize,
        ..Shape::of(64, 1)
    }
}

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let bursts = if bench.quick() { 60 } else { 150 };
    for count in [1, 4] {
        bench.group(
            &format!("batcher/enqueue/{count}t"),
            ("ns", Better::Lower),
            vec![
                by_threads(OURS, threads::ours, count, bursts),
                by_threads("crossbeam", threads::crossbeam, count, bursts),
                by_threads("flume", threads::flume, count, bursts),
                (
                    "tokio mpsc".into(),
                    Box::new(move || on_tokio(count, bursts)),
                ),
            ],
        )?;
    }
    bench.group(
        "batcher/enqueue-many",
        ("ns an item", Better::Lower),
        vec![
            (OURS.into(), Box::new(move || many(bursts))),
            by_threads("footman-batcher, one at a time", threads::ours, 1, bursts),
            // The channels take no more than one at a time.
            by_threads("crossbeam", threads::crossbeam, 1, bursts),
        ],
    )
}

fn by_threads<F: threads::Feed>(
    name: &str,
    start: threads::Start<F>,
    count: usize,
    bursts: u64,
) -> Contender<'static> {
    let run = move || {
        let (tally, process) = Tally::new();
        let (feed, finish) = start(shape(), process)?;
        let ns = burst(count, bursts, &tally, || {
            let feed = feed.clone();
            move || (0..BURST).all(|item| feed.try_enqueue(item))
        })?;
        finish(feed)?;
        tally.check(BURST, bursts * count as u64, 2)?;
        Ok(ns)
    };
    (name.into(), Box::new(run))
}

/// `try_send`, which every contender behind a tokio channel comes down to.
fn on_tokio(count: usize, bursts: u64) -> Result<f64> {
    let (tally, process) = Tally::new();
    let runtime = tasks::runtime()?;
    let guard = runtime.enter();
    let (feed, finish) = tasks::channels(shape(), process, tasks::LOOPS[0].1);
    let ns = burst(count, bursts, &tally, || {
        let mut feed = feed.clone();
        move || (0..BURST).all(|item| tasks::Feed::try_enqueue(&mut feed, item))
    })?;
    runtime.block_on(finish(feed))?;
    drop(guard);
    tally.check(BURST, bursts * count as u64, 2)?;
    Ok(ns)
}

fn many(bursts: u64) -> Result<f64> {
    let (tally, process) = Tally::new();
    let (batcher, finish) = threads::ours(shape(), process)?;
    let ns = burst(1, bursts, &tally, || {
        let batcher: Batcher<u64> = batcher.clone();
        move || batcher.enqueue_many(0..BURST).is_ok()
    })?;
    finish(batcher)?;
    tally.check(BURST, bursts, 2)?;
    Ok(ns)
}

/// The median over all threads and bursts of a burst's nanoseconds an item. The next burst begins when the
/// worker has caught up but for a batch under assembly.
fn burst<B: FnMut() -> bool + Send>(
    count: usize,
    bursts: u64,
    tally: &Tally,
    producer: impl Fn() -> B,
) -> Result<f64> {
    let barrier = Barrier::new(count);
    let barrier = &barrier;
    let mut all = Vec::new();
    let mut refused = false;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|_| {
                let mut enqueue = producer();
                scope.spawn(move || {
                    let mut figures = Vec::new();
                    let mut taken = true;
                    for number in 1..=bursts {
                        barrier.wait();
                        let began = Instant::now();
                        taken &= enqueue();
                        figures.push(began.elapsed().as_secs_f64() * 1e9 / BURST as f64);
                        barrier.wait();
                        let caught_up = (number * BURST * count as u64).saturating_sub(64);
                        while taken && tally.count() < caught_up {
                            std::thread::sleep(Duration::from_micros(20));
                        }
                    }
                    (figures, taken)
                })
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok((figures, taken)) => {
                    all.extend(figures);
                    refused |= !taken;
                }
                Err(_) => refused = true,
            }
        }
    });
    ensure!(!refused, "an item was refused");
    all.sort_by(f64::total_cmp);
    Ok(all[all.len() / 2])
}
