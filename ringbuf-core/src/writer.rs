//! The producer's side of a chain: its segments, from installed to taken back.
//!
//! Owned by the one producer; readers never see it. Knows nothing of what a block holds.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use crate::chain::Chain;
use crate::segment::{Block, Link, OPEN, Segment};
use crate::sync::Arc;

/// How many retired segments an install looks at: more than it can add, so that they go down.
const SWEEP: usize = 8;

/// A segment, with what the producer knows of it.
#[derive(Debug)]
pub(crate) struct Live<B> {
    pub(crate) link: Link<B>,
    /// Sequence of the first record.
    pub(crate) base: u64,
    /// Bytes of all records before it since the ring began.
    pub(crate) base_bytes: u64,
}

impl<B> Clone for Live<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Live<B> {}

/// A block taken back, with so many records still in it.
#[derive(Debug)]
pub(crate) struct Taken<B> {
    block: B,
    records: usize,
}

impl<B: Block> Taken<B> {
    /// What the block takes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.block.memory()
    }

    /// Drops the records, and gives the block, which can be filled again.
    pub(crate) fn cleared(mut self) -> B {
        self.block.clear(self.records);
        self.block
    }
}

#[derive(Debug)]
pub(crate) struct Writer<B: Block> {
    chain: Arc<Chain<B>>,
    /// In the directory, oldest first; the last one is open.
    live: VecDeque<Live<B>>,
    /// Filled by what is not published yet; readers cannot enter.
    pending: VecDeque<Live<B>>,
    /// Evicted while a reader was inside.
    retired: VecDeque<Link<B>>,
    /// Headers without a block, taken.
    free: Vec<Link<B>>,
    /// Number of the first segment in the directory.
    first: u64,
}

impl<B: Block> Writer<B> {
    pub(crate) fn new(chain: Arc<Chain<B>>) -> Self {
        Self {
            chain,
            live: VecDeque::new(),
            pending: VecDeque::new(),
            retired: VecDeque::new(),
            free: Vec::new(),
            first: 0,
        }
    }

    /// Segments that readers can find, oldest first.
    pub(crate) fn live(&self) -> &VecDeque<Live<B>> {
        &self.live
    }

    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The segment that is written to: the newest of all.
    pub(crate) fn open(&self) -> Option<&Live<B>> {
        self.pending.back().or_else(|| self.live.back())
    }

    #[inline]
    pub(crate) fn segment(&self, live: &Live<B>) -> &Segment<B> {
        self.chain.segment(live.link)
    }

    /// The block of one of [`live`](Self::live), or of the open segment.
    #[inline]
    pub(crate) fn block(&self, live: &Live<B>) -> &B {
        let segment = self.segment(live);
        segment.block_witness().read(0, 1);
        // SAFETY: the producer itself; `swap_block` needs `&mut self`.
        let block = unsafe { &*segment.block() };
        block.as_ref().expect("a segment in use has a block")
    }

    /// Begins a segment at `base`, unseen by readers until [`commit`](Self::commit). The block is
    /// counted as memory already.
    pub(crate) fn begin(&mut self, block: B, base: u64, base_bytes: u64) {
        let link = self.free.pop().unwrap_or_else(|| self.chain.new_header());
        let none = self.swap_block(link, Some(block)); // the header is taken: fresh, or from `free`
        debug_assert!(none.is_none(), "a free header has no block");
        let segment = self.chain.segment(link);
        segment.begin(
            base,
            self.first + (self.live.len() + self.pending.len()) as u64,
        );
        self.pending.push_back(Live {
            link,
            base,
            base_bytes,
        });
    }

    /// Lets readers into what was begun: before the tail that covers it is published.
    pub(crate) fn commit(&mut self) {
        while let Some(next) = self.pending.pop_front() {
            if let Some(open) = self.live.back() {
                self.segment(open).seal(next.base);
            }
            self.segment(&next).pin.release();
            self.chain
                .install(next.link, self.first, self.first + self.live.len() as u64);
            self.live.push_back(next);
        }
    }

    /// Takes back one block that was begun and not committed.
    pub(crate) fn abandon(&mut self) -> Option<B> {
        let begun = self.pending.pop_back()?;
        self.take_block(begun.link)
    }

    /// Whether the oldest segment has only records below `oldest`.
    fn has_below(&self, oldest: u64) -> bool {
        let second = self.live.get(1);
        second.is_some_and(|second| second.base <= oldest)
    }

    /// Takes the oldest segment out if all its records are below `oldest`, which must be visible to
    /// readers (C-I3). `None`: there is none, or a reader is inside (it is retired, and the next one is looked at).
    pub(crate) fn evict(&mut self, oldest: u64) -> Option<Taken<B>> {
        while self.has_below(oldest) {
            if let Some(taken) = self.evict_front() {
                return Some(taken);
            }
        }
        None
    }

    /// Takes all segments out, the open one too, which ends at `tail` = oldest.
    pub(crate) fn evict_open(&mut self, tail: u64) -> Option<Taken<B>> {
        while let Some(front) = self.live.front() {
            let segment = self.segment(front);
            if segment.limit() == OPEN {
                segment.seal(tail);
            }
            if let Some(taken) = self.evict_front() {
                return Some(taken);
            }
        }
        None
    }

    fn evict_front(&mut self) -> Option<Taken<B>> {
        let front = self.live.pop_front()?;
        self.first += 1;
        self.chain.uninstall(self.first);
        self.take_or_retire(front.link)
    }

    fn take_or_retire(&mut self, link: Link<B>) -> Option<Taken<B>> {
        let segment = self.chain.segment(link);
        if !segment.pin.try_take() {
            self.retired.push_back(link);
            return None;
        }
        let records = (segment.limit() - segment.base()) as usize;
        let block = self.take_block(link)?;
        Some(Taken { block, records })
    }

    /// Only for a segment that is taken: by `try_take`, or not released since `begin`.
    fn take_block(&mut self, link: Link<B>) -> Option<B> {
        let block = self.swap_block(link, None);
        self.free.push(link);
        block
    }

    /// Only for a segment that is taken.
    fn swap_block(&mut self, link: Link<B>, block: Option<B>) -> Option<B> {
        let segment = self.chain.segment(link);
        segment.block_witness().write(0);
        // SAFETY: P-I1: the segment is taken, so no reader is inside, and the producer is one.
        mem::replace(unsafe { &mut *segment.block() }, block)
    }

    /// Looks at some retired segments, all if `all`; takes one that its readers have left.
    pub(crate) fn sweep(&mut self, looks: &mut Sweep) -> Option<Taken<B>> {
        while looks.0 > 0 {
            looks.0 -= 1;
            let link = self.retired.pop_front()?;
            if let Some(taken) = self.take_or_retire(link) {
                return Some(taken);
            }
        }
        None
    }

    /// A few looks: what an install affords.
    pub(crate) fn some_looks(&self) -> Sweep {
        Sweep(self.retired.len().min(SWEEP))
    }

    /// A look at each retired segment.
    pub(crate) fn all_looks(&self) -> Sweep {
        Sweep(self.retired.len())
    }
}

/// How many retired segments are still to be looked at.
#[derive(Debug)]
pub(crate) struct Sweep(usize);
