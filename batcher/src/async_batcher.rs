//! The async front: a handle for any number of tasks, workers that are tokio tasks.
//!
//! The same core, the same rules and the same counters as the threaded front; only the waiting
//! differs. Handles work on any runtime; workers run where [`Builder::start_tokio`] was called.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::async_worker::{Task, work};
use crate::builder::{Builder, Parts};
use crate::core::{Chunk, Core, NoRoom, State, insert, insert_ticketed};
use crate::counters::{Counters, StopReport};
use crate::crew::Call;
use crate::error::{
    EnqueueManyError, EnqueueTimeoutError, FlushError, StartError, Stopped, TryEnqueueError,
};
use crate::processor::{Batch, Replies};
use crate::ticket::Ticket;
use crate::timer::{Alarm, Timer};

/// What an async processor returns: a boxed future that borrows the batch.
pub type BatchFuture<'a, O, E> = Pin<Box<dyn Future<Output = Result<O, E>> + Send + 'a>>;

/// A batcher whose workers are tokio tasks.
///
/// Clones are handles of the same batcher. When the last one is dropped, the workers process all
/// that was accepted and end, in the background: call [`safe_stop`](Self::safe_stop) to wait for
/// it. If the runtime is shut down with items queued, nothing more is taken in, and
/// [`stop`](Self::stop) (from any runtime) returns them, those of a batch cut short included.
///
/// # Cancellation
///
/// Dropping a future of [`enqueue`](Self::enqueue) or [`submit`](Self::submit) before it is ready
/// drops its item, which was not accepted. Of [`enqueue_many`](Self::enqueue_many), what was
/// accepted stays accepted.
///
/// # Examples
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use footman_batcher::{AsyncBatcher, Batch};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let batcher = AsyncBatcher::builder().max_items(3).linger(Duration::from_millis(5)).start_tokio(
///     |batch: &mut Batch<u64>| {
///         Box::pin(async move {
///             let squares: Vec<u64> = batch.iter().map(|n| n * n).collect();
///             Ok::<_, Infallible>(squares) // one reply per item
///         })
///     },
/// )?;
/// let (four, five) = (batcher.submit(4).await?, batcher.submit(5).await?);
/// assert_eq!((four.await?, five.await?), (16, 25));
/// assert_eq!(batcher.safe_stop(Duration::from_secs(10)).await.processed, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct AsyncBatcher<T: Send + 'static, R: Send + 'static = ()> {
    core: Arc<Core<T, R>>,
    timer: &'static Timer,
    /// Its drop is the last handle's.
    last: Arc<LastHandle<T, R>>,
}

struct LastHandle<T: Send + 'static, R: Send + 'static>(Arc<Core<T, R>>);

impl<T: Send + 'static, R: Send + 'static> Drop for LastHandle<T, R> {
    fn drop(&mut self) {
        self.0.drain();
    }
}

impl<T: Send + 'static> AsyncBatcher<T> {
    /// Sets up a batcher.
    pub fn builder() -> Builder<T> {
        Builder::new()
    }
}

impl<T: Send + 'static> Builder<T> {
    /// Checks the options and starts the workers: tasks of the current tokio runtime that call
    /// `process` with each batch and await what it returns.
    ///
    /// `process` ends in `Ok(())`, or in `Ok(Vec)` with one reply per item for
    /// [`AsyncBatcher::submit`]. An error or a panic goes to the failure handler with the whole
    /// batch. The handler is an ordinary function: it must not block for long.
    ///
    /// # Errors
    ///
    /// [`StartError`] if an option cannot work, there is no current runtime, or the process's
    /// timer thread cannot be started; nothing is left running then.
    pub fn start_tokio<O, E, P>(self, process: P) -> Result<AsyncBatcher<T, O::Reply>, StartError>
    where
        P: for<'a> Fn(&'a mut Batch<T>) -> BatchFuture<'a, O, E> + Send + Sync + 'static,
        O: Replies + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    {
        let Parts {
            core,
            orders,
            workers,
            ..
        } = self.build()?;
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let timer = Timer::get().map_err(StartError::Thread)?;
        let job = Arc::new((orders, process));
        core.hire_tasks(workers);
        for number in 0..workers {
            let task = Task::new(&core, number);
            runtime.spawn(work(task, Arc::clone(&job), timer));
        }
        let last = Arc::new(LastHandle(Arc::clone(&core)));
        Ok(AsyncBatcher { core, timer, last })
    }
}

