//! Many producers of one `ByteRing`: each in its order, calls whole, the end final, and a producer that stalls or panics
//! holds up its own call alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use ringbuf_core::{
    ByteReader, ByteRing, ByteRingOptions, Closed, InvalidOptions, SharedByteProducer, TryReadError,
};

/// Waits for what must come. A long time only if it never does.
fn await_signal<T>(signal: &Receiver<T>) -> T {
    signal
        .recv_timeout(Duration::from_secs(60))
        .expect("one producer keeps another from appending")
}

/// All records from here on, and how many were lost between them.
fn drain(reader: &mut ByteReader) -> (Vec<Vec<u8>>, u64) {
    let (mut records, mut lost) = (Vec::new(), 0);
    loop {
        match reader.try_read(100, usize::MAX) {
            Ok(run) => records.extend(run.iter().map(<[u8]>::to_vec)),
            Err(TryReadError::Lapped { from, to }) => lost += to - from,
            Err(_) => return (records, lost),
        }
    }
}

/// Record `number` of producer `name`, of a call whose records end before `end`; its length and its bytes follow from these.
fn record(name: u64, number: u64, end: u64) -> Vec<u8> {
    let mut record: Vec<u8> = [name, number, end].map(u64::to_le_bytes).concat();
    record.resize(24 + (number % 61) as usize, number as u8);
    record
}

/// Name, number and end of a record that is whole.
fn read_record(bytes: &[u8]) -> [u64; 3] {
    let [name, number, end] =
        [0, 8, 16].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
    assert_eq!(bytes, record(name, number, end), "torn");
    [name, number, end]
}

/// Appends records 0 to `each` in calls of every kind.
fn produce(producer: &SharedByteProducer, name: u64, each: u64) {
    let mut next = 0;
    while next < each {
        let end = each.min(next + 1 + next % 7);
        let records: Vec<_> = (next..end)
            .map(|number| record(name, number, end))
            .collect();
        let appended = match (&records[..], next % 3) {
            ([one], 0) => producer.append(one).unwrap(),
            ([one], 1) => producer.append_parts(&[&one[..9], &one[9..]]).unwrap(),
            ([one], _) => producer
                .append_with(one.len(), |bytes| bytes.copy_from_slice(one))
                .unwrap(),
            (many, 0) => {
                let ends: Vec<u32> = many
                    .iter()
                    .scan(0, |end, record| {
                        *end += record.len() as u32;
                        Some(*end)
                    })
                    .collect();
                let range = producer.append_run(&many.concat(), &ends).unwrap();
                assert_eq!(range.end - range.start, end - next);
                range.start
            }
            (many, _) => {
                let range = producer.append_batch(many).unwrap();
                assert_eq!(range.end - range.start, end - next);
                range.start
            }
        };
        assert!(appended >= next, "a sequence was given twice");
        next = end;
    }
}

/// What one reader saw of all producers: their order, that no call was torn apart, and that delivered and lost are all.
fn follow(mut reader: ByteReader, producers: u64, sleeps: bool) -> (u64, u64) {
    let mut next = vec![0; producers as usize];
    let mut call = None; // name, next number and end of the call under way
    let (mut delivered, mut lost) = (0, 0);
    loop {
        let at = reader.position();
        match reader.try_read(50, 10_000) {
            Ok(run) => {
                assert_eq!(run.base(), at);
                for bytes in run.iter() {
                    let [name, number, end] = read_record(bytes);
                    if let Some(under_way) = call {
                        assert_eq!([name, number, end], under_way, "a call was torn apart");
                    }
                    assert!(number >= next[name as usize], "out of order");
                    next[name as usize] = number + 1;
                    call = (number + 1 < end).then_some([name, number + 1, end]);
                }
                delivered += run.len() as u64;
            }
            Err(TryReadError::Lapped { from, to }) => {
                assert!(from == at && to > from);
                lost += to - from;
                call = None;
            }
            Err(TryReadError::Empty) if sleeps => reader.wait(),
            Err(TryReadError::Empty) => thread::yield_now(),
            Err(TryReadError::Closed) => return (delivered, lost),
        }
    }
}

