//! The append side of a `Ring<T>` for many owners: the one producer behind a short lock.
//!
//! # Progress
//!
//! Under the lock a batch of values is moved into slots and published, and once a segment a
//! header is taken back, and memory allocated if none is spare; no code of `T`, of an iterator or of a constructor runs there. So:
//!
//! - What stalls or panics in the caller's code holds up its own call alone: a constructor and an iterator run before
//!   the lock is taken, the drop of old values after it is given back. A call that panics before has appended nothing, one that
//!   panics in a drop has published its records.
//! - An owner that the system takes off its core inside the lock delays the other owners until it runs again: they spin for
//!   a moment, then yield. It delays no reader: all that is published stays readable, and there are
//!   no holes, for a sequence is given out only together with its record.
//!
//! `tests/producer_faults.rs` shows the first, `a_producer_stopped_inside_delays_no_reader` below the second.
//!
//! # Why a lock
//!
//! The other way is to claim sequences by `fetch_add` and to publish each run of records by a stamp. Then a stopped owner delays
//! no other owner, but every reader, at the hole that it leaves; and what makes it whole (a claim keeps its segment from being
//! taken back, one that is never finished becomes a tombstone) is paid by each append. `limit:run stamps` in `cargo xtask bench ring`
//! is the least of it: numbers only, nothing lapped or taken back, no claim left open. On two cores that bound is at 1.0 to 2.1 times
//! the lock's rate with two producers or eight and one reader, and at 0.7 to 1.4 times with four and four, whose
//! readers look at a stamp a run instead of one tail.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::error::Closed;
use crate::lock::Lock;
use crate::producer::Producer;
use crate::ring::Ring;
use crate::sync::Arc;
use crate::twin;

struct Shared<T: Send + Sync> {
    producer: Producer<T>,
    closed: bool,
}

/// One of many append sides of a [`Ring`]: clone it for each thread. Dropping the last one closes the ring.
///
/// Records of one call have consecutive sequences. What calls of several threads append is in the order in
/// which the calls get hold of the ring.
///
/// ```
/// let (producer, ring) = ringbuf_core::Ring::new(100)?;
/// let producer = producer.share();
/// std::thread::scope(|scope| {
///     for name in ["a", "b"] {
///         let producer = producer.clone();
///         scope.spawn(move || (0..10).try_for_each(|number| producer.append((name, number)).map(drop)));
///     }
/// });
/// drop(producer);
/// let mut reader = ring.reader(0);
/// let mut next = [0, 0]; // each producer's records are in its order
/// while let Ok(&(name, number)) = reader.try_read() {
///     let next = &mut next[(name == "b") as usize];
///     assert_eq!(number, *next);
///     *next += 1;
/// }
/// assert_eq!(next, [10, 10]);
/// # Ok::<(), ringbuf_core::InvalidOptions>(())
/// ```
pub struct SharedProducer<T: Send + Sync> {
    shared: Arc<Lock<Shared<T>>>,
    ring: Ring<T>,
}

impl<T: Send + Sync> SharedProducer<T> {
    pub(crate) fn new(producer: Producer<T>) -> Self {
        let ring = producer.ring().clone();
        Self {
            shared: Arc::new(Lock::new(Shared {
                producer,
                closed: false,
            })),
            ring,
        }
    }

    /// Appends and publishes one record, and says which sequence it has.
    ///
    /// # Errors
    /// The ring is closed: the value comes back.
    #[inline]
    pub fn append(&self, value: T) -> Result<u64, Closed<T>> {
        let (range, opened) = self.open(value, |producer, value| producer.append_only([value]))?;
        self.finish(opened);
        Ok(range.start)
    }

    /// Appends what `make` returns; it runs before the ring is taken hold of, so that it delays no one.
    ///
    /// # Errors
    /// The ring is closed: the value comes back.
    #[inline]
    pub fn append_with(&self, make: impl FnOnce() -> T) -> Result<u64, Closed<T>> {
        self.append(make())
    }

