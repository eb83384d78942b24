//! The chain of segments: what producer and readers share, and how a reader finds and keeps a record.
//!
//! ```text
//!   directory      first ─┐                  ┌─ last (next to be installed)
//!                ┌────────▼───────────────────▼──┐
//!                │   │   │ 7 │ 8 │ 9 │   │   │   │   segment number & (length - 1)
//!                └─────────┼───┼───┼─────────────┘
//!                          ▼   ▼   ▼
//!            base        [70 [82 [95 ..)             a segment: pin word, base, limit, block
//!                          ▲           ▲
//!               oldest = 74┘           └ tail = 99   records 74..99 can be read
//!
//!   retired [41 ..)  evicted while a reader was inside: the producer's list, taken when the reader left
//!   free    [..)     headers without a block, the producer's
//! ```
//!
//! A record is published by one store of `tail`, a batch too. What is kept is a window of
//! sequences, `oldest..tail`; what is held in memory is the segments that meet the window, plus those that are pinned.
//!
//! # Invariants
//!
//! - **C-I1** Headers and directories are freed by the drop of the chain only, and every reader,
//!   every run and the producer keep the chain alive.
//! - **C-I2** A place of a block is written once in a life of its segment, before the tail that
//!   covers it is published, by the only producer.
//! - **C-I3** `oldest` never goes back; it is moved on before a segment below it is taken (P3).
//! - **C-I4** A sequence is published in one segment only, of one life. (A batch that is dropped unpublished was
//!   in segments that no reader ever could enter, or beyond the tail.)
//! - **C-I5** For each reader: records returned + records reported lost = position - where it started.
//!
//! # Memory ordering
//!
//! Labels stand at the line they name; `P1` to `P4` are in `pin.rs`, the weakened twins in `twin.rs`.
//!
//! | pair        | orders                                                    | without it                          |
//! |-------------|-----------------------------------------------------------|-------------------------------------|
//! | `C3` → `R1` | a record's bytes, its segment's base and limit, the       | a reader takes bytes that are not   |
//! |             | directory's entry, `oldest`: all before the tail          | there yet                           |
//! | `C4` → `R2` | the last tail before `closed`                             | a reader ends with records unread   |
//! | `C5` → `R4` | a directory's places before the pointer to it             | a reader takes places not yet there |
//! | `C6` → `R5` | a header's birth before the place that leads to it        | a reader takes a header not yet     |
//! |             |                                                           | there                               |
//! | `C1` → `R3` | a place before the number that makes it count             | a reader looks once more            |
//!
//! The last two have no twin. `R3` is for progress alone. `R5` matters only to a reader whose hint is a header
//! of which it glances the limit of one life and the number of a later one; all other ways to a header
//! are behind `R1` or `R3`. That takes more lives than a model can have.
//!
//! `C2`, the store of the oldest sequence, and its load `R2b` need no order of their own: `R2b` comes after `R1`, and `C3` → `R1`
//! brings what was true at that tail, `P3` → `P1` what let a segment go.
//!
//! Why no record is read that is not the one asked for: a reader at `s` saw a tail `t > s` (R1), so all that
//! made `s` readable happened before. It pins a segment and meets no FLAG, so by P-I2 the segment's
//! life does not change under it and `P4` → `P1` shows that life's base. If `base <= s < limit`, then
//! by C-I4 this is the one segment with `s`, and by C-I2 no one writes to the places of `s..min(t, limit)` any more.
//! Otherwise it leaves and looks again. The limit it saw is not older than `t`: it was sealed
//! before any record beyond was published.
//!
//! Why a lapped reader is told exactly: `oldest` is looked at after the tail (R2b), so `oldest..tail` is a
//! window that was true at some moment after that tail; the reader moves from `s` to that `oldest`, and
//! reports just that.
//!
//! # Progress
//!
//! Readers are lock-free: a look that fails met a segment that was taken or began a new life, and
//! by `P3` → `P1` the next look sees the `oldest` that let it go. The producer is wait-free but
//! for memory allocation: it never waits for a reader.
//!
//! # Sequences
//!
//! u64, from 0, never reused: at a record each nanosecond they last 584 years. Nothing wraps: the producer
//! panics before a sequence could reach `u64::MAX` (checked once a segment), and what is computed below 0 saturates. Tests start
//! rings near the end of the range to show it. Segment numbers count no faster than sequences. The shared words need 64-bit
//! atomics, which some 32-bit targets lack; where they exist nothing depends on the width of a pointer or on byte order:
//! end positions are native `u32` that never leave the process.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::ptr;

