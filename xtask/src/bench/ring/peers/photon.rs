//! `photon-ring`: plain data only, so no `Arc`. Its batches are loops of its own.

use crate::bench::ring::{
    payload::Payload,
    peer::{Batch, Check, Patience, Peer, Publish, Receive},
};
use photon_ring::{MpPublisher, Pod, Publisher, Subscriber, TryRecvError};

/// One publisher.
pub(crate) struct Photon;

impl<V: Payload + Pod> Peer<V> for Photon {
    const LAPS: bool = true;
    type Producer = Publisher<V>;
    type Consumer = Subscriber<V>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        assert_eq!(producers, 1, "one publisher alone");
        let (publisher, ring) = photon_ring::channel(capacity);
        let subscribers = (0..consumers).map(|_| ring.subscribe()).collect();
        (vec![publisher], subscribers)
    }
}

impl<V: Payload + Pod> Publish<V> for Publisher<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, _patience: &mut Patience) {
        batch.for_each(|value| Publisher::publish(self, value));
    }
}

impl<V: Payload + Pod> Receive<V> for Subscriber<V> {
    #[inline]
    fn receive(&mut self, most: usize, check: &mut impl Check<V>) {
        for _ in 0..most {
            match self.try_recv() {
                Ok(value) => check.record(&value),
                Err(TryRecvError::Lagged { skipped }) => check.lost(skipped),
                Err(TryRecvError::Empty) => return,
            }
        }
    }
}

/// Several publishers.
pub(crate) struct PhotonMany;

impl<V: Payload + Pod> Peer<V> for PhotonMany {
    const LAPS: bool = true;
    type Producer = MpPublisher<V>;
    type Consumer = Subscriber<V>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        let (publisher, ring) = photon_ring::channel_mpmc(capacity);
        let subscribers = (0..consumers).map(|_| ring.subscribe()).collect();
        (vec![publisher; producers], subscribers)
    }
}

impl<V: Payload + Pod> Publish<V> for MpPublisher<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, _patience: &mut Patience) {
        batch.for_each(|value| MpPublisher::publish(self, value));
    }
}
