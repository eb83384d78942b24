//! What a producer has enqueued and not seen acknowledged: one batch under assembly, closed ones, sent ones. All in order.
//!
//! One short mutex, held for a memcpy: callers put records in, the stream's body takes batches out, the acknowledgements
//! finish them. Nothing waits while holding it.

use std::collections::VecDeque;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use footman_batcher::{Assembly, BatchLimits, Verdict};
use footman_broker::{Epoch, Record};
use tokio::sync::Notify;

use crate::client::error::ProduceError;
use crate::client::producer::ProducerReport;
use crate::wire::{Frame, ProduceHead};

/// Batches sent and not acknowledged: fewer than the 64 that a broker remembers of a producer.
const MAX_IN_FLIGHT: usize = 32;

/// With fewer of them under way, what is there goes out at once. One would make each record that comes within a round trip of the one before
/// it wait for that; more would cut what comes fast into smaller batches.
const EAGER_IN_FLIGHT: usize = 2;

/// Who the batches are from, for a server to recognise repeats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) producer_id: u64,
    pub(crate) producer_epoch: u32,
}

/// The result of a batch, for those who wait for one of its records; and the record's place in it.
pub(crate) type Enqueued = Option<(Arc<Done>, u64)>;

/// The result of one batch, when it is there.
#[derive(Debug, Default)]
pub(crate) struct Done {
    result: OnceLock<Result<(Epoch, u64), ProduceError>>,
    there: Notify,
}

impl Done {
    pub(crate) async fn wait(&self) -> Result<(Epoch, u64), ProduceError> {
        loop {
            let mut there = pin!(self.there.notified());
            there.as_mut().enable();
            if let Some(result) = self.result.get() {
                return result.clone();
            }
            there.await;
        }
    }

    fn finish(&self, result: Result<(Epoch, u64), ProduceError>) {
        // A batch is finished once; a second result would be a repeat's.
        let _ = self.result.set(result);
        self.there.notify_waiters();
    }
}

#[derive(Debug)]
struct Batch {
    request_id: u64,
    count: u64,
    /// Of its records.
    bytes: usize,
    /// The request, as it goes out.
    message: Bytes,
    since: Instant,
    done: Option<Arc<Done>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Outbox {
    topic: Arc<str>,
    identity: Option<Identity>,
    /// Room for what goes before a batch's records.
    head_bytes: usize,
    buffer_bytes: usize,
    delivery_timeout: Duration,
    contents: Mutex<Contents>,
    /// Notified when bytes leave, and when the outbox fails or closes.
    left: Notify,
}

#[derive(Debug)]
struct Contents {
    assembly: Assembly,
    /// Records, behind room for what goes before them in a request: with that in its place, a request is one piece of memory.
    open: BytesMut,
    open_since: Option<Instant>,
    open_done: Option<Arc<Done>>,
    closed: VecDeque<Batch>,
    in_flight: VecDeque<Batch>,
    /// Bytes of all of them.
    bytes: usize,
    /// Batches closed, and batches finished, since the start.
    batches_closed: u64,
    batches_finished: u64,
    next_sequence: u64,
    /// Which stream may take batches.
    session: u64,
    is_closing: bool,
    failure: Option<ProduceError>,
    /// The stream's body, asleep.
    sender: Option<Waker>,
    report: ProducerReport,
}

/// What the stream's body does next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this.
    Send(Frame),
    /// Sleep until woken, or until this time if there is one.
    Sleep(Option<Instant>),
    /// Everything was sent and acknowledged and no more will come, or the stream was replaced.
    Over,
}