use crate::padded::Padded;
use crate::segment::{Block, Link, Segment};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, Witness, figure};
use crate::twin;
#[cfg(feature = "std")]
use crate::wait::WaitList;

/// Which header is in which place: numbers to headers. Replaced by one twice as long when it is
/// full; the old ones stay readable until the drop, and are together no longer than the current one.
struct Directory<B> {
    places: Box<[AtomicPtr<Segment<B>>]>,
    older: *mut Directory<B>,
    witness: Witness,
}

impl<B> Directory<B> {
    fn place(&self, number: u64) -> &AtomicPtr<Segment<B>> {
        // The length is a power of two, so the masked number fits a `usize`.
        &self.places[number as usize & (self.places.len() - 1)]
    }
}

/// The words that the producer writes and readers look at: one pair of cache lines.
struct Words<B> {
    /// Published end: the next sequence. Alone says which records are there.
    tail: AtomicU64,
    /// Records below it are gone: trimmed, or over the limit on bytes.
    floor: AtomicU64,
    closed: AtomicBool,
    first: AtomicU64,
    last: AtomicU64,
    directory: AtomicPtr<Directory<B>>,
    all: AtomicPtr<Segment<B>>,
    /// Bytes of the records that are kept (`ByteRing`).
    retained_bytes: figure::AtomicU64,
    memory_bytes: figure::AtomicUsize,
}

/// See the module's header.
pub(crate) struct Chain<B: Block> {
    words: Padded<Words<B>>,
    /// Readers see at most so many records.
    max_records: u64,
    /// Who sleeps until a record comes, if readers may.
    #[cfg(feature = "std")]
    waiters: Option<Box<WaitList>>,
}

/// What a reader's look at a position gave.
pub(crate) enum Look<B> {
    /// The records from the position to `end` are in the pinned segment.
    Here {
        pin: Pinned<B>,
        end: u64,
    },
    Empty,
    Closed,
    /// The position is below the oldest sequence, which is this.
    Lapped(u64),
}

/// A place where a reader was, to look there first. Always safe to use, however old.
#[derive(Debug)]
pub(crate) struct Hint<B>(Option<Link<B>>);

impl<B> Hint<B> {
    pub(crate) const NONE: Self = Self(None);
}

impl<B> Clone for Hint<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Hint<B> {}

impl<B: Block> Chain<B> {
    /// An empty chain whose first record will be `start`.
    pub(crate) fn new(start: u64, max_records: u64) -> Self {
        Self {
            words: Padded(Words {
                tail: AtomicU64::new(start),
                floor: AtomicU64::new(start),
                closed: AtomicBool::new(false),
                first: AtomicU64::new(0),
                last: AtomicU64::new(0),
                directory: AtomicPtr::new(ptr::null_mut()),
                all: AtomicPtr::new(ptr::null_mut()),
                retained_bytes: figure::AtomicU64::new(0),
                memory_bytes: figure::AtomicUsize::new(size_of::<Self>()),
            }),
            max_records,
            #[cfg(feature = "std")]
            waiters: None,
        }
    }

    /// From here on readers may sleep.
    #[cfg(feature = "std")]
    pub(crate) fn let_readers_sleep(&mut self) {
        self.waiters = Some(Box::new(WaitList::new()));
    }

    #[cfg(feature = "std")]
    pub(crate) fn waiters(&self) -> Option<&WaitList> {
        self.waiters.as_deref()
    }

    /// After a publication, or the end: wakes those who sleep, if readers may.
    #[inline]
    pub(crate) fn wake(&self) {
        #[cfg(feature = "std")]
        if let Some(waiters) = &self.waiters {
            waiters.wake_all();
        }
    }

    #[inline]
    pub(crate) fn tail(&self) -> u64 {
        self.words.tail.load(twin::tail_load()) // R1
    }

    /// The oldest sequence kept when the tail was `tail`, or later.
    #[inline]
    pub(crate) fn oldest_at(&self, tail: u64) -> u64 {
        let floor = self.words.floor.load(Relaxed); // R2b: after R1, see C2
        floor.max(tail.saturating_sub(self.max_records))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.words.closed.load(twin::closed_load()) // R2
    }

