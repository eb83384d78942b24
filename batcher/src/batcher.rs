//! The threaded front: a handle for any number of threads, workers that are threads. No runtime.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::builder::{Builder, Parts};
use crate::core::{Core, NoRoom};
use crate::counters::{Counters, StopReport};
use crate::error::{
    EnqueueManyError, EnqueueTimeoutError, FlushError, StartError, Stopped, TryEnqueueError,
};
use crate::processor::{Batch, Replies};
use crate::sync::{now, thread};
use crate::ticket::Ticket;
use crate::timer_slack::make_timeouts_exact;
use crate::worker::work;

/// A batcher whose workers are threads.
///
/// Clones are handles of the same batcher. When the last one is dropped, the workers process all
/// that was accepted and the drop waits for them; call [`stop`](Self::stop) or
/// [`safe_stop`](Self::safe_stop) first to bound that wait. A processor or handler must therefore
/// not keep a handle of its own batcher, and must not wait for it (flush, stop, a ticket).
///
/// # Examples
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use std::{convert::Infallible, sync::Arc, time::Duration};
/// use footman_batcher::{Batch, Batcher};
///
/// let (sum, batches) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
/// let (sums, counts) = (Arc::clone(&sum), Arc::clone(&batches));
/// let batcher = Batcher::builder()
///     .max_items(100)
///     .linger(Duration::from_secs(60))
///     .start(move |batch: &mut Batch<usize>| {
///         sums.fetch_add(batch.iter().sum(), Ordering::Relaxed);
///         counts.fetch_add(1, Ordering::Relaxed);
///         Ok::<(), Infallible>(())
///     })?;
/// batcher.enqueue_many(1..=150)?;
///
/// let report = batcher.safe_stop(Duration::from_secs(10)); // the half-full batch goes as well
/// assert_eq!((report.processed, report.abandoned), (150, 0));
/// assert_eq!(sum.load(Ordering::Relaxed), 150 * 151 / 2);
/// assert_eq!(batches.load(Ordering::Relaxed), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batcher<T: Send + 'static, R: Send + 'static = ()> {
    core: Arc<Core<T, R>>,
    crew: Arc<Threads<T, R>>,
}

/// What the handles share besides the core: its drop is the last handle's.
struct Threads<T: Send + 'static, R: Send + 'static> {
    core: Arc<Core<T, R>>,
    ids: Vec<thread::ThreadId>,
}

impl<T: Send + 'static, R: Send + 'static> Drop for Threads<T, R> {
    fn drop(&mut self) {
        self.core.drain();
        // A worker cannot wait for itself: dropped in a processor, the batcher drains alone.
        let is_worker = self.ids.contains(&thread::current().id());
        if !is_worker && !crate::twin::is("drop_without_join") {
            self.core.join(None);
        }
    }
}

