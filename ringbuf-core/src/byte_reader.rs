//! The read side of a `ByteRing`: a position, and runs of records that stay while they are held.

use alloc::fmt;
use core::ops::Range;

use crate::byte_block::ByteBlock;
use crate::byte_ring::ByteRing;
use crate::chain::{Chain, Hint, Look, Pinned};
use crate::error::TryReadError;
use crate::sync::Arc;
#[cfg(feature = "std")]
use crate::wait::{Ticket, WaitList, Waits};

/// A reader of a [`ByteRing`]: a position and a reference.
///
/// It costs the producer nothing, wherever it stands. While no [`ByteRun`] is held it keeps no
/// segment, with one exception: lapped twice in a row without a read between, it keeps the segment where it
/// resumes until the next read, so that a producer at full speed cannot lap it for ever.
pub struct ByteReader {
    ring: ByteRing,
    position: u64,
    hint: Hint<ByteBlock>,
    /// The last read said `Lapped`.
    lapped: bool,
    /// The segment of `position`, kept after the second lap in a row. Before `ring` goes.
    resume: Option<Pinned<ByteBlock>>,
    #[cfg(feature = "std")]
    ticket: Option<Ticket>,
}

impl ByteReader {
    pub(crate) fn new(ring: ByteRing, position: u64) -> Self {
        Self {
            ring,
            position,
            hint: Hint::NONE,
            lapped: false,
            resume: None,
            #[cfg(feature = "std")]
            ticket: None,
        }
    }

    /// The sequence that the next read begins with.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes on at `to`, which can be any sequence: see [`ByteRing::reader`].
    pub fn seek(&mut self, to: u64) {
        self.position = to;
        self.lapped = false;
        self.resume = None;
    }

    /// How many records the ring has published that this reader is not past; those that it would
    /// find lost are counted too.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.ring.tail().saturating_sub(self.position)
    }

    /// The ring that this reads.
    #[must_use]
    pub fn ring(&self) -> &ByteRing {
        &self.ring
    }

    /// Whether a read would give something else than [`Empty`](TryReadError::Empty).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.position < self.ring.tail() || self.ring.is_closed()
    }

    /// Keeps no segment any more: for a reader that was lapped, and will not read for a while.
    pub fn release(&mut self) {
        self.resume = None;
    }

    /// Reads what is there from the position on, as one run: at most `max_records` records and
    /// `max_bytes` bytes, but at least one record; never across the end of a segment. The position moves past the run.
    ///
    /// # Errors
    /// [`TryReadError`]: nothing is there yet, records were lost, or the ring has ended.
    #[inline]
    pub fn try_read(
        &mut self,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<ByteRun<'_>, TryReadError> {
        let (pin, end) = match self.resume.take() {
            Some(pin) => {
                let end = self.ring.tail().min(pin.segment().limit());
                (pin, end)
            }
            None => match self.look(self.position) {
                Look::Here { pin, end } => (pin, end),
                Look::Empty => return Err(TryReadError::Empty),
                Look::Closed => return Err(TryReadError::Closed),
                Look::Lapped(oldest) => return Err(self.lap(oldest)),
            },
        };
        self.lapped = false;
        let base = pin.segment().base();
        let index = (self.position - base) as usize;
        let run = Run::new(pin, self.position, index, (end - self.position) as usize)
            .shortened(max_records, max_bytes);
        self.position += run.records as u64;
        Ok(ByteRun {
            run,
            chain: &self.ring.chain,
        })
    }

    #[inline]
    fn look(&mut self, position: u64) -> Look<ByteBlock> {
        // SAFETY: the pin is kept beside `self.ring`, or in a run that borrows or owns the chain.
        unsafe { self.ring.chain.look(position, &mut self.hint) }
    }

    /// Moves on to what is left, exactly.
    #[cold]
    fn lap(&mut self, mut oldest: u64) -> TryReadError {
        let from = self.position;
        if self.lapped {
            // No read came between two laps: hold on to where we resume, wherever that is by now.
            loop {
                match self.look(oldest) {
                    Look::Here { pin, .. } => break self.resume = Some(pin),
                    Look::Lapped(further) => oldest = further,
                    Look::Empty | Look::Closed => break,
                }
            }
        }
        self.lapped = true;
        self.position = oldest;
        TryReadError::Lapped { from, to: oldest }
    }
}

#[cfg(feature = "std")]
impl Waits for ByteReader {
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

impl Clone for ByteReader {
    /// A reader at the same position, which keeps no segment.
    fn clone(&self) -> Self {
        let mut clone = Self::new(self.ring.clone(), self.position);
        clone.hint = self.hint;
        clone.lapped = self.lapped;
        clone
    }
}

impl Drop for ByteReader {
    fn drop(&mut self) {
        self.release(); // before the ring goes
        #[cfg(feature = "std")]
        self.forget_ticket();
    }
}

impl fmt::Debug for ByteReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteReader")
            .field("position", &self.position)
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}

