//! Records as a consumer gets them: a run of the topic's log, in its encoded form, without a copy.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;

use bytes::Bytes;
use ringbuf_core::ByteRun;

use crate::decoding::{Fields, InvalidReason, check_body, next_header, read_body, record};
use crate::epoch::Epoch;
use crate::error::InvalidRecord;
use crate::record::Record;

/// A run of at most so many bytes is copied: that is cheaper than to count one more in the ring and in its segment, which
/// all who read count in, and it keeps no memory of the topic's.
const COPIED_BYTES: usize = 512;

/// The lines that an iterator asks for, by how far they are ahead of it in bytes.
const AHEAD: [usize; 3] = [512, 576, 640];

/// Records in a row of one topic, at least one.
///
/// Cheap to clone. Unless it is small, it keeps the piece of the topic's memory that it lies in (a segment of at
/// most 256 KiB, or one larger record) until it is dropped; producers never wait for it.
///
/// ```
/// use footman_broker::{Broker, BrokerOptions, Record, StartAt};
///
/// let broker = Broker::new(BrokerOptions::default())?;
/// broker.producer("orders")?.produce(&Record::new("paid").with_key("7"))?;
/// let mut consumer = broker.consumer();
/// consumer.subscribe("orders", StartAt::Earliest)?;
/// let records = consumer.try_poll().and_then(|item| item.into_records()).expect("one record");
/// for record in &records {
///     assert_eq!((record.offset, record.key, record.value), (0, Some(&b"7"[..]), &b"paid"[..]));
/// }
/// assert_eq!(records.next_offset(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Records {
    topic: Arc<str>,
    epoch: Epoch,
    base_offset: u64,
    count: usize,
    encoded: Bytes,
}

impl Records {
    /// Records from their encoded form: `count` of them, framed, as [`encoded`](Self::encoded) gives
    /// them and as a response carries them. Everything is checked.
    ///
    /// # Errors
    /// [`InvalidRecord`] for the first record that is damaged, missing or too many.
    pub fn from_encoded(
        topic: Arc<str>,
        epoch: Epoch,
        base_offset: u64,
        count: usize,
        encoded: Bytes,
    ) -> Result<Self, InvalidRecord> {
        let (mut rest, mut index) = (&encoded[..], 0);
        while !rest.is_empty() {
            let invalid = |reason| InvalidRecord { index, reason };
            let (body, behind) = record(rest).map_err(invalid)?;
            check_body(body).map_err(invalid)?;
            rest = behind;
            index += 1;
        }
        if index != count || base_offset.checked_add(count as u64).is_none() {
            let reason = InvalidReason::Count {
                found: index as u64,
            };
            return Err(InvalidRecord { index, reason });
        }
        Ok(Self {
            topic,
            epoch,
            base_offset,
            count,
            encoded,
        })
    }

    /// A run of a topic's ring.
    #[inline]
    pub(crate) fn from_run(topic: Arc<str>, epoch: Epoch, run: ByteRun<'_>) -> Self {
        let (base_offset, count) = (run.base(), run.len());
        let encoded = if run.bytes().len() <= COPIED_BYTES {
            Bytes::copy_from_slice(run.bytes())
        } else {
            Bytes::from_owner(run.into_owned())
        };
        Self {
            topic,
            epoch,
            base_offset,
            count,
            encoded,
        }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The life of the topic that the offsets belong to.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The first record's offset; the others follow without a hole.
    #[must_use]
    pub fn base_offset(&self) -> u64 {
        self.base_offset
    }

    /// The offset behind the last record.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.base_offset + self.count as u64
    }

    /// How many records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none: never so for what a consumer gives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The records as they are stored and sent: each with protobuf's tag 15 and its length in front.
    #[must_use]
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }

    /// The records, one after the other, borrowed.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            rest: &self.encoded,
            offset: self.base_offset,
            end: self.next_offset(),
        }
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("topic", &self.topic)
            .field("epoch", &self.epoch)
            .field("base_offset", &self.base_offset)
            .field("len", &self.count)
            .field("bytes", &self.encoded.len())
            .finish()
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = RecordRef<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The iterator of [`Records::iter`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
    offset: u64,
    end: u64,
}

impl<'a> Iterator for Iter<'a> {
    type Item = RecordRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordRef<'a>> {
        if self.offset == self.end {
            return None;
        }
        let (body, rest) = match record(self.rest) {
            Ok(read) => read,
            Err(reason) => {
                debug_assert!(false, "a stored record is invalid: {reason}");
                self.end = self.offset;
                return None;
            }
        };
        ask_for_what_follows(rest);
        self.rest = rest;
        let offset = self.offset;
        self.offset += 1;
        Some(RecordRef::new(offset, body))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

/// Reads a byte of lines that lie ahead.
///
/// Where a record begins is known from the one before. Whoever walks close behind the producer would wait for one line
/// of the other processor's cache after the other; this way some are under way at a time.
#[inline]
fn ask_for_what_follows(rest: &[u8]) {
    for line in AHEAD {
        if let Some(&byte) = rest.get(line) {
            std::hint::black_box(byte);
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

/// One record of a topic, borrowed from where it is stored.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct RecordRef<'a> {
    /// Its place in the topic.
    pub offset: u64,
    /// µs since the Unix epoch: the producer's, else the broker's when it was appended.
    pub timestamp_us: i64,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its payload.
    pub value: &'a [u8],
    body: &'a [u8],
}

impl<'a> RecordRef<'a> {
    #[inline]
    pub(crate) fn new(offset: u64, body: &'a [u8]) -> Self {
        let Fields {
            timestamp_us,
            key,
            value,
        } = read_body(body);
        Self {
            offset,
            timestamp_us,
            key,
            value,
            body,
        }
    }

    /// Its headers, in order: name and value.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let mut rest = self.body;
        std::iter::from_fn(move || next_header(&mut rest))
    }

    /// Its encoded body: what [`Producer::produce_encoded`](crate::Producer::produce_encoded) takes.
    #[must_use]
    pub fn encoded(&self) -> &'a [u8] {
        self.body
    }

    /// An owned copy.
    #[must_use]
    pub fn to_record(&self) -> Record {
        let mut record = Record::new(Bytes::copy_from_slice(self.value));
        record.key = self.key.map(Bytes::copy_from_slice);
        record.timestamp_us = Some(self.timestamp_us);
        for (name, value) in self.headers() {
            record = record.with_header(name, Bytes::copy_from_slice(value));
        }
        record
    }
}

impl fmt::Debug for RecordRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordRef")
            .field("offset", &self.offset)
            .field("timestamp_us", &self.timestamp_us)
            .field("key", &self.key.map(|key| key.escape_ascii().to_string()))
            .field("value", &self.value.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}
