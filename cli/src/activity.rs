//! What goes on in a server: rates, lag, losses and headroom, from two looks at it. Pure.
//!
//! The server counts; what it counted between two looks, over the time between them, is a rate. A
//! subscription's *headroom* is how many records may still be appended before it loses one, and how long that
//! takes at the present rate. It follows from the limits on records and bytes; records that age away are not in it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// One look at a server.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) at: Instant,
    pub(crate) server: ServerState,
    pub(crate) topics: Vec<TopicState>,
    pub(crate) subscriptions: Vec<SubscriptionState>,
}

/// What a server says of itself.
#[derive(Debug, Clone)]
pub(crate) struct ServerState {
    pub(crate) version: String,
    /// Its clock, in microseconds since the Unix epoch.
    pub(crate) now_us: i64,
    pub(crate) up: Duration,
    pub(crate) memory_bytes: u64,
    pub(crate) max_memory_bytes: u64,
    pub(crate) connections: u32,
}

/// What it says of a topic.
#[derive(Debug, Clone)]
pub(crate) struct TopicState {
    pub(crate) name: String,
    pub(crate) epoch: u64,
    pub(crate) start_offset: u64,
    pub(crate) end_offset: u64,
    pub(crate) retained_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) appended_records: u64,
    pub(crate) appended_bytes: u64,
    /// `u64::MAX` is no limit, here and below.
    pub(crate) max_records: u64,
    pub(crate) max_bytes: u64,
}

/// What it says of a subscription to one topic.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionState {
    pub(crate) topic: String,
    pub(crate) epoch: u64,
    pub(crate) label: String,
    pub(crate) next_offset: u64,
    pub(crate) delivered: u64,
    pub(crate) lag: u64,
    pub(crate) lost: u64,
}

/// What went on between two looks.
#[derive(Debug, Clone)]
pub(crate) struct Activity {
    pub(crate) server: ServerState,
    pub(crate) topics: Vec<TopicActivity>,
    pub(crate) subscriptions: Vec<SubscriptionActivity>,
}

/// A topic, and what went on in it.
#[derive(Debug, Clone)]
pub(crate) struct TopicActivity {
    pub(crate) topic: TopicState,
    /// How many follow it.
    pub(crate) subscriptions: usize,
    /// Records appended a second.
    pub(crate) records_rate: f64,
    /// Bytes appended a second.
    pub(crate) bytes_rate: f64,
    /// The lag of the subscription that is furthest behind.
    pub(crate) lag: u64,
    /// What all its subscriptions lost.
    pub(crate) lost: u64,
    /// The least of its subscriptions' headrooms.
    pub(crate) headroom: Option<Headroom>,
}

/// A subscription to one topic, and what went on in it.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionActivity {
    pub(crate) subscription: SubscriptionState,
    /// Records delivered a second.
    pub(crate) records_rate: f64,
    /// Records lost a second.
    pub(crate) lost_rate: f64,
    pub(crate) headroom: Headroom,
}

/// How far a subscription is from losing records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Headroom {
    /// How long that takes at the present rate; `None` while nothing is appended, or nothing limits it.
    pub(crate) time: Option<Duration>,
    /// Records that may still be appended.
    pub(crate) records: u64,
}

