//! A consumer's records in batches: a thread that reads, and a batcher whose workers process.
//!
//! The reader stands in the same place as any consumer: while the batcher's queue is full it waits and may be
//! lapped, and what it is told of (losses, resets, ends, what a filter passed over) goes on to a handler. Which records are done is
//! counted by run: a run is done when the last of its records has been let go.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use footman_batcher::{Batch, Batcher, Builder, Counters, StartError, StopReport};

use crate::consumer::Consumer;
use crate::decoding::record;
use crate::epoch::Epoch;
use crate::item::Item;
use crate::records::{RecordRef, Records};
use crate::start::Position;

/// One record of a topic, owned: it keeps the run that it lies in, as [`Records`] does.
#[derive(Clone)]
pub struct ConsumedRecord {
    run: Arc<Run>,
    offset: u64,
    body: Range<usize>,
}

impl ConsumedRecord {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        self.run.records.topic()
    }

    /// The life of the topic that the offset belongs to.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.run.records.epoch()
    }

    /// Its place in the topic.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of its encoded body: what a batch's byte limit may weigh.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.body.len()
    }

    /// Its content, read where it lies.
    #[must_use]
    pub fn get(&self) -> RecordRef<'_> {
        let encoded: &[u8] = self.run.records.encoded();
        let body = encoded.get(self.body.clone()).unwrap_or_default();
        RecordRef::new(self.offset, body)
    }
}

impl fmt::Debug for ConsumedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumedRecord")
            .field("topic", self.topic())
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// A run under way. Its last record's end is its own.
struct Run {
    records: Records,
    progress: Arc<Progress>,
}

impl Run {
    fn into_records(self) -> Vec<ConsumedRecord> {
        let run = Arc::new(self);
        let encoded = run.records.encoded();
        let (mut rest, mut offset) = (&encoded[..], run.records.base_offset());
        let mut records = Vec::with_capacity(run.records.len());
        while let Ok((body, behind)) = record(rest) {
            rest = behind;
            let run = Arc::clone(&run);
            let end = encoded.len() - rest.len();
            let body = end - body.len()..end;
            records.push(ConsumedRecord { run, offset, body });
            offset += 1;
        }
        records
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.progress.done(&self.records);
    }
}

/// How far each topic is.
#[derive(Default)]
struct Progress {
    topics: Mutex<HashMap<Arc<str>, Topic>>,
}

struct Topic {
    epoch: Epoch,
    /// Behind everything that was read or reported lost.
    next_offset: u64,
    /// The first offsets of the runs under way.
    runs: BTreeSet<u64>,
    lost: u64,
}

impl Progress {
    fn of(consumer: &Consumer) -> Self {
        let follow = |(name, at): (Arc<str>, Position)| (name, Topic::at(at));
        let topics = Mutex::new(consumer.positions().map(follow).collect());
        Self { topics }
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<Arc<str>, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A consumer gave this item.
    fn note(&self, item: &Item) {
        let mut topics = self.topics();
        let (epoch, next_offset) = match item {
            Item::Records(records) => (records.epoch(), records.next_offset()),
            Item::Lost(lost) => (lost.epoch, lost.to),
            Item::Filtered(filtered) => (filtered.epoch, filtered.to),
            Item::Reset(reset) => (reset.new_epoch, reset.next_offset),
            Item::End(end) => (end.epoch, end.next_offset),
        };
        let topic = topics
            .entry(Arc::clone(item.topic()))
            .or_insert_with(|| Topic::at(Position { epoch, next_offset }));
        if topic.epoch != epoch {
            (topic.epoch, topic.runs) = (epoch, BTreeSet::new());
        }
        topic.next_offset = next_offset;
        match item {
            Item::Records(records) => drop(topic.runs.insert(records.base_offset())),
            Item::Lost(lost) => topic.lost += lost.records(),
            Item::Filtered(_) | Item::Reset(_) | Item::End(_) => {}
        }
    }

    fn done(&self, records: &Records) {
        if let Some(topic) = self.topics().get_mut(records.topic())
            && topic.epoch == records.epoch()
        {
            topic.runs.remove(&records.base_offset());
        }
    }

    fn positions(&self) -> Vec<(Arc<str>, Position)> {
        let topics = self.topics();
        let mut positions: Vec<_> = topics
            .iter()
            .map(|(name, topic)| (Arc::clone(name), topic.position()))
            .collect();
        positions.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        positions
    }

    fn lost(&self) -> u64 {
        self.topics().values().map(|topic| topic.lost).sum()
    }
}

impl Topic {
    fn at(Position { epoch, next_offset }: Position) -> Self {
        Self {
            epoch,
            next_offset,
            runs: BTreeSet::new(),
            lost: 0,
        }
    }

    fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            next_offset: self.runs.first().copied().unwrap_or(self.next_offset),
        }
    }
}

impl Consumer {
    /// Hands the consumer's records to `process` in batches, on threads of their own, from now on until it is
    /// stopped. What is not records (losses, what a filter passed over, resets, ends) goes to `notice`, in order with the reading.
    ///
    /// `batches` says how large a batch is, how long it waits to fill, how many workers process at
    /// once, in which order, and what becomes of a batch whose processing failed: see
    /// [`Builder`]. While its queue is full the consumer does not read: it may be lapped then, as any other
    /// that is too slow, and `notice` is told.
    ///
    /// # Errors
    /// [`StartError`] if an option cannot work or a thread cannot be started.
    ///
    /// ```
    /// use footman_batcher::Batcher;
    /// use footman_broker::{Broker, BrokerOptions, Record, StartAt, StopAt, SubscribeOptions};
    /// use std::time::Duration;
    ///
    /// let broker = Broker::new(BrokerOptions::default())?;
    /// let batch: Vec<_> = (0..250).map(|i| Record::new(format!("{i}"))).collect();
    /// broker.producer("orders")?.produce_batch(&batch)?;
    /// let mut consumer = broker.consumer();
    /// let all = SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::End);
    /// consumer.subscribe_with("orders", all)?;
    ///
    /// let batches = consumer.into_batches(
    ///     Batcher::builder().max_items(100).linger(Duration::from_millis(20)).workers(2),
    ///     |batch| {
    ///         assert!(batch.iter().all(|record| !record.get().value.is_empty())); // insert them
    ///         Ok::<(), std::io::Error>(())
    ///     },
    ///     |notice| println!("{notice:?}"),
    /// )?;
    /// let report = batches.finish();
    /// assert_eq!((report.batcher.processed, report.lost), (250, 0));
    /// assert_eq!(report.positions[0].1.next_offset, 250);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_batches<E>(
        self,
        batches: Builder<ConsumedRecord>,
        process: impl Fn(&mut Batch<ConsumedRecord>) -> Result<(), E> + Send + Sync + 'static,
        notice: impl FnMut(Item) + Send + 'static,
    ) -> Result<BatchConsumer, StartError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let batcher = batches.start(process)?;
        let progress = Arc::new(Progress::of(&self));
        let stopping = Arc::new(AtomicBool::new(false));
        let feeder = Feeder {
            consumer: self,
            batcher: batcher.clone(),
            progress: Arc::clone(&progress),
            stopping: Arc::clone(&stopping),
        };
        let reader = thread::Builder::new()
            .name("footman-batches".to_owned())
            .spawn(move || feeder.run(notice))
            .map_err(StartError::Thread)?;
        Ok(BatchConsumer {
            batcher,
            progress,
            stopping,
            reader: Some(reader),
        })
    }
}

/// What the reading thread has.
struct Feeder {
    consumer: Consumer,
    batcher: Batcher<ConsumedRecord>,
    progress: Arc<Progress>,
    stopping: Arc<AtomicBool>,
}

