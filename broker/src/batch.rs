//! A batch on its way into a topic: checked, stamped and laid out before the topic's lock is taken.
//!
//! What is under the lock is then one copy: of a batch from its thread's buffers, which are used again, of a single
//! record from where its parts are.

use std::cell::Cell;

use ringbuf_core::ByteProducer;

use crate::clock::Clock;
use crate::decoding::{InvalidReason, Shape, check_body};
use crate::encoding::{HEAD_BYTES, Head, RECORD_TAG, Scratch, TIMESTAMP_BYTES, field_len};
use crate::error::ProduceError;
use crate::options::MAX_BATCH_RECORDS;
use crate::record::Record;

/// Buffers above this are not kept.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// Records as they are stored, back to back.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Scratch,
    /// Where each record ends in `bytes`.
    ends: Vec<u32>,
    timestamps: Vec<i64>,
}

thread_local! {
    static KEPT: Cell<Option<Box<Batch>>> = const { Cell::new(None) };
}

impl Batch {
    /// Has `use_it` fill and use an empty batch. The buffers are this thread's; whoever comes here again
    /// from inside gets others.
    pub(crate) fn with<R>(use_it: impl FnOnce(&mut Self) -> R) -> R {
        // No thread-local while the thread ends: then there is nothing to take, and nowhere to keep.
        let mut batch = KEPT.try_with(Cell::take).ok().flatten().unwrap_or_default();
        batch.bytes.clear();
        batch.ends.clear();
        batch.timestamps.clear();
        let result = use_it(&mut batch);
        if batch.bytes.capacity() <= MAX_KEPT_BYTES && batch.ends.capacity() <= MAX_BATCH_RECORDS {
            let _ = KEPT.try_with(|kept| kept.set(Some(batch)));
        }
        result
    }

    /// Records, each of at most `max` bytes.
    pub(crate) fn fill(
        &mut self,
        records: &[Record],
        max: usize,
        clock: &Clock,
    ) -> Result<(), ProduceError> {
        self.begin(records.len())?;
        let mut stamp = Stamp {
            clock,
            wall_us: None,
        };
        for (index, record) in records.iter().enumerate() {
            let length = record.encoded_len();
            check_size(index, length, max)?;
            let (timestamp_us, added) = match record.own_timestamp() {
                Some(own) => (own, 0),
                None => (stamp.get(), TIMESTAMP_BYTES),
            };
            record.encode_stored(length + added, timestamp_us, &mut self.bytes);
            self.end_record(index, timestamp_us)?;
        }
        Ok(())
    }

    /// Encoded bodies, each of at most `max` bytes, as peers sent them: checked here.
    pub(crate) fn fill_encoded(
        &mut self,
        bodies: &[&[u8]],
        max: usize,
        clock: &Clock,
    ) -> Result<(), ProduceError> {
        self.begin(bodies.len())?;
        let mut stamp = Stamp {
            clock,
            wall_us: None,
        };
        for (index, body) in bodies.iter().enumerate() {
            check_size(index, body.len(), max)?; // one that is too large is not even walked
            let Shape {
                timestamp_us,
                zero_timestamp_at,
            } = check_body(body).map_err(|reason| ProduceError::InvalidRecord { index, reason })?;
            if timestamp_us != 0 {
                self.bytes
                    .head(|head| head.tag_and_length(RECORD_TAG, body.len()));
                self.bytes.bytes(body);
                self.end_record(index, timestamp_us)?;
                continue;
            }
            let timestamp_us = stamp.get();
            // An explicit 0 goes: behind the broker's, it would be the one that counts.
            let (before, after) = match zero_timestamp_at {
                None => (*body, [].as_slice()),
                Some(at) => {
                    let (before, rest) = body.split_at(at as usize);
                    (before, rest.get(TIMESTAMP_BYTES..).unwrap_or_default())
                }
            };
            self.bytes.head(|head| {
                let length = TIMESTAMP_BYTES + before.len() + after.len();
                head.tag_and_length(RECORD_TAG, length);
                head.timestamp(timestamp_us);
            });
            self.bytes.bytes(before);
            self.bytes.bytes(after);
            self.end_record(index, timestamp_us)?;
        }
        Ok(())
    }

    /// Checks how many records are to come.
    fn begin(&mut self, records: usize) -> Result<(), ProduceError> {
        check_count(records)?;
        self.ends.reserve(records);
        self.timestamps.reserve(records);
        Ok(())
    }

