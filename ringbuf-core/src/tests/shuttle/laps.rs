//! One producer that laps many readers, who seek, let go, and come late.

use shuttle::rand::{Rng as _, thread_rng};
use shuttle::thread;

use super::{join, read_to_the_end};
use crate::{RingOptions, TryReadError};

#[test]
fn shuttle_readers_that_are_lapped_account_for_every_record() {
    schedules::check(|| {
        let (mut producer, ring) = RingOptions::new(4).build_at(0, 2).unwrap();
        let readers = [1, 2, 5].map(|at_a_time| {
            let reader = ring.reader(0);
            thread::spawn(move || read_to_the_end(reader, at_a_time))
        });
        for sequence in [0, 1] {
            producer.append(sequence);
        }
        producer.append_batch(2..7);
        for sequence in 7..10 {
            producer.append(sequence);
        }
        producer.append_batch(10..12);
        producer.close();
        for (delivered, lost) in join(readers) {
            assert_eq!(delivered + lost, 12);
            assert!(delivered >= 4, "what is kept was not delivered");
        }
    });
}

#[test]
fn shuttle_a_reader_that_seeks_finds_what_is_kept_or_is_told() {
    schedules::check(|| {
        let (mut producer, ring) = RingOptions::new(4).build_at(0, 1).unwrap();
        let readers = [(); 2].map(|()| {
            let ring = ring.clone();
            thread::spawn(move || {
                let mut reader = ring.reader(0);
                for _ in 0..6 {
                    let to = thread_rng().gen_range(0..10);
                    reader.seek(to);
                    match reader.try_read() {
                        Ok(&number) => assert_eq!(number, to),
                        Err(TryReadError::Lapped { from, to: next }) => {
                            assert!(from == to && next > from);
                            // Where it stands then was kept at that moment; it may be gone again.
                            if let Ok(&number) = reader.try_read() {
                                assert_eq!(number, next);
                            }
                        }
                        Err(TryReadError::Empty | TryReadError::Closed) => {
                            assert!(ring.oldest() <= ring.tail());
                        }
                    }
                    if thread_rng().gen_bool(0.5) {
                        reader.release();
                    }
                }
            })
        });
        for number in 0..10 {
            producer.append(number);
        }
        join(readers);
        let mut last = ring.reader(9);
        assert_eq!(last.try_read(), Ok(&9));
    });
}

#[test]
fn shuttle_a_clone_and_a_late_reader_see_the_end_after_the_last_record() {
    schedules::check(|| {
        let (mut producer, ring) = RingOptions::new(8).build_at(0, 2).unwrap();
        let first = ring.reader(0);
        let clone = first.clone();
        let mut readers = std::vec::Vec::from(
            [first, clone].map(|reader| thread::spawn(move || read_to_the_end(reader, 3))),
        );
        producer.append_batch(0..3);
        readers.push({
            let late = ring.reader(ring.oldest());
            thread::spawn(move || read_to_the_end(late, 1))
        });
        producer.append(3);
        drop(producer); // closes
        for (delivered, lost) in join(readers) {
            assert_eq!((delivered, lost), (4, 0), "all of it was kept");
        }
    });
}