impl<T: Send + 'static> Batcher<T> {
    /// Sets up a batcher.
    pub fn builder() -> Builder<T> {
        Builder::new()
    }
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    pub(crate) fn start<O, E>(
        parts: Parts<T, R>,
        process: impl Fn(&mut Batch<T>) -> Result<O, E> + Send + Sync + 'static,
    ) -> Result<Self, StartError>
    where
        O: Replies<Reply = R> + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let Parts {
            core,
            orders,
            workers,
            name,
        } = parts;
        let job = Arc::new((orders, process));
        core.hire(workers);
        let mut ids = Vec::with_capacity(workers);
        for number in 0..workers {
            let (shared, job) = (Arc::clone(&core), Arc::clone(&job));
            let thread = thread::Builder::new().name(format!("{name}-{number}"));
            let spawned = thread.spawn(move || {
                let leave = Leave(&*shared);
                make_timeouts_exact();
                work(&shared, &job.0, &job.1);
                // What the processor holds is released before a stop returns.
                drop(job);
                drop(leave);
            });
            match spawned {
                Ok(thread) => ids.push(thread.thread().id()),
                Err(error) => {
                    for _ in number..workers {
                        core.leave();
                    }
                    core.stop_now();
                    core.join(None);
                    return Err(StartError::Thread(error));
                }
            }
        }
        let crew = Arc::new(Threads {
            core: Arc::clone(&core),
            ids,
        });
        Ok(Self { core, crew })
    }

    /// Takes the item in if there is room. Never waits for room.
    ///
    /// # Errors
    ///
    /// [`Full`](TryEnqueueError::Full) or [`Stopped`](TryEnqueueError::Stopped), with the item.
    #[inline]
    pub fn try_enqueue(&self, item: T) -> Result<(), TryEnqueueError<T>> {
        self.core.try_enqueue(item)
    }

    /// Takes the item in, and waits while the queue is full.
    ///
    /// Threads that wait are called when half of the capacity is free or a worker is idle, so that
    /// they come back once for many items. They are not served in any order.
    ///
    /// # Errors
    ///
    /// [`Stopped`] with the item, also if the batcher is stopped during the wait.
    #[inline]
    pub fn enqueue(&self, item: T) -> Result<(), Stopped<T>> {
        self.core
            .enqueue_until(item, None)
            .map_err(|(item, _)| Stopped(item))
    }

    /// Takes the item in, and waits at most for `timeout` while the queue is full.
    ///
    /// # Errors
    ///
    /// [`Timeout`](EnqueueTimeoutError::Timeout) or [`Stopped`](EnqueueTimeoutError::Stopped),
    /// with the item.
    pub fn enqueue_timeout(
        &self,
        item: T,
        timeout: Duration,
    ) -> Result<(), EnqueueTimeoutError<T>> {
        let until = now().checked_add(timeout);
        self.core
            .enqueue_until(item, until)
            .map_err(|(item, reason)| match reason {
                NoRoom::Timeout => EnqueueTimeoutError::Timeout(item),
                NoRoom::Stopped => EnqueueTimeoutError::Stopped(item),
            })
    }

    /// Takes all items in, many at a time, and waits whenever the queue is full. Returns their number.
    ///
    /// Items of one call keep their order, but those of other threads may come in between.
    ///
    /// # Errors
    ///
    /// If the batcher is stopped: how many were accepted, and the items already pulled out of the
    /// iterator. Pass `&mut iterator` to keep the rest.
    pub fn enqueue_many(
        &self,
        items: impl IntoIterator<Item = T>,
    ) -> Result<usize, EnqueueManyError<T>> {
        self.core.enqueue_many(items)
    }

    /// Takes the item in. If the queue is full, the oldest waiting item makes room and is
    /// returned; its ticket, if it has one, hears [`Evicted`](crate::SubmitError::Evicted).
    ///
    /// # Errors
    ///
    /// [`Stopped`](TryEnqueueError::Stopped), or [`Full`](TryEnqueueError::Full) if all that
    /// fills the queue rests before a retry or is set aside; with the item.
    pub fn enqueue_or_evict(&self, item: T) -> Result<Option<T>, TryEnqueueError<T>> {
        self.core.enqueue_or_evict(item)
    }

    /// Takes the item in, waiting while the queue is full, and returns the ticket for its result.
    ///
    /// # Errors
    ///
    /// [`Stopped`] with the item.
    pub fn submit(&self, item: T) -> Result<Ticket<R>, Stopped<T>> {
        self.core
            .submit_until(item, None)
            .map_err(|(item, _)| Stopped(item))
    }

    /// [`submit`](Self::submit) that never waits for room.
    ///
    /// # Errors
    ///
    /// [`Full`](TryEnqueueError::Full) or [`Stopped`](TryEnqueueError::Stopped), with the item.
    pub fn try_submit(&self, item: T) -> Result<Ticket<R>, TryEnqueueError<T>> {
        self.core.try_submit(item)
    }

    /// Closes the batch under assembly and waits, at most for `timeout`, until all items enqueued
    /// before the call are done: processed, failed for good, or set aside.
    ///
    /// # Errors
    ///
    /// [`FlushError::Timeout`], or [`FlushError::Stopped`] if a stop gave items back.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.core.flush(now().checked_add(timeout))
    }

    /// Stops now: refuses new items, takes out all that is in no worker's hands and returns it.
    /// Waits at most for `timeout` for the processors at work.
    ///
    /// Can be called again, also during or after a [`safe_stop`](Self::safe_stop).
    pub fn stop(&self, timeout: Duration) -> StopReport<T> {
        let until = now().checked_add(timeout);
        let items = self.core.stop_now();
        self.core.join(until);
        self.core.report(items)
    }

    /// Finishes: refuses new items, processes all that was accepted, then stops. What is not
    /// processed after `timeout` is returned.
    ///
    /// Can be called again; a [`stop`](Self::stop) from elsewhere cuts it short.
    pub fn safe_stop(&self, timeout: Duration) -> StopReport<T> {
        let until = now().checked_add(timeout);
        self.core.drain();
        self.core.join(until);
        self.core.report(Vec::new())
    }

    /// Whether a stop or safe stop has begun: nothing is accepted any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.core.is_stopped()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.core.counters()
    }
}

/// Announces a worker's end, however it ends.
struct Leave<'a, T, R>(&'a Core<T, R>);

impl<T, R> Drop for Leave<'_, T, R> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<T: Send + 'static, R: Send + 'static> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            crew: Arc::clone(&self.crew),
        }
    }
}

impl<T: Send + 'static, R: Send + 'static> fmt::Debug for Batcher<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher")
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
