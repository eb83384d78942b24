//! One run: subscribers that are ready, a publisher, and what came of it.

use super::{
    load::{Load, Tally},
    peer::Peer,
};
use crate::bench::pipe::cpu_seconds;
use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinSet, time::timeout};

/// When nothing has come for so long, nothing comes any more.
const QUIET: Duration = Duration::from_millis(1_500);

/// A topic of its own, until it is dropped.
pub(super) struct Topic<'a> {
    runtime: &'a Runtime,
    pub(super) peer: &'a dyn Peer,
    pub(super) name: String,
}

impl<'a> Topic<'a> {
    /// A new one with room for so many records.
    pub(super) fn create(runtime: &'a Runtime, peer: &'a dyn Peer, records: u64) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("bench-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(peer.create(&name, records))?;
        Ok(Self {
            runtime,
            peer,
            name,
        })
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.runtime.block_on(self.peer.delete(&self.name)) {
            println!("{}: {error:#}", self.peer.name());
        }
    }
}

/// What one run, or several, found.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) deliveries: u64,
    /// Records that subscribers were told they lost, and records that are missing without a word.
    pub(super) told: u64,
    pub(super) untold: u64,
    pub(super) seconds: f64,
    pub(super) cpu: f64,
}

impl Outcome {
    pub(super) fn rate(&self) -> f64 {
        self.deliveries as f64 / 1e6 / self.seconds
    }

    pub(super) fn cpu_per_million(&self) -> f64 {
        self.cpu / (self.deliveries as f64 / 1e6)
    }

    pub(super) fn lost_percent(&self) -> f64 {
        let lost = self.told + self.untold;
        100.0 * lost as f64 / (self.deliveries + lost) as f64
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.told += other.told;
        self.untold += other.untold;
        self.seconds += other.seconds;
        self.cpu += other.cpu;
    }
}

/// Subscribers under way.
pub(super) struct Subscribers {
    tasks: JoinSet<Result<Instant>>,
    tallies: Vec<Arc<Tally>>,
    records: u64,
}

impl Subscribers {
    /// So many, each known to the server and receiving.
    pub(super) async fn start(topic: &Topic<'_>, load: &Load, count: usize) -> Result<Self> {
        let mut subscribers = Self {
            tasks: JoinSet::new(),
            tallies: Vec::new(),
            records: load.records(),
        };
        for _ in 0..count {
            let tally = Tally::of(load)?;
            let (records, seen) = (load.records(), Arc::clone(&tally));
            let receive = topic.peer.subscribe(&topic.name, records, seen).await?;
            subscribers.tallies.push(tally);
            subscribers.tasks.spawn(async move {
                receive.await?;
                Ok(Instant::now())
            });
        }
        Ok(subscribers)
    }

    /// Waits until each has its last record, or nothing comes any more. Returns when that was.
    pub(super) async fn settle(&mut self) -> Result<Instant> {
        let mut last = None;
        let (mut seen, mut seen_at) = (0, Instant::now());
        while !self.tasks.is_empty() {
            match timeout(Duration::from_millis(100), self.tasks.join_next()).await {
                Ok(Some(Ok(ended))) => last = last.max(Some(ended?)),
                Ok(Some(Err(error))) if error.is_cancelled() => {}
                Ok(Some(Err(error))) => return Err(error.into()),
                Ok(None) => break,
                Err(_) => {
                    let received = self.tallies.iter().map(|tally| tally.received()).sum();
                    if seen != received {
                        (seen, seen_at) = (received, Instant::now());
                    } else if seen_at.elapsed() > QUIET {
                        last = last.max(Some(seen_at));
                        self.tallies.iter().for_each(|tally| tally.end());
                        self.tasks.abort_all();
                    }
                }
            }
        }
        last.context("there is no subscriber")
    }

    /// What they received and did not.
    pub(super) fn count(&self, outcome: &mut Outcome) {
        for tally in &self.tallies {
            outcome.deliveries += tally.received();
            outcome.told += tally.told();
            outcome.untold += self.records.saturating_sub(tally.received() + tally.told());
        }
    }

    /// The ages of all that they received.
    pub(super) fn ages(&self) -> Result<Histogram<u64>> {
        let mut all = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
        for tally in &self.tallies {
            tally.add_ages_to(&mut all)?;
        }
        Ok(all)
    }
}

/// Publishes from a thread of its own, which a paced load blocks. Returns how long it took.
pub(super) fn publish(topic: &Topic<'_>, load: Load) -> Result<Duration> {
    let started = Instant::now();
    thread::scope(|scope| {
        let publishing = || {
            topic
                .runtime
                .block_on(topic.peer.publish(&topic.name, load))
        };
        scope
            .spawn(publishing)
            .join()
            .expect("clients do not panic")
    })?;
    Ok(started.elapsed())
}

/// The server's CPU seconds so far.
pub(super) fn cpu(peer: &dyn Peer) -> Result<f64> {
    cpu_seconds(peer.pid()).context("the system does not tell a process's CPU time")
}
