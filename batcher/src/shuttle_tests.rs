//! The whole threaded front in schedules that shuttle draws: several producers, workers and stops at once.
//!
//! ```text
//! cargo xtask shuttle --package footman-batcher
//! ```
//!
//! Time stands still while anybody runs (`sync::now`). What each scenario is about has a twin in `shuttle-twins.txt`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shuttle::thread;

use crate::{
    Batch, Batcher, Builder, FlushError, OnFailure, RetryPolicy, StopReport, TryEnqueueError,
};

/// What a processor saw: each item once, or it panics.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeSet<u32>>>);

impl Seen {
    fn take(&self, batch: &Batch<u32>) {
        for &item in batch {
            assert!(self.0.lock().unwrap().insert(item), "{item} came twice");
        }
    }

    fn count(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }
}

fn builder() -> Builder<u32> {
    Batcher::builder()
        .max_items(2)
        .linger(Duration::from_secs(60))
        .workers(2)
        .capacity(4)
}

/// Starts it with a processor that takes a moment and notes what it sees.
fn start(builder: Builder<u32>) -> (Batcher<u32>, Seen) {
    let seen = Seen::default();
    let theirs = seen.clone();
    let batcher = builder.start(move |batch: &mut Batch<u32>| {
        theirs.take(batch);
        thread::yield_now();
        Ok::<(), Infallible>(())
    });
    (batcher.unwrap(), seen)
}

/// Enqueues `items` from `first` on, until one is refused; how many were accepted.
fn produce(batcher: &Batcher<u32>, first: u32, items: u32) -> thread::JoinHandle<u64> {
    let batcher = batcher.clone();
    thread::spawn(move || {
        let accepted = |&item: &u32| match batcher.try_enqueue(item) {
            Err(TryEnqueueError::Full(item)) => batcher.enqueue(item).is_ok(),
            offered => offered.is_ok(),
        };
        (first..first + items).take_while(accepted).count() as u64
    })
}

fn is_balanced(report: &StopReport<u32>) {
    assert_eq!(
        report.accepted,
        report.processed + report.failed + report.evicted + report.abandoned,
        "{report:?}"
    );
}

const LONG: Duration = Duration::MAX;

#[test]
fn shuttle_a_stop_under_load_accounts_for_every_item() {
    schedules::check(|| {
        let (batcher, seen) = start(builder());
        let producers = [0, 10].map(|first| produce(&batcher, first, 4));
        let report = batcher.stop(LONG);
        let accepted: u64 = producers.map(|thread| thread.join().unwrap()).iter().sum();
        is_balanced(&report);
        assert_eq!(report.accepted, accepted);
        assert_eq!(report.processed, seen.count());
        assert_eq!(report.abandoned, report.unprocessed.len() as u64);
    });
}

#[test]
fn shuttle_two_kinds_of_stop_at_once_give_each_item_once() {
    schedules::check(|| {
        let (batcher, seen) = start(builder());
        let producer = produce(&batcher, 0, 5);
        let other = batcher.clone();
        let safe = thread::spawn(move || other.safe_stop(LONG));
        let (now, safe) = (batcher.stop(LONG), safe.join().unwrap());
        let accepted = producer.join().unwrap();
        let returned = now.unprocessed.len() + safe.unprocessed.len();
        assert_eq!(seen.count() + returned as u64, accepted);
        is_balanced(&batcher.stop(LONG));
    });
}

#[test]
fn shuttle_a_flush_returns_after_all_that_came_before_it() {
    schedules::check(|| {
        let (batcher, seen) = start(builder().max_items(3));
        let other = produce(&batcher, 10, 3);
        for item in 0..2 {
            batcher.enqueue(item).unwrap();
            assert_eq!(batcher.flush(LONG), Ok(()));
            assert!(seen.0.lock().unwrap().contains(&item));
        }
        other.join().unwrap();
        let report = batcher.safe_stop(LONG);
        assert_eq!((report.processed, seen.count()), (5, 5));
    });
}

#[test]
fn shuttle_a_flush_against_a_stop_ends() {
    schedules::check(|| {
        let (batcher, seen) = start(builder());
        let other = batcher.clone();
        let flush = thread::spawn(move || match other.enqueue(0) {
            Ok(()) => other.flush(LONG),
            Err(_) => Err(FlushError::Stopped),
        });
        let report = batcher.stop(LONG);
        let flushed = flush.join().unwrap();
        assert!(flushed.is_err() || seen.count() == 1, "{flushed:?}");
        is_balanced(&report);
    });
}

#[test]
fn shuttle_a_linger_ends_a_batch_that_nobody_fills() {
    schedules::check(|| {
        let (batcher, seen) = start(builder().max_items(4).capacity(5));
        let producers = [0, 10].map(|first| produce(&batcher, first, 3));
        let accepted: u64 = producers.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!(accepted, 6);
        // Nobody flushes or stops: only the linger brings the rest.
        while seen.count() < 6 {
            thread::yield_now();
        }
        let report = batcher.safe_stop(LONG);
        assert_eq!((report.processed, report.abandoned), (6, 0));
    });
}