/// Consecutive records of one segment, which the pin keeps. Goes before the chain does.
#[derive(Debug)]
struct Run {
    pin: Pinned<ByteBlock>,
    base: u64,
    /// Of the first record in its block.
    index: usize,
    records: usize,
    /// Of the first record's bytes in the block.
    start: usize,
}

impl Run {
    /// `records` records from `base` = record `index` of the pinned block on, all published.
    #[inline]
    fn new(pin: Pinned<ByteBlock>, base: u64, index: usize, records: usize) -> Self {
        let mut run = Self {
            pin,
            base,
            index,
            records,
            start: 0,
        };
        run.start = run.edge(0);
        run
    }

    /// Where record number `record` of the run starts in the block, and the one before ends.
    #[inline]
    fn edge(&self, record: usize) -> usize {
        // SAFETY: the run's records are published, the one before it is, and the pin keeps the block.
        unsafe { self.pin.block().places().start(self.index + record) }
    }

    #[inline]
    fn shortened(mut self, max_records: usize, max_bytes: usize) -> Self {
        self.records = self.records.min(max_records.max(1));
        if self.end(self.records - 1) > max_bytes {
            // The first record counts always; of the others, those that end within the limit.
            let (mut fit, mut over) = (1, self.records);
            while fit < over {
                let middle = over - (over - fit) / 2;
                if self.end(middle - 1) <= max_bytes {
                    fit = middle;
                } else {
                    over = middle - 1;
                }
            }
            self.records = fit;
        }
        self
    }

    #[inline]
    fn end(&self, record: usize) -> usize {
        if record >= self.records {
            no_record(record, self.records);
        }
        self.edge(record + 1) - self.start
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        let end = self.start + self.end(self.records - 1);
        // SAFETY: from the start of the first to the end of the last record of the run.
        unsafe { self.pin.block().bytes(self.start, end) }
    }

    #[inline]
    fn range(&self, record: usize) -> Option<Range<usize>> {
        (record < self.records).then(|| {
            let start = if record == 0 { 0 } else { self.end(record - 1) };
            start..self.end(record)
        })
    }
}

/// Takes numbers, not references: who panics in place keeps the run in memory, where each move of it is stores and loads.
#[cold]
fn no_record(record: usize, records: usize) -> ! {
    panic!("record {record} of a run of {records}")
}

macro_rules! accessors {
    () => {
        /// Sequence of the first record.
        #[must_use]
        pub fn base(&self) -> u64 {
            self.run.base
        }

        /// How many records the run has: at least 1.
        #[must_use]
        #[allow(clippy::len_without_is_empty, reason = "a run is never empty")]
        pub fn len(&self) -> usize {
            self.run.records
        }

        /// The records' bytes, back to back.
        #[must_use]
        #[inline]
        pub fn bytes(&self) -> &[u8] {
            self.run.bytes()
        }

        /// Where record `i` of the run ends in [`bytes`](Self::bytes).
        ///
        /// # Panics
        /// If the run has no record `i`.
        #[must_use]
        #[inline]
        pub fn end(&self, i: usize) -> usize {
            self.run.end(i)
        }

        /// The bytes of record `i` of the run, if it has one.
        #[must_use]
        #[inline]
        pub fn get(&self, i: usize) -> Option<&[u8]> {
            self.run.range(i).map(|range| &self.run.bytes()[range])
        }

        /// The records, in order.
        pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
            let bytes = self.run.bytes();
            (0..self.run.records).map(move |record| {
                let start = if record == 0 {
                    0
                } else {
                    self.run.end(record - 1)
                };
                &bytes[start..self.run.end(record)]
            })
        }
    };
}

/// A run of records that borrows its reader. The segment that has it stays while it lives; the
/// producer goes on all the same.
#[derive(Debug)]
pub struct ByteRun<'r> {
    run: Run,
    chain: &'r Arc<Chain<ByteBlock>>,
}

impl ByteRun<'_> {
    accessors!();

    /// Its beginning: at most `max_records` records and `max_bytes` bytes, but at least one record. The reader stays where
    /// the whole run has brought it: [`seek`](ByteReader::seek) to go on behind what is kept.
    #[must_use]
    pub fn shortened(self, max_records: usize, max_bytes: usize) -> Self {
        Self {
            run: self.run.shortened(max_records, max_bytes),
            ..self
        }
    }

    /// The same run, free of its reader: keeps the ring alive and the segment where it is.
    #[must_use]
    pub fn into_owned(self) -> OwnedByteRun {
        OwnedByteRun {
            run: self.run,
            _chain: Arc::clone(self.chain),
        }
    }
}

/// A run of records that owns what it needs: it can go to any thread, and outlive readers, ring
/// and producer. While it lives, the memory of its segment (no more) is not used again.
///
/// Being `AsRef<[u8]>`, `Send` and `'static`, it is what `bytes::Bytes::from_owner` takes.
#[derive(Debug)]
pub struct OwnedByteRun {
    run: Run, // dropped before the chain that it is in
    _chain: Arc<Chain<ByteBlock>>,
}

impl OwnedByteRun {
    accessors!();
}

impl AsRef<[u8]> for OwnedByteRun {
    fn as_ref(&self) -> &[u8] {
        self.run.bytes()
    }
}
