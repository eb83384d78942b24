//! How a batcher is set up: limits, workers, capacity, what weighs, what orders, what handles.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::BatchLimits;
use crate::batcher::Batcher;
use crate::core::{Core, KeyHash, Placement, Weigher};
use crate::error::{InvalidOptions, StartError};
use crate::failure::{Failed, OnFailure, RetryPolicy};
use crate::processor::{Batch, Replies};
use crate::queue::Queue;
use crate::worker::{Handler, Orders};

/// The most workers that a batcher may have.
const MAX_WORKERS: usize = 1024;

/// Sets up a batcher; [`Batcher::builder`] makes one.
///
/// | option | default |
/// |---|---|
/// | [`max_items`](Self::max_items) | 64 |
/// | [`max_bytes`](Self::max_bytes) | no limit |
/// | [`linger`](Self::linger) | 5 ms |
/// | [`workers`](Self::workers) | as many as there are cores |
/// | [`capacity`](Self::capacity) | 16 384 items, or two full batches if that is more |
/// | [`adaptive`](Self::adaptive) | off |
/// | [`order_by`](Self::order_by) | no order between batches |
/// | [`retry`](Self::retry) | one attempt |
/// | [`on_failure`](Self::on_failure) | retry while an attempt is left, then drop with a count |
/// | [`name`](Self::name) of its threads | `batcher` |
#[must_use = "nothing runs before it is started"]
pub struct Builder<T> {
    limits: BatchLimits,
    workers: usize,
    capacity: Option<usize>,
    adaptive: bool,
    weigher: Option<Weigher<T>>,
    key: Option<KeyHash<T>>,
    retry: RetryPolicy,
    handler: Option<Handler<T>>,
    name: String,
}

impl<T: Send + 'static> Builder<T> {
    pub(crate) fn new() -> Self {
        Self {
            limits: BatchLimits::new(),
            workers: std::thread::available_parallelism()
                .map_or(1, NonZero::get)
                .min(MAX_WORKERS),
            capacity: None,
            adaptive: false,
            weigher: None,
            key: None,
            retry: RetryPolicy::default(),
            handler: None,
            name: "batcher".to_owned(),
        }
    }

    /// Sets the most items in a batch, at least 1; `usize::MAX` for no limit.
    pub fn max_items(mut self, items: usize) -> Self {
        self.limits = self.limits.with_max_items(items);
        self
    }

    /// Sets the most bytes in a batch, at least 1, as weighed by `weigher`.
    ///
    /// An item that would carry the batch past the limit begins the next one; an item that is
    /// larger than the limit goes alone. The weigher runs once per item, on the enqueuer's side.
    pub fn max_bytes(
        mut self,
        bytes: usize,
        weigher: impl Fn(&T) -> usize + Send + Sync + 'static,
    ) -> Self {
        self.limits = self.limits.with_max_bytes(bytes);
        self.weigher = Some(Box::new(weigher));
        self
    }

    /// Sets the longest wait for a batch to fill, counted from the enqueue of its first item.
    ///
    /// The batch is then processed as soon as a worker is free. [`Duration::MAX`] waits for ever.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.limits = self.limits.with_linger(linger);
        self
    }

    /// Sets how many batches are processed at once: 1 to 1 024.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets how many items may wait: at least a full batch. Memory grows with what waits, not
    /// with the capacity.
    pub fn capacity(mut self, items: usize) -> Self {
        self.capacity = Some(items);
        self
    }

    /// Flushes at once while a worker is idle, and lets batches grow while all are busy. The
    /// linger is then a cap that matters only without a free worker: not a delay.
    pub fn adaptive(mut self, adaptive: bool) -> Self {
        self.adaptive = adaptive;
        self
    }

    /// Processes the items of one key one after the other, in the order of their enqueues, also
    /// across retries.
    ///
    /// Keys are spread by hash over as many lanes as there are workers; each lane has a batch
    /// under assembly of its own and at most one in process. The key's function runs once per
    /// item, on the enqueuer's side.
    pub fn order_by<K: Hash>(mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        self.key = Some(Box::new(move |item, state: &RandomState| {
            state.hash_one(key(item))
        }));
        self
    }

    /// Sets how often a batch is tried and how long it rests in between.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Decides about each batch whose processor returned an error or panicked.
    ///
    /// The handler runs on the worker that had the batch: there are never more of them than
    /// workers, a slow one slows the queue down, and a stop waits for it. If it panics, the batch
    /// is retried; with no attempt left it is set aside, counts against the capacity, and the stop
    /// gives it back.
    pub fn on_failure(
        mut self,
        handler: impl Fn(&mut Failed<'_, T>) -> OnFailure + Send + Sync + 'static,
    ) -> Self {
        self.handler = Some(Box::new(handler));
        self
    }

    /// Sets the name of the worker threads.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    fn validate(&self) -> Result<(), InvalidOptions> {
        self.limits.validate()?;
        self.retry.validate()?;
        let (capacity, max_items) = (self.effective_capacity(), self.limits.max_items());
        match self.workers {
            0 => return Err(InvalidOptions::ZeroWorkers),
            workers if workers > MAX_WORKERS => {
                return Err(InvalidOptions::TooManyWorkers(workers));
            }
            _ => {}
        }
        if capacity == 0 || (max_items != usize::MAX && capacity < max_items) {
            return Err(InvalidOptions::CapacityBelowBatch {
                capacity,
                max_items,
            });
        }
        Ok(())
    }

    fn effective_capacity(&self) -> usize {
        let two_batches = match self.limits.max_items() {
            usize::MAX => 0,
            items => items.saturating_mul(2),
        };
        self.capacity.unwrap_or_else(|| two_batches.max(16_384))
    }

    /// Checks the options and takes them apart: the shared core, and what the workers need.
    pub(crate) fn build<R>(self) -> Result<Parts<T, R>, InvalidOptions> {
        self.validate()?;
        let lanes = self.key.is_some().then_some(self.workers);
        let queue = Queue::new(
            &self.limits,
            self.effective_capacity(),
            lanes,
            self.adaptive,
        );
        let placement = Placement {
            weigher: self.weigher,
            key: self.key.map(|key| (key, RandomState::new())),
            lanes: self.workers,
        };
        let orders = Orders {
            handler: self.handler,
            retry: self.retry,
        };
        let core = Arc::new(Core::new(queue, placement));
        Ok(Parts {
            core,
            orders,
            workers: self.workers,
            name: self.name,
        })
    }

    /// Checks the options and starts the workers: threads that call `process` with each batch.
    ///
    /// `process` returns `Ok(())`, or `Ok(Vec)` with one reply per item for
    /// [`Batcher::submit`]. An error or a panic goes to the failure handler with the whole batch.
    ///
    /// # Errors
    ///
    /// [`StartError`] if an option cannot work or a thread cannot be started; nothing is left
    /// running then.
    pub fn start<O, E>(
        self,
        process: impl Fn(&mut Batch<T>) -> Result<O, E> + Send + Sync + 'static,
    ) -> Result<Batcher<T, O::Reply>, StartError>
    where
        O: Replies + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        Batcher::start(self.build()?, process)
    }
}

/// What a front starts from.
pub(crate) struct Parts<T, R> {
    pub(crate) core: Arc<Core<T, R>>,
    pub(crate) orders: Orders<T>,
    pub(crate) workers: usize,
    /// Of the worker threads.
    pub(crate) name: String,
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .field("workers", &self.workers)
            .field("capacity", &self.capacity)
            .field("adaptive", &self.adaptive)
            .field("ordered", &self.key.is_some())
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