fn ledger_holds(options: ByteRingOptions) {
    const EACH: u64 = 30_000;
    const PRODUCERS: u64 = 4;
    let (producer, ring) = ByteRing::new(options).unwrap();
    let producer = producer.share();
    thread::scope(|scope| {
        let readers = [false, true].map(|sleeps| {
            let reader = ring.reader(0);
            scope.spawn(move || follow(reader, PRODUCERS, sleeps))
        });
        for name in 0..PRODUCERS {
            let producer = producer.clone();
            scope.spawn(move || produce(&producer, name, EACH));
        }
        drop(producer); // the last of the threads closes
        for reader in readers {
            let (delivered, lost) = reader.join().unwrap();
            assert_eq!(delivered + lost, PRODUCERS * EACH);
            assert!(
                delivered >= ring.tail() - ring.oldest(),
                "what is kept is delivered"
            );
        }
    });
}

#[test]
fn four_producers_lap_readers_that_poll_and_sleep() {
    let small = ByteRingOptions::new()
        .with_max_records(60)
        .with_segment_bytes(512);
    ledger_holds(small.with_waiting());
}

#[test]
fn four_producers_lap_readers_by_bytes() {
    let small = ByteRingOptions::new()
        .with_max_bytes(20_000)
        .with_segment_bytes(2_000);
    ledger_holds(small);
}

#[test]
fn four_producers_lose_nothing_where_all_is_kept() {
    const EACH: u64 = 10_000;
    let options = ByteRingOptions::new()
        .with_max_records(u64::MAX)
        .with_waiting();
    let (producer, ring) = ByteRing::new(options).unwrap();
    let producer = producer.share();
    let reader = ring.reader(0);
    thread::scope(|scope| {
        let reader = scope.spawn(move || follow(reader, 4, true));
        for name in 0..4 {
            let producer = producer.clone();
            scope.spawn(move || produce(&producer, name, EACH));
        }
        drop(producer);
        assert_eq!(reader.join().unwrap(), (4 * EACH, 0));
    });
}

#[test]
fn a_closed_ring_refuses_every_producer() {
    let (producer, ring) = ByteRing::new(ByteRingOptions::new()).unwrap();
    let producer = producer.share();
    let other = producer.clone();
    assert_eq!(producer.append(b"last"), Ok(0));
    producer.close();
    producer.close();
    assert_eq!(other.append(b"late"), Err(Closed(())));
    assert_eq!(other.append_parts(&[b"la", b"te"]), Err(Closed(())));
    assert_eq!(other.append_with(1, |_| ()), Err(Closed(())));
    assert_eq!(other.append_batch(["late"]), Err(Closed(())));
    assert_eq!(other.append_run(b"late", &[4]), Err(Closed(())));
    assert!(ring.is_closed());
    let mut reader = ring.reader(0);
    assert_eq!(reader.try_read(9, 99).unwrap().bytes(), b"last");
    assert_eq!(reader.try_read(9, 99).unwrap_err(), TryReadError::Closed);
    other.trim(u64::MAX);
    assert_eq!((ring.oldest(), ring.tail()), (1, 1));
}

#[test]
fn the_last_producer_that_goes_closes_the_ring() {
    let (producer, ring) = ByteRing::new(ByteRingOptions::new()).unwrap();
    let producer = producer.share();
    let other = producer.clone();
    drop(producer);
    assert_eq!(other.append(b"still"), Ok(0));
    drop(other);
    assert!(ring.is_closed());
}

