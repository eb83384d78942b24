//! `disruptor`, by its event pollers. A poller takes all that is there: its `take` of a few looks at
//! all that is published each time, which would not be its best.

use crate::bench::ring::{
    payload::Payload,
    peer::{Batch, Check, Patience, Peer, Publish, Receive},
};
use disruptor::{
    BusySpin, EventPoller, MultiConsumerBarrier, MultiProducer, MultiProducerBarrier, Producer,
    SingleConsumerBarrier, SingleProducer, SingleProducerBarrier,
};

/// One producer.
pub(crate) struct DisruptorOne;

/// Several producers.
pub(crate) struct DisruptorMany;

/// A producer's type depends on how many consumers it waits for.
pub(crate) enum OneProducer<V> {
    ForOne(SingleProducer<V, SingleConsumerBarrier>),
    ForMany(SingleProducer<V, MultiConsumerBarrier>),
}

pub(crate) enum ManyProducer<V> {
    ForOne(MultiProducer<V, SingleConsumerBarrier>),
    ForMany(MultiProducer<V, MultiConsumerBarrier>),
}

/// What its slots hold before the first record.
fn empty<V: Payload>() -> impl FnMut() -> V {
    let source = V::source(0);
    move || V::make(&source, 0)
}

impl<V: Payload> Peer<V> for DisruptorOne {
    const LAPS: bool = false;
    type Producer = OneProducer<V>;
    type Consumer = EventPoller<V, SingleProducerBarrier>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        assert_eq!(producers, 1, "one producer alone");
        let builder = disruptor::build_single_producer(capacity, empty(), BusySpin);
        if consumers == 1 {
            let (poller, builder) = builder.new_event_poller();
            return (vec![OneProducer::ForOne(builder.build())], vec![poller]);
        }
        let mut builder = builder.with_multi_consumer();
        let mut pollers = Vec::new();
        for _ in 0..consumers {
            let (poller, next) = builder.new_event_poller();
            pollers.push(poller);
            builder = next;
        }
        (vec![OneProducer::ForMany(builder.build())], pollers)
    }
}

impl<V: Payload> Peer<V> for DisruptorMany {
    const LAPS: bool = false;
    type Producer = ManyProducer<V>;
    type Consumer = EventPoller<V, MultiProducerBarrier>;

    fn open(
        capacity: usize,
        producers: usize,
        consumers: usize,
    ) -> (Vec<Self::Producer>, Vec<Self::Consumer>) {
        let builder = disruptor::build_multi_producer(capacity, empty(), BusySpin);
        if consumers == 1 {
            let (poller, builder) = builder.new_event_poller();
            let producer = builder.build();
            let producers = (0..producers).map(|_| ManyProducer::ForOne(producer.clone()));
            return (producers.collect(), vec![poller]);
        }
        let mut builder = builder.with_multi_consumer();
        let mut pollers = Vec::new();
        for _ in 0..consumers {
            let (poller, next) = builder.new_event_poller();
            pollers.push(poller);
            builder = next;
        }
        let producer = builder.build();
        let producers = (0..producers).map(|_| ManyProducer::ForMany(producer.clone()));
        (producers.collect(), pollers)
    }
}

#[inline]
fn publish<V: Payload>(
    producer: &mut impl Producer<V>,
    mut batch: Batch<'_, V>,
    patience: &mut Patience,
) {
    let records = batch.len();
    if records == 1 {
        while producer
            .try_publish(|slot| batch.by_ref().for_each(|value| *slot = value))
            .is_err()
        {
            patience.pause();
        }
    } else {
        while producer
            .try_batch_publish(records, |slots| {
                slots
                    .zip(batch.by_ref())
                    .for_each(|(slot, value)| *slot = value);
            })
            .is_err()
        {
            patience.pause();
        }
    }
    patience.reset();
}

impl<V: Payload> Publish<V> for OneProducer<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, patience: &mut Patience) {
        match self {
            Self::ForOne(producer) => publish(producer, batch, patience),
            Self::ForMany(producer) => publish(producer, batch, patience),
        }
    }
}

impl<V: Payload> Publish<V> for ManyProducer<V> {
    #[inline]
    fn publish(&mut self, batch: Batch<'_, V>, patience: &mut Patience) {
        match self {
            Self::ForOne(producer) => publish(producer, batch, patience),
            Self::ForMany(producer) => publish(producer, batch, patience),
        }
    }
}

macro_rules! receive {
    ($barrier:ty) => {
        impl<V: Payload> Receive<V> for EventPoller<V, $barrier> {
            #[inline]
            fn receive(&mut self, _most: usize, check: &mut impl Check<V>) {
                if let Ok(mut records) = self.poll() {
                    (&mut records).for_each(|value| check.record(value));
                }
            }
        }
    };
}

receive!(SingleProducerBarrier);
receive!(MultiProducerBarrier);