    #[inline]
    fn end_record(&mut self, index: usize, timestamp_us: i64) -> Result<(), ProduceError> {
        let Ok(end) = u32::try_from(self.bytes.len()) else {
            let reason = InvalidReason::BatchTooLarge;
            return Err(ProduceError::InvalidRecord { index, reason });
        };
        self.ends.push(end);
        self.timestamps.push(timestamp_us);
        Ok(())
    }

    pub(crate) fn prepared(&self) -> Prepared<'_> {
        Prepared {
            timestamps: &self.timestamps,
            bytes: self.bytes.len() as u64,
            layout: Layout::Run {
                bytes: self.bytes.as_slice(),
                ends: &self.ends,
            },
        }
    }
}

/// Records that are checked and stamped: what is left to do is one copy.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    /// One of each record.
    pub(crate) timestamps: &'a [i64],
    /// Bytes of all records.
    pub(crate) bytes: u64,
    pub(crate) layout: Layout<'a>,
}

/// Where the bytes are that the ring is to have.
#[derive(Debug)]
pub(crate) enum Layout<'a> {
    /// One record, in pieces.
    One {
        parts: &'a [&'a [u8]],
        key: Option<&'a [u8]>,
    },
    /// Records back to back, with the end of each.
    Run { bytes: &'a [u8], ends: &'a [u32] },
}

impl Prepared<'_> {
    /// Has `use_it` append one record, its parts taken from where they are. It must have no headers.
    #[inline]
    pub(crate) fn one<R>(
        record: &Record,
        max: usize,
        clock: &Clock,
        use_it: impl FnOnce(&Prepared<'_>) -> Result<R, ProduceError>,
    ) -> Result<R, ProduceError> {
        debug_assert!(record.headers.is_empty(), "headers would be left out");
        let length = record.encoded_len();
        check_size(0, length, max)?;
        let (timestamp_us, length) = match record.own_timestamp() {
            Some(own) => (own, length),
            None => (clock.wall_us(), length + TIMESTAMP_BYTES),
        };
        let framed = field_len(length);
        if u32::try_from(framed).is_err() {
            let reason = InvalidReason::BatchTooLarge;
            return Err(ProduceError::InvalidRecord { index: 0, reason });
        }
        let mut bytes = [0; HEAD_BYTES];
        let mut head = Head::new(&mut bytes);
        record.frame_head(length, Some(timestamp_us), &mut head);
        let use_parts = |parts: &[&[u8]]| {
            use_it(&Prepared {
                timestamps: &[timestamp_us],
                bytes: framed as u64,
                layout: Layout::One {
                    parts,
                    key: record.key.as_deref(),
                },
            })
        };
        match &record.key {
            None => use_parts(&[head.as_slice(), &record.value]),
            Some(key) => {
                let mut bytes = [0; HEAD_BYTES];
                let mut value_head = Head::new(&mut bytes);
                record.value_head(&mut value_head);
                use_parts(&[head.as_slice(), key, value_head.as_slice(), &record.value])
            }
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Puts the records into the ring, and says which offset the first one has.
    #[inline]
    pub(crate) fn publish(&self, producer: &mut ByteProducer) -> u64 {
        match self.layout {
            Layout::One { parts, .. } => producer.append_parts(parts),
            Layout::Run { bytes, ends } => producer.append_run(bytes, ends).start,
        }
    }
}

/// The wall clock, read at most once a batch, and only if a record needs it.
struct Stamp<'a> {
    clock: &'a Clock,
    wall_us: Option<i64>,
}

impl Stamp<'_> {
    #[inline]
    fn get(&mut self) -> i64 {
        *self.wall_us.get_or_insert_with(|| self.clock.wall_us())
    }
}

fn check_count(records: usize) -> Result<(), ProduceError> {
    match records {
        0 => Err(ProduceError::EmptyBatch),
        1..=MAX_BATCH_RECORDS => Ok(()),
        _ => Err(ProduceError::TooManyRecords { records }),
    }
}

#[inline]
fn check_size(index: usize, bytes: usize, max: usize) -> Result<(), ProduceError> {
    if bytes > max {
        Err(ProduceError::RecordTooLarge { index, bytes, max })
    } else {
        Ok(())
    }
}
