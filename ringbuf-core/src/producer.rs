//! The append side of a `Ring<T>` for one owner.
//!
//! An append moves the value into its slot and publishes it by one store: no read-modify-write, no
//! look at a reader, and no load of a line that readers have. Values that fell out of the ring are dropped after the publication.
//!
//! # What a record costs between two cores
//!
//! Two lines: that of its slot and that of the tail. Where records come faster than a reader looks, both are moved once for
//! many records, and appends wait meanwhile in the producer's store buffer. Where each record is awaited, its trip is the reader's
//! fetch of the tail and then, because only the tail says that the slot may be read, of the slot: two moves in a row where a bare
//! line needs one. (A stamp in the slot would make them one, but only for values that may be read while they are written.) The
//! producer keeps how far it is in a word of its own, for a load of the tail would wait for that line to come back first: it
//! made a round trip longer by two fifths, and shared producers slower. (Its store costs the one producer's single appends some
//! hundredths where lines move slowly, and batches nothing.)

use core::fmt;
use core::ops::Range;
use core::ptr;

use crate::ring::Ring;
use crate::segment::Block;
use crate::shared_producer::SharedProducer;
use crate::slot_block::SlotBlock;
use crate::writer::{Taken, Writer};

/// So many bytes beyond the slots that it is about to fill, a producer asks for the line that it will write there soon: two
/// lines. Readers have had that line since the last life of the segment.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const AHEAD: usize = 128;

/// The only append side of a [`Ring`], until it is [shared](Self::share). Dropping it closes the ring.
pub struct Producer<T: Send + Sync> {
    ring: Ring<T>,
    writer: Writer<SlotBlock<T>>,
    capacity: u64,
    /// Slots of each segment.
    slots: usize,
    /// The sequences of the open segment, from `base` to before `limit`: none before the first record.
    base: u64,
    limit: u64,
    /// The next record's sequence: all below it is published, except within a call.
    next: u64,
    /// The open segment's block, once there is one.
    block: *const SlotBlock<T>,
    spare: Option<SlotBlock<T>>,
}

// SAFETY: as if the block were owned: it is in the chain, which the ring keeps.
unsafe impl<T: Send + Sync> Send for Producer<T> {}
// SAFETY: nothing changes through a shared producer.
unsafe impl<T: Send + Sync> Sync for Producer<T> {}

impl<T: Send + Sync> Producer<T> {
    pub(crate) fn new(ring: Ring<T>, start: u64, capacity: u64, slots: usize) -> Self {
        let writer = Writer::new(ring.chain.clone());
        Self {
            ring,
            writer,
            capacity,
            slots,
            base: start,
            limit: start,
            next: start,
            block: ptr::null(),
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
        let full = sequence == self.limit;
        if full {
            self.open_segment(sequence);
        }
        self.fill(&mut { sequence }, &mut Some(value).into_iter());
        self.publish(sequence + 1);
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
        let mut batch = Unpublished {
            next: first,
            producer: self,
        };
        let opened = batch.write(values);
        let next = batch.next;
        drop(batch);
        if opened {
            self.recycle();
        }
        first..next
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

    /// Writes values, unpublished, into the open segment from `next` on, which goes with them, while there are both.
    #[inline]
    fn fill(&mut self, next: &mut u64, values: &mut impl Iterator<Item = T>) {
        if *next < self.limit {
            let index = (*next - self.base) as usize;
            // SAFETY: a segment with room is open, so its block is there and stays: the producer alone replaces
            // it (P-I1). C-I2: the only producer, and the slots are beyond what it has published. What is prefetched is
            // neither read nor written, whatever it is.
            unsafe {
                let block = &*self.block;
                #[cfg(all(target_arch = "x86_64", not(miri)))]
                core::arch::asm!(
                    "prefetchw [{ahead}]",
                    ahead = in(reg) block.address(index).wrapping_add(AHEAD),
                    options(readonly, nostack, preserves_flags)
                );
                block.fill(index, values, next);
            }
        }
    }

    #[inline]
    fn publish(&mut self, next: u64) {
        self.publish_only(next);
        self.ring.chain.wake();
    }

    #[inline]
    fn publish_only(&mut self, next: u64) {
        self.next = next;
        self.ring.chain.publish_tail(next);
    }

    /// Lets readers find one more segment, still without records, for the records from `next` on.
    #[cold]
    fn open_segment(&mut self, next: u64) {
        assert!(
            next < u64::MAX - self.slots as u64,
            "the sequences are used up"
        );
        let block = self.spare.take().unwrap_or_else(|| {
            let block = SlotBlock::new(self.slots);
            self.ring.chain.add_memory(block.memory());
            block
        });
        self.writer.begin(block, next, 0);
        self.writer.commit();
        self.base = next;
        self.limit = next + self.slots as u64;
        let open = self.writer.open().expect("a segment was begun");
        self.block = self.writer.block(open);
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
    #[inline]
    pub(crate) fn append_only(
        &mut self,
        values: impl IntoIterator<Item = T>,
    ) -> (Range<u64>, bool) {
        let first = self.next;
        let mut batch = Unpublished {
            next: first,
            producer: self,
        };
        let opened = batch.write(values);
        let next = batch.next;
        core::mem::forget(batch); // nobody is woken
        self.publish_only(next);
        (first..next, opened)
    }
}

/// Publishes what was written, also when the writing panics.
struct Unpublished<'p, T: Send + Sync> {
    producer: &'p mut Producer<T>,
    /// After the last record that is written.
    next: u64,
}

impl<T: Send + Sync> Unpublished<'_, T> {
    /// Writes all of `values`: whether a segment was opened for them.
    #[inline]
    fn write(&mut self, values: impl IntoIterator<Item = T>) -> bool {
        let mut values = values.into_iter().fuse();
        let mut opened = false;
        loop {
            self.producer.fill(&mut self.next, &mut values);
            if self.next < self.producer.limit {
                return opened;
            }
            let Some(value) = values.next() else {
                return opened;
            };
            self.producer.open_segment(self.next);
            opened = true;
            self.producer
                .fill(&mut self.next, &mut Some(value).into_iter());
        }
    }
}

impl<T: Send + Sync> Drop for Unpublished<'_, T> {
    fn drop(&mut self) {
        self.producer.publish(self.next);
    }
}

impl<T: Send + Sync> Drop for Producer<T> {
    fn drop(&mut self) {
        self.ring.chain.close();
        self.ring.chain.wake();
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