impl Outbox {
    pub(crate) fn new(
        topic: Arc<str>,
        limits: BatchLimits,
        buffer_bytes: usize,
        delivery_timeout: Duration,
        identity: Option<Identity>,
    ) -> Self {
        Outbox {
            head_bytes: ProduceHead::max_len(&topic),
            topic,
            identity,
            buffer_bytes,
            delivery_timeout,
            contents: Mutex::new(Contents {
                assembly: Assembly::new(limits),
                open: BytesMut::new(),
                open_since: None,
                open_done: None,
                closed: VecDeque::new(),
                in_flight: VecDeque::new(),
                bytes: 0,
                batches_closed: 0,
                batches_finished: 0,
                next_sequence: 0,
                session: 0,
                is_closing: false,
                failure: None,
                sender: None,
                report: ProducerReport::default(),
            }),
            left: Notify::new(),
        }
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn delivery_timeout(&self) -> Duration {
        self.delivery_timeout
    }

    pub(crate) fn report(&self) -> ProducerReport {
        self.lock().report
    }

    /// Puts a record in; `None` if there is no room. `now` is asked for only by the first record of a batch.
    pub(crate) fn try_put(
        &self,
        record: &Record,
        bytes: usize,
        wants_result: bool,
        now: impl Fn() -> Instant,
    ) -> Result<Option<Enqueued>, ProduceError> {
        let mut contents = self.lock();
        contents.check()?;
        if !contents.has_room(bytes, self.buffer_bytes) {
            return Ok(None);
        }
        let mut is_first = contents.open_since.is_none();
        let since = *contents.open_since.get_or_insert_with(&now);
        let mut verdict = contents.assembly.add(bytes, since);
        if verdict == Verdict::CloseBefore {
            self.close_batch(&mut contents);
            is_first = true;
            let since = now();
            contents.open_since = Some(since);
            verdict = contents.assembly.add(bytes, since);
        }
        if contents.open.is_empty() {
            contents.open.put_bytes(0, self.head_bytes);
        }
        record.encode_framed(&mut contents.open);
        contents.bytes += bytes;
        let index = u64::try_from(contents.assembly.items())
            .unwrap_or(u64::MAX)
            .saturating_sub(1);
        let enqueued = wants_result.then(|| {
            (
                Arc::clone(contents.open_done.get_or_insert_default()),
                index,
            )
        });
        if verdict == Verdict::Close {
            self.close_batch(&mut contents);
        }
        // A full flight is woken by its acknowledgements.
        let is_news =
            (is_first || verdict == Verdict::Close) && contents.in_flight.len() < MAX_IN_FLIGHT;
        let sender = if is_news {
            contents.sender.take()
        } else {
            None
        };
        drop(contents);
        wake(sender);
        Ok(Some(enqueued))
    }

    /// Waits until there may be room for a record, or nothing to wait for.
    pub(crate) async fn room(&self, bytes: usize) {
        let mut left = pin!(self.left.notified());
        left.as_mut().enable();
        {
            let contents = self.lock();
            if contents.check().is_err() || contents.has_room(bytes, self.buffer_bytes) {
                return;
            }
        }
        left.await;
    }

    /// Closes the batch under assembly; waits until it and all before it are finished.
    pub(crate) async fn flush(&self) -> Result<(), ProduceError> {
        let (target, sender) = {
            let mut contents = self.lock();
            self.close_batch(&mut contents);
            (contents.batches_closed, contents.sender.take())
        };
        wake(sender);
        loop {
            let mut left = pin!(self.left.notified());
            left.as_mut().enable();
            {
                let contents = self.lock();
                if let Some(failure) = &contents.failure {
                    return Err(failure.clone());
                }
                if contents.batches_finished >= target {
                    return Ok(());
                }
            }
            left.await;
        }
    }

    /// No record from now on; what is there is still delivered.
    pub(crate) fn close(&self) {
        let sender = {
            let mut contents = self.lock();
            contents.is_closing = true;
            self.close_batch(&mut contents);
            contents.sender.take()
        };
        wake(sender);
        self.left.notify_waiters();
    }

    /// Whether everything is over, well or not.
    pub(crate) fn is_over(&self) -> bool {
        let contents = self.lock();
        contents.failure.is_some() || (contents.is_closing && contents.is_empty())
    }

    /// A new stream takes over: what was sent and not acknowledged is sent again, first.
    pub(crate) fn begin_session(&self) -> u64 {
        let mut contents = self.lock();
        let Contents {
            in_flight, closed, ..
        } = &mut *contents;
        while let Some(batch) = in_flight.pop_back() {
            closed.push_front(batch);
        }
        contents.session += 1;
        contents.session
    }

    /// What the body of stream `session` does next. If it is to sleep, it is woken when that changes.
    pub(crate) fn next(&self, session: u64, cx: &Context<'_>) -> Next {
        let mut contents = self.lock();
        if contents.session != session || contents.failure.is_some() {
            return Next::Over;
        }
        let mut until = None;
        if contents.in_flight.len() < MAX_IN_FLIGHT {
            if contents.closed.is_empty() && !contents.assembly.is_empty() {
                let is_eager = contents.in_flight.len() < EAGER_IN_FLIGHT;
                if is_eager || contents.assembly.is_due(Instant::now()) {
                    self.close_batch(&mut contents);
                } else {
                    until = contents.assembly.deadline();
                }
            }
            if let Some(batch) = contents.closed.pop_front() {
                let frame = Frame::Framed(batch.message.clone());
                contents.in_flight.push_back(batch);
                return Next::Send(frame);
            }
        }
        if contents.is_closing && contents.is_empty() {
            return Next::Over;
        }
        contents.sender = Some(cx.waker().clone());
        Next::Sleep(until)
    }

    /// Closes the batch under assembly, if there is one.
    fn close_batch(&self, contents: &mut Contents) {
        let Some(since) = contents.open_since.take() else {
            return;
        };
        let count = u64::try_from(contents.assembly.items()).unwrap_or(u64::MAX);
        let limit = contents.assembly.limits().max_bytes();
        let mut message = contents.open.split();
        // The next batch is likely to be as long as this one.
        let room = message.len().min(limit.saturating_add(self.head_bytes));
        contents.open.reserve(room);
        contents.assembly.reset();
        contents.batches_closed += 1;
        let identity = self.identity;
        let head = ProduceHead {
            topic: &self.topic,
            request_id: contents.batches_closed,
            producer_id: identity.map_or(0, |it| it.producer_id),
            producer_epoch: identity.map_or(0, |it| it.producer_epoch),
            first_sequence: identity.map_or(0, |_| contents.next_sequence),
            ..ProduceHead::default()
        };
        let bytes = message.len() - self.head_bytes;
        let head = head.framed(bytes);
        message.advance(self.head_bytes - head.len());
        if let Some(place) = message.get_mut(..head.len()) {
            place.copy_from_slice(&head);
        }
        let batch = Batch {
            request_id: contents.batches_closed,
            count,
            bytes,
            message: message.freeze(),
            since,
            done: contents.open_done.take(),
        };
        contents.closed.push_back(batch);
        contents.next_sequence += count;
    }

    /// The oldest batch sent was appended. `false` if the answer is to another request than that.
    pub(crate) fn acknowledge(
        &self,
        request_id: u64,
        epoch: Epoch,
        base_offset: u64,
        duplicate: bool,
    ) -> bool {
        let mut contents = self.lock();
        if contents
            .in_flight
            .front()
            .is_none_or(|batch| batch.request_id != request_id)
        {
            return false;
        }
        let Some(batch) = contents.in_flight.pop_front() else {
            return false;
        };
        contents.bytes -= batch.bytes;
        contents.batches_finished += 1;
        contents.report.acknowledged += batch.count;
        if duplicate {
            contents.report.duplicates += batch.count;
        }
        let sender = contents.sender.take();
        drop(contents);
        if let Some(done) = batch.done {
            done.finish(Ok((epoch, base_offset)));
        }
        wake(sender);
        self.left.notify_waiters();
        true
    }

    /// When the oldest record must be acknowledged, if there is one.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let contents = self.lock();
        let oldest = contents
            .in_flight
            .front()
            .or(contents.closed.front())
            .map(|batch| batch.since);
        oldest
            .or(contents.open_since)
            .map(|since| since + self.delivery_timeout)
    }

