//! What a producer that stalls or panics does to the others: nothing, but for what `SharedProducer` says.
//!
//! Foreign code is a constructor, an iterator of a batch, and the drop of an old value. Each is made to stall and to
//! panic while others append and read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ringbuf_core::{Reader, Ring, RingOptions, TryReadError};

/// Waits for what must come. A long time only if it never does.
fn await_signal<T>(signal: &Receiver<T>) -> T {
    signal
        .recv_timeout(Duration::from_secs(60))
        .expect("one producer keeps another from appending")
}

/// The numbers that the reader finds, and how many it is told it lost.
fn drain(reader: &mut Reader<u64>) -> (Vec<u64>, u64) {
    let (mut numbers, mut lost) = (Vec::new(), 0);
    loop {
        match reader.read_batch(usize::MAX) {
            Ok(values) => numbers.extend_from_slice(values),
            Err(TryReadError::Lapped { from, to }) => lost += to - from,
            Err(_) => return (numbers, lost),
        }
    }
}

/// A value that does something when it is dropped.
struct Dropping(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Dropping {
    fn quietly() -> Self {
        Self(None)
    }

    fn with(work: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(work)))
    }
}

impl Drop for Dropping {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}

#[test]
fn a_constructor_or_an_iterator_that_stalls_delays_nobody() {
    let (producer, ring) = Ring::new(100).unwrap();
    let producer = producer.share();
    let other = producer.clone();
    let (go_on, may_go_on) = mpsc::channel();
    let (appended, has_appended) = mpsc::channel();
    thread::spawn(move || {
        for number in may_go_on {
            appended.send(other.append(number)).unwrap();
        }
    });
    let stall = |number| {
        go_on.send(number).unwrap();
        assert!(await_signal(&has_appended).is_ok());
    };
    let constructor = || {
        stall(1);
        10
    };
    assert_eq!(
        producer.append_with(constructor),
        Ok(1),
        "behind what came meanwhile"
    );
    let iterator = [20, 21].into_iter().inspect(|&value| stall(value - 18));
    assert_eq!(producer.append_batch(iterator), Ok(4..6));
    assert_eq!(drain(&mut ring.reader(0)), (vec![1, 10, 2, 3, 20, 21], 0));
}

#[test]
fn a_constructor_or_an_iterator_that_panics_appends_nothing_and_harms_nobody() {
    let (producer, ring) = Ring::new(100).unwrap();
    let producer = producer.share();
    let other = producer.clone();
    let mut reader = ring.reader(0);
    other.append(0).unwrap();
    for turn in 0..50 {
        let constructor = || producer.append_with(|| panic!("not made"));
        assert!(catch_unwind(AssertUnwindSafe(constructor)).is_err());
        let iterator = || producer.append_batch((0..10).inspect(|&value| assert!(value < 7)));
        assert!(catch_unwind(AssertUnwindSafe(iterator)).is_err());
        assert_eq!(ring.tail(), turn + 1);
        assert_eq!(other.append(turn + 1), Ok(turn + 1));
    }
    assert_eq!(drain(&mut reader), ((0..51).collect(), 0));
}

#[test]
fn a_drop_that_stalls_delays_nobody() {
    const CAPACITY: usize = 64;
    let (producer, ring) = RingOptions::new(CAPACITY).build_at(0, 8).unwrap();
    let producer = producer.share();
    let (dropping, is_dropping) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Mutex::new(may_go_on);
    let stall = Dropping::with(move || {
        dropping.send(()).unwrap();
        await_signal(&may_go_on.lock().unwrap());
    });
    producer.append(stall).map_err(drop).unwrap();
    let stalled = {
        let producer = producer.clone();
        thread::spawn(move || {
            for _ in 0..2 * CAPACITY {
                producer.append(Dropping::quietly()).map_err(drop).unwrap();
            }
        })
    };
    await_signal(&is_dropping);
    let before = ring.memory_bytes();
    let mut reader = ring.reader(ring.tail());
    for _ in 0..100 * CAPACITY {
        producer.append(Dropping::quietly()).map_err(drop).unwrap();
        assert!(reader.try_read().is_ok());
    }
    assert!(
        ring.memory_bytes() <= before + 2 * segment_bytes::<Dropping>(8),
        "others give back what falls out"
    );
    go_on.send(()).unwrap();
    stalled.join().unwrap();
}

/// A segment of so many slots, and more than its header.
fn segment_bytes<T>(slots: usize) -> u64 {
    (slots * size_of::<T>() + 256) as u64
}

#[test]
fn a_drop_that_appends_to_its_own_ring_is_heard() {
    let (producer, ring) = RingOptions::new(16).build_at(0, 8).unwrap();
    let producer = producer.share();
    let late = producer.clone();
    let last_words = Dropping::with(move || {
        late.append(Dropping::quietly()).map_err(drop).unwrap();
    });
    producer.append(last_words).map_err(drop).unwrap();
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        for _ in 0..99 {
            producer.append(Dropping::quietly()).map_err(drop).unwrap();
        }
        done.send(()).unwrap();
    });
    await_signal(&is_done);
    assert_eq!(ring.tail(), 101);
}

#[test]
fn drops_that_panic_harm_nobody_and_memory_stays() {
    const EACH: u64 = 20_000;
    const PANICS_EACH: u64 = 1_000;
    let drops = Arc::new(AtomicU64::new(0));
    let (producer, ring) = RingOptions::new(256).build_at(0, 32).unwrap();
    let producer = producer.share();
    let append_all = |name: u64| {
        let mut panics = 0;
        for number in 0..EACH {
            let drops = Arc::clone(&drops);
            // Far enough apart that no two are in one segment: a second panic would end the process.
            let panics_at_drop = name == 0 && number % PANICS_EACH == 0;
            let value = Dropping::with(move || {
                drops.fetch_add(1, Relaxed);
                assert!(!panics_at_drop, "a drop of an old value");
            });
            match catch_unwind(AssertUnwindSafe(|| producer.append(value))) {
                Ok(appended) => assert!(appended.is_ok()),
                Err(_) => panics += 1,
            }
        }
        panics
    };
    let panics: u64 = thread::scope(|scope| {
        let append_all = &append_all;
        let threads = [0, 1, 2].map(|name| scope.spawn(move || append_all(name)));
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    assert_eq!(ring.tail(), 3 * EACH, "what panicked was published before");
    let dropped = drops.load(Relaxed);
    let kept = 3 * EACH - dropped;
    assert!((256..=256 + 4 * 32).contains(&kept), "{kept} are kept");
    assert_eq!(
        panics,
        EACH / PANICS_EACH,
        "each panic came out of one append"
    );
    let most = 12 * segment_bytes::<Dropping>(32) + 2_048;
    assert!(ring.memory_bytes() <= most, "{}", ring.memory_bytes());
}
