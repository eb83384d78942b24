//! The end of a peer that does not read: how long its socket may take nothing.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Measures how long a socket takes nothing of what is to be written.
#[derive(Debug)]
pub(crate) struct StallClock {
    limit: Duration,
    /// Since when it takes nothing, as far as is known.
    since: Option<Instant>,
    /// Wakes the connection's task. Moved only when it rings, so that a stall that ends costs no more than a look at the time.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl StallClock {
    pub(crate) fn new(limit: Duration) -> StallClock {
        StallClock {
            limit,
            since: None,
            alarm: None,
        }
    }

    /// The socket took something, or there is nothing to take.
    pub(crate) fn reset(&mut self) {
        self.since = None;
    }

    /// The socket takes nothing: ready when that has been so for the limit.
    pub(crate) fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let Some(due) = since.checked_add(self.limit) else {
            return Poll::Pending;
        };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() >= due {
                return Poll::Ready(());
            }
            // It rang for an earlier stall.
            alarm.as_mut().reset(due);
        }
    }
}
