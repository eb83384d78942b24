//! Records in their encoded form (`encoding.rs`), as they come from anywhere: checked before they are stored, and
//! walked without a copy after.
//!
//! Fields that this version does not know go through. Nothing here allocates, and no input makes it panic or read
//! twice.

use std::fmt;

use crate::encoding::{
    HEADER_NAME_TAG, HEADER_TAG, KEY_TAG, RECORD_TAG, TIMESTAMP_BYTES, TIMESTAMP_TAG, VALUE_TAG,
};

/// What makes bytes not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidReason {
    /// The bytes end inside a field.
    Truncated,
    /// A tag or length takes more bytes than its value needs, or a varint more than 64 bits.
    OverlongVarint,
    /// A field number of 0 or above 2^29 - 1.
    FieldNumber,
    /// A group, or a wire type that does not exist; the number is the wire type.
    WireType(u8),
    /// A field of a record or header has the wire type of another kind of value.
    KnownField {
        /// Its number in the record or header.
        field: u32,
    },
    /// A field that may stand once stands twice.
    Repeated {
        /// Its number in the record or header.
        field: u32,
    },
    /// A header's name is not UTF-8.
    HeaderName,
    /// Where a record should begin, something else does.
    NotARecord,
    /// The records of its batch have 4 GiB or more together.
    BatchTooLarge,
    /// There are more or fewer records than was said.
    Count {
        /// Records found.
        found: u64,
    },
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends inside a field"),
            Self::OverlongVarint => f.write_str("a varint is longer than its value needs"),
            Self::FieldNumber => f.write_str("a field number is 0 or above 536870911"),
            Self::WireType(wire) => write!(f, "wire type {wire} is not supported"),
            Self::KnownField { field } => write!(f, "field {field} has the wrong wire type"),
            Self::Repeated { field } => write!(f, "field {field} stands twice"),
            Self::HeaderName => f.write_str("a header name is not UTF-8"),
            Self::NotARecord => f.write_str("a record does not begin with tag 15"),
            Self::BatchTooLarge => f.write_str("its batch has 4 GiB or more"),
            Self::Count { found } => write!(f, "{found} records are there, not as many as said"),
        }
    }
}

/// What the broker must know of a body before it appends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    /// The producer's timestamp; 0 when it gave none.
    pub(crate) timestamp_us: i64,
    /// Where an explicit timestamp of 0 stands: it is cut out when the broker's is put in front.
    pub(crate) zero_timestamp_at: Option<u32>,
}

/// Checks one record's body, as a peer sent it.
pub(crate) fn check_body(body: &[u8]) -> Result<Shape, InvalidReason> {
    let mut shape = Shape::default();
    let (mut timestamp_seen, mut key_seen, mut value_seen) = (false, false, false);
    let mut rest = body;
    while !rest.is_empty() {
        let start = body.len() - rest.len();
        let (number, value, behind) = field(rest)?;
        rest = behind;
        match (number, value) {
            (1, Value::Fixed64(bytes)) => {
                once(&mut timestamp_seen, 1)?;
                shape.timestamp_us = i64::from_le_bytes(bytes);
                if shape.timestamp_us == 0 {
                    let start = u32::try_from(start).map_err(|_| InvalidReason::Truncated)?;
                    shape.zero_timestamp_at = Some(start);
                }
            }
            (2, Value::Bytes(_)) => once(&mut key_seen, 2)?,
            (3, Value::Bytes(_)) => once(&mut value_seen, 3)?,
            (4, Value::Bytes(header)) => check_header(header)?,
            (field @ 1..=4, _) => return Err(InvalidReason::KnownField { field }),
            _ => {}
        }
    }
    Ok(shape)
}

fn check_header(mut rest: &[u8]) -> Result<(), InvalidReason> {
    let (mut name_seen, mut value_seen) = (false, false);
    while !rest.is_empty() {
        let (number, value, behind) = field(rest)?;
        rest = behind;
        match (number, value) {
            (1, Value::Bytes(name)) => {
                once(&mut name_seen, 1)?;
                std::str::from_utf8(name).map_err(|_| InvalidReason::HeaderName)?;
            }
            (2, Value::Bytes(_)) => once(&mut value_seen, 2)?,
            (field @ 1..=2, _) => return Err(InvalidReason::KnownField { field }),
            _ => {}
        }
    }
    Ok(())
}

