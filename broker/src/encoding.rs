//! The encoded form of a record: its layout, and how it is written.
//!
//! A topic's ring holds each record as the wire carries it, so that a run of the ring *is* the
//! `records` field of a response. The layout is byte for byte protobuf's `repeated Record records = 15`:
//!
//! ```text
//!   7A            field 15, length-delimited        ┐ the frame
//!   varint        length of the body                ┘
//!   09 8 bytes    1 timestamp_us  sfixed64, little endian, µs since the Unix epoch   ┐
//!   12 len bytes  2 key           optional: an empty key is not an absent one        │ the body
//!   1A len bytes  3 value         absent means empty                                 │
//!   22 len bytes  4 headers       any number; each 0A len name (UTF-8), 12 len value ┘
//! ```
//!
//! What a producer encoded is stored as it came, once it has been checked (`decoding.rs`). Only the timestamp is the
//! broker's where the producer gave none: nine bytes in front of the body.

/// The tag of a record: field 15, length-delimited; the last field number with a tag of one byte.
pub(crate) const RECORD_TAG: u8 = 0x7A;
pub(crate) const TIMESTAMP_TAG: u8 = 0x09;
pub(crate) const KEY_TAG: u8 = 0x12;
pub(crate) const VALUE_TAG: u8 = 0x1A;
pub(crate) const HEADER_TAG: u8 = 0x22;
pub(crate) const HEADER_NAME_TAG: u8 = 0x0A;
pub(crate) const HEADER_VALUE_TAG: u8 = 0x12;
/// Bytes of a timestamp field: its tag and eight bytes.
pub(crate) const TIMESTAMP_BYTES: usize = 9;

/// Bytes of `value` as a varint.
#[inline]
pub(crate) const fn varint_len(value: usize) -> usize {
    // Seven bits a byte: ceil(bits / 7), by a multiplication instead of a division.
    let bits = (value | 1).ilog2() as usize + 1;
    (bits * 9 + 64) / 64
}

/// Bytes of a length-delimited field with a tag of one byte.
#[inline]
pub(crate) const fn field_len(length: usize) -> usize {
    1 + varint_len(length) + length
}

/// Room for a [`Head`]: two tags with lengths and a timestamp, and what its stores write too much.
pub(crate) const HEAD_BYTES: usize = 32;

/// Tags, lengths and a timestamp. Written by a few wide stores; the bytes that are too many are written over by the next.
pub(crate) struct Head<'a> {
    bytes: &'a mut [u8; HEAD_BYTES],
    len: usize,
}

impl<'a> Head<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a mut [u8; HEAD_BYTES]) -> Self {
        Self { bytes, len: 0 }
    }

    #[inline]
    pub(crate) fn timestamp(&mut self, timestamp_us: i64) {
        let mut field = [TIMESTAMP_TAG; TIMESTAMP_BYTES];
        field[1..].copy_from_slice(&timestamp_us.to_le_bytes());
        self.put(field, TIMESTAMP_BYTES);
    }

    #[inline]
    pub(crate) fn tag_and_length(&mut self, tag: u8, length: usize) {
        let (tag, length) = (u32::from(tag), length as u64);
        match length {
            0..0x80 => self.put((tag | (length as u32) << 8).to_le_bytes(), 2),
            0x80..0x4000 => {
                let varint = (length as u32 & 0x7F) | 0x80 | (length as u32 >> 7) << 8;
                self.put((tag | varint << 8).to_le_bytes(), 3);
            }
            _ => self.tag_and_long_length(tag as u8, length),
        }
    }

    #[cold]
    fn tag_and_long_length(&mut self, tag: u8, length: u64) {
        self.put([tag], 1);
        let mut rest = length;
        while rest >= 0x80 {
            self.put([rest as u8 | 0x80], 1);
            rest >>= 7;
        }
        self.put([rest as u8], 1);
    }

    /// Writes `bytes`, of which `used` count.
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N], used: usize) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += used;
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What a scratch begins with.
const LEAST_BYTES: usize = 1 << 10;

/// Bytes that are written one after the other, into memory that is used again and never cleared.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    memory: Vec<u8>,
    used: usize,
}

impl Scratch {
    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn capacity(&self) -> usize {
        self.memory.len()
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.memory[..self.used]
    }

    #[inline]
    pub(crate) fn head(&mut self, write: impl FnOnce(&mut Head<'_>)) {
        self.make_room(HEAD_BYTES);
        if let Some(place) = self.memory[self.used..].first_chunk_mut() {
            let mut head = Head::new(place);
            write(&mut head);
            self.used += head.len;
        }
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.memory[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    #[inline]
    fn make_room(&mut self, more: usize) {
        if more > self.memory.len() - self.used {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let twice = (2 * self.memory.len()).max(LEAST_BYTES);
        let mut memory = vec![0; twice.max(self.used + more)];
        memory[..self.used].copy_from_slice(self.as_slice());
        self.memory = memory;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varint_len_is_the_number_of_bytes_that_are_written() {
        for shift in 0..usize::BITS {
            for value in [(1usize << shift) - 1, 1 << shift, (1 << shift) + 1] {
                let mut bytes = [0; HEAD_BYTES];
                let mut head = Head::new(&mut bytes);
                head.tag_and_length(0, value);
                assert_eq!(varint_len(value), head.as_slice().len() - 1, "{value}");
            }
        }
    }

    #[test]
    fn the_longest_head_has_room() {
        let mut bytes = [0; HEAD_BYTES];
        let mut head = Head::new(&mut bytes);
        head.tag_and_length(RECORD_TAG, usize::MAX);
        head.timestamp(-1);
        head.tag_and_length(VALUE_TAG, usize::MAX);
        assert_eq!(head.as_slice().len(), 2 * (1 + varint_len(usize::MAX)) + 9);
    }
}
