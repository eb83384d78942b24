//! The queue: batches under assembly, closed ones, and those that rest before a retry.
//!
//! Pure: it never waits, never reads a clock (`now` is passed in) and never runs user code, so it
//! can stand behind locks with critical sections of tens of nanoseconds. Who waits for
//! what is [`Core`](crate::core::Core)'s business.
//!
//! ```text
//!            lane            one lane; with an order by key one per worker, a key always in the same
//!    put ─► tray             lane 0's open batch, laid out behind a lock of its own (`tray.rs`)
//!   offer ─► open [a b c]    the only batch under assembly; closed by items, bytes, linger, …
//!               │ close: the whole Vec moves, no item does
//!               ▼
//!            closed [..][..] ─► take ─► a worker ─► settle: processed, failed, or back:
//!               ▲                                     │
//!               └──────────── resting ◄───────────────┘ until its backoff is over
//! ```
//!
//! # Invariants
//!
//! - **Q1** Every accepted item is in exactly one place: `open`, `closed`, `resting`, `set_aside` or
//!   a worker's hands; it leaves through `settle`, `evict` or `take_all`, and each of them counts it.
//! - **Q2** `queued` is the items in `open`, `closed`, `resting` and `set_aside`; new items are
//!   offered only while `queued < capacity`.
//! - **Q3** With an order by key, a lane has at most one batch in a worker's hands or resting, and
//!   its later batches wait behind it.
//! - **Q4** `outstanding` counts, per flush epoch, the batches closed in it that have not ended. A flush closes
//!   what is open, so what was taken in before it is among them.

mod outlet;
mod tray;

use std::collections::VecDeque;
use std::iter;
use std::ops::{Index, IndexMut};
use std::time::Instant;

pub(crate) use outlet::{Hand, Settled, Take};
pub(crate) use tray::Tray;

use crate::batch::{Assembly, BatchLimits, Verdict};
use crate::counters::Counters;
use crate::ticket::{Ticket, Tickets};

/// A closed batch, or what is left of one.
pub(crate) struct Closed<T, R> {
    /// A deque for the sake of `evict`; its items always lie in one piece.
    items: VecDeque<T>,
    tickets: Option<Tickets<R>>,
    epoch: u64,
    lane: u32,
    attempts: u32,
}

/// Whether items are taken in and given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// Both.
    Running,
    /// Not taken in any more; what is there is processed.
    Draining,
    /// Neither.
    Stopped,
}

/// Why a batch was closed.
#[derive(Debug, Clone, Copy)]
enum Cause {
    Items,
    Bytes,
    Linger,
    Idle,
    FullQueue,
    Flush,
    Stop,
}

/// What a worker needs comes first.
#[repr(C)]
struct Lane<T, R> {
    closed: VecDeque<Closed<T, R>>,
    /// Q3: one of its batches is in a worker's hands. Not used without an order by key.
    busy: bool,
    /// Q3: its front batch rests until then.
    resting_until: Option<Instant>,
    open: Vec<T>,
    tickets: Option<Tickets<R>>,
    assembly: Assembly,
}

/// Laid out by who changes what for every batch: a cache line that both sides change moves from core to core with
/// each. Both do so to the first lane's `closed`, and to what stands here up to `running`; those who close a
/// batch to `counters.accepted`, a worker to the counts at the end; the rest hardly ever changes.
#[repr(C)]
pub(crate) struct Queue<T, R> {
    lanes: Lanes<T, R>,
    /// The Vec to assemble into next; without room if there is none.
    next: Vec<T>,
    queued: usize,
    /// Q4: the batches of the current epoch.
    outstanding: usize,
    /// Batches in workers' hands.
    pub(crate) running: usize,
    pub(crate) mode: Mode,
    /// Somebody found the queue full and it has not had room since.
    pub(crate) pressed: bool,
    ordered: bool,
    adaptive: bool,
    /// How long the last closed batch was: what the next one makes room for.
    typical: usize,
    capacity: usize,
    /// Items of `queued` that no worker can take now: set aside or resting.
    held: usize,
    /// More empty Vecs, and for how many items they have room together.
    spare: Vec<Vec<T>>,
    spare_items: usize,
    pub(crate) counters: Counters,
    /// Q4: the batches of earlier epochs that a flush has ended, from `first_epoch` on.
    earlier: VecDeque<usize>,
    first_epoch: u64,
    /// Retries of the unordered form, at most one per worker.
    resting: Vec<(Instant, Closed<T, R>)>,
    set_aside: Vec<Closed<T, R>>,
    /// Where the search for work goes on, so that no lane starves.
    next_lane: usize,
    /// What `snapshot` tells as counters.
    processed: u64,
    in_process: u64,
}

