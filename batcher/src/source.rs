//! Where items come from besides enqueues: a ring, a stream. Each feeds a batcher until its end.

#[cfg(feature = "ring")]
use std::time::Duration;

#[cfg(feature = "ring")]
use ringbuf_core::{Reader, TryReadError};

#[cfg(feature = "tokio")]
use crate::async_batcher::AsyncBatcher;
#[cfg(feature = "ring")]
use crate::batcher::Batcher;
#[cfg(feature = "tokio")]
use crate::error::EnqueueManyError;

/// What a source gave a batcher, when it ended.
#[cfg(feature = "ring")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fed {
    /// Items accepted.
    pub accepted: u64,
    /// Records that the ring's reader was told it lost, because it was lapped.
    pub lost: u64,
    /// Why it ended.
    pub end: FeedEnd,
}

/// Why a ring no longer feeds a batcher.
#[cfg(feature = "ring")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedEnd {
    /// The ring is closed and read to its end.
    Closed,
    /// The batcher was stopped. The reader stands at the first record that was not accepted.
    Stopped,
}

/// Records read from a ring before the queue is asked for room.
#[cfg(feature = "ring")]
const RUN: usize = 256;

#[cfg(feature = "ring")]
impl<T: Clone + Send + Sync + 'static, R: Send + 'static> Batcher<T, R> {
    /// Enqueues what a ring's reader reads, on the calling thread, until the ring has ended or the
    /// batcher is stopped.
    ///
    /// Records are cloned, as a ring shares them with other readers. While the queue is full the
    /// reader waits and may be lapped: what it loses is counted in [`Fed::lost`]. When the batcher
    /// is stopped while the ring is silent, this ends within 10 ms of it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "ring")] {
    /// use std::{convert::Infallible, time::Duration};
    /// use footman_batcher::{Batch, Batcher, FeedEnd};
    /// use ringbuf_core::Ring;
    ///
    /// let (mut producer, ring) = Ring::<u64>::new(1024).unwrap();
    /// producer.append_batch(0..100);
    /// producer.close();
    ///
    /// let batcher = Batcher::builder()
    ///     .start(|_: &mut Batch<u64>| Ok::<(), Infallible>(()))
    ///     .unwrap();
    /// let fed = batcher.feed_from_ring(&mut ring.reader(0));
    /// assert_eq!((fed.accepted, fed.lost, fed.end), (100, 0, FeedEnd::Closed));
    /// assert_eq!(batcher.safe_stop(Duration::from_secs(10)).processed, 100);
    /// # }
    /// ```
    pub fn feed_from_ring(&self, reader: &mut Reader<T>) -> Fed {
        // Nothing wakes a ring's reader when a batcher stops, so it looks up now and then.
        const LOOK_UP: Duration = Duration::from_millis(10);
        let (mut accepted, mut lost) = (0, 0);
        loop {
            let from = reader.position();
            let run = match reader.read_batch(RUN) {
                Ok(run) => run.to_vec(),
                Err(TryReadError::Lapped { from, to }) => {
                    lost += to - from;
                    continue;
                }
                Err(TryReadError::Closed) => {
                    return Fed {
                        accepted,
                        lost,
                        end: FeedEnd::Closed,
                    };
                }
                Err(TryReadError::Empty) => {
                    if self.is_stopped() {
                        return Fed {
                            accepted,
                            lost,
                            end: FeedEnd::Stopped,
                        };
                    }
                    reader.wait_timeout(LOOK_UP);
                    continue;
                }
            };
            match self.enqueue_many(run) {
                Ok(count) => accepted += count as u64,
                Err(refused) => {
                    accepted += refused.accepted as u64;
                    reader.seek(from + refused.accepted as u64);
                    return Fed {
                        accepted,
                        lost,
                        end: FeedEnd::Stopped,
                    };
                }
            }
        }
    }
}

#[cfg(feature = "tokio")]
impl<T: Send + 'static, R: Send + 'static> AsyncBatcher<T, R> {
    /// Enqueues what a stream yields until its end, and waits whenever the queue is full. Returns
    /// the number of items.
    ///
    /// Dropping this future drops at most one item that was not accepted: the one that waits for
    /// room. Everything the stream yielded before is accepted.
    ///
    /// # Errors
    ///
    /// If the batcher is stopped: the item that was not accepted, and how many were.
    pub async fn feed_from_stream<S>(&self, stream: S) -> Result<u64, EnqueueManyError<T>>
    where
        S: futures_core::Stream<Item = T>,
    {
        let mut stream = std::pin::pin!(stream);
        let mut accepted = 0usize;
        while let Some(item) = std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            if let Err(stopped) = self.enqueue(item).await {
                let refused = vec![stopped.0];
                return Err(EnqueueManyError { accepted, refused });
            }
            accepted += 1;
        }
        Ok(accepted as u64)
    }
}
