//! Ours: `footman serve`, with the client of `footman-broker-grpc`.

use super::{
    load::{Load, Tally},
    peer::{OURS, Peer},
};
use crate::server::Server;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use footman_broker::{Item, Record, StartAt, TopicUpdate};
use footman_broker_grpc::Client;
use futures_util::future::BoxFuture;
use std::sync::Arc;

pub(super) struct Footman {
    server: Server,
    client: Client,
}

impl Footman {
    pub(super) fn start() -> Result<Self> {
        let limits = ["--memory", "6GiB", "--bytes", "2GiB"];
        let server = Server::start("release", &limits)?;
        let client = Client::connect_lazy(server.address())?;
        Ok(Self { server, client })
    }
}

impl Peer for Footman {
    fn name(&self) -> &'static str {
        OURS
    }

    fn pid(&self) -> u32 {
        self.server.id()
    }

    fn create<'a>(&'a self, topic: &'a str, records: u64) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut limits = TopicUpdate::default();
            limits.max_records = Some(records);
            self.client.create_topic(topic, limits).await?;
            Ok(())
        })
    }

    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.client.delete_topic(topic).await?;
            Ok(())
        })
    }

    fn publish<'a>(&'a self, topic: &'a str, mut load: Load) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let producer = self.client.producer(topic).build();
            while let Some(payload) = load.next() {
                let record = Record::new(Bytes::copy_from_slice(payload));
                producer.enqueue(&record).await?;
            }
            producer.flush().await?;
            Ok(())
        })
    }

    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        records: u64,
        tally: Arc<Tally>,
    ) -> BoxFuture<'a, Result<BoxFuture<'static, Result<()>>>> {
        Box::pin(async move {
            let subscriber = self.client.subscriber().topic(topic, StartAt::Earliest);
            let mut subscriber = subscriber.build().await?;
            let receive: BoxFuture<'static, Result<()>> = Box::pin(async move {
                while !tally.is_done(records) {
                    match subscriber.next().await?.context("nothing stops it")? {
                        Item::Records(run) => {
                            for record in &run {
                                tally.take(record.value)?;
                            }
                        }
                        Item::Lost(lost) => tally.lost(lost.to - lost.from),
                        other => anyhow::bail!("{other:?} in the middle of a run"),
                    }
                }
                Ok(())
            });
            Ok(receive)
        })
    }
}
