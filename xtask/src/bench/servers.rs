//! The server beside the servers that one would take instead, each a process of its own with its own best Rust
//! client: the same records, in turn, in one run. Clients and servers share the machine's cores.
//!
//! Every record carries its number, and every subscriber checks each one: what did not arrive, told or untold, is
//! a figure of its own. A record's age is taken where it is received, from the moment before it was given to the
//! publishing client.

mod footman;
mod idle;
mod jetstream;
mod kafka;
mod latency;
mod load;
mod nats;
mod peer;
mod process;
mod redis;
mod redis_streams;
mod run;
mod throughput;

use super::bench_run::BenchRun;
use anyhow::Result;
use peer::Peers;

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let peers = Peers::start(bench, &runtime)?;
    throughput::measure(bench, &runtime, &peers)?;
    latency::measure(bench, &runtime, &peers)?;
    drop(peers);
    idle::measure(bench, &runtime)
}
