//! Records, and what happens between them, as JSON: the names that scripts rely on.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{Event, RecordView};

/// Appends one record as a line of JSON.
pub(crate) fn write_json(out: &mut Vec<u8>, record: &RecordView<'_>) {
    push_json_line(out, record);
}

/// Appends what happened in `topic` as a line of JSON.
pub(crate) fn write_json_event(out: &mut Vec<u8>, topic: &str, event: Event) {
    push_json_line(out, &EventOf { topic, event });
}

/// Appends anything that can be serialized as one line of JSON.
pub(crate) fn push_json_line(out: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *out, line)
        .expect("a Vec takes every write and no key here can fail");
    out.push(b'\n');
}

impl Serialize for RecordView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(7))?;
        map.serialize_entry("topic", self.topic)?;
        map.serialize_entry("epoch", &self.epoch)?;
        map.serialize_entry("offset", &self.offset)?;
        map.serialize_entry("timestamp", &self.timestamp_us)?;
        match self.key {
            Some(key) => entry_of_bytes(&mut map, "key", "key_base64", key)?,
            None => map.serialize_entry("key", &())?,
        }
        entry_of_bytes(&mut map, "value", "value_base64", self.value)?;
        map.serialize_entry("headers", &Headers(&self.headers))?;
        map.end()
    }
}

fn entry_of_bytes<M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    base64_name: &'static str,
    bytes: &[u8],
) -> Result<(), M::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => map.serialize_entry(name, text),
        Err(_) => map.serialize_entry(base64_name, &Base64(bytes)),
    }
}

struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

struct Headers<'a>(&'a [(&'a str, &'a [u8])]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for header in self.0 {
            list.serialize_element(&Header(header))?;
        }
        list.end()
    }
}

struct Header<'a>(&'a (&'a str, &'a [u8]));

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, value) = self.0;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("name", name)?;
        entry_of_bytes(&mut map, "value", "value_base64", value)?;
        map.end()
    }
}

struct EventOf<'a> {
    topic: &'a str,
    event: Event,
}

impl Serialize for EventOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("topic", self.topic)?;
        match self.event {
            Event::Lost { from, to } => map.serialize_entry("lost", &LostJson { from, to })?,
            Event::Reset {
                old_epoch,
                new_epoch,
                next_offset,
            } => {
                map.serialize_entry(
                    "reset",
                    &ResetJson {
                        old_epoch,
                        new_epoch,
                        next_offset,
                    },
                )?;
            }
            Event::End {
                reason,
                epoch,
                next_offset,
            } => {
                map.serialize_entry(
                    "end",
                    &EndJson {
                        reason,
                        epoch,
                        next_offset,
                    },
                )?;
            }
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct LostJson {
    from: u64,
    to: u64,
}

#[derive(serde::Serialize)]
struct ResetJson {
    old_epoch: u64,
    new_epoch: u64,
    next_offset: u64,
}

#[derive(serde::Serialize)]
struct EndJson {
    reason: &'static str,
    epoch: u64,
    next_offset: u64,
}
