//! Readers of a `ByteRing` that wait: threads with and without a deadline, and tasks by the hook.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ringbuf_core::{ByteReader, ByteRing, ByteRingOptions, TryReadError};

/// Lengths of all records to the end.
fn read_to_the_end(mut reader: ByteReader) -> usize {
    let mut bytes = 0;
    loop {
        match reader.read(10, 1_000) {
            Ok(run) => bytes += run.bytes().len(),
            Err(TryReadError::Closed) => return bytes,
            Err(other) => panic!("{other}, though all is kept and a wait was over"),
        }
    }
}

#[test]
fn readers_sleep_until_a_record_comes_or_time_is_over() {
    for options in [
        ByteRingOptions::new(),
        ByteRingOptions::new().with_waiting(),
    ] {
        let (mut producer, ring) = ByteRing::new(options).unwrap();
        thread::scope(|scope| {
            let readers = [(); 4].map(|()| {
                let reader = ring.reader(0);
                scope.spawn(move || read_to_the_end(reader))
            });
            for length in 0..40 {
                producer.append(&vec![7; length]);
                thread::yield_now();
            }
            let mut late = ring.reader(40);
            let begin = Instant::now();
            let nothing = late.read_timeout(1, 1, Duration::from_millis(5));
            assert_eq!(nothing.unwrap_err(), TryReadError::Empty);
            assert!(begin.elapsed() >= Duration::from_millis(5));
            assert!(!late.wait_deadline(begin));
            assert!(!late.is_ready());
            let mut batch = producer.batch();
            batch.push(&[b"1"]);
            batch.push(&[b"2"]);
            batch.publish();
            assert!(
                late.wait_deadline(begin),
                "a record is there: no time is needed"
            );
            assert_eq!(late.read(9, 9).unwrap().bytes(), b"12");
            producer.close();
            assert!(late.wait_timeout(Duration::MAX));
            assert_eq!(late.read(1, 1).unwrap_err(), TryReadError::Closed);
            for reader in readers {
                assert_eq!(reader.join().unwrap(), 780 + 2);
            }
        });
    }
}

#[test]
fn a_reader_that_was_lapped_is_told_and_does_not_wait() {
    let options = ByteRingOptions::new().with_max_records(2).with_waiting();
    let (mut producer, ring) = ByteRing::new(options).unwrap();
    let mut reader = ring.reader(0);
    for _ in 0..2 {
        producer.append_batch(["a", "b", "c"]);
        assert!(reader.is_ready());
        assert!(reader.read(9, 9).unwrap_err().lost() > 0);
    }
    // Lapped twice it keeps where it stands, until it is told to let go.
    producer.append_batch(["d", "e"]);
    reader.release();
    let lapped = reader.read(9, 9).unwrap_err();
    assert_eq!(lapped, TryReadError::Lapped { from: 4, to: 6 });
    assert_eq!(reader.read(9, 9).unwrap().bytes(), b"de");
}

struct Flag(AtomicUsize);

impl Flag {
    fn new() -> (Arc<Self>, Waker) {
        let flag = Arc::new(Self(AtomicUsize::new(0)));
        (Arc::clone(&flag), Waker::from(flag))
    }

    fn wakes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_async_layer_is_woken_once_for_each_publication() {
    let (producer, ring) = ByteRing::new(ByteRingOptions::new().with_waiting()).unwrap();
    let producer = producer.share();
    let (flag, waker) = Flag::new();
    let mut cx = Context::from_waker(&waker);
    let mut reader = ring.reader(0);
    for _ in 0..3 {
        assert!(reader.poll_ready(&mut cx).is_pending()); // in the list once
    }
    let mut gone = reader.clone();
    assert!(gone.poll_ready(&mut cx).is_pending());
    drop(gone);
    assert_eq!(flag.wakes(), 0);
    producer.append_batch(["1", "2", "3"]).unwrap();
    assert_eq!(flag.wakes(), 1);
    producer.append(b"4").unwrap();
    producer.trim(1);
    assert_eq!(flag.wakes(), 1, "nobody waited");
    assert!(reader.poll_ready(&mut cx).is_ready());
    reader.seek(1);
    assert_eq!(reader.try_read(9, 9).unwrap().bytes(), b"234");
    assert!(reader.poll_ready(&mut cx).is_pending());
    drop(producer);
    assert_eq!(flag.wakes(), 2);
}

#[test]
fn the_latest_waker_is_the_one_that_is_called() {
    let (mut producer, ring) = ByteRing::new(ByteRingOptions::new().with_waiting()).unwrap();
    let ((first, first_waker), (second, second_waker)) = (Flag::new(), Flag::new());
    let mut reader = ring.reader(0);
    for waker in [&first_waker, &second_waker] {
        let mut cx = Context::from_waker(waker);
        assert!(reader.poll_ready(&mut cx).is_pending());
    }
    producer.append(b"a");
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
    assert_eq!(
        Arc::strong_count(&first),
        2,
        "a waker that is replaced is dropped"
    );
}

#[test]
fn a_task_polls_where_nobody_can_sleep() {
    let (_producer, ring) = ByteRing::new(ByteRingOptions::new()).unwrap();
    let (flag, waker) = Flag::new();
    let mut reader = ring.reader(0);
    for polls in 1..4 {
        let mut cx = Context::from_waker(&waker);
        assert!(reader.poll_ready(&mut cx).is_pending());
        assert_eq!(flag.wakes(), polls, "it is called at once");
    }
}

#[test]
fn a_waker_that_panics_harms_no_other_waiter() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("boom");
        }
    }
    let (producer, ring) = ByteRing::new(ByteRingOptions::new().with_waiting()).unwrap();
    let producer = producer.share();
    let (flag, waker) = Flag::new();
    let mut readers = [ring.reader(0), ring.reader(0), ring.reader(0)];
    let wakers = [&waker, &Waker::from(Arc::new(Bomb)), &waker];
    for (reader, waker) in readers.iter_mut().zip(wakers) {
        let mut cx = Context::from_waker(waker);
        assert!(reader.poll_ready(&mut cx).is_pending());
    }
    let appended = catch_unwind(AssertUnwindSafe(|| producer.append(b"published")));
    assert!(appended.is_err());
    assert_eq!((ring.tail(), flag.wakes()), (1, 2), "the others are woken");
    assert_eq!(producer.append(b"and on"), Ok(1));
}
