//! How late a batch is processed that only its linger closes: processing minus first enqueue minus linger.

use super::{OURS, Shape, reply, tally::Process, tasks, threads};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::{Context as _, Result, ensure};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

type Contender = (&'static str, Box<dyn Fn(Pace) -> Result<Arc<Lateness>>>);

/// Items, and the time between two.
#[derive(Debug, Clone, Copy)]
struct Pace {
    items: u32,
    every: Duration,
}

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let quick = bench.quick();
    for (rate, items) in [
        (100, if quick { 50 } else { 100 }),
        (1000, if quick { 300 } else { 500 }),
    ] {
        let group = format!("batcher/linger-late/{rate}hz");
        let group_p99 = format!("{group}-p99");
        if !bench.wants(&group) && !bench.wants(&group_p99) {
            continue;
        }
        let pace = Pace {
            items,
            every: Duration::from_secs(1) / rate,
        };
        let contenders = contenders();
        let mut runs = vec![(Vec::new(), Vec::new()); contenders.len()];
        for _ in 0..bench.rounds() {
            for ((name, once), runs) in contenders.iter().zip(&mut runs) {
                let lateness = once(pace).with_context(|| format!("{group}: {name}"))?;
                runs.0.push(lateness.at(0.5)?);
                runs.1.push(lateness.at(0.99)?);
            }
        }
        let unit = ("µs", Better::Lower);
        for ((name, _), runs) in contenders.iter().zip(&runs) {
            bench.add(&group, name, unit, runs.0.clone());
        }
        for ((name, _), runs) in contenders.iter().zip(runs) {
            bench.add(&group_p99, name, unit, runs.1);
        }
    }
    Ok(())
}

fn contenders() -> Vec<Contender> {
    let mut all: Vec<Contender> = vec![
        (OURS, Box::new(|pace| by_threads(threads::ours, pace))),
        (
            "footman-batcher, tokio",
            Box::new(|pace| on_tokio(tasks::ours, pace)),
        ),
        (
            "crossbeam",
            Box::new(|pace| by_threads(threads::crossbeam, pace)),
        ),
        ("flume", Box::new(|pace| by_threads(threads::flume, pace))),
    ];
    for (name, work) in tasks::LOOPS {
        if !name.ends_with("no linger") {
            all.push((
                name,
                Box::new(move |pace| {
                    on_tokio(
                        |shape, process| Ok(tasks::channels(shape, process, work)),
                        pace,
                    )
                }),
            ));
        }
    }
    all.push(("tower-batch", Box::new(|pace| replied(reply::tower, pace))));
    all.push((
        "batch-aint-one",
        Box::new(|pace| replied(reply::aint_one, pace)),
    ));
    all
}

const LINGER: Duration = Duration::from_millis(5);

/// A batch that never fills.
fn shape() -> Shape {
    Shape {
        linger: LINGER,
        ..Shape::of(64, 1)
    }
}

fn by_threads<F: threads::Feed>(start: threads::Start<F>, pace: Pace) -> Result<Arc<Lateness>> {
    let (lateness, process) = Lateness::new(LINGER);
    let (feed, finish) = start(shape(), process)?;
    enqueue_paced(pace, &lateness, |item| feed.try_enqueue(item))?;
    finish(feed)?;
    Ok(lateness)
}

fn on_tokio<F: tasks::Feed>(
    start: impl FnOnce(Shape, Process) -> Result<(F, tasks::Finish<F>)>,
    pace: Pace,
) -> Result<Arc<Lateness>> {
    let (lateness, process) = Lateness::new(LINGER);
    let runtime = tasks::runtime()?;
    let guard = runtime.enter();
    let (mut feed, finish) = start(shape(), process)?;
    enqueue_paced(pace, &lateness, |item| feed.try_enqueue(item))?;
    runtime.block_on(finish(feed))?;
    drop(guard);
    Ok(lateness)
}

/// A call has to be waited for to be made: a task each.
fn replied<S: reply::Submit>(
    start: fn(Shape, Process) -> Result<S>,
    pace: Pace,
) -> Result<Arc<Lateness>> {
    let (lateness, process) = Lateness::new(LINGER);
    let runtime = tasks::runtime()?;
    let guard = runtime.enter();
    let submit = start(shape(), process)?;
    enqueue_paced(pace, &lateness, |item| {
        let mut submit = submit.clone();
        tokio::spawn(async move { submit.call(item).await });
        true
    })?;
    drop((submit, guard));
    Ok(lateness)
}

/// Enqueues from this thread at a pace, then waits until the last batch is due.
fn enqueue_paced(
    pace: Pace,
    lateness: &Lateness,
    mut enqueue: impl FnMut(u64) -> bool,
) -> Result<()> {
    let began = Instant::now();
    for number in 0..pace.items {
        ensure!(enqueue(lateness.now()), "an item was refused");
        let next = began + pace.every * (number + 1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    std::thread::sleep(LINGER * 3);
    Ok(())
}

/// A processor that notes how late it was called. Items are times: nanoseconds since it was made.
#[derive(Debug)]
pub(super) struct Lateness {
    since: Instant,
    linger: Duration,
    late: Mutex<Vec<f64>>,
}

impl Lateness {
    pub(super) fn new(linger: Duration) -> (Arc<Self>, Process) {
        let lateness = Arc::new(Self {
            since: Instant::now(),
            linger,
            late: Mutex::new(Vec::new()),
        });
        let noted = Arc::clone(&lateness);
        (lateness, Arc::new(move |batch| noted.note(batch)))
    }

    /// The item to enqueue now.
    pub(super) fn now(&self) -> u64 {
        self.since.elapsed().as_nanos() as u64
    }

    fn note(&self, batch: &[u64]) {
        let now = self.now() as f64;
        let linger = self.linger.as_nanos() as f64;
        if let Some(first) = batch.first() {
            let late = (now - *first as f64 - linger) / 1e3;
            self.late
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(late);
        }
    }

    /// The lateness in microseconds that this share of all batches kept to.
    pub(super) fn at(&self, share: f64) -> Result<f64> {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.sort_by(f64::total_cmp);
        let rank = (late.len() as f64 * share) as usize;
        let late = late.get(rank.min(late.len().saturating_sub(1)));
        late.copied().context("no batch was processed")
    }
}