#[test]
fn a_producer_among_many_trims_and_changes_limits() {
    let (producer, ring) = ByteRing::new(ByteRingOptions::new()).unwrap();
    let producer = producer.share();
    assert_eq!(producer.append_batch(["a", "b", "c", "d"]), Ok(0..4));
    producer.trim(1);
    assert_eq!((ring.oldest(), ring.retained_bytes()), (1, 3));
    producer.clone().set_limits(2, u64::MAX).unwrap();
    assert_eq!(ring.oldest(), 2);
    assert_eq!(producer.set_limits(0, 1), Err(InvalidOptions::NoRecords));
    assert_eq!(producer.append_batch([[0_u8; 1]; 0]), Ok(4..4));
    assert_eq!(producer.append(b"e"), Ok(4));
    assert_eq!(drain(&mut ring.reader(0)).1, 3);
}

#[test]
fn a_constructor_or_an_iterator_that_stalls_delays_nobody() {
    let (producer, ring) = ByteRing::new(ByteRingOptions::new()).unwrap();
    let producer = producer.share();
    let other = producer.clone();
    let (go_on, may_go_on) = mpsc::channel::<&str>();
    let (appended, has_appended) = mpsc::channel();
    thread::spawn(move || {
        for record in may_go_on {
            appended.send(other.append(record.as_bytes())).unwrap();
        }
    });
    let stall = |record| {
        go_on.send(record).unwrap();
        assert!(await_signal(&has_appended).is_ok());
    };
    let constructor = |bytes: &mut [u8]| {
        stall("1");
        bytes.copy_from_slice(b"10");
    };
    let behind = producer.append_with(2, constructor);
    assert_eq!(behind, Ok(1), "behind what came meanwhile");
    let iterator = ["20", "21"]
        .into_iter()
        .inspect(|record| stall(&record[1..]));
    assert_eq!(producer.append_batch(iterator), Ok(4..6));
    let expected = ["1", "10", "0", "1", "20", "21"];
    assert_eq!(drain(&mut ring.reader(0)).0, expected.map(Vec::from));
}

#[test]
fn what_panics_appends_nothing_and_harms_nobody() {
    let options = ByteRingOptions::new().with_segment_bytes(64);
    let (producer, ring) = ByteRing::new(options).unwrap();
    let producer = producer.share();
    let other = producer.clone();
    for turn in 0..50 {
        let panics = |append: &dyn Fn() -> bool| {
            assert!(catch_unwind(AssertUnwindSafe(append)).is_err());
            assert_eq!(ring.tail(), turn);
        };
        panics(&|| producer.append_with(40, |_| panic!("not made")).is_ok());
        let iterator = || {
            (0..9).map(|number| {
                if number < 5 {
                    [0; 30]
                } else {
                    panic!("not made")
                }
            })
        };
        panics(&|| producer.append_batch(iterator()).is_ok());
        panics(&|| producer.append_run(b"bytes", &[2, 4]).is_ok());
        panics(&|| producer.append_run(b"bytes", &[4, 2, 5]).is_ok());
        assert_eq!(other.append(&turn.to_le_bytes()), Ok(turn));
    }
    let expected: Vec<_> = (0..50_u64)
        .map(|turn| turn.to_le_bytes().to_vec())
        .collect();
    assert_eq!(drain(&mut ring.reader(0)), (expected, 0));
}

#[test]
fn a_panic_inside_gives_the_ring_back() {
    let start = u64::MAX - 5_000;
    let (producer, ring) = ByteRing::starting_at(start, ByteRingOptions::new()).unwrap();
    let producer = producer.share();
    let first = producer.append(b"a record").unwrap();
    let many = vec![0; 10_000]; // so many empty records need sequences that there are not
    for _ in 0..3 {
        let append = || producer.append_run(b"", &many);
        assert!(catch_unwind(AssertUnwindSafe(append)).is_err());
        assert_eq!(ring.tail(), first + 1, "of the batch nothing is there");
    }
    let other = producer.clone();
    let appended = thread::spawn(move || other.append(b"another"))
        .join()
        .unwrap();
    assert_eq!(appended, Ok(first + 1));
    assert_eq!(
        drain(&mut ring.reader(start)).0,
        [&b"a record"[..], b"another"]
    );
}
