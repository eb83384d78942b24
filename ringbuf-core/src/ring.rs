//! `Ring<T>`: the broadcast ring for values of any type, read by reference.
//!
//! The mechanism and its proof are the chain's (`chain.rs`); appending is `producer.rs` and
//! `shared_producer.rs`, reading `reader.rs`, waiting `wait.rs`.

use core::fmt;

use crate::chain::Chain;
use crate::error::InvalidOptions;
use crate::producer::Producer;
use crate::reader::Reader;
use crate::slot_block::SlotBlock;
use crate::sync::Arc;

/// A segment has at most so many slots: enough that what is done once a segment does not show.
const MAX_SLOTS: usize = 4096;
/// And takes at most so much memory, beyond the fewest slots.
const MAX_SEGMENT_BYTES: usize = 128 * 1024;
const MIN_SLOTS: usize = 8;

/// How a [`Ring`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOptions {
    capacity: usize,
    waiting: bool,
}

impl RingOptions {
    /// A ring that keeps the newest `capacity` records, whose readers poll.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            waiting: false,
        }
    }

    /// Lets readers sleep until a record comes. Each publication then costs a full fence and a look at
    /// a word; a ring without it pays nothing.
    #[cfg(feature = "std")]
    #[must_use]
    pub const fn with_waiting(mut self) -> Self {
        self.waiting = true;
        self
    }

    /// A ring by these options, and its only producer, which [`Producer::share`] makes many.
    ///
    /// # Errors
    /// A capacity of 0, or more than memory can address.
    pub fn build<T: Send + Sync>(self) -> Result<(Producer<T>, Ring<T>), InvalidOptions> {
        let most = (MAX_SEGMENT_BYTES / size_of::<T>().max(1)).clamp(MIN_SLOTS, MAX_SLOTS);
        let slots = (self.capacity / 8)
            .next_power_of_two()
            .clamp(MIN_SLOTS, most);
        self.build_at(0, slots)
    }

    /// A ring whose first record will be `start`, of segments with so many slots.
    #[doc(hidden)]
    pub fn build_at<T: Send + Sync>(
        self,
        start: u64,
        slots: usize,
    ) -> Result<(Producer<T>, Ring<T>), InvalidOptions> {
        if self.capacity == 0 {
            return Err(InvalidOptions::NoRecords);
        }
        if self
            .capacity
            .checked_mul(size_of::<T>().max(1))
            .is_none_or(|bytes| isize::try_from(bytes).is_err())
        {
            return Err(InvalidOptions::TooManyRecords {
                records: self.capacity as u64,
            });
        }
        #[cfg_attr(not(feature = "std"), expect(unused_mut, reason = "nobody sleeps"))]
        let mut chain = Chain::new(start, self.capacity as u64);
        #[cfg(feature = "std")]
        if self.waiting {
            chain.let_readers_sleep();
        }
        let ring = Ring {
            chain: Arc::new(chain),
        };
        Ok((
            Producer::new(ring.clone(), start, self.capacity as u64, slots),
            ring,
        ))
    }
}

/// A broadcast ring: the read side, and the factory of readers.
///
/// [`Producer`]s append and never wait for a reader; any number of [`Reader`]s read by reference, each
/// at its own position, from any sequence that is kept. A reader that falls more than the capacity behind
/// is *lapped*: its next read says exactly which sequences it lost.
///
/// The newest `capacity` records can be read. Older values are dropped later, a segment at a time: at most two
/// segments (about an eighth of the capacity each, at most 4 096 slots and 128 KiB, but at least 8 slots) beyond the capacity, and those in which readers stand. They are dropped by the
/// thread that appends, after it has published, outside of any lock, and by the thread that drops the last handle.
///
/// Cloning is cheap: all clones are the same ring.
///
/// ```
/// use ringbuf_core::{Ring, TryReadError};
///
/// let (mut producer, ring) = Ring::new(2)?;
/// let mut reader = ring.reader(0);
/// assert_eq!(producer.append("one"), 0);
/// assert_eq!(producer.append_batch(["two", "three"]), 1..3);
///
/// assert_eq!(reader.try_read(), Err(TryReadError::Lapped { from: 0, to: 1 }));
/// assert_eq!(reader.try_read(), Ok(&"two"));
/// assert_eq!(reader.read_batch(10), Ok(&["three"][..]));
/// assert_eq!(reader.try_read(), Err(TryReadError::Empty));
/// # Ok::<(), ringbuf_core::InvalidOptions>(())
/// ```
pub struct Ring<T: Send + Sync> {
    pub(crate) chain: Arc<Chain<SlotBlock<T>>>,
}

impl<T: Send + Sync> Ring<T> {
    /// A ring that keeps the newest `capacity` records, and its producer: [`RingOptions`] has more.
    ///
    /// # Errors
    /// A capacity of 0, or more than memory can address.
    #[allow(
        clippy::new_ret_no_self,
        reason = "the ring comes with its only producer"
    )]
    pub fn new(capacity: usize) -> Result<(Producer<T>, Self), InvalidOptions> {
        RingOptions::new(capacity).build()
    }

    /// The oldest sequence that is kept; [`tail`](Self::tail) when there is none.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.chain.oldest_at(self.chain.tail())
    }

    /// The sequence that the next record will have: what is below it is published.
    #[must_use]
    pub fn tail(&self) -> u64 {
        self.chain.tail()
    }

    /// Whether no more records will come: closed, or all producers were dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.chain.is_closed()
    }

    /// Bytes that the ring holds for slots and headers, spare and pinned segments included. What the
    /// values point to is not known here.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.chain.memory_bytes() as u64
    }

    /// A reader at `position`, which can be any: below [`oldest`](Self::oldest), its first read says what
    /// is lost; above [`tail`](Self::tail), it finds nothing until that record comes.
    #[must_use]
    pub fn reader(&self, position: u64) -> Reader<T> {
        Reader::new(self.clone(), position)
    }
}

impl<T: Send + Sync> Clone for Ring<T> {
    fn clone(&self) -> Self {
        Self {
            chain: Arc::clone(&self.chain),
        }
    }
}

impl<T: Send + Sync> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.tail();
        f.debug_struct("Ring")
            .field("oldest", &self.chain.oldest_at(tail))
            .field("tail", &tail)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
