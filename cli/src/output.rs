//! How records and what happens between them are written: text, JSON lines, or raw bytes.
//!
//! Pure functions into a buffer; who owns the buffer decides when it goes out.
//!
//! In text, a record is its value and a newline, after the fields asked for, each followed by a tab. In JSON,
//! a line is an item: bytes that are UTF-8 are strings, others are base64 under a name that says so
//! (`value_base64`); timestamps are microseconds since the Unix epoch; `to` of a loss is the first offset
//! that is still there. Raw is the values with nothing added.

mod json;

use std::io::Write as _;

use clap::ValueEnum;
use footman_broker::{RecordRef, Records};
use jiff::Timestamp;

use crate::quantity::format_records;
pub(crate) use json::{push_json_line, write_json, write_json_event};

/// What is written for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The value and a newline; what is not a record goes to stderr.
    Text,
    /// One JSON object a line, for records and for what happens between them.
    Json,
    /// The values with nothing added.
    Raw,
}

/// A part of a record that text can show before the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Field {
    /// The topic's name.
    Topic,
    /// The offset in the topic.
    Offset,
    /// The time in RFC 3339, to the microsecond.
    Timestamp,
    /// The key; nothing if there is none.
    Key,
    /// The headers, as `name=value` with commas between.
    Headers,
}

/// A record as it is to be written.
#[derive(Debug, Clone)]
pub(crate) struct RecordView<'a> {
    /// The topic's name.
    pub(crate) topic: &'a str,
    /// The topic's life that the offset belongs to.
    pub(crate) epoch: u64,
    /// The record's offset.
    pub(crate) offset: u64,
    /// Microseconds since the Unix epoch.
    pub(crate) timestamp_us: i64,
    /// The key, if it has one.
    pub(crate) key: Option<&'a [u8]>,
    /// The value.
    pub(crate) value: &'a [u8],
    /// The headers, in their order.
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> RecordView<'a> {
    /// One of `records`.
    pub(crate) fn new(records: &'a Records, record: &RecordRef<'a>) -> Self {
        RecordView {
            topic: records.topic(),
            epoch: records.epoch().into(),
            offset: record.offset,
            timestamp_us: record.timestamp_us,
            key: record.key,
            value: record.value,
            headers: record.headers().collect(),
        }
    }
}

/// Something that happened between records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Records `from..to` were overwritten before they were read.
    Lost {
        /// The first offset lost.
        from: u64,
        /// The first offset that is still there.
        to: u64,
    },
    /// The topic starts again: the server was restarted, or the topic deleted and created.
    Reset {
        /// The life that was being read.
        old_epoch: u64,
        /// The life that is read from here.
        new_epoch: u64,
        /// The offset that is read next.
        next_offset: u64,
    },
    /// Nothing more comes from this life of the topic.
    End {
        /// Why: `deleted` or `stopped` (at the end that was asked for).
        reason: &'static str,
        /// The life that ended.
        epoch: u64,
        /// The offset that would have been read next.
        next_offset: u64,
    },
}

/// Appends one record as text: the `fields`, then the value and a newline.
pub(crate) fn write_text(out: &mut Vec<u8>, record: &RecordView<'_>, fields: &[Field]) {
    for field in fields {
        match field {
            Field::Topic => out.extend_from_slice(record.topic.as_bytes()),
            Field::Offset => push_number(out, record.offset),
            Field::Timestamp => out.extend_from_slice(format_time(record.timestamp_us).as_bytes()),
            Field::Key => out.extend_from_slice(record.key.unwrap_or_default()),
            Field::Headers => push_headers(out, &record.headers),
        }
        out.push(b'\t');
    }
    out.extend_from_slice(record.value);
    out.push(b'\n');
}

/// What happened in `topic`, in a sentence for people.
pub(crate) fn describe_event(topic: &str, event: Event) -> String {
    match event {
        Event::Lost { from, to } => {
            let (lost, last) = (
                format_records(to.saturating_sub(from)),
                to.saturating_sub(1),
            );
            format!(
                "topic \"{topic}\": lost {lost}, offsets {from} to {last}: overwritten before they were read"
            )
        }
        Event::Reset {
            old_epoch,
            new_epoch,
            next_offset,
        } => format!(
            "topic \"{topic}\": starts again (epoch {old_epoch} is now {new_epoch}); reading goes on at offset {next_offset}"
        ),
        Event::End {
            reason,
            next_offset,
            ..
        } => format!("topic \"{topic}\": {reason} at offset {next_offset}"),
    }
}

