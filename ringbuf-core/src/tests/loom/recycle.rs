//! Segments are taken back under readers: no record changes while it is read, every loss is exact.

use super::{append_numbers, read_numbers, ring};

#[test]
fn a_lapped_reader_never_sees_a_later_record() {
    loom::model(|| {
        let (producer, ring) = ring(1, 1);
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || append_numbers(producer, 3));
        read_numbers(reader, 2);
        thread.join().unwrap();
    });
}

#[test]
fn losses_are_exact_to_the_end() {
    loom::model(|| {
        let (producer, ring) = ring(2, 2);
        let reader = ring.reader(0);
        let late = ring.reader(0);
        let thread = loom::thread::spawn(move || append_numbers(producer, 5));
        read_numbers(reader, 2);
        thread.join().unwrap();
        let ledger = read_numbers(late, 3);
        assert_eq!((ledger.lost, &ledger.delivered[..]), (3, &[3, 4][..]));
    });
}

#[test]
fn two_readers_and_a_producer_that_laps_them() {
    // Three threads at three preemptions take minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let (mut producer, ring) = ring(1, 1);
        producer.append(0);
        let readers = [ring.reader(0), ring.reader(0)];
        let threads = readers.map(|reader| loom::thread::spawn(move || read_numbers(reader, 1)));
        producer.append(1); // takes the first segment, or retires it
        producer.append(2); // may use it again
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_segment_with_a_reader_inside_is_retired_and_used_again_later() {
    loom::model(|| {
        let (mut producer, ring) = ring(2, 2);
        producer.append_batch([0, 1]);
        let mut reader = ring.reader(0);
        assert_eq!(reader.try_read(), Ok(&0)); // stands in the first segment
        let thread = loom::thread::spawn(move || {
            producer.append_batch([2, 3]); // takes the first segment, or retires it
            producer.append_batch([4, 5]); // may use it again
        });
        assert_eq!(reader.try_read(), Ok(&1));
        reader.release();
        reader.seek(4);
        if let Ok(&number) = reader.try_read() {
            assert_eq!(number, 4);
        }
        thread.join().unwrap();
    });
}

#[test]
fn a_late_pin_on_a_segment_of_a_new_life_is_given_back() {
    loom::model(|| {
        let (mut producer, ring) = ring(1, 1);
        producer.append(0);
        let mut reader = ring.reader(0);
        reader.try_read().unwrap(); // its hint is the first segment
        reader.release();
        reader.seek(0);
        let thread = loom::thread::spawn(move || {
            for number in 1..3 {
                producer.append(number);
            }
        });
        read_numbers_at(reader, 0);
        thread.join().unwrap();
    });
}

fn read_numbers_at(mut reader: crate::Reader<u64>, position: u64) {
    reader.seek(position);
    match reader.try_read() {
        Ok(&number) => assert_eq!(number, position),
        Err(lapped) => assert!(lapped.lost() > 0),
    }
    if let Ok(&number) = reader.try_read() {
        assert_eq!(number, reader.position() - 1);
    }
}

#[test]
fn a_reader_crosses_into_the_next_segment_at_its_end() {
    loom::model(|| {
        let (mut producer, ring) = ring(4, 1);
        producer.append(0);
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || producer.append_batch([1, 2]));
        read_numbers(reader, 3);
        thread.join().unwrap();
    });
}
