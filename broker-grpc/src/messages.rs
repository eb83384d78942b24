//! The gRPC messages of a body, each where it lies in the DATA frame that brought it; put together only where it came in several.
//!
//! Owned by the one who reads the body. It holds one frame, or one message of at most the limit, whose memory grows with
//! what has come of it, not with what its prefix promises. A server bounds how much the messages begun hold all together, and for how
//! long: flow control does not, because what is put together has been read. A message that comes in crumbs is an error: each
//! frame costs the reader hundreds of bytes and as many nanoseconds, whatever is in it.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
#[cfg(feature = "server")]
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http_body::Body;
use tonic::Status;

#[cfg(feature = "server")]
use crate::room::Room;
use crate::room::Share;
use crate::wire::PREFIX;

/// A message may come in so many frames, whatever they bring; in more, they must bring [`CRUMB_BYTES`] each, on average.
const MAX_CRUMBS: usize = 1_024;
const CRUMB_BYTES: usize = 64;

/// How much more room a message gets than it had. Much: what it grows out of is given back by the allocator only after a while, and
/// costs as long; room that nothing has come for yet costs nothing.
const GROWTH: usize = 16;

/// The messages of a body.
#[derive(Debug)]
pub(crate) struct Messages<B> {
    body: B,
    max_bytes: usize,
    /// What came and was not given out.
    frame: Bytes,
    /// The beginning of a message that came in several frames, with its prefix.
    begun: Vec<u8>,
    /// In how many frames it came.
    frames: usize,
    is_over: bool,
    /// What the message begun takes of the room for such, if there is a bound on it.
    share: Option<Share>,
}

