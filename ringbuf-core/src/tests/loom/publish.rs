//! A record that is seen is whole, a batch is seen whole, and the end comes after the last record.

use std::vec;

use super::{append_numbers, read_numbers, ring};
use crate::TryReadError;

#[test]
fn a_record_that_is_seen_is_whole() {
    loom::model(|| {
        let (mut producer, ring) = ring(4, 2);
        producer.append(0); // the segment is there: what is left to see is the record alone
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || {
            producer.append(1);
            producer.append(2);
        });
        read_numbers(reader, 3);
        thread.join().unwrap();
    });
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    loom::model(|| {
        let (mut producer, ring) = ring(4, 2);
        let mut reader = ring.reader(0);
        let thread = loom::thread::spawn(move || assert_eq!(producer.append_batch([0, 1]), 0..2));
        let seen = reader.read_batch(9);
        assert!(
            matches!(
                seen,
                Ok([0, 1]) | Err(TryReadError::Empty | TryReadError::Closed)
            ),
            "{seen:?}"
        );
        thread.join().unwrap();
        let rest = if reader.position() == 0 {
            reader.read_batch(9)
        } else {
            Ok(&[0, 1][..])
        };
        assert_eq!(rest, Ok(&[0, 1][..]));
    });
}

#[test]
fn the_end_is_seen_after_the_last_record() {
    loom::model(|| {
        let (producer, ring) = ring(4, 2);
        let mut reader = ring.reader(0);
        let thread = loom::thread::spawn(move || append_numbers(producer, 2)); // its drop closes
        for _ in 0..3 {
            if reader.try_read() == Err(TryReadError::Closed) {
                assert_eq!(reader.position(), 2, "the end came before the last record");
            }
        }
        thread.join().unwrap();
    });
}

#[test]
fn a_reader_that_comes_late_finds_what_is_kept() {
    loom::model(|| {
        let (producer, ring) = ring(2, 1);
        let thread = loom::thread::spawn(move || append_numbers(producer, 3));
        let oldest = ring.oldest();
        let tail = ring.tail();
        assert!(oldest <= tail.max(oldest) && oldest <= 1 && tail <= 3);
        read_numbers_from(ring.reader(oldest));
        thread.join().unwrap();
        let mut reader = ring.reader(1);
        assert_eq!(
            vec![reader.try_read().copied(), reader.try_read().copied()],
            [Ok(1), Ok(2)]
        );
    });
}

fn read_numbers_from(mut reader: crate::Reader<u64>) {
    for _ in 0..2 {
        let at = reader.position();
        match reader.try_read() {
            Ok(&number) => assert_eq!(number, at),
            Err(TryReadError::Lapped { from, to }) => assert!(from == at && to > at),
            Err(_) => {}
        }
    }
}

#[test]
fn a_seek_finds_its_record_in_any_segment() {
    loom::model(|| {
        let (mut producer, ring) = ring(4, 1);
        producer.append_batch(0..2);
        let mut reader = ring.reader(1);
        let thread = loom::thread::spawn(move || producer.append_batch(2..4));
        assert_eq!(reader.try_read(), Ok(&1));
        reader.seek(0);
        assert_eq!(reader.try_read(), Ok(&0));
        reader.seek(3);
        assert!(matches!(
            reader.try_read(),
            Ok(&3) | Err(TryReadError::Empty | TryReadError::Closed)
        ));
        thread.join().unwrap();
    });
}

#[test]
fn the_directory_grows_under_a_reader() {
    loom::model(|| {
        let (mut producer, ring) = ring(8, 1);
        producer.append_batch(0..4); // the first directory is full
        let mut reader = ring.reader(3);
        let thread = loom::thread::spawn(move || producer.append(4));
        assert_eq!(reader.try_read(), Ok(&3));
        assert!(matches!(
            reader.try_read(),
            Ok(&4) | Err(TryReadError::Empty | TryReadError::Closed)
        ));
        reader.seek(1);
        assert_eq!(reader.try_read(), Ok(&1));
        thread.join().unwrap();
    });
}