impl<T: Send + 'static, R: Send + 'static> AsyncBatcher<T, R> {
    /// Takes the item in if there is room. Never waits; needs no runtime.
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
    /// # Errors
    ///
    /// [`Stopped`] with the item, also if the batcher is stopped during the wait.
    #[inline]
    pub async fn enqueue(&self, item: T) -> Result<(), Stopped<T>> {
        let placed = self.core.placement.of(&item);
        let refused = self.core.enqueue_at_once(item, placed);
        let Err(item) = refused.map_err(|(item, _)| item) else {
            return Ok(());
        };
        let mut item = Some(item);
        let done = self
            .with_room(None, |state| insert(state, &mut item, placed))
            .await;
        done.map_err(|_| Stopped(item.expect("an item that was not inserted is still here")))
    }

    /// Takes the item in, and waits at most for `timeout` while the queue is full.
    ///
    /// # Errors
    ///
    /// [`Timeout`](EnqueueTimeoutError::Timeout) or [`Stopped`](EnqueueTimeoutError::Stopped),
    /// with the item.
    pub async fn enqueue_timeout(
        &self,
        item: T,
        timeout: Duration,
    ) -> Result<(), EnqueueTimeoutError<T>> {
        let until = Instant::now().checked_add(timeout);
        let placed = self.core.placement.of(&item);
        let mut item = Some(item);
        let done = self
            .with_room(until, |state| insert(state, &mut item, placed))
            .await;
        done.map_err(|reason| {
            let item = item.expect("an item that was not inserted is still here");
            match reason {
                NoRoom::Timeout => EnqueueTimeoutError::Timeout(item),
                NoRoom::Stopped => EnqueueTimeoutError::Stopped(item),
            }
        })
    }

    /// Takes all items in, many at a time, and waits whenever the queue is full. Returns their number.
    ///
    /// # Errors
    ///
    /// If the batcher is stopped: how many were accepted, and the items already pulled out of the
    /// iterator. Pass `&mut iterator` to keep the rest.
    pub async fn enqueue_many<I>(&self, items: I) -> Result<usize, EnqueueManyError<T>>
    where
        I: IntoIterator<Item = T>,
        I::IntoIter: Send,
    {
        let mut items = items.into_iter();
        let mut chunk = Chunk::default();
        let mut accepted = 0;
        loop {
            chunk.fill(&mut items, &self.core.placement);
            let count = chunk.items.len();
            if count == 0 {
                return Ok(accepted);
            }
            if self
                .with_room(None, |state| chunk.insert(state))
                .await
                .is_err()
            {
                accepted += count - chunk.items.len();
                return Err(EnqueueManyError {
                    accepted,
                    refused: chunk.items,
                });
            }
            accepted += count;
        }
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
    pub async fn submit(&self, item: T) -> Result<Ticket<R>, Stopped<T>> {
        let placed = self.core.placement.of(&item);
        let refused = self.core.submit_at_once(item, placed);
        let item = match refused.map_err(|(item, _)| item) {
            Ok(ticket) => return Ok(ticket),
            Err(item) => item,
        };
        let mut item = Some(item);
        let done = self
            .with_room(None, |state| insert_ticketed(state, &mut item, placed))
            .await;
        done.map_err(|_| Stopped(item.expect("an item that was not inserted is still here")))
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
    /// before the first poll are done: processed, failed for good, or set aside.
    ///
    /// # Errors
    ///
    /// [`FlushError::Timeout`], or [`FlushError::Stopped`] if a stop gave items back.
    pub async fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        let epoch = self.core.begin_flush();
        let until = Instant::now().checked_add(timeout);
        let flushed = self.until_done(until, |core, waker, key| {
            core.poll_flushed(epoch, waker, key)
        });
        flushed.await.unwrap_or(Err(FlushError::Timeout))
    }

    /// Stops now: refuses new items, takes out all that is in no worker's hands and returns it.
    /// Waits at most for `timeout` for the processors at work.
    ///
    /// If this future is dropped, the items are given out by the next stop.
    pub async fn stop(&self, timeout: Duration) -> StopReport<T> {
        let until = Instant::now().checked_add(timeout);
        self.core.halt();
        self.until_done(until, Core::poll_joined).await;
        self.core.report(Vec::new())
    }

    /// Finishes: refuses new items, processes all that was accepted, then stops. What is not
    /// processed after `timeout` is returned.
    ///
    /// Can be called again; a [`stop`](Self::stop) from elsewhere cuts it short.
    pub async fn safe_stop(&self, timeout: Duration) -> StopReport<T> {
        let until = Instant::now().checked_add(timeout);
        self.core.drain();
        self.until_done(until, Core::poll_joined).await;
        self.core.report(Vec::new())
    }

    /// Whether a stop or safe stop has begun, or the workers' runtime is gone: nothing is accepted
    /// any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.core.is_stopped()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.core.counters()
    }

