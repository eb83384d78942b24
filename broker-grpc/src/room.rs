//! The room that messages begun have: what they may hold, of all bodies of a server together, and how long each may take.
//!
//! Owned by all those bodies. A message that came in one frame needs none.
#![cfg_attr(
    not(feature = "server"),
    expect(dead_code, reason = "a client's bodies have no room of their own")
)]

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::Status;

use crate::stall::StallClock;

/// What the messages begun may hold, of all the bodies that have a share.
#[derive(Debug)]
pub(crate) struct Room {
    max_bytes: usize,
    /// How long each message may take to become whole.
    time: Duration,
    held: AtomicUsize,
}

impl Room {
    pub(crate) fn new(max_bytes: usize, time: Duration) -> Arc<Room> {
        Arc::new(Room {
            max_bytes,
            time,
            held: AtomicUsize::new(0),
        })
    }
}

/// One body's part of a room, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    room: Arc<Room>,
    held: usize,
    slowness: StallClock,
}

impl Share {
    /// A share that holds nothing yet.
    pub(crate) fn of(room: &Arc<Room>) -> Share {
        Share {
            room: Arc::clone(room),
            held: 0,
            slowness: StallClock::new(room.time),
        }
    }

    /// The message begun holds so many bytes; 0: there is none. `RESOURCE_EXHAUSTED`: there is no room for it.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Status> {
        let before = mem::replace(&mut self.held, bytes);
        if bytes == 0 {
            self.slowness.reset();
        }
        // Relaxed: a count that orders nothing.
        if bytes <= before {
            self.room.held.fetch_sub(before - bytes, Ordering::Relaxed);
            return Ok(());
        }
        let others = self.room.held.fetch_add(bytes - before, Ordering::Relaxed);
        if others.saturating_add(bytes - before) <= self.room.max_bytes {
            return Ok(());
        }
        Err(Status::resource_exhausted(
            "too much is held of messages that came in part",
        ))
    }

    /// Ready when a message has begun, and has taken too long.
    pub(crate) fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.held {
            0 => Poll::Pending,
            _ => self.slowness.poll_stalled(cx),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn what_is_held_is_counted_over_all_shares_and_given_back() {
        let room = Room::new(1_000, Duration::MAX);
        let (mut one, mut other) = (Share::of(&room), Share::of(&room));
        one.hold(600).unwrap();
        one.hold(700).unwrap();
        assert_eq!(
            other.hold(301).unwrap_err().code(),
            tonic::Code::ResourceExhausted
        );
        drop(other); // its call is over
        one.hold(1_000).unwrap();
        one.hold(0).unwrap();
        let mut next = Share::of(&room);
        next.hold(1_000).unwrap();
        drop((one, next));
        assert_eq!(room.held.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_has_its_time_from_where_it_began() {
        let time = Duration::from_secs(30);
        let room = Room::new(1_000, time);
        let mut share = Share::of(&room);
        let began = tokio::time::Instant::now();
        for held in [100, 0, 100] {
            share.hold(held).unwrap();
            // Looked at again and again, as frames come.
            for _ in 0..3 {
                let look = poll_fn(|cx| share.poll_too_slow(cx));
                assert!(tokio::time::timeout(time / 4, look).await.is_err());
            }
        }
        poll_fn(|cx| share.poll_too_slow(cx)).await;
        assert_eq!(began.elapsed(), time / 4 * 3 * 2 + time);
    }
}
