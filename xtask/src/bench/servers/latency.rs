//! How old a record is when it arrives: at a steady rate, and beside a subscriber that does not read.

use super::{
    load::{Load, Tally},
    peer::{Peer, Peers, Stuck, found},
    run::{Subscribers, Topic, publish},
};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use std::{sync::Arc, time::Duration};
use tokio::{io::AsyncReadExt as _, runtime::Runtime, time::timeout};

const MICROSECONDS: (&str, Better) = ("µs", Better::Lower);

pub(super) fn measure(bench: &mut BenchRun, runtime: &Runtime, peers: &Peers) -> Result<()> {
    steady(bench, runtime, peers)?;
    stuck(bench, runtime, peers)
}

/// 10 000 records of 128 bytes a second to one subscriber.
fn steady(bench: &mut BenchRun, runtime: &Runtime, peers: &Peers) -> Result<()> {
    if !bench.wants("servers/latency/10khz/p50") && !bench.wants("servers/latency/10khz/p99") {
        return Ok(());
    }
    let seconds = if bench.quick() { 1.0 } else { 3.0 };
    let names = ["footman", "nats", "jetstream", "kafka", "redis-pubsub"];
    let mut rest: Vec<_> = peers
        .named(&names)
        .into_iter()
        .map(|p| (p, (vec![], vec![])))
        .collect();
    let rounds = bench.rounds();
    for round in 1..=rounds {
        let mut going_on = Vec::new();
        for (peer, (mut p50, mut p99)) in rest {
            bench.progress(&format!(
                "servers/latency: {}, round {round} of {rounds}",
                peer.name()
            ));
            let ages = ages(runtime, peer, Load::paced(10_000, seconds, 128));
            if let Some(ages) = found(bench, "servers/latency/10khz", peer.name(), ages)? {
                p50.push(microseconds(&ages, 0.5));
                p99.push(microseconds(&ages, 0.99));
                going_on.push((peer, (p50, p99)));
            }
        }
        rest = going_on;
    }
    for (peer, (p50, p99)) in rest {
        bench.add("servers/latency/10khz/p50", peer.name(), MICROSECONDS, p50);
        bench.add("servers/latency/10khz/p99", peer.name(), MICROSECONDS, p99);
    }
    bench.show();
    Ok(())
}

/// One paced run with one subscriber.
fn ages(runtime: &Runtime, peer: &dyn Peer, load: Load) -> Result<Histogram<u64>> {
    let topic = Topic::create(runtime, peer, load.records())?;
    let mut subscribers = runtime.block_on(Subscribers::start(&topic, &load, 1))?;
    publish(&topic, load)?;
    runtime.block_on(subscribers.settle())?;
    subscribers.ages()
}

/// What a run beside a stuck subscriber, or without it, found.
struct Beside {
    rate: f64,
    p99: f64,
    /// Records that the stuck one did not get and was not told of.
    untold: u64,
    /// What it got, for people.
    words: String,
}

/// 20 000 records of 1 KiB a second to 7 subscribers, and to an eighth that reads as well, or does not.
fn stuck(bench: &mut BenchRun, runtime: &Runtime, peers: &Peers) -> Result<()> {
    if !bench.wants("servers/stuck") {
        return Ok(());
    }
    let seconds = if bench.quick() { 2.5 } else { 8.0 };
    let rounds = if bench.quick() { 1 } else { bench.rounds() };
    'peers: for peer in peers.named(&["footman", "nats", "redis-pubsub"]) {
        let (mut rates, mut p99s, mut withs, mut withouts) = (vec![], vec![], vec![], vec![]);
        let mut untold = vec![];
        for round in 1..=rounds {
            bench.progress(&format!(
                "servers/stuck: {}, round {round} of {rounds}",
                peer.name()
            ));
            let load = Load::paced(20_000, seconds, 1_024);
            let pair = beside(runtime, peer, &load, false)
                .and_then(|without| Ok((without, beside(runtime, peer, &load, true)?)));
            let Some((without, with)) = found(bench, "servers/stuck", peer.name(), pair)? else {
                continue 'peers;
            };
            rates.push(with.rate / without.rate);
            p99s.push(with.p99 / without.p99);
            withs.push(with.p99);
            withouts.push(without.p99);
            untold.push(with.untold as f64);
            bench.note(format!("servers/stuck: {}: {}", peer.name(), with.words));
        }
        let (higher, lower) = (("x without", Better::Higher), ("x without", Better::Lower));
        bench.add("servers/stuck/rate", peer.name(), higher, rates);
        bench.add("servers/stuck/p99", peer.name(), lower, p99s);
        bench.add("servers/stuck/p99-with", peer.name(), MICROSECONDS, withs);
        bench.add(
            "servers/stuck/p99-without",
            peer.name(),
            MICROSECONDS,
            withouts,
        );
        let records = ("records", Better::Lower);
        bench.add("servers/stuck/lost-untold", peer.name(), records, untold);
    }
    bench.show();
    Ok(())
}

/// One run with 7 subscribers beside one that is stuck, or with 8 that are not. The topic keeps a second's worth,
/// so that a stuck subscriber is lapped where records are kept.
fn beside(runtime: &Runtime, peer: &dyn Peer, load: &Load, is_stuck: bool) -> Result<Beside> {
    let topic = Topic::create(runtime, peer, 20_000)?;
    let tally = Tally::of(load)?;
    let healthy = if is_stuck { 7 } else { 8 };
    let mut subscribers = runtime.block_on(Subscribers::start(&topic, load, healthy))?;
    let stuck = is_stuck.then(|| {
        let seen = Arc::clone(&tally);
        runtime.block_on(peer.stick(&topic.name, load.records(), seen))
    });
    let stuck = stuck.transpose()?;
    let took = publish(&topic, load.clone())?;
    runtime.block_on(subscribers.settle())?;
    let records = load.records();
    let (got, told) = match stuck {
        None => (records, 0),
        Some(Stuck::Client(resumed)) => {
            let read = runtime.block_on(in_time(resumed));
            read.context("the stuck subscriber does not catch up")??;
            (tally.received(), tally.told())
        }
        Some(Stuck::Socket(mut socket, record)) => {
            let mut bytes = Vec::new();
            // Until the server has no more, or has cut it.
            while let Ok(Ok(1..)) = runtime.block_on(in_time(socket.read_buf(&mut bytes))) {}
            let got = String::from_utf8_lossy(&bytes).matches(&record).count();
            (got as u64, 0)
        }
    };
    ensure!(
        got + told <= records,
        "{got} and {told} are more than {records}"
    );
    Ok(Beside {
        rate: records as f64 / took.as_secs_f64(),
        p99: microseconds(&subscribers.ages()?, 0.99),
        untold: records - got - told,
        words: format!("the stuck one got {got} of {records}, and was told that it lost {told}"),
    })
}

/// Gives a future two seconds, inside the runtime, whose clock this needs.
async fn in_time<F: Future>(future: F) -> Result<F::Output, tokio::time::error::Elapsed> {
    timeout(Duration::from_secs(2), future).await
}

fn microseconds(ages: &Histogram<u64>, quantile: f64) -> f64 {
    ages.value_at_quantile(quantile) as f64 / 1e3
}
