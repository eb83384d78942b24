//! One item for an idle worker, now and then: how long the caller is held, and when the worker begins.

use super::{OURS, Shape, linger::Lateness, tasks, threads};
use crate::bench::{
    bench_run::{BenchRun, median},
    report::Better,
};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// Long enough for every worker to be asleep again.
const PAUSE: Duration = Duration::from_micros(300);

/// Microseconds until the worker began, and those of the enqueue itself: medians.
type Figures = (f64, f64);

type Contender = (&'static str, Box<dyn Fn() -> Result<Figures>>);

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    const GROUPS: [&str; 2] = ["batcher/wake", "batcher/wake-caller"];
    if !GROUPS.iter().any(|group| bench.wants(group)) {
        return Ok(());
    }
    let count = if bench.quick() { 400 } else { 1000 };
    let contenders: [Contender; 5] = [
        (OURS, Box::new(move || by_threads(threads::ours, count))),
        (
            "footman-batcher, tokio",
            Box::new(move || on_tokio(tasks::ours, count)),
        ),
        (
            "crossbeam",
            Box::new(move || by_threads(threads::crossbeam, count)),
        ),
        ("flume", Box::new(move || by_threads(threads::flume, count))),
        (
            "tokio recv_many",
            Box::new(move || {
                let work = tasks::LOOPS[0].1;
                on_tokio(
                    |shape, process| Ok(tasks::channels(shape, process, work)),
                    count,
                )
            }),
        ),
    ];
    let mut runs = vec![(Vec::new(), Vec::new()); contenders.len()];
    for _ in 0..bench.rounds() {
        for ((_, once), runs) in contenders.iter().zip(&mut runs) {
            let (until_begun, caller) = once()?;
            runs.0.push(until_begun);
            runs.1.push(caller);
        }
    }
    let unit = ("µs", Better::Lower);
    for ((name, _), runs) in contenders.iter().zip(&runs) {
        bench.add(GROUPS[0], name, unit, runs.0.clone());
    }
    for ((name, _), runs) in contenders.iter().zip(runs) {
        bench.add(GROUPS[1], name, unit, runs.1);
    }
    Ok(())
}

fn by_threads<F: threads::Feed>(start: threads::Start<F>, count: u64) -> Result<Figures> {
    let (lateness, process) = Lateness::new(Duration::ZERO);
    let (feed, finish) = start(Shape::of(1, 1), process)?;
    let caller = one_by_one(count, &lateness, |item| feed.try_enqueue(item))?;
    finish(feed)?;
    Ok((lateness.at(0.5)?, caller))
}

fn on_tokio<F: tasks::Feed>(
    start: impl FnOnce(Shape, super::tally::Process) -> Result<(F, tasks::Finish<F>)>,
    count: u64,
) -> Result<Figures> {
    let (lateness, process) = Lateness::new(Duration::ZERO);
    let runtime = tasks::runtime()?;
    let guard = runtime.enter();
    let (mut feed, finish) = start(Shape::of(1, 1), process)?;
    let caller = one_by_one(count, &lateness, |item| feed.try_enqueue(item))?;
    runtime.block_on(finish(feed))?;
    drop(guard);
    Ok((lateness.at(0.5)?, caller))
}

/// Enqueues from this thread. The median of the enqueues' microseconds.
fn one_by_one(
    count: u64,
    lateness: &Lateness,
    mut enqueue: impl FnMut(u64) -> bool,
) -> Result<f64> {
    let mut figures = Vec::new();
    for _ in 0..count {
        std::thread::sleep(PAUSE);
        let item = lateness.now();
        let began = Instant::now();
        ensure!(enqueue(item), "an item was refused");
        figures.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(figures))
}
