//! What an idle consumer of one topic takes, the allocator's share included.

use super::{cpu::resident_bytes, topic};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::{Result, ensure};
use footman_broker::StartAt;
use std::task::{Context, Waker};
use tokio::sync::broadcast;

const CONSUMERS: usize = 200_000;

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    bench.group(
        "broker/memory/consumer",
        ("bytes", Better::Lower),
        vec![
            ("footman-broker".into(), Box::new(consumers)),
            ("tokio-broadcast".into(), Box::new(receivers)),
        ],
    )
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
