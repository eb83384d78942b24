//! Subscribers that have nothing to read: what each costs the server, in memory and in CPU time.

use super::{
    load::Load,
    peer::{Peer, Peers, found},
    process::resident_mib,
    run::{Subscribers, Topic, cpu},
};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::Result;
use std::{thread, time::Duration};
use tokio::runtime::Runtime;

const SUBSCRIBERS: usize = 1_000;

/// Measures each peer once: its memory is only new to subscribers the first time.
pub(super) fn measure(bench: &mut BenchRun, runtime: &Runtime, peers: &Peers) -> Result<()> {
    if !bench.wants("servers/idle/memory") && !bench.wants("servers/idle/cpu") {
        return Ok(());
    }
    let watched = Duration::from_secs(if bench.quick() { 3 } else { 10 });
    // Kafka is left out: a thousand of its clients are thousands of threads.
    for peer in peers.named(&["footman", "nats", "redis-pubsub"]) {
        bench.progress(&format!("servers/idle: {}", peer.name()));
        let costs = costs(runtime, peer, watched);
        let Some((memory, used)) = found(bench, "servers/idle", peer, costs)? else {
            continue;
        };
        let mib = ("MiB per 1000", Better::Lower);
        bench.add("servers/idle/memory", peer.name(), mib, vec![memory]);
        let percent = ("% of a core", Better::Lower);
        bench.add("servers/idle/cpu", peer.name(), percent, vec![used * 100.0]);
    }
    bench.show();
    Ok(())
}

/// Megabytes for all, and the share of a core.
fn costs(runtime: &Runtime, peer: &dyn Peer, watched: Duration) -> Result<(f64, f64)> {
    let topic = Topic::create(runtime, peer, 1_000)?;
    let before = resident_mib(peer.pid())?;
    let load = Load::flat_out(1, 128);
    let subscribers = runtime.block_on(Subscribers::start(&topic, &load, SUBSCRIBERS))?;
    // The first figures of CPU time would be those of connecting.
    thread::sleep(Duration::from_secs(1));
    let connected = cpu(peer)?;
    thread::sleep(watched);
    let used = (cpu(peer)? - connected) / watched.as_secs_f64();
    let memory = resident_mib(peer.pid())? - before;
    drop(subscribers);
    Ok((memory, used))
}
