//! The task behind a producer: a connection, a stream, the acknowledgements, and all of it again when it breaks.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use footman_broker::Epoch;
use prost::Message as _;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tonic::Status;

use crate::body::Source;
use crate::client::backoff::Backoff;
use crate::client::connection::{Connection, Endpoint};
use crate::client::error::{ProduceError, ServerError};
use crate::client::event::{ConnectionEvent, Events};
use crate::client::outbox::{Next, Outbox};
use crate::proto::{self, produce_response};
use crate::wire::Frame;

/// Why a stream is over, though the outbox is not.
struct Broken {
    message: String,
    retry_after: Option<Duration>,
}

/// Delivers until the outbox is closed and empty, or has failed.
pub(crate) async fn run(endpoint: Endpoint, outbox: Arc<Outbox>, events: Events) {
    let mut last_error = "no answer yet".to_owned();
    tokio::select! {
        biased;
        () = deliver(&endpoint, &outbox, &events, &mut last_error) => {}
        () = expiry(&outbox) => {
            let timeout = outbox.delivery_timeout();
            outbox.fail(&ProduceError::DeliveryTimeout { timeout, last_error });
        }
    }
}

/// Returns when the oldest record has had its time.
async fn expiry(outbox: &Outbox) {
    loop {
        let now = Instant::now();
        match outbox.deadline().map(Instant::from_std) {
            Some(deadline) if deadline <= now => return,
            Some(deadline) => sleep_until(deadline).await,
            // Whatever is enqueued from now on is due later than this.
            None => sleep(outbox.delivery_timeout()).await,
        }
    }
}

async fn deliver(
    endpoint: &Endpoint,
    outbox: &Arc<Outbox>,
    events: &Events,
    last_error: &mut String,
) {
    let mut backoff = Backoff::default();
    let mut was_connected = false;
    while !outbox.is_over() {
        let broken = match endpoint.connect().await {
            Ok(connection) => {
                let mut greet = || {
                    if was_connected {
                        events.tell(&ConnectionEvent::Restored {
                            attempts: backoff.attempts(),
                        });
                    }
                    was_connected = true;
                    backoff.reset();
                };
                stream(&connection, outbox, &mut greet).await
            }
            Err(error) => Err(Broken {
                message: error.to_string(),
                retry_after: None,
            }),
        };
        let Err(broken) = broken else {
            return;
        };
        if outbox.is_over() {
            return;
        }
        last_error.clone_from(&broken.message);
        let retry_in = backoff.next().max(broken.retry_after.unwrap_or_default());
        events.tell(&ConnectionEvent::Lost {
            message: broken.message,
            retry_in,
        });
        sleep(retry_in).await;
    }
}

/// One stream, from its first batch to its end. `Ok`: the outbox is over.
async fn stream(
    connection: &Connection,
    outbox: &Arc<Outbox>,
    greet: &mut (dyn FnMut() + Send),
) -> Result<(), Broken> {
    let body = OutboxBody {
        session: outbox.begin_session(),
        outbox: Arc::clone(outbox),
        timer: Box::pin(sleep(Duration::ZERO)),
    };
    let mut answers = connection
        .call("/footman.v1.Broker/Produce", body)
        .await
        .or_else(|status| broken(outbox, &status))?;
    greet();
    loop {
        match answers.next().await {
            Ok(Some(answer)) => match proto::ProduceResponse::decode(answer) {
                Ok(answer) => take(outbox, answer)?,
                Err(error) => {
                    return Err(Broken {
                        message: format!("an answer makes no sense: {error}"),
                        retry_after: None,
                    });
                }
            },
            Ok(None) if outbox.is_over() => return Ok(()),
            Ok(None) => {
                return Err(Broken {
                    message: "the server ended the stream".to_owned(),
                    retry_after: None,
                });
            }
            Err(status) => return broken(outbox, &status),
        }
    }
}

/// Sorts a stream's error: try again, or the producer is over.
fn broken<T>(outbox: &Outbox, status: &Status) -> Result<T, Broken> {
    refused(outbox, ServerError::of(status))
}

fn refused<T>(outbox: &Outbox, error: ServerError) -> Result<T, Broken> {
    let broken = Broken {
        message: error.to_string(),
        retry_after: error.retry_after,
    };
    if !error.is_retryable() {
        outbox.fail(&ProduceError::Server(error));
    }
    Err(broken)
}

/// Takes the answer to one batch.
fn take(outbox: &Outbox, answer: proto::ProduceResponse) -> Result<(), Broken> {
    let nonsense = || Broken {
        message: "an answer to no request of ours".to_owned(),
        retry_after: None,
    };
    match answer.result {
        Some(produce_response::Result::Ack(ack)) => {
            let epoch = Epoch::try_from(ack.epoch).map_err(|_| nonsense())?;
            let is_ours =
                outbox.acknowledge(answer.request_id, epoch, ack.base_offset, ack.duplicate);
            if is_ours { Ok(()) } else { Err(nonsense()) }
        }
        // What was sent after it is refused too (a gap), so all is sent again, in order, on a new stream.
        Some(produce_response::Result::Error(error)) => {
            refused(outbox, ServerError::of_request(error, outbox.topic()))
        }
        None => Err(nonsense()),
    }
}

/// The requests of one stream.
struct OutboxBody {
    session: u64,
    outbox: Arc<Outbox>,
    timer: Pin<Box<Sleep>>,
}

impl Source for OutboxBody {
    const HAS_TRAILERS: bool = false;

    // A batch is one frame where the server takes such: it is read there where it lies.
    const PIECE_BYTES: usize = 1024 * 1024;

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Status>>> {
        loop {
            match self.outbox.next(self.session, cx) {
                Next::Send(frame) => return Poll::Ready(Some(Ok(frame))),
                Next::Over => return Poll::Ready(None),
                Next::Sleep(None) => return Poll::Pending,
                Next::Sleep(Some(until)) => {
                    self.timer.as_mut().reset(Instant::from_std(until));
                    if self.timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}
