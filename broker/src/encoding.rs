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

/// The most bytes of a [`Head`]: two tags with lengths and a timestamp.
pub(crate) const HEAD_BYTES: usize = 32;

/// Tags, lengths and a timestamp, written where they are to stand.
pub(crate) struct Head<'a> {
    bytes: &'a mut [u8; HEAD_BYTES],
    len: usize,
}

impl<'a> Head<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a mut [u8; HEAD_BYTES]) -> Self {
        Self { bytes, len: 0 }
    }

    /// Writes a head at the end of `bytes`: in place, by stores that nothing reads back at once.
    #[inline]
    pub(crate) fn append_to(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Head<'_>)) {
        let at = bytes.len();
        bytes.extend_from_slice(&[0; HEAD_BYTES]);
        let mut len = 0;
        if let Some(place) = bytes.last_chunk_mut() {
            let mut head = Head::new(place);
            write(&mut head);
            len = head.len;
        }
        bytes.truncate(at + len);
    }

    #[inline]
    pub(crate) fn timestamp(&mut self, timestamp_us: i64) {
        self.byte(TIMESTAMP_TAG);
        self.bytes[self.len..self.len + 8].copy_from_slice(&timestamp_us.to_le_bytes());
        self.len += 8;
    }

    #[inline]
    pub(crate) fn tag_and_length(&mut self, tag: u8, length: usize) {
        self.byte(tag);
        let mut rest = length;
        while rest >= 0x80 {
            self.byte(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
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
}
