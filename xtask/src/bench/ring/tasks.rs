//! A thousand tasks that wait for records: bursts go out, the next one when all tasks have all of the last.

use anyhow::{Result, ensure};
use ringbuf_core::{RingOptions, TryReadError};
use std::{
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

pub(crate) const TASKS: usize = 1_000;

const CAPACITY: usize = 1_024;

/// What the tasks have had, all together.
pub(crate) struct Progress {
    received: AtomicU64,
    /// Of one burst, by all tasks.
    of_burst: u64,
    producer: Thread,
}

impl Progress {
    /// A task had so many more; the last of a burst wakes the producer.
    fn add(&self, records: u64) {
        let received = self.received.fetch_add(records, Ordering::AcqRel) + records;
        if received.is_multiple_of(self.of_burst) {
            self.producer.unpark();
        }
    }
}

/// Million deliveries a second. `open` makes the ring: how to publish the numbers from one to another, and
/// how to make a task that reads to the end, and says whether all were right.
fn deliveries<Task>(
    burst: u64,
    time: Duration,
    open: impl FnOnce(&Arc<Progress>) -> (Box<dyn FnMut(u64, u64)>, Vec<Task>),
) -> Result<f64>
where
    Task: Future<Output = bool> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    let progress = Arc::new(Progress {
        received: AtomicU64::new(0),
        of_burst: burst * TASKS as u64,
        producer: thread::current(),
    });
    let (mut publish, tasks) = open(&progress);
    let tasks: Vec<_> = tasks.into_iter().map(|task| runtime.spawn(task)).collect();
    let mut published = 0;
    let mut send = || {
        publish(published, published + burst);
        published += burst;
        while progress.received.load(Ordering::Acquire) < published * TASKS as u64 {
            thread::park();
        }
        published
    };
    let before = send(); // all tasks wait from here on
    let begin = Instant::now();
    let mut after = before;
    while begin.elapsed() < time {
        after = send();
    }
    let spent = begin.elapsed();
    drop(publish);
    for task in tasks {
        ensure!(runtime.block_on(task)?, "a record was lost or out of order");
    }
    Ok((after - before) as f64 * TASKS as f64 / spent.as_secs_f64() / 1e6)
}

pub(crate) fn ours(burst: u64, time: Duration) -> Result<f64> {
    deliveries(burst, time, |progress| {
        let (mut producer, ring) = RingOptions::new(CAPACITY)
            .with_waiting()
            .build::<u64>()
            .expect("the capacity is not 0");
        let task = || {
            let (mut reader, progress) = (ring.reader(0), Arc::clone(progress));
            async move {
                let mut next = 0;
                loop {
                    poll_fn(|cx| reader.poll_ready(cx)).await;
                    match reader.read_batch(CAPACITY) {
                        Ok(numbers) => {
                            let expected = next..next + numbers.len() as u64;
                            if !numbers.iter().copied().eq(expected.clone()) {
                                return false;
                            }
                            next = expected.end;
                            progress.add(numbers.len() as u64);
                        }
                        Err(TryReadError::Empty) => {}
                        Err(error) => return error == TryReadError::Closed,
                    }
                }
            }
        };
        let tasks = (0..TASKS).map(|_| task()).collect();
        let publish = move |from, to| {
            producer.append_batch(from..to);
        };
        (Box::new(publish), tasks)
    })
}

pub(crate) fn tokio_broadcast(burst: u64, time: Duration) -> Result<f64> {
    use tokio::sync::broadcast::{Sender, error::RecvError};
    deliveries(burst, time, |progress| {
        let sender = Sender::<u64>::new(CAPACITY);
        let task = || {
            let (mut receiver, progress) = (sender.subscribe(), Arc::clone(progress));
            async move {
                let mut next = 0;
                loop {
                    match receiver.recv().await {
                        Ok(number) if number == next => next += 1,
                        Err(RecvError::Closed) => return true,
                        Ok(_) | Err(RecvError::Lagged(_)) => return false,
                    }
                    progress.add(1);
                }
            }
        };
        let tasks = (0..TASKS).map(|_| task()).collect();
        let publish = move |from, to| {
            for number in from..to {
                sender.send(number).expect("the tasks listen");
            }
        };
        (Box::new(publish), tasks)
    })
}

pub(crate) fn async_broadcast(burst: u64, time: Duration) -> Result<f64> {
    deliveries(burst, time, |progress| {
        let (mut sender, receiver) = async_broadcast::broadcast::<u64>(CAPACITY);
        sender.set_overflow(true);
        let task = || {
            let (mut receiver, progress) = (receiver.clone(), Arc::clone(progress));
            async move {
                let mut next = 0;
                loop {
                    match receiver.recv().await {
                        Ok(number) if number == next => next += 1,
                        Err(async_broadcast::RecvError::Closed) => return true,
                        Ok(_) | Err(async_broadcast::RecvError::Overflowed(_)) => return false,
                    }
                    progress.add(1);
                }
            }
        };
        let tasks = (0..TASKS).map(|_| task()).collect();
        drop(receiver);
        let publish = move |from, to| {
            for number in from..to {
                sender.try_broadcast(number).expect("the tasks listen");
            }
        };
        (Box::new(publish), tasks)
    })
}
