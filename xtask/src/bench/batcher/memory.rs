//! Memory of what waits, while the processor is stuck: bytes of the process for each item.
//!
//! Each figure comes from a process of its own (this program again, told by its environment what to do): in
//! one process, what an earlier contender gave back would be used again, and seem to cost nothing.

use super::{OURS, Shape, reply, tally::Process, tasks, threads};
use crate::bench::{
    bench_run::{BenchRun, Contender},
    report::Better,
};
use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{FutureExt as _, future::BoxFuture};
use std::{
    env,
    process::Command,
    sync::{Arc, mpsc},
    time::Duration,
};

/// Says to a child what to measure.
const TOLD: &str = "FOOTMAN_BENCH_MEMORY";
/// Comes before the figure in a child's output.
const FIGURE: &str = "bytes an item: ";

/// Items in one queue. Several queues are measured together, so that pages that are half used matter less.
const QUEUED: usize = 100_000;
const QUEUES: usize = 10;
/// A call that waits for its reply, boxed as whoever waits for many keeps them.
type Call = BoxFuture<'static, Result<u64>>;
const CALLS: usize = 20_000;

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let unit = ("bytes an item", Better::Lower);
    let contender = |name: &'static str, told: &'static str| -> Contender<'static> {
        (name.into(), Box::new(move || in_a_child(told)))
    };
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    bench.group(
        "batcher/memory/queued",
        unit,
        vec![
            contender(OURS, "queued ours"),
            contender("crossbeam", "queued crossbeam"),
            contender("flume", "queued flume"),
            contender("tokio mpsc", "queued tokio"),
        ],
    )?;
    bench.group(
        "batcher/memory/submit",
        unit,
        vec![
            contender(OURS, "submit ours"),
            // What a caller keeps who does not box the future.
            contender("footman-batcher, bare tickets", "tickets ours"),
            contender("tower-batch", "submit tower"),
            contender("batch-aint-one", "submit aint-one"),
        ],
    )
}

