//! A consumer: several topics, a position in each, one order of items, one place to wait.
//!
//! What it follows, and from where, is here; how items are taken and waited for is `polling.rs`.

mod polling;

use std::fmt;
use std::sync::Arc;

use crate::broker::Shared;
use crate::error::{NotSubscribed, SeekError, SubscribeError};
use crate::follower::Follower;
use crate::following::Following;
use crate::name::check_name;
use crate::options::{ConsumerOptions, MAX_SUBSCRIPTIONS};
use crate::pattern::matches;
use crate::start::{Position, StartAt, StopAt, SubscribeOptions, Subscribed};
use crate::subscription::Subscription;
use crate::subscriptions::Subscriptions;
use crate::sync;
use crate::topic::Topic;

/// The longest label that is kept.
const MAX_LABEL_BYTES: usize = 255;

/// Follows topics; made by [`Broker::consumer`](crate::Broker::consumer).
///
/// Each consumer reads on its own: no other consumer's pace has any influence on it, and none on
/// producers. What it was too slow for, it is told of as [`Item::Lost`](crate::Item::Lost).
///
/// Topics take turns; within a topic items come in order. Between topics there is no order but the
/// turns.
///
/// # Waiting
///
/// [`try_poll`](Self::try_poll) never waits, [`poll`](Self::poll) blocks the thread,
/// [`next`](Self::next) is for tasks of any runtime, and the consumer is a [`Stream`](futures_core::Stream) that ends when every
/// subscription has reached its stop. Without subscriptions (or when all are paused or finished),
/// waiting lasts until the time-out, or for ever.
///
/// Every wait can be dropped: an item that was not returned has not been taken.
///
/// ```
/// use footman_broker::{Broker, BrokerOptions, Item, Record, StartAt};
/// use std::time::Duration;
///
/// let broker = Broker::new(BrokerOptions::default())?;
/// let mut consumer = broker.consumer();
/// consumer.subscribe("orders", StartAt::Latest)?;
/// broker.producer("orders")?.produce(&Record::new("paid"))?;
/// match consumer.poll(Duration::from_secs(1))? {
///     Item::Records(records) => assert_eq!(records.iter().next().unwrap().value, b"paid"),
///     other => panic!("{other:?}"),
/// }
/// assert!(consumer.poll(Duration::ZERO).is_err(), "there is nothing more");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumer {
    shared: Arc<Shared>,
    /// Holds the signal; its ledger is that of one of the subscriptions, if there are some.
    first: sync::Arc<Follower>,
    subscriptions: Subscriptions,
    patterns: Option<Box<Following>>,
    /// How much an item may have.
    max_records: u32,
    max_bytes: u32,
    /// Whose turn it is.
    turn: u32,
}

impl Consumer {
    pub(crate) fn new(shared: Arc<Shared>, options: ConsumerOptions) -> Self {
        let ConsumerOptions {
            max_records,
            max_bytes,
        } = options;
        let at_most = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
        Self {
            shared,
            first: sync::Arc::default(),
            subscriptions: Subscriptions::None,
            turn: 0,
            patterns: None,
            max_records: at_most(max_records).max(1),
            max_bytes: at_most(max_bytes),
        }
    }

