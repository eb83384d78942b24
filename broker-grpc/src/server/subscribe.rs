//! Subscribe: one consumer per stream, read when the peer has room, paced as the subscriber asked.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use footman_broker::{Broker, Consumer, ConsumerOptions, Item};
use tokio::time::{Instant, Sleep};
use tonic::Status;

use crate::body::Source;
use crate::proto::{self, subscribe_response};
use crate::server::calls::{Call, LetGo};
use crate::server::convert;
use crate::server::limits::MAX_RUN_BYTES;
use crate::server::load;
use crate::server::passed_over::{PASSED_IN_A_TURN, PassedOver};
use crate::server::state::{Place, State};
use crate::server::status::Failure;
use crate::wire::Frame;

/// Bytes of a batch where the subscriber does not say.
const BATCH_BYTES: u32 = 256 * 1024;

/// The longest that records may wait for company.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// How often, at least, it is looked at whether there is enough company.
const LOOKS: u32 = 16;

/// What is this much or more is worth a send of its own also on a busy thread.
const SMALL_BYTES: u64 = 16 * 1024;

const MAX_LABEL_BYTES: usize = 200;

/// Follows the topics asked for; one `started` each.
pub(crate) fn follow(
    consumer: &mut Consumer,
    topics: Vec<proto::TopicStart>,
    max_topics: usize,
) -> Result<Vec<proto::Started>, Failure> {
    if topics.is_empty() {
        return Err(Failure::invalid_request("no topics: name at least one"));
    }
    if topics.len() > max_topics {
        let message = format!(
            "{} topics, more than {max_topics}: use several calls",
            topics.len()
        );
        return Err(Failure::invalid_request(message));
    }
    let mut started = Vec::with_capacity(topics.len());
    for topic in topics {
        let start = convert::start(topic)?;
        let subscribed = consumer.subscribe_with(&start.topic, start.options)?;
        if let Some(expected) = start.expected_epoch
            && expected != subscribed.epoch
        {
            return Err(Failure::epoch_mismatch(
                expected.into(),
                subscribed.epoch.into(),
            ));
        }
        started.push(proto::Started {
            epoch: subscribed.epoch.into(),
            next_offset: subscribed.next_offset,
            stop_offset: subscribed.stop_offset,
            topic: start.topic,
        });
    }
    Ok(started)
}

fn end_offset(consumer: &Consumer, topic: &str, next_offset: u64) -> u64 {
    next_offset.saturating_add(consumer.lag(topic).unwrap_or(0))
}

/// Where a consumer stands in each of its topics.
pub(crate) fn positions(consumer: &Consumer) -> Vec<proto::Position> {
    consumer
        .positions()
        .map(|(topic, position)| proto::Position {
            epoch: position.epoch.into(),
            next_offset: position.next_offset,
            end_offset: end_offset(consumer, &topic, position.next_offset),
            topic: topic.to_string(),
        })
        .collect()
}

/// The options of a consumer, from limits of which 0 means the default.
pub(crate) fn consumer(broker: &Broker, records: u32, bytes: u32, default_bytes: u32) -> Consumer {
    let mut options = ConsumerOptions::new();
    if records != 0 {
        options.max_records = usize::try_from(records).unwrap_or(usize::MAX);
    }
    let bytes = if bytes == 0 { default_bytes } else { bytes };
    options.max_bytes = usize::try_from(bytes)
        .unwrap_or(usize::MAX)
        .min(MAX_RUN_BYTES);
    broker.consumer_with(options)
}

/// The items of one subscription, as its body asks for them.
pub(crate) struct Subscription {
    state: Arc<State>,
    inner: Arc<Inner>,
    timer: Pin<Box<Sleep>>,
}

/// What the watchdog can reach. Locked for a moment by each: never while waiting.
struct Inner(Mutex<Following>);

struct Following {
    /// `None` when it is over, well or not.
    consumer: Option<(Consumer, Place)>,
    /// What is to be sent before anything of the consumer; two messages per topic at most.
    queue: VecDeque<Frame>,
    passed_over: PassedOver,
    /// How the stream ends, when the queue is empty.
    end: Option<Failure>,
    pace: Pace,
}

/// When to send what is there.
struct Pace {
    min_bytes: u64,
    max_wait: Duration,
    heartbeat: Duration,
    /// When records that are too few go out all the same.
    hold_until: Option<Instant>,
    /// Enough was there: everything goes out until there is nothing.
    is_flowing: bool,
    /// When records were last sent, and when anything was.
    last_records: Option<Instant>,
    last_sent: Instant,
}

