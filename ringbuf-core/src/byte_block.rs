//! The memory of one `ByteRing` segment: records from the left, their end positions from the right.
//!
//! ```text
//!    0                          used                              capacity
//!    ┌────────┬─────┬───────────┬───── ─ ─ ─ ─ ─┬──────┬──────┬──────┐
//!    │ rec. 0 │ r 1 │  record 2 │     free      │ end2 │ end1 │ end0 │   ends: u32, newest lowest
//!    └────────┴─────┴───────────┴───── ─ ─ ─ ─ ─┴──────┴──────┴──────┘
//! ```
//!
//! One allocation, no guess about the size of records. Written place by place by the producer (C-I2) while readers
//! read the places before: through raw pointers, so that no reference ever covers what is still to be written.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::{ptr, slice};

use crate::segment::Block;
use crate::sync::Witness;

/// Bytes of an end position.
pub(crate) const END: usize = size_of::<u32>();

type Word = MaybeUninit<UnsafeCell<u32>>;

pub(crate) struct ByteBlock {
    /// Words, so that end positions are aligned. An even number, at most `MAX_CAPACITY` bytes.
    words: Box<[Word]>,
    witness: Witness,
}

impl ByteBlock {
    /// No position in a block needs more than a u32, and no block more than an `isize`.
    pub(crate) const MAX_CAPACITY: usize = (i32::MAX as usize) & !7;

    /// Memory for `capacity` bytes, rounded up to a multiple of 8.
    ///
    /// # Panics
    /// Above [`MAX_CAPACITY`](Self::MAX_CAPACITY).
    pub(crate) fn new(capacity: usize) -> Self {
        assert!(
            (1..=Self::MAX_CAPACITY).contains(&capacity),
            "a record and its end position must fit in 2 GiB"
        );
        let words = capacity.next_multiple_of(8) / END;
        Self {
            words: Box::new_uninit_slice(words),
            witness: Witness::new(words),
        }
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.words.len() * END
    }

    /// Its places, to be used while the block stays where it is.
    #[inline]
    pub(crate) fn places(&self) -> Places {
        Places {
            words: &raw const *self.words,
            witness: &raw const self.witness,
        }
    }

    /// The bytes from `from` to `to`.
    ///
    /// # Safety
    /// `from <= to`, both ends of records that are published to the caller.
    #[inline]
    pub(crate) unsafe fn bytes(&self, from: usize, to: usize) -> &[u8] {
        debug_assert!(from <= to && to <= self.capacity());
        // SAFETY: written, and by C-I2 never again in this life, which the caller's pin keeps.
        unsafe { slice::from_raw_parts(self.places().first().add(from), to - from) }
    }
}

/// The places of a block. Its producer has them at hand, without a look at the segment's header: readers take that
/// line by their pins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    words: *const [Word],
    witness: *const Witness,
}

impl Places {
    /// No room for anything.
    pub(crate) const NONE: Self = Self {
        words: ptr::slice_from_raw_parts(ptr::null(), 0),
        witness: ptr::null(),
    };

    /// Bytes left for records, when `used` bytes and `records` ends are taken and `more` records come.
    #[inline]
    pub(crate) fn room(self, used: usize, records: usize, more: usize) -> Option<usize> {
        (self.words.len() * END).checked_sub(used + (records + more) * END)
    }

    /// The first byte: written through, as the words are cells.
    #[inline]
    fn first(self) -> *mut u8 {
        self.words.cast::<u8>().cast_mut()
    }

    /// Copies bytes of records that are not published yet to `at`.
    ///
    /// # Safety
    /// The block is where it was. C-I2: only the producer, beyond all that it has published in this life of the segment,
    /// and `at + bytes.len()` is not above the ends (see [`room`](Self::room)).
    #[inline]
    pub(crate) unsafe fn write(self, at: usize, bytes: &[u8]) {
        debug_assert!(at + bytes.len() <= self.words.len() * END);
        let from = bytes.as_ptr();
        // SAFETY: in the allocation and unread, says the caller; a borrowed slice is not in it.
        unsafe {
            self.first()
                .add(at)
                .copy_from_nonoverlapping(from, bytes.len());
        };
    }

    /// Lets `fill` write `length` bytes of a record that is not published yet, at `at`. They are 0 before.
    ///
    /// # Safety
    /// As for [`write`](Self::write).
    #[inline]
    pub(crate) unsafe fn fill(self, at: usize, length: usize, fill: impl FnOnce(&mut [u8])) {
        debug_assert!(at + length <= self.words.len() * END);
        // SAFETY: in the allocation and unread, says the caller: nothing else looks at these bytes meanwhile.
        let bytes = unsafe {
            let first = self.first().add(at);
            first.write_bytes(0, length);
            slice::from_raw_parts_mut(first, length)
        };
        fill(bytes);
    }

    /// Says where record number `index` of this block ends.
    ///
    /// # Safety
    /// As for [`write`](Self::write): unpublished, and there is room for the end.
    #[inline]
    pub(crate) unsafe fn write_end(self, index: usize, end: u32) {
        // SAFETY: the block is there, the end in it and unread, says the caller.
        unsafe {
            (*self.witness).write(index);
            let cell = self
                .words
                .cast::<UnsafeCell<u32>>()
                .add(self.words.len() - 1 - index);
            UnsafeCell::raw_get(cell).write(end);
        };
    }

    /// Where record number `index` starts, which is where the one before ends.
    ///
    /// # Safety
    /// The block is where it was, and the record before, if there is one, is published to the caller, or the caller is
    /// the producer and has written it.
    #[inline]
    pub(crate) unsafe fn start(self, index: usize) -> usize {
        if index == 0 {
            return 0;
        }
        debug_assert!(index <= self.words.len());
        // SAFETY: the block is there, the end in it and written, and by C-I2 not again in this life.
        unsafe {
            (*self.witness).read(index - 1, index);
            let cell = self.words.cast::<UnsafeCell<u32>>();
            UnsafeCell::raw_get(cell.add(self.words.len() - index)).read() as usize
        }
    }
}

impl Block for ByteBlock {
    fn clear(&mut self, _records: usize) {}

    fn memory(&self) -> usize {
        self.capacity()
    }
}

// SAFETY: what is written and read through `&self` follows C-I2.
unsafe impl Sync for ByteBlock {}
