//! The broadcast channels of async runtimes. They have no batches: a batch is a loop.

use crate::bench::ring::{
    payload::Payload,
    peer::{Batch, Check, Patience, Peer, Publish, Receive},
};
use tokio::sync::broadcast::{self, error::TryRecvError};

/// `tokio::sync::broadcast`.
pub(crate) struct TokioBroadcast;

impl<V: Payload> Peer<V> for TokioBroadcast {
    const LAPS: bool = true;
    type Producer = broadcast::Sender<V>;
    type Consumer = broadcast::Receiver<V>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        let sender = broadcast::Sender::new(capacity);
        let receivers = (0..consumers).map(|_| sender.subscribe()).collect();
        (vec![sender; producers], receivers)
    }
}

impl<V: Payload> Publish<V> for broadcast::Sender<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, _patience: &mut Patience) {
        for value in batch {
            // Without a receiver it says no: that is no fault where nobody listens.
            drop(self.send(value));
        }
    }
}

impl<V: Payload> Receive<V> for broadcast::Receiver<V> {
    #[inline]
    fn receive(&mut self, most: usize, check: &mut impl Check<V>) {
        for _ in 0..most {
            match self.try_recv() {
                Ok(value) => check.record(&value),
                Err(TryRecvError::Lagged(lost)) => check.lost(lost),
                Err(_) => return,
            }
        }
    }
}

/// `async-broadcast`, set to overflow: it then laps, as the others do.
pub(crate) struct AsyncBroadcast;

impl<V: Payload> Peer<V> for AsyncBroadcast {
    const LAPS: bool = true;
    type Producer = async_broadcast::Sender<V>;
    type Consumer = async_broadcast::Receiver<V>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        let (mut sender, receiver) = async_broadcast::broadcast(capacity);
        sender.set_overflow(true);
        (vec![sender; producers], vec![receiver; consumers])
    }
}

impl<V: Payload> Publish<V> for async_broadcast::Sender<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, _patience: &mut Patience) {
        for value in batch {
            // What it gives back is the record that fell out, or this one where nobody listens.
            drop(self.try_broadcast(value));
        }
    }
}

impl<V: Payload> Receive<V> for async_broadcast::Receiver<V> {
    #[inline]
    fn receive(&mut self, most: usize, check: &mut impl Check<V>) {
        for _ in 0..most {
            match self.try_recv() {
                Ok(value) => check.record(&value),
                Err(async_broadcast::TryRecvError::Overflowed(lost)) => check.lost(lost),
                Err(_) => return,
            }
        }
    }
}
