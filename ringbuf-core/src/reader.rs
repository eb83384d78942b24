//! The read side of a `Ring<T>`: a position, and the segment in which it stands.

use core::fmt;
use core::ptr;

use crate::chain::{Hint, Look, Pinned};
use crate::error::TryReadError;
use crate::ring::Ring;
use crate::slot_block::SlotBlock;
#[cfg(feature = "std")]
use crate::wait::{Ticket, WaitList, Waits};

/// At the look in vain of this number a reader lets go of its segment: some microseconds of polling. To leave
/// a segment at once, only to enter it again for the next record, is two read-modify-writes a record.
const VAIN_LOOKS: u32 = if cfg!(loom) { 2 } else { 1_000 };

/// So many turns a reader pauses after its first look in vain: about as long as two lines take between cores. A reader that
/// follows a producer closely takes its lines away for each record; so the producer keeps them for several.
const PAUSE_TURNS: u32 = 4;

/// A reader of a [`Ring`]: a position and a reference.
///
/// It costs a producer nothing, wherever it stands. It looks at what is published in *runs*: the rest of a segment, or what
/// there is of it. A run that it has begun is read to its end by reference, also when the ring moves on meanwhile; then the reader
/// looks again, and is told what it lost if it was lapped.
///
/// The segment of a run is kept, one at most, until the reader comes to the next segment, waits, has looked a thousand times in a row
/// in vain, or is [released](Self::release), moved by [`seek`](Self::seek) or dropped. So an idle reader that waits or polls keeps nothing but its
/// place; one that is left lying in the middle of a segment keeps that segment's memory, and delays no producer.
///
/// After a lap the reader holds the oldest segment, so that a producer at full speed does not lap it again at once.
pub struct Reader<T: Send + Sync> {
    ring: Ring<T>,
    position: u64,
    /// The run: sequences up to `end` in the pinned segment, which begins at `base`.
    end: u64,
    base: u64,
    /// The pinned segment's block, while there is a run.
    block: *const SlotBlock<T>,
    pin: Option<Pinned<SlotBlock<T>>>,
    /// Looks that found nothing since the last run.
    vain: u32,
    hint: Hint<SlotBlock<T>>,
    #[cfg(feature = "std")]
    ticket: Option<Ticket>,
}

// SAFETY: the block is kept by the pin beside it, and read as `&SlotBlock<T>`, which both bounds allow.
unsafe impl<T: Send + Sync> Send for Reader<T> {}
// SAFETY: as above; nothing changes through a shared reader.
unsafe impl<T: Send + Sync> Sync for Reader<T> {}

impl<T: Send + Sync> Reader<T> {
    pub(crate) fn new(ring: Ring<T>, position: u64) -> Self {
        Self {
            ring,
            position,
            end: 0,
            base: 0,
            block: ptr::null(),
            pin: None,
            vain: 0,
            hint: Hint::NONE,
            #[cfg(feature = "std")]
            ticket: None,
        }
    }

    /// The sequence that the next read begins with.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes on at `to`, which can be any sequence: see [`Ring::reader`].
    pub fn seek(&mut self, to: u64) {
        self.release();
        self.position = to;
    }

