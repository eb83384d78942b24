//! A thousand tasks that follow one topic at a thousand records a second: what their deliveries cost in CPU
//! time, and how long after the append a task has its record.

use super::{VALUE, cpu::cpu_seconds, topic};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::{Result, ensure};
use bytes::Bytes;
use footman_broker::{Item, Record, StartAt};
use std::{
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, sync::broadcast, task::JoinHandle};

const TASKS: usize = 1_000;
const PER_SECOND: u32 = 1_000;
const KEPT: u64 = 4_096;

/// What one run found.
struct Found {
    /// CPU seconds of the process for a million deliveries.
    cpu: f64,
    /// µs from before the append until the task had the record, at the 99th of 100.
    p99: f64,
}

/// One run of a contender, with so many records.
type Once = fn(u32) -> Result<Found>;

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let groups = ["broker/tasks-cpu/1000", "broker/tasks-p99/1000"];
    if !groups.iter().any(|group| bench.wants(group)) {
        return Ok(());
    }
    let records = if bench.quick() {
        PER_SECOND
    } else {
        3 * PER_SECOND
    };
    let contenders: [(&str, Once); 2] = [
        ("footman-broker", follow_topic),
        ("tokio-broadcast", follow_channel),
    ];
    let mut found = [(); 2].map(|()| Vec::new());
    for _ in 0..bench.rounds() {
        for ((_, once), found) in contenders.iter().zip(&mut found) {
            found.push(once(records)?);
        }
    }
    for ((name, _), found) in contenders.iter().zip(&found) {
        let cpu = found.iter().map(|found| found.cpu).collect();
        bench.add(groups[0], name, ("CPU s/M deliveries", Better::Lower), cpu);
    }
    for ((name, _), found) in contenders.iter().zip(&found) {
        let p99 = found.iter().map(|found| found.p99).collect();
        bench.add(groups[1], name, ("µs", Better::Lower), p99);
    }
    Ok(())
}

/// A task's waits, a record each, in µs.
type Waits = Result<Vec<u32>>;

fn follow_topic(records: u32) -> Result<Found> {
    let (broker, producer) = topic(KEPT)?;
    let started = Instant::now();
    let task = || {
        let mut consumer = broker.consumer();
        let subscribed = consumer.subscribe("t", StartAt::Earliest);
        tokio::spawn(async move {
            let mut next = subscribed?.next_offset;
            let mut waits = Vec::with_capacity(records as usize);
            while waits.len() < records as usize {
                let Item::Records(run) = consumer.next().await else {
                    anyhow::bail!("something was lost at {next}");
                };
                for record in &run {
                    ensure!(record.offset == next);
                    next += 1;
                    waits.push(wait(record.value, started));
                }
            }
            Ok(waits)
        })
    };
    let send = |value| {
        producer
            .produce(&Record::new(value))
            .map(|_| ())
            .map_err(Into::into)
    };
    run(records, started, task, send)
}

fn follow_channel(records: u32) -> Result<Found> {
    let (sender, _) = broadcast::channel::<Bytes>(KEPT as usize);
    let started = Instant::now();
    let task = || {
        let mut receiver = sender.subscribe();
        tokio::spawn(async move {
            let mut waits = Vec::with_capacity(records as usize);
            while waits.len() < records as usize {
                waits.push(wait(&receiver.recv().await?, started));
            }
            Ok(waits)
        })
    };
    let send = |value| sender.send(value).map(|_| ()).map_err(Into::into);
    run(records, started, task, send)
}

/// µs since the time that a value carries.
fn wait(value: &[u8], started: Instant) -> u32 {
    let sent = Duration::from_nanos(super::number_of(value));
    u32::try_from((started.elapsed() - sent).as_micros()).unwrap_or(u32::MAX)
}

/// Starts the tasks, sends at a steady pace, and waits for everybody to have everything.
fn run(
    records: u32,
    started: Instant,
    task: impl Fn() -> JoinHandle<Waits>,
    send: impl Fn(Bytes) -> Result<()>,
) -> Result<Found> {
    let runtime = Runtime::new()?;
    let tasks: Vec<_> = runtime.block_on(async { (0..TASKS).map(|_| task()).collect() });
    thread::sleep(Duration::from_millis(50)); // all of them wait
    let before = cpu_seconds()?;
    let began = Instant::now();
    for i in 0..records {
        let due = began + Duration::from_secs(1) * i / PER_SECOND;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut value = vec![0; VALUE];
        value[..8].copy_from_slice(&(started.elapsed().as_nanos() as u64).to_le_bytes());
        send(value.into())?;
    }
    let mut waits = Vec::with_capacity(TASKS * records as usize);
    for task in tasks {
        waits.extend(runtime.block_on(task)??);
    }
    let cpu = cpu_seconds()? - before;
    ensure!(
        waits.len() == TASKS * records as usize,
        "everybody has everything, once"
    );
    let at = waits.len() * 99 / 100;
    let (_, &mut p99, _) = waits.select_nth_unstable(at);
    Ok(Found {
        cpu: cpu / (waits.len() as f64 / 1e6),
        p99: f64::from(p99),
    })
}
