//! A client's side of one HTTP/2 connection, by hand and without I/O: bytes in, DATA frames out.
//!
//! It costs the machine as little as a client can, so that what is measured is the server. It allows the server all it
//! can ask for (windows of 2 GiB), announces no frames larger than the 16 KiB that every client takes, and keeps to the
//! server's windows.

use anyhow::{Context as _, Result, bail, ensure};
use std::{collections::HashMap, ops::Range};

/// One read's worth.
const INPUT_BYTES: usize = 256 * 1024;

const LARGEST_WINDOW: u32 = (1 << 31) - 1;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// Of DATA and HEADERS.
const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// What came in on a stream.
#[derive(Debug)]
pub(super) enum Event {
    /// The response began: the server has taken the call.
    Begin,
    /// A piece of the response's body, to be had by [`Wire::bytes`].
    Data(Range<usize>),
    /// The stream is over.
    End,
}

#[derive(Debug)]
pub(super) struct Wire {
    /// To be written to the socket.
    pub(super) out: Vec<u8>,
    input: Vec<u8>,
    unread: Range<usize>,
    path: &'static str,
    next_stream: u32,
    /// What may still be sent.
    window: i64,
    stream_windows: HashMap<u32, i64>,
    first_window: i64,
    largest_frame: usize,
    /// A stream ended with the frame before; told after that frame's data.
    has_ended: bool,
}

impl Wire {
    /// A connection for calls of one method, whose responses may come at once.
    pub(super) fn new(path: &'static str) -> Self {
        Self::with_window(path, LARGEST_WINDOW)
    }

    /// A connection on which each response's body waits until [`open_window`](Self::open_window).
    pub(super) fn held(path: &'static str) -> Self {
        Self::with_window(path, 0)
    }

