//! What an idle consumer of one topic takes, the allocator's share included.
//!
//! Each figure comes from a process of its own (this program again, told by its environment what to measure): in one
//! process, memory that an earlier round gave back would be used again, and seem to cost nothing.

use super::{cpu::resident_bytes, topic};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::{Context as _, Result, bail, ensure};
use footman_broker::StartAt;
use std::{
    env,
    process::Command,
    task::{Context, Waker},
};
use tokio::sync::broadcast;

/// Says to a child what to measure.
const TOLD: &str = "FOOTMAN_BENCH_CONSUMER_MEMORY";
/// Comes before the figure in a child's output.
const FIGURE: &str = "bytes a consumer: ";

const CONSUMERS: usize = 200_000;

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    bench.group(
        "broker/memory/consumer",
        ("bytes", Better::Lower),
        vec![
            (
                "footman-broker".into(),
                Box::new(|| in_a_child("consumers")),
            ),
            (
                "tokio-broadcast".into(),
                Box::new(|| in_a_child("receivers")),
            ),
        ],
    )
}

fn in_a_child(told: &str) -> Result<f64> {
    let output = Command::new(env::current_exe()?)
        .args(["bench", "broker"])
        .env(TOLD, told)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = text.lines().find_map(|line| line.strip_prefix(FIGURE));
    let errors = String::from_utf8_lossy(&output.stderr);
    let figure = figure.with_context(|| format!("{told}: {}: {errors}", output.status))?;
    Ok(figure.parse()?)
}

/// In such a child: measures what it was told, and prints it. False in any other process.
pub(super) fn measure_one_for_parent() -> Result<bool> {
    let Some(told) = env::var_os(TOLD) else {
        return Ok(false);
    };
    let bytes = match told.to_string_lossy().as_ref() {
        "consumers" => consumers()?,
        "receivers" => receivers()?,
        other => bail!("{TOLD} says {other:?}"),
    };
    println!("{FIGURE}{bytes}");
    Ok(true)
}

/// Consumers that wait for the topic's first record.
fn consumers() -> Result<f64> {
    let (broker, _producer) = topic(4_096)?;
    let mut idle = Vec::with_capacity(CONSUMERS);
    let before = resident_bytes()?;
    for _ in 0..CONSUMERS {
        let mut consumer = broker.consumer();
        consumer.subscribe("t", StartAt::Latest)?;
        let mut asleep = Context::from_waker(Waker::noop());
        ensure!(consumer.poll_next_item(&mut asleep).is_pending());
        idle.push(consumer);
    }
    Ok((resident_bytes()? - before) as f64 / idle.len() as f64)
}

/// A waiting receiver's state is in the future that waits, one per wait: what is counted is a receiver that
/// does not wait.
fn receivers() -> Result<f64> {
    let (sender, _) = broadcast::channel::<u64>(4_096);
    let mut idle = Vec::with_capacity(CONSUMERS);
    let before = resident_bytes()?;
    idle.extend((0..CONSUMERS).map(|_| sender.subscribe()));
    Ok((resident_bytes()? - before) as f64 / idle.len() as f64)
}
