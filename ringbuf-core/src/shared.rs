//! The append side of a ring for many owners: the one producer behind a short lock. The same for both rings.
//!
//! # Progress
//!
//! Under the lock a batch of values is moved into slots, or of bytes copied into a block, and published, and once a segment a
//! header is taken back, and memory allocated if none is spare; no code of `T`, of an iterator, of a constructor or of a waker
//! runs there. So:
//!
//! - What stalls or panics in the caller's code holds up its own call alone: a constructor and an iterator run before
//!   the lock is taken, the drop of old values and wakers after it is given back. A call that panics before has appended nothing, one
//!   that panics in a drop or in a waker has published its records.
//! - Where the ring itself panics (a record above 2 GiB, no memory), the lock is given back, and nothing was appended.
//! - What a call delays the others by is the move or the copy of its own records, and the memory that they need; a trim, and new limits,
//!   the memory that they give back.
//! - An owner that the system takes off its core inside the lock delays the other owners until it runs again: they spin for
//!   a moment, then yield. It delays no reader: all that is published stays readable, and there are
//!   no holes, for a sequence is given out only together with its record.
//!
//! `tests/producer_faults.rs` and `tests/byte_producers.rs` show the first two, `a_producer_stopped_inside_delays_no_reader` below the last.
//!
//! # Why a lock
//!
//! The other way is to claim sequences by `fetch_add` and to publish each run of records by a stamp. Then a stopped owner delays
//! no other owner, but every reader, at the hole that it leaves; and what makes it whole (a claim keeps its segment from being
//! taken back, one that is never finished becomes a tombstone) is paid by each append. `limit:run stamps` in `cargo xtask bench ring`
//! is the least of it: numbers only, nothing lapped or taken back, no claim left open. In two runs on two cores that bound was at 0.9
//! to 2.1 times the lock's rate with two producers and one reader, at 0.5 to 1.5 times with eight, and at 0.6 to 1.2 times with four
//! and four, whose readers look at a stamp a run instead of one tail.

use crate::error::Closed;
use crate::lock::Lock;
use crate::sync::Arc;
use crate::twin;

/// A handle to the one producer `P` of a ring. Its clones are handles to the same; the last one drops the producer.
pub(crate) struct Shared<P>(Arc<Lock<Inside<P>>>);

struct Inside<P> {
    producer: P,
    closed: bool,
}

impl<P> Shared<P> {
    pub(crate) fn new(producer: P) -> Self {
        Self(Arc::new(Lock::new(Inside {
            producer,
            closed: false,
        })))
    }

    /// Appends `values` by `append` under the lock, unless the ring is closed.
    #[inline]
    pub(crate) fn append<V, R>(
        &self,
        values: V,
        append: impl FnOnce(&mut P, V) -> R,
    ) -> Result<R, Closed<V>> {
        self.0.with(|inside| {
            if twin::look_for_end() && inside.closed {
                Err(Closed(values))
            } else {
                Ok(append(&mut inside.producer, values))
            }
        })
    }

    /// Runs `work` under the lock, on a closed ring too.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut P) -> R) -> R {
        self.0.with(|inside| work(&mut inside.producer))
    }

    /// From here on nothing is appended.
    pub(crate) fn close(&self) {
        self.0.with(|inside| inside.closed = true);
    }
}

impl<P> Clone for Shared<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(all(test, feature = "std", not(any(loom, shuttle))))]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::Shared;
    use crate::{ByteRing, ByteRingOptions, Ring, TryReadError};

    /// Stops an owner inside while `look` looks, then lets it do `work`, and another owner after it.
    fn stop_inside<P: Send>(shared: &Shared<P>, work: impl Fn(&mut P) + Sync, look: impl FnOnce()) {
        let (inside, is_inside) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        thread::scope(|scope| {
            let work = &work;
            scope.spawn(move || {
                shared.with(|producer| {
                    inside.send(()).unwrap();
                    may_go_on.recv().unwrap();
                    work(producer);
                });
            });
            is_inside.recv().unwrap();
            let other =
                scope.spawn(move || shared.append((), |producer, ()| work(producer)).unwrap());
            look();
            assert!(!other.is_finished(), "the lock lets one in at a time");
            go_on.send(()).unwrap();
            other.join().unwrap();
        });
    }

    #[test]
    fn a_producer_stopped_inside_delays_no_reader() {
        let (mut producer, ring) = Ring::new(100).unwrap();
        producer.append_slice(&[0, 1, 2]);
        let mut reader = ring.reader(0);
        let append = |producer: &mut crate::Producer<u64>| {
            producer.append_only([producer.ring().tail()]);
        };
        stop_inside(&Shared::new(producer), append, || {
            assert_eq!(reader.read_batch(10), Ok(&[0, 1, 2][..]));
            assert_eq!(reader.try_read(), Err(TryReadError::Empty));
            assert_eq!(ring.reader(1).try_read(), Ok(&1));
        });
        assert_eq!(reader.read_batch(10), Ok(&[3, 4][..]));
    }

    #[test]
    fn a_producer_of_bytes_stopped_inside_delays_no_reader() {
        let (mut producer, ring) = ByteRing::new(ByteRingOptions::new()).unwrap();
        producer.append_batch(["0", "1", "2"]);
        let mut reader = ring.reader(0);
        let append = |producer: &mut crate::ByteProducer| {
            let record = [b'0' + producer.ring().tail() as u8];
            producer.append_only(|batch| batch.push(&[&record]));
        };
        stop_inside(&Shared::new(producer), append, || {
            assert_eq!(reader.try_read(10, 10).unwrap().bytes(), b"012");
            assert_eq!(reader.try_read(10, 10).unwrap_err(), TryReadError::Empty);
            assert_eq!(ring.reader(1).try_read(1, 1).unwrap().bytes(), b"1");
        });
        assert_eq!(reader.try_read(10, 10).unwrap().bytes(), b"34");
    }
}
