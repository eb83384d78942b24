//! Items through a batcher, from the first enqueue until all are processed and the workers have ended.

use super::{OURS, Shape, tally::Tally, tasks, threads};
use crate::bench::{
    bench_run::{BenchRun, Contender},
    report::Better,
};
use anyhow::{Result, ensure};
use std::time::Instant;

const UNIT: (&str, Better) = ("M items/s", Better::Higher);

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let quick = bench.quick();
    let count: u64 = if quick { 500_000 } else { 1_000_000 };
    for workers in [1, 2] {
        for producers in [1, 4] {
            for batch in [8, 64, 512] {
                // A quick run leaves the middle out.
                if quick && (workers == 2 && batch != 64) {
                    continue;
                }
                let cell = if workers == 1 {
                    format!("{producers}p/b{batch}")
                } else {
                    format!("{producers}p/b{batch}/w{workers}")
                };
                let (shape, each) = (Shape::of(batch, workers), count / producers);
                bench.group(
                    &format!("batcher/sync/{cell}"),
                    UNIT,
                    vec![
                        by_threads(OURS, threads::ours, shape, producers, each),
                        by_threads("crossbeam", threads::crossbeam, shape, producers, each),
                        by_threads("flume", threads::flume, shape, producers, each),
                    ],
                )?;
                let each = each / 2;
                let mut contenders: Vec<Contender<'_>> = vec![(
                    OURS.into(),
                    Box::new(move || run_tasks(tasks::ours, shape, producers, each)),
                )];
                for (name, work) in tasks::LOOPS {
                    contenders.push((
                        name.into(),
                        Box::new(move || {
                            let start = |shape, process| Ok(tasks::channels(shape, process, work));
                            run_tasks(start, shape, producers, each)
                        }),
                    ));
                }
                bench.group(&format!("batcher/async/{cell}"), UNIT, contenders)?;
            }
        }
    }
    Ok(())
}

fn by_threads<F: threads::Feed>(
    name: &str,
    start: threads::Start<F>,
    shape: Shape,
    producers: u64,
    each: u64,
) -> Contender<'static> {
    let run = move || run_threads(start, shape, producers, each);
    (name.into(), Box::new(run))
}

fn run_threads<F: threads::Feed>(
    start: threads::Start<F>,
    shape: Shape,
    producers: u64,
    each: u64,
) -> Result<f64> {
    let (tally, process) = Tally::new();
    let (feed, finish) = start(shape, process)?;
    let began = Instant::now();
    let all_taken = std::thread::scope(|scope| {
        let producer = |_| {
            let feed = feed.clone();
            scope.spawn(move || (0..each).all(|item| feed.enqueue(item)))
        };
        let producers: Vec<_> = (0..producers).map(producer).collect();
        producers
            .into_iter()
            .all(|producer| producer.join().unwrap_or(false))
    });
    finish(feed)?;
    let seconds = began.elapsed().as_secs_f64();
    ensure!(all_taken, "an item was refused");
    tally.check(each, producers, shape.workers)?;
    Ok((each * producers) as f64 / seconds / 1e6)
}

fn run_tasks<F: tasks::Feed>(
    start: impl FnOnce(Shape, super::tally::Process) -> Result<(F, tasks::Finish<F>)>,
    shape: Shape,
    producers: u64,
    each: u64,
) -> Result<f64> {
    let (tally, process) = Tally::new();
    let runtime = tasks::runtime()?;
    let seconds = runtime.block_on(async {
        let (feed, finish) = start(shape, process)?;
        let began = Instant::now();
        let producer = |_| {
            let mut feed = feed.clone();
            tokio::spawn(async move {
                for item in 0..each {
                    if !feed.enqueue(item).await {
                        return false;
                    }
                }
                true
            })
        };
        let producers: Vec<_> = (0..producers).map(producer).collect();
        for producer in producers {
            ensure!(producer.await?, "an item was refused");
        }
        finish(feed).await?;
        Ok(began.elapsed().as_secs_f64())
    })?;
    tally.check(each, producers, shape.workers)?;
    Ok((each * producers) as f64 / seconds / 1e6)
}
