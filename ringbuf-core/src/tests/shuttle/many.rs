//! Several producers: batches whole, each producer's records in its order, nothing after the end.

use std::vec::Vec;

use shuttle::thread;

use super::join;
use crate::{ByteReader, ByteRing, ByteRingOptions, Reader, RingOptions, TryReadError};

/// Record `n` of producer `who`.
fn record(who: u64, n: u64) -> u64 {
    who * 100 + n
}

/// All records up to the end; none may be lost.
fn collect(mut reader: Reader<u64>) -> Vec<u64> {
    let mut all = Vec::new();
    loop {
        match reader.read_batch(3) {
            Ok(batch) => all.extend_from_slice(batch),
            Err(TryReadError::Empty) => thread::yield_now(),
            Err(TryReadError::Closed) => return all,
            Err(lapped) => panic!("{lapped} although all fits"),
        }
    }
}

#[test]
fn shuttle_three_producers_mix_calls_but_no_call_is_torn() {
    schedules::check(|| {
        let (producer, ring) = RingOptions::new(16).build_at(0, 4).unwrap();
        let producer = producer.share();
        let reader = ring.reader(0);
        let reader = thread::spawn(move || collect(reader));
        let producers = [1, 2, 3].map(|who| {
            let producer = producer.clone();
            thread::spawn(move || {
                let first = producer.append(record(who, 0)).unwrap();
                let batch = [record(who, 1), record(who, 2)];
                let both = producer.append_slice(&batch).unwrap();
                assert!(both.start > first && both.end == both.start + 2);
                (first, both.start)
            })
        });
        drop(producer);
        let sequences = join(producers);
        let all = reader.join().unwrap();
        assert_eq!(all.len(), 9);
        for (who, (first, both)) in (1..).zip(sequences) {
            assert_eq!(all[first as usize], record(who, 0));
            let both = both as usize;
            assert_eq!(all[both..both + 2], [record(who, 1), record(who, 2)]);
        }
    });
}

#[test]
fn shuttle_a_close_between_producers_refuses_the_rest() {
    schedules::check(|| {
        let (producer, ring) = RingOptions::new(16).build_at(0, 2).unwrap();
        let producer = producer.share();
        let producers = [1, 2].map(|who| {
            let producer = producer.clone();
            thread::spawn(move || {
                let accepted = (0..3).take_while(|&n| producer.append(record(who, n)).is_ok());
                accepted.count()
            })
        });
        let reader = ring.reader(0);
        let reader = thread::spawn(move || collect(reader));
        producer.close();
        assert!(producer.append(0).is_err(), "appended after the end");
        let accepted: usize = join(producers).into_iter().sum();
        assert_eq!(reader.join().unwrap().len(), accepted);
    });
}

/// All records of bytes up to the end, read by a thread that sleeps; none may be lost.
fn collect_bytes(mut reader: ByteReader) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        match reader.read(3, 99) {
            Ok(run) => all.extend(run.iter().map(<[u8]>::to_vec)),
            Err(TryReadError::Closed) => return all,
            Err(other) => panic!("{other} although all fits, after a wait"),
        }
    }
}

#[test]
fn shuttle_three_producers_of_bytes_mix_calls_but_no_call_is_torn() {
    schedules::check(|| {
        let options = ByteRingOptions::new().with_segment_bytes(64).with_waiting();
        let (producer, ring) = ByteRing::new(options).unwrap();
        let producer = producer.share();
        let reader = ring.reader(0);
        let reader = thread::spawn(move || collect_bytes(reader));
        let producers = [1_u8, 2, 3].map(|who| {
            let producer = producer.clone();
            thread::spawn(move || {
                let first = producer.append(&[who; 20]).unwrap();
                let both = producer.append_batch([[who; 21], [who + 10; 21]]).unwrap();
                assert!(both.start > first && both.end == both.start + 2);
                (first, both.start)
            })
        });
        drop(producer);
        let sequences = join(producers);
        let all = reader.join().unwrap();
        assert_eq!(all.len(), 9);
        for (who, (first, both)) in (1..).zip(sequences) {
            assert_eq!(all[first as usize], [who; 20]);
            let both = both as usize;
            assert_eq!(all[both..both + 2], [[who; 21], [who + 10; 21]]);
        }
    });
}

#[test]
fn shuttle_two_producers_of_bytes_lap_readers_while_one_trims() {
    schedules::check(|| {
        let options = ByteRingOptions::new()
            .with_max_records(3)
            .with_segment_bytes(64);
        let (producer, ring) = ByteRing::new(options).unwrap();
        let producer = producer.share();
        let readers = [(); 2].map(|()| {
            let mut reader = ring.reader(0);
            thread::spawn(move || {
                let mut accounted = 0;
                loop {
                    match reader.try_read(2, 99) {
                        Ok(run) => {
                            accounted += run.len() as u64;
                            for _ in 0..2 {
                                assert!(run.iter().all(|record| record == [record[0]; 30]));
                                thread::yield_now();
                            }
                        }
                        Err(TryReadError::Lapped { from, to }) => accounted += to - from,
                        Err(TryReadError::Empty) => thread::yield_now(),
                        Err(TryReadError::Closed) => return accounted,
                    }
                }
            })
        });
        let producers = [1, 2].map(|who| {
            let producer = producer.clone();
            thread::spawn(move || {
                for number in 0..3 {
                    let next = producer.append(&[10 * who + number; 30]).unwrap() + 1;
                    if number == 1 {
                        producer.trim(next);
                    }
                }
            })
        });
        drop(producer);
        join(producers);
        assert_eq!(join(readers), [6, 6]);
    });
}
