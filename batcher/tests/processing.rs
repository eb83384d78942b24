//! How batches are closed, retried, split, ordered, evicted and answered, on the threaded front.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use footman_batcher::{
    Batch, Batcher, Builder, EnqueueTimeoutError, FlushError, OnFailure, Replies, RetryPolicy,
    SubmitError, TryEnqueueError,
};

const LONG: Duration = Duration::from_secs(60);
const NO_REST: Duration = Duration::ZERO;

/// A processor that takes a permit for each batch and notes it; without the sender, permits are free.
fn gated<T: Clone + Send + 'static>(
    builder: Builder<T>,
) -> (Batcher<T>, Receiver<Vec<T>>, Sender<()>) {
    let (enter, entered) = mpsc::channel();
    let (permit, permits) = mpsc::channel();
    let permits = Mutex::new(permits);
    let batcher = builder.start(move |batch: &mut Batch<T>| {
        enter.send(batch.to_vec()).ok();
        permits.lock().unwrap().recv().ok();
        Ok::<(), Infallible>(())
    });
    (batcher.unwrap(), entered, permit)
}

fn open<T: Clone + Send + 'static>(builder: Builder<T>) -> (Batcher<T>, Receiver<Vec<T>>) {
    let (batcher, entered, _) = gated(builder);
    (batcher, entered)
}

#[test]
fn bytes_close_a_batch_before_the_item_that_would_not_fit() {
    let builder = Batcher::builder()
        .max_items(100)
        .max_bytes(10, String::len)
        .linger(LONG);
    let (batcher, batches) = open(builder.workers(1));
    let words = ["four", "five5", "three", "and", "a very long one", "x"];
    batcher.enqueue_many(words.map(str::to_owned)).unwrap();
    assert_eq!(batcher.safe_stop(LONG).processed, 6);
    let batches: Vec<_> = batches.try_iter().map(|batch| batch.join("+")).collect();
    assert_eq!(batches, ["four+five5", "three+and", "a very long one", "x"]);
    assert_eq!(batcher.counters().closed_by_bytes, 3);
}

#[test]
fn a_full_queue_refuses_waits_or_gives_up() {
    let (batcher, entered, permit) = gated(Batcher::builder().max_items(2).workers(1).capacity(4));
    batcher.enqueue_many([0, 1]).unwrap();
    entered.recv().unwrap();
    batcher.enqueue_many([2, 3, 4, 5]).unwrap();
    assert_eq!(batcher.try_enqueue(6), Err(TryEnqueueError::Full(6)));
    let timeout = Duration::from_millis(5);
    let start = Instant::now();
    assert_eq!(
        batcher.enqueue_timeout(6, timeout),
        Err(EnqueueTimeoutError::Timeout(6))
    );
    assert!(start.elapsed() >= timeout);
    assert_eq!(batcher.counters().refused_full, 2);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| batcher.enqueue(6));
        drop(permit);
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
    assert_eq!(batcher.safe_stop(LONG).processed, 7);
}

#[test]
fn a_batch_under_assembly_that_fills_the_queue_does_not_wait_for_its_linger() {
    let builder = Batcher::builder()
        .max_items(usize::MAX)
        .linger(Duration::MAX)
        .workers(1)
        .capacity(4);
    let (batcher, _) = open(builder);
    // Neither the linger nor the size ever closes a batch here: it is the full queue, or this hangs.
    assert_eq!(batcher.enqueue_many(0..100), Ok(100));
    assert!(batcher.counters().closed_by_full_queue > 0);
    assert_eq!(batcher.safe_stop(LONG).processed, 100);
    let counters = batcher.counters();
    let by_full_queue_or_stop = counters.closed_by_full_queue + counters.closed_by_stop;
    assert_eq!(counters.closed(), by_full_queue_or_stop);
}

#[test]
fn enqueue_or_evict_gives_the_oldest_back_and_tells_its_ticket() {
    let (batcher, entered, permit) = gated(Batcher::builder().max_items(2).workers(1).capacity(4));
    batcher.enqueue_many([0, 1]).unwrap();
    entered.recv().unwrap();
    let ticket = batcher.submit(2).unwrap();
    let kept = batcher.submit(3).unwrap();
    batcher.enqueue_many([4, 5]).unwrap();
    assert_eq!(batcher.enqueue_or_evict(6), Ok(Some(2)));
    assert!(matches!(ticket.wait(), Err(SubmitError::Evicted)));
    drop(permit);
    assert!(kept.wait().is_ok());
    let report = batcher.safe_stop(LONG);
    assert_eq!((report.processed, report.evicted), (6, 1));
    assert_eq!(
        entered.try_iter().flatten().collect::<Vec<_>>(),
        [3, 4, 5, 6]
    );
}

