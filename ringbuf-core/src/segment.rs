//! One segment: a header that is never freed before the ring, and a block of records that comes and goes.
//!
//! The header is *type-stable*: a reader may look at any header that it ever saw, however old its
//! idea is, and learns from the pin word and the base whether it is still what it was.

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::{self, NonNull};

use crate::pin::PinWord;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, Witness};

/// What a segment holds: slots of values, or bytes with end positions.
pub(crate) trait Block {
    /// Drops the first `records` records in place: the block may be filled again.
    fn clear(&mut self, records: usize);
    /// What the block takes of memory.
    fn memory(&self) -> usize;
}

/// A limit that says: the segment is open, its end is wherever the tail is.
pub(crate) const OPEN: u64 = u64::MAX;

pub(crate) struct Segment<B> {
    pub(crate) pin: PinWord,
    /// Sequence of the first record. Changes only while the segment is the producer's (P-I1).
    base: AtomicU64,
    /// Sequence after the last record, [`OPEN`] while records may be added.
    limit: AtomicU64,
    /// Which segment of the ring's life this is: its place in the directory.
    number: AtomicU64,
    /// Shared under a pin or for the producer; changed only between `try_take` and `release`.
    block: UnsafeCell<Option<B>>,
    block_witness: Witness,
    birth_witness: Witness,
    /// The ring's list of all headers. Written once, before the header is shared.
    pub(crate) next_of_all: *mut Segment<B>,
}

impl<B> Segment<B> {
    /// A header without a block, the producer's.
    pub(crate) fn taken(next_of_all: *mut Segment<B>) -> Self {
        let birth_witness = Witness::new(1);
        birth_witness.write(0);
        Self {
            pin: PinWord::taken(),
            base: AtomicU64::new(u64::MAX),
            limit: AtomicU64::new(OPEN),
            number: AtomicU64::new(0),
            block: UnsafeCell::new(None),
            block_witness: Witness::new(1),
            birth_witness,
            next_of_all,
        }
    }

    /// For loom: the header is looked at after it was made.
    pub(crate) fn was_born(&self) {
        self.birth_witness.read(0, 1);
    }

    // The three words are `Relaxed`: what they say counts only under a pin (`P1` has then ordered
    // base and number) and below a tail that was looked at before (`R1` has then ordered the limit).
    // Without that they are hints, and what is done with a hint is checked under a pin.

    pub(crate) fn base(&self) -> u64 {
        self.base.load(Relaxed)
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Relaxed)
    }

    pub(crate) fn number(&self) -> u64 {
        self.number.load(Relaxed)
    }

    /// Starts a new life. Only the producer, between `try_take` and `release`.
    pub(crate) fn begin(&self, base: u64, number: u64) {
        self.base.store(base, Relaxed);
        self.limit.store(OPEN, Relaxed);
        self.number.store(number, Relaxed);
    }

    /// Says where the segment ends. Only the producer, before it publishes a record beyond.
    pub(crate) fn seal(&self, limit: u64) {
        if crate::twin::seal() {
            self.limit.store(limit, Relaxed);
        }
    }

    /// Where the block of this life is.
    ///
    /// It may be read by who holds a pin that met no FLAG (P-I2), and by the producer; replaced by the
    /// producer between `try_take` and `release` (P-I1).
    pub(crate) fn block(&self) -> *mut Option<B> {
        self.block.get()
    }

    /// For loom: the block is read, or replaced.
    pub(crate) fn block_witness(&self) -> &Witness {
        &self.block_witness
    }

    pub(crate) fn block_mut(&mut self) -> &mut Option<B> {
        self.block.get_mut()
    }
}

/// Where a header is. Copied freely; looked at only while the ring that made it lives.
pub(crate) struct Link<B>(NonNull<Segment<B>>);

impl<B> Link<B> {
    pub(crate) fn new(header: NonNull<Segment<B>>) -> Self {
        Self(header)
    }

    pub(crate) fn from_raw(header: *mut Segment<B>) -> Option<Self> {
        NonNull::new(header).map(Self)
    }

    /// Where the header is. It is there, and shared, until the drop of the ring that made it (C-I1).
    #[inline]
    pub(crate) fn header(self) -> NonNull<Segment<B>> {
        self.0
    }
}

impl<B> Clone for Link<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Link<B> {}

impl<B> PartialEq for Link<B> {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.0.as_ptr(), other.0.as_ptr())
    }
}

impl<B> fmt::Debug for Link<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.0, f)
    }
}

// SAFETY: a link is an address; what it leads to is shared by the rules of `Segment`, which moves
// between threads with its blocks (`B: Send`) and shows them to several at once (`B: Sync`).
unsafe impl<B: Send + Sync> Send for Link<B> {}
// SAFETY: as above.
unsafe impl<B: Send + Sync> Sync for Link<B> {}
