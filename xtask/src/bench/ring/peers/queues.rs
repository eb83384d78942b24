//! One bounded queue for each consumer, which the producer fills in turn: what one does without a ring.

use crate::bench::ring::{
    payload::Payload,
    peer::{Batch, Check, Patience, Peer, Publish, Receive},
};
use crossbeam_channel::{Receiver, Sender, TrySendError};

/// `crossbeam-channel`. It has no batches.
pub(crate) struct Crossbeam;

#[derive(Clone)]
pub(crate) struct Senders<V>(Vec<Sender<V>>);

impl<V: Payload> Peer<V> for Crossbeam {
    const LAPS: bool = false;
    type Producer = Senders<V>;
    type Consumer = Receiver<V>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        let (senders, receivers) = (0..consumers)
            .map(|_| crossbeam_channel::bounded(capacity))
            .unzip();
        (vec![Senders(senders); producers], receivers)
    }
}

impl<V: Payload> Publish<V> for Senders<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, patience: &mut Patience) {
        for value in batch {
            for sender in &self.0 {
                let mut value = value.clone();
                while let Err(TrySendError::Full(back)) = sender.try_send(value) {
                    value = back;
                    patience.pause();
                }
            }
            patience.reset();
        }
    }
}

impl<V: Payload> Receive<V> for Receiver<V> {
    #[inline]
    fn receive(&mut self, most: usize, check: &mut impl Check<V>) {
        for value in self.try_iter().take(most) {
            check.record(&value);
        }
    }
}

/// `rtrb`: one producer, one consumer, and so the limit of what one reader can have.
pub(crate) struct Rtrb;

pub(crate) struct RtrbProducers<V>(Vec<rtrb::Producer<V>>);

impl<V: Payload> Peer<V> for Rtrb {
    const LAPS: bool = false;
    type Producer = RtrbProducers<V>;
    type Consumer = rtrb::Consumer<V>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        assert_eq!(producers, 1, "one producer alone");
        let (producers, consumers) = (0..consumers)
            .map(|_| rtrb::RingBuffer::new(capacity))
            .unzip();
        (vec![RtrbProducers(producers)], consumers)
    }
}

impl<V: Payload> Publish<V> for RtrbProducers<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, patience: &mut Patience) {
        for producer in &mut self.0 {
            if batch.len() == 1 {
                for mut value in batch.clone() {
                    while let Err(rtrb::PushError::Full(back)) = producer.push(value) {
                        value = back;
                        patience.pause();
                    }
                }
            } else {
                loop {
                    if let Ok(chunk) = producer.write_chunk_uninit(batch.len()) {
                        chunk.fill_from_iter(batch.clone());
                        break;
                    }
                    patience.pause();
                }
            }
        }
        patience.reset();
    }
}

impl<V: Payload> Receive<V> for rtrb::Consumer<V> {
    #[inline]
    fn receive(&mut self, most: usize, check: &mut impl Check<V>) {
        if most == 1 {
            if let Ok(value) = self.pop() {
                check.record(&value);
            }
            return;
        }
        let records = self.slots().min(most);
        if let Ok(chunk) = self.read_chunk(records) {
            let (first, second) = chunk.as_slices();
            first.iter().for_each(|value| check.record(value));
            second.iter().for_each(|value| check.record(value));
            chunk.commit_all();
        }
    }
}