fn once(seen: &mut bool, field: u32) -> Result<(), InvalidReason> {
    if std::mem::replace(seen, true) {
        Err(InvalidReason::Repeated { field })
    } else {
        Ok(())
    }
}

/// The value of one field.
enum Value<'a> {
    /// A varint or a fixed 32-bit number: never a field that we know.
    Other,
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
}

// Each of these reads what `bytes` begins with, and gives back what is behind it: by value, so that a walk over
// many fields keeps its place in registers.

/// A field: its number and value.
#[inline]
fn field(bytes: &[u8]) -> Result<(u32, Value<'_>, &[u8]), InvalidReason> {
    match bytes {
        [TIMESTAMP_TAG, rest @ ..] => {
            let (value, rest) = fixed64(rest)?;
            Ok((1, Value::Fixed64(value), rest))
        }
        [
            tag @ (KEY_TAG | VALUE_TAG | HEADER_TAG | HEADER_NAME_TAG),
            rest @ ..,
        ] => {
            let (value, rest) = delimited(rest)?;
            Ok((u32::from(tag >> 3), Value::Bytes(value), rest))
        }
        _ => other_field(bytes),
    }
}

/// A field that we do not know, or a known one with the wrong type.
#[cold]
fn other_field(bytes: &[u8]) -> Result<(u32, Value<'_>, &[u8]), InvalidReason> {
    let (tag, rest) = varint(bytes)?;
    let number = u32::try_from(tag >> 3)
        .ok()
        .filter(|number| (1..1 << 29).contains(number))
        .ok_or(InvalidReason::FieldNumber)?;
    let (value, rest) = match (tag & 7) as u8 {
        0 => (Value::Other, skip_varint(rest)?),
        1 => {
            let (value, rest) = fixed64(rest)?;
            (Value::Fixed64(value), rest)
        }
        2 => {
            let (value, rest) = delimited(rest)?;
            (Value::Bytes(value), rest)
        }
        5 => (Value::Other, rest.get(4..).ok_or(InvalidReason::Truncated)?),
        wire => return Err(InvalidReason::WireType(wire)),
    };
    Ok((number, value, rest))
}

#[inline]
fn fixed64(bytes: &[u8]) -> Result<([u8; 8], &[u8]), InvalidReason> {
    let (value, rest) = bytes.split_first_chunk().ok_or(InvalidReason::Truncated)?;
    Ok((*value, rest))
}

/// A length and so many bytes.
#[inline]
fn delimited(bytes: &[u8]) -> Result<(&[u8], &[u8]), InvalidReason> {
    let (length, rest) = varint(bytes)?;
    let length = usize::try_from(length).map_err(|_| InvalidReason::Truncated)?;
    rest.split_at_checked(length)
        .ok_or(InvalidReason::Truncated)
}

/// A tag or a length: in its shortest form, or it is refused. One or two bytes, nearly always.
#[inline]
fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), InvalidReason> {
    match bytes {
        [first @ 0..0x80, rest @ ..] => Ok((u64::from(*first), rest)),
        [first, second @ 1..0x80, rest @ ..] => {
            Ok((u64::from(first & 0x7F) | u64::from(*second) << 7, rest))
        }
        _ => long_varint(bytes),
    }
}

#[cold]
fn long_varint(bytes: &[u8]) -> Result<(u64, &[u8]), InvalidReason> {
    let mut value = 0;
    for i in 0..10 {
        let byte = *bytes.get(i).ok_or(InvalidReason::Truncated)?;
        value |= u64::from(byte & 0x7F) << (7 * i);
        if byte < 0x80 {
            if (byte == 0 && i > 0) || (i == 9 && byte > 1) {
                return Err(InvalidReason::OverlongVarint);
            }
            return Ok((value, bytes.get(i + 1..).unwrap_or_default()));
        }
    }
    Err(InvalidReason::OverlongVarint)
}

