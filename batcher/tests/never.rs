//! What the original aggregator did and this one never does, one test each.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use footman_batcher::{Batch, Batcher, Builder, OnFailure, TryEnqueueError};

const LONG: Duration = Duration::from_secs(60);

type Notes<T> = Arc<Mutex<Vec<Vec<T>>>>;

/// A processor that notes each batch.
fn noting<T: Clone + Send + 'static>(builder: Builder<T>) -> (Batcher<T>, Notes<T>) {
    let batches = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&batches);
    let batcher = builder.start(move |batch: &mut Batch<T>| {
        notes.lock().unwrap().push(batch.to_vec());
        Ok::<(), Infallible>(())
    });
    (batcher.unwrap(), batches)
}

/// A processor that waits for a permission for each batch: `entered` says that it began.
fn gated(builder: Builder<u64>) -> (Batcher<u64>, Receiver<usize>, Sender<()>) {
    let (enter, entered) = mpsc::channel();
    let (permit, permits) = mpsc::channel();
    let permits = Mutex::new(permits);
    let batcher = builder.start(move |batch: &mut Batch<u64>| {
        enter.send(batch.len()).ok();
        permits.lock().unwrap().recv().ok();
        Ok::<(), Infallible>(())
    });
    (batcher.unwrap(), entered, permit)
}

#[test]
fn a_batch_size_of_one_never_blocks_a_worker() {
    let (batcher, batches) = noting(Batcher::builder().max_items(1).linger(LONG).workers(2));
    batcher.enqueue_many(0..100).unwrap();
    assert_eq!(batcher.flush(LONG), Ok(()));
    assert_eq!(batches.lock().unwrap().len(), 100);
    assert_eq!(batcher.safe_stop(LONG).processed, 100);
}

#[test]
fn a_batch_that_panics_never_vanishes() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let batcher = Batcher::builder()
        .max_items(8)
        .linger(LONG)
        .workers(1)
        .on_failure(move |failed| {
            assert!(
                failed.failure().to_string().contains("poison"),
                "{}",
                failed.failure()
            );
            sink.lock().unwrap().extend(failed.take_items());
            OnFailure::Drop
        })
        .start(|batch: &mut Batch<u64>| -> Result<(), Infallible> {
            assert!(!batch.contains(&3), "poison");
            Ok(())
        })
        .unwrap();
    batcher.enqueue_many(0..16).unwrap();
    let report = batcher.safe_stop(LONG);
    assert_eq!(
        (report.processed, report.failed, report.abandoned),
        (8, 8, 0)
    );
    assert_eq!(*seen.lock().unwrap(), (0..8).collect::<Vec<_>>());
    assert_eq!(batcher.counters().panics, 1);
}

#[test]
fn a_thousand_panics_never_end_or_starve_a_worker() {
    let batcher = Batcher::builder()
        .max_items(1)
        .workers(1)
        .start(|batch: &mut Batch<u64>| -> Result<(), Infallible> {
            if batch[0].is_multiple_of(2) {
                std::panic::resume_unwind(Box::new("quiet"));
            }
            Ok(())
        })
        .unwrap();
    batcher.enqueue_many(0..2000).unwrap();
    let report = batcher.safe_stop(LONG);
    assert_eq!((report.processed, report.failed), (1000, 1000));
}

#[test]
fn stop_never_loses_what_was_accepted() {
    let (batcher, entered, permit) =
        gated(Batcher::builder().max_items(8).workers(1).capacity(500));
    batcher.enqueue_many(0..500).unwrap();
    assert_eq!(entered.recv(), Ok(8));
    drop(permit); // the batch in hand ends, and so would every later one
    let report = batcher.stop(LONG);
    assert_eq!(report.still_running, 0);
    assert_eq!(report.processed + report.unprocessed.len() as u64, 500);
    let first = report.processed;
    assert_eq!(
        report.unprocessed,
        (first..500).collect::<Vec<_>>(),
        "in order"
    );
    assert_eq!(report.abandoned, 500 - first);
}

#[test]
fn after_a_stop_nothing_is_accepted_and_nobody_blocks() {
    let (batcher, _) = noting(Batcher::builder().capacity(64));
    drop(batcher.stop(LONG));
    assert_eq!(batcher.try_enqueue(1), Err(TryEnqueueError::Stopped(1)));
    assert_eq!(batcher.enqueue(2).unwrap_err().0, 2);
    assert_eq!(batcher.enqueue_timeout(3, LONG).unwrap_err().into_item(), 3);
    let refused = batcher.enqueue_many(4..7).unwrap_err();
    assert_eq!((refused.accepted, refused.refused), (0, vec![4, 5, 6]));
    assert_eq!(batcher.submit(7).unwrap_err().0, 7);
    assert_eq!(batcher.enqueue_or_evict(8).unwrap_err().into_item(), 8);
    assert_eq!(batcher.counters().refused_stopped, 6);
    assert_eq!(batcher.flush(LONG), Ok(()), "nothing is left to be done");
}