impl Subscription {
    pub(crate) fn open(
        state: &Arc<State>,
        request: proto::SubscribeRequest,
    ) -> Result<Self, Failure> {
        if state.calls.is_draining() {
            return Err(Failure::draining());
        }
        if request.label.len() > MAX_LABEL_BYTES {
            let message = format!("the label is longer than {MAX_LABEL_BYTES} bytes: shorten it");
            return Err(Failure::invalid_request(message));
        }
        let place = Place::subscription(state)?;
        let mut consumer = consumer(
            &state.broker,
            request.max_batch_records,
            request.max_batch_bytes,
            BATCH_BYTES,
        );
        consumer.set_label(request.label);
        let started = follow(
            &mut consumer,
            request.topics,
            state.limits.max_topics_per_call,
        )?;
        let heartbeat = match request.heartbeat_ms {
            0 => state.heartbeat,
            millis => Duration::from_millis(u64::from(millis.clamp(100, 60_000))),
        };
        let pace = Pace {
            min_bytes: u64::from(request.min_bytes),
            max_wait: Duration::from_micros(u64::from(request.max_wait_us)).min(MAX_WAIT),
            heartbeat,
            hold_until: None,
            is_flowing: false,
            last_records: None,
            last_sent: Instant::now(),
        };
        let queue = started
            .into_iter()
            .map(subscribe_response::Item::Started)
            .map(convert::response);
        let following = Following {
            consumer: Some((consumer, place)),
            queue: queue.collect(),
            passed_over: PassedOver::default(),
            end: None,
            pace,
        };
        let inner = Arc::new(Inner(Mutex::new(following)));
        if let Some(call) = Call::current() {
            call.enrol(Some(Arc::clone(&inner) as Arc<dyn LetGo>));
        }
        let timer = Box::pin(tokio::time::sleep(heartbeat));
        Ok(Subscription {
            state: Arc::clone(state),
            inner,
            timer,
        })
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Following> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LetGo for Inner {
    fn let_go(&self) {
        let reason = proto::GoingAwayReason::Stalled;
        self.lock().go_away(reason, Failure::stalled());
    }
}

impl Following {
    /// Drops the consumer, to be told with the places to resume at.
    fn go_away(&mut self, reason: proto::GoingAwayReason, failure: Failure) {
        if let Some((consumer, _place)) = self.consumer.take() {
            let going_away = proto::GoingAway {
                reason: reason.into(),
                message: failure.message().to_owned(),
                positions: positions(&consumer),
            };
            self.queue.extend(self.passed_over.take_all());
            self.queue
                .push_back(convert::response(subscribe_response::Item::GoingAway(
                    going_away,
                )));
            self.end = Some(failure);
        }
    }

    /// Says that it is alive, and where it stands, if nothing else was said for long enough; else gives the time to do so.
    fn say_heartbeat(&mut self) -> Option<Instant> {
        let due = self.pace.last_sent + self.pace.heartbeat;
        let now = Instant::now();
        if now < due {
            return Some(due);
        }
        self.pace.last_sent = now;
        if let Some((consumer, _)) = &self.consumer {
            self.queue.extend(self.passed_over.take_all());
            self.queue.push_back(heartbeat(consumer));
        }
        None
    }
}

impl Source for Subscription {
    const HAS_TRAILERS: bool = true;

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Status>>> {
        let is_draining = self.state.calls.is_draining();
        let mut following = self.inner.lock();
        let mut passed = 0;
        loop {
            if let Some(frame) = following.queue.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            let Following { consumer, pace, .. } = &mut *following;
            let Some((consumer, _)) = consumer else {
                return Poll::Ready(following.end.take().map(|end| Err(end.into_status())));
            };
            if let Some(until) = pace.hold(consumer).filter(|_| !is_draining) {
                if poll_timer(&mut self.timer, until, cx).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            if consumer.is_finished() {
                following.consumer = None;
                continue;
            }
            match consumer.poll_next_item(cx) {
                Poll::Ready(Item::Filtered(filtered)) => {
                    passed += filtered.records();
                    following.passed_over.add(filtered);
                    if passed >= PASSED_IN_A_TURN && following.say_heartbeat().is_some() {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Poll::Ready(item) => {
                    pace.sent(&item);
                    let following = &mut *following;
                    let passed_over = following.passed_over.take(item.topic());
                    following.queue.extend(passed_over);
                    following.queue.extend(convert::item(item));
                }
                Poll::Pending if is_draining => {
                    following.go_away(proto::GoingAwayReason::Draining, Failure::draining());
                }
                Poll::Pending => {
                    pace.is_flowing = false;
                    pace.hold_until = None;
                    if let Some(due) = following.say_heartbeat()
                        && poll_timer(&mut self.timer, due, cx).is_pending()
                    {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Pace {
    /// An item is on its way.
    fn sent(&mut self, item: &Item) {
        self.last_sent = Instant::now();
        if let Item::Records(records) = item {
            self.last_records = Some(self.last_sent);
            load::sent(records.len(), self.last_sent);
        }
    }

    /// Until when to leave what is there, because it is too little; `None`: send.
    fn hold(&mut self, consumer: &Consumer) -> Option<Instant> {
        if self.max_wait.is_zero() || self.min_bytes <= 1 {
            self.linger(consumer)
        } else if self.is_flowing {
            None
        } else {
            self.wait_for_bytes(consumer)
        }
    }

    /// On a busy thread: until there may be more to send at once. Nothing wakes the consumer meanwhile.
    fn linger(&mut self, consumer: &Consumer) -> Option<Instant> {
        let until = self.last_records? + load::LINGER;
        let now = Instant::now();
        if !load::is_busy(now) {
            return None;
        }
        let available = consumer.available_bytes();
        let goes_on = self.is_flowing && available > 0;
        self.is_flowing = goes_on || now >= until || available >= SMALL_BYTES;
        (!self.is_flowing).then_some(until)
    }

    /// Where the subscriber asked for it: until there is as much as it wants, or it has waited as long as it wants.
    fn wait_for_bytes(&mut self, consumer: &Consumer) -> Option<Instant> {
        let available = consumer.available_bytes();
        if available == 0 {
            return None;
        }
        let now = Instant::now();
        let until = *self.hold_until.get_or_insert(now + self.max_wait);
        if available >= self.min_bytes || now >= until {
            self.is_flowing = true;
            return None;
        }
        // Appends do not wake a consumer that has records to take: look again when there is enough at the pace so far, and before
        // that now and then, because much may come at once.
        let waited = self.max_wait.saturating_sub(until - now).max(load::LINGER);
        let missing = (self.min_bytes - available).div_ceil(available);
        let enough =
            u32::try_from(missing).map_or(self.max_wait, |times| waited.saturating_mul(times));
        let soon = (self.max_wait / LOOKS).max(load::LINGER);
        Some(until.min(now + enough.min(soon)))
    }
}

/// Waits until `when` at the latest: a timer that is set to an earlier time is left as it is.
fn poll_timer(timer: &mut Pin<Box<Sleep>>, when: Instant, cx: &mut Context<'_>) -> Poll<()> {
    if timer.is_elapsed() || timer.deadline() > when {
        timer.as_mut().reset(when);
    }
    timer.as_mut().poll(cx)
}

fn heartbeat(consumer: &Consumer) -> Frame {
    convert::response(subscribe_response::Item::Heartbeat(proto::Heartbeat {
        positions: positions(consumer),
        server_time_us: convert::micros(SystemTime::now()),
    }))
}

#[cfg(test)]
mod tests {
    use footman_broker::{BrokerOptions, Record, StartAt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn much_that_comes_at_once_does_not_wait_at_the_pace_of_little() {
        let broker = Broker::new(BrokerOptions::default()).unwrap();
        let mut consumer = broker.consumer();
        consumer.subscribe("t", StartAt::Earliest).unwrap();
        let producer = broker.producer("t").unwrap();
        let max_wait = Duration::from_secs(10);
        let mut pace = Pace {
            min_bytes: 100_000,
            max_wait,
            heartbeat: Duration::MAX,
            hold_until: None,
            is_flowing: false,
            last_records: None,
            last_sent: Instant::now(),
        };
        assert_eq!(pace.hold(&consumer), None, "there is nothing to hold");

        producer.produce(&Record::new("little")).unwrap();
        for _ in 0..2 {
            let look = pace.hold(&consumer).expect("it is too little");
            assert!(look - Instant::now() <= max_wait / LOOKS);
            tokio::time::sleep_until(look).await;
        }
        producer.produce(&Record::new(vec![1; 100_000])).unwrap();
        assert_eq!(pace.hold(&consumer), None, "there is enough");
    }
}
