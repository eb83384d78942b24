//! The tokio front: the same promises, kept by tasks.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use footman_batcher::{
    AsyncBatcher, Batch, Builder, EnqueueTimeoutError, FlushError, OnFailure, RetryPolicy,
    StartError, Stopped, SubmitError, TryEnqueueError,
};
use tokio::sync::Semaphore;

const LONG: Duration = Duration::from_secs(60);

type Notes = Arc<Mutex<Vec<Vec<u64>>>>;

/// A processor that takes a permit for each batch and notes it.
fn gated(builder: Builder<u64>) -> (AsyncBatcher<u64>, Arc<Semaphore>, Notes) {
    let (gate, notes) = (
        Arc::new(Semaphore::new(0)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let (permits, batches) = (Arc::clone(&gate), Arc::clone(&notes));
    let batcher = builder.start_tokio(move |batch: &mut Batch<u64>| {
        let (permits, batches) = (Arc::clone(&permits), Arc::clone(&batches));
        Box::pin(async move {
            if let Ok(permit) = permits.acquire().await {
                permit.forget();
            }
            batches.lock().unwrap().push(batch.to_vec());
            Ok::<(), Infallible>(())
        })
    });
    (batcher.unwrap(), gate, notes)
}

fn open(builder: Builder<u64>) -> (AsyncBatcher<u64>, Notes) {
    let (batcher, gate, notes) = gated(builder);
    gate.close(); // every acquire returns at once
    (batcher, notes)
}

fn builder() -> Builder<u64> {
    AsyncBatcher::builder()
}

#[tokio::test]
async fn a_full_queue_makes_enqueue_wait_and_room_wakes_it() {
    let (batcher, gate, _) = gated(builder().max_items(1).workers(1).capacity(4));
    batcher.enqueue(0).await.unwrap();
    while batcher.counters().in_process == 0 {
        tokio::task::yield_now().await;
    }
    batcher.enqueue_many(1..5).await.unwrap(); // full
    let producer = {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.enqueue_many(5..1000).await })
    };
    let timeout = Duration::from_millis(2);
    let refused = batcher.enqueue_timeout(7, timeout).await;
    assert_eq!(refused, Err(EnqueueTimeoutError::Timeout(7)));
    gate.close();
    assert_eq!(producer.await.unwrap(), Ok(995));
    assert_eq!(batcher.safe_stop(LONG).await.processed, 1000);
    assert_eq!(batcher.counters().refused_full, 1);
}

