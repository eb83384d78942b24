//! Subscribers that have nothing to read: what each costs the server, in memory and in CPU time.

use super::{
    footman::Footman,
    load::Load,
    nats::Nats,
    peer::{OURS, Peer, found},
    process::resident_mib,
    redis::Redis,
    run::{Subscribers, Topic, cpu},
};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::Result;
use std::{thread, time::Duration};
use tokio::runtime::Runtime;

const SUBSCRIBERS: usize = 1_000;

type Start = fn(&Runtime) -> Result<Box<dyn Peer>>;

/// Measures each peer once, on a server of its own: one that has worked before gives the subscribers memory that it has at hand.
pub(super) fn measure(bench: &mut BenchRun, runtime: &Runtime) -> Result<()> {
    if !bench.wants("servers/idle/memory") && !bench.wants("servers/idle/cpu") {
        return Ok(());
    }
    let watched = Duration::from_secs(if bench.quick() { 3 } else { 10 });
    // Kafka is left out: a thousand of its clients are thousands of threads.
    let peers: [(&str, Start); 3] = [
        (OURS, |_| Ok(Box::new(Footman::start()?))),
        ("nats", |runtime| {
            Ok(Box::new(runtime.block_on(Nats::start())?))
        }),
        ("redis-pubsub", |runtime| {
            Ok(Box::new(runtime.block_on(Redis::start())?))
        }),
    ];
    for (name, start) in peers {
        bench.progress(&format!("servers/idle: {name}"));
        let costs = start(runtime).and_then(|peer| costs(runtime, &*peer, watched));
        let Some((memory, used)) = found(bench, "servers/idle", name, costs)? else {
            continue;
        };
        let mib = ("MiB per 1000", Better::Lower);
        bench.add("servers/idle/memory", name, mib, vec![memory]);
        let percent = ("% of a core", Better::Lower);
        bench.add("servers/idle/cpu", name, percent, vec![used * 100.0]);
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