fn in_a_child(told: &str) -> Result<f64> {
    let output = Command::new(env::current_exe()?)
        .args(["bench", "batcher"])
        .env(TOLD, told)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = text.lines().find_map(|line| line.strip_prefix(FIGURE));
    let figure = figure.with_context(|| {
        format!(
            "{told} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    Ok(figure.parse()?)
}

/// In such a child: measures what it was told, and prints it. False in any other process.
pub(super) fn measure_one_for_parent() -> Result<bool> {
    let Some(told) = env::var_os(TOLD) else {
        return Ok(false);
    };
    let bytes = match told.to_string_lossy().as_ref() {
        "queued ours" => queued(threads::ours)?,
        "queued crossbeam" => queued(threads::crossbeam)?,
        "queued flume" => queued(threads::flume)?,
        "queued tokio" => queued_on_tokio()?,
        "submit ours" => submitted(OURS)?,
        "tickets ours" => bare_tickets()?,
        "submit tower" => submitted("tower-batch")?,
        "submit aint-one" => submitted("batch-aint-one")?,
        other => bail!("{TOLD} says {other:?}"),
    };
    println!("{FIGURE}{bytes}");
    Ok(true)
}

/// A processor that never ends, and what tells that it has begun.
fn stuck() -> (Process, mpsc::Receiver<()>) {
    let (begin, begun) = mpsc::channel();
    let process = move |_: &[u64]| {
        begin.send(()).ok();
        loop {
            std::thread::park();
        }
    };
    (Arc::new(process), begun)
}

fn queued_shape() -> Shape {
    Shape {
        capacity: QUEUED,
        linger: Duration::from_secs(3600),
        ..Shape::of(64, 1)
    }
}

/// The queues are never stopped: the process ends with them.
fn queued<F: threads::Feed>(start: threads::Start<F>) -> Result<f64> {
    let before = resident()?;
    let mut feeds = Vec::new();
    let mut started = 0;
    for _ in 0..QUEUES {
        let (process, begun) = stuck();
        let (feed, finish) = start(queued_shape(), process)?;
        let empty = resident()?;
        ensure!((0..64).all(|item| feed.enqueue(item)));
        begun.recv()?;
        // What the worker's thread touched is not the queue's.
        started += resident()?.saturating_sub(empty);
        feeds.push((feed, finish));
    }
    for (feed, _) in &feeds {
        ensure!((0..QUEUED as u64).all(|item| feed.try_enqueue(item)));
    }
    let bytes = resident()?.saturating_sub(before + started);
    std::mem::forget(feeds);
    Ok(bytes as f64 / (QUEUES * QUEUED) as f64)
}

fn queued_on_tokio() -> Result<f64> {
    let runtime = tasks::runtime()?;
    let before = resident()?;
    let mut senders = Vec::new();
    for _ in 0..QUEUES {
        let (sender, receiver) = tokio::sync::mpsc::channel(QUEUED);
        for item in 0..QUEUED as u64 {
            sender.try_send(item)?;
        }
        senders.push((sender, receiver));
    }
    let bytes = resident()?.saturating_sub(before);
    drop((senders, runtime));
    Ok(bytes as f64 / (QUEUES * QUEUED) as f64)
}

fn call_shape() -> Shape {
    Shape {
        capacity: 2 * CALLS,
        ..queued_shape()
    }
}

fn submitted(name: &str) -> Result<f64> {
    let runtime = tasks::runtime()?;
    let _guard = runtime.enter();
    let nothing: Process = Arc::new(|_| ());
    let shape = call_shape();
    // The list of the calls is the caller's: it is there before.
    let mut calls: Vec<Option<Call>> = (0..CALLS).map(|_| None).collect();
    let before = resident()?;
    match name {
        OURS => {
            let batcher = reply::stuck_ours(shape)?;
            for (item, call) in (0..).zip(&mut calls) {
                let ticket = batcher.try_submit(item)?;
                *call = Some(Box::pin(ticket.map(|reply| Ok(reply?))));
            }
            std::mem::forget(batcher);
        }
        "tower-batch" => {
            let tower = reply::stuck_tower(shape, nothing);
            add_calls(&mut calls, &tower);
        }
        _ => {
            let batcher = reply::stuck_aint_one(shape, nothing);
            add_calls(&mut calls, &batcher);
        }
    }
    // Each is asked once, so that it waits.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for call in calls.iter_mut().flatten() {
        ensure!(
            call.poll_unpin(&mut context).is_pending(),
            "a stuck call has ended"
        );
    }
    std::thread::sleep(Duration::from_millis(50));
    let bytes = resident()?.saturating_sub(before);
    std::mem::forget(calls);
    Ok(bytes as f64 / CALLS as f64)
}

/// All that waits of ours: items, results to come, wakers, and the tickets in the caller's list.
fn bare_tickets() -> Result<f64> {
    let runtime = tasks::runtime()?;
    let _guard = runtime.enter();
    let before = resident()?;
    let batcher = reply::stuck_ours(call_shape())?;
    let mut tickets = Vec::with_capacity(CALLS);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for item in 0..CALLS as u64 {
        let mut ticket = batcher.try_submit(item)?;
        ensure!(ticket.poll_unpin(&mut context).is_pending());
        tickets.push(ticket);
    }
    let bytes = resident()?.saturating_sub(before);
    std::mem::forget((tickets, batcher));
    Ok(bytes as f64 / CALLS as f64)
}

fn add_calls<S: reply::Submit>(calls: &mut [Option<Call>], submit: &S) {
    for (item, call) in (0..).zip(calls) {
        let mut submit = submit.clone();
        *call = Some(Box::pin(async move { submit.call(item).await }));
    }
}

/// Bytes of this process's heap and stacks in memory. From the page tables, not from the counters that the
/// kernel brings up to date now and then.
fn resident() -> Result<u64> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let kib = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))
        .and_then(|rest| rest.split_whitespace().next())
        .context("/proc/self/smaps_rollup has no figure")?;
    Ok(kib.parse::<u64>()? * 1024)
}
