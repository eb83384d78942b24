//! Reading without a subscription: a bounded part of a topic, or the newest record of a key.

use std::time::Duration;

use footman_broker::{Epoch, Item, Records, SubscribeOptions};
use prost::Message as _;

use crate::client::Client;
use crate::client::error::{CallError, ServerError};
use crate::client::followed::topic_start;
use crate::client::received::{Received, received};
use crate::proto;
use crate::wire::Fields;

/// What one fetch read.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fetched {
    /// The items, in order; empty if nothing came in time.
    pub items: Vec<Item>,
    /// The topic's epoch, and the offset to go on at.
    pub next: (Epoch, u64),
}

impl Client {
    /// Reads what a topic has from a start on (and up to a stop, and what a filter lets through), up to `max_bytes` of records (0: the server's default; a larger single record comes all
    /// the same); waits up to `max_wait` if there is nothing.
    ///
    /// # Errors
    ///
    /// As for a subscription: `UNKNOWN_TOPIC`, `OFFSET_OUT_OF_RANGE`, `EPOCH_MISMATCH`, or the connection's.
    pub async fn fetch(
        &self,
        topic: &str,
        options: impl Into<SubscribeOptions>,
        max_bytes: u32,
        max_wait: Duration,
    ) -> Result<Fetched, CallError> {
        let request = proto::FetchRequest {
            topics: vec![topic_start(topic, &options.into())],
            max_bytes,
            max_wait_us: u32::try_from(max_wait.as_micros()).unwrap_or(u32::MAX),
            ..Default::default()
        };
        let response = self.exchange("/footman.v1.Broker/Fetch", &request).await?;
        let nonsense = |error: &dyn std::fmt::Display| {
            ServerError::protocol(format!("the response makes no sense: {error}"))
        };
        let mut items = Vec::new();
        let mut next = None;
        let mut fields = Fields::new(&response);
        while let Some((field, value)) = fields.next().map_err(|error| nonsense(&error))? {
            let bytes = value.bytes(field).map_err(|error| nonsense(&error))?;
            match field {
                1 => {
                    if let Received::Item(item) = received(&response.slice_ref(bytes))? {
                        items.push(item);
                    }
                }
                2 => next = Some(proto::Position::decode(bytes).map_err(|error| nonsense(&error))?),
                _ => {}
            }
        }
        let next = next.ok_or_else(|| nonsense(&"it does not say where to go on"))?;
        let epoch = Epoch::try_from(next.epoch).map_err(|error| nonsense(&error))?;
        Ok(Fetched {
            items,
            next: (epoch, next.next_offset),
        })
    }

    /// The newest record with this key among those that a topic keeps, alone; `None` if it keeps none. The topic must have been
    /// created with (or updated to) [`TopicOptions::last_by_key`](footman_broker::TopicOptions::last_by_key).
    ///
    /// Its offset is where to subscribe from to miss no later one.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC`, `NOT_INDEXED`, or the connection's.
    pub async fn last_by_key(&self, topic: &str, key: &[u8]) -> Result<Option<Records>, CallError> {
        let request = proto::LastByKeyRequest {
            topic: topic.to_owned(),
            key: key.to_vec(),
        };
        let path = "/footman.v1.Broker/LastByKey";
        // In its wire form it is a `SubscribeResponse` with a batch, or nothing.
        match received(&self.exchange(path, &request).await?)? {
            Received::Item(item) => Ok(item.into_records()),
            _ => Ok(None),
        }
    }
}