/// What is behind the value of an unknown varint field: any form of at most 64 bits.
fn skip_varint(bytes: &[u8]) -> Result<&[u8], InvalidReason> {
    for i in 0..10 {
        let byte = *bytes.get(i).ok_or(InvalidReason::Truncated)?;
        if byte < 0x80 {
            if i == 9 && byte > 1 {
                return Err(InvalidReason::OverlongVarint);
            }
            return Ok(bytes.get(i + 1..).unwrap_or_default());
        }
    }
    Err(InvalidReason::OverlongVarint)
}

/// The body of a framed record.
#[inline]
pub(crate) fn record(bytes: &[u8]) -> Result<(&[u8], &[u8]), InvalidReason> {
    let [RECORD_TAG, rest @ ..] = bytes else {
        return Err(InvalidReason::NotARecord);
    };
    delimited(rest)
}

/// The singular fields of a body that was checked before.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) timestamp_us: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
}

/// Reads a checked body. Bytes that are none after all (a bug) end the walk; it never panics.
#[inline]
pub(crate) fn read_body(body: &[u8]) -> Fields<'_> {
    read_usual_body(body).unwrap_or_else(|| read_any_body(body))
}

/// A body that has a timestamp, perhaps a key, a value and nothing else, in this order: as the broker writes them.
#[inline]
fn read_usual_body(body: &[u8]) -> Option<Fields<'_>> {
    let (&[TIMESTAMP_TAG, ref timestamp @ ..], rest) =
        body.split_first_chunk::<TIMESTAMP_BYTES>()?
    else {
        return None;
    };
    let (key, rest) = match rest {
        [KEY_TAG, rest @ ..] => {
            let (key, rest) = delimited(rest).ok()?;
            (Some(key), rest)
        }
        _ => (None, rest),
    };
    let [VALUE_TAG, rest @ ..] = rest else {
        return None;
    };
    let (value, rest) = delimited(rest).ok()?;
    rest.is_empty().then_some(Fields {
        timestamp_us: i64::from_le_bytes(*timestamp),
        key,
        value,
    })
}

#[inline(never)] // so that the walk over usual records stays small
fn read_any_body(body: &[u8]) -> Fields<'_> {
    let mut fields = Fields::default();
    let mut rest = body;
    while !rest.is_empty() {
        let (number, value, behind) = match field(rest) {
            Ok(read) => read,
            Err(reason) => {
                debug_assert!(false, "a stored record is invalid: {reason}");
                break;
            }
        };
        rest = behind;
        match (number, value) {
            (1, Value::Fixed64(bytes)) => fields.timestamp_us = i64::from_le_bytes(bytes),
            (2, Value::Bytes(key)) => fields.key = Some(key),
            (3, Value::Bytes(value)) => fields.value = value,
            _ => {}
        }
    }
    fields
}

/// The next header in what is left of a checked body: its name and value. What is behind it is left then.
pub(crate) fn next_header<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, &'a [u8])> {
    while !rest.is_empty() {
        let (number, value, behind) = field(rest).ok()?;
        *rest = behind;
        if let (4, Value::Bytes(header)) = (number, value) {
            return Some(read_header(header));
        }
    }
    None
}

