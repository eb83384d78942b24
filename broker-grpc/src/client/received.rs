//! What one message of a Subscribe stream says; records stay where they are in the message.

use std::sync::Arc;

use bytes::Bytes;
use footman_broker::{End, EndReason, Epoch, Filtered, Item, Lost, Records, Reset};
use prost::Message as _;

use crate::client::error::ServerError;
use crate::proto::{self, subscribe_response};
use crate::wire::read_batch;

/// What one response says.
pub(crate) enum Received {
    Item(Item),
    Started(proto::Started),
    /// A heartbeat, or the warning before an end that comes as a status.
    Nothing,
}

/// Reads one `SubscribeResponse`; records stay where they are in the message.
pub(crate) fn received(message: &Bytes) -> Result<Received, ServerError> {
    let nonsense = |error: &dyn std::fmt::Display| {
        ServerError::protocol(format!("a response makes no sense: {error}"))
    };
    if let Some(batch) = read_batch(message).map_err(|error| nonsense(&error))? {
        let run = message.slice_ref(batch.run);
        let epoch = epoch(batch.epoch)?;
        let count = usize::try_from(batch.count).unwrap_or(usize::MAX);
        let records =
            Records::from_encoded(Arc::from(batch.topic), epoch, batch.base_offset, count, run)
                .map_err(|error| nonsense(&error))?;
        return Ok(Received::Item(Item::Records(records)));
    }
    let response =
        proto::SubscribeResponse::decode(message.clone()).map_err(|error| nonsense(&error))?;
    let item = match response.item {
        Some(subscribe_response::Item::Lost(lost)) => {
            let topic = Arc::from(lost.topic);
            Item::Lost(Lost::new(
                topic,
                epoch(lost.epoch)?,
                lost.from_offset,
                lost.to_offset,
            ))
        }
        Some(subscribe_response::Item::Filtered(filtered)) => Item::Filtered(Filtered::new(
            Arc::from(filtered.topic),
            epoch(filtered.epoch)?,
            filtered.from_offset,
            filtered.to_offset,
        )),
        Some(subscribe_response::Item::Reset(reset)) => Item::Reset(Reset::new(
            Arc::from(reset.topic),
            epoch(reset.old_epoch)?,
            epoch(reset.new_epoch)?,
            reset.next_offset,
        )),
        Some(subscribe_response::Item::End(end)) => {
            let reason = match end.reason() {
                proto::EndReason::Stopped => EndReason::Stopped,
                proto::EndReason::Deleted | proto::EndReason::Unspecified => EndReason::Deleted,
            };
            Item::End(End::new(
                Arc::from(end.topic),
                epoch(end.epoch)?,
                end.next_offset,
                reason,
            ))
        }
        Some(subscribe_response::Item::Started(started)) => return Ok(Received::Started(started)),
        _ => return Ok(Received::Nothing),
    };
    Ok(Received::Item(item))
}

/// An epoch as messages have it.
pub(crate) fn epoch(value: u64) -> Result<Epoch, ServerError> {
    Epoch::try_from(value).map_err(|_| ServerError::protocol(format!("{value} is not an epoch")))
}
