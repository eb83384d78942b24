//! The wire by hand: walks protobuf tags and lengths in place, and writes messages around runs of records.
//!
//! Only the messages that carry records pass through here (`ProduceRequest`, `ProduceResponse`, `SubscribeResponse`,
//! `FetchResponse`); the rest is prost's. Nothing is allocated per record: a request gives slices of its own bytes, a
//! response is a short head and one run that is already in its wire form. The tests hold prost against it, byte for byte.
//!
//! Every length is checked against what is there before it is used; every loop ends with the input.
#![cfg_attr(
    not(all(feature = "server", feature = "client")),
    allow(dead_code, reason = "each side reads what the other writes")
)]

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use footman_broker::MAX_BATCH_RECORDS;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// A length or a number reaches past the end.
    #[error("it ends in the middle of a field")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("a varint is too long")]
    Varint,
    /// Field number 0, a number over 2^29 - 1, a group, or a wire type that does not exist.
    #[error("a tag is not valid")]
    Tag,
    /// A known field with another wire type than its own.
    #[error("field {0} has the wrong wire type")]
    WireType(u32),
    /// Text that is not UTF-8.
    #[error("field {0} is not UTF-8")]
    Utf8(u32),
    /// A number that does not fit its field.
    #[error("field {0} is out of range")]
    Range(u32),
}

/// One field's value as it stands in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Value<'a> {
    fn varint(self, field: u32) -> Result<u64, WireError> {
        match self {
            Value::Varint(value) => Ok(value),
            _ => Err(WireError::WireType(field)),
        }
    }

    pub(crate) fn bytes(self, field: u32) -> Result<&'a [u8], WireError> {
        match self {
            Value::Bytes(value) => Ok(value),
            _ => Err(WireError::WireType(field)),
        }
    }

    fn text(self, field: u32) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| WireError::Utf8(field))
    }
}

/// A walk over the fields of one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    /// What is left to walk.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field's number and value; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = u32::try_from(self.varint()?).map_err(|_| WireError::Tag)?;
        let field = tag >> 3;
        if field == 0 {
            return Err(WireError::Tag);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(WireError::Tag),
        };
        Ok(Some((field, value)))
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for (place, &byte) in self.rest.iter().enumerate().take(10) {
            if place == 9 && byte > 1 {
                return Err(WireError::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                self.take(place + 1)?;
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 {
            WireError::Truncated
        } else {
            WireError::Varint
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (array, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The field that records have in every message: the last number whose tag is one byte.
const RECORDS: u32 = 15;

/// The fields of a `ProduceRequest` but its records.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProduceHead<'a> {
    /// Empty: the same topic as in the request before.
    pub(crate) topic: &'a str,
    pub(crate) request_id: u64,
    pub(crate) expected_epoch: u64,
    pub(crate) producer_id: u64,
    pub(crate) producer_epoch: u32,
    pub(crate) first_sequence: u64,
}

/// Walks a `ProduceRequest`: its head, and the body of each record into `bodies` (emptied first).
pub(crate) fn read_produce_request<'a>(
    message: &'a [u8],
    bodies: &mut Vec<&'a [u8]>,
) -> Result<ProduceHead<'a>, WireError> {
    bodies.clear();
    let mut head = ProduceHead::default();
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        match field {
            // One more than a batch may have is enough to see that there are too many.
            RECORDS => {
                let body = value.bytes(field)?;
                if bodies.len() <= MAX_BATCH_RECORDS {
                    bodies.push(body);
                }
            }
            1 => head.topic = value.text(field)?,
            2 => head.request_id = value.varint(field)?,
            3 => head.expected_epoch = value.varint(field)?,
            4 => head.producer_id = value.varint(field)?,
            5 => {
                head.producer_epoch =
                    u32::try_from(value.varint(field)?).map_err(|_| WireError::Range(field))?;
            }
            6 => head.first_sequence = value.varint(field)?,
            _ => {}
        }
    }
    Ok(head)
}

/// The `batch` of a `SubscribeResponse` as it came: the run is a slice of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchParts<'a> {
    pub(crate) topic: &'a str,
    pub(crate) epoch: u64,
    pub(crate) base_offset: u64,
    pub(crate) count: u32,
    /// The records field, tags included: checked by whoever makes records of it.
    pub(crate) run: &'a [u8],
}

