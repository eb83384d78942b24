//! The batch under assembly, laid out for enqueues that neither begin nor end it.
//!
//! Nearly every item only lengthens a batch. A [`Tray`] is all that such an item needs: small enough to lie on the
//! lock's own cache line, and filled without a look at the rest of the queue. Whoever does anything else
//! takes it back first, and the items put on it are counted then.

use super::{Mode, Queue};
use crate::ticket::{Ticket, Tickets};

pub(crate) struct Tray<T, R> {
    items: Vec<T>,
    tickets: Option<Tickets<R>>,
    /// How many more items only lengthen the batch: none begins it, fills it or fills the queue.
    room: usize,
}

impl<T, R> Tray<T, R> {
    pub(crate) const fn new() -> Self {
        Self {
            items: Vec::new(),
            tickets: None,
            room: 0,
        }
    }

    /// Takes in an item without weight of the first lane, or gives it back if it would do more than lengthen the batch.
    #[inline]
    pub(crate) fn put(&mut self, item: T) -> Result<(), T> {
        if self.room == 0 {
            return Err(item);
        }
        self.items.push(item);
        self.room -= 1;
        Ok(())
    }

    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(crate) const fn has_room(&self) -> bool {
        self.room > 0
    }

    /// [`put`](Self::put) with a ticket for the item's result. The batch's first ticket is not issued here.
    #[inline]
    pub(crate) fn submit(&mut self, item: T) -> Result<Ticket<R>, T> {
        match &mut self.tickets {
            Some(tickets) if self.room > 0 => {
                let ticket = tickets.issue(self.items.len());
                self.items.push(item);
                self.room -= 1;
                Ok(ticket)
            }
            _ => Err(item),
        }
    }
}

impl<T, R> Queue<T, R> {
    /// Lays the first lane's batch out on the tray. Nothing but [`take_back`](Self::take_back) may be asked of the
    /// queue until that is done.
    #[inline]
    pub(crate) fn lay_out(&mut self, tray: &mut Tray<T, R>) {
        let slot = &self.lanes[0];
        let takes = self.mode == Mode::Running || cfg!(loom_twin = "tray_while_draining");
        tray.room = if !takes || slot.open.is_empty() {
            0
        } else {
            (slot.assembly.room() - 1).min(self.room())
        };
        self.swap(tray);
    }

    /// Takes the batch back and counts what was put on the tray.
    #[inline]
    pub(crate) fn take_back(&mut self, tray: &mut Tray<T, R>) {
        self.swap(tray);
        let slot = &mut self.lanes[0];
        let count = slot.open.len() - slot.assembly.items();
        slot.assembly.lengthen(count);
        self.queued += count;
        self.counters.accepted += count as u64;
    }

    #[inline]
    fn swap(&mut self, tray: &mut Tray<T, R>) {
        let slot = &mut self.lanes[0];
        std::mem::swap(&mut slot.open, &mut tray.items);
        std::mem::swap(&mut slot.tickets, &mut tray.tickets);
    }
}
