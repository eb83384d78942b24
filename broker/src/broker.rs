//! The broker: topics by name, and what they may hold together.

use std::fmt;
use std::sync::Arc;

use crate::budget::Budget;
use crate::clock::Clock;
use crate::consumer::Consumer;
use crate::epoch::Epoch;
use crate::error::{
    CreateTopicError, InvalidOptions, LastByKeyError, ProducerError, PurgeTopicError, UnknownTopic,
    UpdateTopicError,
};
use crate::info::{SubscriptionInfo, TopicInfo};
use crate::name::check_name;
use crate::options::{BrokerOptions, ConsumerOptions, TopicOptions, TopicUpdate};
use crate::producer::Producer;
use crate::records::Records;
use crate::registry::Registry;
use crate::start::OffsetQuery;
use crate::topic::Topic;

/// Topics in memory, in this process. Cheap to clone; all clones are the same broker.
///
/// Producers and consumers keep what they need alive: dropping the broker ends nothing.
///
/// ```
/// use footman_broker::{Broker, BrokerOptions, Record, StartAt};
///
/// let broker = Broker::new(BrokerOptions::default())?;
/// let producer = broker.producer("orders")?;
/// producer.produce(&Record::new("paid"))?;
///
/// let mut consumer = broker.consumer();
/// consumer.subscribe("orders", StartAt::Earliest)?;
/// let records = consumer.try_poll().and_then(|item| item.into_records());
/// assert_eq!(records.map(|records| records.len()), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

/// What a broker and its consumers share.
pub(crate) struct Shared {
    options: BrokerOptions,
    clock: Clock,
    budget: Arc<Budget>,
    pub(crate) registry: Registry,
}

impl Shared {
    /// The topic of that name; created, if that is allowed.
    pub(crate) fn open(&self, name: &str) -> Result<Arc<Topic>, ProducerError> {
        if let Some(topic) = self.registry.find(name) {
            return Ok(topic);
        }
        check_name(name)?;
        if !self.options.auto_create {
            return Err(UnknownTopic::new(name).into());
        }
        let (topic, _) = self.find_or_create(name, self.options.topic_defaults)?;
        Ok(topic)
    }

    /// The topic of that name, and whether it was there before.
    fn find_or_create(
        &self,
        name: &str,
        options: TopicOptions,
    ) -> Result<(Arc<Topic>, bool), CreateTopicError> {
        self.registry.find_or_create(name, |topics, birth| {
            let max = self.options.max_topics;
            if topics >= max {
                return Err(CreateTopicError::TooManyTopics { max });
            }
            if !self.budget.allows(1) {
                return Err(self.budget.exceeded().into());
            }
            let (clock, budget) = (self.clock.clone(), Arc::clone(&self.budget));
            Ok(Topic::new(name.into(), birth, options, clock, budget)?)
        })
    }

    pub(crate) fn known(&self, name: &str) -> Result<Arc<Topic>, UnknownTopic> {
        self.registry
            .find(name)
            .ok_or_else(|| UnknownTopic::new(name))
    }
}

impl Broker {
    /// A broker without topics.
    ///
    /// # Errors
    /// [`InvalidOptions`] says which option makes no sense.
    pub fn new(options: BrokerOptions) -> Result<Self, InvalidOptions> {
        options.validate()?;
        let budget = Arc::new(Budget::new(options.max_memory_bytes));
        let clock = options
            .clock
            .clone()
            .map_or_else(Clock::system, Clock::Manual);
        Ok(Self {
            shared: Arc::new(Shared {
                options,
                clock,
                budget,
                registry: Registry::new(),
            }),
        })
    }

    /// Creates a topic. Nobody sees it before it is complete.
    ///
    /// # Errors
    /// See [`CreateTopicError`].
    pub fn create_topic(
        &self,
        name: &str,
        options: TopicOptions,
    ) -> Result<TopicInfo, CreateTopicError> {
        check_name(name)?;
        options.validate()?;
        let (topic, existed) = self.shared.find_or_create(name, options)?;
        if existed {
            return Err(CreateTopicError::AlreadyExists {
                topic: Arc::clone(&topic.name),
            });
        }
        Ok(topic.info())
    }

    /// Changes a topic's options. What is over the new limits is forgotten at once.
    ///
    /// # Errors
    /// See [`UpdateTopicError`]; nothing was changed then.
    pub fn update_topic(
        &self,
        name: &str,
        update: TopicUpdate,
    ) -> Result<TopicInfo, UpdateTopicError> {
        let topic = self.shared.known(name)?;
        topic.update(&update)?;
        Ok(topic.info())
    }

    /// Deletes a topic: its name is free, and its memory is given back now, whoever still follows it.
    ///
    /// Each follower is told: of what it had not read, by [`Item::Lost`](crate::Item::Lost), then of the
    /// end, by [`Item::End`](crate::Item::End). (Letting followers read on would keep a deleted topic's
    /// memory for as long as the slowest of them likes.)
    ///
    /// # Errors
    /// [`UnknownTopic`] if there is none.
    pub fn delete_topic(&self, name: &str) -> Result<TopicInfo, UnknownTopic> {
        let topic = self
            .shared
            .registry
            .remove(name)
            .ok_or_else(|| UnknownTopic::new(name))?;
        let info = topic.info();
        topic.delete();
        Ok(info)
    }

    /// Forgets the records below `before`, or all. Offsets go on as before.
    ///
    /// # Errors
    /// See [`PurgeTopicError`]; nothing was forgotten then.
    pub fn purge_topic(
        &self,
        name: &str,
        before: Option<u64>,
    ) -> Result<TopicInfo, PurgeTopicError> {
        let topic = self.shared.known(name)?;
        topic
            .purge(before)
            .map_err(|end_offset| PurgeTopicError::OffsetOutOfRange {
                offset: before.unwrap_or(end_offset),
                end_offset,
            })?;
        Ok(topic.info())
    }