    /// Inserts as soon as there is room.
    async fn with_room<O>(
        &self,
        until: Option<Instant>,
        mut insert: impl FnMut(&mut State<T, R>) -> (Call, Option<O>),
    ) -> Result<O, NoRoom> {
        let mut place = Place {
            core: &self.core,
            key: None,
            leave: Core::leave_room,
        };
        let mut alarm = until.map(|until| (until, Alarm::new(self.timer)));
        poll_fn(|context| {
            let waker = context.waker();
            let poll = self.core.poll_with_room(waker, &mut place.key, &mut insert);
            match &mut alarm {
                Some((until, _)) if poll.is_pending() && Instant::now() >= *until => {
                    self.core.count_timeout();
                    return Poll::Ready(Err(NoRoom::Timeout));
                }
                Some((until, alarm)) if poll.is_pending() => alarm.arm(*until, waker),
                _ => {}
            }
            poll
        })
        .await
    }

    /// Polls until it is ready; `None` if `until` comes first.
    async fn until_done<O>(
        &self,
        until: Option<Instant>,
        poll: impl Fn(&Core<T, R>, &std::task::Waker, &mut Option<u64>) -> Poll<O>,
    ) -> Option<O> {
        let mut place = Place {
            core: &self.core,
            key: None,
            leave: Core::leave_done,
        };
        let mut alarm = Alarm::new(self.timer);
        poll_fn(|context| {
            let done = poll(&self.core, context.waker(), &mut place.key);
            match (done, until) {
                (Poll::Ready(done), _) => Poll::Ready(Some(done)),
                (Poll::Pending, Some(until)) if Instant::now() >= until => Poll::Ready(None),
                (Poll::Pending, Some(until)) => {
                    alarm.arm(until, context.waker());
                    Poll::Pending
                }
                (Poll::Pending, None) => Poll::Pending,
            }
        })
        .await
    }
}

/// A future's place among those that wait: given up when the future is dropped.
struct Place<'a, T, R> {
    core: &'a Core<T, R>,
    key: Option<u64>,
    leave: fn(&Core<T, R>, u64),
}

impl<T, R> Drop for Place<'_, T, R> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            (self.leave)(self.core, key);
        }
    }
}

impl<T: Send + 'static, R: Send + 'static> Clone for AsyncBatcher<T, R> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            timer: self.timer,
            last: Arc::clone(&self.last),
        }
    }
}

impl<T: Send + 'static, R: Send + 'static> fmt::Debug for AsyncBatcher<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncBatcher")
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