impl Activity {
    /// What went on from `old` to `new`; with no `old`, all rates are 0.
    pub(crate) fn between(old: Option<&Look>, new: &Look) -> Activity {
        let seconds = old.map_or(0.0, |old| (new.at - old.at).as_secs_f64());
        let rate = |old: Option<u64>, new: u64| match old {
            Some(old) if seconds > 0.0 => new.saturating_sub(old) as f64 / seconds,
            _ => 0.0,
        };
        let old_topics: HashMap<_, _> = old
            .iter()
            .flat_map(|old| &old.topics)
            .map(|topic| ((topic.name.as_str(), topic.epoch), topic))
            .collect();
        let mut topics: Vec<_> = new
            .topics
            .iter()
            .map(|topic| {
                let old = old_topics.get(&(topic.name.as_str(), topic.epoch));
                TopicActivity {
                    records_rate: rate(old.map(|t| t.appended_records), topic.appended_records),
                    bytes_rate: rate(old.map(|t| t.appended_bytes), topic.appended_bytes),
                    subscriptions: 0,
                    lag: 0,
                    lost: 0,
                    headroom: None,
                    topic: topic.clone(),
                }
            })
            .collect();
        let places: HashMap<_, _> = topics
            .iter()
            .enumerate()
            .map(|(place, topic)| (topic.topic.name.clone(), place))
            .collect();
        let mut counterparts = Counterparts::new(old);
        let mut subscriptions = Vec::with_capacity(new.subscriptions.len());
        for subscription in &new.subscriptions {
            let old = counterparts.take(subscription);
            // Topics and subscriptions are asked for one after the other: one may have gone in between.
            let Some(topic) = places
                .get(&subscription.topic)
                .map(|place| &mut topics[*place])
            else {
                continue;
            };
            let headroom = Headroom::of(subscription, topic);
            topic.subscriptions += 1;
            topic.lag = topic.lag.max(subscription.lag);
            topic.lost += subscription.lost;
            topic.headroom = Some(
                topic
                    .headroom
                    .map_or(headroom, |least| least.nearer(headroom)),
            );
            subscriptions.push(SubscriptionActivity {
                records_rate: rate(old.map(|s| s.delivered), subscription.delivered),
                lost_rate: rate(old.map(|s| s.lost), subscription.lost),
                headroom,
                subscription: subscription.clone(),
            });
        }
        Activity {
            server: new.server.clone(),
            topics,
            subscriptions,
        }
    }
}

impl Headroom {
    fn of(subscription: &SubscriptionState, in_topic: &TopicActivity) -> Headroom {
        let topic = &in_topic.topic;
        let kept = topic.end_offset.saturating_sub(topic.start_offset);
        // What is kept before the subscription's position goes first, and after that what it has not read.
        let behind_it = subscription.next_offset.saturating_sub(topic.start_offset);
        let by_records = topic.max_records.saturating_sub(kept);
        let record_bytes = match kept {
            0 => 1,
            kept => (topic.retained_bytes / kept).max(1),
        };
        let free_bytes = topic.max_bytes.saturating_sub(topic.retained_bytes);
        let free = by_records.min(free_bytes / record_bytes);
        let records = free.saturating_add(behind_it);
        let unlimited = topic.max_records == u64::MAX && topic.max_bytes == u64::MAX;
        let seconds = records as f64 / in_topic.records_rate;
        Headroom {
            time: Duration::try_from_secs_f64(seconds)
                .ok()
                .filter(|_| !unlimited),
            records,
        }
    }

    /// The one that ends first.
    fn nearer(self, other: Headroom) -> Headroom {
        let key = |headroom: &Headroom| (headroom.time.unwrap_or(Duration::MAX), headroom.records);
        std::cmp::min_by_key(self, other, key)
    }
}

/// The subscriptions of the older look, by what tells them apart: topic, epoch, label, and their order.
struct Counterparts<'a> {
    by_key: HashMap<(&'a str, u64, &'a str), VecDeque<&'a SubscriptionState>>,
}

impl<'a> Counterparts<'a> {
    fn new(old: Option<&'a Look>) -> Self {
        let mut by_key: HashMap<_, VecDeque<_>> = HashMap::new();
        for subscription in old.iter().flat_map(|old| &old.subscriptions) {
            by_key
                .entry(key(subscription))
                .or_default()
                .push_back(subscription);
        }
        Counterparts { by_key }
    }

