//! A record as its producer makes it: key, value, headers, timestamp.
//!
//! Owned bytes, cheap to clone. It is encoded straight into the topic's ring; what consumers get is
//! [`Records`](crate::Records), which borrows from there.

use std::sync::Arc;

use bytes::{BufMut, Bytes};

use crate::encoding::{
    HEAD_BYTES, HEADER_NAME_TAG, HEADER_TAG, HEADER_VALUE_TAG, Head, KEY_TAG, RECORD_TAG, Scratch,
    TIMESTAMP_BYTES, VALUE_TAG, field_len,
};

/// A record to be produced.
///
/// ```
/// use footman_broker::Record;
///
/// let record = Record::new("paid").with_key("order-7").with_header("trace", "4bf9");
/// assert_eq!(record.value, "paid");
/// assert_eq!(record.headers[0].value, "4bf9");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Record {
    /// What the record is about. An empty key is not an absent one.
    pub key: Option<Bytes>,
    /// The payload; may be empty.
    pub value: Bytes,
    /// Named bytes, in order; a name may stand several times.
    pub headers: Vec<Header>,
    /// µs since the Unix epoch. `None` or `Some(0)`: the broker's wall clock at append.
    pub timestamp_us: Option<i64>,
}

/// A named value that travels with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name; need not be unique.
    pub name: Arc<str>,
    /// Its value.
    pub value: Bytes,
}

impl Record {
    /// A record with this value and nothing else.
    #[must_use]
    pub fn new(value: impl Into<Bytes>) -> Self {
        Self {
            value: value.into(),
            ..Self::default()
        }
    }

    /// The same record with this key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same record with one more header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header {
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// The same record with this timestamp: µs since the Unix epoch; 0 leaves it to the broker.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp_us: i64) -> Self {
        self.timestamp_us = Some(timestamp_us);
        self
    }

    /// The timestamp that its producer gave, if any: 0 counts as none.
    pub(crate) fn own_timestamp(&self) -> Option<i64> {
        self.timestamp_us.filter(|&us| us != 0)
    }

    /// Bytes of the encoded body as the producer made it: what `max_record_bytes` limits.
    #[must_use]
    #[inline]
    pub fn encoded_len(&self) -> usize {
        let timestamp = if self.own_timestamp().is_some() {
            TIMESTAMP_BYTES
        } else {
            0
        };
        let key = self.key.as_ref().map_or(0, |key| field_len(key.len()));
        let value = if self.value.is_empty() {
            0
        } else {
            field_len(self.value.len())
        };
        timestamp + key + value + self.headers_len()
    }

    #[inline]
    fn headers_len(&self) -> usize {
        self.headers
            .iter()
            .map(|header| field_len(header.body_len()))
            .sum()
    }

    /// Bytes that [`encode_framed`](Self::encode_framed) writes.
    #[must_use]
    pub fn framed_len(&self) -> usize {
        field_len(self.encoded_len())
    }

    /// Writes the record as an element of protobuf's `repeated Record records = 15`: tag, length, body.
    ///
    /// ```
    /// use footman_broker::Record;
    ///
    /// let mut wire = Vec::new();
    /// Record::new("hi").encode_framed(&mut wire);
    /// assert_eq!(wire, [0x7A, 4, 0x1A, 2, b'h', b'i']);
    /// assert_eq!(wire.len(), Record::new("hi").framed_len());
    /// ```
    pub fn encode_framed(&self, buf: &mut impl BufMut) {
        let mut bytes = [0; HEAD_BYTES];
        let mut head = Head::new(&mut bytes);
        self.frame_head(self.encoded_len(), self.own_timestamp(), &mut head);
        buf.put_slice(head.as_slice());
        self.encode_behind_head(&mut |bytes| buf.put_slice(bytes));
    }

    /// Writes the record's body alone: what `Producer::produce_encoded` takes.
    pub fn encode(&self, buf: &mut impl BufMut) {
        let mut bytes = [0; HEAD_BYTES];
        let mut head = Head::new(&mut bytes);
        self.body_head(self.own_timestamp(), &mut head);
        buf.put_slice(head.as_slice());
        self.encode_behind_head(&mut |bytes| buf.put_slice(bytes));
    }

    /// Writes the record as it is stored: framed, with `timestamp_us`; its body has then `body_len` bytes.
    #[inline]
    pub(crate) fn encode_stored(&self, body_len: usize, timestamp_us: i64, scratch: &mut Scratch) {
        scratch.head(|head| self.frame_head(body_len, Some(timestamp_us), head));
        if let Some(key) = &self.key {
            scratch.bytes(key);
            scratch.head(|head| self.value_head(head));
        }
        scratch.bytes(&self.value);
        if !self.headers.is_empty() {
            self.encode_headers(&mut |bytes| scratch.bytes(bytes));
        }
    }

    /// What a framed record has in front of its key, or of its value if it has no key. `body_len` counts the timestamp, if it
    /// is to have one.
    #[inline]
    pub(crate) fn frame_head(
        &self,
        body_len: usize,
        timestamp_us: Option<i64>,
        head: &mut Head<'_>,
    ) {
        head.tag_and_length(RECORD_TAG, body_len);
        self.body_head(timestamp_us, head);
    }

    #[inline]
    fn body_head(&self, timestamp_us: Option<i64>, head: &mut Head<'_>) {
        if let Some(timestamp_us) = timestamp_us {
            head.timestamp(timestamp_us);
        }
        match &self.key {
            Some(key) => head.tag_and_length(KEY_TAG, key.len()),
            None => self.value_head(head),
        }
    }

    /// What stands between the key and the value.
    #[inline]
    pub(crate) fn value_head(&self, head: &mut Head<'_>) {
        if !self.value.is_empty() {
            head.tag_and_length(VALUE_TAG, self.value.len());
        }
    }

    fn encode_behind_head(&self, put: &mut impl FnMut(&[u8])) {
        if let Some(key) = &self.key {
            put(key);
            let mut bytes = [0; HEAD_BYTES];
            let mut head = Head::new(&mut bytes);
            self.value_head(&mut head);
            put(head.as_slice());
        }
        put(&self.value);
        self.encode_headers(put);
    }

    fn encode_headers(&self, put: &mut impl FnMut(&[u8])) {
        let mut bytes = [0; HEAD_BYTES];
        for header in &self.headers {
            let mut head = Head::new(&mut bytes);
            head.tag_and_length(HEADER_TAG, header.body_len());
            if !header.name.is_empty() {
                head.tag_and_length(HEADER_NAME_TAG, header.name.len());
            }
            put(head.as_slice());
            put(header.name.as_bytes());
            if !header.value.is_empty() {
                let mut head = Head::new(&mut bytes);
                head.tag_and_length(HEADER_VALUE_TAG, header.value.len());
                put(head.as_slice());
                put(&header.value);
            }
        }
    }
}