    /// Ends the outbox: nothing in it will be acknowledged.
    pub(crate) fn fail(&self, error: &ProduceError) {
        let mut contents = self.lock();
        if contents.failure.is_some() {
            return;
        }
        self.close_batch(&mut contents);
        contents.failure = Some(error.clone());
        let batches: Vec<Batch> = mem::take(&mut contents.in_flight)
            .into_iter()
            .chain(mem::take(&mut contents.closed))
            .collect();
        contents.bytes = 0;
        contents.report.failed += batches.iter().map(|batch| batch.count).sum::<u64>();
        let sender = contents.sender.take();
        drop(contents);
        for done in batches.into_iter().filter_map(|batch| batch.done) {
            done.finish(Err(error.clone()));
        }
        wake(sender);
        self.left.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn check(&self) -> Result<(), ProduceError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None if self.is_closing => Err(ProduceError::Closed),
            None => Ok(()),
        }
    }

    /// Anything fits into an empty outbox.
    fn has_room(&self, bytes: usize, limit: usize) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(bytes) <= limit
    }

    fn is_empty(&self) -> bool {
        self.assembly.is_empty() && self.closed.is_empty() && self.in_flight.is_empty()
    }
}

fn wake(sender: Option<Waker>) {
    if let Some(sender) = sender {
        sender.wake();
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::proto;
    use crate::wire::PREFIX;

    /// The next request, with its prefix.
    fn send(outbox: &Outbox, session: u64) -> Bytes {
        match outbox.next(session, &Context::from_waker(Waker::noop())) {
            Next::Send(Frame::Framed(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_goes_out_as_one_piece_with_its_head_in_front() {
        let identity = Identity {
            producer_id: u64::MAX,
            producer_epoch: 7,
        };
        let limits = BatchLimits::new().with_max_items(3);
        let timeout = Duration::from_secs(1);
        let outbox = Outbox::new("topic".into(), limits, 1 << 20, timeout, Some(identity));
        let session = outbox.begin_session();
        let values: Vec<_> = (0..6_u8).map(|byte| vec![byte; 1_000]).collect();
        let bytes = Record::new(values[0].clone()).framed_len();
        for value in &values {
            let record = Record::new(value.clone());
            outbox
                .try_put(&record, bytes, false, Instant::now)
                .unwrap()
                .expect("there is room");
        }
        for (batch, values) in (0..).zip(values.chunks(3)) {
            let message = send(&outbox, session);
            let (prefix, request) = message.split_at(PREFIX);
            let length = u32::try_from(request.len()).unwrap();
            assert_eq!(prefix, [&[0][..], &length.to_be_bytes()].concat());
            let request = proto::ProduceRequest::decode(request).unwrap();
            assert_eq!(request.topic, "topic");
            assert_eq!(request.request_id, batch + 1);
            assert_eq!(request.producer_id, u64::MAX);
            assert_eq!(request.producer_epoch, 7);
            assert_eq!(request.first_sequence, batch * 3);
            let sent: Vec<_> = request.records.iter().map(|it| it.value.to_vec()).collect();
            assert_eq!(sent, values);
        }
    }

    #[test]
    fn what_comes_while_two_batches_are_under_way_waits_for_an_acknowledgement() {
        // Nothing is due by time.
        let limits = BatchLimits::new().with_linger(Duration::from_secs(1_000));
        let timeout = Duration::from_secs(2_000);
        let outbox = Outbox::new("topic".into(), limits, 1 << 20, timeout, None);
        let session = outbox.begin_session();
        let record = Record::new("record");
        let put = || {
            outbox
                .try_put(&record, record.framed_len(), false, Instant::now)
                .unwrap()
                .expect("there is room")
        };
        let sent_records = || {
            let message = send(&outbox, session);
            let request = proto::ProduceRequest::decode(&message[PREFIX..]).unwrap();
            request.records.len()
        };
        put();
        assert_eq!(sent_records(), 1);
        put();
        assert_eq!(sent_records(), 1);
        for _ in 0..3 {
            put();
            let next = outbox.next(session, &Context::from_waker(Waker::noop()));
            assert!(matches!(next, Next::Sleep(Some(_))), "{next:?}");
        }
        let epoch = Epoch::try_from(1).unwrap();
        assert!(outbox.acknowledge(1, epoch, 0, false));
        assert_eq!(sent_records(), 3);
    }
}