#[test]
fn eviction_goes_through_batches_in_order_and_never_evicts_what_is_in_process() {
    let (batcher, entered, permit) = gated(Batcher::builder().max_items(3).workers(1).capacity(6));
    batcher.enqueue_many(0..3).unwrap();
    entered.recv().unwrap();
    batcher.enqueue_many(3..9).unwrap();
    let evicted: Vec<_> = (9..16)
        .map(|item| batcher.enqueue_or_evict(item).unwrap())
        .collect();
    assert_eq!(evicted, (3..10).map(Some).collect::<Vec<_>>());
    drop(permit);
    let report = batcher.safe_stop(LONG);
    assert_eq!(
        (report.processed, report.evicted, report.accepted),
        (9, 7, 16)
    );
    assert_eq!(
        entered.try_iter().flatten().collect::<Vec<_>>(),
        (10..16).collect::<Vec<_>>()
    );
}

#[test]
fn what_rests_before_a_retry_is_never_evicted() {
    let (permit, permits) = mpsc::channel::<()>();
    let permits = Mutex::new(permits);
    let batcher = Batcher::builder()
        .max_items(2)
        .workers(1)
        .capacity(4)
        .retry(RetryPolicy::attempts(9).with_backoff(LONG, LONG))
        .start(move |_: &mut Batch<u64>| {
            permits.lock().unwrap().recv().ok();
            Err::<(), _>("not now")
        })
        .unwrap();
    batcher.enqueue_many([0, 1]).unwrap();
    while batcher.counters().in_process == 0 {
        thread::yield_now();
    }
    batcher.enqueue_many([2, 3, 4, 5]).unwrap(); // full
    permit.send(()).unwrap(); // 0 and 1 come back to rest, 2 and 3 are in process
    while batcher.counters().retries == 0 || batcher.counters().in_process == 0 {
        thread::yield_now();
    }
    permit.send(()).unwrap(); // 2 and 3 rest as well, 4 and 5 are in process
    while batcher.counters().retries < 2 || batcher.counters().in_process == 0 {
        thread::yield_now();
    }
    assert_eq!(batcher.try_enqueue(6), Err(TryEnqueueError::Full(6)));
    assert_eq!(
        batcher.enqueue_or_evict(6),
        Err(TryEnqueueError::Full(6)),
        "all of it rests"
    );
    drop(permit);
    let mut left = batcher.stop(LONG).unprocessed;
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_split_finds_the_item_that_spoils_its_batch() {
    let poison = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&poison);
    let batcher = Batcher::builder()
        .max_items(64)
        .workers(2)
        .on_failure(move |failed| {
            if failed.items().len() > 1 {
                return OnFailure::Split;
            }
            sink.lock().unwrap().extend(failed.take_items());
            OnFailure::Drop
        })
        .start(|batch: &mut Batch<u64>| match batch.contains(&41) {
            true => Err("spoilt"),
            false => Ok(batch.iter().map(|item| item + 1).collect::<Vec<_>>()),
        })
        .unwrap();
    let tickets: Vec<_> = (0..64).map(|item| batcher.submit(item).unwrap()).collect();
    for (item, ticket) in tickets.into_iter().enumerate() {
        match (item, ticket.wait()) {
            (41, Err(SubmitError::Failed(failure))) => assert_eq!(failure.attempts(), 1),
            (_, reply) => assert_eq!(reply.unwrap(), item as u64 + 1),
        }
    }
    assert_eq!(*poison.lock().unwrap(), [41]);
    assert_eq!(batcher.flush(LONG), Ok(()));
    let counters = batcher.counters();
    assert_eq!(
        (counters.processed, counters.handed_over, counters.splits),
        (63, 1, 6)
    );
}

#[test]
fn an_error_can_be_told_apart_by_its_type() {
    use std::io;
    let batcher = Batcher::builder()
        .max_items(1)
        .retry(RetryPolicy::attempts(5).with_backoff(NO_REST, NO_REST))
        .on_failure(
            |failed| match failed.failure().downcast_ref::<io::Error>() {
                Some(error) if error.kind() == io::ErrorKind::Interrupted => OnFailure::Retry,
                _ => OnFailure::Drop,
            },
        )
        .start(|batch: &mut Batch<u64>| match batch.attempt() {
            3 => Err::<(), _>(io::Error::from(io::ErrorKind::NotFound)),
            _ => Err(io::Error::from(io::ErrorKind::Interrupted)),
        })
        .unwrap();
    batcher.enqueue(0).unwrap();
    assert_eq!(batcher.safe_stop(LONG).failed, 1);
    assert_eq!(
        (batcher.counters().errors, batcher.counters().retries),
        (3, 2)
    );
}