#[test]
fn an_enqueuer_that_waits_for_room_hears_of_the_stop() {
    let (batcher, entered, permit) = gated(Batcher::builder().max_items(1).workers(1).capacity(2));
    batcher.enqueue(0).unwrap();
    entered.recv().unwrap();
    batcher.enqueue_many([1, 2]).unwrap(); // full
    thread::scope(|scope| {
        let waiting = scope.spawn(|| batcher.enqueue(3));
        let many = scope.spawn(|| batcher.enqueue_many([4, 5]));
        drop(permit);
        let report = batcher.stop(LONG);
        // Room may have appeared before the stop: each item is either in the report or refused.
        let mut accepted = 3;
        match waiting.join().unwrap() {
            Ok(()) => accepted += 1,
            Err(refused) => assert_eq!(refused.0, 3),
        }
        match many.join().unwrap() {
            Ok(count) => accepted += count as u64,
            Err(error) => {
                assert_eq!(error.accepted + error.refused.len(), 2);
                accepted += error.accepted as u64;
            }
        }
        assert_eq!(report.accepted, accepted);
        assert_eq!(report.processed + report.abandoned, accepted);
    });
}

#[test]
fn stopping_twice_never_panics_and_says_the_same() {
    let (batcher, entered, permit) = gated(Batcher::builder().max_items(4).workers(1));
    batcher.enqueue_many(0..10).unwrap();
    entered.recv().unwrap();
    drop(permit);
    let first = batcher.stop(LONG);
    let second = batcher.stop(LONG);
    let third = batcher.safe_stop(LONG);
    for again in [&second, &third] {
        assert_eq!(again.processed, first.processed);
        assert_eq!(again.abandoned, first.abandoned);
        assert!(again.unprocessed.is_empty(), "items are given out once");
    }
}

#[test]
fn start_then_stop_at_once_never_misses_an_item() {
    for _ in 0..200 {
        let (batcher, batches) = noting(Batcher::builder().max_items(4).linger(LONG).workers(3));
        batcher.enqueue_many(0..10).unwrap();
        let report = batcher.safe_stop(LONG);
        assert_eq!((report.processed, report.abandoned), (10, 0));
        assert_eq!(
            batches.lock().unwrap().iter().map(Vec::len).sum::<usize>(),
            10
        );
    }
}

#[test]
fn safe_stop_under_load_ends_and_loses_no_late_item() {
    let (batcher, batches) = noting(Batcher::builder().max_items(16).workers(2).capacity(64));
    let accepted = AtomicUsize::new(0);
    let barrier = Barrier::new(5);
    let report = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                barrier.wait();
                while batcher.enqueue(7).is_ok() {
                    accepted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        barrier.wait();
        while batcher.counters().processed < 1000 {
            thread::yield_now();
        }
        batcher.safe_stop(LONG) // the producers only end because of it
    });
    assert_eq!(report.processed, accepted.load(Ordering::Relaxed) as u64);
    assert_eq!(report.abandoned, 0);
    let processed: usize = batches.lock().unwrap().iter().map(Vec::len).sum();
    assert_eq!(processed as u64, report.processed);
}

#[test]
fn safe_stop_of_an_idle_batcher_waits_for_no_tick_and_no_linger() {
    let builder = Batcher::builder().max_items(64).workers(2);
    let (batcher, _) = noting(builder.linger(Duration::MAX));
    batcher.enqueue_many(0..32).unwrap();
    // Neither the linger nor the stop has an end by time: only the events themselves end this. (That no sleep of a
    // stop ends by time is a loom model's business: a wait without a deadline there is called, or hangs.)
    assert_eq!(batcher.safe_stop(Duration::MAX).processed, 32);
    let counters = batcher.counters();
    assert_eq!((counters.closed_by_stop, counters.closed()), (1, 1));
}

#[test]
fn eight_workers_never_make_eight_batches_of_eight_items() {
    let (batcher, batches) = noting(Batcher::builder().max_items(8).linger(LONG).workers(8));
    for item in 0..8 {
        batcher.enqueue(item).unwrap();
    }
    assert_eq!(batcher.safe_stop(LONG).processed, 8);
    assert_eq!(*batches.lock().unwrap(), [(0..8).collect::<Vec<_>>()]);
    assert_eq!(batcher.counters().closed_by_items, 1);
}

#[test]
fn a_panic_in_the_failure_handler_never_loses_the_batch_or_ends_the_process() {
    let batcher = Batcher::builder()
        .max_items(4)
        .workers(1)
        .on_failure(|_| panic!("the handler is broken too"))
        .start(|_: &mut Batch<u64>| Err::<(), _>("cannot"))
        .unwrap();
    batcher.enqueue_many(0..8).unwrap();
    assert_eq!(batcher.flush(LONG), Ok(()));
    let counters = batcher.counters();
    assert_eq!(
        (counters.handler_panics, counters.set_aside, counters.failed),
        (2, 8, 0)
    );
    let report = batcher.safe_stop(LONG);
    assert_eq!(report.unprocessed, (0..8).collect::<Vec<_>>());
    assert_eq!(
        (report.processed, report.failed, report.abandoned),
        (0, 0, 8)
    );
}