/// If the `SubscribeResponse` in `message` is a batch, its parts; `None` if it is another item.
pub(crate) fn read_batch(message: &[u8]) -> Result<Option<BatchParts<'_>>, WireError> {
    let mut item = Fields::new(message);
    let Some((1, value)) = item.next()? else {
        return Ok(None);
    };
    let mut parts = BatchParts {
        topic: "",
        epoch: 0,
        base_offset: 0,
        count: 0,
        run: &[],
    };
    let mut fields = Fields::new(value.bytes(1)?);
    loop {
        let before = fields.rest();
        let Some((field, value)) = fields.next()? else {
            return Ok(Some(parts));
        };
        match field {
            1 => parts.topic = value.text(field)?,
            2 => parts.epoch = value.varint(field)?,
            3 => parts.base_offset = value.varint(field)?,
            4 => {
                parts.count =
                    u32::try_from(value.varint(field)?).map_err(|_| WireError::Range(field))?;
            }
            RECORDS => {
                // Footman writes the records last and together.
                parts.run = before;
                return Ok(Some(parts));
            }
            _ => {}
        }
    }
}

/// A message on its way out.
#[derive(Debug, Clone)]
pub(crate) enum Frame {
    /// A whole message, encoded.
    Message(Bytes),
    /// A `SubscribeResponse` with a batch.
    Batch {
        topic: Arc<str>,
        epoch: u64,
        base_offset: u64,
        count: u32,
        run: Bytes,
    },
    /// A `ProduceResponse` with an acknowledgement.
    Ack {
        request_id: u64,
        topic: Arc<str>,
        epoch: u64,
        base_offset: u64,
        count: u32,
        duplicate: bool,
    },
    /// A `FetchResponse`: its items, and its `next` fields encoded.
    Fetch { items: Vec<Frame>, next: Bytes },
    /// A whole message, encoded, with its prefix in front.
    Framed(Bytes),
}

/// What goes before a message: whether it is compressed, and its length.
pub(crate) const PREFIX: usize = 5;

impl ProduceHead<'_> {
    /// The most that goes before the records of a request: the prefix, the topic, and five numbers.
    pub(crate) fn max_len(topic: &str) -> usize {
        PREFIX + text_len(topic) + 5 * (1 + 10)
    }

    /// The prefix and the fields, for records that take so many bytes behind them.
    pub(crate) fn framed(&self, records_len: usize) -> BytesMut {
        let mut head = BytesMut::with_capacity(ProduceHead::max_len(self.topic));
        head.put_bytes(0, PREFIX);
        put_text(&mut head, 1, self.topic);
        put_number(&mut head, 2, self.request_id);
        put_number(&mut head, 3, self.expected_epoch);
        put_number(&mut head, 4, self.producer_id);
        put_number(&mut head, 5, u64::from(self.producer_epoch));
        put_number(&mut head, 6, self.first_sequence);
        let length = head.len() - PREFIX + records_len;
        // Messages are far below 4 GiB.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if let Some([_, bytes @ ..]) = head.first_chunk_mut::<PREFIX>() {
            *bytes = length.to_be_bytes();
        }
        head
    }
}

impl Frame {
    /// The encoded length of the message.
    pub(crate) fn len(&self) -> usize {
        match self {
            Frame::Message(bytes) => bytes.len(),
            Frame::Batch { run, .. } => {
                let inner = self.inner_head_len() + run.len();
                1 + varint_len(inner as u64) + inner
            }
            Frame::Ack { request_id, .. } => {
                let inner = self.inner_head_len();
                number_len(*request_id) + 1 + varint_len(inner as u64) + inner
            }
            Frame::Fetch { items, next } => {
                items
                    .iter()
                    .map(|item| 1 + varint_len(item.len() as u64) + item.len())
                    .sum::<usize>()
                    + next.len()
            }
            Frame::Framed(bytes) => bytes.len().saturating_sub(PREFIX),
        }
    }

