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

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use core::alloc::Layout;
use core::ptr::NonNull;
use core::slice;

use crate::segment::Block;
use crate::sync::Witness;

/// Bytes of an end position.
pub(crate) const END: usize = size_of::<u32>();

#[derive(Debug)]
pub(crate) struct ByteBlock {
    start: NonNull<u8>,
    /// A multiple of 8, at most `MAX_CAPACITY`.
    capacity: usize,
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
        let capacity = capacity.next_multiple_of(8);
        let layout = Self::layout(capacity);
        // SAFETY: the layout's size is not 0.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        Self {
            start,
            capacity,
            witness: Witness::new(capacity / END),
        }
    }

    fn layout(capacity: usize) -> Layout {
        Layout::from_size_align(capacity, 8).expect("at most MAX_CAPACITY")
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes left for records, when `used` bytes and `records` ends are taken and `more` records come.
    #[inline]
    pub(crate) fn room(&self, used: usize, records: usize, more: usize) -> Option<usize> {
        self.capacity.checked_sub(used + (records + more) * END)
    }

    /// Copies bytes of records that are not published yet to `at`.
    ///
    /// # Safety
    /// C-I2: only the producer, beyond all that it has published in this life of the segment, and
    /// `at + bytes.len()` is not above the ends (see [`room`](Self::room)).
    #[inline]
    pub(crate) unsafe fn write(&self, at: usize, bytes: &[u8]) {
        debug_assert!(at + bytes.len() <= self.capacity);
        // SAFETY: in the allocation and unread, says the caller; a borrowed slice is not in it.
        unsafe {
            self.start
                .as_ptr()
                .add(at)
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        };
    }

    /// Says where record number `index` of this block ends.
    ///
    /// # Safety
    /// As for [`write`](Self::write): unpublished, and there is room for the end.
    #[inline]
    pub(crate) unsafe fn write_end(&self, index: usize, end: u32) {
        debug_assert!((index + 1) * END <= self.capacity);
        self.witness.write(index);
        // SAFETY: in the allocation, aligned (capacity and start are multiples of 8), unread.
        unsafe {
            self.start
                .as_ptr()
                .add(self.capacity - (index + 1) * END)
                .cast::<u32>()
                .write(end);
        };
    }

    /// Where record number `index` ends.
    ///
    /// # Safety
    /// The record is published to the caller, or the caller is the producer and has written it.
    #[inline]
    pub(crate) unsafe fn end(&self, index: usize) -> usize {
        self.witness.read(index, index + 1);
        // SAFETY: written, and by C-I2 never again in this life, which the caller's pin keeps.
        unsafe {
            self.start
                .as_ptr()
                .add(self.capacity - (index + 1) * END)
                .cast::<u32>()
                .read() as usize
        }
    }

    /// Where record number `index` starts.
    ///
    /// # Safety
    /// As for [`end`](Self::end), for the record before, if there is one.
    #[inline]
    pub(crate) unsafe fn start(&self, index: usize) -> usize {
        if index == 0 {
            0
        } else {
            // SAFETY: the caller's word.
            unsafe { self.end(index - 1) }
        }
    }

    /// The bytes from `from` to `to`.
    ///
    /// # Safety
    /// `from <= to`, both ends of records that are published to the caller.
    #[inline]
    pub(crate) unsafe fn bytes(&self, from: usize, to: usize) -> &[u8] {
        debug_assert!(from <= to && to <= self.capacity);
        // SAFETY: written, and by C-I2 never again in this life, which the caller's pin keeps.
        unsafe { slice::from_raw_parts(self.start.as_ptr().add(from), to - from) }
    }
}

impl Block for ByteBlock {
    fn clear(&mut self, _records: usize) {}

    fn memory(&self) -> usize {
        self.capacity
    }
}

impl Drop for ByteBlock {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout, and freed here only.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.capacity)) };
    }
}

// SAFETY: the memory is this block's alone; what is written and read through `&self` follows C-I2.
unsafe impl Send for ByteBlock {}
// SAFETY: as above.
unsafe impl Sync for ByteBlock {}
