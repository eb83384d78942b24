//! Cutting input into records.
//!
//! A [`Splitter`] is fed blocks of bytes and gives records back; it never reads anything itself, holds at
//! most one block and one unfinished record, and copies each byte once (records are slices of its buffer).

use anyhow::{Context, Result, bail};
use bytes::{Buf, Bytes, BytesMut};

/// The largest record that any server takes: an unfinished one beyond this is an error, not a bigger buffer.
pub(crate) const MAX_RECORD_BYTES: usize = footman_broker::MAX_RECORD_BYTES as usize;

/// How records lie in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One a line: LF or CRLF ends it and is no part of it; an empty line is an empty record; the last line
    /// needs no end.
    Lines,
    /// Ended by these bytes (at least one), which are no part of the record; the last one needs no end.
    Delimiter(Vec<u8>),
    /// A `u32` length, big-endian, then as many bytes, and so on.
    Length,
    /// The whole input is one record.
    Whole,
}

/// Cuts blocks of bytes into records.
#[derive(Debug)]
pub(crate) struct Splitter {
    framing: Framing,
    buffer: BytesMut,
    /// Bytes of `buffer` known to hold no end of a record.
    searched: usize,
    /// Records given so far.
    records: u64,
}

impl Splitter {
    /// Starts at the beginning of an input.
    pub(crate) fn new(framing: Framing) -> Splitter {
        Splitter {
            framing,
            buffer: BytesMut::new(),
            searched: 0,
            records: 0,
        }
    }

    /// Takes the next bytes of the input. Call [`next_record`](Self::next_record) until `None` before the next one.
    pub(crate) fn push(&mut self, block: &[u8]) {
        self.buffer.extend_from_slice(block);
    }

    /// The next whole record, or `None` if more input is needed.
    ///
    /// # Errors
    ///
    /// If the record under way is longer than [`MAX_RECORD_BYTES`].
    pub(crate) fn next_record(&mut self) -> Result<Option<Bytes>> {
        let found = match &self.framing {
            Framing::Lines => memchr::memchr(b'\n', &self.buffer[self.searched..])
                .map(|at| (self.searched + at, 1)),
            Framing::Delimiter(delimiter) => {
                memchr::memmem::find(&self.buffer[self.searched..], delimiter)
                    .map(|at| (self.searched + at, delimiter.len()))
            }
            Framing::Length => return self.next_frame(),
            Framing::Whole => None,
        };
        let Some((end, skip)) = found else {
            if self.buffer.len() > MAX_RECORD_BYTES {
                bail!(
                    "{} is longer than {MAX_RECORD_BYTES} bytes, the largest record there is",
                    self.name_next()
                );
            }
            // An end may have begun in the last bytes.
            let partial = if let Framing::Delimiter(delimiter) = &self.framing {
                delimiter.len() - 1
            } else {
                0
            };
            self.searched = self.buffer.len().saturating_sub(partial);
            return Ok(None);
        };
        let mut record = self.buffer.split_to(end);
        self.buffer.advance(skip);
        self.searched = 0;
        self.records += 1;
        if self.framing == Framing::Lines && record.last() == Some(&b'\r') {
            record.truncate(record.len() - 1);
        }
        Ok(Some(record.freeze()))
    }