    /// The length of the run that `put_head` gives.
    pub(crate) fn run_len(&self) -> usize {
        match self {
            Frame::Batch { run, .. } => run.len(),
            Frame::Message(_) | Frame::Ack { .. } | Frame::Fetch { .. } | Frame::Framed(_) => 0,
        }
    }

    /// Writes the message except its run, which is to follow as it is; the run, if there is one.
    pub(crate) fn put_head(self, to: &mut BytesMut) -> Option<Bytes> {
        let inner = self.inner_head_len();
        match self {
            Frame::Message(bytes) => {
                to.put_slice(&bytes);
                None
            }
            Frame::Batch {
                topic,
                epoch,
                base_offset,
                count,
                run,
            } => {
                put_length(to, 1, inner + run.len());
                put_text(to, 1, &topic);
                put_number(to, 2, epoch);
                put_number(to, 3, base_offset);
                put_number(to, 4, u64::from(count));
                Some(run)
            }
            Frame::Ack {
                request_id,
                topic,
                epoch,
                base_offset,
                count,
                duplicate,
            } => {
                put_number(to, 1, request_id);
                put_length(to, 2, inner);
                put_text(to, 1, &topic);
                put_number(to, 2, epoch);
                put_number(to, 3, base_offset);
                put_number(to, 4, u64::from(count));
                put_number(to, 5, u64::from(duplicate));
                None
            }
            Frame::Fetch { items, next } => {
                for item in items {
                    put_length(to, 1, item.len());
                    if let Some(run) = item.put_head(to) {
                        to.put_slice(&run);
                    }
                }
                to.put_slice(&next);
                None
            }
            Frame::Framed(mut bytes) => {
                to.put_slice(&bytes.split_off(PREFIX.min(bytes.len())));
                None
            }
        }
    }

    /// The length of the fields before the run, in the message that holds the run.
    fn inner_head_len(&self) -> usize {
        match self {
            Frame::Message(_) | Frame::Fetch { .. } | Frame::Framed(_) => 0,
            Frame::Batch {
                topic,
                epoch,
                base_offset,
                count,
                ..
            } => {
                text_len(topic)
                    + number_len(*epoch)
                    + number_len(*base_offset)
                    + number_len(u64::from(*count))
            }
            Frame::Ack {
                topic,
                epoch,
                base_offset,
                count,
                duplicate,
                ..
            } => {
                text_len(topic)
                    + number_len(*epoch)
                    + number_len(*base_offset)
                    + number_len(u64::from(*count))
                    + number_len(u64::from(*duplicate))
            }
        }
    }
}

/// Bytes that a varint takes.
fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Bytes that a number field with a one-byte tag takes; the default, 0, is not written.
fn number_len(value: u64) -> usize {
    if value == 0 { 0 } else { 1 + varint_len(value) }
}

fn text_len(text: &str) -> usize {
    if text.is_empty() {
        0
    } else {
        1 + varint_len(text.len() as u64) + text.len()
    }
}

fn put_varint(to: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        to.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.put_u8(value as u8);
}

fn put_number(to: &mut BytesMut, field: u8, value: u64) {
    if value != 0 {
        to.put_u8(field << 3);
        put_varint(to, value);
    }
}

fn put_length(to: &mut BytesMut, field: u8, length: usize) {
    to.put_u8(field << 3 | 2);
    put_varint(to, length as u64);
}

fn put_text(to: &mut BytesMut, field: u8, text: &str) {
    if !text.is_empty() {
        put_length(to, field, text.len());
        to.put_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests;
