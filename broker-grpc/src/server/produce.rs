//! Produce and ProduceBatch: requests are walked where they lie, and their records copied once, into the topic.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use footman_broker::{ProduceError, ProduceOptions, Produced, Producer, ProducerSequence};
use tonic::{Code, Status};

use crate::body::Source;
use crate::messages::Messages;
use crate::server::convert;
use crate::server::router::RequestBody;
use crate::server::state::State;
use crate::server::status::Failure;
use crate::wire::{Frame, ProduceHead, read_produce_request};

/// How many bytes of requests one turn handles before other tasks get theirs.
const TURN_BYTES: usize = 1024 * 1024;

/// Room for the slices of a request that a stream keeps for the next one.
const KEPT_SLICES: usize = 4 * 1024;

/// Appends requests, remembering the topic of the last one.
pub(crate) struct Appender {
    state: Arc<State>,
    producer: Option<(Arc<str>, Producer)>,
    /// Room for the slices of one request; always empty between two.
    bodies: Vec<&'static [u8]>,
}

/// Why a request got no answer of its own.
#[derive(Debug)]
pub(crate) struct StreamEnds(pub(crate) Failure);

impl Appender {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Appender {
            state,
            producer: None,
            bodies: Vec::new(),
        }
    }

    /// Appends one request. The outer error ends the stream, the inner one answers the request.
    pub(crate) fn append(
        &mut self,
        message: &Bytes,
    ) -> Result<(u64, Result<Frame, Failure>), StreamEnds> {
        let mut bodies = recycle(mem::take(&mut self.bodies));
        let head =
            read_produce_request(message, &mut bodies).map_err(|error| StreamEnds(error.into()))?;
        let answer = self.append_records(&head, &bodies);
        self.bodies = recycle(bodies);
        Ok((head.request_id, answer))
    }

    fn append_records(
        &mut self,
        head: &ProduceHead<'_>,
        bodies: &[&[u8]],
    ) -> Result<Frame, Failure> {
        let options = options(head)?;
        if bodies.is_empty() {
            return Err(ProduceError::EmptyBatch.into()); // and creates no topic
        }
        let state = Arc::clone(&self.state);
        let _permit = state.calls.append_permit().ok_or_else(Failure::draining)?;
        let (topic, producer) = self.producer(head.topic)?;
        let produced = match producer.produce_encoded(bodies, &options) {
            Err(ProduceError::TopicDeleted { .. }) => {
                // This stream knew the topic's last life; the next one begins as on first use.
                self.producer = None;
                self.producer(&topic)?.1.produce_encoded(bodies, &options)?
            }
            other => other?,
        };
        let Produced {
            epoch,
            base_offset,
            count,
            duplicate,
            ..
        } = produced;
        Ok(Frame::Ack {
            request_id: head.request_id,
            topic,
            epoch: epoch.into(),
            base_offset,
            count,
            duplicate,
        })
    }

    fn producer(&mut self, topic: &str) -> Result<(Arc<str>, &Producer), Failure> {
        let known = self
            .producer
            .take()
            .filter(|(name, _)| topic.is_empty() || **name == *topic);
        let known = match known {
            Some(known) => known,
            None if topic.is_empty() => {
                let message = "topic is empty: name it in the first request of a stream";
                return Err(Failure::invalid_request(message));
            }
            None => (Arc::from(topic), self.state.broker.producer(topic)?),
        };
        let (name, producer) = self.producer.insert(known);
        Ok((Arc::clone(name), producer))
    }
}

fn options(head: &ProduceHead<'_>) -> Result<ProduceOptions, Failure> {
    let epoch = match head.expected_epoch {
        0 => None,
        epoch => Some(convert::epoch(epoch)?),
    };
    let sequence = (head.producer_id != 0).then_some(ProducerSequence {
        producer_id: head.producer_id,
        producer_epoch: head.producer_epoch,
        first_sequence: head.first_sequence,
    });
    Ok(ProduceOptions::new()
        .with_expected_epoch(epoch)
        .with_sequence(sequence))
}

/// An empty vector for slices of another life, with the memory of the one given unless that is large.
fn recycle<'to>(mut slices: Vec<&[u8]>) -> Vec<&'to [u8]> {
    if slices.capacity() > KEPT_SLICES {
        return Vec::new();
    }
    slices.clear();
    slices.into_iter().map(|_| [].as_slice()).collect()
}

/// The answers of one Produce stream, made as they are asked for: a client that does not read them is not read either.
pub(crate) struct ProduceStream<B> {
    requests: Messages<B>,
    appender: Appender,
    turn_bytes: usize,
}

impl<B: RequestBody> ProduceStream<B> {
    pub(crate) fn new(requests: Messages<B>, state: Arc<State>) -> Self {
        ProduceStream {
            requests,
            appender: Appender::new(state),
            turn_bytes: 0,
        }
    }

    fn answer(&mut self, message: &Bytes) -> Result<Frame, Failure> {
        match self.appender.append(message) {
            Ok((_, Ok(ack))) => Ok(ack),
            Ok((request_id, Err(failure))) => Ok(failure.into_answer(request_id)),
            Err(StreamEnds(failure)) => Err(failure),
        }
    }
}

impl<B: RequestBody> Source for ProduceStream<B> {
    const HAS_TRAILERS: bool = true;

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Status>>> {
        let state = &self.appender.state;
        if state.calls.is_draining() {
            return Poll::Ready(Some(Err(Failure::draining().into_status())));
        }
        if self.turn_bytes >= TURN_BYTES {
            self.turn_bytes = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.requests.poll_next(cx) {
            Poll::Pending => {
                self.turn_bytes = 0;
                Poll::Pending
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(status))) if status.code() == Code::Cancelled => Poll::Ready(None),
            Poll::Ready(Some(Err(status))) => {
                let failure = Failure::unreadable(&status, state.limits.max_request_bytes);
                Poll::Ready(Some(Err(failure.into_status())))
            }
            Poll::Ready(Some(Ok(message))) => {
                self.turn_bytes += message.len();
                Poll::Ready(Some(self.answer(&message).map_err(Failure::into_status)))
            }
        }
    }
}
