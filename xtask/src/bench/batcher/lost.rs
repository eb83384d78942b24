//! What is lost without a word: accepted, and then neither processed, nor counted as failed, nor given back,
//! nor told to whoever waits for its reply.

use super::{OURS, Shape, reply, tally::Process, tasks, threads};
use crate::bench::{
    bench_run::{BenchRun, Contender},
    report::Better,
};
use anyhow::Result;
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

const ITEMS: u64 = 1000;

/// How it goes.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// Batches of 64 that take a millisecond each; the ordinary end of each contender after the last enqueue.
    Stop,
    /// Batches of 10; the third panics.
    Panic,
}

impl Fate {
    fn shape(self) -> Shape {
        Shape::of(if matches!(self, Self::Stop) { 64 } else { 10 }, 1)
    }

    /// A processor, and what it has processed.
    fn process(self) -> (Process, Arc<AtomicU64>) {
        let (batches, processed) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&processed);
        let process = move |batch: &[u64]| {
            let number = batches.fetch_add(1, Relaxed);
            match self {
                Self::Stop => std::thread::sleep(Duration::from_millis(1)),
                Self::Panic if number == 2 => {
                    std::panic::resume_unwind(Box::new("the third batch"))
                }
                Self::Panic => {}
            }
            count.fetch_add(batch.len() as u64, Relaxed);
        };
        (Arc::new(process), processed)
    }
}

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    for (group, fate) in [
        ("batcher/lost/stop", Fate::Stop),
        ("batcher/lost/panic", Fate::Panic),
    ] {
        let mut contenders: Vec<Contender<'_>> = vec![
            (OURS.into(), Box::new(move || ours(fate))),
            (
                "crossbeam".into(),
                Box::new(move || by_threads(threads::crossbeam, fate)),
            ),
            (
                "flume".into(),
                Box::new(move || by_threads(threads::flume, fate)),
            ),
        ];
        for (name, work) in tasks::LOOPS {
            contenders.push((name.into(), Box::new(move || on_tokio(work, fate))));
        }
        contenders.push((
            "tower-batch".into(),
            Box::new(move || replied(reply::tower, fate)),
        ));
        contenders.push((
            "batch-aint-one".into(),
            Box::new(move || replied(reply::aint_one, fate)),
        ));
        bench.group(group, ("items", Better::Lower), contenders)?;
    }
    Ok(())
}

fn ours(fate: Fate) -> Result<f64> {
    let (process, processed) = fate.process();
    let shape = fate.shape();
    let batcher = footman_batcher::Batcher::builder()
        .max_items(shape.batch)
        .workers(1)
        .start(move |batch: &mut footman_batcher::Batch<u64>| {
            process(batch);
            Ok::<(), Infallible>(())
        })?;
    let accepted = batcher.enqueue_many(0..ITEMS)? as u64;
    let report = batcher.safe_stop(Duration::from_secs(60));
    let told = report.failed + report.unprocessed.len() as u64;
    Ok(accepted as f64 - (processed.load(Relaxed) + told) as f64)
}

fn by_threads<F: threads::Feed>(start: threads::Start<F>, fate: Fate) -> Result<f64> {
    let (process, processed) = fate.process();
    let (feed, finish) = start(fate.shape(), process)?;
    let accepted = (0..ITEMS).filter(|item| feed.enqueue(*item)).count();
    // A worker that panicked is an error here, and nothing else happens.
    drop(finish(feed));
    Ok(accepted as f64 - processed.load(Relaxed) as f64)
}

fn on_tokio(work: tasks::Loop, fate: Fate) -> Result<f64> {
    let (process, processed) = fate.process();
    let accepted = tasks::runtime()?.block_on(async {
        let (mut feed, finish) = tasks::channels(fate.shape(), process, work);
        let mut accepted = 0;
        for item in 0..ITEMS {
            accepted += u64::from(tasks::Feed::enqueue(&mut feed, item).await);
        }
        drop(finish(feed).await);
        accepted
    });
    Ok(accepted as f64 - processed.load(Relaxed) as f64)
}

/// Who calls and waits is always told something: a call that never ends would show as a bench that hangs.
fn replied<S: reply::Submit>(start: fn(Shape, Process) -> Result<S>, fate: Fate) -> Result<f64> {
    let (process, processed) = fate.process();
    let told = tasks::runtime()?.block_on(async {
        let submit = start(fate.shape(), process)?;
        let call = |item| {
            let mut submit = submit.clone();
            tokio::spawn(async move { submit.call(item).await })
        };
        let calls: Vec<_> = (0..ITEMS).map(call).collect();
        drop(submit);
        let mut told = 0;
        for call in calls {
            // A caller's own task that panicked has heard of it as well.
            told += u64::from(!matches!(call.await, Ok(Ok(_))));
        }
        anyhow::Ok(told)
    })?;
    Ok(ITEMS as f64 - (processed.load(Relaxed) + told) as f64)
}