/// Writes microseconds since the Unix epoch as RFC 3339; beyond its years, as the bare number.
pub(crate) fn format_time(timestamp_us: i64) -> String {
    match Timestamp::from_microsecond(timestamp_us) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => timestamp_us.to_string(),
    }
}

/// Appends headers as `name=value` with commas between.
pub(crate) fn push_headers(out: &mut Vec<u8>, headers: &[(&str, &[u8])]) {
    for (i, (name, value)) in headers.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

/// Appends a number's digits.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("a Vec takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(key: Option<&'a [u8]>, value: &'a [u8]) -> RecordView<'a> {
        let headers = vec![("trace", &b"a1"[..]), ("raw", &b"\xff"[..])];
        RecordView {
            topic: "logs",
            epoch: 7,
            offset: 42,
            timestamp_us: 1_769_860_800_000_001,
            key,
            value,
            headers,
        }
    }

    #[test]
    fn text_is_the_value_and_a_newline_after_the_fields_asked_for() {
        let mut out = Vec::new();
        write_text(&mut out, &record(None, b"a\xffb"), &[]);
        assert_eq!(out, b"a\xffb\n");
        out.clear();
        let fields = [
            Field::Topic,
            Field::Offset,
            Field::Timestamp,
            Field::Key,
            Field::Headers,
        ];
        write_text(&mut out, &record(Some(b"k"), b"v"), &fields);
        assert_eq!(
            out,
            b"logs\t42\t2026-01-31T12:00:00.000001Z\tk\ttrace=a1,raw=\xff\tv\n"
        );
        assert_eq!(format_time(i64::MAX), "9223372036854775807");
    }

    #[test]
    fn json_is_one_object_a_line_in_the_fixed_form() {
        let mut out = Vec::new();
        write_json(&mut out, &record(Some(b"k"), "q\"→\n".as_bytes()));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"topic":"logs","epoch":7,"offset":42,"timestamp":1769860800000001,"key":"k","value":"q\"→\n","#,
                r#""headers":[{"name":"trace","value":"a1"},{"name":"raw","value_base64":"/w=="}]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn bytes_that_are_not_utf8_are_base64_and_an_absent_key_is_null() {
        let mut out = Vec::new();
        write_json(&mut out, &record(Some(b"\xfe"), b"\0\xff"));
        write_json(&mut out, &record(None, b""));
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["key_base64"], "/g==");
        assert_eq!(lines[0]["value_base64"], "AP8=");
        assert!(lines[0].get("key").is_none() && lines[0].get("value").is_none());
        assert!(lines[1]["key"].is_null());
        assert_eq!(lines[1]["value"], "");
    }

    #[test]
    fn what_happens_between_records_is_a_line_of_its_own() {
        let lost = Event::Lost { from: 10, to: 52 };
        let reset = Event::Reset {
            old_epoch: 1,
            new_epoch: 2,
            next_offset: 0,
        };
        let end = Event::End {
            reason: "deleted",
            epoch: 2,
            next_offset: 9,
        };
        let mut out = Vec::new();
        for event in [lost, reset, end] {
            write_json_event(&mut out, "t", event);
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"topic":"t","lost":{"from":10,"to":52}}"#,
                "\n",
                r#"{"topic":"t","reset":{"old_epoch":1,"new_epoch":2,"next_offset":0}}"#,
                "\n",
                r#"{"topic":"t","end":{"reason":"deleted","epoch":2,"next_offset":9}}"#,
                "\n"
            )
        );
        assert_eq!(
            describe_event("t", lost),
            "topic \"t\": lost 42 records, offsets 10 to 51: overwritten before they were read"
        );
        assert!(
            describe_event("t", Event::Lost { from: 3, to: 4 })
                .contains("1 record, offsets 3 to 3")
        );
    }
}