    /// What is left at the end of the input: the last record if nothing ended it.
    ///
    /// # Errors
    ///
    /// If the input ends within a length-delimited record.
    pub(crate) fn finish(mut self) -> Result<Option<Bytes>> {
        match self.framing {
            Framing::Lines | Framing::Delimiter(_) if self.buffer.is_empty() => Ok(None),
            Framing::Length if self.buffer.is_empty() => Ok(None),
            Framing::Length => bail!(
                "the input ends within {}: {} bytes are left over",
                self.name_next(),
                self.buffer.len()
            ),
            Framing::Lines | Framing::Delimiter(_) | Framing::Whole => {
                Ok(Some(self.buffer.split().freeze()))
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<Bytes>> {
        let Some((length, _)) = self.buffer.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).context("a u32 fits a usize")?;
        if length > MAX_RECORD_BYTES {
            bail!(
                "{} says that it is {length} bytes long; the largest record there is has {MAX_RECORD_BYTES} \
                 (is this input really u32 big-endian length and bytes?)",
                self.name_next()
            );
        }
        if self.buffer.len() - 4 < length {
            return Ok(None);
        }
        self.buffer.advance(4);
        self.records += 1;
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn name_next(&self) -> String {
        let noun = if self.framing == Framing::Lines {
            "line"
        } else {
            "record"
        };
        format!("{noun} {}", self.records + 1)
    }
}

/// Splits a record at the first `separator` into key and value; without a separator in it, it has no key.
pub(crate) fn split_key(record: &Bytes, separator: &[u8]) -> (Option<Bytes>, Bytes) {
    match memchr::memmem::find(record, separator) {
        Some(at) => (
            Some(record.slice(..at)),
            record.slice(at + separator.len()..),
        ),
        None => (None, record.clone()),
    }
}

/// Reads a delimiter as typed: `\n`, `\r`, `\t`, `\0`, `\\` and `\xHH` stand for bytes; at least one byte.
pub(crate) fn parse_delimiter(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match rest.next() {
            Some('n') => bytes.push(b'\n'),
            Some('r') => bytes.push(b'\r'),
            Some('t') => bytes.push(b'\t'),
            Some('0') => bytes.push(0),
            Some('\\') => bytes.push(b'\\'),
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                let byte = u8::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| digits.len() == 2);
                bytes.push(byte.with_context(|| {
                    format!("\\x{digits} is not a byte: write two hexadecimal digits, as in \\x1f")
                })?);
            }
            Some(other) => {
                bail!("\\{other} is not an escape: use \\n, \\r, \\t, \\0, \\\\ or \\xHH")
            }
            None => bail!("a \\ at the end stands for nothing: write \\\\ for a backslash"),
        }
    }
    if bytes.is_empty() {
        bail!("it must be at least one byte");
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All records of `input`, fed in blocks of `block` bytes.
    fn split(framing: Framing, input: &[u8], block: usize) -> Result<Vec<Vec<u8>>> {
        let mut splitter = Splitter::new(framing);
        let mut records = Vec::new();
        for block in input.chunks(block) {
            splitter.push(block);
            while let Some(record) = splitter.next_record()? {
                records.push(record.to_vec());
            }
        }
        records.extend(splitter.finish()?.map(Vec::from));
        Ok(records)
    }

    fn of(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn lines_are_the_same_however_the_input_is_cut() {
        let input = b"one\r\n\ntwo\nthree\rx\n\r\nlast";
        for block in 1..=input.len() {
            let records = split(Framing::Lines, input, block).unwrap();
            assert_eq!(
                records,
                of(&["one", "", "two", "three\rx", "", "last"]),
                "blocks of {block}"
            );
        }
        assert_eq!(split(Framing::Lines, b"", 1).unwrap(), of(&[]));
        assert_eq!(split(Framing::Lines, b"\n", 1).unwrap(), of(&[""]));
        assert_eq!(split(Framing::Lines, b"a\n", 1).unwrap(), of(&["a"]));
    }

    #[test]
    fn a_delimiter_may_be_long_and_overlap_a_cut() {
        let input = b"a--b-c----d";
        for block in 1..=input.len() {
            let records = split(Framing::Delimiter(b"--".to_vec()), input, block).unwrap();
            assert_eq!(records, of(&["a", "b-c", "", "d"]), "blocks of {block}");
        }
        assert_eq!(
            split(Framing::Delimiter(b"\n".to_vec()), b"a\r\nb", 9).unwrap(),
            of(&["a\r", "b"])
        );
    }

    #[test]
    fn length_frames_carry_any_bytes() {
        let mut input = Vec::new();
        for record in [&b"a\nb"[..], b"", b"\0\xff"] {
            input.extend_from_slice(&u32::try_from(record.len()).unwrap().to_be_bytes());
            input.extend_from_slice(record);
        }
        for block in 1..=input.len() {
            let records = split(Framing::Length, &input, block).unwrap();
            assert_eq!(
                records,
                vec![b"a\nb".to_vec(), vec![], b"\0\xff".to_vec()],
                "blocks of {block}"
            );
        }
        input.pop();
        let error = split(Framing::Length, &input, 3).unwrap_err().to_string();
        assert!(error.contains("ends within record 3"), "{error}");
    }

    #[test]
    fn a_length_or_a_line_beyond_the_limit_is_an_error_not_a_buffer() {
        let error = split(Framing::Length, b"GET / HTTP/1.1\r\n", 99)
            .unwrap_err()
            .to_string();
        assert!(error.contains("record 1"), "{error}");
        let endless = vec![b'x'; MAX_RECORD_BYTES + 1];
        let error = split(Framing::Lines, &endless, 1 << 18)
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 1 is longer"), "{error}");
    }

    #[test]
    fn a_whole_input_is_one_record_even_if_empty() {
        assert_eq!(
            split(Framing::Whole, b"a\nb\n", 2).unwrap(),
            of(&["a\nb\n"])
        );
        assert_eq!(split(Framing::Whole, b"", 2).unwrap(), of(&[""]));
    }

    #[test]
    fn a_key_ends_at_the_first_separator() {
        let split = |text: &'static str| split_key(&Bytes::from(text), b": ");
        assert_eq!(split("k: v: w"), (Some("k".into()), "v: w".into()));
        assert_eq!(split(": v"), (Some("".into()), "v".into()));
        assert_eq!(split("no key"), (None, "no key".into()));
    }

    #[test]
    fn delimiters_are_read_with_their_escapes() {
        assert_eq!(parse_delimiter(r"\t").unwrap(), b"\t");
        assert_eq!(
            parse_delimiter(r"\x1e\n→\\").unwrap(),
            "\x1e\n→\\".as_bytes()
        );
        assert_eq!(parse_delimiter(r"\0").unwrap(), b"\0");
        for bad in ["", r"\", r"\q", r"\x1", r"\xzz"] {
            assert!(parse_delimiter(bad).is_err(), "{bad:?}");
        }
    }
}