impl Feeder {
    /// Reads until it is stopped or every subscription has reached its stop. Returns what the batcher did
    /// not take any more.
    fn run(mut self, mut notice: impl FnMut(Item)) -> Vec<ConsumedRecord> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        while !self.stopping.load(Ordering::Acquire) {
            match self.consumer.poll_next_item(&mut context) {
                Poll::Pending if self.consumer.is_finished() => break,
                Poll::Pending => thread::park(),
                Poll::Ready(item) => {
                    self.progress.note(&item);
                    let Item::Records(records) = item else {
                        notice(item);
                        continue;
                    };
                    let progress = Arc::clone(&self.progress);
                    let records = Run { records, progress }.into_records();
                    let mut left = records.into_iter();
                    if let Err(stopped) = self.batcher.enqueue_many(&mut left) {
                        return stopped.refused.into_iter().chain(left).collect();
                    }
                }
            }
        }
        Vec::new()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A consumer whose records are processed in batches; made by [`Consumer::into_batches`].
///
/// Dropped, it reads no more, and waits until all that the batcher had accepted is processed.
pub struct BatchConsumer {
    batcher: Batcher<ConsumedRecord>,
    progress: Arc<Progress>,
    stopping: Arc<AtomicBool>,
    reader: Option<JoinHandle<Vec<ConsumedRecord>>>,
}

/// How it ended.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the report holds the records that were not processed"]
pub struct BatchesReport {
    /// What became of the records that the batcher accepted.
    pub batcher: StopReport<ConsumedRecord>,
    /// Records that were read and came too late for the batcher, oldest first.
    pub refused: Vec<ConsumedRecord>,
    /// Records that the consumer was told it lost.
    pub lost: u64,
    /// Where each topic is to be [resumed](crate::StartAt::Resume) so that no record is left out: everything
    /// before is processed, has failed for good, or was reported lost.
    pub positions: Vec<(Arc<str>, Position)>,
}

impl BatchConsumer {
    /// Where each topic could be [resumed](crate::StartAt::Resume) now, by name: everything before is processed,
    /// has failed for good, or was reported lost. Some of what comes behind may be processed too: runs are
    /// counted whole, so who resumes there gets records again, and leaves none out.
    #[must_use]
    pub fn positions(&self) -> Vec<(Arc<str>, Position)> {
        self.progress.positions()
    }

    /// Records that the consumer was told it lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.progress.lost()
    }

    /// What the batcher has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.batcher.counters()
    }

    /// Waits until every subscription has reached its stop and everything is processed. For ever, if one has
    /// no stop.
    pub fn finish(mut self) -> BatchesReport {
        let refused = self.join_reader();
        let batcher = self.batcher.safe_stop(Duration::MAX);
        self.report(batcher, refused)
    }

    /// Reads no more, and processes what the batcher has accepted, for at most `timeout`.
    pub fn safe_stop(mut self, timeout: Duration) -> BatchesReport {
        self.stop_reading();
        let batcher = self.batcher.safe_stop(timeout);
        let refused = self.join_reader();
        self.report(batcher, refused)
    }

    /// Stops now, and gives back what is in no worker's hands; waits for those at most for `timeout`.
    pub fn stop(mut self, timeout: Duration) -> BatchesReport {
        self.stop_reading();
        let batcher = self.batcher.stop(timeout);
        let refused = self.join_reader();
        self.report(batcher, refused)
    }

    fn stop_reading(&self) {
        self.stopping.store(true, Ordering::Release);
        if let Some(reader) = &self.reader {
            reader.thread().unpark();
        }
    }

    /// The reader ends as soon as it is told, or its batcher refuses.
    fn join_reader(&mut self) -> Vec<ConsumedRecord> {
        let ended = self.reader.take().map(JoinHandle::join);
        match ended {
            None => Vec::new(),
            Some(Ok(refused)) => refused,
            Some(Err(panic)) => std::panic::resume_unwind(panic), // the notice handler's
        }
    }

    fn report(
        &self,
        batcher: StopReport<ConsumedRecord>,
        refused: Vec<ConsumedRecord>,
    ) -> BatchesReport {
        BatchesReport {
            // While the unprocessed are held: their runs are under way.
            positions: self.positions(),
            lost: self.lost(),
            batcher,
            refused,
        }
    }
}

impl Drop for BatchConsumer {
    fn drop(&mut self) {
        if self.reader.is_some() {
            self.stop_reading();
            drop(self.batcher.safe_stop(Duration::MAX));
            if let Some(reader) = self.reader.take() {
                drop(reader.join()); // its panic has been reported where it happened
            }
        }
    }
}

impl fmt::Debug for BatchConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchConsumer")
            .field("positions", &self.positions())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}