#[test]
fn another_number_of_replies_is_a_failure_not_a_shift() {
    let batcher = Batcher::builder()
        .max_items(3)
        .start(|_: &mut Batch<u64>| Ok::<_, Infallible>(vec![1, 2]))
        .unwrap();
    let tickets: Vec<_> = (0..3).map(|item| batcher.submit(item).unwrap()).collect();
    for ticket in tickets {
        let failure = ticket.wait().unwrap_err();
        assert!(matches!(&failure, SubmitError::Failed(f) if f.to_string().contains("2 replies")));
    }
}

#[test]
fn a_ticket_hears_of_a_stop_and_can_wait_for_a_while() {
    let (batcher, entered, permit) = gated(Batcher::builder().max_items(1).workers(1));
    let first = batcher.submit(0).unwrap();
    entered.recv().unwrap();
    let second = batcher.submit(1).unwrap();
    let first = first.wait_timeout(Duration::from_millis(1)).unwrap_err();
    assert_eq!(batcher.stop(NO_REST).unprocessed, [1]);
    assert!(matches!(second.wait(), Err(SubmitError::Stopped)));
    drop(permit);
    assert!(
        first.wait().is_ok(),
        "its processor was at work and ended well"
    );
}

#[test]
fn flush_waits_for_all_that_came_before_and_nothing_else() {
    let (batcher, entered, permit) = gated(Batcher::builder().max_items(4).linger(LONG).workers(2));
    assert_eq!(batcher.flush(NO_REST), Ok(()), "nothing to wait for");
    batcher.enqueue_many(0..6).unwrap();
    assert_eq!(
        batcher.flush(Duration::from_millis(1)),
        Err(FlushError::Timeout)
    );
    let mut seen = [entered.recv().unwrap(), entered.recv().unwrap()];
    seen.sort();
    assert_eq!(
        seen,
        [vec![0, 1, 2, 3], vec![4, 5]],
        "the flush closed the half-full batch"
    );
    permit.send(()).unwrap();
    permit.send(()).unwrap();
    assert_eq!(batcher.flush(LONG), Ok(()));
    assert_eq!(batcher.counters().processed, 6);
    batcher.enqueue(6).unwrap();
    thread::scope(|scope| {
        let flush = scope.spawn(|| batcher.flush(LONG));
        assert_eq!(entered.recv().unwrap(), [6]);
        batcher.enqueue_many([7, 8]).unwrap(); // stay under assembly: the flush began before
        permit.send(()).unwrap();
        assert_eq!(flush.join().unwrap(), Ok(()));
    });
    let counters = batcher.counters();
    assert_eq!((counters.processed, counters.queued), (7, 2));
    drop(permit);
    assert_eq!(batcher.safe_stop(LONG).processed, 9);
}

#[test]
fn a_flush_cut_short_by_a_stop_says_so() {
    let (batcher, entered, permit) = gated(Batcher::builder().max_items(1).workers(1));
    batcher.enqueue_many([0, 1]).unwrap();
    entered.recv().unwrap();
    thread::scope(|scope| {
        let flush = scope.spawn(|| batcher.flush(LONG));
        assert_eq!(batcher.stop(NO_REST).unprocessed, [1]);
        drop(permit);
        assert_eq!(flush.join().unwrap(), Err(FlushError::Stopped));
    });
}

#[test]
fn items_of_one_key_are_processed_in_order_also_across_retries() {
    let seen = Arc::new(Mutex::new(HashMap::<u64, Vec<u64>>::new()));
    let sink = Arc::clone(&seen);
    let batcher = Batcher::builder()
        .max_items(7)
        .linger(Duration::from_micros(200))
        .workers(4)
        .order_by(|(key, _): &(u64, u64)| *key)
        .retry(RetryPolicy::attempts(3).with_backoff(Duration::from_micros(300), LONG))
        .start(move |batch: &mut Batch<(u64, u64)>| {
            // The first attempt of some batches fails: later ones of the key must not overtake it.
            if batch.attempt() == 1 && batch[0].1.is_multiple_of(3) {
                return Err("first attempt");
            }
            let mut seen = sink.lock().unwrap();
            for (key, number) in &*batch {
                seen.entry(*key).or_default().push(*number);
            }
            Ok(())
        })
        .unwrap();
    for number in 0..500 {
        batcher
            .enqueue_many((0..10).map(|key| (key, number)))
            .unwrap();
    }
    assert_eq!(batcher.safe_stop(LONG).processed, 5000);
    for (key, numbers) in seen.lock().unwrap().iter() {
        assert_eq!(*numbers, (0..500).collect::<Vec<_>>(), "key {key}");
    }
    assert!(batcher.counters().retries > 0);
}

