//! What a server under measurement can do, and which ones are there.

use super::{
    footman::Footman,
    jetstream::JetStream,
    kafka::Kafka,
    load::{Load, Tally},
    nats::Nats,
    redis::Redis,
    redis_streams::RedisStreams,
};
use crate::bench::bench_run::BenchRun;
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::{net::TcpStream, runtime::Runtime};

/// The name of ours.
pub(super) const OURS: &str = "footman";

/// A server of its own process with its clients in this one. Topics begin empty, and are named once.
pub(super) trait Peer: Send + Sync {
    /// Its name in the report.
    fn name(&self) -> &'static str;

    /// The server's process.
    fn pid(&self) -> u32;

    /// Makes room for a topic of so many records.
    fn create<'a>(&'a self, topic: &'a str, records: u64) -> BoxFuture<'a, Result<()>>;

    /// Forgets the topic.
    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Publishes all of it, until the server has answered for each record, if it ever does. Blocks its thread.
    fn publish<'a>(&'a self, topic: &'a str, load: Load) -> BoxFuture<'a, Result<()>>;

    /// Subscribes from the topic's first record on. The outer future is done when the server knows of it, the
    /// inner one receives, until the last record has come.
    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        records: u64,
        tally: Arc<Tally>,
    ) -> BoxFuture<'a, Result<BoxFuture<'static, Result<()>>>>;

    /// Subscribes, and reads nothing until it is asked to.
    fn stick<'a>(
        &'a self,
        topic: &'a str,
        records: u64,
        tally: Arc<Tally>,
    ) -> BoxFuture<'a, Result<Stuck>> {
        Box::pin(async move { Ok(Stuck::Client(self.subscribe(topic, records, tally).await?)) })
    }
}

/// A subscriber that the server knows of and that does not read.
pub(super) enum Stuck {
    /// A client whose records wait in its connection.
    Client(BoxFuture<'static, Result<()>>),
    /// A connection by hand, for peers whose clients read on behalf of those who do not; and what begins a record there.
    Socket(TcpStream, String),
}

/// What a run found. An error of ours ends the bench; another peer's is a word in the report, and the rest goes on.
pub(super) fn found<T>(
    bench: &mut BenchRun,
    group: &str,
    peer: &str,
    run: Result<T>,
) -> Result<Option<T>> {
    match run {
        Ok(run) => Ok(Some(run)),
        Err(error) if peer != OURS => {
            bench.note(format!("{group}: without {peer}: {error:#}"));
            Ok(None)
        }
        Err(error) => Err(error.context(format!("{group}: {OURS}"))),
    }
}

/// Those that are installed, ours first.
pub(super) struct Peers(Vec<Box<dyn Peer>>);

impl Peers {
    /// Starts every server that there is, and says which is not.
    pub(super) fn start(bench: &mut BenchRun, runtime: &Runtime) -> Result<Self> {
        let mut peers: Vec<Box<dyn Peer>> = vec![Box::new(Footman::start()?)];
        let mut take = |name: &str, started: Result<Vec<Box<dyn Peer>>>| match started {
            Ok(started) => peers.extend(started),
            Err(error) => bench.note(format!("servers: without {name}: {error:#}")),
        };
        take(
            "nats",
            runtime.block_on(async {
                let nats = Nats::start().await?;
                let jetstream = JetStream::of(&nats);
                Ok(vec![Box::new(nats) as Box<dyn Peer>, Box::new(jetstream)])
            }),
        );
        take(
            "kafka",
            Kafka::start().map(|kafka| vec![Box::new(kafka) as Box<dyn Peer>]),
        );
        take(
            "redis",
            runtime.block_on(async {
                let redis = Redis::start().await?;
                let streams = RedisStreams::of(&redis);
                Ok(vec![Box::new(redis) as Box<dyn Peer>, Box::new(streams)])
            }),
        );
        Ok(Self(peers))
    }

    /// Those with one of these names, in this order.
    pub(super) fn named<'a>(&'a self, names: &'a [&str]) -> Vec<&'a dyn Peer> {
        let named = |name| self.0.iter().find(move |peer| peer.name() == name);
        names
            .iter()
            .filter_map(|&name| Some(&**named(name)?))
            .collect()
    }
}
