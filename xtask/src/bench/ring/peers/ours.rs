//! `ringbuf-core`: one producer, or several that share.

use crate::bench::ring::{
    payload::Payload,
    peer::{Batch, Check, Patience, Peer, Publish, Receive},
};
use ringbuf_core::{Producer, Reader, Ring, SharedProducer, TryReadError};

/// The only producer's handle.
pub(crate) struct Ours;

impl<V: Payload> Peer<V> for Ours {
    const LAPS: bool = true;
    type Producer = Producer<V>;
    type Consumer = Reader<V>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        assert_eq!(producers, 1, "one producer alone");
        let (producer, ring) = Ring::new(capacity).expect("the capacity is not 0");
        (vec![producer], readers(&ring, consumers))
    }
}

fn readers<V: Payload>(ring: &Ring<V>, consumers: usize) -> Vec<Reader<V>> {
    (0..consumers).map(|_| ring.reader(0)).collect()
}

impl<V: Payload> Publish<V> for Producer<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, _patience: &mut Patience) {
        if batch.len() == 1 {
            for value in batch {
                self.append(value);
            }
        } else {
            self.append_batch(batch);
        }
    }
}

impl<V: Payload> Receive<V> for Reader<V> {
    #[inline]
    fn receive(&mut self, most: usize, check: &mut impl Check<V>) {
        match self.read_batch(most) {
            Ok(values) => values.iter().for_each(|value| check.record(value)),
            Err(TryReadError::Lapped { from, to }) => check.lost(to - from),
            Err(_) => {}
        }
    }
}

/// The handle of many producers.
pub(crate) struct OursShared;

impl<V: Payload> Peer<V> for OursShared {
    const LAPS: bool = true;
    type Producer = SharedProducer<V>;
    type Consumer = Reader<V>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        let (producer, ring) = Ring::new(capacity).expect("the capacity is not 0");
        let producer = producer.share();
        (vec![producer; producers], readers(&ring, consumers))
    }
}

impl<V: Payload> Publish<V> for SharedProducer<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, _patience: &mut Patience) {
        if batch.len() == 1 {
            for value in batch {
                self.append(value).expect("nobody closes the ring");
            }
        } else {
            self.append_batch(batch).expect("nobody closes the ring");
        }
    }
}
