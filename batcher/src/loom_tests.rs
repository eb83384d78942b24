//! The stop protocol and every sleep of the core, in all interleavings.
//!
//! Each model has a twin in `loom-twins.txt`: the same code with one check taken apart from the act
//! that rests on it, or one call left out. Lingers are endless unless a model is about them: time stands still while
//! anybody runs, and a wait with an end lasts until then (`sync::now`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::batch::BatchLimits;
use crate::core::{Core, Placement};
use crate::queue::{Queue, Settled};
use crate::ticket::Ticket;

use crate::{Batch, Batcher, OnFailure, RetryPolicy};

type Shared = Arc<Core<u32, u32>>;

const LONG: Duration = Duration::MAX;

/// Batches of one, `capacity` items, `workers` announced.
fn core(capacity: usize, workers: usize) -> Shared {
    core_of(None, capacity, workers)
}

fn core_of(ordered_lanes: Option<usize>, capacity: usize, workers: usize) -> Shared {
    let limits = BatchLimits::new().with_max_items(1).with_linger(LONG);
    core_with(&limits, ordered_lanes, capacity, workers)
}

/// Batches of two that a minute of linger ends.
fn lingering_core(capacity: usize) -> Shared {
    let limits = BatchLimits::new()
        .with_max_items(2)
        .with_linger(Duration::from_secs(60));
    core_with(&limits, None, capacity, 1)
}

fn core_with(
    limits: &BatchLimits,
    ordered_lanes: Option<usize>,
    capacity: usize,
    workers: usize,
) -> Shared {
    let queue = Queue::new(limits, capacity, ordered_lanes, false);
    let core = Core::new(
        queue,
        Placement {
            weigher: None,
            key: None,
            lanes: 1,
        },
    );
    core.hire(workers);
    Arc::new(core)
}

/// A worker that processes every batch, and replies to tickets.
fn spawn_worker(core: &Shared) -> thread::JoinHandle<()> {
    let core = Arc::clone(core);
    thread::spawn(move || {
        let mut settled = None;
        while let Some(mut hand) = core.next(settled.take()) {
            if let Some(tickets) = hand.tickets.take() {
                tickets.reply(hand.items.iter().map(|item| item * 2));
            }
            hand.items.clear();
            settled = Some(Settled::Processed(hand));
        }
        core.leave();
    })
}

/// Enqueues without waiting; how many were accepted.
fn spawn_producer(core: &Shared, items: u32) -> thread::JoinHandle<u64> {
    let core = Arc::clone(core);
    thread::spawn(move || {
        (0..items)
            .map(|item| u64::from(core.try_enqueue(item).is_ok()))
            .sum()
    })
}

#[test]
fn an_item_enqueued_against_a_stop_is_accounted_for() {
    loom::model(|| {
        let core = core(4, 1);
        let worker = spawn_worker(&core);
        let producer = spawn_producer(&core, 2);
        let items = core.stop_now();
        core.join(None);
        let report = core.report(items);
        let accepted = producer.join().unwrap();
        worker.join().unwrap();
        assert_eq!(report.accepted, accepted);
        assert_eq!(report.processed + report.unprocessed.len() as u64, accepted);
    });
}

#[test]
fn an_item_that_only_lengthens_a_batch_against_a_stop_is_accounted_for() {
    loom::model(|| {
        let limits = BatchLimits::new().with_max_items(4).with_linger(LONG);
        let core = core_with(&limits, None, 4, 1);
        core.try_enqueue(0).unwrap();
        let worker = spawn_worker(&core);
        let producer = spawn_producer(&core, 2);
        let items = core.stop_now();
        core.join(None);
        let report = core.report(items);
        let accepted = 1 + producer.join().unwrap();
        worker.join().unwrap();
        assert_eq!((report.accepted, report.processed), (accepted, 0));
        assert_eq!(report.unprocessed.len() as u64, accepted);
    });
}

#[test]
fn nothing_lengthens_a_batch_once_a_stop_has_begun() {
    loom::model(|| {
        let limits = BatchLimits::new().with_max_items(4).with_linger(LONG);
        let core = core_with(&limits, None, 4, 1);
        core.try_enqueue(0).unwrap();
        let begun = Arc::new(AtomicBool::new(false));
        let (other, late) = (Arc::clone(&core), Arc::clone(&begun));
        let producer = thread::spawn(move || {
            let too_late = late.load(Ordering::Acquire);
            let accepted = other.try_enqueue(1).is_ok();
            assert!(!(too_late && accepted), "accepted after the stop had begun");
            accepted
        });
        core.drain();
        begun.store(true, Ordering::Release);
        let accepted = 1 + u64::from(producer.join().unwrap());
        let worker = spawn_worker(&core);
        core.join(None);
        worker.join().unwrap();
        assert_eq!(core.report(Vec::new()).processed, accepted);
    });
}

