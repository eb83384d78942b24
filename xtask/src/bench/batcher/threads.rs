//! The contenders without a runtime: ours, and the loop that people write around a channel.

use super::{Shape, tally::Process};
use anyhow::{Result, anyhow, ensure};
use footman_batcher::{Batch, Batcher};
use std::{
    convert::Infallible,
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
    let channel = crossbeam_channel::bounded(shape.capacity);
    Ok(behind(channel, shape, process))
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

impl Take for crossbeam_channel::Receiver<u64> {
    fn first(&self) -> Option<u64> {
        self.recv().ok()
    }
    fn more(&self, until: Instant) -> Option<u64> {
        let ready = self.try_recv().ok();
        ready.or_else(|| self.recv_deadline(until).ok())
    }
}

type Flume = flume::Sender<u64>;

pub(super) fn flume(shape: Shape, process: Process) -> Result<(Flume, Finish<Flume>)> {
    Ok(behind(flume::bounded(shape.capacity), shape, process))
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

impl Take for flume::Receiver<u64> {
    fn first(&self) -> Option<u64> {
        self.recv().ok()
    }
    fn more(&self, until: Instant) -> Option<u64> {
        let ready = self.try_recv().ok();
        ready.or_else(|| self.recv_deadline(until).ok())
    }
}

/// A worker's end of a channel. `None`: nothing will come, or not in time.
trait Take: Clone + Send + 'static {
    fn first(&self) -> Option<u64>;
    fn more(&self, until: Instant) -> Option<u64>;
}

/// Starts the loop that people write behind a channel: block for the first item, then fill until the batch is full
/// or due.
fn behind<S: Feed>(
    (sender, receiver): (S, impl Take),
    shape: Shape,
    process: Process,
) -> (S, Finish<S>) {
    let worker = |_| {
        let (receiver, process) = (receiver.clone(), process.clone());
        std::thread::spawn(move || {
            let mut batch = Vec::with_capacity(shape.batch);
            while let Some(item) = receiver.first() {
                batch.push(item);
                let deadline = Instant::now() + shape.linger;
                while batch.len() < shape.batch {
                    match receiver.more(deadline) {
                        Some(item) => batch.push(item),
                        None => break,
                    }
                }
                process(&batch);
                batch.clear();
            }
        })
    };
    let workers: Vec<_> = (0..shape.workers).map(worker).collect();
    let finish = |sender: S| {
        drop(sender);
        for worker in workers {
            worker.join().map_err(|_| anyhow!("a worker panicked"))?;
        }
        Ok(())
    };
    (sender, Box::new(finish))
}