    /// Follows a topic from `start` on. An unknown topic is created, if the broker's options allow that.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub fn subscribe(&mut self, topic: &str, start: StartAt) -> Result<Subscribed, SubscribeError> {
        self.subscribe_with(topic, SubscribeOptions::new(start))
    }

    /// Follows a topic, perhaps up to a stop, perhaps not all its records. A topic that is read to its end ([`StopAt::End`])
    /// is not created by that: there is nothing to read.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub fn subscribe_with(
        &mut self,
        topic: &str,
        options: SubscribeOptions,
    ) -> Result<Subscribed, SubscribeError> {
        check_name(topic)?;
        if let Ok(subscription) = self.find(topic) {
            let topic = Arc::clone(subscription.name());
            return Err(SubscribeError::AlreadySubscribed { topic });
        }
        if let Some(filter) = &options.filter {
            filter.check()?;
        }
        if !self.has_room() {
            return Err(SubscribeError::TooManySubscriptions);
        }
        let topic = match options.stop {
            StopAt::End => self.shared.known(topic)?,
            _ => self.shared.open(topic)?,
        };
        self.follow(topic, options, false)
    }

    /// Follows every topic whose name matches, those that there are from `start` on, and each that is
    /// created later from its first record on. Says how many there are.
    ///
    /// Names are words with dots between; `*` stands for one word, `>` at the end for one or more:
    /// `orders.*`, `logs.>`, `>` for all. A topic that is followed already is left as it is. One that was
    /// deleted is followed again when it is created again, after its [`Item::Reset`](crate::Item::Reset).
    ///
    /// A consumer follows at most [`MAX_SUBSCRIPTIONS`]. Topics that appear beyond that (those that were
    /// deleted give up their place) are not followed; [`passed_over`](Self::passed_over) counts them.
    ///
    /// # Errors
    /// See [`SubscribeError`]: nothing is followed then. `start` must not be an offset.
    ///
    /// ```
    /// use footman_broker::{Broker, BrokerOptions, Record, StartAt};
    ///
    /// let broker = Broker::new(BrokerOptions::default())?;
    /// broker.producer("orders.eu")?.produce(&Record::new("paid"))?;
    /// let mut consumer = broker.consumer();
    /// assert_eq!(consumer.subscribe_pattern("orders.*", StartAt::Earliest)?, 1);
    /// broker.producer("orders.us")?.produce(&Record::new("sent"))?;
    /// let topics: Vec<_> = std::iter::from_fn(|| consumer.try_poll())
    ///     .map(|item| item.topic().to_string())
    ///     .collect();
    /// assert_eq!(topics, ["orders.eu", "orders.us"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_pattern(
        &mut self,
        pattern: &str,
        start: StartAt,
    ) -> Result<usize, SubscribeError> {
        let following = self.patterns.get_or_insert_default();
        following.check(pattern, start)?;
        let (mut topics, births) = self
            .shared
            .registry
            .born_since(0, |name| matches(pattern, name));
        topics.retain(|topic| self.find(&topic.name).is_err());
        if self.subscriptions.len() + topics.len() > MAX_SUBSCRIPTIONS {
            return Err(SubscribeError::TooManySubscriptions);
        }
        let count = topics.len();
        for topic in topics {
            self.follow(topic, SubscribeOptions::new(start), true)?;
        }
        if let Some(following) = &mut self.patterns {
            following.add(pattern, births);
        }
        Ok(count)
    }

    /// Follows no more topics by this pattern, and leaves those that it took up, unless another pattern
    /// matches them too.
    ///
    /// # Errors
    /// [`NotSubscribed`] if there is no such pattern.
    pub fn unsubscribe_pattern(&mut self, pattern: &str) -> Result<(), NotSubscribed> {
        let not_subscribed = || NotSubscribed::new(pattern);
        self.patterns
            .as_mut()
            .ok_or_else(not_subscribed)?
            .remove(pattern)?;
        let mut at = 0;
        while let Some(subscription) = self.subscriptions.as_slice().get(at) {
            let kept = self
                .patterns
                .as_ref()
                .is_some_and(|p| p.matches(subscription.name()));
            if subscription.by_pattern && !kept {
                self.leave(at);
            } else {
                at += 1;
            }
        }
        Ok(())
    }

    /// Topics that match a pattern and appeared when the consumer had no room for them.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.patterns
            .as_ref()
            .map_or(0, |following| following.passed_over)
    }

    fn follow(
        &mut self,
        topic: Arc<Topic>,
        options: SubscribeOptions,
        by_pattern: bool,
    ) -> Result<Subscribed, SubscribeError> {
        // The first one's ledger is used again when its subscription has left.
        let follower = if self.subscriptions.iter().any(|s| s.is_of(&self.first)) {
            sync::Arc::new(Follower::beside(&self.first))
        } else {
            sync::Arc::clone(&self.first)
        };
        let mut subscription =
            Subscription::new(topic, options, follower).map_err(SubscribeError::from_start)?;
        subscription.by_pattern = by_pattern;
        let subscribed = subscription.subscribed();
        self.subscriptions.push(subscription);
        Ok(subscribed)
    }

    /// Whether one more topic may be followed: one that a pattern took up and that was deleted makes room.
    fn has_room(&mut self) -> bool {
        if self.subscriptions.len() < MAX_SUBSCRIPTIONS {
            return true;
        }
        let gone = self
            .subscriptions
            .iter()
            .position(|s| s.by_pattern && s.has_ended());
        gone.and_then(|at| self.leave(at)).is_some()
    }

    /// Takes up the topics that have appeared and match a pattern; whether there were any.
    fn take_up_newborn(&mut self) -> bool {
        let Some(following) = &mut self.patterns else {
            return false;
        };
        let newborn = following.newborn(&self.shared.registry);
        let any = !newborn.is_empty();
        for topic in newborn {
            if self.find(&topic.name).is_ok() {
                continue; // perhaps its reset is due: the subscription says so itself
            }
            let earliest = SubscribeOptions::new(StartAt::Earliest);
            let taken = self.has_room() && self.follow(topic, earliest, true).is_ok();
            if let Some(following) = self.patterns.as_mut().filter(|_| !taken) {
                following.passed_over += 1;
            }
        }
        any
    }

    /// Follows a topic no longer, and says where it stood. Other topics are not touched.
    ///
    /// # Errors
    /// [`NotSubscribed`] if it is not followed.
    pub fn unsubscribe(&mut self, topic: &str) -> Result<Position, NotSubscribed> {
        let at = self.index_of(topic)?;
        self.leave(at).ok_or_else(|| NotSubscribed::new(topic))
    }

    fn leave(&mut self, at: usize) -> Option<Position> {
        let mut subscription = self.subscriptions.remove(at)?;
        if at < self.turn as usize {
            self.turn -= 1;
        }
        subscription.leave(&self.shared.registry);
        Some(subscription.position())
    }

    /// Goes on reading a topic somewhere else. The subscription's ledger starts again there.
    ///
    /// # Errors
    /// See [`SeekError`]; the position is as it was then.
    pub fn seek(&mut self, topic: &str, start: StartAt) -> Result<Subscribed, SeekError> {
        let at = self.index_of(topic)?;
        let subscription = self
            .subscriptions
            .as_mut_slice()
            .get_mut(at)
            .ok_or_else(|| NotSubscribed::new(topic))?;
        subscription.seek(start)
    }

    /// Gives no items of a topic until it is [resumed](Self::resume). It may be lapped meanwhile.
    ///
    /// # Errors
    /// [`NotSubscribed`] if it is not followed.
    pub fn pause(&mut self, topic: &str) -> Result<(), NotSubscribed> {
        self.set_paused(topic, true)
    }

    /// Gives items of a paused topic again.
    ///
    /// # Errors
    /// [`NotSubscribed`] if it is not followed.
    pub fn resume(&mut self, topic: &str) -> Result<(), NotSubscribed> {
        self.set_paused(topic, false)
    }

    fn set_paused(&mut self, topic: &str, paused: bool) -> Result<(), NotSubscribed> {
        let at = self.index_of(topic)?;
        if let Some(subscription) = self.subscriptions.as_mut_slice().get_mut(at) {
            subscription.paused = paused;
        }
        Ok(())
    }

    /// Where it stands in a topic: the first offset that it has not been given (or told that it lost).
    #[must_use]
    pub fn position(&self, topic: &str) -> Option<Position> {
        self.find(topic).ok().map(Subscription::position)
    }

    /// Where it stands in every topic: enough to [resume](StartAt::Resume) all of them.
    pub fn positions(&self) -> impl Iterator<Item = (Arc<str>, Position)> + '_ {
        self.subscriptions
            .iter()
            .map(|s| (Arc::clone(s.name()), s.position()))
    }

    /// How many records of a topic it has not read yet.
    #[must_use]
    pub fn lag(&self, topic: &str) -> Option<u64> {
        self.find(topic).ok().map(Subscription::lag)
    }

    /// About how many encoded bytes are there to be read, over all topics: the lag times the mean size of
    /// the records kept.
    #[must_use]
    pub fn available_bytes(&self) -> u64 {
        self.subscriptions
            .iter()
            .map(Subscription::available_bytes)
            .fold(0, u64::saturating_add)
    }

    /// Whether every subscription has reached its stop, and no pattern may bring others: no item will come.
    /// Also so without subscriptions.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.patterns
            .as_ref()
            .is_none_or(|patterns| patterns.is_empty())
            && self.subscriptions.iter().all(Subscription::is_finished)
    }

    /// Names the consumer in [`SubscriptionInfo`](crate::SubscriptionInfo). At most 255 bytes are kept.
    pub fn set_label(&mut self, label: impl Into<String>) {
        let mut label = label.into();
        let end = (0..=MAX_LABEL_BYTES)
            .rev()
            .find(|&end| label.is_char_boundary(end));
        label.truncate(end.unwrap_or(0));
        self.first.signal().set_label(label.into());
    }

    fn find(&self, topic: &str) -> Result<&Subscription, NotSubscribed> {
        let found = self.subscriptions.iter().find(|s| **s.name() == *topic);
        found.ok_or_else(|| NotSubscribed::new(topic))
    }

    fn index_of(&self, topic: &str) -> Result<usize, NotSubscribed> {
        let found = self.subscriptions.iter().position(|s| **s.name() == *topic);
        found.ok_or_else(|| NotSubscribed::new(topic))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        for subscription in self.subscriptions.as_mut_slice() {
            subscription.leave(&self.shared.registry);
        }
        if let Some(following) = &mut self.patterns {
            following.leave(&self.shared.registry);
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let positions: Vec<_> = self.positions().collect();
        f.debug_struct("Consumer")
            .field("positions", &positions)
            .field("label", &self.first.signal().label())
            .finish_non_exhaustive()
    }
}