/// One lane or more: the first is not apart from the queue, as most have no other.
#[repr(C)]
struct Lanes<T, R> {
    first: Lane<T, R>,
    others: Vec<Lane<T, R>>,
}

impl<T, R> Lanes<T, R> {
    fn len(&self) -> usize {
        1 + self.others.len()
    }

    fn iter(&self) -> impl Iterator<Item = &Lane<T, R>> {
        iter::once(&self.first).chain(&self.others)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane<T, R>> {
        iter::once(&mut self.first).chain(&mut self.others)
    }
}

impl<T, R> Index<usize> for Lanes<T, R> {
    type Output = Lane<T, R>;

    #[inline]
    fn index(&self, lane: usize) -> &Lane<T, R> {
        match lane {
            0 => &self.first,
            lane => &self.others[lane - 1],
        }
    }
}

impl<T, R> IndexMut<usize> for Lanes<T, R> {
    #[inline]
    fn index_mut(&mut self, lane: usize) -> &mut Lane<T, R> {
        match lane {
            0 => &mut self.first,
            lane => &mut self.others[lane - 1],
        }
    }
}

/// What offering an item changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offered {
    /// A batch was closed.
    pub(crate) closed: bool,
    /// The item is the first of a batch that is still open.
    pub(crate) first: bool,
}

