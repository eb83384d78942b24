//! Several producers: each record once, batches whole, the end after the last.

use std::vec::Vec;

use super::ring;
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
