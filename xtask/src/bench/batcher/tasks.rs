//! The contenders on tokio: ours, and the loops and stream adapters that people put behind its channel.
//!
//! A tokio channel has one receiver, so two workers of a peer are two channels, and each producer takes them
//! in turn.

use super::{Shape, tally::Process};
use anyhow::{Result, ensure};
use footman_batcher::{AsyncBatcher, Batch};
use futures_util::future::BoxFuture;
use std::{convert::Infallible, time::Duration};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

/// A producer's end.
pub(super) trait Feed: Clone + Send + Sync + 'static {
    /// Waits while the queue is full. False: nobody takes it any more.
    fn enqueue(&mut self, item: u64) -> impl Future<Output = bool> + Send;
    /// False if it cannot be taken at once.
    fn try_enqueue(&mut self, item: u64) -> bool;
}

/// Processes all that was enqueued, then ends the workers.
pub(super) type Finish<F> = Box<dyn FnOnce(F) -> BoxFuture<'static, Result<()>> + Send>;

/// A runtime with a thread for each core.
pub(super) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()?)
}

/// To be called inside of a runtime.
pub(super) fn ours(
    shape: Shape,
    process: Process,
) -> Result<(AsyncBatcher<u64>, Finish<AsyncBatcher<u64>>)> {
    let batcher = AsyncBatcher::builder()
        .max_items(shape.batch)
        .linger(shape.linger)
        .workers(shape.workers)
        .capacity(shape.capacity)
        .start_tokio(move |batch: &mut Batch<u64>| {
            process(batch);
            Box::pin(async { Ok::<(), Infallible>(()) })
        })?;
    let finish = |batcher: AsyncBatcher<u64>| -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let report = batcher.safe_stop(Duration::from_secs(60)).await;
            ensure!(report.processed == report.accepted, "{report:?}");
            Ok(())
        })
    };
    Ok((batcher, Box::new(finish)))
}

impl Feed for AsyncBatcher<u64> {
    #[inline]
    async fn enqueue(&mut self, item: u64) -> bool {
        AsyncBatcher::enqueue(self, item).await.is_ok()
    }
    #[inline]
    fn try_enqueue(&mut self, item: u64) -> bool {
        AsyncBatcher::try_enqueue(self, item).is_ok()
    }
}

/// A channel for each worker.
#[derive(Clone)]
pub(super) struct Channels {
    senders: Vec<Sender<u64>>,
    next: usize,
}

/// What receives from a channel until it is closed.
pub(super) type Loop = fn(Receiver<u64>, Shape, Process) -> BoxFuture<'static, ()>;

/// The loops that are measured, by name.
pub(super) const LOOPS: [(&str, Loop); 5] = [
    ("tokio recv_many", |receiver, shape, process| {
        Box::pin(recv_many(receiver, shape, process))
    }),
    // Less work than all others: what came in together is the batch, nothing waits to be filled.
    ("tokio recv_many, no linger", |receiver, shape, process| {
        Box::pin(recv_many_at_once(receiver, shape, process))
    }),
    ("tokio select", |receiver, shape, process| {
        Box::pin(select(receiver, shape, process))
    }),
    ("tokio-stream", |receiver, shape, process| {
        Box::pin(async move {
            let chunks = ReceiverStream::new(receiver).chunks_timeout(shape.batch, shape.linger);
            let mut chunks = std::pin::pin!(chunks);
            while let Some(batch) = chunks.next().await {
                process(&batch);
            }
        })
    }),
    ("futures-batch", |receiver, shape, process| {
        Box::pin(async move {
            let stream = ReceiverStream::new(receiver);
            let chunks = futures_batch::ChunksTimeout::new(stream, shape.batch, shape.linger);
            let mut chunks = std::pin::pin!(chunks);
            while let Some(batch) = chunks.next().await {
                process(&batch);
            }
        })
    }),
];

/// To be called inside of a runtime.
pub(super) fn channels(shape: Shape, process: Process, work: Loop) -> (Channels, Finish<Channels>) {
    let mut senders = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..shape.workers {
        let (sender, receiver) = channel(shape.capacity / shape.workers);
        senders.push(sender);
        workers.push(tokio::spawn(work(receiver, shape, process.clone())));
    }
    let finish = |channels: Channels| -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            drop(channels);
            for worker in workers {
                worker.await?;
            }
            Ok(())
        })
    };
    (Channels { senders, next: 0 }, Box::new(finish))
}

impl Channels {
    fn sender(&mut self) -> &Sender<u64> {
        self.next += 1;
        if self.next >= self.senders.len() {
            self.next = 0;
        }
        &self.senders[self.next]
    }
}

impl Feed for Channels {
    #[inline]
    async fn enqueue(&mut self, item: u64) -> bool {
        self.sender().send(item).await.is_ok()
    }
    #[inline]
    fn try_enqueue(&mut self, item: u64) -> bool {
        self.sender().try_send(item).is_ok()
    }
}

/// Takes what is there, then waits for the rest until the batch is due.
async fn recv_many(mut receiver: Receiver<u64>, shape: Shape, process: Process) {
    let mut batch = Vec::with_capacity(shape.batch);
    while receiver.recv_many(&mut batch, shape.batch).await > 0 {
        if batch.len() < shape.batch {
            let deadline = Instant::now() + shape.linger;
            while batch.len() < shape.batch {
                let room = shape.batch - batch.len();
                match timeout_at(deadline, receiver.recv_many(&mut batch, room)).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
        }
        process(&batch);
        batch.clear();
    }
}

async fn recv_many_at_once(mut receiver: Receiver<u64>, shape: Shape, process: Process) {
    let mut batch = Vec::with_capacity(shape.batch);
    while receiver.recv_many(&mut batch, shape.batch).await > 0 {
        process(&batch);
        batch.clear();
    }
}

async fn select(mut receiver: Receiver<u64>, shape: Shape, process: Process) {
    let mut batch = Vec::with_capacity(shape.batch);
    while let Some(first) = receiver.recv().await {
        batch.push(first);
        let mut due = std::pin::pin!(sleep_until(Instant::now() + shape.linger));
        while batch.len() < shape.batch {
            tokio::select! {
                biased;
                item = receiver.recv() => match item {
                    Some(item) => batch.push(item),
                    None => break,
                },
                () = &mut due => break,
            }
        }
        process(&batch);
        batch.clear();
    }
}
