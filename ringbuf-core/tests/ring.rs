//! What a `Ring` does, one scenario a test.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ringbuf_core::{Closed, InvalidOptions, Reader, Ring, RingOptions, TryReadError};

fn drain(reader: &mut Reader<u64>) -> (Vec<u64>, TryReadError) {
    let mut records = Vec::new();
    loop {
        match reader.read_batch(3) {
            Ok(values) => records.extend_from_slice(values),
            Err(end) => return (records, end),
        }
    }
}

#[test]
fn every_reader_gets_every_record_in_order() {
    let (mut producer, ring) = Ring::new(10_000).unwrap();
    let mut readers = [ring.reader(0), ring.reader(0), ring.reader(700)];
    for value in 0..1_000 {
        assert_eq!(producer.append(value), value);
    }
    assert_eq!(producer.append_batch(1_000..5_000), 1_000..5_000);
    assert_eq!(producer.append_slice(&[5_000, 5_001]), 5_000..5_002);
    assert_eq!(producer.append_with(|| 5_002), 5_002);
    assert_eq!(producer.append_batch([]), 5_003..5_003);
    for (reader, from) in readers.iter_mut().zip([0, 0, 700]) {
        assert_eq!(
            drain(reader),
            ((from..5_003).collect(), TryReadError::Empty)
        );
        assert_eq!((reader.position(), reader.lag()), (5_003, 0));
    }
}

#[test]
fn a_lapped_reader_is_told_exactly_what_it_lost_and_reads_on() {
    let (mut producer, ring) = Ring::new(4).unwrap();
    let mut reader = ring.reader(0);
    producer.append_batch(0..10);
    assert_eq!((ring.oldest(), ring.tail()), (6, 10));
    assert_eq!(
        reader.try_read(),
        Err(TryReadError::Lapped { from: 0, to: 6 })
    );
    // It stands on the oldest record, and holds it: no producer is fast enough to lap it again here.
    producer.append_batch(10..1_000);
    assert_eq!(reader.try_read(), Ok(&6));
    let (records, end) = drain(&mut reader);
    assert_eq!(
        end,
        TryReadError::Lapped {
            from: 7 + records.len() as u64,
            to: 996
        }
    );
    assert!(records.iter().copied().eq(7..7 + records.len() as u64));
    assert_eq!(drain(&mut reader).0, [996, 997, 998, 999]);
}

#[test]
fn values_are_dropped_once_each_whoever_does_it() {
    #[derive(Debug)]
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let (mut producer, ring) = Ring::new(100).unwrap();
    let mut pinned = ring.reader(0);
    producer.append(Counted(drops.clone()));
    pinned.try_read().unwrap();
    for _ in 0..999 {
        producer.append(Counted(drops.clone()));
    }
    let dropped = drops.load(Ordering::Relaxed);
    assert!(
        (700..=900).contains(&dropped),
        "{dropped} of 900 that fell out"
    );
    let shared = producer.share();
    assert!(
        shared
            .append_batch((0..1_000).map(|_| Counted(drops.clone())))
            .is_ok()
    );
    assert!(drops.load(Ordering::Relaxed) <= 1_900);
    drop((shared, ring));
    assert!(
        drops.load(Ordering::Relaxed) < 2_000,
        "the reader keeps the ring"
    );
    drop(pinned);
    assert_eq!(drops.load(Ordering::Relaxed), 2_000);
}