    /// Appends all of `values`, one after the other, and publishes them at once. They are gathered before
    /// the ring is taken hold of: if the iterator panics, nothing was appended.
    ///
    /// # Errors
    /// The ring is closed: the values come back.
    pub fn append_batch(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Range<u64>, Closed<Vec<T>>> {
        let values: Vec<T> = values.into_iter().collect();
        let mut empty = Vec::new(); // its memory is freed outside the lock
        let (range, opened) = self.open(values, |producer, mut values| {
            let appended = producer.append_only(values.drain(..));
            empty = values;
            appended
        })?;
        drop(empty);
        self.finish(opened);
        Ok(range)
    }

    /// Appends a copy of all of `values`, and publishes them at once.
    ///
    /// # Errors
    /// The ring is closed: nothing was appended.
    pub fn append_slice(&self, values: &[T]) -> Result<Range<u64>, Closed<()>>
    where
        T: Copy,
    {
        if !twin::ONE_LOCK && values.len() > 1 {
            let (front, back) = values.split_at(1);
            let front = self.append_slice(front)?;
            return Ok(front.start..self.append_slice(back)?.end);
        }
        let (range, opened) = self.open((), |producer, ()| {
            producer.append_only(values.iter().copied())
        })?;
        self.finish(opened);
        Ok(range)
    }

    /// Closes the ring for all producers: readers read what is left, then see
    /// [`Closed`](crate::TryReadError::Closed).
    pub fn close(&self) {
        self.shared.with(|shared| shared.closed = true);
        self.ring.chain.close();
        self.ring.chain.wake();
    }

    /// The ring that this appends to.
    #[must_use]
    pub fn ring(&self) -> &Ring<T> {
        &self.ring
    }

    /// Appends `values` by `append` under the lock, unless the ring is closed.
    #[inline]
    fn open<V, R>(
        &self,
        values: V,
        append: impl FnOnce(&mut Producer<T>, V) -> R,
    ) -> Result<R, Closed<V>> {
        self.shared.with(|shared| {
            if twin::LOOK_FOR_END && shared.closed {
                Err(Closed(values))
            } else {
                Ok(append(&mut shared.producer, values))
            }
        })
    }

    /// What follows a publication, outside the lock.
    #[inline]
    fn finish(&self, opened: bool) {
        self.ring.chain.wake();
        if opened {
            self.recycle();
        }
    }

    /// Drops the values that fell out of the ring, outside the lock.
    #[cold]
    fn recycle(&self) {
        loop {
            let taken = self.shared.with(|shared| shared.producer.take_evicted());
            let Some(taken) = taken else { return };
            let block = taken.cleared();
            let surplus = self.shared.with(|shared| shared.producer.keep(block));
            drop(surplus);
        }
    }
}

impl<T: Send + Sync> Clone for SharedProducer<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            ring: self.ring.clone(),
        }
    }
}

impl<T: Send + Sync> fmt::Debug for SharedProducer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedProducer")
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "std", not(any(loom, shuttle))))]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use crate::{Ring, TryReadError};

    #[test]
    fn a_producer_stopped_inside_delays_no_reader() {
        let (producer, ring) = Ring::new(100).unwrap();
        let producer = producer.share();
        producer.append_slice(&[0, 1, 2]).unwrap();
        let (inside, is_inside) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        thread::scope(|scope| {
            let stopped = producer.clone();
            scope.spawn(move || {
                stopped.shared.with(|shared| {
                    inside.send(()).unwrap();
                    may_go_on.recv().unwrap();
                    shared.producer.append_only([3]);
                });
            });
            is_inside.recv().unwrap();
            let other = scope.spawn(|| producer.append(4));
            let mut reader = ring.reader(0);
            assert_eq!(reader.read_batch(10), Ok(&[0, 1, 2][..]));
            assert_eq!(reader.try_read(), Err(TryReadError::Empty));
            assert_eq!(ring.reader(1).try_read(), Ok(&1));
            assert!(!other.is_finished(), "the lock lets one in at a time");
            go_on.send(()).unwrap();
            assert_eq!(other.join().unwrap(), Ok(4), "behind the stopped one");
            assert_eq!(reader.read_batch(10), Ok(&[3, 4][..]));
        });
    }
}
