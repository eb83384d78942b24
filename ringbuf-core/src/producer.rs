//! The append side of a `Ring<T>` for one owner.
//!
//! An append moves the value into its slot and publishes it by one store: no read-modify-write, no
//! look at a reader. Values that fell out of the ring are dropped after the publication.

use core::fmt;
use core::ops::Range;

use crate::ring::Ring;
use crate::segment::Block;
use crate::shared_producer::SharedProducer;
use crate::slot_block::SlotBlock;
use crate::writer::{Taken, Writer};

/// The only append side of a [`Ring`], until it is [shared](Self::share). Dropping it closes the ring.
pub struct Producer<T: Send + Sync> {
    ring: Ring<T>,
    writer: Writer<SlotBlock<T>>,
    capacity: u64,
    /// Slots of each segment.
    slots: usize,
    /// The next free slot of the open segment; `slots` when it is full, or there is none.
    slot: usize,
    /// The next record's sequence. Published up to here, except within a call.
    next: u64,
    spare: Option<SlotBlock<T>>,
}

impl<T: Send + Sync> Producer<T> {
    pub(crate) fn new(ring: Ring<T>, start: u64, capacity: u64, slots: usize) -> Self {
        let writer = Writer::new(ring.chain.clone());
        Self {
            ring,
            writer,
            capacity,
            slots,
            slot: slots,
            next: start,
            spare: None,
        }
    }

    /// Appends and publishes one record, and says which sequence it has.
    ///
    /// # Panics
    /// If dropping an old value panics: then the record is published all the same.
    #[inline]
    pub fn append(&mut self, value: T) -> u64 {
        let sequence = self.next;
        let full = self.slot == self.slots;
        if full {
            self.open_segment();
        }
        self.write(value);
        self.publish();
        if full {
            self.recycle();
        }
        sequence
    }

    /// Appends what `make` returns, made where the compiler can in its slot. If `make` panics, nothing was appended.
    #[inline]
    pub fn append_with(&mut self, make: impl FnOnce() -> T) -> u64 {
        self.append(make())
    }

    /// Appends all of `values` and publishes them at once, and says which sequences they have.
    ///
    /// All values are in memory until then, also those that fall out at once because the batch is larger than the
    /// capacity. If the iterator panics, what it gave before is published, as if it had ended there.
    ///
    /// # Panics
    /// If dropping an old value panics: then the records are published all the same.
    #[inline]
    pub fn append_batch(&mut self, values: impl IntoIterator<Item = T>) -> Range<u64> {
        let first = self.next;
        let mut values = values.into_iter().fuse();
        let batch = Unpublished(self);
        let producer = &mut *batch.0;
        let mut opened = false;
        while let Some(value) = values.next() {
            if producer.slot == producer.slots {
                producer.open_segment();
                opened = true;
            }
            producer.write(value);
            // What is left of the segment, without a look at its end for each.
            for value in values.by_ref().take(producer.slots - producer.slot) {
                producer.write(value);
            }
        }
        drop(batch);
        if opened {
            self.recycle();
        }
        first..self.next
    }

    /// Appends all of `values` and publishes them at once, and says which sequences they have.
    ///
    /// # Panics
    /// As [`append`](Self::append).
    pub fn append_slice(&mut self, values: &[T]) -> Range<u64>
    where
        T: Copy,
    {
        self.append_batch(values.iter().copied())
    }

    /// Makes this one of many: handles that can be cloned, and used by several threads at once.
    #[must_use]
    pub fn share(self) -> SharedProducer<T> {
        SharedProducer::new(self)
    }

    /// Closes the ring: readers read what is left, then see [`Closed`](crate::TryReadError::Closed).
    pub fn close(self) {
        drop(self);
    }

    /// The ring that this appends to.
    #[must_use]
    pub fn ring(&self) -> &Ring<T> {
        &self.ring
    }

    /// Writes the next record, unpublished, into a slot that is there.
    #[inline]
    fn write(&mut self, value: T) {
        let open = self.writer.open().expect("a segment was opened");
        // SAFETY: C-I2: the only producer, and `slot` is beyond what it has published.
        unsafe { self.writer.block(open).write(self.slot, value) };
        self.slot += 1;
        self.next += 1;
    }

    #[inline]
    fn publish(&self) {
        self.ring.chain.publish_tail(self.next);
        self.ring.wake();
    }

    /// Lets readers find one more segment, still without records.
    #[cold]
    fn open_segment(&mut self) {
        assert!(
            self.next < u64::MAX - self.slots as u64,
            "the sequences are used up"
        );
        let block = self.spare.take().unwrap_or_else(|| {
            let block = SlotBlock::new(self.slots);
            self.ring.chain.add_memory(block.memory());
            block
        });
        self.writer.begin(block, self.next, 0);
        self.writer.commit();
        self.slot = 0;
    }

    /// Drops the values that fell out of the ring, a segment at a time.
    #[cold]
    fn recycle(&mut self) {
        while let Some(taken) = self.take_evicted() {
            drop(self.keep(taken.cleared()));
        }
    }

    /// The values of one segment that fell out of the ring, with its block. Its memory counts as freed.
    pub(crate) fn take_evicted(&mut self) -> Option<Taken<SlotBlock<T>>> {
        let oldest = self.next.saturating_sub(self.capacity);
        let mut looks = self.writer.some_looks();
        let taken = self
            .writer
            .evict(oldest)
            .or_else(|| self.writer.sweep(&mut looks))?;
        self.ring.chain.sub_memory(taken.memory());
        Some(taken)
    }

    /// Keeps a block for the next segment, or gives it back if there is one.
    pub(crate) fn keep(&mut self, block: SlotBlock<T>) -> Option<SlotBlock<T>> {
        if self.spare.is_some() {
            return Some(block);
        }
        self.ring.chain.add_memory(block.memory());
        self.spare = Some(block);
        None
    }

    /// Appends and publishes without dropping old values or waking anyone: whether old values are to be [taken](Self::take_evicted).
    pub(crate) fn append_only(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> (Range<u64>, bool) {
        let first = self.next;
        let mut opened = false;
        for value in values {
            if self.slot == self.slots {
                self.open_segment();
                opened = true;
            }
            self.write(value);
        }
        self.ring.chain.publish_tail(self.next);
        (first..self.next, opened)
    }
}

/// Publishes what was written, also when the writing panics.
struct Unpublished<'p, T: Send + Sync>(&'p mut Producer<T>);

impl<T: Send + Sync> Drop for Unpublished<'_, T> {
    fn drop(&mut self) {
        self.0.publish();
    }
}

impl<T: Send + Sync> Drop for Producer<T> {
    fn drop(&mut self) {
        self.ring.chain.close();
        self.ring.wake();
        if let Some(spare) = self.spare.take() {
            self.ring.chain.sub_memory(spare.memory());
        }
    }
}

impl<T: Send + Sync> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}
