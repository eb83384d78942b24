//! Values are dropped exactly once, and never under a reader, whoever is last.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;

use shuttle::thread;

use super::{Canary, join};
use crate::{RingOptions, TryReadError};

#[test]
fn shuttle_values_live_while_they_are_read_and_are_dropped_once() {
    schedules::check(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let (mut producer, ring) = RingOptions::new(2).build_at::<Canary>(0, 1).unwrap();
        let readers = [(); 2].map(|()| {
            let mut reader = ring.reader(0);
            thread::spawn(move || {
                loop {
                    let at = reader.position();
                    match reader.try_read() {
                        Ok(canary) => {
                            for _ in 0..2 {
                                assert!(canary.alive && canary.sequence == at);
                                thread::yield_now();
                            }
                        }
                        Err(TryReadError::Closed) => return,
                        Err(TryReadError::Empty) => thread::yield_now(),
                        Err(TryReadError::Lapped { .. }) => {}
                    }
                }
            })
        });
        drop(ring); // the readers keep it
        for sequence in 0..6 {
            count.fetch_add(1, Relaxed);
            producer.append(Canary {
                sequence,
                alive: true,
                count: Arc::clone(&count),
            });
            assert!(count.load(Relaxed) <= 2 + 2 + 2, "kept, held, and spare");
        }
        drop(producer);
        join(readers);
        assert_eq!(count.load(Relaxed), 0);
    });
}
