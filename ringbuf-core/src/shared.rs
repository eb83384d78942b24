//! The append side of a ring for many owners: the one producer behind a short lock. The same for both rings.
//!
//! # Progress
//!
//! Under the lock a batch of values is moved into slots, or of bytes copied into a block, and published, and once a segment a
//! header is taken back, and memory allocated if none is spare; no code of `T`, of an iterator, of a constructor or of a waker
//! runs there. So:
//!
//! - What stalls or panics in the caller's code holds up its own call alone: a constructor and an iterator run before
//!   the lock is taken, the drop of old values and wakers after it is given back. A call that panics before has appended nothing, one
//!   that panics in a drop or in a waker has published its records.
//! - Where the ring itself panics (a record above 2 GiB, no memory), the lock is given back, and nothing was appended.
//! - An owner that the system takes off its core inside the lock delays the other owners until it runs again: they spin for
//!   a moment, then yield. It delays no reader: all that is published stays readable, and there are
//!   no holes, for a sequence is given out only together with its record.
//!
//! `tests/producer_faults.rs` shows the first, `a_producer_stopped_inside_delays_no_reader` in `shared_producer.rs` the second.
//!
//! # Why a lock
//!
//! The other way is to claim sequences by `fetch_add` and to publish each run of records by a stamp. Then a stopped owner delays
//! no other owner, but every reader, at the hole that it leaves; and what makes it whole (a claim keeps its segment from being
//! taken back, one that is never finished becomes a tombstone) is paid by each append. `limit:run stamps` in `cargo xtask bench ring`
//! is the least of it: numbers only, nothing lapped or taken back, no claim left open. On two cores that bound is at 1.0 to 2.1 times
//! the lock's rate with two producers or eight and one reader, and at 0.7 to 1.4 times with four and four, whose
//! readers look at a stamp a run instead of one tail.

use crate::error::Closed;
use crate::lock::Lock;
use crate::sync::Arc;
use crate::twin;

/// A handle to the one producer `P` of a ring. Its clones are handles to the same; the last one drops the producer.
pub(crate) struct Shared<P>(Arc<Lock<Inside<P>>>);

struct Inside<P> {
    producer: P,
    closed: bool,
}

impl<P> Shared<P> {
    pub(crate) fn new(producer: P) -> Self {
        Self(Arc::new(Lock::new(Inside {
            producer,
            closed: false,
        })))
    }

    /// Appends `values` by `append` under the lock, unless the ring is closed.
    #[inline]
    pub(crate) fn append<V, R>(
        &self,
        values: V,
        append: impl FnOnce(&mut P, V) -> R,
    ) -> Result<R, Closed<V>> {
        self.0.with(|inside| {
            if twin::LOOK_FOR_END && inside.closed {
                Err(Closed(values))
            } else {
                Ok(append(&mut inside.producer, values))
            }
        })
    }

    /// Runs `work` under the lock, on a closed ring too.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut P) -> R) -> R {
        self.0.with(|inside| work(&mut inside.producer))
    }

    /// From here on nothing is appended.
    pub(crate) fn close(&self) {
        self.0.with(|inside| inside.closed = true);
    }
}

impl<P> Clone for Shared<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
