//! HTTP/2 by hand: peers that attack write frames that no library would. `cargo xtask hostile` attacks with the same.

use prost::Message;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Of DATA and HEADERS.
pub(crate) const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
pub(crate) const ACK: u8 = 1;
/// Of HEADERS and CONTINUATION.
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// Of a connection, and of a stream whose peer says nothing else.
pub(crate) const FIRST_WINDOW: u32 = 65_535;

pub(crate) const PRODUCE: &str = "/footman.v1.Broker/Produce";
pub(crate) const PRODUCE_BATCH: &str = "/footman.v1.Broker/ProduceBatch";
pub(crate) const SUBSCRIBE: &str = "/footman.v1.Broker/Subscribe";

/// A frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is short");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// What a peer says first: each response may have so much under way, and all together as much as there can be; and that it goes by what
/// the server is about to say first.
pub(crate) fn hello(stream_window: u32) -> Vec<u8> {
    let [a, b, c, d] = stream_window.to_be_bytes();
    let settings = frame(SETTINGS, 0, 0, &[0, 4, a, b, c, d]);
    let whole = LARGEST_WINDOW - FIRST_WINDOW;
    let window = frame(WINDOW_UPDATE, 0, 0, &whole.to_be_bytes());
    [PREFACE, &settings, &frame(SETTINGS, ACK, 0, b""), &window].concat()
}

/// The number of a peer's nth stream.
pub(crate) fn stream(n: u32) -> u32 {
    2 * n + 1
}

/// The header fields of a call, spelled out.
pub(crate) fn fields(method: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", method),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        block.push(0); // literal, not indexed
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A message with its prefix.
pub(crate) fn message(request: &impl Message) -> Vec<u8> {
    let mut message = vec![0; 5];
    request.encode(&mut message).expect("a Vec has room");
    let length = u32::try_from(message.len() - 5).expect("a request is short");
    message[1..5].copy_from_slice(&length.to_be_bytes());
    message
}

/// A call of one message.
pub(crate) fn call(stream: u32, method: &str, request: &impl Message) -> Vec<u8> {
    let mut call = frame(HEADERS, END_HEADERS, stream, &fields(method));
    call.extend(frame(DATA, END_STREAM, stream, &message(request)));
    call
}

/// A frame that the server sent.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a GOAWAY.
    pub(crate) fn goaway(&self) -> Option<u32> {
        let code = self.payload.get(4..8).filter(|_| self.kind == GOAWAY)?;
        Some(u32::from_be_bytes(code.try_into().ok()?))
    }

    /// Whether it is the last one of its stream.
    pub(crate) fn is_end(&self) -> bool {
        self.kind == RST_STREAM
            || self.flags & END_STREAM != 0 && matches!(self.kind, DATA | HEADERS)
    }

    /// What a WINDOW_UPDATE grants.
    pub(crate) fn increment(&self) -> Option<u32> {
        let increment = self
            .payload
            .first_chunk()
            .filter(|_| self.kind == WINDOW_UPDATE)?;
        Some(u32::from_be_bytes(*increment))
    }
}

/// Bytes from the server, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Incoming(Vec<u8>);

impl Incoming {
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, stream @ ..] = *self.0.first_chunk::<9>()?;
        let end = 9 + u32::from_be_bytes([0, a, b, c]) as usize;
        let payload = self.0.get(9..end)?.to_vec();
        self.0.drain(..end);
        let stream = u32::from_be_bytes(stream);
        Some(Frame {
            kind,
            flags,
            stream,
            payload,
        })
    }
}
