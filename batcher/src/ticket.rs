//! What a submitted item became: one slot of results per batch, a ticket per item.
//!
//! A batch makes its [`Completion`] when the first item is submitted to it; a [`Ticket`] is a
//! reference to it and a position. Whatever ends the batch settles a range of positions: its
//! replies, its failure, or that it was evicted or given back. [`Tickets`] is the batch's side: if
//! it is dropped, for whatever reason, every ticket not yet settled hears [`SubmitError::Stopped`],
//! so no caller waits for ever.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::SubmitError;
use crate::sync::{Condvar, Mutex, lock, now, wait};

/// The results of one batch, by position.
struct Completion<R> {
    board: Mutex<Board<R>>,
    settled: Condvar,
}

/// Both lists are by position, and as long as the highest position that they were needed for: who waits costs a
/// waker, and a result costs nothing before it is there.
struct Board<R> {
    results: Vec<Outcome<R>>,
    wakers: Vec<Option<Waker>>,
    /// How many items the batch will have, as far as one can tell.
    expected: usize,
    /// Threads asleep on `settled`: nobody is notified when there is none.
    sleepers: usize,
}

enum Outcome<R> {
    /// Of a position below one that is settled already.
    Unsettled,
    Settled(Result<R, SubmitError>),
    Collected,
}

impl<R> Board<R> {
    /// The result, once; `None` while there is none.
    fn collect(&mut self, position: usize) -> Option<Result<R, SubmitError>> {
        let outcome = self.results.get_mut(position)?;
        if matches!(outcome, Outcome::Unsettled) {
            return None;
        }
        match std::mem::replace(outcome, Outcome::Collected) {
            Outcome::Settled(result) => Some(result),
            Outcome::Unsettled | Outcome::Collected => {
                panic!("a ticket was polled after it had given its result")
            }
        }
    }