impl<T, R> Queue<T, R> {
    /// `ordered_lanes` asks for an order within each of so many lanes.
    pub(crate) fn new(
        limits: &BatchLimits,
        capacity: usize,
        ordered_lanes: Option<usize>,
        adaptive: bool,
    ) -> Self {
        let lanes = ordered_lanes.unwrap_or(1).max(1);
        let empty = || Lane {
            open: Vec::new(),
            assembly: Assembly::new(limits.clone()),
            tickets: None,
            closed: VecDeque::new(),
            busy: false,
            resting_until: None,
        };
        Self {
            lanes: Lanes {
                first: empty(),
                others: iter::repeat_with(empty).take(lanes - 1).collect(),
            },
            next: Vec::new(),
            queued: 0,
            outstanding: 0,
            running: 0,
            mode: Mode::Running,
            pressed: false,
            ordered: ordered_lanes.is_some(),
            adaptive,
            typical: 4,
            capacity,
            held: 0,
            spare: Vec::new(),
            spare_items: 0,
            counters: Counters::default(),
            earlier: VecDeque::new(),
            first_epoch: 0,
            resting: Vec::new(),
            set_aside: Vec::new(),
            next_lane: 0,
            processed: 0,
            in_process: 0,
        }
    }

    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.queued)
    }

    /// Whether an item can be offered now.
    #[inline]
    pub(crate) fn takes_items(&self) -> bool {
        self.mode == Mode::Running && self.queued < self.capacity
    }

    /// Whether waiting enqueuers should be called: at half the capacity, so that they come back
    /// once for many items.
    pub(crate) fn has_ample_room(&self) -> bool {
        let usable = self.capacity.saturating_sub(self.held);
        self.room() > 0 && (self.queued - self.held) * 2 <= usable
    }

    /// Whether a batch under assembly should not wait for its linger: a worker looking for work
    /// takes it at once.
    pub(crate) fn wants_open_at_once(&self) -> bool {
        self.adaptive || self.mode != Mode::Running || self.pressed
    }

    /// Takes an item in. The caller has seen `mode` and `room` under the same lock.
    #[inline]
    pub(crate) fn offer(
        &mut self,
        item: T,
        bytes: usize,
        lane: usize,
        now: impl Fn() -> Instant,
    ) -> Offered {
        self.place(item, bytes, lane, now, |_| ())
    }

    /// [`offer`](Self::offer) with a ticket for the item's result.
    pub(crate) fn submit(
        &mut self,
        item: T,
        bytes: usize,
        lane: usize,
        now: impl Fn() -> Instant,
    ) -> (Offered, Ticket<R>) {
        let (mut issued, expected) = (None, self.typical);
        let offered = self.place(item, bytes, lane, now, |slot| {
            let position = slot.open.len();
            issued = Some(
                slot.tickets
                    .get_or_insert_with(|| Tickets::new(expected))
                    .issue(position),
            );
        });
        (offered, issued.expect("`place` runs the closure once"))
    }

    #[inline]
    fn place(
        &mut self,
        item: T,
        bytes: usize,
        lane: usize,
        now: impl Fn() -> Instant,
        before_push: impl FnOnce(&mut Lane<T, R>),
    ) -> Offered {
        let mut offered = Offered {
            closed: false,
            first: false,
        };
        let mut verdict = self.lanes[lane].assembly.add_at(bytes, &now);
        if verdict == Verdict::CloseBefore {
            self.close(lane, Cause::Bytes);
            offered.closed = true;
            verdict = self.lanes[lane].assembly.add_at(bytes, &now);
        }
        if self.lanes[lane].open.is_empty() {
            self.make_room_in(lane);
            offered.first = true;
        }
        let slot = &mut self.lanes[lane];
        before_push(slot);
        slot.open.push(item);
        self.queued += 1;
        self.counters.accepted += 1;
        if verdict == Verdict::Close {
            let full = slot.assembly.items() >= slot.assembly.limits().max_items();
            self.close(lane, if full { Cause::Items } else { Cause::Bytes });
            offered = Offered {
                closed: true,
                first: false,
            };
        }
        offered
    }

    /// Takes in as many weightless items as there is room for, from the front of `items`.
    pub(crate) fn offer_many(&mut self, items: &mut Vec<T>, now: impl Fn() -> Instant) -> Offered {
        let mut offered = Offered {
            closed: false,
            first: false,
        };
        while self.room() > 0 && !items.is_empty() {
            if self.lanes[0].open.is_empty() {
                self.make_room_in(0);
                offered.first = true;
            }
            let room = self.room();
            let slot = &mut self.lanes[0];
            let count = items.len().min(room).min(slot.assembly.room());
            let verdict = slot.assembly.add_weightless(count, &now);
            if count == items.len() && slot.open.is_empty() && slot.open.capacity() < count {
                slot.open.append(items);
            } else {
                slot.open.extend(items.drain(..count));
            }
            self.queued += count;
            self.counters.accepted += count as u64;
            if verdict == Verdict::Close {
                self.close(0, Cause::Items);
                offered = Offered {
                    closed: true,
                    first: false,
                };
            }
        }
        offered
    }

    /// Gives an empty batch under assembly an empty Vec, used before if there is one.
    fn make_room_in(&mut self, lane: usize) {
        let slot = &mut self.lanes[lane];
        if slot.open.capacity() > 0 {
            return;
        }
        slot.open = std::mem::take(&mut self.next);
        if slot.open.capacity() == 0 {
            slot.open = self.spare.pop().unwrap_or_default();
            self.spare_items -= slot.open.capacity();
        }
        if slot.open.capacity() == 0 {
            let wanted = self.typical.min(slot.assembly.limits().max_items());
            slot.open.reserve_exact(wanted);
        }
    }

    fn close(&mut self, lane: usize, cause: Cause) {
        let slot = &mut self.lanes[lane];
        debug_assert!(!slot.open.is_empty(), "an empty batch is never closed");
        let items = std::mem::take(&mut slot.open);
        // A store that changes nothing would still move its line.
        if self.typical != items.len() {
            self.typical = items.len();
        }
        slot.assembly.reset();
        let tickets = slot.tickets.take();
        self.outstanding += 1;
        slot.closed.push_back(Closed {
            items: VecDeque::from(items),
            tickets,
            epoch: self.first_epoch + self.earlier.len() as u64,
            lane: lane as u32,
            attempts: 0,
        });
        let counters = &mut self.counters;
        *match cause {
            Cause::Items => &mut counters.closed_by_items,
            Cause::Bytes => &mut counters.closed_by_bytes,
            Cause::Linger => &mut counters.closed_by_linger,
            Cause::Idle => &mut counters.closed_by_idle,
            Cause::FullQueue => &mut counters.closed_by_full_queue,
            Cause::Flush => &mut counters.closed_by_flush,
            Cause::Stop => &mut counters.closed_by_stop,
        } += 1;
    }

    /// Closes every batch under assembly and starts a new epoch, which is returned: see
    /// [`is_flushed`](Self::is_flushed).
    pub(crate) fn flush(&mut self) -> u64 {
        for lane in 0..self.lanes.len() {
            if !self.lanes[lane].open.is_empty() {
                self.close(lane, Cause::Flush);
            }
        }
        if self.outstanding > 0 {
            self.earlier
                .push_back(std::mem::take(&mut self.outstanding));
        }
        self.epoch()
    }

    /// The current epoch.
    fn epoch(&self) -> u64 {
        self.first_epoch + self.earlier.len() as u64
    }

    /// Whether everything taken in before this epoch began is done.
    pub(crate) fn is_flushed(&self, epoch: u64) -> bool {
        self.first_epoch >= epoch
    }

    /// How many batches of this epoch have not ended.
    fn outstanding_of(&mut self, epoch: u64) -> &mut usize {
        let index = (epoch - self.first_epoch) as usize;
        self.earlier.get_mut(index).unwrap_or(&mut self.outstanding)
    }

    fn end_batch(&mut self, epoch: u64) {
        *self.outstanding_of(epoch) -= 1;
        while self.earlier.front() == Some(&0) {
            self.earlier.pop_front();
            self.first_epoch += 1;
        }
    }

    /// Takes the tickets of everything queued, for whoever tells their holders.
    pub(crate) fn take_tickets(&mut self) -> Vec<Tickets<R>> {
        let resting = self.resting.iter_mut().map(|(_, closed)| closed);
        let mut tickets: Vec<_> = resting.filter_map(|closed| closed.tickets.take()).collect();
        for slot in self.lanes.iter_mut() {
            tickets.extend(
                slot.closed
                    .iter_mut()
                    .filter_map(|closed| closed.tickets.take()),
            );
            tickets.extend(slot.tickets.take());
        }
        tickets.extend(
            self.set_aside
                .iter_mut()
                .filter_map(|closed| closed.tickets.take()),
        );
        tickets
    }

    /// Whether nothing is left for a worker, now and later.
    pub(crate) fn is_drained(&self) -> bool {
        match self.mode {
            Mode::Running => false,
            Mode::Draining => self.queued == self.set_aside_items() && self.running == 0,
            Mode::Stopped => true,
        }
    }

    fn set_aside_items(&self) -> usize {
        self.set_aside.iter().map(|closed| closed.items.len()).sum()
    }

    /// Whether a worker that looked now would find a closed batch.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        if self.ordered {
            let mut free = self.lanes.iter().filter(|slot| Self::is_free(slot));
            free.any(|slot| !slot.closed.is_empty())
        } else {
            !self.lanes[0].closed.is_empty()
        }
    }

    fn is_free(slot: &Lane<T, R>) -> bool {
        !slot.busy && slot.resting_until.is_none()
    }

    /// Whether a batch closed in this lane could be taken, or waits behind another (Q3).
    #[inline]
    pub(crate) fn lane_is_free(&self, lane: usize) -> bool {
        Self::is_free(&self.lanes[lane])
    }

    pub(crate) fn open_deadline(&self, lane: usize) -> Option<Instant> {
        self.lanes[lane].assembly.deadline()
    }

    /// The nearest moment at which something is due that no worker has been told of.
    pub(crate) fn nearest_deadline(&self) -> Option<Instant> {
        let lanes = self.lanes.iter().filter(|slot| !slot.busy);
        lanes
            .flat_map(|slot| [slot.assembly.deadline(), slot.resting_until])
            .chain(self.resting.iter().map(|(until, _)| Some(*until)))
            .flatten()
            .min()
    }

    pub(crate) fn snapshot(&self) -> Counters {
        let mut counters = self.counters;
        counters.processed = self.processed;
        counters.in_process = self.in_process;
        counters.queued = self.queued as u64;
        counters.set_aside = self.set_aside_items() as u64;
        counters
    }
}
