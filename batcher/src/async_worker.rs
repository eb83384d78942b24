//! A worker that is a task: what `worker.rs` does, between awaits. Nothing that user code does, and no
//! end of the runtime, loses the batch in its hands.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::async_batcher::BatchFuture;
use crate::core::Core;
use crate::failure::FailureCause;
use crate::processor::{Batch, Replies};
use crate::queue::Hand;
use crate::timer::{Alarm, Timer};
use crate::worker::{Orders, catch, contain, panicked};

/// A worker's membership: announces its end, also if it is dropped.
pub(crate) struct Task<T, R> {
    core: Arc<Core<T, R>>,
    number: usize,
}

impl<T, R> Task<T, R> {
    /// One that was [announced](Core::hire_tasks) under this number.
    pub(crate) fn new(core: &Arc<Core<T, R>>, number: usize) -> Self {
        let core = Arc::clone(core);
        Self { core, number }
    }
}

impl<T, R> Drop for Task<T, R> {
    fn drop(&mut self) {
        self.core.leave_task(self.number);
    }
}

/// A batch in a task's hands: goes back to the queue if the task is dropped with it.
struct InHand<'a, T, R> {
    core: &'a Core<T, R>,
    hand: Option<Hand<T, R>>,
    batch: Batch<T>,
}

impl<T, R> InHand<'_, T, R> {
    fn take(&mut self) -> Option<Hand<T, R>> {
        let mut hand = self.hand.take()?;
        hand.items = std::mem::take(&mut self.batch.items);
        Some(hand)
    }
}

impl<T, R> Drop for InHand<'_, T, R> {
    fn drop(&mut self) {
        if let Some(hand) = self.take() {
            self.core.give_back(hand);
        }
    }
}

/// Works until the batcher is stopped or drained, or the runtime drops the task.
pub(crate) async fn work<T, O, E, P>(
    task: Task<T, O::Reply>,
    job: Arc<(Orders<T>, P)>,
    timer: &'static Timer,
) where
    P: for<'a> Fn(&'a mut Batch<T>) -> BatchFuture<'a, O, E> + Send + Sync,
    T: Send,
    O: Replies,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let core = &*task.core;
    let (orders, process) = &*job;
    let mut alarm = Alarm::new(timer);
    let mut settled = None;
    loop {
        let next = poll_fn(|context| {
            let mut until = None;
            let next = core.poll_next(task.number, &mut settled, context.waker(), &mut until);
            if let Some(until) = until {
                alarm.arm(until, context.waker());
            }
            next
        });
        let Some(mut hand) = next.await else { break };
        let batch = hand.lend();
        let mut in_hand = InHand {
            core,
            hand: Some(hand),
            batch,
        };
        // A queue that never runs dry must not keep other tasks from their turn.
        tokio::task::consume_budget().await;
        let outcome = process_contained(process, &mut in_hand.batch).await;
        if let Some(hand) = in_hand.take() {
            settled = Some(orders.conclude(core, hand, outcome));
        }
    }
    // What the processor holds is released before a stop returns.
    drop(job);
    drop(task);
}

/// Runs the processor; its panics become outcomes.
async fn process_contained<T, O, E, P>(
    process: &P,
    batch: &mut Batch<T>,
) -> Result<Vec<O::Reply>, FailureCause>
where
    P: for<'a> Fn(&'a mut Batch<T>) -> BatchFuture<'a, O, E>,
    O: Replies,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let items = batch.len();
    let mut future = match catch(|| process(batch)) {
        Ok(future) => future,
        Err(payload) => return panicked(payload),
    };
    let outcome = poll_fn(|context| {
        let poll = catch(|| {
            future.as_mut().poll(context).map(|result| match result {
                Ok(replies) => Ok(replies.into_replies(items)),
                Err(error) => Err(FailureCause::Error(error.into())),
            })
        });
        poll.unwrap_or_else(|payload| Poll::Ready(panicked(payload)))
    });
    let outcome = outcome.await;
    contain(|| drop(future));
    outcome
}