    fn with_window(path: &'static str, window: u32) -> Self {
        let mut wire = Self {
            out: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            input: vec![0; INPUT_BYTES],
            unread: 0..0,
            path,
            next_stream: 1,
            window: 65_535,
            stream_windows: HashMap::new(),
            first_window: 65_535,
            largest_frame: 16_384,
            has_ended: false,
        };
        let [a, b, c, d] = window.to_be_bytes();
        // No pushes, and the first window of each response.
        wire.frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 0, 0, 4, a, b, c, d]);
        wire.frame(
            WINDOW_UPDATE,
            0,
            0,
            &(LARGEST_WINDOW - 65_535).to_be_bytes(),
        );
        wire
    }

    /// Begins a call.
    pub(super) fn call(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        let mut block = vec![0x83, 0x86]; // :method POST, :scheme http
        let headers: [(&[u8], &str); 4] = [
            (&[0x44], self.path),          // :path
            (&[0x41], "localhost"),        // :authority
            (&[0x5f], "application/grpc"), // content-type
            (&[0x40, 2, b't', b'e'], "trailers"),
        ];
        if stream == 1 {
            for (name, value) in headers {
                block.extend_from_slice(name);
                block.push(value.len() as u8);
                block.extend_from_slice(value.as_bytes());
            }
        } else {
            // The four are in the server's table since the first call, the last one first.
            block.extend([0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]);
        }
        self.frame(HEADERS, END_HEADERS, stream, &block);
        self.stream_windows.insert(stream, self.first_window);
        stream
    }

    /// Lets the server send the response's body.
    pub(super) fn open_window(&mut self, stream: u32) {
        self.frame(WINDOW_UPDATE, 0, stream, &LARGEST_WINDOW.to_be_bytes());
    }

    /// Whether the server takes a message of so many bytes at once.
    pub(super) fn has_room(&self, stream: u32, bytes: usize) -> bool {
        let window = self.stream_windows.get(&stream).copied().unwrap_or(0);
        self.window.min(window) >= bytes as i64 + 5
    }

    /// Sends one message, of a head and a rest; the caller saw that there is room.
    pub(super) fn message(&mut self, stream: u32, (head, rest): (&[u8], &[u8]), is_last: bool) {
        let length = head.len() + rest.len();
        let mut prefix = [0; 5];
        prefix[1..].copy_from_slice(&(length as u32).to_be_bytes());
        let whole: &[&[u8]] = &[&prefix, head, rest];
        if length + 5 <= self.largest_frame {
            self.frame_head(DATA, u8::from(is_last), stream, length + 5);
            whole
                .iter()
                .for_each(|part| self.out.extend_from_slice(part));
        } else {
            let whole = whole.concat();
            let mut pieces = whole.chunks(self.largest_frame).peekable();
            while let Some(piece) = pieces.next() {
                let ends = is_last && pieces.peek().is_none();
                self.frame(DATA, u8::from(ends), stream, piece);
            }
        }
        self.window -= length as i64 + 5;
        if is_last {
            self.stream_windows.remove(&stream);
        } else if let Some(window) = self.stream_windows.get_mut(&stream) {
            *window -= length as i64 + 5;
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.frame_head(kind, flags, stream, payload.len());
        self.out.extend_from_slice(payload);
    }

    fn frame_head(&mut self, kind: u8, flags: u8, stream: u32, length: usize) {
        self.out
            .extend_from_slice(&(length as u32).to_be_bytes()[1..]);
        self.out.extend([kind, flags]);
        self.out.extend_from_slice(&stream.to_be_bytes());
    }

    /// Where the next bytes from the socket go; then [`received`](Self::received).
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.input.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        &mut self.input[self.unread.end..]
    }

    pub(super) fn received(&mut self, bytes: usize) -> Result<()> {
        ensure!(bytes > 0, "the server closed the connection");
        self.unread.end += bytes;
        Ok(())
    }

    pub(super) fn bytes(&self, at: Range<usize>) -> &[u8] {
        &self.input[at]
    }

    /// The next thing that came in on a stream; `None`: more must be read first.
    pub(super) fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if std::mem::take(&mut self.has_ended) {
                return Ok(Some(Event::End));
            }
            let there = &self.input[self.unread.clone()];
            let Some((head, rest)) = there.split_first_chunk::<9>() else {
                return Ok(None);
            };
            let [a, b, c, kind, flags, stream @ ..] = *head;
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let stream = u32::from_be_bytes(stream);
            if rest.len() < length {
                return Ok(None);
            }
            let at = self.unread.start + 9..self.unread.start + 9 + length;
            self.unread.start = at.end;
            match kind {
                DATA | HEADERS => {
                    ensure!(flags & PADDED == 0, "the server pads its frames");
                    if flags & END_STREAM != 0 {
                        self.has_ended = true;
                    }
                    if kind == DATA && length > 0 {
                        return Ok(Some(Event::Data(at)));
                    }
                    if kind == HEADERS && !self.has_ended {
                        return Ok(Some(Event::Begin));
                    }
                }
                RST_STREAM | GOAWAY => {
                    bail!("the server gave up: frame {kind} {:?}", self.bytes(at))
                }
                _ => self.control(kind, flags, stream, at)?,
            }
        }
    }

    fn control(&mut self, kind: u8, flags: u8, stream: u32, at: Range<usize>) -> Result<()> {
        let number = |bytes: &[u8]| -> Result<u32> {
            let bytes = bytes.first_chunk::<4>().context("a frame is too short")?;
            Ok(u32::from_be_bytes(*bytes))
        };
        match kind {
            WINDOW_UPDATE => {
                let more = i64::from(number(&self.input[at])?);
                if stream == 0 {
                    self.window += more;
                } else if let Some(window) = self.stream_windows.get_mut(&stream) {
                    *window += more;
                }
            }
            SETTINGS if flags & ACK == 0 => {
                for setting in self.input[at].chunks_exact(6) {
                    let value = number(&setting[2..])?;
                    match setting[1] {
                        4 => {
                            let change = i64::from(value) - self.first_window;
                            self.first_window += change;
                            self.stream_windows
                                .values_mut()
                                .for_each(|window| *window += change);
                        }
                        5 => self.largest_frame = value as usize,
                        _ => {}
                    }
                }
                self.frame(SETTINGS, ACK, 0, &[]);
            }
            PING if flags & ACK == 0 => {
                let payload = self.input[at].to_vec();
                self.frame(PING, ACK, 0, &payload);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The messages of one response's body, of which so much is kept as is asked for.
#[derive(Debug)]
pub(super) struct Messages {
    keep: usize,
    prefix: Vec<u8>,
    kept: Vec<u8>,
    /// Bytes of the message under way that are still to come.
    missing: usize,
}

impl Messages {
    /// Keeps the first `keep` bytes of each message.
    pub(super) fn new(keep: usize) -> Self {
        Self {
            keep,
            prefix: Vec::with_capacity(5),
            kept: Vec::new(),
            missing: 0,
        }
    }

    /// Takes a piece of the body; gives the length of each message that it completes, and what was kept of it.
    pub(super) fn take(
        &mut self,
        mut piece: &[u8],
        mut each: impl FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        loop {
            if self.prefix.len() < 5 {
                let (taken, rest) = piece.split_at(piece.len().min(5 - self.prefix.len()));
                self.prefix.extend_from_slice(taken);
                piece = rest;
                let Some([0, length @ ..]) = self.prefix.first_chunk::<5>() else {
                    ensure!(self.prefix.len() < 5, "a message is compressed");
                    return Ok(());
                };
                self.missing = u32::from_be_bytes(*length) as usize;
                self.kept.clear();
            }
            let (taken, rest) = piece.split_at(piece.len().min(self.missing));
            let kept = taken.len().min(self.keep.saturating_sub(self.kept.len()));
            self.kept.extend_from_slice(&taken[..kept]);
            self.missing -= taken.len();
            piece = rest;
            if self.missing > 0 {
                return Ok(());
            }
            let length = u32::from_be_bytes([
                self.prefix[1],
                self.prefix[2],
                self.prefix[3],
                self.prefix[4],
            ]);
            each(length as usize, &self.kept)?;
            self.prefix.clear();
        }
    }
}

/// What stands before the records of a batch on its way to a subscriber.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct BatchHead {
    pub(super) base_offset: u64,
    pub(super) count: u64,
    /// Where the records begin in the message.
    pub(super) records_at: usize,
}

/// More than a batch's head can have.
pub(super) const HEAD_BYTES: usize = 96;

/// The head of a `SubscribeResponse` with a batch; `None` if it is another item.
pub(super) fn batch_head(message: &[u8]) -> Option<BatchHead> {
    let mut at = 0;
    if *message.first()? != 0x0a {
        return None;
    }
    at += 1;
    varint(message, &mut at)?;
    let mut head = BatchHead::default();
    loop {
        let tag = *message.get(at)?;
        head.records_at = at;
        at += 1;
        match tag {
            0x0a => at += varint(message, &mut at)? as usize,
            0x10 => drop(varint(message, &mut at)?),
            0x18 => head.base_offset = varint(message, &mut at)?,
            0x20 => head.count = varint(message, &mut at)?,
            _ => return Some(head),
        }
    }
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