impl Header {
    fn body_len(&self) -> usize {
        let part = |length: usize| if length == 0 { 0 } else { field_len(length) };
        part(self.name.len()) + part(self.value.len())
    }
}

impl<T: Into<Bytes>> From<T> for Record {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::decoding::{self, check_body, next_header, read_body};
    use proptest::prelude::*;

    fn records() -> impl Strategy<Value = Record> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
        let headers = proptest::collection::vec((".{0,9}", bytes()), 0..4);
        (
            proptest::option::of(bytes()),
            bytes(),
            headers,
            proptest::option::of(any::<i64>()),
        )
            .prop_map(|(key, value, headers, timestamp_us)| {
                let mut record = Record::new(value);
                record.key = key.map(Bytes::from);
                record.timestamp_us = timestamp_us;
                headers
                    .into_iter()
                    .fold(record, |r, (name, value)| r.with_header(name, value))
            })
    }

    /// What the encoded body says, as a record.
    fn decode(body: &[u8]) -> Record {
        let fields = read_body(body);
        let mut record = Record::new(fields.value.to_vec());
        record.key = fields.key.map(|key| Bytes::from(key.to_vec()));
        record.timestamp_us = Some(fields.timestamp_us).filter(|&us| us != 0);
        let mut rest = body;
        while let Some((name, value)) = next_header(&mut rest) {
            record = record.with_header(name, value.to_vec());
        }
        record
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(record in records(), stamp in 1i64..) {
            let mut wire = Vec::new();
            record.encode_framed(&mut wire);
            prop_assert_eq!(wire.len(), record.framed_len());
            let (body, rest) = decoding::record(&wire).unwrap();
            prop_assert!(rest.is_empty());
            prop_assert_eq!(body.len(), record.encoded_len());
            prop_assert_eq!(check_body(body).unwrap().timestamp_us, record.own_timestamp().unwrap_or(0));
            let mut plain = record.clone();
            plain.timestamp_us = record.own_timestamp();
            prop_assert_eq!(&decode(body), &plain);

            // As the broker stores it: the same with a timestamp.
            let own = record.own_timestamp();
            let added = if own.is_some() { 0 } else { TIMESTAMP_BYTES };
            let mut stored = Scratch::default();
            stored.bytes(&[7]);
            record.encode_stored(record.encoded_len() + added, own.unwrap_or(stamp), &mut stored);
            plain.timestamp_us = own.or(Some(stamp));
            let mut expected = vec![7];
            plain.encode_framed(&mut expected);
            prop_assert_eq!(stored.as_slice(), expected);
        }
    }
}