#[tokio::test]
async fn a_waiting_enqueue_that_is_dropped_passes_its_call_on() {
    let (batcher, gate, _) = gated(builder().max_items(1).workers(1).capacity(1));
    batcher.enqueue(0).await.unwrap();
    while batcher.counters().in_process == 0 {
        tokio::task::yield_now().await;
    }
    batcher.enqueue(1).await.unwrap(); // full
    {
        let mut first = pin!(batcher.enqueue(2));
        let mut second = pin!(batcher.enqueue(3));
        poll_fn(|context| {
            assert!(first.as_mut().poll(context).is_pending());
            assert!(second.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        gate.add_permits(1); // room for one: the first is called …
        while batcher.counters().queued > 0 {
            tokio::task::yield_now().await;
        }
        drop(batcher.enqueue(9)); // never polled: not accepted
    } // … and dropped before it looks
    let (batcher2, gate2) = (batcher.clone(), gate);
    let third = tokio::spawn(async move { batcher2.enqueue(4).await });
    gate2.close();
    third.await.unwrap().unwrap();
    assert_eq!(batcher.safe_stop(LONG).await.processed, 3);
}

#[tokio::test]
async fn submit_gives_each_item_its_own_reply() {
    let batcher = AsyncBatcher::builder()
        .max_items(4)
        .linger(Duration::from_millis(1))
        .start_tokio(|batch: &mut Batch<u64>| {
            Box::pin(async move {
                if batch.contains(&13) {
                    return Err("unlucky");
                }
                Ok(batch.iter().map(|item| item * 10).collect::<Vec<_>>())
            })
        });
    let batcher = batcher.unwrap();
    let mut tickets = Vec::new();
    for item in 0..10 {
        tickets.push((item, batcher.submit(item).await.unwrap()));
    }
    for (item, ticket) in tickets {
        assert_eq!(ticket.await.unwrap(), item * 10);
    }
    let ticket = batcher.submit(13).await.unwrap();
    match ticket.await {
        Err(SubmitError::Failed(failure)) => assert!(failure.to_string().contains("unlucky")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_panic_before_or_between_awaits_loses_nothing() {
    let handed = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&handed);
    let batcher = builder()
        .max_items(1)
        .workers(2)
        .on_failure(move |failed| {
            sink.lock().unwrap().extend(failed.take_items());
            OnFailure::Drop
        })
        .start_tokio(|batch: &mut Batch<u64>| {
            if batch[0] == 1 {
                std::panic::resume_unwind(Box::new("at once"));
            }
            Box::pin(async move {
                tokio::task::yield_now().await;
                if batch[0] == 2 {
                    std::panic::resume_unwind(Box::new("later"));
                }
                Ok::<(), Infallible>(())
            })
        })
        .unwrap();
    batcher.enqueue_many(0..5).await.unwrap();
    let report = batcher.safe_stop(LONG).await;
    assert_eq!(
        (report.processed, report.failed, report.abandoned),
        (3, 2, 0)
    );
    let mut handed = handed.lock().unwrap().clone();
    handed.sort_unstable();
    assert_eq!(handed, [1, 2]);
}

#[tokio::test]
async fn flush_waits_for_what_came_before_it() {
    let (batcher, gate, notes) = gated(builder().max_items(100).linger(LONG).workers(2));
    batcher.enqueue_many(0..10).await.unwrap();
    assert_eq!(
        batcher.flush(Duration::from_millis(1)).await,
        Err(FlushError::Timeout)
    );
    gate.add_permits(1);
    assert_eq!(batcher.flush(LONG).await, Ok(()));
    assert_eq!(*notes.lock().unwrap(), [(0..10).collect::<Vec<_>>()]);
    gate.close();
}

#[tokio::test]
async fn a_linger_is_never_early_and_counts_from_the_first_enqueue() {
    let linger = Duration::from_millis(5);
    let started = Arc::new(Mutex::new(None::<Instant>));
    let sink = Arc::clone(&started);
    let batcher = builder()
        .max_items(1000)
        .linger(linger)
        .workers(2)
        .start_tokio(move |_: &mut Batch<u64>| {
            *sink.lock().unwrap() = Some(Instant::now());
            Box::pin(async { Ok::<(), Infallible>(()) })
        });
    let batcher = batcher.unwrap();
    for _ in 0..20 {
        let before = Instant::now();
        batcher.submit(0).await.unwrap().await.unwrap();
        let at = started.lock().unwrap().take().unwrap();
        assert!(at >= before + linger, "early by {:?}", before + linger - at);
    }
    assert_eq!(batcher.counters().closed_by_linger, 20);
}

#[tokio::test]
async fn adaptive_mode_does_not_linger_while_a_worker_is_idle() {
    let (batcher, notes) = open(
        builder()
            .max_items(1000)
            .linger(Duration::MAX)
            .workers(1)
            .adaptive(true),
    );
    // No linger ever ends here: it is the idle worker, or this hangs.
    batcher.submit(0).await.unwrap().await.unwrap();
    assert_eq!(*notes.lock().unwrap(), [[0]]);
    assert_eq!(batcher.counters().closed_by_idle, 1);
}

#[test]
fn without_a_runtime_it_does_not_start() {
    let started = builder().start_tokio(|_| Box::pin(async { Ok::<(), Infallible>(()) }));
    assert!(matches!(started, Err(StartError::NoRuntime)));
}

#[test]
fn a_runtime_shut_down_loses_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (batcher, ticket) = runtime.block_on(async {
        let (batcher, _gate, _) = gated(builder().max_items(4).workers(2));
        batcher.enqueue_many(0..10).await.unwrap();
        let ticket = batcher.submit(10).await.unwrap();
        while batcher.counters().in_process < 8 {
            tokio::task::yield_now().await;
        }
        (batcher, ticket)
    });
    drop(runtime);
    assert!(
        matches!(ticket.wait(), Err(SubmitError::Stopped)),
        "told at once"
    );
    assert!(batcher.try_enqueue(11).is_err());
    let other = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let report = other.block_on(batcher.safe_stop(LONG));
    let mut items = report.unprocessed;
    items.sort_unstable();
    assert_eq!(items, (0..11).collect::<Vec<_>>(), "those in hand included");
}

#[tokio::test]
async fn the_last_handle_dropped_finishes_in_the_background() {
    let (batcher, notes) = open(builder().max_items(7).linger(LONG).workers(2));
    batcher.enqueue_many(0..50).await.unwrap();
    drop(batcher);
    while notes.lock().unwrap().iter().map(Vec::len).sum::<usize>() < 50 {
        tokio::task::yield_now().await;
    }
}

/// The law of `tests/stop_under_load.rs`, on tasks.
async fn one_round(seed: u64) {
    let (done, handed) = (
        Arc::new(Mutex::new(HashSet::new())),
        Arc::new(AtomicU64::new(0)),
    );
    let (processed, taken) = (Arc::clone(&done), Arc::clone(&handed));
    let batcher = builder()
        .max_items(1 + (seed % 5) as usize)
        .linger(Duration::from_micros(50 * (seed % 3)))
        .workers(2)
        .capacity(16)
        .retry(RetryPolicy::attempts(2).with_backoff(Duration::ZERO, Duration::ZERO))
        .on_failure(move |failed| match failed.items()[0] % 3 {
            0 if failed.can_retry() => OnFailure::Retry,
            1 if failed.items().len() > 1 => OnFailure::Split,
            _ => {
                taken.fetch_add(failed.take_items().len() as u64, Ordering::Relaxed);
                OnFailure::Drop
            }
        })
        .start_tokio(move |batch: &mut Batch<u64>| {
            let processed = Arc::clone(&processed);
            Box::pin(async move {
                match (batch[0] * 31 + seed + u64::from(batch.attempt())) % 7 {
                    0 => return Err("now and then"),
                    1 => std::panic::resume_unwind(Box::new("now and then")),
                    2 => tokio::task::yield_now().await,
                    _ => {}
                }
                let mut done = processed.lock().unwrap();
                for item in &*batch {
                    assert!(done.insert(*item), "processed twice");
                }
                Ok(())
            })
        })
        .unwrap();
    let mut producers = Vec::new();
    for producer in 0..2u64 {
        let batcher = batcher.clone();
        producers.push(tokio::spawn(async move {
            let mut accepted = 0;
            for item in 0..100 {
                let item = producer * 1000 + item;
                accepted += u64::from(match item % 3 {
                    0 => batcher.enqueue(item).await.is_ok(),
                    1 => batcher.try_enqueue(item).is_ok(),
                    _ => batcher.enqueue_many([item]).await.is_ok(),
                });
            }
            accepted
        }));
    }
    for _ in 0..seed % 20 {
        tokio::task::yield_now().await;
    }
    let report = match seed % 2 {
        0 => batcher.stop(LONG).await,
        _ => batcher.safe_stop(LONG).await,
    };
    let mut accepted = 0;
    for producer in producers {
        accepted += producer.await.unwrap();
    }
    assert_eq!(
        (report.accepted, report.still_running),
        (accepted, 0),
        "seed {seed}"
    );
    assert_eq!(
        report.processed + report.failed + report.abandoned,
        accepted,
        "seed {seed}"
    );
    assert_eq!(
        report.processed,
        done.lock().unwrap().len() as u64,
        "seed {seed}"
    );
    assert_eq!(report.failed, handed.load(Ordering::Relaxed), "seed {seed}");
    assert_eq!(
        report.abandoned,
        report.unprocessed.len() as u64,
        "seed {seed}"
    );
    assert!(
        seed.is_multiple_of(2) || report.abandoned == 0,
        "seed {seed}: a safe stop finishes everything"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_stops_under_load_account_for_every_item() {
    for seed in 0..1000 {
        one_round(seed).await;
    }
}

#[tokio::test]
async fn a_full_queue_refuses_evicts_and_gives_back_at_the_stop() {
    let (batcher, gate, _) = gated(builder().max_items(1).workers(1).capacity(2));
    batcher.enqueue(0).await.unwrap();
    while batcher.counters().in_process == 0 {
        tokio::task::yield_now().await;
    }
    batcher.enqueue(1).await.unwrap();
    let ticket = batcher.try_submit(2).unwrap(); // full
    assert_eq!(batcher.try_enqueue(9), Err(TryEnqueueError::Full(9)));
    assert!(matches!(
        batcher.try_submit(9),
        Err(TryEnqueueError::Full(9))
    ));
    assert_eq!(batcher.enqueue_or_evict(3), Ok(Some(1)));
    assert_eq!(batcher.enqueue_or_evict(4), Ok(Some(2)));
    assert!(matches!(ticket.await, Err(SubmitError::Evicted)));
    let (waiting, stop) = {
        let (mut waiting, mut stop) = (pin!(batcher.enqueue(5)), pin!(batcher.stop(LONG)));
        poll_fn(|context| {
            assert!(waiting.as_mut().poll(context).is_pending());
            assert!(stop.as_mut().poll(context).is_pending(), "0 is in process");
            Poll::Ready(())
        })
        .await;
        gate.close();
        (waiting.await, stop.await)
    };
    assert_eq!(waiting, Err(Stopped(5)));
    assert_eq!(stop.unprocessed, [3, 4]);
    assert_eq!((stop.processed, stop.evicted, stop.abandoned), (1, 2, 2));
    assert_eq!(batcher.try_enqueue(6), Err(TryEnqueueError::Stopped(6)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_of_one_key_are_processed_in_order_also_across_retries() {
    const KEYS: u64 = 5;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let processed = Arc::clone(&seen);
    let batcher = builder()
        .max_items(7)
        .workers(3)
        .order_by(|item: &u64| item % KEYS)
        .retry(RetryPolicy::attempts(3).with_backoff(Duration::ZERO, Duration::ZERO))
        .start_tokio(move |batch: &mut Batch<u64>| {
            let processed = Arc::clone(&processed);
            Box::pin(async move {
                tokio::task::yield_now().await;
                if batch.attempt() < 3 && batch[0].is_multiple_of(2) {
                    return Err("the first two times");
                }
                processed.lock().unwrap().extend(batch.iter());
                Ok(())
            })
        });
    let batcher = batcher.unwrap();
    batcher.enqueue_many(0..500).await.unwrap();
    assert_eq!(batcher.safe_stop(LONG).await.processed, 500);
    let seen = seen.lock().unwrap();
    for key in 0..KEYS {
        let of_key: Vec<u64> = seen
            .iter()
            .filter(|item| *item % KEYS == key)
            .copied()
            .collect();
        assert_eq!(
            of_key,
            (0..500)
                .filter(|item| item % KEYS == key)
                .collect::<Vec<_>>()
        );
    }
    assert!(batcher.counters().retries > 0);
}