#[test]
fn safe_stop_waits_for_the_failure_handler() {
    let handled = Arc::new(AtomicUsize::new(0));
    let (count, (permit, permits)) = (Arc::clone(&handled), mpsc::channel::<()>());
    let permits = Mutex::new(permits);
    let batcher = Batcher::builder()
        .max_items(10)
        .workers(2)
        .on_failure(move |failed| {
            permits.lock().unwrap().recv().ok();
            count.fetch_add(failed.take_items().len(), Ordering::Relaxed);
            OnFailure::Drop
        })
        .start(|_: &mut Batch<u64>| Err::<(), _>("cannot"))
        .unwrap();
    batcher.enqueue_many(0..100).unwrap();
    let early = batcher.safe_stop(Duration::from_millis(1));
    assert_eq!(early.failed, 0, "no handler has ended");
    let running = early.still_running;
    assert!(running <= 20, "more handlers than workers: {running}");
    assert_eq!(running + early.unprocessed.len() as u64, 100);
    drop(permit);
    let late = batcher.safe_stop(LONG);
    assert_eq!(late.still_running, 0);
    assert_eq!(handled.load(Ordering::Relaxed) as u64, late.failed);
    assert_eq!((late.failed, late.abandoned), (running, 100 - running));
}

#[test]
fn a_failing_batch_never_becomes_a_hot_loop() {
    use footman_batcher::RetryPolicy;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&calls);
    let backoff = Duration::from_millis(10);
    let batcher = Batcher::builder()
        .max_items(4)
        .workers(2)
        .retry(RetryPolicy::attempts(3).with_backoff(backoff, LONG))
        .start(move |batch: &mut Batch<u64>| {
            times
                .lock()
                .unwrap()
                .push((batch.attempt(), Instant::now()));
            Err::<(), _>("always")
        })
        .unwrap();
    batcher.enqueue_many(0..4).unwrap();
    let report = batcher.safe_stop(LONG);
    assert_eq!((report.failed, report.abandoned), (4, 0));
    let calls = calls.lock().unwrap();
    assert_eq!(
        calls.iter().map(|call| call.0).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert!(calls[1].1 - calls[0].1 >= backoff && calls[2].1 - calls[1].1 >= 2 * backoff);
    assert_eq!(batcher.counters().retries, 2);
}

#[test]
fn the_last_handle_dropped_never_drops_the_queue() {
    for _ in 0..100 {
        let (batcher, batches) = noting(Batcher::builder().max_items(7).linger(LONG).workers(2));
        let clone = batcher.clone();
        let producer = thread::spawn(move || clone.enqueue_many(0..50));
        batcher.enqueue_many(50..100).unwrap();
        drop(batcher);
        producer.join().unwrap().unwrap();
        let seen = Arc::try_unwrap(batches)
            .expect("the workers have ended and let go")
            .into_inner();
        let seen: HashSet<u64> = seen.unwrap().into_iter().flatten().collect();
        assert_eq!(seen.len(), 100);
    }
}

#[test]
fn options_that_cannot_work_never_start() {
    use footman_batcher::{InvalidOptions as Invalid, RetryPolicy, StartError};
    let refused = |builder: Builder<u64>| match builder
        .start(|_: &mut Batch<u64>| Ok::<(), Infallible>(()))
    {
        Err(StartError::InvalidOptions(invalid)) => invalid,
        other => panic!("{other:?}"),
    };
    let new = Batcher::<u64>::builder;
    assert_eq!(refused(new().max_items(0)), Invalid::ZeroMaxItems);
    assert_eq!(refused(new().max_bytes(0, |_| 1)), Invalid::ZeroMaxBytes);
    assert_eq!(refused(new().workers(0)), Invalid::ZeroWorkers);
    assert_eq!(
        refused(new().workers(1 << 20)),
        Invalid::TooManyWorkers(1 << 20)
    );
    assert_eq!(
        refused(new().retry(RetryPolicy::attempts(0))),
        Invalid::ZeroAttempts
    );
    let (capacity, max_items) = (10, 64);
    assert_eq!(
        refused(new().capacity(capacity)),
        Invalid::CapacityBelowBatch {
            capacity,
            max_items
        }
    );
}

#[test]
fn no_error_or_report_ever_prints_an_item() {
    let (batcher, _) = noting(Batcher::builder().max_items(1).capacity(1));
    drop(batcher.stop(LONG));
    let secret = "4111-1111".to_owned();
    let error = batcher.try_enqueue(secret.clone()).unwrap_err();
    let many = batcher.enqueue_many([secret]).unwrap_err();
    for text in [
        format!("{error:?} {error}"),
        format!("{many:?} {many}"),
        format!("{batcher:?}"),
    ] {
        assert!(!text.contains("4111"), "{text}");
    }
}
