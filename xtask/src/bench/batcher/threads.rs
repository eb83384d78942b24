//! The contenders without a runtime: ours, and the loop that people write around a channel.

use super::{Shape, tally::Process};
use anyhow::{Result, anyhow, ensure};
use footman_batcher::{Batch, Batcher};
use std::{
    convert::Infallible,
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A producer's end.
pub(super) trait Feed: Clone + Send + Sync + 'static {
    /// Waits while the queue is full. False: nobody takes it any more.
    fn enqueue(&self, item: u64) -> bool;
    /// False if it cannot be taken at once.
    fn try_enqueue(&self, item: u64) -> bool;
}

/// Processes all that was enqueued, then ends the workers.
pub(super) type Finish<F> = Box<dyn FnOnce(F) -> Result<()> + Send>;

pub(super) type Start<F> = fn(Shape, Process) -> Result<(F, Finish<F>)>;

pub(super) fn ours(shape: Shape, process: Process) -> Result<(Batcher<u64>, Finish<Batcher<u64>>)> {
    let batcher = Batcher::builder()
        .max_items(shape.batch)
        .linger(shape.linger)
        .workers(shape.workers)
        .capacity(shape.capacity)
        .start(move |batch: &mut Batch<u64>| {
            process(batch);
            Ok::<(), Infallible>(())
        })?;
    let finish = |batcher: Batcher<u64>| {
        let report = batcher.safe_stop(Duration::from_secs(60));
        ensure!(report.processed == report.accepted, "{report:?}");
        Ok(())
    };
    Ok((batcher, Box::new(finish)))
}

impl Feed for Batcher<u64> {
    #[inline]
    fn enqueue(&self, item: u64) -> bool {
        Batcher::enqueue(self, item).is_ok()
    }
    #[inline]
    fn try_enqueue(&self, item: u64) -> bool {
        Batcher::try_enqueue(self, item).is_ok()
    }
}

type Crossbeam = crossbeam_channel::Sender<u64>;

pub(super) fn crossbeam(shape: Shape, process: Process) -> Result<(Crossbeam, Finish<Crossbeam>)> {
    let (sender, receiver) = crossbeam_channel::bounded(shape.capacity);
    let workers = spawn(shape, process, || {
        let (first, more) = (receiver.clone(), receiver.clone());
        (
            move || first.recv().ok(),
            move |deadline| {
                more.try_recv()
                    .ok()
                    .or_else(|| more.recv_deadline(deadline).ok())
            },
        )
    });
    Ok((sender, Box::new(|sender| end(sender, workers))))
}

impl Feed for Crossbeam {
    #[inline]
    fn enqueue(&self, item: u64) -> bool {
        self.send(item).is_ok()
    }
    #[inline]
    fn try_enqueue(&self, item: u64) -> bool {
        self.try_send(item).is_ok()
    }
}

type Flume = flume::Sender<u64>;

pub(super) fn flume(shape: Shape, process: Process) -> Result<(Flume, Finish<Flume>)> {
    let (sender, receiver) = flume::bounded(shape.capacity);
    let workers = spawn(shape, process, || {
        let (first, more) = (receiver.clone(), receiver.clone());
        (
            move || first.recv().ok(),
            move |deadline| {
                more.try_recv()
                    .ok()
                    .or_else(|| more.recv_deadline(deadline).ok())
            },
        )
    });
    Ok((sender, Box::new(|sender| end(sender, workers))))
}

impl Feed for Flume {
    #[inline]
    fn enqueue(&self, item: u64) -> bool {
        self.send(item).is_ok()
    }
    #[inline]
    fn try_enqueue(&self, item: u64) -> bool {
        self.try_send(item).is_ok()
    }
}

/// Starts the loop that people write: block for the first item, then fill until the batch is full or due.
fn spawn<R, M>(shape: Shape, process: Process, ends: impl Fn() -> (R, M)) -> Vec<JoinHandle<()>>
where
    R: Fn() -> Option<u64> + Send + 'static,
    M: Fn(Instant) -> Option<u64> + Send + 'static,
{
    let worker = |_| {
        let ((first, more), process) = (ends(), process.clone());
        std::thread::spawn(move || {
            let mut batch = Vec::with_capacity(shape.batch);
            while let Some(item) = first() {
                batch.push(item);
                let deadline = Instant::now() + shape.linger;
                while batch.len() < shape.batch {
                    match more(deadline) {
                        Some(item) => batch.push(item),
                        None => break,
                    }
                }
                process(&batch);
                batch.clear();
            }
        })
    };
    (0..shape.workers).map(worker).collect()
}

fn end(sender: impl Send, workers: Vec<JoinHandle<()>>) -> Result<()> {
    drop(sender);
    for worker in workers {
        worker.join().map_err(|_| anyhow!("a worker panicked"))?;
    }
    Ok(())
}