    /// Wakes the task once this position is settled.
    fn wait(&mut self, position: usize, waker: &Waker) {
        if self.wakers.len() <= position {
            if self.wakers.capacity() == 0 {
                self.wakers.reserve_exact(self.expected.max(position + 1));
            }
            self.wakers.resize(position + 1, None);
        }
        match &mut self.wakers[position] {
            Some(old) => old.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Settles the positions one after the other; the wakers of those who wait for them.
    fn settle(
        &mut self,
        range: Range<usize>,
        mut result: impl FnMut() -> Result<R, SubmitError>,
    ) -> Vec<Option<Waker>> {
        if self.results.len() < range.end {
            let more = range.end - self.results.len();
            self.results.reserve_exact(more);
            self.results
                .resize_with(range.start.max(self.results.len()), || Outcome::Unsettled);
        }
        for position in range.clone() {
            let outcome = Outcome::Settled(result());
            match self.results.get_mut(position) {
                Some(place) => *place = outcome,
                None => self.results.push(outcome),
            }
        }
        let end = range.end.min(self.wakers.len());
        if range.start == 0 && end == self.wakers.len() {
            return std::mem::take(&mut self.wakers);
        }
        let waiting = self.wakers.get_mut(range.start..end).unwrap_or_default();
        waiting.iter_mut().map(Option::take).collect()
    }
}

/// The batch's side: the positions that it still owes a result.
pub(crate) struct Tickets<R> {
    completion: Arc<Completion<R>>,
    owed: Range<usize>,
}

impl<R> Tickets<R> {
    /// Of a batch that will hold about so many items.
    pub(crate) fn new(expected: usize) -> Self {
        let board = Board {
            results: Vec::new(),
            wakers: Vec::new(),
            expected: expected.min(512),
            sleepers: 0,
        };
        let completion = Completion {
            board: Mutex::new(board),
            settled: Condvar::new(),
        };
        Self {
            completion: Arc::new(completion),
            owed: 0..0,
        }
    }

    /// A ticket for the item at `position`, which is higher than any before.
    pub(crate) fn issue(&mut self, position: usize) -> Ticket<R> {
        self.owed.end = position + 1;
        Ticket {
            completion: Arc::clone(&self.completion),
            position,
        }
    }

    /// Splits off the positions from `at` items on (counted from this part's first item).
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let middle = self.owed.start.saturating_add(at).min(self.owed.end);
        let rest = middle..self.owed.end;
        self.owed.end = middle;
        Self {
            completion: Arc::clone(&self.completion),
            owed: rest,
        }
    }

    /// Splits off the oldest item's position.
    pub(crate) fn split_first(&mut self) -> Self {
        let middle = self.owed.end.min(self.owed.start + 1);
        let first = self.owed.start..middle;
        self.owed.start = middle.max(self.owed.start);
        Self {
            completion: Arc::clone(&self.completion),
            owed: first,
        }
    }

    /// Gives every item its reply. Items past the replies' end hear that they were not answered.
    pub(crate) fn reply(mut self, replies: impl IntoIterator<Item = R>) {
        let owed = std::mem::take(&mut self.owed);
        let mut replies = replies.into_iter();
        self.settle_range(owed, || replies.next().ok_or(SubmitError::Stopped));
    }

    /// Tells every ticket the same error.
    pub(crate) fn refuse(mut self, error: &SubmitError) {
        let owed = std::mem::take(&mut self.owed);
        self.settle_range(owed, || Err(error.clone()));
    }

    fn settle_range(&self, range: Range<usize>, result: impl FnMut() -> Result<R, SubmitError>) {
        if range.is_empty() {
            return;
        }
        let mut board = lock(&self.completion.board);
        let wakers = board.settle(range, result);
        let sleepers = board.sleepers;
        drop(board);
        if sleepers > 0 {
            self.completion.settled.notify_all();
        }
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}

impl<R> Drop for Tickets<R> {
    fn drop(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        self.settle_range(owed, || Err(SubmitError::Stopped));
    }
}

/// The result to come of one submitted item.
///
/// It is a future (of any runtime, or none), and a thread can [`wait`](Self::wait) for it. Dropping
/// it changes nothing for the item: it is processed all the same.
///
/// # Panics
///
/// Polling it again after it was ready panics.
#[must_use = "a ticket is how the item's result is heard; use `enqueue` if it does not matter"]
pub struct Ticket<R> {
    completion: Arc<Completion<R>>,
    position: usize,
}

impl<R> Ticket<R> {
    /// Blocks until the item's batch is done.
    ///
    /// # Errors
    ///
    /// As told by [`SubmitError`]: the batch failed for good, or the item was evicted or given back.
    pub fn wait(self) -> Result<R, SubmitError> {
        let mut board = lock(&self.completion.board);
        loop {
            if let Some(result) = board.collect(self.position) {
                return result;
            }
            #[cfg(twins)]
            if crate::twin::is("ticket_sleep_after_look") {
                board = crate::sync::gap(&self.completion.board, board);
            }
            board.sleepers += 1;
            board = wait(
                &self.completion.settled,
                &self.completion.board,
                board,
                None,
            );
            board.sleepers -= 1;
        }
    }

    /// Blocks until the item's batch is done, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// The ticket itself if the time is over: wait again, or drop it.
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<R, SubmitError>, Self> {
        let until = now().checked_add(timeout);
        let mut board = lock(&self.completion.board);
        loop {
            if let Some(result) = board.collect(self.position) {
                return Ok(result);
            }
            if until.is_some_and(|until| now() >= until) {
                drop(board);
                return Err(self);
            }
            board.sleepers += 1;
            board = wait(
                &self.completion.settled,
                &self.completion.board,
                board,
                until,
            );
            board.sleepers -= 1;
        }
    }
}

impl<R> Future for Ticket<R> {
    type Output = Result<R, SubmitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut board = lock(&self.completion.board);
        if let Some(result) = board.collect(self.position) {
            return Poll::Ready(result);
        }
        board.wait(self.position, context.waker());
        Poll::Pending
    }
}

impl<R> fmt::Debug for Ticket<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