    /// How many records the ring has published that this reader is not past; those that it would
    /// find lost are counted too.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.ring.tail().saturating_sub(self.position)
    }

    /// The ring that this reads.
    #[must_use]
    pub fn ring(&self) -> &Ring<T> {
        &self.ring
    }

    /// Whether a read would give something else than [`Empty`](TryReadError::Empty).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.position < self.end || self.position < self.ring.tail() || self.ring.is_closed()
    }

    /// Keeps no segment any more: for a reader that will not read for a while.
    pub fn release(&mut self) {
        self.end = 0;
        self.vain = 0;
        self.pin = None;
    }

    /// Reads the record at the position, and moves past it.
    ///
    /// # Errors
    /// [`TryReadError`]: nothing is there yet, records were lost, or the ring has ended.
    #[inline]
    pub fn try_read(&mut self) -> Result<&T, TryReadError> {
        self.read_batch(1).map(|values| &values[0])
    }

    /// Reads up to `max` records (at least one) from the position on, and moves past them: what there is of the current
    /// segment.
    ///
    /// # Errors
    /// As for [`try_read`](Self::try_read).
    #[inline]
    pub fn read_batch(&mut self, max: usize) -> Result<&[T], TryReadError> {
        if self.position >= self.end {
            let tail = self.ring.chain.tail();
            if !self.extend_run(tail) {
                if self.position >= tail && self.keeps_polling() {
                    return Err(TryReadError::Empty);
                }
                self.find_run()?;
            }
        }
        let from = (self.position - self.base) as usize;
        let left = (self.end - self.position) as usize;
        let records = left.min(max.max(1));
        self.position += records as u64;
        // SAFETY: there is a run: sequences below `end` are published, and in the block that the pin keeps.
        Ok(unsafe { (*self.block).values(from, from + records) })
    }

    /// Whether more of the segment that is kept has been published.
    #[inline]
    fn extend_run(&mut self, tail: u64) -> bool {
        let Some(pin) = &self.pin else { return false };
        let end = pin.segment().limit().min(tail);
        let found = self.position < end && self.position >= self.ring.chain.oldest_at(tail);
        if found {
            self.end = end;
            self.vain = 0;
        }
        found
    }

    /// Counts a look that found nothing: whether the segment is still kept, for a reader that polls.
    #[inline]
    fn keeps_polling(&mut self) -> bool {
        self.vain += 1;
        if self.vain == 1 {
            for _ in 0..PAUSE_TURNS {
                core::hint::spin_loop();
            }
        }
        self.pin.is_some() && self.vain < VAIN_LOOKS && !self.ring.chain.is_closed()
    }

    /// Looks for the position in whatever segment it is.
    #[inline(never)]
    fn find_run(&mut self) -> Result<(), TryReadError> {
        self.release();
        match self.look(self.position) {
            Look::Here { pin, end } => {
                self.stand(pin, end);
                Ok(())
            }
            Look::Empty => Err(TryReadError::Empty),
            Look::Closed => Err(TryReadError::Closed),
            Look::Lapped(oldest) => Err(self.lap(oldest)),
        }
    }

    fn look(&mut self, position: u64) -> Look<SlotBlock<T>> {
        // SAFETY: the pin is kept beside `self.ring`, and dropped before it.
        unsafe { self.ring.chain.look(position, &mut self.hint) }
    }

    fn stand(&mut self, pin: Pinned<SlotBlock<T>>, end: u64) {
        self.base = pin.segment().base();
        self.block = pin.block();
        self.end = end;
        self.pin = Some(pin);
    }

    /// Moves on to what is left, exactly, and holds on to it.
    #[cold]
    fn lap(&mut self, mut oldest: u64) -> TryReadError {
        let from = self.position;
        loop {
            match self.look(oldest) {
                Look::Here { pin, end } => break self.stand(pin, end),
                Look::Lapped(further) => oldest = further,
                Look::Empty | Look::Closed => break,
            }
        }
        self.position = oldest;
        TryReadError::Lapped { from, to: oldest }
    }
}

#[cfg(feature = "std")]
impl<T: Send + Sync> Waits for Reader<T> {
    fn is_ready(&self) -> bool {
        self.is_ready()
    }

    fn release(&mut self) {
        self.release();
    }

    fn waiters(&self) -> Option<&WaitList> {
        self.ring.chain.waiters()
    }

    fn ticket(&mut self) -> &mut Option<Ticket> {
        &mut self.ticket
    }
}

impl<T: Send + Sync> Clone for Reader<T> {
    /// A reader at the same position, which keeps no segment.
    fn clone(&self) -> Self {
        let mut clone = Self::new(self.ring.clone(), self.position);
        clone.hint = self.hint;
        clone
    }
}

impl<T: Send + Sync> Drop for Reader<T> {
    fn drop(&mut self) {
        self.release(); // before the ring goes
        #[cfg(feature = "std")]
        self.forget_ticket();
    }
}

impl<T: Send + Sync> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("position", &self.position)
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}
