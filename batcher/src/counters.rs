//! What was counted. Owned by the queue and changed under its lock, so every snapshot is exact.

use std::fmt;

/// A snapshot of everything a batcher counts.
///
/// At any moment, exactly:
/// `accepted = processed + failed + evicted + returned + queued + in_process`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Items taken in.
    pub accepted: u64,
    /// Items refused because the queue was full (or stayed full until the deadline).
    pub refused_full: u64,
    /// Items refused because the batcher was stopped.
    pub refused_stopped: u64,
    /// Items of batches that the processor finished without an error.
    pub processed: u64,
    /// Items of batches that failed for good: dropped by the handler or handed over to it.
    pub failed: u64,
    /// Those of `failed` that the handler took.
    pub handed_over: u64,
    /// Items given back to their enqueuer's successor by `enqueue_or_evict`.
    pub evicted: u64,
    /// Items given back by `stop` or `safe_stop`.
    pub returned: u64,
    /// Items waiting, in a batch under assembly, in a closed one or in one that rests before a retry.
    pub queued: u64,
    /// Those of `queued` whose handler panicked on its last attempt: kept for the stop to return.
    pub set_aside: u64,
    /// Items in workers' hands.
    pub in_process: u64,
    /// Batches closed because they held `max_items`.
    pub closed_by_items: u64,
    /// Batches closed because they weighed `max_bytes`, or the next item would not have fitted.
    pub closed_by_bytes: u64,
    /// Batches closed because their first item had waited for the linger.
    pub closed_by_linger: u64,
    /// Batches closed because a worker was idle (adaptive mode).
    pub closed_by_idle: u64,
    /// Batches closed because they held up a full queue.
    pub closed_by_full_queue: u64,
    /// Batches closed by `flush`.
    pub closed_by_flush: u64,
    /// Batches closed by the end of the batcher.
    pub closed_by_stop: u64,
    /// Calls of the processor that returned an error.
    pub errors: u64,
    /// Calls of the processor that panicked.
    pub panics: u64,
    /// Calls of the failure handler that panicked.
    pub handler_panics: u64,
    /// Batches put back to be tried again.
    pub retries: u64,
    /// Batches split in two to be tried again.
    pub splits: u64,
}

impl Counters {
    /// Batches closed so far, for whatever reason.
    #[must_use]
    pub const fn closed(&self) -> u64 {
        self.closed_by_items
            + self.closed_by_bytes
            + self.closed_by_linger
            + self.closed_by_idle
            + self.closed_by_full_queue
            + self.closed_by_flush
            + self.closed_by_stop
    }
}

/// What became of everything that was accepted.
///
/// Exactly `accepted = processed + failed + evicted + abandoned`. The figures count from the
/// batcher's start, so a second stop reports the same ones (or later ones, if a processor that was
/// still at work has ended meanwhile); the items are given out once.
#[must_use = "the report holds the items that were not processed"]
pub struct StopReport<T> {
    /// Items taken in.
    pub accepted: u64,
    /// Items processed without an error.
    pub processed: u64,
    /// Items of batches that failed for good; the failure handler had them.
    pub failed: u64,
    /// Items given back by `enqueue_or_evict`.
    pub evicted: u64,
    /// Items not processed: those given back by this and earlier stops, and `still_running`.
    pub abandoned: u64,
    /// Items in the hands of processors that did not return before the deadline. Such a batch
    /// ends as usual when its processor does; if it then fails, the next stop gives it back.
    pub still_running: u64,
    /// The items that this call gives back, oldest first.
    pub unprocessed: Vec<T>,
}

impl<T> fmt::Debug for StopReport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopReport")
            .field("accepted", &self.accepted)
            .field("processed", &self.processed)
            .field("failed", &self.failed)
            .field("evicted", &self.evicted)
            .field("abandoned", &self.abandoned)
            .field("still_running", &self.still_running)
            .field("unprocessed", &self.unprocessed.len())
            .finish()
    }
}
