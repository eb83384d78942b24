//! The law of every stop: accepted = processed + failed and handed over + returned, exactly.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use footman_batcher::{Batch, Batcher, OnFailure, RetryPolicy};

const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Stop,
    SafeStop,
    /// A safe stop that a stop cuts short.
    Both,
    DropLastHandle,
}

/// Two producers, two workers, a processor that fails or panics now and then, a handler that takes,
/// retries and splits; ended in the middle.
fn one_round(seed: u64, end: End) {
    let done = Arc::new(Mutex::new(HashSet::new()));
    let handed = Arc::new(Mutex::new(HashSet::new()));
    let (processed, taken) = (Arc::clone(&done), Arc::clone(&handed));
    let batcher = Batcher::builder()
        .max_items(1 + (seed % 5) as usize)
        .linger(Duration::from_micros(50 * (seed % 3)))
        .workers(2)
        .capacity(16)
        .retry(RetryPolicy::attempts(2).with_backoff(Duration::ZERO, Duration::ZERO))
        .on_failure(move |failed| match failed.items()[0] % 3 {
            0 if failed.can_retry() => OnFailure::Retry,
            1 if failed.items().len() > 1 || failed.can_retry() => OnFailure::Split,
            _ => {
                taken.lock().unwrap().extend(failed.take_items());
                OnFailure::Drop
            }
        })
        .start(move |batch: &mut Batch<u64>| {
            match (batch[0] * 31 + seed + u64::from(batch.attempt())) % 7 {
                0 => return Err("now and then"),
                1 => std::panic::resume_unwind(Box::new("now and then")),
                _ => {}
            }
            let mut done = processed.lock().unwrap();
            for item in &*batch {
                assert!(done.insert(*item), "processed twice");
            }
            Ok(())
        })
        .unwrap();

    let accepted = AtomicU64::new(0);
    let mut returned = Vec::new();
    let mut report = None;
    thread::scope(|scope| {
        let mut producers = Vec::new();
        for producer in 0..2u64 {
            let (batcher, accepted) = (batcher.clone(), &accepted);
            producers.push(scope.spawn(move || {
                for item in 0..100 {
                    let item = producer * 1000 + item;
                    let taken = match item % 3 {
                        0 => batcher.enqueue(item).is_ok(),
                        1 => batcher.try_enqueue(item).is_ok(),
                        _ => batcher.enqueue_many([item]).is_ok(),
                    };
                    accepted.fetch_add(u64::from(taken), Ordering::Relaxed);
                }
            }));
        }
        match end {
            End::DropLastHandle => drop(batcher),
            _ => {
                for _ in 0..seed % 200 {
                    std::hint::spin_loop();
                }
                let last = match end {
                    End::Stop => batcher.stop(LONG),
                    End::SafeStop => batcher.safe_stop(LONG),
                    End::Both | End::DropLastHandle => {
                        let other = batcher.clone();
                        let safe = scope.spawn(move || other.safe_stop(LONG));
                        returned.extend(batcher.stop(LONG).unprocessed);
                        returned.extend(safe.join().unwrap().unprocessed);
                        batcher.stop(LONG)
                    }
                };
                report = Some(last);
            }
        }
    });
    let accepted = accepted.into_inner();
    if let Some(report) = report {
        returned.extend(report.unprocessed);
        assert_eq!(report.accepted, accepted, "seed {seed}");
        assert_eq!(report.still_running, 0, "seed {seed}");
        let sum = report.processed + report.failed + report.evicted + report.abandoned;
        assert_eq!(sum, accepted, "seed {seed}");
        assert_eq!(report.abandoned, returned.len() as u64, "seed {seed}");
        assert_eq!(
            report.failed,
            handed.lock().unwrap().len() as u64,
            "seed {seed}"
        );
    }
    if end == End::SafeStop {
        assert_eq!(returned, [], "seed {seed}: a safe stop finishes everything");
    }
    // By identity, not only by count: each item is in exactly one place.
    let (done, handed) = (done.lock().unwrap(), handed.lock().unwrap());
    let returned_set: HashSet<u64> = returned.iter().copied().collect();
    assert_eq!(
        returned_set.len(),
        returned.len(),
        "seed {seed}: returned twice"
    );
    let all: HashSet<u64> = done.union(&handed).chain(&returned_set).copied().collect();
    assert_eq!(
        all.len(),
        done.len() + handed.len() + returned.len(),
        "seed {seed}: in two places"
    );
    assert_eq!(all.len() as u64, accepted, "seed {seed}: lost");
}

fn rounds(end: End) {
    for seed in 0..1000 {
        one_round(seed, end);
    }
}

#[test]
fn a_thousand_stops_under_load_account_for_every_item() {
    rounds(End::Stop);
}

#[test]
fn a_thousand_safe_stops_under_load_finish_every_item() {
    rounds(End::SafeStop);
}

#[test]
fn a_thousand_safe_stops_cut_short_account_for_every_item() {
    rounds(End::Both);
}

#[test]
fn a_thousand_drops_of_the_last_handle_finish_every_item() {
    rounds(End::DropLastHandle);
}