    /// Refuses what producers append to a topic, with [`ProduceError::TopicPaused`](crate::ProduceError::TopicPaused),
    /// until it is [resumed](Self::resume_topic). Nothing is held back for later: a producer knows at once.
    ///
    /// Consumers read on, to the end and then wait; retention, purge and updates go on as well. An idempotent
    /// producer's repeat of a batch that was appended before the pause is still answered with its offsets.
    /// Pausing a paused topic changes nothing.
    ///
    /// # Errors
    /// [`UnknownTopic`] if there is none.
    ///
    /// ```
    /// use footman_broker::{Broker, BrokerOptions, ProduceError, Record};
    ///
    /// let broker = Broker::new(BrokerOptions::default())?;
    /// let producer = broker.producer("orders")?;
    /// assert!(broker.pause_topic("orders")?.paused);
    /// let refused = producer.produce(&Record::new("paid"));
    /// assert!(matches!(refused, Err(ProduceError::TopicPaused { .. })));
    /// broker.resume_topic("orders")?;
    /// assert_eq!(producer.produce(&Record::new("paid"))?.base_offset, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pause_topic(&self, name: &str) -> Result<TopicInfo, UnknownTopic> {
        let topic = self.shared.known(name)?;
        topic.pause();
        Ok(topic.info())
    }

    /// Takes what producers append to a paused topic again.
    ///
    /// # Errors
    /// [`UnknownTopic`] if there is none.
    pub fn resume_topic(&self, name: &str) -> Result<TopicInfo, UnknownTopic> {
        let topic = self.shared.known(name)?;
        topic.resume();
        Ok(topic.info())
    }

    /// The newest record with this key among those that the topic keeps, alone; `None` if it keeps none. The
    /// topic must have been created with (or updated to) [`TopicOptions::last_by_key`].
    ///
    /// Exact at the moment of the look-up: what was purged, overwritten or is past its age is not found.
    /// Its offset is where to follow the topic from to miss no later value.
    ///
    /// # Errors
    /// See [`LastByKeyError`].
    ///
    /// ```
    /// use footman_broker::{Broker, BrokerOptions, Record, TopicOptions};
    ///
    /// let broker = Broker::new(BrokerOptions::default())?;
    /// broker.create_topic("prices", TopicOptions::default().with_last_by_key(true))?;
    /// let producer = broker.producer("prices")?;
    /// producer.produce(&Record::new("7.20").with_key("ACME"))?;
    /// producer.produce(&Record::new("7.25").with_key("ACME"))?;
    /// let last = broker.last_by_key("prices", b"ACME")?.expect("it has a price");
    /// let record = last.iter().next().expect("one record");
    /// assert_eq!((record.offset, record.value), (1, &b"7.25"[..]));
    /// assert!(broker.last_by_key("prices", b"other")?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn last_by_key(&self, name: &str, key: &[u8]) -> Result<Option<Records>, LastByKeyError> {
        self.shared.known(name)?.last_by_key(key)
    }

    /// What a topic is like now.
    ///
    /// # Errors
    /// [`UnknownTopic`] if there is none.
    pub fn topic(&self, name: &str) -> Result<TopicInfo, UnknownTopic> {
        Ok(self.shared.known(name)?.info())
    }

    /// All topics, by name.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicInfo> {
        self.shared
            .registry
            .sorted()
            .iter()
            .map(|topic| topic.info())
            .collect()
    }

    /// Which offset something is at.
    ///
    /// # Errors
    /// [`UnknownTopic`] if there is no such topic.
    pub fn offset_for(&self, name: &str, at: OffsetQuery) -> Result<(Epoch, u64), UnknownTopic> {
        let topic = self.shared.known(name)?;
        let offset = match at {
            OffsetQuery::Earliest => topic.ring.oldest(),
            OffsetQuery::Latest => topic.ring.tail(),
            OffsetQuery::Timestamp(timestamp_us) => topic.offset_at(timestamp_us),
        };
        Ok((topic.epoch, offset))
    }

    /// A producer for a topic; creates it, if the options allow that.
    ///
    /// # Errors
    /// See [`ProducerError`].
    pub fn producer(&self, topic: &str) -> Result<Producer, ProducerError> {
        Ok(Producer::new(self.shared.open(topic)?))
    }

    /// A consumer that follows nothing yet.
    #[must_use]
    pub fn consumer(&self) -> Consumer {
        self.consumer_with(ConsumerOptions::default())
    }

    /// A consumer that takes more or less at once.
    #[must_use]
    pub fn consumer_with(&self, options: ConsumerOptions) -> Consumer {
        Consumer::new(Arc::clone(&self.shared), options)
    }

    /// Forgets what is past its age, in all topics, and counts memory that readers have let go. Appending
    /// and polling do so for their own topics; a server calls this once a second for the idle ones.
    pub fn expire(&self) {
        for topic in self.shared.registry.all() {
            topic.expire();
        }
    }

    /// Memory that all topics hold, in bytes. What readers have let go counts until the topic's next
    /// append, or [`expire`](Self::expire).
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.shared.budget.used()
    }

    /// The options that it was made with.
    #[must_use]
    pub fn options(&self) -> &BrokerOptions {
        &self.shared.options
    }

    /// Every subscription's ledger, by topic.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<SubscriptionInfo> {
        let mut infos = Vec::new();
        for topic in self.shared.registry.sorted() {
            topic.subscriptions(&mut infos);
        }
        infos
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("options", &self.shared.options)
            .field("memory_bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}
