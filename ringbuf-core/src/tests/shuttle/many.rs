//! Several producers: batches whole, each producer's records in its order, nothing after the end.

use std::vec::Vec;

use shuttle::thread;

use super::join;
use crate::{Reader, RingOptions, TryReadError};

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
