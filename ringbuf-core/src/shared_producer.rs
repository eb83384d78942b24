//! The append side of a `Ring<T>` for many owners. What it rests on is told in `shared.rs`.

use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::error::Closed;
use crate::producer::Producer;
use crate::ring::Ring;
use crate::shared::Shared;
use crate::twin;

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
    shared: Shared<Producer<T>>,
    ring: Ring<T>,
}

impl<T: Send + Sync> SharedProducer<T> {
    pub(crate) fn new(producer: Producer<T>) -> Self {
        let ring = producer.ring().clone();
        Self {
            shared: Shared::new(producer),
            ring,
        }
    }

    /// Appends and publishes one record, and says which sequence it has.
    ///
    /// # Errors
    /// The ring is closed: the value comes back.
    #[inline]
    pub fn append(&self, value: T) -> Result<u64, Closed<T>> {
        let (range, opened) = self
            .shared
            .append(value, |producer, value| producer.append_only([value]))?;
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
        let (range, opened) = self.shared.append(values, |producer, mut values| {
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
        if !twin::one_lock() && values.len() > 1 {
            let (front, back) = values.split_at(1);
            let front = self.append_slice(front)?;
            return Ok(front.start..self.append_slice(back)?.end);
        }
        let (range, opened) = self.shared.append((), |producer, ()| {
            producer.append_only(values.iter().copied())
        })?;
        self.finish(opened);
        Ok(range)
    }

    /// Closes the ring for all producers: readers read what is left, then see
    /// [`Closed`](crate::TryReadError::Closed).
    pub fn close(&self) {
        self.shared.close();
        self.ring.chain.close();
        self.ring.chain.wake();
    }

    /// The ring that this appends to.
    #[must_use]
    pub fn ring(&self) -> &Ring<T> {
        &self.ring
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
            let taken = self.shared.with(Producer::take_evicted);
            let Some(taken) = taken else { return };
            let block = taken.cleared();
            let surplus = self.shared.with(|producer| producer.keep(block));
            drop(surplus);
        }
    }
}

impl<T: Send + Sync> Clone for SharedProducer<T> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
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
