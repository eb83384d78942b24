//! A body of gRPC messages: messages in, DATA frames out, and trailers at the end of a response.
//!
//! Small messages are gathered into one frame; a long run of records goes out from the memory it lies in, in one frame with what was
//! gathered before it, and so does a long message that is one piece already. A peer that takes large frames reads such a message where it
//! lies. A frame of a response is at most [`PIECE_BYTES`]: HTTP/2 asks for the next one only when the peer has made room, so what a slow
//! peer makes this side hold stays small, and each frame taken shows that the peer reads.

use std::io::IoSlice;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use tonic::Status;

use crate::wire::{Frame, PREFIX};

/// The most that one DATA frame of a response takes: a batch of records, as large as they are by default, and its head.
const PIECE_BYTES: usize = 260 * 1024;

/// Small messages are gathered until they have so many bytes.
const GATHER_BYTES: usize = 16 * 1024;

/// Runs from this length on are shared; shorter ones are copied, since each ends its frame.
const SHARED_BYTES: usize = 16 * 1024;

/// A body of any source.
pub(crate) type AnyBody = Pin<Box<dyn http_body::Body<Data = Piece, Error = Status> + Send>>;

/// The payload of a frame: what was gathered, and behind it a run, or a part of one, where it lies.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    gathered: Bytes,
    run: Bytes,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.gathered.len() + self.run.len()
    }

    fn chunk(&self) -> &[u8] {
        if self.gathered.is_empty() {
            &self.run
        } else {
            &self.gathered
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = [&self.gathered, &self.run];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        count
    }

    fn advance(&mut self, count: usize) {
        let of_gathered = count.min(self.gathered.len());
        self.gathered.advance(of_gathered);
        self.run.advance(count - of_gathered);
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Piece {
            gathered: bytes,
            run: Bytes::new(),
        }
    }
}

/// Where a body's messages come from.
pub(crate) trait Source: Send + Unpin + 'static {
    /// Whether the body ends with trailers: a response's does.
    const HAS_TRAILERS: bool;

    /// The most that one DATA frame takes.
    const PIECE_BYTES: usize = PIECE_BYTES;

    /// The next message. `Ready(None)`: the call ended well; an error says how it did not.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Status>>>;

    /// The transport has room for a frame.
    fn asked(&self) {}

    /// The transport got a frame.
    fn gave(&self) {}
}

/// A body made of a source's messages.
#[derive(Debug)]
pub(crate) struct MessageBody<S> {
    source: S,
    gathered: BytesMut,
    /// What is left of a run that is being shared.
    run: Bytes,
    /// How the call ended, once it has; sent when all else was.
    end: Option<Status>,
    is_over: bool,
}

impl<S: Source> MessageBody<S> {
    pub(crate) fn new(source: S) -> Self {
        MessageBody {
            source,
            gathered: BytesMut::new(),
            run: Bytes::new(),
            end: None,
            is_over: false,
        }
    }

    /// Takes one message in.
    fn put(&mut self, frame: Frame) {
        if let Frame::Framed(message) = frame {
            if message.len() < SHARED_BYTES {
                self.gathered.put_slice(&message);
            } else {
                self.run = message;
            }
            return;
        }
        let (length, run) = (frame.len(), frame.run_len());
        let copied = if run < SHARED_BYTES { run } else { 0 };
        self.gathered.reserve(PREFIX + length - run + copied);
        self.gathered.put_u8(0);
        // Messages are far below 4 GiB: a run has at most a few MiB.
        self.gathered
            .put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        if let Some(mut run) = frame.put_head(&mut self.gathered) {
            self.gathered.put_slice(&run.split_to(copied));
            self.run = run;
        }
    }

    fn take(&mut self) -> Piece {
        let gathered = if self.gathered.len() <= S::PIECE_BYTES {
            // With its buffer: a next piece in the same one would keep all of it for a peer that does not read.
            mem::take(&mut self.gathered)
        } else {
            self.gathered.split_to(S::PIECE_BYTES)
        };
        let (room, left) = (S::PIECE_BYTES - gathered.len(), self.run.len());
        // One that fits a frame by itself is not cut for company.
        let in_this = if left > room && left <= S::PIECE_BYTES {
            0
        } else {
            left.min(room)
        };
        Piece {
            gathered: gathered.freeze(),
            run: self.run.split_to(in_this),
        }
    }

