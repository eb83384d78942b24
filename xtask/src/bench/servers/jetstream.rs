//! NATS JetStream, with its stream in memory: what is published is acknowledged and kept.

use super::{
    load::{Load, Tally},
    nats::Nats,
    peer::Peer,
};
use anyhow::{Context as _, Result};
use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, push::OrderedConfig},
    stream::{Config, DiscardPolicy, StorageType},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture};
use std::{collections::VecDeque, future::IntoFuture as _, sync::Arc};

/// Publishes that wait for their acknowledgement at once.
const IN_FLIGHT: usize = 4_096;

pub(super) struct JetStream(Nats);

impl JetStream {
    /// The same server's.
    pub(super) fn of(nats: &Nats) -> Self {
        Self(nats.clone_for_jetstream())
    }
}

impl Peer for JetStream {
    fn name(&self) -> &'static str {
        "jetstream"
    }

    fn pid(&self) -> u32 {
        self.0.pid()
    }

    fn create<'a>(&'a self, topic: &'a str, records: u64) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let config = Config {
                name: topic.to_owned(),
                subjects: vec![topic.to_owned()],
                storage: StorageType::Memory,
                max_messages: i64::try_from(records)?,
                discard: DiscardPolicy::Old,
                ..Config::default()
            };
            jetstream::new(self.0.connect().await?)
                .create_stream(config)
                .await?;
            Ok(())
        })
    }

    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            jetstream::new(self.0.connect().await?)
                .delete_stream(topic)
                .await?;
            Ok(())
        })
    }

    fn publish<'a>(&'a self, topic: &'a str, mut load: Load) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let context = jetstream::new(self.0.connect().await?);
            let subject = async_nats::Subject::from(topic);
            let mut under_way = VecDeque::new();
            while let Some(payload) = load.next() {
                let payload = Bytes::copy_from_slice(payload);
                under_way.push_back(context.publish(subject.clone(), payload).await?);
                if under_way.len() == IN_FLIGHT
                    && let Some(oldest) = under_way.pop_front()
                {
                    oldest.into_future().await?;
                }
            }
            for last in under_way {
                last.into_future().await?;
            }
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
            let client = self.0.connect().await?;
            let stream = jetstream::new(client.clone()).get_stream(topic).await?;
            let config = OrderedConfig {
                deliver_subject: client.new_inbox(),
                deliver_policy: DeliverPolicy::All,
                ..OrderedConfig::default()
            };
            let mut messages = stream.create_consumer(config).await?.messages().await?;
            let receive: BoxFuture<'static, Result<()>> = Box::pin(async move {
                while !tally.is_done(records) {
                    let message = messages.next().await.context("JetStream ended it")??;
                    tally.take(&message.payload)?;
                }
                Ok(())
            });
            Ok(receive)
        })
    }
}
