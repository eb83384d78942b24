//! A worker: take a batch, process it, decide about a failure, bring it back. Nothing that user
//! code does in between ends the worker or loses the batch.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::core::Core;
use crate::error::SubmitError;
use crate::failure::{BatchFailure, Failed, FailureCause, OnFailure, RetryPolicy};
use crate::processor::{Batch, Replies};
use crate::queue::{Hand, Settled};
use crate::sync::now;

pub(crate) type Handler<T> = Box<dyn Fn(&mut Failed<'_, T>) -> OnFailure + Send + Sync>;

/// What the workers do about failures.
pub(crate) struct Orders<T> {
    pub(crate) handler: Option<Handler<T>>,
    pub(crate) retry: RetryPolicy,
}

/// Works until the batcher is stopped or drained.
pub(crate) fn work<T, O, E>(
    core: &Core<T, O::Reply>,
    orders: &Orders<T>,
    process: &impl Fn(&mut Batch<T>) -> Result<O, E>,
) where
    O: Replies,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut settled = None;
    while let Some(mut hand) = core.next(settled.take()) {
        let mut batch = hand.lend();
        let outcome = catch(|| match process(&mut batch) {
            Ok(replies) => Ok(replies.into_replies(batch.len())),
            Err(error) => Err(FailureCause::Error(error.into())),
        });
        hand.items = batch.items;
        settled = Some(orders.conclude(core, hand, outcome.unwrap_or_else(panicked)));
    }
}

/// The outcome of a processor that panicked.
pub(crate) fn panicked<R>(payload: Box<dyn Any + Send>) -> Result<R, FailureCause> {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    // A payload's own drop may panic; its text is all that is needed.
    contain(|| drop(payload));
    Err(FailureCause::Panic(text))
}

/// Runs user code; its panic is a value. Nothing that it may have left half changed is used again
/// except the batch, which is a slice to it and stays whole.
pub(crate) fn catch<R>(f: impl FnOnce() -> R) -> std::thread::Result<R> {
    catch_unwind(AssertUnwindSafe(f))
}

/// Runs what may call user code (wakers, drops) and panic; a panic changes nothing here.
pub(crate) fn contain(f: impl FnOnce()) {
    drop(catch(f));
}

impl<T, R> Hand<T, R> {
    pub(crate) fn lend(&mut self) -> Batch<T> {
        Batch {
            items: std::mem::take(&mut self.items),
            attempt: self.attempts.saturating_add(1),
        }
    }
}

impl<T> Orders<T> {
    /// Tells the tickets, asks the handler, and says how the batch is to be settled.
    pub(crate) fn conclude<R>(
        &self,
        core: &Core<T, R>,
        mut hand: Hand<T, R>,
        outcome: Result<Vec<R>, FailureCause>,
    ) -> Settled<T, R> {
        let items = hand.items.len();
        let cause = match outcome {
            Ok(replies) if replies.len() == items => {
                if let Some(tickets) = hand.tickets.take() {
                    contain(|| tickets.reply(replies));
                }
                contain(|| hand.items.clear());
                return Settled::Processed(hand);
            }
            Ok(replies) => FailureCause::ReplyCount {
                items,
                replies: replies.len(),
            },
            Err(cause) => cause,
        };
        hand.attempts = hand.attempts.saturating_add(1);
        let panicked = matches!(cause, FailureCause::Panic(_));
        let failure = BatchFailure {
            cause,
            attempts: hand.attempts,
        };
        let can_retry = self.retry.allows_another(hand.attempts);
        let mut failed = Failed {
            items: &mut hand.items,
            taken: false,
            failure: &failure,
            can_retry,
        };
        let decision = match &self.handler {
            None => Ok(if can_retry {
                OnFailure::Retry
            } else {
                OnFailure::Drop
            }),
            Some(handler) => catch(|| handler(&mut failed)),
        };
        let taken = failed.taken;
        let handler_panicked = decision.is_err();
        core.count(|counters| {
            counters.panics += u64::from(panicked);
            counters.errors += u64::from(!panicked);
            counters.handler_panics += u64::from(handler_panicked);
        });
        let decision = decision.unwrap_or_else(|payload| {
            contain(|| drop(payload));
            OnFailure::Retry
        });
        let rest = |hand: Hand<T, R>, rest| {
            let until = now().checked_add(rest);
            // A rest past the end of time is one of a century: only a stop ends it.
            let century = std::time::Duration::from_secs(100 * 365 * 86_400);
            Settled::Retry(hand, until.unwrap_or_else(|| now() + century))
        };
        match decision {
            _ if taken => Self::give_up(hand, failure, true),
            OnFailure::Retry if can_retry => {
                let pause = self.retry.rest(hand.attempts);
                rest(hand, pause)
            }
            OnFailure::RetryAfter(pause) if can_retry => rest(hand, pause),
            OnFailure::Split if items > 1 => Settled::Split(hand),
            OnFailure::Split if can_retry => {
                let pause = self.retry.rest(hand.attempts);
                rest(hand, pause)
            }
            _ if handler_panicked => {
                refuse(&mut hand, failure);
                Settled::SetAside(hand)
            }
            OnFailure::Drop | OnFailure::Retry | OnFailure::RetryAfter(_) | OnFailure::Split => {
                Self::give_up(hand, failure, false)
            }
        }
    }

    fn give_up<R>(mut hand: Hand<T, R>, failure: BatchFailure, handed_over: bool) -> Settled<T, R> {
        refuse(&mut hand, failure);
        contain(|| hand.items.clear());
        Settled::Failed { hand, handed_over }
    }
}

/// Tells the batch's tickets why.
fn refuse<T, R>(hand: &mut Hand<T, R>, failure: BatchFailure) {
    if let Some(tickets) = hand.tickets.take() {
        contain(|| tickets.refuse(&SubmitError::Failed(Arc::new(failure))));
    }
}
