//! What can go wrong, one enum per operation. Whatever was refused comes back inside its error.
//!
//! No message and no `Debug` form shows an item: payloads do not end up in logs.

use std::fmt;
use std::sync::Arc;

use crate::failure::BatchFailure;

/// Options that cannot work, found before anything starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// A batch of no items never closes; ask for at least 1.
    #[error("max_items must be at least 1")]
    ZeroMaxItems,
    /// A batch of no bytes never closes; ask for at least 1.
    #[error("max_bytes must be at least 1")]
    ZeroMaxBytes,
    /// Nobody would process; ask for at least 1 worker.
    #[error("workers must be at least 1")]
    ZeroWorkers,
    /// More workers than make sense: at most 1 024.
    #[error("workers must be at most 1024, not {0}")]
    TooManyWorkers(usize),
    /// A full batch would not fit into the queue; raise the capacity or lower `max_items`.
    #[error("capacity ({capacity}) must be at least max_items ({max_items})")]
    CapacityBelowBatch {
        /// Items that the queue may hold.
        capacity: usize,
        /// Items in a full batch.
        max_items: usize,
    },
    /// A batch is processed at least once; ask for at least 1 attempt.
    #[error("attempts must be at least 1")]
    ZeroAttempts,
}

/// Why a batcher did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The options cannot work.
    #[error(transparent)]
    InvalidOptions(#[from] InvalidOptions),
    /// The system did not give it a thread. No thread of it is left behind.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// Async workers are tasks, and there is no tokio runtime here: start it inside of one.
    #[error("no tokio runtime to start the workers on")]
    NoRuntime,
}

/// Why an item was refused at once. The item comes back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryEnqueueError<T> {
    /// The queue holds as many items as it may: wait, evict, or slow down.
    #[error("the queue is full")]
    Full(T),
    /// The batcher was stopped and takes nothing any more.
    #[error("the batcher is stopped")]
    Stopped(T),
}

/// Why an item was refused after waiting for room. The item comes back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueTimeoutError<T> {
    /// The queue stayed full for the whole time.
    #[error("the queue stayed full until the deadline")]
    Timeout(T),
    /// The batcher was stopped and takes nothing any more.
    #[error("the batcher is stopped")]
    Stopped(T),
}

/// The batcher was stopped and takes nothing any more. The item comes back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the batcher is stopped")]
pub struct Stopped<T>(pub T);

/// The batcher was stopped in the middle of many items.
///
/// What the call had not yet pulled out of the iterator is still in it: pass the iterator by
/// reference to keep it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the batcher was stopped after {accepted} items")]
pub struct EnqueueManyError<T> {
    /// Items that were accepted before.
    pub accepted: usize,
    /// Items that had been pulled out of the iterator and were not accepted, in order.
    pub refused: Vec<T>,
}

/// Why a submitted item has no reply.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The item's batch failed and will not be tried again.
    #[error("the batch failed")]
    Failed(#[source] Arc<BatchFailure>),
    /// The item was the oldest of a full queue and made room for another.
    #[error("the item was evicted from the full queue")]
    Evicted,
    /// The batcher stopped before the item was processed; whoever stopped it has the item.
    #[error("the batcher stopped before the item was processed")]
    Stopped,
}

/// Why a flush did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The time is over; what is queued goes on being processed.
    #[error("the flush did not end before its deadline")]
    Timeout,
    /// The batcher was stopped before everything was done; whoever stopped it has the rest.
    #[error("the batcher was stopped before the flush ended")]
    Stopped,
}

/// Debug forms that show the variant and hide the item.
macro_rules! debug_without_item {
    ($name:ident { $($variant:ident),+ }) => {
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant(_) => concat!(stringify!($variant), "(..)"),)+ })
            }
        }

        impl<T> $name<T> {
            /// The item that was refused.
            #[must_use]
            pub fn into_item(self) -> T {
                match self { $(Self::$variant(item) => item,)+ }
            }
        }
    };
}

debug_without_item!(TryEnqueueError { Full, Stopped });
debug_without_item!(EnqueueTimeoutError { Timeout, Stopped });

impl<T> fmt::Debug for Stopped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopped(..)")
    }
}

impl<T> fmt::Debug for EnqueueManyError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueManyError")
            .field("accepted", &self.accepted)
            .field("refused", &self.refused.len())
            .finish()
    }
}
