//! A producer: records go into the batch under assembly at once, batches go out in order and are acknowledged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use footman_batcher::BatchLimits;
use footman_broker::{Epoch, Record};

use crate::client::backoff::random;
use crate::client::connection::Endpoint;
use crate::client::delivery;
use crate::client::error::ProduceError;
use crate::client::event::{ConnectionEvent, Events};
use crate::client::outbox::{Enqueued, Identity, Outbox};

/// Where a record was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The topic's epoch.
    pub epoch: Epoch,
    /// The record's offset in it.
    pub offset: u64,
}

/// What became of the records of a [`Producer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProducerReport {
    /// Records acknowledged.
    pub acknowledged: u64,
    /// Of those, records that a repeat found appended already: they were, once.
    pub duplicates: u64,
    /// Records accepted by `enqueue` that were not acknowledged.
    pub failed: u64,
}

/// Sets up a [`Producer`]; made by [`Client::producer`](crate::Client::producer).
#[derive(Debug, Clone)]
#[must_use]
pub struct ProducerBuilder {
    endpoint: Endpoint,
    topic: Arc<str>,
    max_records: usize,
    max_bytes: usize,
    linger: Duration,
    buffer_bytes: usize,
    delivery_timeout: Duration,
    idempotent: bool,
    events: Events,
}

/// The largest batch: it must fit a message of 4 MiB with its head.
const MAX_BATCH_BYTES: usize = 3 * 1024 * 1024;

/// The most records that a broker takes at once.
const MAX_BATCH_RECORDS: usize = 65_536;

impl ProducerBuilder {
    pub(crate) fn new(endpoint: Endpoint, topic: &str) -> Self {
        ProducerBuilder {
            endpoint,
            topic: Arc::from(topic),
            max_records: 16_384,
            max_bytes: 256 * 1024,
            linger: Duration::from_millis(1),
            buffer_bytes: 32 * 1024 * 1024,
            delivery_timeout: Duration::from_secs(30),
            idempotent: true,
            events: Events::default(),
        }
    }

    /// The most records in one batch: 1 to 65 536, else the nearest of these. Default 16 384.
    pub fn max_batch_records(mut self, records: usize) -> Self {
        self.max_records = records.clamp(1, MAX_BATCH_RECORDS);
        self
    }

    /// The most bytes in one batch, a larger single record apart: 1 to 3 MiB, else the nearest of these. Default 256 KiB.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes.clamp(1, MAX_BATCH_BYTES);
        self
    }

    /// The longest that a record waits for its batch to fill. Default 1 ms.
    ///
    /// It waits at all only while two earlier batches are under way: a producer that has less unacknowledged sends at once.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Bytes of records that may be enqueued and not acknowledged; [`enqueue`](Producer::enqueue) waits when they are
    /// there. Default 32 MiB.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// How long a record may take from being enqueued to being acknowledged, reconnects included. Then the producer is over.
    /// Default 30 s.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.delivery_timeout = timeout;
        self
    }

    /// Whether a batch that is repeated after a broken connection is recognised by the server. Default `true`; with `false` its
    /// records may be there twice, and out of order.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// Calls `listener` when the connection is lost, tried again and restored. It must not block.
    pub fn on_connection_change(
        mut self,
        listener: impl Fn(&ConnectionEvent) + Send + Sync + 'static,
    ) -> Self {
        self.events = Events::new(listener);
        self
    }

    /// Starts the producer: a task that connects, sends, and connects again.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn build(self) -> Producer {
        let identity = self.idempotent.then(|| Identity {
            producer_id: random().max(1),
            producer_epoch: 0,
        });
        let limits = BatchLimits::new()
            .with_max_items(self.max_records)
            .with_max_bytes(self.max_bytes)
            .with_linger(self.linger);
        let outbox = Arc::new(Outbox::new(
            self.topic,
            limits,
            self.buffer_bytes,
            self.delivery_timeout,
            identity,
        ));
        tokio::spawn(delivery::run(
            self.endpoint,
            Arc::clone(&outbox),
            self.events,
        ));
        Producer {
            handle: Arc::new(Handle { outbox }),
        }
    }
}

/// Appends records to one topic of a server.
///
/// Records are encoded straight into the batch under assembly; full batches go out one after the other on one stream without waiting
/// for each other, and are sent again, in order, when the connection breaks. The broker recognises what it has already
/// appended, so each record is there once. Records of one producer keep their order.
///
/// # Failing
///
/// The first batch that cannot be delivered ends the producer: nothing after it is appended, and every later call fails with the
/// same error. Make a new one to go on.
///
/// # Dropping
///
/// When the last clone is dropped, what was enqueued is still delivered in the background while the runtime lives; call
/// [`flush`](Producer::flush) or [`close`](Producer::close) to know.
#[derive(Debug, Clone)]
pub struct Producer {
    handle: Arc<Handle>,
}

/// Closes the outbox with the last producer.
#[derive(Debug)]
struct Handle {
    outbox: Arc<Outbox>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.outbox.close();
    }
}

impl Producer {
    /// Puts a record into the batch under assembly. Waits only while the buffer is full.
    ///
    /// `Ok` means accepted, not appended: the delivery's error comes with a later call or [`flush`](Producer::flush).
    /// Cancel-safe: a cancelled call has not enqueued its record.
    ///
    /// # Errors
    ///
    /// [`ProduceError::RecordTooLarge`] concerns this record alone; any other error ends the producer.
    pub async fn enqueue(&self, record: &Record) -> Result<(), ProduceError> {
        self.put(record, false).await.map(drop)
    }

    /// Puts a record into the batch under assembly, and waits until it is appended.
    ///
    /// # Errors
    ///
    /// As [`enqueue`](Producer::enqueue), and the delivery's error.
    pub async fn send(&self, record: &Record) -> Result<Sent, ProduceError> {
        let place = self.put(record, true).await?;
        let Some((done, index)) = place else {
            return Err(ProduceError::Closed);
        };
        let (epoch, base_offset) = done.wait().await?;
        Ok(Sent {
            epoch,
            offset: base_offset + index,
        })
    }

    /// Sends the batch under assembly, and waits until all that was enqueued before the call is acknowledged.
    ///
    /// # Errors
    ///
    /// If any of it was not.
    pub async fn flush(&self) -> Result<(), ProduceError> {
        self.handle.outbox.flush().await
    }

    /// Flushes, then ends the producer and all its clones.
    ///
    /// # Errors
    ///
    /// If anything that was enqueued was not acknowledged.
    pub async fn close(self) -> Result<ProducerReport, ProduceError> {
        let flushed = self.flush().await;
        self.handle.outbox.close();
        flushed.map(|()| self.report())
    }

    /// Records acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.report().acknowledged
    }

    /// What became of the records so far.
    #[must_use]
    pub fn report(&self) -> ProducerReport {
        self.handle.outbox.report()
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.handle.outbox.topic()
    }

    async fn put(&self, record: &Record, wants_result: bool) -> Result<Enqueued, ProduceError> {
        let bytes = record.framed_len();
        if bytes > MAX_BATCH_BYTES {
            return Err(ProduceError::RecordTooLarge {
                bytes,
                max: MAX_BATCH_BYTES,
            });
        }
        let outbox = &self.handle.outbox;
        loop {
            if let Some(enqueued) = outbox.try_put(record, bytes, wants_result, Instant::now)? {
                return Ok(enqueued);
            }
            outbox.room(bytes).await;
        }
    }
}
