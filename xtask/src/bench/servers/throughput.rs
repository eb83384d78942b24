//! Fan-out, publishing alone, and replay: records a second, and what they cost the server.

use super::{
    load::Load,
    peer::{Peer, Peers, found},
    run::{Outcome, Subscribers, Topic, cpu, publish},
};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::{Context as _, Result};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const BYTES: usize = 128;

/// A run is repeated until the server's clock, which ticks every 10 ms, has seen enough of it.
const ENOUGH: f64 = 0.5;

pub(super) fn measure(bench: &mut BenchRun, runtime: &Runtime, peers: &Peers) -> Result<()> {
    let quick = |quick, full| if bench.quick() { quick } else { full };
    let shapes = [
        (1, quick(300_000, 1_000_000)),
        (8, quick(60_000, 250_000)),
        (64, quick(10_000, 50_000)),
    ];
    let (published, replayed) = (quick(300_000, 1_000_000), quick(250_000, 1_000_000));
    let pushing = ["footman", "nats", "kafka", "redis-pubsub"];
    for (subscribers, records) in shapes {
        let load = Load::flat_out(records, BYTES);
        let case = format!("128B/x{subscribers}");
        in_turn(
            bench,
            "fanout",
            &format!("/{case}"),
            &peers.named(&pushing),
            |peer| fan_out(runtime, peer, &load, subscribers),
        )?;
    }
    let all = [
        "footman",
        "nats",
        "jetstream",
        "kafka",
        "redis-pubsub",
        "redis-streams",
    ];
    let load = Load::flat_out(published, BYTES);
    in_turn(bench, "publish", "", &peers.named(&all), |peer| {
        let topic = Topic::create(runtime, peer, published)?;
        let before = cpu(peer)?;
        let elapsed = publish(&topic, load.clone())?;
        Ok(Outcome {
            deliveries: published,
            seconds: elapsed.as_secs_f64(),
            cpu: cpu(peer)? - before,
            ..Outcome::default()
        })
    })?;
    if bench.wants("servers/replay") {
        let keeping = ["footman", "jetstream", "kafka", "redis-streams"];
        let load = Load::flat_out(replayed, BYTES);
        let mut topics = Vec::new();
        for peer in peers.named(&keeping) {
            let kept = Topic::create(runtime, peer, replayed)
                .and_then(|topic| publish(&topic, load.clone()).map(|_| topic));
            topics.extend(found(bench, "servers/replay", peer.name(), kept)?);
        }
        let keepers: Vec<_> = topics.iter().map(|topic| topic.peer).collect();
        in_turn(bench, "replay", "", &keepers, |peer| {
            let of_peer = |topic: &&Topic<'_>| topic.peer.name() == peer.name();
            let topic = topics.iter().find(of_peer).context("each has a topic")?;
            replay(runtime, topic, &load)
        })?;
    }
    Ok(())
}

/// Runs every peer once a round, and reports rates, costs and losses.
fn in_turn(
    bench: &mut BenchRun,
    area: &str,
    case: &str,
    peers: &[&dyn Peer],
    mut once: impl FnMut(&dyn Peer) -> Result<Outcome>,
) -> Result<()> {
    let group = format!("servers/{area}{case}");
    let costs = format!("servers/{area}-cpu{case}");
    if !bench.wants(&group) && !bench.wants(&costs) {
        return Ok(());
    }
    let mut rest: Vec<(&dyn Peer, Vec<Outcome>)> =
        peers.iter().map(|&peer| (peer, Vec::new())).collect();
    let rounds = bench.rounds();
    for round in 1..=rounds {
        let mut going_on = Vec::new();
        for (peer, mut outcomes) in rest {
            bench.progress(&format!(
                "{group}: {}, round {round} of {rounds}",
                peer.name()
            ));
            let outcome = long_enough(|| once(peer));
            if let Some(outcome) = found(bench, &group, peer.name(), outcome)? {
                outcomes.push(outcome);
                going_on.push((peer, outcomes));
            }
        }
        rest = going_on;
    }
    for (peer, outcomes) in &rest {
        let each = |figure: fn(&Outcome) -> f64| outcomes.iter().map(figure).collect();
        let millions = ("M records/s", Better::Higher);
        bench.add(&group, peer.name(), millions, each(Outcome::rate));
        let cpu = ("server s/M", Better::Lower);
        bench.add(&costs, peer.name(), cpu, each(Outcome::cpu_per_million));
        if area == "fanout" {
            let lost = format!("servers/{area}-lost{case}");
            let percent = ("% lost", Better::Lower);
            bench.add(&lost, peer.name(), percent, each(Outcome::lost_percent));
        }
        let untold: u64 = outcomes.iter().map(|outcome| outcome.untold).sum();
        if untold > 0 {
            println!(
                "{group}: {} lost {untold} records without a word",
                peer.name()
            );
        }
    }
    Ok(())
}

fn long_enough(mut once: impl FnMut() -> Result<Outcome>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    while outcome.seconds < ENOUGH {
        outcome.add(&once()?);
    }
    Ok(outcome)
}

fn fan_out(runtime: &Runtime, peer: &dyn Peer, load: &Load, count: usize) -> Result<Outcome> {
    let topic = Topic::create(runtime, peer, load.records())?;
    let mut subscribers = runtime.block_on(Subscribers::start(&topic, load, count))?;
    let (before, started) = (cpu(peer)?, Instant::now());
    publish(&topic, load.clone())?;
    let ended = runtime.block_on(subscribers.settle())?;
    let mut outcome = Outcome {
        seconds: seconds(started, ended),
        cpu: cpu(peer)? - before,
        ..Outcome::default()
    };
    subscribers.count(&mut outcome);
    Ok(outcome)
}

/// Reads what is there, from before the subscription is made to its last record.
fn replay(runtime: &Runtime, topic: &Topic<'_>, load: &Load) -> Result<Outcome> {
    let (before, started) = (cpu(topic.peer)?, Instant::now());
    let mut subscribers = runtime.block_on(Subscribers::start(topic, load, 1))?;
    let ended = runtime.block_on(subscribers.settle())?;
    let mut outcome = Outcome {
        seconds: seconds(started, ended),
        cpu: cpu(topic.peer)? - before,
        ..Outcome::default()
    };
    subscribers.count(&mut outcome);
    Ok(outcome)
}

fn seconds(started: Instant, ended: Instant) -> f64 {
    let elapsed: Duration = ended.saturating_duration_since(started);
    elapsed.as_secs_f64()
}
