//! The append side of a `ByteRing` for many owners. What it rests on is told in `shared.rs`.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::byte_producer::{ByteBatch, ByteProducer, check_run};
use crate::byte_ring::ByteRing;
use crate::error::{Closed, InvalidOptions};
use crate::shared::Shared;
use crate::twin;

/// One of many append sides of a [`ByteRing`]: clone it for each thread. Dropping the last one closes the ring.
///
/// Records of one call have consecutive sequences. What calls of several threads append is in the order in
/// which the calls get hold of the ring.
///
/// ```
/// use ringbuf_core::{ByteRing, ByteRingOptions};
///
/// let (producer, ring) = ByteRing::new(ByteRingOptions::new())?;
/// let producer = producer.share();
/// std::thread::scope(|scope| {
///     for name in ["a", "b"] {
///         let producer = producer.clone();
///         scope.spawn(move || {
///             for number in 0..10_u8 {
///                 producer.append_parts(&[name.as_bytes(), &[number]])?;
///             }
///             producer.append_batch([name, "is done"])
///         });
///     }
/// });
/// drop(producer);
/// let mut reader = ring.reader(0);
/// let mut next = [0, 0]; // each producer's records are in its order
/// while let Ok(run) = reader.try_read(1, 100) {
///     if let [name, number] = run.bytes() {
///         let next = &mut next[usize::from(*name == b'b')];
///         assert_eq!(number, next);
///         *next += 1;
///     }
/// }
/// assert_eq!((next, ring.tail()), ([10, 10], 24));
/// # Ok::<(), ringbuf_core::InvalidOptions>(())
/// ```
#[derive(Clone)]
pub struct SharedByteProducer {
    shared: Shared<ByteProducer>,
    ring: ByteRing,
}

impl SharedByteProducer {
    pub(crate) fn new(producer: ByteProducer) -> Self {
        let ring = producer.ring().clone();
        Self {
            shared: Shared::new(producer),
            ring,
        }
    }

    /// Appends and publishes one record, and says which sequence it has. The bytes are copied once.
    ///
    /// # Errors
    /// The ring is closed: nothing was appended.
    ///
    /// # Panics
    /// If the record is larger than 2 GiB less some bytes: nothing was appended.
    #[inline]
    pub fn append(&self, record: &[u8]) -> Result<u64, Closed<()>> {
        self.append_parts(&[record])
    }

    /// Appends and publishes one record: the concatenation of `parts`, each of which is copied once.
    ///
    /// # Errors
    /// The ring is closed: nothing was appended.
    ///
    /// # Panics
    /// As [`append`](Self::append).
    #[inline]
    pub fn append_parts(&self, parts: &[&[u8]]) -> Result<u64, Closed<()>> {
        let range = self.publish(|batch| batch.push(parts))?;
        Ok(range.start)
    }

    /// Appends and publishes one record of `length` bytes, which `fill` writes: they are 0 before. It runs before the ring is
    /// taken hold of, so that it delays no one, and what it wrote is copied then. If it panics, nothing was appended.
    ///
    /// # Errors
    /// The ring is closed: nothing was appended.
    ///
    /// # Panics
    /// As [`append`](Self::append).
    pub fn append_with(
        &self,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<u64, Closed<()>> {
        let mut record = vec![0; length];
        fill(&mut record);
        self.append(&record)
    }

    /// Appends all of `records`, one after the other, and publishes them at once. They are gathered before the ring is
    /// taken hold of: if the iterator panics, nothing was appended.
    ///
    /// # Errors
    /// The ring is closed: nothing was appended.
    ///
    /// # Panics
    /// If the records are larger than 4 GiB together, or one of them than 2 GiB less some bytes: nothing was appended.
    pub fn append_batch(
        &self,
        records: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Range<u64>, Closed<()>> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for record in records {
            bytes.extend_from_slice(record.as_ref());
            ends.push(u32::try_from(bytes.len()).expect("a batch is not larger than 4 GiB"));
        }
        self.append_run(&bytes, &ends)
    }

    /// Appends many records that lie back to back in `bytes`, and publishes them at once: see [`ByteBatch::push_run`].
    ///
    /// # Errors
    /// The ring is closed: nothing was appended.
    ///
    /// # Panics
    /// As [`ByteBatch::push_run`]: nothing was appended.
    pub fn append_run(&self, bytes: &[u8], ends: &[u32]) -> Result<Range<u64>, Closed<()>> {
        check_run(bytes, ends);
        if !twin::one_lock() && ends.len() > 1 {
            let (front, back) = bytes.split_at(ends[0] as usize);
            let ends: Vec<_> = ends[1..].iter().map(|end| end - ends[0]).collect();
            let first = self.append(front)?;
            return Ok(first..self.append_run(back, &ends)?.end);
        }
        self.publish(|batch| batch.push_checked_run(bytes, ends))
    }

    /// Forgets the records below `oldest`: see [`ByteProducer::trim`]. Works on a closed ring too.
    pub fn trim(&self, oldest: u64) {
        self.shared.with(|producer| producer.trim(oldest));
    }

    /// Changes the limits, and forgets at once what is over them.
    ///
    /// # Errors
    /// A limit of 0; nothing is changed.
    pub fn set_limits(&self, max_records: u64, max_bytes: u64) -> Result<(), InvalidOptions> {
        self.shared
            .with(|producer| producer.set_limits(max_records, max_bytes))
    }

    /// Closes the ring for all producers: readers read what is left, then see
    /// [`Closed`](crate::TryReadError::Closed). Closing twice does nothing more.
    pub fn close(&self) {
        self.shared.close();
        self.ring.chain.close();
        self.ring.chain.wake();
    }

    /// The ring that this appends to.
    #[must_use]
    pub fn ring(&self) -> &ByteRing {
        &self.ring
    }

    /// Appends what `write` adds to a batch, under the lock, unless the ring is closed. Wakes who waits after it.
    #[inline]
    fn publish(&self, write: impl FnOnce(&mut ByteBatch<'_>)) -> Result<Range<u64>, Closed<()>> {
        let range = self
            .shared
            .append((), |producer, ()| producer.append_only(write))?;
        self.ring.chain.wake();
        Ok(range)
    }
}

impl fmt::Debug for SharedByteProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedByteProducer")
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}