impl<B> Messages<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Messages of at most `max_bytes` each.
    pub(crate) fn new(body: B, max_bytes: usize) -> Self {
        Messages {
            body,
            max_bytes,
            frame: Bytes::new(),
            begun: Vec::new(),
            frames: 0,
            is_over: false,
            share: None,
        }
    }

    /// The same, where messages begun must find room and be whole in time: `RESOURCE_EXHAUSTED` and `DEADLINE_EXCEEDED` say that one
    /// did not. A message that comes in one frame needs no room.
    #[cfg(feature = "server")]
    pub(crate) fn within(mut self, room: &Arc<Room>) -> Self {
        self.share = Some(Share::of(room));
        self
    }

    /// The next message; `None` at the end of the body. `OUT_OF_RANGE`: it is too large. Over after an error.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        poll_fn(|cx| self.poll_next(cx)).await.transpose()
    }

    /// See [`next`](Self::next).
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Status>>> {
        while !self.is_over {
            match self.take() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(status) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(status)));
                }
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                ready!(self.poll_too_slow(cx));
                self.is_over = true;
                let message = "a message has begun, and its rest does not come";
                return Poll::Ready(Some(Err(Status::deadline_exceeded(message))));
            };
            match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.frame = data;
                        self.frames += 1;
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        self.is_over = true;
                        return Poll::Ready(
                            Status::from_header_map(&trailers)
                                .filter(|status| status.code() != tonic::Code::Ok)
                                .map(Err),
                        );
                    }
                },
                Some(Err(error)) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(Status::from_error(error.into()))));
                }
                None => {
                    self.is_over = true;
                    if !self.begun.is_empty() {
                        let status = Status::internal("it ends before its length");
                        return Poll::Ready(Some(Err(status)));
                    }
                }
            }
        }
        Poll::Ready(None)
    }

    /// Ready when a message has begun, and is not whole in time.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.share {
            Some(share) => share.poll_too_slow(cx),
            None => Poll::Pending,
        }
    }

    /// A message, if all of it is there; else `frame` is empty and more must come.
    fn take(&mut self) -> Result<Option<Bytes>, Status> {
        if self.begun.is_empty() {
            if let Some(length) = self.length(&self.frame)?
                && self.frame.len() - PREFIX >= length
            {
                self.frames = 0;
                self.frame.advance(PREFIX);
                return Ok(Some(self.frame.split_to(length)));
            }
            self.begin(PREFIX);
        } else {
            self.begin(PREFIX.saturating_sub(self.begun.len()));
        }
        let Some(length) = self.length(&self.begun)? else {
            self.wait_for_more()?;
            return Ok(None);
        };
        self.grow(PREFIX + length);
        self.begin((PREFIX + length).saturating_sub(self.begun.len()));
        if self.begun.len() < PREFIX + length {
            self.wait_for_more()?;
            return Ok(None);
        }
        self.frames = 0;
        self.hold(0)?;
        let mut message = Bytes::from(std::mem::take(&mut self.begun));
        message.advance(PREFIX);
        Ok(Some(message))
    }

    /// What came is not the whole message.
    fn wait_for_more(&mut self) -> Result<(), Status> {
        if self.frames > MAX_CRUMBS && self.begun.len() < self.frames * CRUMB_BYTES {
            return Err(Status::invalid_argument(format!(
                "it comes in crumbs, {} bytes in {} frames",
                self.begun.len(),
                self.frames
            )));
        }
        self.hold(self.begun.capacity())
    }

    /// The message begun holds so many bytes now.
    fn hold(&mut self, bytes: usize) -> Result<(), Status> {
        match &mut self.share {
            Some(share) => share.hold(bytes),
            None => Ok(()),
        }
    }

    /// Makes room for what the frame has of a message of so many bytes, and some more, but never more than the message needs.
    fn grow(&mut self, whole: usize) {
        let needed = self.begun.len().saturating_add(self.frame.len());
        if needed > self.begun.capacity() {
            let room = needed.max(GROWTH * self.begun.capacity()).min(whole);
            self.begun
                .reserve_exact(room.saturating_sub(self.begun.len()));
        }
    }

    /// Moves up to so many bytes from the frame to the message begun.
    fn begin(&mut self, bytes: usize) {
        let bytes = bytes.min(self.frame.len());
        self.begun.extend_from_slice(&self.frame.split_to(bytes));
    }

    /// The length of the message that begins here, if its prefix is there.
    fn length(&self, from: &[u8]) -> Result<Option<usize>, Status> {
        let Some([compressed, length @ ..]) = from.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        if *compressed != 0 {
            return Err(Status::unimplemented(
                "it is compressed, and no encoding was agreed on",
            ));
        }
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > self.max_bytes {
            return Err(Status::out_of_range(format!(
                "it has {length} bytes, more than {}",
                self.max_bytes
            )));
        }
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use http_body::Frame;

    use super::*;

    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    async fn read(wire: &[u8], piece: usize) -> (Vec<Bytes>, Option<tonic::Code>) {
        let pieces = wire.chunks(piece).map(Bytes::copy_from_slice).collect();
        let mut messages = Messages::new(Pieces(pieces), 100);
        let mut read = Vec::new();
        loop {
            match messages.next().await {
                Ok(Some(message)) => read.push(message),
                Ok(None) => return (read, None),
                Err(status) => {
                    assert!(
                        messages.next().await.unwrap().is_none(),
                        "over after an error"
                    );
                    return (read, Some(status.code()));
                }
            }
        }
    }

    fn framed(lengths: &[usize]) -> Vec<u8> {
        let mut wire = Vec::new();
        for (number, &length) in lengths.iter().enumerate() {
            wire.push(0);
            wire.extend(u32::try_from(length).unwrap().to_be_bytes());
            wire.extend(std::iter::repeat_n(u8::try_from(number).unwrap(), length));
        }
        wire
    }

    #[tokio::test]
    async fn messages_come_out_whole_wherever_frames_are_cut() {
        let lengths = [0, 1, 100, 0, 0, 7, 64];
        let wire = framed(&lengths);
        for piece in 1..=wire.len() {
            let (read, error) = read(&wire, piece).await;
            assert_eq!(error, None, "pieces of {piece}");
            assert_eq!(read.len(), lengths.len(), "pieces of {piece}");
            for (number, (message, length)) in read.iter().zip(lengths).enumerate() {
                assert_eq!(message.len(), length);
                assert!(message.iter().all(|&byte| usize::from(byte) == number));
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_a_message_is_an_error_wherever_frames_are_cut() {
        let cases = [
            (framed(&[3, 101]), tonic::Code::OutOfRange),
            (
                [framed(&[3]), vec![1, 0, 0, 0, 0]].concat(),
                tonic::Code::Unimplemented,
            ),
            ([framed(&[3]), vec![0, 0]].concat(), tonic::Code::Internal),
            (framed(&[3, 9])[..20].to_vec(), tonic::Code::Internal),
        ];
        for (wire, code) in cases {
            for piece in 1..=wire.len() {
                let (read, error) = read(&wire, piece).await;
                assert_eq!((read.len(), error), (1, Some(code)), "pieces of {piece}");
            }
        }
    }

    #[tokio::test]
    async fn a_message_in_crumbs_is_an_error_and_many_in_a_crumb_each_are_not() {
        let in_pieces = |wire: &[u8], piece: usize| {
            let pieces = wire.chunks(piece).map(Bytes::copy_from_slice).collect();
            Messages::new(Pieces(pieces), 1024 * 1024)
        };
        let much = 2 * MAX_CRUMBS * CRUMB_BYTES;
        for (length, piece) in [(MAX_CRUMBS - PREFIX, 1), (much, CRUMB_BYTES)] {
            let message = in_pieces(&framed(&[length]), piece).next().await.unwrap();
            assert_eq!(message.unwrap().len(), length, "in pieces of {piece}");
        }
        for (length, piece) in [(MAX_CRUMBS + 1, 1), (much, CRUMB_BYTES - 1)] {
            let error = in_pieces(&framed(&[length]), piece)
                .next()
                .await
                .unwrap_err();
            assert_eq!(error.code(), tonic::Code::InvalidArgument);
        }
        let short = framed(&[1]).repeat(10 * MAX_CRUMBS);
        for piece in [1, 5, PREFIX + 1] {
            let mut messages = in_pieces(&short, piece);
            let mut count = 0;
            while let Some(message) = messages.next().await.unwrap() {
                assert_eq!(message.len(), 1);
                count += 1;
            }
            assert_eq!(count, 10 * MAX_CRUMBS, "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn a_message_in_one_frame_is_not_copied() {
        let frame = Bytes::from(framed(&[50, 50]));
        let at = frame.as_ptr();
        let mut messages = Messages::new(Pieces([frame].into()), 100);
        let first = messages.next().await.unwrap().unwrap();
        let second = messages.next().await.unwrap().unwrap();
        assert_eq!(first.as_ptr(), at.wrapping_add(5));
        assert_eq!(second.as_ptr(), at.wrapping_add(60));
    }
}
