//! The calls under way: counted, woken when the server drains, and ended when their peer does not read.
//!
//! Every HTTP/2 stream is one task, made by [`CallExecutor`]; a connection of HTTP/1.1 is one too. A call that lives long (a subscription, a produce stream, a
//! long poll) enrols itself, so that draining wakes it and the watchdog sees it. The watchdog's rule: a body that was
//! asked for a frame, gave one, and has not been asked again for the write-stall time belongs to a peer that does not
//! read. After one such time it is told to let go of what it holds; after two its stream is reset.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tonic::Status;

use crate::body::Source;
use crate::wire::Frame;

tokio::task_local! {
    static CALL: Arc<Call>;
}

/// What a call holds that a peer who does not read must not make it keep.
pub(crate) trait LetGo: Send + Sync {
    /// Lets go of it, and remembers how to say so should the peer ever read again.
    fn let_go(&self);
}

/// All calls of one server.
pub(crate) struct Calls {
    started: Instant,
    live: AtomicUsize,
    next_id: AtomicU64,
    enrolled: Mutex<HashMap<u64, Arc<Call>>>,
    /// Notified when an enrolled call leaves.
    left: Notify,
    draining: AtomicBool,
    /// Whether appends are over. Held for reading around an append, so that after it is set none is under way.
    closed: RwLock<bool>,
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls")
            .field("live", &self.live())
            .finish_non_exhaustive()
    }
}

impl Calls {
    pub(crate) fn new() -> Arc<Calls> {
        Arc::new(Calls {
            started: Instant::now(),
            live: AtomicUsize::new(0),
            next_id: AtomicU64::new(0),
            enrolled: Mutex::default(),
            left: Notify::new(),
            draining: AtomicBool::new(false),
            closed: RwLock::new(false),
        })
    }

    /// Calls under way.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Permission to append; `None` once the server drains.
    pub(crate) fn append_permit(&self) -> Option<RwLockReadGuard<'_, bool>> {
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        (!*closed).then_some(closed)
    }

    /// No append from now on; then wakes every enrolled call to see it.
    pub(crate) fn drain(&self) {
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = true;
        self.draining.store(true, Ordering::Release);
        for call in self.enrolled().values() {
            call.wake();
        }
    }

    /// Waits until no enrolled call is left.
    pub(crate) async fn drained(&self) {
        loop {
            let left = self.left.notified();
            if self.enrolled().is_empty() {
                return;
            }
            left.await;
        }
    }

    /// Looks for peers that do not read; for ever.
    pub(crate) async fn watch(&self, stall: Duration) {
        let every = (stall / 8).clamp(Duration::from_millis(5), Duration::from_secs(1));
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = self.now_us();
            let calls: Vec<Arc<Call>> = self.enrolled().values().cloned().collect();
            for call in calls {
                call.check(now, stall);
            }
        }
    }

    fn enrolled(&self) -> MutexGuard<'_, HashMap<u64, Arc<Call>>> {
        self.enrolled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds since the server started, never 0.
    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros())
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

/// One call.
pub(crate) struct Call {
    calls: Arc<Calls>,
    id: u64,
    waker: Mutex<Option<Waker>>,
    /// When the body gave a frame for which it has not been polled again yet; 0: it is not waiting for its peer.
    blocked_since_us: AtomicU64,
    is_enrolled: AtomicBool,
    /// Raised to make the task drop its stream.
    reset: AtomicBool,
    holds: Mutex<Option<Arc<dyn LetGo>>>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// The call whose task is running.
    pub(crate) fn current() -> Option<Arc<Call>> {
        CALL.try_with(Arc::clone).ok()
    }

    /// Puts the call under the eyes of drain and watchdog until its response or its task ends.
    pub(crate) fn enrol(self: &Arc<Call>, holds: Option<Arc<dyn LetGo>>) {
        *self.holds.lock().unwrap_or_else(PoisonError::into_inner) = holds;
        self.calls.enrolled().insert(self.id, Arc::clone(self));
        self.is_enrolled.store(true, Ordering::Relaxed);
        if self.calls.is_draining() {
            self.wake();
        }
    }