#[test]
fn shuttle_a_linger_against_a_full_queue_lets_every_enqueuer_in() {
    schedules::check(|| {
        // The batch under assembly holds the whole queue up.
        let (batcher, seen) = start(builder().max_items(3).capacity(3).workers(1));
        let producers = [0, 10, 20].map(|first| produce(&batcher, first, 3));
        let accepted: u64 = producers.map(|thread| thread.join().unwrap()).iter().sum();
        assert_eq!(accepted, 9);
        let report = batcher.safe_stop(LONG);
        assert_eq!((report.processed, seen.count()), (9, 9));
    });
}

#[test]
fn shuttle_panics_and_errors_against_a_stop_lose_nothing() {
    schedules::check(|| {
        let handed = Arc::new(AtomicU64::new(0));
        let taken = Arc::clone(&handed);
        let seen = Seen::default();
        let theirs = seen.clone();
        let batcher: Batcher<u32> = builder()
            .retry(
                RetryPolicy::attempts(2)
                    .with_backoff(Duration::from_millis(1), Duration::from_millis(1)),
            )
            .on_failure(move |failed| {
                if failed.can_retry() {
                    return OnFailure::Retry;
                }
                if failed.items().contains(&2) {
                    // Not `panic!`: the hook would take it for the scenario's own.
                    std::panic::resume_unwind(Box::new("the handler"));
                }
                taken.fetch_add(failed.take_items().len() as u64, Relaxed);
                OnFailure::Drop
            })
            .start(move |batch: &mut Batch<u32>| {
                thread::yield_now();
                if batch.contains(&1) || batch.contains(&2) {
                    std::panic::resume_unwind(Box::new("the processor"));
                }
                if batch.attempt() == 1 {
                    return Err("not at once");
                }
                theirs.take(batch);
                Ok(())
            })
            .unwrap();
        let producer = produce(&batcher, 0, 5);
        let other = batcher.clone();
        let safe = thread::spawn(move || other.safe_stop(LONG));
        thread::yield_now();
        let report = batcher.stop(LONG);
        let safe = safe.join().unwrap();
        let accepted = producer.join().unwrap();
        is_balanced(&report);
        assert_eq!(report.processed, seen.count());
        assert_eq!(
            report.failed,
            handed.load(Relaxed),
            "dropped, not handed over"
        );
        let returned = (report.unprocessed.len() + safe.unprocessed.len()) as u64;
        assert_eq!(report.processed + report.failed + returned, accepted);
    });
}

#[test]
fn shuttle_the_last_handle_dropped_anywhere_processes_all() {
    schedules::check(|| {
        let (batcher, seen) = start(builder());
        let handles = [0, 10].map(|first| {
            let batcher = batcher.clone();
            thread::spawn(move || {
                for item in first..first + 3 {
                    batcher.enqueue(item).unwrap();
                }
                drop(batcher); // perhaps the last one
            })
        });
        drop(batcher);
        for handle in handles {
            handle.join().unwrap();
        }
        assert_eq!(
            seen.count(),
            6,
            "a drop returned before the workers had ended"
        );
    });
}

#[test]
fn shuttle_every_ticket_hears_its_own_result() {
    schedules::check(|| {
        let batcher: Batcher<u32, u32> = builder()
            .start(|batch: &mut Batch<u32>| {
                thread::yield_now();
                Ok::<_, Infallible>(batch.iter().map(|item| item * 2).collect::<Vec<_>>())
            })
            .unwrap();
        let submitters = [0, 10, 20].map(|first| {
            let batcher = batcher.clone();
            thread::spawn(move || {
                let mut heard = 0;
                for item in first..first + 2 {
                    let Ok(ticket) = batcher.submit(item) else {
                        break;
                    };
                    match ticket.wait() {
                        Ok(reply) => assert_eq!(reply, item * 2),
                        Err(_) => break,
                    }
                    heard += 1;
                }
                heard
            })
        });
        let other = batcher.clone();
        let stop = thread::spawn(move || {
            for _ in 0..20 {
                thread::yield_now();
            }
            other.stop(LONG)
        });
        let heard: u64 = submitters.map(|thread| thread.join().unwrap()).iter().sum();
        let report = stop.join().unwrap();
        assert_eq!(report.processed, heard);
        assert_eq!(report.accepted, report.processed + report.abandoned);
    });
}

#[test]
fn shuttle_items_of_a_key_stay_in_order() {
    schedules::check(|| {
        let seen = Arc::new(Mutex::new([0_u32; 2]));
        let theirs = Arc::clone(&seen);
        let batcher: Batcher<u32> = builder()
            .order_by(|item| item % 2)
            .start(move |batch: &mut Batch<u32>| {
                for &item in &*batch {
                    let mut seen = theirs.lock().unwrap();
                    let last = &mut seen[item as usize % 2];
                    assert!(item > *last || *last == 0, "{item} after {last}");
                    *last = item;
                }
                thread::yield_now();
                Ok::<(), Infallible>(())
            })
            .unwrap();
        let producers = [0, 1].map(|key| {
            let batcher = batcher.clone();
            thread::spawn(move || {
                let mine = (1..5).map(|n| n * 2 + key);
                assert_eq!(batcher.enqueue_many(mine).unwrap(), 4);
            })
        });
        for producer in producers {
            producer.join().unwrap();
        }
        let report = batcher.safe_stop(LONG);
        assert_eq!(report.processed, 8);
    });
}