#[test]
fn keys_of_other_lanes_go_on_while_one_rests() {
    let (enter, entered) = mpsc::channel();
    let batcher = Batcher::builder()
        .max_items(1)
        .workers(8)
        .order_by(|key: &u64| *key)
        .retry(RetryPolicy::attempts(2).with_backoff(LONG, LONG))
        .start(move |batch: &mut Batch<u64>| {
            enter.send(batch[0]).ok();
            if batch[0] == 0 {
                Err("rests for a minute")
            } else {
                Ok(())
            }
        })
        .unwrap();
    batcher.enqueue_many(0..64).unwrap();
    while batcher.counters().retries == 0 {
        thread::yield_now();
    }
    // Those that share the lane of key 0 wait behind it; some of 63 others are in other lanes.
    let mut others = entered.iter().filter(|key| *key != 0);
    assert!(others.next().is_some());
    let report = batcher.stop(LONG);
    assert_eq!(
        report.unprocessed.iter().filter(|key| **key == 0).count(),
        1
    );
    assert_eq!(report.processed + report.unprocessed.len() as u64, 64);
}

#[test]
fn adaptive_mode_flushes_at_once_when_idle_and_grows_under_load() {
    let builder = Batcher::builder()
        .max_items(100)
        .linger(LONG)
        .workers(1)
        .adaptive(true);
    let (batcher, entered, permit) = gated(builder);
    batcher.enqueue(0).unwrap();
    assert_eq!(
        entered.recv().unwrap(),
        [0],
        "no linger while a worker is idle"
    );
    for item in 1..=50 {
        batcher.enqueue(item).unwrap();
    }
    drop(permit);
    assert_eq!(
        entered.recv().unwrap(),
        (1..=50).collect::<Vec<_>>(),
        "grown while it was busy"
    );
    assert_eq!(batcher.safe_stop(LONG).processed, 51);
    assert_eq!(batcher.counters().closed_by_idle, 2);
}

#[test]
fn the_linger_is_never_early_never_rearmed_and_not_paid_per_worker() {
    let linger = Duration::from_millis(5);
    let (enter, entered) = mpsc::channel();
    let batcher = Batcher::builder()
        .max_items(1000)
        .linger(linger)
        .workers(8)
        .start(move |batch: &mut Batch<Instant>| {
            enter.send((Instant::now(), batch.to_vec())).ok();
            Ok::<(), Infallible>(())
        })
        .unwrap();
    let mut whole = 0;
    while whole < 20 {
        // A trickle that would re-arm a debounce for ever, over eight idle workers.
        let first = Instant::now();
        batcher.enqueue(first).unwrap();
        let mut sent = 1;
        while sent < 500 && first.elapsed() < linger / 2 {
            batcher.enqueue(Instant::now()).unwrap();
            sent += 1;
            thread::yield_now();
        }
        // What was enqueued before the linger's end is in its batch. If this thread lost its core until after that, the
        // rest is in another one.
        let in_time = Instant::now() < first + linger;
        let mut came = 0;
        while came < sent {
            let (at, batch) = entered.recv().unwrap();
            let due = batch[0] + linger;
            assert!(at >= due, "early by {:?}", due - at);
            assert!(!in_time || batch.len() == sent, "one batch of all of them");
            came += batch.len();
        }
        whole += usize::from(in_time);
    }
    let counters = batcher.counters();
    assert_eq!(counters.closed_by_linger, counters.closed());
}

#[test]
fn a_processor_may_take_items_out_by_value() {
    let (enter, entered) = mpsc::channel();
    let batcher = Batcher::builder()
        .max_items(2)
        .start(move |batch: &mut Batch<String>| {
            enter.send(batch.iter_mut().map(std::mem::take).collect::<Vec<_>>())
        });
    let batcher = batcher.unwrap();
    batcher
        .enqueue_many(["a".to_owned(), "b".to_owned()])
        .unwrap();
    assert_eq!(entered.recv().unwrap(), ["a", "b"]);
    assert_eq!(<()>::into_replies((), 2).len(), 2);
}

#[test]
fn counters_add_up_at_every_moment() {
    let (batcher, _) = open(Batcher::builder().max_items(3).workers(2).capacity(50));
    thread::scope(|scope| {
        let producers = [0, 1].map(|_| scope.spawn(|| batcher.enqueue_many(0..5000)));
        while producers.iter().any(|producer| !producer.is_finished()) {
            let c = batcher.counters();
            let sum = c.processed + c.failed + c.evicted + c.returned + c.queued + c.in_process;
            assert_eq!(c.accepted, sum, "{c:?}");
        }
    });
    assert_eq!(batcher.safe_stop(LONG).processed, 10_000);
    let counters = batcher.counters();
    assert_eq!(
        counters.closed(),
        counters.closed_by_items
            + counters.closed_by_stop
            + counters.closed_by_linger
            + counters.closed_by_full_queue
    );
}