    pub(crate) fn retained_bytes(&self) -> u64 {
        self.words.retained_bytes.load(Relaxed)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.words.memory_bytes.load(Relaxed)
    }

    /// Finds `position`, and keeps its segment if it is there.
    ///
    /// # Safety
    /// The chain outlives the pin that is returned.
    #[inline]
    pub(crate) unsafe fn look(&self, position: u64, hint: &mut Hint<B>) -> Look<B> {
        loop {
            let tail = self.tail();
            let oldest = self.oldest_at(tail);
            if position < oldest {
                return Look::Lapped(oldest);
            }
            if position >= tail {
                if !self.is_closed() {
                    return Look::Empty;
                }
                // The last records may have been published between the two looks.
                if !twin::look_again() || position >= self.tail() {
                    return Look::Closed;
                }
                continue;
            }
            if let Some(link) = self.find(position, hint.0) {
                let segment = self.segment(link);
                if segment.pin.try_pin() {
                    let pin = Pinned(link); // from here on the pin is given back
                    let limit = segment.limit();
                    if !twin::check_base() || (segment.base() <= position && position < limit) {
                        hint.0 = Some(link);
                        return Look::Here {
                            pin,
                            end: limit.min(tail),
                        };
                    }
                }
            }
            hint.0 = None;
            core::hint::spin_loop();
        }
    }

    /// The segment that most probably has `position`: a guess until it is checked under a pin.
    #[inline]
    fn find(&self, position: u64, hint: Option<Link<B>>) -> Option<Link<B>> {
        if let Some(link) = hint {
            let (base, limit, number) = self.glance(link);
            if base <= position && position < limit {
                return Some(link);
            }
            if position == limit
                && let Some(next) = self.entry(number + 1)
                && self.glance(next).0 == position
            {
                return Some(next);
            }
        }
        self.search(position)
    }

