//! The producing side of one topic.

use std::sync::Arc;

use crate::batch::{Batch, Prepared};
use crate::clock::Clock;
use crate::epoch::Epoch;
use crate::error::ProduceError;
use crate::options::ProduceOptions;
use crate::record::Record;
use crate::topic::Topic;

/// Appends records to one topic. Cheap to clone, to be used from any number of threads.
///
/// A producer belongs to one life of its topic: when that is deleted, every append fails with
/// [`ProduceError::TopicDeleted`], and a new producer must be asked for.
///
/// It never waits for a consumer, and pays the same whether there are none or ten thousand. An append
/// takes the topic's lock once, and wakes consumers that wait once, however large the batch.
#[derive(Debug, Clone)]
pub struct Producer {
    topic: Arc<Topic>,
}

/// Where a batch was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Produced {
    /// The life of the topic that the offsets belong to.
    pub epoch: Epoch,
    /// The first record's offset; the others follow without a hole.
    pub base_offset: u64,
    /// How many records.
    pub count: u32,
    /// It was appended by an earlier call, with these offsets; nothing was appended by this one.
    pub duplicate: bool,
}

impl Producer {
    pub(crate) fn new(topic: Arc<Topic>) -> Self {
        Self { topic }
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic.name
    }

    /// The life of the topic that this producer belongs to.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.topic.epoch
    }

    /// Appends one record.
    ///
    /// # Errors
    /// See [`ProduceError`]; nothing was appended then.
    ///
    /// ```
    /// use footman_broker::{Broker, BrokerOptions, Record};
    ///
    /// let broker = Broker::new(BrokerOptions::default())?;
    /// let producer = broker.producer("orders")?;
    /// assert_eq!(producer.produce(&Record::new("paid"))?.base_offset, 0);
    /// assert_eq!(producer.produce(&Record::new("sent"))?.base_offset, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn produce(&self, record: &Record) -> Result<Produced, ProduceError> {
        if !record.headers.is_empty() {
            return self.produce_batch(std::slice::from_ref(record));
        }
        let topic = &*self.topic;
        Prepared::one(record, topic.max_record_bytes(), topic.clock(), |one| {
            topic.append(one, &ProduceOptions::default())
        })
    }

    /// Appends records one after the other, all or none: nobody sees a part of them, and no other
    /// producer's record comes between.
    ///
    /// # Errors
    /// See [`ProduceError`]; nothing was appended then.
    pub fn produce_batch(&self, records: &[Record]) -> Result<Produced, ProduceError> {
        self.produce_batch_with(records, &ProduceOptions::default())
    }

    /// As [`produce_batch`](Self::produce_batch), with demands.
    ///
    /// # Errors
    /// See [`ProduceError`]; nothing was appended then.
    pub fn produce_batch_with(
        &self,
        records: &[Record],
        options: &ProduceOptions,
    ) -> Result<Produced, ProduceError> {
        self.append(options, |batch, max, clock| batch.fill(records, max, clock))
    }

    /// As [`produce_batch`](Self::produce_batch), of records that are encoded: each the body of one (see
    /// [`Record::encode`]), as it came from a peer. They are checked here and stored as they are; a body
    /// without a timestamp gets the broker's.
    ///
    /// # Errors
    /// See [`ProduceError`]; nothing was appended then.
    pub fn produce_encoded(
        &self,
        bodies: &[&[u8]],
        options: &ProduceOptions,
    ) -> Result<Produced, ProduceError> {
        self.append(options, |batch, max, clock| {
            batch.fill_encoded(bodies, max, clock)
        })
    }

    fn append(
        &self,
        options: &ProduceOptions,
        fill: impl FnOnce(&mut Batch, usize, &Clock) -> Result<(), ProduceError>,
    ) -> Result<Produced, ProduceError> {
        let topic = &*self.topic;
        Batch::with(|batch| {
            fill(batch, topic.max_record_bytes(), topic.clock())?;
            topic.append(&batch.prepared(), options)
        })
    }
}
