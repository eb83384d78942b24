//! What goes on in a server: rates, lag, losses and headroom, from two looks at it. Pure.
//!
//! The server counts; what it counted between two looks, over the time between them, is a rate. A
//! subscription's *headroom* is how many records may still be appended before it loses one, and how long it has at
//! the present rate: the server says both.

use std::collections::HashMap;
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
    pub(crate) memory_bytes: u64,
    pub(crate) appended_records: u64,
    pub(crate) appended_bytes: u64,
    /// Producers are refused.
    pub(crate) is_paused: bool,
}

/// What it says of a subscription to one topic.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionState {
    /// Tells it from the topic's others.
    pub(crate) id: u32,
    pub(crate) topic: String,
    pub(crate) epoch: u64,
    pub(crate) label: String,
    pub(crate) next_offset: u64,
    pub(crate) delivered: u64,
    pub(crate) lag: u64,
    pub(crate) lost: u64,
    pub(crate) filtered: u64,
    pub(crate) headroom: Headroom,
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
}

/// How far a subscription is from losing records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Headroom {
    /// How long it has at the present rate; `None` if there is no end to be foreseen.
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
        let old_subscriptions: HashMap<_, _> = old
            .iter()
            .flat_map(|old| &old.subscriptions)
            .map(|subscription| (key(subscription), subscription))
            .collect();
        let mut subscriptions = Vec::with_capacity(new.subscriptions.len());
        for subscription in &new.subscriptions {
            // Counts that are ahead are those of one that had the number before.
            let old = old_subscriptions.get(&key(subscription)).filter(|old| {
                old.delivered <= subscription.delivered && old.lost <= subscription.lost
            });
            // Topics and subscriptions are asked for one after the other: one may have gone in between.
            let Some(topic) = places
                .get(&subscription.topic)
                .map(|place| &mut topics[*place])
            else {
                continue;
            };
            let headroom = subscription.headroom;
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
    /// The one that ends first.
    fn nearer(self, other: Headroom) -> Headroom {
        let key = |headroom: &Headroom| (headroom.time.unwrap_or(Duration::MAX), headroom.records);
        std::cmp::min_by_key(self, other, key)
    }
}

/// What tells a subscription from all others.
fn key(subscription: &SubscriptionState) -> (&str, u64, u32) {
    (&subscription.topic, subscription.epoch, subscription.id)
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
            memory_bytes: 4096,
            appended_records: end_offset,
            appended_bytes: end_offset * 100,
            is_paused: false,
        }
    }

    pub(crate) fn subscription(
        topic: &str,
        label: &str,
        next_offset: u64,
        lag: u64,
    ) -> SubscriptionState {
        SubscriptionState {
            id: 0,
            topic: topic.to_owned(),
            epoch: 7,
            label: label.to_owned(),
            next_offset,
            delivered: next_offset,
            lag,
            lost: 0,
            filtered: 0,
            headroom: Headroom {
                time: None,
                records: 1_000 - lag,
            },
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
        let with_id = |id, subscription| SubscriptionState { id, ..subscription };
        let old = look(
            start,
            vec![topic("a", 0, 100)],
            vec![
                with_id(3, subscription("a", "x", 10, 90)),
                with_id(4, subscription("a", "x", 50, 50)),
                with_id(5, subscription("a", "x", 70, 50)),
            ],
        );
        let new = look(
            start + Duration::from_secs(2),
            vec![topic("a", 0, 300), topic("new", 0, 5)],
            vec![
                with_id(4, subscription("a", "x", 250, 50)),
                with_id(3, subscription("a", "x", 30, 270)),
                with_id(5, subscription("a", "x", 60, 0)),
                with_id(6, subscription("a", "y", 300, 0)),
                with_id(3, subscription("gone", "x", 1, 0)),
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
            (270, 4)
        );
        let delivered: Vec<_> = activity
            .subscriptions
            .iter()
            .map(|s| s.records_rate)
            .collect();
        assert_eq!(
            delivered,
            [100.0, 10.0, 0.0, 0.0],
            "by their numbers; one that is behind is another with the number of one that left"
        );
        let first = Activity::between(None, &new);
        assert!(first.topics.iter().all(|topic| topic.records_rate == 0.0));
    }

    #[test]
    fn a_topics_headroom_is_that_of_the_subscription_nearest_to_a_loss() {
        let headroom = |seconds: Option<u64>, records| Headroom {
            time: seconds.map(Duration::from_secs),
            records,
        };
        let with = |id, headroom| SubscriptionState {
            id,
            headroom,
            ..subscription("a", "x", 10, 0)
        };
        let of_topic = |subscriptions| {
            let look = look(Instant::now(), vec![topic("a", 0, 100)], subscriptions);
            Activity::between(None, &look).topics[0].headroom
        };
        assert_eq!(of_topic(vec![]), None);
        let (near, far) = (headroom(Some(2), 700), headroom(Some(3), 20));
        assert_eq!(of_topic(vec![with(0, far), with(1, near)]), Some(near));
        let endless = headroom(None, 5);
        assert_eq!(of_topic(vec![with(0, endless), with(1, far)]), Some(far));
        assert_eq!(of_topic(vec![with(0, endless)]), Some(endless));
    }
}