fn read_header(mut rest: &[u8]) -> (&str, &[u8]) {
    let (mut name, mut value) = ("", [].as_slice());
    while !rest.is_empty() {
        let Ok((number, read, behind)) = field(rest) else {
            break;
        };
        rest = behind;
        match (number, read) {
            (1, Value::Bytes(bytes)) => name = std::str::from_utf8(bytes).unwrap_or_default(),
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    (name, value)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::record::Record;
    use proptest::prelude::*;

    fn check(bytes: &[u8]) -> Result<Shape, InvalidReason> {
        check_body(bytes)
    }

    #[test]
    fn an_empty_body_is_a_record_without_anything() {
        assert_eq!(check(&[]), Ok(Shape::default()));
        assert!(read_body(&[]).key.is_none());
    }

    #[test]
    fn an_empty_key_is_not_an_absent_one() {
        assert_eq!(read_body(&[0x12, 0]).key, Some([].as_slice()));
        assert_eq!(read_body(&[0x1A, 1, b'v']).key, None);
    }

    #[test]
    fn an_explicit_timestamp_of_zero_is_found() {
        let mut body = vec![0x1A, 1, b'v'];
        body.extend([0x09, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            check(&body),
            Ok(Shape {
                timestamp_us: 0,
                zero_timestamp_at: Some(3)
            })
        );
    }

    #[test]
    fn every_kind_of_damage_has_its_reason() {
        use InvalidReason::*;
        let cases: &[(&[u8], InvalidReason)] = &[
            (&[0x1A], Truncated),
            (&[0x1A, 5, 1], Truncated),
            (&[0x09, 1, 2, 3], Truncated),
            (&[0x85], Truncated),
            // A 4 GiB length with five bytes behind it, and one of 2^64 - 1.
            (
                &[0x1A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1, 2, 3, 4, 5],
                Truncated,
            ),
            (
                &[
                    0x1A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1,
                ],
                Truncated,
            ),
            (&[0x1A, 0x80, 0x00], OverlongVarint),
            (&[0x9A, 0x00, 0], OverlongVarint),
            (
                &[
                    0x28, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02,
                ],
                OverlongVarint,
            ),
            (
                &[
                    0x28, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                ],
                OverlongVarint,
            ),
            (&[0x02, 0], FieldNumber),
            (&[0x80, 0x80, 0x80, 0x80, 0x10, 0], FieldNumber),
            (&[0x2B], WireType(3)),
            (&[0x2C], WireType(4)),
            (&[0x2E], WireType(6)),
            (&[0x2F], WireType(7)),
            (&[0x08, 1], KnownField { field: 1 }),
            (&[0x0A, 0], KnownField { field: 1 }),
            (&[0x10, 1], KnownField { field: 2 }),
            (&[0x19, 0, 0, 0, 0, 0, 0, 0, 0], KnownField { field: 3 }),
            (&[0x25, 0, 0, 0, 0], KnownField { field: 4 }),
            (&[0x12, 0, 0x12, 0], Repeated { field: 2 }),
            (&[0x1A, 0, 0x1A, 0], Repeated { field: 3 }),
            (
                &[9, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0, 0, 0, 0, 0, 0],
                Repeated { field: 1 },
            ),
            (&[0x22, 3, 0x0A, 1, 0xFF], HeaderName),
            (&[0x22, 4, 0x0A, 0, 0x0A, 0], Repeated { field: 1 }),
            (&[0x22, 2, 0x08, 0], KnownField { field: 1 }),
            (&[0x22, 2, 0x0A, 9], Truncated),
        ];
        for (bytes, reason) in cases {
            assert_eq!(check(bytes), Err(*reason), "{bytes:02x?}");
        }
    }

    #[test]
    fn unknown_fields_of_plain_wire_types_pass() {
        // 5: varint (padded), 6: fixed64, 7: bytes, 8: fixed32, and a field number of two bytes.
        let mut body = vec![0x28, 0x81, 0x00];
        body.extend([0x31, 1, 2, 3, 4, 5, 6, 7, 8]);
        body.extend([0x3A, 2, 9, 9]);
        body.extend([0x45, 1, 2, 3, 4]);
        body.extend([0x82, 0x01, 1, 7]);
        assert_eq!(check(&body), Ok(Shape::default()));
        assert_eq!(read_body(&body).value, b"");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_check_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if check(&bytes).is_ok() {
                let _ = read_body(&bytes);
                let mut rest = &bytes[..];
                while next_header(&mut rest).is_some() {}
                prop_assert!(rest.is_empty());
            }
        }

        #[test]
        fn a_cut_record_is_never_taken_for_a_whole_one(
            value in proptest::collection::vec(any::<u8>(), 0..300),
            cut in 1usize..200,
        ) {
            let mut framed = Vec::new();
            Record::new(value.clone()).encode_framed(&mut framed);
            let (body, rest) = record(&framed).unwrap();
            prop_assert_eq!(read_body(body).value, &value[..]);
            prop_assert!(rest.is_empty());
            let cut = cut.min(framed.len());
            prop_assert!(record(&framed[..framed.len() - cut]).is_err());
        }
    }
}