    /// Binary search for the last segment with a base up to `position`.
    #[cold]
    fn search(&self, position: u64) -> Option<Link<B>> {
        let mut low = self.words.first.load(Acquire);
        let mut high = self.words.last.load(Acquire); // R3
        while high.saturating_sub(low) > 1 {
            let middle = low + (high - low) / 2;
            if self.glance(self.entry(middle)?).0 <= position {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.entry(low)
    }

    fn entry(&self, number: u64) -> Option<Link<B>> {
        let directory = self.directory()?;
        Link::from_raw(directory.place(number).load(Acquire)) // R5
    }

    fn directory(&self) -> Option<&Directory<B>> {
        let directory = self.words.directory.load(twin::directory_load()); // R4
        // SAFETY: C-I1: null, or a directory that lives as long as the chain.
        let directory = unsafe { directory.as_ref() }?;
        directory.witness.read(0, 1);
        Some(directory)
    }

    fn glance(&self, link: Link<B>) -> (u64, u64, u64) {
        let segment = self.segment(link);
        segment.was_born();
        (segment.base(), segment.limit(), segment.number())
    }

    #[inline]
    pub(crate) fn segment(&self, link: Link<B>) -> &Segment<B> {
        // SAFETY: C-I1: links are made by this chain and used with it only.
        unsafe { link.header().as_ref() }
    }

    // What only the producer calls (there is one: `Writer` is not `Clone` and owns these).

    /// Publishes all that was written below `tail`, and forgets what is below `floor`.
    #[inline]
    pub(super) fn publish(&self, tail: u64, floor: u64) {
        self.words.floor.store(floor, Relaxed); // C2
        self.words.tail.store(tail, twin::tail_store()); // C3
    }

    /// [`publish`](Self::publish) where the floor does not change.
    #[inline]
    pub(super) fn publish_tail(&self, tail: u64) {
        self.words.tail.store(tail, twin::tail_store()); // C3
    }

    pub(super) fn set_retained_bytes(&self, bytes: u64) {
        self.words.retained_bytes.store(bytes, Relaxed); // a figure: orders nothing
    }

    pub(super) fn add_memory(&self, bytes: usize) {
        let now = self.words.memory_bytes.load(Relaxed);
        self.words.memory_bytes.store(now + bytes, Relaxed); // one writer; a figure: orders nothing
    }

    pub(super) fn sub_memory(&self, bytes: usize) {
        let now = self.words.memory_bytes.load(Relaxed);
        self.words.memory_bytes.store(now - bytes, Relaxed); // as above
    }

    pub(super) fn close(&self) {
        self.words.closed.store(true, twin::closed_store()); // C4
    }

    /// Makes a header, taken and without a block.
    pub(super) fn new_header(&self) -> Link<B> {
        let next = self.words.all.load(Relaxed);
        let header = ptr::NonNull::from(Box::leak(Box::new(Segment::taken(next))));
        self.words.all.store(header.as_ptr(), Relaxed); // read again by this thread and by the drop only
        self.add_memory(size_of::<Segment<B>>());
        Link::new(header)
    }

    /// Puts a released segment at the directory's end: number `last`, with `first` the oldest one in it.
    pub(super) fn install(&self, link: Link<B>, first: u64, last: u64) {
        let directory = match self.directory() {
            Some(directory) if last - first < directory.places.len() as u64 => directory,
            full => self.grow(full, first, last),
        };
        directory.place(last).store(link.header().as_ptr(), Release); // C6
        self.words.last.store(last + 1, Release); // C1
    }

    fn grow(&self, full: Option<&Directory<B>>, first: u64, last: u64) -> &Directory<B> {
        let length = full.map_or(4, |directory| directory.places.len() * 2);
        let places: Vec<_> = (0..length)
            .map(|_| AtomicPtr::new(ptr::null_mut()))
            .collect();
        self.add_memory(size_of::<Directory<B>>() + length * size_of::<AtomicPtr<Segment<B>>>());
        let grown = Box::leak(Box::new(Directory {
            places: places.into_boxed_slice(),
            older: self.words.directory.load(Relaxed),
            witness: Witness::new(1),
        }));
        grown.witness.write(0);
        for number in first..last {
            if let Some(full) = full {
                grown
                    .place(number)
                    .store(full.place(number).load(Relaxed), Relaxed);
            }
        }
        self.words.directory.store(grown, twin::directory_store()); // C5
        grown
    }

    /// Takes the segments below `first` out of the directory.
    pub(super) fn uninstall(&self, first: u64) {
        self.words.first.store(first, Release);
    }
}

impl<B: Block> Drop for Chain<B> {
    fn drop(&mut self) {
        if twin::is("leak") {
            return;
        }
        let tail = self.words.tail.load(Relaxed);
        let mut header = self.words.all.load(Relaxed);
        while !header.is_null() {
            // SAFETY: C-I1: made by `new_header`, freed here only; no pin and no producer is left.
            let mut segment = unsafe { Box::from_raw(header) };
            header = segment.next_of_all;
            let records = segment.limit().min(tail).saturating_sub(segment.base());
            if let Some(block) = segment.block_mut() {
                block.clear(records as usize);
            }
        }
        let mut directory = self.words.directory.load(Relaxed);
        while !directory.is_null() {
            // SAFETY: C-I1: made by `grow`, freed here only.
            directory = unsafe { Box::from_raw(directory) }.older;
        }
    }
}

impl<B: Block> fmt::Debug for Chain<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.tail();
        f.debug_struct("Chain")
            .field("oldest", &self.oldest_at(tail))
            .field("tail", &tail)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

// SAFETY: the raw pointers are the chain's own headers and directories (C-I1); blocks move to the thread that
// drops the chain (`B: Send`) and are read by many at once (`B: Sync`).
unsafe impl<B: Block + Send + Sync> Send for Chain<B> {}
// SAFETY: as above; what changes is atomic, or changed by the rules of `Segment`.
unsafe impl<B: Block + Send + Sync> Sync for Chain<B> {}

/// A pin: the segment keeps its life until this is dropped.
pub(crate) struct Pinned<B>(Link<B>);

impl<B> fmt::Debug for Pinned<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pinned").field(&self.0).finish()
    }
}

impl<B> Pinned<B> {
    #[inline]
    pub(crate) fn segment(&self) -> &Segment<B> {
        // SAFETY: C-I1: `look`'s caller keeps the chain alive.
        unsafe { self.0.header().as_ref() }
    }

    #[inline]
    pub(crate) fn block(&self) -> &B {
        let segment = self.segment();
        segment.block_witness().read(0, 1);
        // SAFETY: P-I2: this is a pin that met no FLAG.
        let block = unsafe { &*segment.block() };
        block
            .as_ref()
            .expect("a segment that readers can enter has a block")
    }
}

impl<B> Drop for Pinned<B> {
    #[inline]
    fn drop(&mut self) {
        self.segment().pin.unpin();
    }
}
