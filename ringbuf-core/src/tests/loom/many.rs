//! Several producers: each record once, batches whole, the end after the last.

use std::vec::Vec;

use super::{byte_ring, ring};
use crate::TryReadError;

#[test]
fn two_producers_append_each_record_once() {
    loom::model(|| {
        let (producer, ring) = ring(4, 2);
        let producer = producer.share();
        let threads = [10, 20].map(|value| {
            let producer = producer.clone();
            loom::thread::spawn(move || producer.append(value).unwrap())
        });
        let sequences = threads.map(|thread| thread.join().unwrap());
        let mut reader = ring.reader(0);
        for (sequence, value) in sequences.into_iter().zip([10, 20]) {
            reader.seek(sequence);
            assert_eq!(reader.try_read(), Ok(&value));
        }
        assert_ne!(sequences[0], sequences[1]);
    });
}

#[test]
fn two_batches_are_not_mixed_and_the_ring_wraps() {
    loom::model(|| {
        let (producer, ring) = ring(2, 1);
        let producer = producer.share();
        let other = producer.clone();
        let thread = loom::thread::spawn(move || other.append_slice(&[10, 11]).unwrap());
        producer.append_slice(&[20, 21]).unwrap();
        thread.join().unwrap();
        let mut reader = ring.reader(2);
        let last: Vec<_> = (0..2).map(|_| *reader.try_read().unwrap()).collect();
        assert!(last == [10, 11] || last == [20, 21], "{last:?}");
    });
}

#[test]
fn nothing_is_appended_after_the_end() {
    loom::model(|| {
        let (producer, ring) = ring(2, 2);
        let producer = producer.share();
        let other = producer.clone();
        let mut reader = ring.reader(0);
        let thread = loom::thread::spawn(move || other.append(1).is_ok());
        producer.close();
        let seen = reader.try_read().copied();
        let appended = thread.join().unwrap();
        match seen {
            Err(TryReadError::Closed) => assert!(!appended, "a record came after the end"),
            Ok(value) => assert!(appended && value == 1),
            Err(other) => panic!("{other}"),
        }
    });
}

#[test]
fn two_producers_of_bytes_append_each_record_once() {
    loom::model(|| {
        let (producer, ring) = byte_ring(4);
        let producer = producer.share();
        let threads = [10, 20].map(|value| {
            let producer = producer.clone();
            loom::thread::spawn(move || producer.append(&[value]).unwrap())
        });
        let sequences = threads.map(|thread| thread.join().unwrap());
        let mut reader = ring.reader(0);
        for (sequence, value) in sequences.into_iter().zip([10, 20]) {
            reader.seek(sequence);
            assert_eq!(reader.try_read(1, 9).unwrap().bytes(), [value]);
        }
        assert_ne!(sequences[0], sequences[1]);
    });
}

#[test]
fn two_batches_of_bytes_are_not_mixed_and_the_ring_wraps() {
    loom::model(|| {
        let (producer, ring) = byte_ring(2);
        let producer = producer.share();
        let other = producer.clone();
        let thread = loom::thread::spawn(move || other.append_run(&[10, 11], &[1, 2]).unwrap());
        producer.append_run(&[20, 21], &[1, 2]).unwrap();
        thread.join().unwrap();
        let mut reader = ring.reader(2);
        let run = reader.try_read(9, 9).unwrap();
        assert!([[10, 11], [20, 21]].contains(&run.bytes().try_into().unwrap()));
    });
}

#[test]
fn a_reader_of_bytes_is_lapped_by_two_producers() {
    // Three threads at three preemptions take minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let (producer, ring) = byte_ring(1);
        let producer = producer.share();
        let mut reader = ring.reader(0);
        let threads = [(); 2].map(|()| {
            let producer = producer.clone();
            loom::thread::spawn(move || producer.append(&[7; 40]).unwrap())
        });
        match reader.try_read(1, 99) {
            Ok(run) => assert_eq!(run.bytes(), [7; 40]),
            Err(TryReadError::Lapped { from, to }) => assert_eq!((from, to), (0, 1)),
            Err(other) => assert_eq!(other, TryReadError::Empty),
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((ring.oldest(), ring.tail()), (1, 2));
    });
}

#[test]
fn nothing_is_appended_to_bytes_after_the_end() {
    loom::model(|| {
        let (producer, ring) = byte_ring(2);
        let producer = producer.share();
        let other = producer.clone();
        let mut reader = ring.reader(0);
        let thread = loom::thread::spawn(move || other.append(&[1]).is_ok());
        producer.close();
        let seen = reader.try_read(1, 9).map(|run| run.bytes().to_vec());
        let appended = thread.join().unwrap();
        match seen {
            Err(TryReadError::Closed) => assert!(!appended, "a record came after the end"),
            Ok(bytes) => assert!(appended && bytes == [1]),
            Err(other) => panic!("{other}"),
        }
    });
}