#[test]
fn a_panic_in_a_drop_or_a_constructor_leaves_a_ring_that_works() {
    struct Bomb(u64, Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
            assert!(self.0 != 3, "boom");
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let bomb = |number| Bomb(number, drops.clone());
    let (mut producer, ring) = RingOptions::new(8).build_at(0, 8).unwrap();
    let mut reader = ring.reader(0);
    let mut panics = 0;
    for number in 0..40 {
        panics +=
            u32::from(catch_unwind(AssertUnwindSafe(|| producer.append(bomb(number)))).is_err());
    }
    assert_eq!(panics, 1);
    assert_eq!(ring.tail(), 40);
    let made = catch_unwind(AssertUnwindSafe(|| {
        producer.append_with(|| panic!("not made"))
    }));
    assert!(made.is_err());
    assert_eq!(ring.tail(), 40);
    let batch = (40..50).map(|number| {
        assert!(number != 45, "not made");
        bomb(number)
    });
    assert!(catch_unwind(AssertUnwindSafe(|| producer.append_batch(batch))).is_err());
    assert_eq!(
        ring.tail(),
        45,
        "what was made before the panic is published"
    );
    assert!(reader.try_read().is_err());
    while let Ok(bomb) = reader.try_read() {
        assert!(bomb.0 >= 37);
    }
    assert_eq!(reader.position(), 45);
    drop((producer, reader, ring));
    assert_eq!(drops.load(Ordering::Relaxed), 45);
}

#[test]
fn many_producers_append_each_in_its_order_and_batches_whole() {
    const EACH: u64 = 20_000;
    let (producer, ring) = Ring::new(1 << 20).unwrap();
    let producer = producer.share();
    thread::scope(|scope| {
        for name in 0..4_u64 {
            let producer = producer.clone();
            scope.spawn(move || {
                let mut next = 0;
                while next < EACH {
                    let end = EACH.min(next + 1 + next % 7);
                    if end - next == 1 {
                        producer.append((name, next, end)).unwrap();
                    } else {
                        producer
                            .append_batch((next..end).map(|number| (name, number, end)))
                            .unwrap();
                    }
                    next = end;
                }
            });
        }
    });
    drop(producer);
    let mut reader = ring.reader(0);
    let mut next = [0; 4];
    let mut batch: Option<(u64, u64)> = None; // (name, end) of the batch under way
    while let Ok(&(name, number, end)) = reader.try_read() {
        assert_eq!(number, next[name as usize]);
        next[name as usize] += 1;
        if let Some(under_way) = batch {
            assert_eq!((name, end), under_way, "a batch was torn apart");
        }
        batch = (number + 1 < end).then_some((name, end));
    }
    assert_eq!(next, [EACH; 4]);
    assert_eq!(reader.try_read(), Err(TryReadError::Closed));
}

#[test]
fn a_closed_ring_gives_values_back() {
    let (producer, ring) = Ring::new(10).unwrap();
    let producer = producer.share();
    let other = producer.clone();
    producer.append("last").unwrap();
    producer.close();
    assert_eq!(other.append("late"), Err(Closed("late")));
    assert_eq!(other.append_batch(["late"]), Err(Closed(vec!["late"])));
    assert_eq!(other.append_slice(&["late"]), Err(Closed(())));
    let mut reader = ring.reader(0);
    assert_eq!(reader.try_read(), Ok(&"last"));
    assert_eq!(reader.try_read(), Err(TryReadError::Closed));
    let (producer, ring) = Ring::<u8>::new(10).unwrap();
    producer.close();
    assert!(ring.is_closed());
}

#[test]
fn readers_sleep_until_a_record_comes_or_time_is_over() {
    for options in [RingOptions::new(100), RingOptions::new(100).with_waiting()] {
        let (mut producer, ring) = options.build().unwrap();
        thread::scope(|scope| {
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let mut reader = ring.reader(0);
                    scope.spawn(move || {
                        let mut sum = 0;
                        loop {
                            match reader.read() {
                                Ok(value) => sum += value,
                                Err(TryReadError::Lapped { .. }) => panic!("100 are kept"),
                                Err(end) => {
                                    break assert_eq!((end, sum), (TryReadError::Closed, 780));
                                }
                            }
                        }
                    })
                })
                .collect();
            for value in 0..40 {
                producer.append(value);
                thread::yield_now();
            }
            let mut late = ring.reader(40);
            let begin = Instant::now();
            assert_eq!(
                late.read_timeout(Duration::from_millis(5)),
                Err(TryReadError::Empty)
            );
            assert!(begin.elapsed() >= Duration::from_millis(5));
            assert!(!late.wait_deadline(begin));
            drop(producer);
            assert!(late.wait_timeout(Duration::MAX));
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }
}

struct Flag(AtomicUsize);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_async_layer_is_woken_once_for_each_publication() {
    let (mut producer, ring) = RingOptions::new(100).with_waiting().build().unwrap();
    let flag = Arc::new(Flag(AtomicUsize::new(0)));
    let waker = Waker::from(flag.clone());
    let mut reader = ring.reader(0);
    let mut cx = Context::from_waker(&waker);
    for _ in 0..3 {
        // Polled again and again, it is in the list once.
        let ready = pin!(poll_fn(|cx| reader.poll_ready(cx)));
        assert_eq!(ready.poll(&mut cx), Poll::Pending);
    }
    let mut gone = reader.clone();
    assert!(gone.poll_ready(&mut cx).is_pending());
    drop(gone);
    assert_eq!(flag.0.load(Ordering::Relaxed), 0);
    producer.append_batch([1, 2, 3]);
    assert_eq!(flag.0.load(Ordering::Relaxed), 1);
    producer.append(4);
    assert_eq!(flag.0.load(Ordering::Relaxed), 1, "nobody waited");
    assert!(reader.poll_ready(&mut cx).is_ready());
    assert_eq!(reader.read_batch(10), Ok(&[1, 2, 3, 4][..]));
    assert!(reader.poll_ready(&mut cx).is_pending());
    drop(producer);
    assert_eq!(flag.0.load(Ordering::Relaxed), 2);
}

#[test]
fn a_thousand_idle_and_slow_readers_cost_a_segment_each_at_most() {
    let (mut producer, ring) = Ring::<u64>::new(1_024).unwrap();
    for _ in 0..1_000 {
        producer.append_batch(0..100);
    }
    let plain = ring.memory_bytes();
    assert!(plain <= 8 * (1_024 + 3 * 128) + 4_096, "{plain}");
    let mut readers: Vec<_> = (0..1_000).map(|_| ring.reader(0)).collect();
    for (index, reader) in readers.iter_mut().enumerate() {
        match index % 3 {
            0 => {} // never reads
            1 => {
                reader.seek(ring.tail() - 1);
                reader.try_read().unwrap(); // stands in its segment from here on
            }
            _ => {
                while drain(reader).1 != TryReadError::Empty {}
                for _ in 0..1_000 {
                    assert_eq!(reader.try_read(), Err(TryReadError::Empty)); // idle: keeps nothing
                }
            }
        }
        producer.append_batch(0..100);
    }
    let slow = ring.memory_bytes();
    assert!(slow <= plain + 334 * (128 * 8 + 200), "{slow}");
    drop(readers);
    for _ in 0..1_000 {
        producer.append_batch(0..100);
    }
    let after = ring.memory_bytes();
    assert!(after <= plain + 334 * 200, "{after}");
}

/// What a ring holds after a reader has looked in vain so often, and was then left behind.
fn memory_after_looks(in_vain: u32) -> u64 {
    let (mut producer, ring) = RingOptions::new(16).build_at(0, 8).unwrap();
    let mut reader = ring.reader(0);
    producer.append(0_u64);
    assert_eq!(reader.try_read(), Ok(&0));
    for _ in 0..in_vain {
        assert_eq!(reader.try_read(), Err(TryReadError::Empty));
    }
    producer.append_batch(1..1_000);
    ring.memory_bytes()
}

#[test]
fn a_reader_that_polls_keeps_its_segment_for_a_thousand_looks() {
    let segment = 8 * size_of::<u64>() as u64;
    let idle = memory_after_looks(1_000);
    assert_eq!(memory_after_looks(5_000), idle);
    assert!(memory_after_looks(999) >= idle + segment);
}

#[test]
fn sequences_near_the_end_of_the_range_are_ordinary() {
    let start = u64::MAX - 10_000;
    let (mut producer, ring) = RingOptions::new(100).build_at(start, 16).unwrap();
    let mut reader = ring.reader(start);
    for value in 0..5_000 {
        assert_eq!(producer.append(value), start + value);
        assert_eq!(reader.try_read(), Ok(&value));
    }
    producer.append_batch(5_000..9_000);
    assert_eq!((ring.oldest(), ring.tail()), (start + 8_900, start + 9_000));
    assert_eq!(reader.try_read().unwrap_err().lost(), 3_900);
    assert_eq!(drain(&mut reader).0, (8_900..9_000).collect::<Vec<_>>());
    assert_eq!(ring.reader(0).try_read().unwrap_err().lost(), start + 8_900);
}

#[test]
fn options_that_no_ring_can_have_are_refused() {
    assert_eq!(Ring::<u8>::new(0).map(drop), Err(InvalidOptions::NoRecords));
    let records = usize::MAX / 4;
    let refused = InvalidOptions::TooManyRecords {
        records: records as u64,
    };
    assert_eq!(Ring::<u64>::new(records).map(drop), Err(refused));
}

#[test]
#[should_panic(expected = "the sequences are used up")]
fn the_last_sequence_is_never_given() {
    let (mut producer, _ring) = RingOptions::new(100).build_at(u64::MAX - 500, 16).unwrap();
    for value in 0..1_000 {
        producer.append(value);
    }
}