    /// The next of the same key whose counts are not ahead; one that is has gone.
    fn take(&mut self, new: &'a SubscriptionState) -> Option<&'a SubscriptionState> {
        let queue = self.by_key.get_mut(&key(new))?;
        while let Some(old) = queue.pop_front() {
            if old.delivered <= new.delivered && old.lost <= new.lost {
                return Some(old);
            }
        }
        None
    }
}

fn key(subscription: &SubscriptionState) -> (&str, u64, &str) {
    (&subscription.topic, subscription.epoch, &subscription.label)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn topic(name: &str, start_offset: u64, end_offset: u64) -> TopicState {
        TopicState {
            name: name.to_owned(),
            epoch: 7,
            start_offset,
            end_offset,
            retained_bytes: (end_offset - start_offset) * 100,
            memory_bytes: 4096,
            appended_records: end_offset,
            appended_bytes: end_offset * 100,
            max_records: 1_000,
            max_bytes: u64::MAX,
        }
    }

    pub(crate) fn subscription(
        topic: &str,
        label: &str,
        next_offset: u64,
        lag: u64,
    ) -> SubscriptionState {
        SubscriptionState {
            topic: topic.to_owned(),
            epoch: 7,
            label: label.to_owned(),
            next_offset,
            delivered: next_offset,
            lag,
            lost: 0,
        }
    }

    pub(crate) fn look(
        at: Instant,
        topics: Vec<TopicState>,
        subscriptions: Vec<SubscriptionState>,
    ) -> Look {
        let server = ServerState {
            version: "1.2.3".to_owned(),
            now_us: 0,
            up: Duration::from_secs(62),
            memory_bytes: 1 << 20,
            max_memory_bytes: 1 << 30,
            connections: 3,
        };
        Look {
            at,
            server,
            topics,
            subscriptions,
        }
    }

    #[test]
    fn what_was_counted_over_the_time_between_is_a_rate() {
        let start = Instant::now();
        let old = look(
            start,
            vec![topic("a", 0, 100)],
            vec![
                subscription("a", "x", 10, 90),
                subscription("a", "x", 50, 50),
            ],
        );
        let new = look(
            start + Duration::from_secs(2),
            vec![topic("a", 0, 300), topic("new", 0, 5)],
            vec![
                subscription("a", "x", 30, 270),
                subscription("a", "x", 250, 50),
                subscription("a", "y", 300, 0),
                subscription("gone", "x", 1, 0),
            ],
        );
        let activity = Activity::between(Some(&old), &new);
        let rates: Vec<_> = activity
            .topics
            .iter()
            .map(|t| (t.records_rate, t.bytes_rate))
            .collect();
        assert_eq!(rates, [(100.0, 10_000.0), (0.0, 0.0)]);
        assert_eq!(
            (activity.topics[0].lag, activity.topics[0].subscriptions),
            (270, 3)
        );
        let delivered: Vec<_> = activity
            .subscriptions
            .iter()
            .map(|s| s.records_rate)
            .collect();
        assert_eq!(
            delivered,
            [10.0, 100.0, 0.0],
            "of the same label, in their order"
        );
        let first = Activity::between(None, &new);
        assert!(first.topics.iter().all(|topic| topic.records_rate == 0.0));
    }

    #[test]
    fn headroom_is_what_may_still_come_before_a_record_is_lost() {
        let start = Instant::now();
        let activity = |new_topic: TopicState, next_offset: u64| {
            let mut old_topic = new_topic.clone();
            old_topic.appended_records -= 100;
            let lag = new_topic.end_offset - next_offset;
            let old = look(start, vec![old_topic], vec![]);
            let reader = subscription(&new_topic.name, "r", next_offset, lag);
            let new = look(
                start + Duration::from_secs(1),
                vec![new_topic],
                vec![reader],
            );
            Activity::between(Some(&old), &new).subscriptions[0].headroom
        };
        // 400 kept of 1000, and the reader stands 100 past the oldest: 600 free and these 100.
        let not_full = activity(topic("a", 600, 1_000), 700);
        assert_eq!(
            (not_full.records, not_full.time),
            (700, Some(Duration::from_secs(7)))
        );
        // Full: each append takes the oldest.
        let full = activity(topic("a", 500, 1_500), 520);
        assert_eq!(
            (full.records, full.time),
            (20, Some(Duration::from_millis(200)))
        );
        // 100 bytes a record: room for 10 more.
        let mut by_bytes = topic("a", 0, 400);
        by_bytes.max_bytes = 41_000;
        assert_eq!(activity(by_bytes, 0).records, 10);
        let mut endless = topic("a", 0, 400);
        endless.max_records = u64::MAX;
        assert_eq!(activity(endless, 0).time, None);
    }
}
