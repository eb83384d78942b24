//! The batch under assembly, laid out for enqueues that do not end it.
//!
//! Nearly every item only lengthens a batch, or begins one that a worker will find by itself. A [`Tray`] is all that
//! such an item needs: it has a lock of its own, whose cache line it shares, and is filled without a look at the
//! rest of the queue. Whoever does anything else takes it back first, and the items put on it are counted then.

use std::time::Instant;

use super::{Mode, Queue};
use crate::ticket::{Ticket, Tickets};

/// What each item needs comes first, so that it lies on the lock's cache line.
#[repr(C)]
pub(crate) struct Tray<T, R> {
    /// How many more items may be put here: none of them fills the batch or the queue.
    room: usize,
    items: Vec<T>,
    tickets: Option<Tickets<R>>,
    /// When the batch's first item came, if it was put here.
    begun: Option<Instant>,
}

impl<T, R> Tray<T, R> {
    pub(crate) const fn new() -> Self {
        Self {
            room: 0,
            items: Vec::new(),
            tickets: None,
            begun: None,
        }
    }

    /// Takes in an item without weight of the first lane, or gives it back if the whole queue has to see it.
    #[inline]
    pub(crate) fn put(&mut self, item: T, now: impl FnOnce() -> Instant) -> Result<(), T> {
        if self.room == 0 {
            return Err(item);
        }
        if self.items.is_empty() {
            self.begun = Some(now());
        }
        self.items.push(item);
        self.room -= 1;
        Ok(())
    }

    /// [`put`](Self::put) with a ticket for the item's result.
    #[inline]
    pub(crate) fn submit(
        &mut self,
        item: T,
        now: impl FnOnce() -> Instant,
    ) -> Result<Ticket<R>, T> {
        let position = self.items.len();
        self.put(item, now)?;
        let expected = self.items.capacity();
        let tickets = self.tickets.get_or_insert_with(|| Tickets::new(expected));
        Ok(tickets.issue(position))
    }

    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(crate) const fn has_room(&self) -> bool {
        self.room > 0
    }
}

impl<T, R> Queue<T, R> {
    /// Lays the first lane's batch out on the tray; it may be begun there if nobody has to be told of its linger
    /// (`begin`). Nothing may be asked of the queue about it until it is [taken back](Self::take_back).
    #[inline]
    pub(crate) fn lay_out(&mut self, tray: &mut Tray<T, R>, begin: bool) {
        let slot = &self.lanes[0];
        let takes = self.mode == Mode::Running || crate::twin::is("tray_while_draining");
        tray.room = if takes && (begin || !slot.open.is_empty()) {
            (slot.assembly.room() - 1).min(self.room())
        } else {
            0
        };
        if tray.room > 0 && slot.open.is_empty() {
            self.make_room_in(0);
        }
        self.swap(tray);
    }

    /// Takes the batch back and counts what was put on the tray.
    #[inline]
    pub(crate) fn take_back(&mut self, tray: &mut Tray<T, R>) {
        self.swap(tray);
        let slot = &mut self.lanes[0];
        let count = slot.open.len() - slot.assembly.items();
        if count > 0 {
            slot.assembly.catch_up(count, tray.begun.take());
            self.queued += count;
            self.counters.accepted += count as u64;
        }
    }

    #[inline]
    fn swap(&mut self, tray: &mut Tray<T, R>) {
        let slot = &mut self.lanes[0];
        std::mem::swap(&mut slot.open, &mut tray.items);
        std::mem::swap(&mut slot.tickets, &mut tray.tickets);
    }
}
