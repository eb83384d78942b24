//! How a consumer's items are taken: at once, by a thread that blocks, by a task.
//!
//! It takes turns: after an item of one topic the next look begins at the topic after it. A look that
//! finds nothing costs one load or two per topic; nothing runs while it sleeps.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::Consumer;
use crate::error::PollTimeout;
use crate::item::Item;
use crate::subscription::Subscription;
use crate::sync::thread;
use crate::twin;
use crate::wait::fence_before_sleep;

/// Looks before a blocking wait goes to sleep: for longer together than a producer takes to wake a thread, so that a
/// record at a time need not cost a sleep and a wake each.
const LOOKS: usize = if cfg!(shuttle) { 1 } else { 24 };
/// Spins before the first of them, and between two at the most: about a quarter of a microsecond, and one.
const PAUSES: (u32, u32) = if cfg!(shuttle) { (1, 1) } else { (16, 64) };

impl Consumer {
    /// The next item, if there is one now.
    pub fn try_poll(&mut self) -> Option<Item> {
        if self.patterns.is_some() {
            self.take_up_newborn();
        }
        self.poll_followed()
    }

    /// The next item of what is followed already.
    fn poll_followed(&mut self) -> Option<Item> {
        let (max_records, max_bytes) = (self.max_records as usize, self.max_bytes as usize);
        let registry = &self.shared.registry;
        let turn = self.turn as usize;
        let subscriptions = self.subscriptions.as_mut_slice();
        let (before, after) = subscriptions.split_at_mut_checked(turn)?;
        for (i, subscription) in after.iter_mut().chain(before).enumerate() {
            if let Some(item) = subscription.try_next(registry, max_records, max_bytes) {
                let next = turn + i + 1;
                self.turn = if next < subscriptions.len() {
                    next as u32
                } else {
                    (next - subscriptions.len()) as u32
                };
                return Some(item);
            }
        }
        None
    }

    /// The next item, blocking the thread for at most `timeout`: [`Duration::ZERO`] looks once,
    /// [`Duration::MAX`] waits for ever.
    ///
    /// # Errors
    /// [`PollTimeout`] if nothing came. Nothing is lost by it: poll again.
    pub fn poll(&mut self, timeout: Duration) -> Result<Item, PollTimeout> {
        if let Some(item) = self.try_poll() {
            return Ok(item);
        }
        if timeout.is_zero() {
            return Err(PollTimeout { timeout });
        }
        // A record that is on its way comes sooner than a thread falls asleep and is woken. The looks are further and
        // further apart: each takes the topic's end from the processor of who appends, who is slower for it.
        let (mut pause, longest) = PAUSES;
        for _ in 0..LOOKS.div_ceil(self.subscriptions.len().max(1)) {
            (0..pause).for_each(|_| std::hint::spin_loop());
            pause = (pause * 2).min(longest);
            if let Some(item) = self.try_poll() {
                return Ok(item);
            }
        }
        let deadline = Instant::now().checked_add(timeout);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let found = loop {
            if let Some(item) = self.look_or_arm(&waker) {
                break Ok(item);
            }
            match deadline {
                None => thread::park(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break Err(PollTimeout { timeout });
                    }
                    thread::park_timeout(left);
                }
            }
        };
        self.first.signal().clear();
        found
    }

    /// The next item. Works on any runtime; dropping the future takes nothing.
    ///
    /// Without subscriptions, or when all are paused or [finished](Self::is_finished), it never completes.
    pub async fn next(&mut self) -> Item {
        let mut waiting = Waiting {
            consumer: self,
            registered: false,
        };
        std::future::poll_fn(|cx| {
            let polled = waiting.consumer.poll_next_item(cx);
            waiting.registered |= polled.is_pending();
            polled
        })
        .await
    }

    /// The next item, or `cx`'s task is woken when there is one.
    pub fn poll_next_item(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        if let Some(item) = self.try_poll() {
            return Poll::Ready(item);
        }
        match self.look_or_arm(cx.waker()) {
            Some(item) => Poll::Ready(item),
            None => Poll::Pending,
        }
    }

    /// Whether something that it armed has woken it since.
    fn was_woken(&self) -> bool {
        self.subscriptions.iter().any(Subscription::was_woken)
    }

    /// Has `waker` woken when there may be an item, unless there is one now.
    #[cold]
    fn look_or_arm(&mut self, waker: &Waker) -> Option<Item> {
        self.first.signal().register(waker);
        loop {
            for subscription in self.subscriptions.as_mut_slice() {
                subscription.arm(&self.shared.registry);
            }
            if let Some(following) = &mut self.patterns {
                following.arm(&self.shared.registry, &self.first);
            }
            fence_before_sleep();
            if twin::is("no_look_after_arming") {
                return None;
            }
            if self.patterns.is_none() || !self.take_up_newborn() || twin::is("newborn_unarmed") {
                return self.poll_followed();
            }
            // What was taken up just now is to be armed as well.
        }
    }
}

/// A wait under way: lets go of the task's waker when it is dropped.
struct Waiting<'c> {
    consumer: &'c mut Consumer,
    registered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Who was woken has no waker any more, or soon: that is the usual end, and needs no lock.
        if self.registered && !self.consumer.was_woken() {
            self.consumer.first.signal().clear();
        }
    }
}

/// Wakes a thread.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Stream for Consumer {
    type Item = Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let consumer = self.get_mut();
        match consumer.poll_next_item(cx) {
            Poll::Ready(item) => Poll::Ready(Some(item)),
            Poll::Pending if consumer.is_finished() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}