    fn wants_more(&self) -> bool {
        self.run.is_empty() && self.gathered.len() < GATHER_BYTES && self.end.is_none()
    }
}

impl<S: Source> http_body::Body for MessageBody<S> {
    type Data = Piece;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Piece>, Status>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        this.source.asked();
        while this.wants_more() {
            match this.source.poll_next(cx) {
                Poll::Ready(Some(Ok(frame))) => this.put(frame),
                Poll::Ready(Some(Err(status))) => this.end = Some(status),
                Poll::Ready(None) => this.end = Some(Status::ok("")),
                Poll::Pending if this.gathered.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        if !this.gathered.is_empty() || !this.run.is_empty() {
            let piece = this.take();
            this.source.gave();
            return Poll::Ready(Some(Ok(http_body::Frame::data(piece))));
        }
        this.is_over = true;
        match this.end.take() {
            Some(status) if S::HAS_TRAILERS => {
                Poll::Ready(Some(Ok(http_body::Frame::trailers(trailers(&status)))))
            }
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(3);
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from_static("13"));
    }
    trailers
}

/// The one message of a unary call's side.
#[derive(Debug)]
pub(crate) struct One<const HAS_TRAILERS: bool>(pub(crate) Option<Frame>);

impl<const HAS_TRAILERS: bool> Source for One<HAS_TRAILERS> {
    const HAS_TRAILERS: bool = HAS_TRAILERS;

    fn poll_next(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Status>>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use http_body::Body as _;

    use super::*;

    /// Messages, each with its prefix, of a body whose frames may be as long as [`LONG`].
    struct Requests(std::vec::IntoIter<Bytes>);

    const LONG: usize = 10 * PIECE_BYTES;

    impl Source for Requests {
        const HAS_TRAILERS: bool = false;
        const PIECE_BYTES: usize = LONG;

        fn poll_next(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Status>>> {
            Poll::Ready(self.0.next().map(Frame::Framed).map(Ok))
        }
    }

    #[tokio::test]
    async fn long_requests_go_out_where_they_lie_and_short_ones_together() {
        let messages = [10, 20, LONG, 30, LONG + 1].map(|length| Bytes::from(vec![7; length]));
        let at = messages[2].as_ptr();
        let requests = Requests(Vec::from(messages).into_iter());
        let mut body = Box::pin(MessageBody::new(requests));
        let mut frames = Vec::new();
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        let lengths: Vec<_> = frames.iter().map(Buf::remaining).collect();
        assert_eq!(lengths, [30, LONG, LONG, 31]);
        assert_eq!(frames[1].chunk().as_ptr(), at, "not copied");
    }

    #[tokio::test]
    async fn a_batch_goes_out_in_one_frame_with_its_head_and_from_where_it_lies() {
        let run = Bytes::from(vec![7; 256 * 1024]);
        let batch = |run: &Bytes| Frame::Batch {
            topic: Arc::from("t"),
            epoch: 1,
            base_offset: 2,
            count: 3,
            run: run.clone(),
        };
        let messages = [&run.slice(..100), &run, &run].map(batch);
        let whole: Vec<usize> = messages.iter().map(|it| PREFIX + it.len()).collect();
        let mut body = Box::pin(MessageBody::new(Batches(Vec::from(messages).into_iter())));
        let mut frames = Vec::new();
        while let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            frames.extend(frame.into_data().ok());
        }
        let lengths: Vec<_> = frames.iter().map(Buf::remaining).collect();
        assert_eq!(lengths, [whole[0] + whole[1], whole[2]]);
        for mut frame in frames {
            let mut slices = [IoSlice::new(&[]); 4];
            assert_eq!(frame.chunks_vectored(&mut slices), 2);
            assert_eq!(slices[1].as_ptr(), run.as_ptr(), "not copied");
            // Read a few bytes at a time, it is the same.
            let sliced = [&slices[0][..], &slices[1]].concat();
            let mut read = Vec::new();
            while frame.has_remaining() {
                let count = frame.chunk().len().min(1_000);
                read.extend_from_slice(&frame.chunk()[..count]);
                frame.advance(count);
            }
            assert!(read == sliced);
        }
    }

    struct Batches(std::vec::IntoIter<Frame>);

    impl Source for Batches {
        const HAS_TRAILERS: bool = true;

        fn poll_next(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Status>>> {
            Poll::Ready(self.0.next().map(Ok))
        }
    }
}
