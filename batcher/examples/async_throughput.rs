//! Measures the tokio front against the usual hand-written loop, tokio's mpsc and `recv_many`; then
//! `submit`, and how late lingers end in both fronts.
//!
//! Run it with `cargo run --release -p footman-batcher --features tokio --example async_throughput`.
#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::convert::Infallible;
use std::time::{Duration, Instant};

use footman_batcher::{AsyncBatcher, Batch, Batcher};
use tokio::sync::mpsc;

const CAPACITY: usize = 1024;
const RUNS: usize = 5;

type Figure = Result<f64, Box<dyn std::error::Error>>;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("million items/s, median of {RUNS}    recv_many   enqueue  ratio");
    for (batch, producers) in [(8, 1), (64, 1), (512, 1), (8, 4), (64, 4), (512, 4)] {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            theirs.push(recv_many(1_000_000, batch, producers).await?);
            ours.push(enqueue(1_000_000, batch, producers).await?);
        }
        let (theirs, ours) = (median(theirs), median(ours));
        println!(
            "batch {batch:>3}, producers {producers}, worker 1     {theirs:>8.1}  {ours:>8.1}  {:>5.2}",
            ours / theirs
        );
    }
    let mut rates = Vec::new();
    for _ in 0..RUNS {
        rates.push(submit(1_000_000).await?);
    }
    println!(
        "submit and await, 1 024 in flight: {:.2} million items/s",
        median(rates)
    );
    for rate in [100, 1000] {
        let (threads, tasks) = (late_threads(rate)?, late_tasks(rate).await?);
        println!("linger of 5 ms late by µs at {rate}/s: threads {threads}, tasks {tasks}");
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn rate(items: u64, start: Instant) -> f64 {
    items as f64 / start.elapsed().as_secs_f64() / 1e6
}

async fn enqueue(items: u64, batch: usize, producers: u64) -> Figure {
    let batcher = AsyncBatcher::builder()
        .max_items(batch)
        .workers(1)
        .capacity(CAPACITY);
    let batcher = batcher.start_tokio(|batch: &mut Batch<u64>| {
        std::hint::black_box(&batch[..]);
        Box::pin(async { Ok::<(), Infallible>(()) })
    })?;
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..producers {
        let batcher = batcher.clone();
        tasks.push(tokio::spawn(async move {
            for item in 0..items / producers {
                batcher.enqueue(item).await.expect("nobody stops it");
            }
        }));
    }
    for task in tasks {
        task.await?;
    }
    let report = batcher.safe_stop(Duration::from_secs(60)).await;
    assert_eq!(report.processed, items / producers * producers);
    Ok(rate(items, start))
}

async fn recv_many(items: u64, batch: usize, producers: u64) -> Figure {
    let (sender, mut receiver) = mpsc::channel::<u64>(CAPACITY);
    let start = Instant::now();
    let worker = tokio::spawn(async move {
        let mut items = Vec::with_capacity(batch);
        let mut count = 0;
        while receiver.recv_many(&mut items, batch).await > 0 {
            count += items.len() as u64;
            std::hint::black_box(&items);
            items.clear();
        }
        count
    });
    for _ in 0..producers {
        let sender = sender.clone();
        tokio::spawn(async move {
            for item in 0..items / producers {
                sender.send(item).await.expect("the worker outlives it");
            }
        });
    }
    drop(sender);
    assert_eq!(worker.await?, items / producers * producers);
    Ok(rate(items, start))
}

async fn submit(items: u64) -> Figure {
    let batcher = AsyncBatcher::builder()
        .workers(1)
        .capacity(CAPACITY)
        .adaptive(true)
        .start_tokio(|batch: &mut Batch<u64>| {
            let replies = batch.to_vec();
            Box::pin(async move { Ok::<_, Infallible>(replies) })
        })?;
    let start = Instant::now();
    let mut tickets = std::collections::VecDeque::with_capacity(CAPACITY);
    for item in 0..items {
        if tickets.len() == CAPACITY {
            let ticket: footman_batcher::Ticket<u64> = tickets.pop_front().expect("it is full");
            ticket.await?;
        }
        tickets.push_back(batcher.submit(item).await?);
    }
    for ticket in tickets {
        ticket.await?;
    }
    Ok(rate(items, start))
}

/// Flush minus first item's enqueue minus the linger: p50, p99, max. `None` would be early: only the
/// stop's flush of the last batch may be.
fn describe(late: Vec<Option<Duration>>) -> String {
    assert!(
        late.iter().rev().skip(1).all(Option::is_some),
        "never early"
    );
    let mut late: Vec<_> = late.into_iter().flatten().collect();
    late.sort();
    let at = |share: f64| late[(late.len() as f64 * share) as usize].as_micros();
    format!("p50 {} p99 {} max {}", at(0.5), at(0.99), at(0.9999))
}

const LINGER: Duration = Duration::from_millis(5);

fn late_threads(rate: u32) -> Result<String, Box<dyn std::error::Error>> {
    let (sender, receiver) = std::sync::mpsc::channel::<Option<Duration>>();
    let batcher = Batcher::builder()
        .linger(LINGER)
        .start(move |batch: &mut Batch<Instant>| {
            sender.send(batch[0].elapsed().checked_sub(LINGER))
        })?;
    for _ in 0..rate.min(300) {
        batcher.enqueue(Instant::now())?;
        std::thread::sleep(Duration::from_secs(1) / rate);
    }
    drop(batcher);
    Ok(describe(receiver.iter().collect()))
}

async fn late_tasks(rate: u32) -> Result<String, Box<dyn std::error::Error>> {
    let (sender, receiver) = std::sync::mpsc::channel::<Option<Duration>>();
    let batcher =
        AsyncBatcher::builder()
            .linger(LINGER)
            .start_tokio(move |batch: &mut Batch<Instant>| {
                let sent = sender.send(batch[0].elapsed().checked_sub(LINGER));
                Box::pin(async move { sent })
            })?;
    for _ in 0..rate.min(300) {
        batcher.enqueue(Instant::now()).await?;
        tokio::time::sleep(Duration::from_secs(1) / rate).await;
    }
    let report = batcher.safe_stop(Duration::from_secs(10)).await;
    assert_eq!(report.abandoned, 0);
    Ok(describe(receiver.try_iter().collect()))
}