    /// The response is over, or nobody is there to take it.
    fn leave(&self) {
        self.blocked_since_us.store(0, Ordering::Relaxed);
        if self.is_enrolled.swap(false, Ordering::Relaxed) {
            *self.holds.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.calls.enrolled().remove(&self.id);
            self.calls.left.notify_waiters();
        }
    }

    fn wake(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }

    fn check(&self, now_us: u64, stall: Duration) {
        let since = self.blocked_since_us.load(Ordering::Relaxed);
        if since == 0 {
            return;
        }
        let blocked = Duration::from_micros(now_us.saturating_sub(since));
        if blocked >= stall {
            let holds = self
                .holds
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if let Some(holds) = holds {
                holds.let_go();
            }
        }
        if blocked >= stall * 2 {
            self.reset.store(true, Ordering::Release);
            self.wake();
        }
    }
}

/// A source of the call whose task it was made in, which sees when its peer makes room.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    source: S,
    call: Option<Arc<Call>>,
}

impl<S> Watched<S> {
    pub(crate) fn new(source: S) -> Self {
        Watched {
            source,
            call: Call::current(),
        }
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        if let Some(call) = &self.call {
            call.leave();
        }
    }
}

impl<S: Source> Source for Watched<S> {
    const HAS_TRAILERS: bool = S::HAS_TRAILERS;

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Status>>> {
        self.source.poll_next(cx)
    }

    fn asked(&self) {
        if let Some(call) = &self.call {
            call.blocked_since_us.store(0, Ordering::Relaxed);
        }
    }

    fn gave(&self) {
        if let Some(call) = &self.call {
            call.blocked_since_us
                .store(call.calls.now_us(), Ordering::Relaxed);
        }
    }
}

/// Runs each HTTP/2 stream: at once as far as it comes, on the connection's own turn, and as a task of its own from there on.
///
/// A short call whose request is there is over when its connection goes on, and its answer leaves with those of the
/// calls that came with it.
#[derive(Debug, Clone)]
pub(crate) struct CallExecutor(pub(crate) Arc<Calls>);

impl<F> hyper::rt::Executor<F> for CallExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let mut task = CallTask::new(Arc::clone(&self.0), stream);
        if task
            .poll_stream(&mut Context::from_waker(Waker::noop()))
            .is_pending()
        {
            // The task's first poll puts its own waker in the place of the one that wakes nobody.
            tokio::spawn(task);
        }
    }
}

/// A stream of HTTP/2, or a connection of HTTP/1.1, as the one call that it is at a time.
pub(crate) struct CallTask<F> {
    call: Arc<Call>,
    stream: Pin<Box<F>>,
    /// Whether the call knows this task's waker; a task's waker never changes.
    woken_by: bool,
}

impl<F> CallTask<F> {
    pub(crate) fn new(calls: Arc<Calls>, stream: F) -> Self {
        calls.live.fetch_add(1, Ordering::Relaxed);
        let call = Arc::new(Call {
            id: calls.next_id.fetch_add(1, Ordering::Relaxed),
            calls,
            waker: Mutex::default(),
            blocked_since_us: AtomicU64::new(0),
            reset: AtomicBool::new(false),
            is_enrolled: AtomicBool::new(false),
            holds: Mutex::default(),
        });
        CallTask {
            call,
            stream: Box::pin(stream),
            woken_by: false,
        }
    }
}

impl<F: Future<Output = ()>> CallTask<F> {
    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let call = Arc::clone(&self.call);
        CALL.sync_scope(call, || self.stream.as_mut().poll(cx))
    }
}

impl<F: Future<Output = ()>> Future for CallTask<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.woken_by {
            *self
                .call
                .waker
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
            self.woken_by = true;
        }
        if self.call.reset.load(Ordering::Acquire) {
            // Dropping the stream resets it.
            return Poll::Ready(());
        }
        self.poll_stream(cx)
    }
}

impl<F> Drop for CallTask<F> {
    fn drop(&mut self) {
        let calls = &self.call.calls;
        calls.live.fetch_sub(1, Ordering::Relaxed);
        *self
            .call
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
        self.call.leave();
    }
}