#[test]
fn an_item_enqueued_against_a_safe_stop_is_processed_or_refused() {
    loom::model(|| {
        let core = core(4, 1);
        let worker = spawn_worker(&core);
        let producer = spawn_producer(&core, 2);
        core.drain();
        core.join(None);
        let report = core.report(Vec::new());
        worker.join().unwrap();
        assert_eq!(report.processed, producer.join().unwrap());
        assert!(report.unprocessed.is_empty());
    });
}

#[test]
fn a_stop_cuts_a_safe_stop_short_and_both_account_for_everything() {
    loom::model(|| {
        let core = core(4, 1);
        core.try_enqueue(0).unwrap();
        core.try_enqueue(1).unwrap();
        let worker = spawn_worker(&core);
        let other = Arc::clone(&core);
        let safe = thread::spawn(move || {
            other.drain();
            other.join(None);
            other.report(Vec::new())
        });
        let items = core.stop_now();
        core.join(None);
        let report = core.report(items);
        worker.join().unwrap();
        let returned = report.unprocessed.len() + safe.join().unwrap().unprocessed.len();
        assert_eq!(core.counters().processed + returned as u64, 2);
    });
}

#[test]
fn a_worker_that_goes_idle_misses_no_batch() {
    loom::model(|| {
        let core = core(4, 1);
        let worker = spawn_worker(&core);
        core.try_enqueue(0).unwrap();
        core.flush(None).unwrap(); // would wait for ever
        core.drain();
        worker.join().unwrap();
    });
}

#[test]
fn two_batches_find_two_workers() {
    loom::model(|| {
        let core = core(4, 2);
        // Neither batch ends before both have begun: one worker alone would wait for ever.
        let both = Arc::new((Mutex::new(0), Condvar::new()));
        let workers = [0, 1].map(|_| {
            let (core, both) = (Arc::clone(&core), Arc::clone(&both));
            thread::spawn(move || {
                let mut settled = None;
                while let Some(mut hand) = core.next(settled.take()) {
                    hand.items.clear();
                    let mut begun = both.0.lock().unwrap();
                    *begun += 1;
                    both.1.notify_all();
                    while *begun < 2 {
                        begun = both.1.wait(begun).unwrap();
                    }
                    settled = Some(Settled::Processed(hand));
                }
                core.leave();
            })
        });
        core.try_enqueue(0).unwrap();
        core.try_enqueue(1).unwrap();
        core.flush(None).unwrap();
        core.drain();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(core.counters().processed, 2);
    });
}

#[test]
fn an_enqueuer_that_waits_misses_no_room() {
    loom::model(|| {
        let core = core(1, 1);
        let worker = spawn_worker(&core);
        for item in 0..2 {
            assert!(core.enqueue_until(item, None).is_ok());
        }
        core.drain();
        worker.join().unwrap();
        assert_eq!(core.counters().processed, 2);
    });
}

#[test]
fn an_enqueuer_that_waits_hears_of_a_stop() {
    loom::model(|| {
        let core = core(1, 0); // nobody works: the queue stays full
        core.try_enqueue(0).unwrap();
        let other = Arc::clone(&core);
        let waiting = thread::spawn(move || other.enqueue_until(1, None).is_ok());
        let report = core.report(Vec::new());
        assert!(!waiting.join().unwrap());
        assert_eq!(report.unprocessed, [0]);
    });
}

#[test]
fn a_flush_misses_no_end() {
    loom::model(|| {
        let core = core(4, 1);
        core.try_enqueue(0).unwrap();
        let worker = spawn_worker(&core);
        core.flush(None).unwrap();
        assert_eq!(core.counters().processed, 1);
        core.drain();
        worker.join().unwrap();
    });
}

#[test]
fn a_batch_that_fails_against_a_stop_is_returned() {
    loom::model(|| {
        let core = core(4, 1);
        core.try_enqueue(7).unwrap();
        let other = Arc::clone(&core);
        let worker = thread::spawn(move || {
            let mut settled = None;
            while let Some(hand) = other.next(settled.take()) {
                // Fails every time, as after a panic: only the stop ends this.
                let never = Instant::now() + Duration::from_secs(1 << 20);
                settled = Some(Settled::Retry(hand, never));
            }
            other.leave();
        });
        let items = core.stop_now();
        core.join(None);
        let report = core.report(items);
        worker.join().unwrap();
        assert_eq!(report.unprocessed, [7]);
        assert_eq!((report.processed, report.abandoned), (0, 1));
    });
}

