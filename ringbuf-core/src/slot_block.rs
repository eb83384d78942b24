//! The memory of one `Ring<T>` segment: slots, written once in a life of the segment, read by reference.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::{ptr, slice};

use crate::segment::Block;
use crate::sync::Witness;

pub(crate) struct SlotBlock<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    witness: Witness,
}

impl<T> SlotBlock<T> {
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            slots: (0..slots)
                .map(|_| UnsafeCell::new(MaybeUninit::uninit()))
                .collect(),
            witness: Witness::new(slots),
        }
    }

    /// The first slot. `UnsafeCell` and `MaybeUninit` are laid out as what they hold.
    #[inline]
    fn first(&self) -> *mut T {
        self.slots.as_ptr().cast::<T>().cast_mut()
    }

    /// Where the slot of this index is, or would be.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[inline]
    pub(crate) fn address(&self, index: usize) -> *const u8 {
        self.first().wrapping_add(index).cast()
    }

    /// Moves values into the slots from `index` on, while there are both, and counts them onto `next`, also if the
    /// iterator panics.
    ///
    /// # Safety
    /// C-I2: only the producer, slots that are not published in this life of the segment.
    ///
    /// # Panics
    /// If there is no such slot.
    #[inline]
    pub(crate) unsafe fn fill(
        &self,
        index: usize,
        values: &mut impl Iterator<Item = T>,
        next: &mut u64,
    ) {
        let mut filled = Filled { next, count: 0 };
        for slot in &self.slots[index..] {
            let Some(value) = values.next() else {
                break;
            };
            self.witness.write(index + filled.count as usize);
            // SAFETY: C-I2: no reader looks at the slot yet, and no value is in it.
            unsafe { (*slot.get()).write(value) };
            filled.count += 1;
        }
    }

    /// The values of the slots from `from` to `to`.
    ///
    /// # Safety
    /// `from <= to`, within the block, all published to the caller, whose pin keeps the segment.
    #[inline]
    pub(crate) unsafe fn values(&self, from: usize, to: usize) -> &[T] {
        debug_assert!(from <= to && to <= self.slots.len());
        self.witness.read(from, to);
        // SAFETY: written, and by C-I2 not again in this life.
        unsafe { slice::from_raw_parts(self.first().add(from), to - from) }
    }
}

/// How many slots were filled: counted in a register, told at the end.
struct Filled<'n> {
    next: &'n mut u64,
    count: u64,
}

impl Drop for Filled<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.next += self.count;
    }
}

impl<T> Block for SlotBlock<T> {
    fn clear(&mut self, records: usize) {
        for slot in 0..records {
            self.witness.write(slot);
        }
        let filled = ptr::slice_from_raw_parts_mut(self.first(), records.min(self.slots.len()));
        // SAFETY: the first `records` slots hold values, says the writer or the chain's drop, which both forget
        // them here: dropped once. If a drop panics, the others are dropped all the same, and none again.
        unsafe { ptr::drop_in_place(filled) };
    }

    fn memory(&self) -> usize {
        size_of_val(&*self.slots)
    }
}

// SAFETY: values are read by many threads at once (`T: Sync`), and moved in through `&self` by C-I2
// only (`T: Send`).
unsafe impl<T: Send + Sync> Sync for SlotBlock<T> {}