#[test]
fn a_worker_that_waits_behind_another_ends_with_it() {
    loom::model(|| {
        // Two batches of one ordered lane: one worker has the first, the other can only wait.
        let core = core_of(Some(2), 4, 2);
        core.try_enqueue(0).unwrap();
        core.try_enqueue(1).unwrap();
        core.drain();
        let workers = [0, 1].map(|_| spawn_worker(&core));
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(core.counters().processed, 2);
    });
}

#[test]
fn a_ticket_misses_no_result() {
    loom::model(|| {
        let core = core(4, 1);
        let ticket: Ticket<u32> = core.try_submit(21).unwrap();
        let worker = spawn_worker(&core);
        assert_eq!(ticket.wait().unwrap(), 42);
        core.drain();
        worker.join().unwrap();
    });
}

#[test]
fn a_ticket_hears_of_a_stop() {
    loom::model(|| {
        let core = core(4, 1);
        let ticket: Ticket<u32> = core.try_submit(21).unwrap();
        let worker = spawn_worker(&core);
        let items = core.stop_now();
        let replied = ticket.wait().is_ok();
        core.join(None);
        let report = core.report(items);
        worker.join().unwrap();
        assert_eq!(report.processed, u64::from(replied));
        assert_eq!(report.unprocessed.len(), usize::from(!replied));
    });
}

#[test]
fn a_linger_ends_a_batch_that_nobody_fills() {
    loom::model(|| {
        let core = lingering_core(4);
        let worker = spawn_worker(&core);
        let ticket: Ticket<u32> = core.try_submit(21).unwrap();
        assert_eq!(ticket.wait().unwrap(), 42); // nobody flushes or stops
        core.drain();
        worker.join().unwrap();
    });
}

#[test]
fn a_batch_begun_while_the_worker_is_busy_is_found_by_it() {
    loom::model(|| {
        let core = lingering_core(4);
        core.try_enqueue(0).unwrap();
        core.try_enqueue(1).unwrap(); // a batch
        let worker = spawn_worker(&core);
        let ticket: Ticket<u32> = core.try_submit(21).unwrap(); // on the tray, or before an idle worker's eyes
        assert_eq!(ticket.wait().unwrap(), 42); // only its linger ends that batch
        core.drain();
        worker.join().unwrap();
    });
}

#[test]
fn a_linger_against_a_full_queue_lets_the_enqueuer_in() {
    loom::model(|| {
        // The batch under assembly is the whole queue: the linger ends it, or the enqueuer that finds no room.
        let core = lingering_core(1);
        let worker = spawn_worker(&core);
        core.try_enqueue(0).unwrap();
        assert!(core.enqueue_until(1, None).is_ok());
        core.drain();
        worker.join().unwrap();
        assert_eq!(core.counters().processed, 2);
    });
}

/// One worker that notes what it has processed. Batches of one.
fn start(seen: &Arc<std::sync::Mutex<Vec<u32>>>) -> Batcher<u32> {
    let seen = Arc::clone(seen);
    Batcher::builder()
        .max_items(1)
        .linger(LONG)
        .workers(1)
        .capacity(4)
        .start(move |batch: &mut Batch<u32>| {
            seen.lock().unwrap().extend(batch.iter());
            Ok::<(), std::convert::Infallible>(())
        })
        .unwrap()
}

#[test]
fn the_last_handle_dropped_anywhere_waits_for_all() {
    loom::model(|| {
        let seen = Arc::default();
        let batcher = start(&seen);
        let other = batcher.clone();
        let thread = thread::spawn(move || {
            other.enqueue(1).unwrap();
            drop(other); // perhaps the last one
        });
        drop(batcher);
        thread.join().unwrap();
        assert_eq!(*seen.lock().unwrap(), [1]);
    });
}

#[test]
fn a_panic_against_a_stop_loses_nothing() {
    loom::model(|| {
        let handed = Arc::new(std::sync::Mutex::new(Vec::new()));
        let taken = Arc::clone(&handed);
        let batcher: Batcher<u32> = Batcher::builder()
            .max_items(1)
            .linger(LONG)
            .workers(1)
            .capacity(4)
            .retry(RetryPolicy::attempts(2))
            .on_failure(move |failed| {
                if failed.can_retry() {
                    return OnFailure::Retry;
                }
                taken.lock().unwrap().extend(failed.take_items());
                OnFailure::Drop
            })
            .start(|_: &mut Batch<u32>| -> Result<(), String> {
                std::panic::resume_unwind(Box::new("the processor")) // `panic!` would print a page
            })
            .unwrap();
        batcher.enqueue(7).unwrap();
        let report = batcher.stop(LONG);
        let mut back = report.unprocessed;
        assert_eq!((report.failed + report.abandoned, report.processed), (1, 0));
        back.append(&mut handed.lock().unwrap());
        assert_eq!(back, [7]);
    });
}
