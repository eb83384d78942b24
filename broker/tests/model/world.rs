//! The broker and its model, side by side: each step is done to both, and what they say is compared.

use std::collections::HashMap;
use std::time::Duration;

use footman_broker::testing::ManualClock;
use footman_broker::{
    Broker, BrokerOptions, Consumer, ConsumerOptions, CreateTopicError, Filter, LastByKeyError,
    OffsetQuery, ProduceError, Producer, PurgeTopicError, Record, Records, SeekError, StartAt,
    StopAt, SubscribeError, SubscribeOptions, TopicOptions, TopicUpdate,
};

use crate::plain::{Expected, Following, Life, Stored, accept, expected};
use crate::steps::{CONSUMERS, Start, Step, Stop, TOPICS};

pub(crate) struct World {
    clock: ManualClock,
    now: u64,
    wall: i64,
    broker: Broker,
    producers: HashMap<usize, Producer>,
    lives: Vec<Life>,
    /// The present life of each topic.
    current: [Option<usize>; TOPICS],
    consumers: Vec<(Consumer, Vec<Following>)>,
}

fn name(topic: usize) -> String {
    format!("t{topic}")
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::new();
        clock.set_wall_us(20);
        let options = BrokerOptions::default()
            .with_manual_clock(&clock)
            .with_auto_create(false);
        let broker = Broker::new(options).unwrap();
        let small = ConsumerOptions::default().with_max_records(5);
        let consumers = (0..CONSUMERS)
            .map(|_| (broker.consumer_with(small), Vec::new()))
            .collect();
        let (lives, producers) = (Vec::new(), HashMap::new());
        Self {
            clock,
            now: 0,
            wall: 20,
            broker,
            producers,
            lives,
            current: [None; TOPICS],
            consumers,
        }
    }

    pub(crate) fn run(&mut self, step: &Step) {
        match step.clone() {
            Step::Create {
                topic,
                records,
                bytes,
                age,
                indexed,
            } => self.create(topic, records, bytes, age, indexed),
            Step::Update {
                topic,
                records,
                age,
                indexed,
            } => self.update(topic, records, age, indexed),
            Step::PauseTopic { topic, paused } => {
                let result = if paused {
                    self.broker.pause_topic(&name(topic))
                } else {
                    self.broker.resume_topic(&name(topic))
                };
                assert_eq!(result.is_ok(), self.current[topic].is_some());
                if let (Ok(info), Some(life)) = (result, self.current[topic]) {
                    assert_eq!(info.paused, paused);
                    self.lives[life].paused = paused;
                }
            }
            Step::Last { topic, key } => self.last(topic, key),
            Step::Delete { topic } => self.delete(topic),
            Step::Produce {
                topic,
                records,
                bytes,
                timestamp,
                key,
            } => {
                self.produce(topic, records, bytes, timestamp, key);
            }
            Step::Purge { topic, back } => self.purge(topic, back),
            Step::Advance { seconds } => {
                self.clock.advance(Duration::from_secs(seconds));
                self.now += seconds;
                self.wall += seconds as i64 * 1_000_000;
                self.clock.set_wall_us(self.wall);
            }
            Step::JumpWall { seconds } => {
                self.wall = seconds;
                self.clock.set_wall_us(seconds);
            }
            Step::Expire => {
                self.broker.expire();
                for life in self.current.into_iter().flatten() {
                    self.lives[life].expire(self.now);
                }
            }
            Step::Subscribe {
                consumer,
                topic,
                start,
                stop,
                filter,
            } => {
                self.subscribe(consumer, topic, start, stop, filter);
            }
            Step::Unsubscribe { consumer, topic } => {
                let (consumer, following) = &mut self.consumers[consumer];
                let at = following.iter().position(|f| f.topic == topic);
                let left = consumer.unsubscribe(&name(topic));
                assert_eq!(left.is_ok(), at.is_some());
                if let Some(at) = at {
                    assert_eq!(left.unwrap().next_offset, following.remove(at).position);
                }
            }
            Step::Seek {
                consumer,
                topic,
                start,
            } => self.seek(consumer, topic, start),
            Step::Pause {
                consumer,
                topic,
                paused,
            } => {
                let (consumer, following) = &mut self.consumers[consumer];
                let name = name(topic);
                let result = if paused {
                    consumer.pause(&name)
                } else {
                    consumer.resume(&name)
                };
                let followed = following.iter_mut().find(|f| f.topic == topic);
                assert_eq!(result.is_ok(), followed.is_some());
                if let Some(followed) = followed {
                    followed.paused = paused;
                }
            }
            Step::Poll { consumer, items } => self.poll(consumer, items),
            Step::Find { topic, timestamp } => {
                let query = OffsetQuery::Timestamp(timestamp);
                let found = self.broker.offset_for(&name(topic), query).ok();
                let life = self.current[topic].map(|life| &self.lives[life]);
                assert_eq!(found, life.map(|life| (life.epoch, life.find(timestamp))));
            }
        }
    }

    fn create(&mut self, topic: usize, records: u64, bytes: u64, age: Option<u64>, indexed: bool) {
        let options = TopicOptions::default()
            .with_last_by_key(indexed)
            .with_max_records(records)
            .with_max_bytes(bytes)
            .with_max_age(age.map(Duration::from_secs));
        match self.broker.create_topic(&name(topic), options) {
            Ok(info) => {
                assert_eq!(self.current[topic], None);
                assert!(self.lives.iter().all(|life| life.epoch != info.epoch));
                self.current[topic] = Some(self.lives.len());
                self.lives.push(Life {
                    epoch: info.epoch,
                    records: Vec::new(),
                    oldest: 0,
                    floor: 0,
                    max_records: records,
                    max_bytes: bytes,
                    age,
                    indexed,
                    paused: false,
                    deleted: false,
                });
                self.producers
                    .insert(topic, self.broker.producer(&name(topic)).unwrap());
            }
            Err(CreateTopicError::AlreadyExists { .. }) => assert!(self.current[topic].is_some()),
            Err(other) => panic!("{other}"),
        }
    }

    fn update(
        &mut self,
        topic: usize,
        records: Option<u64>,
        age: Option<Option<u64>>,
        indexed: Option<bool>,
    ) {
        let mut update = TopicUpdate::new();
        update.last_by_key = indexed;
        update.max_records = records;
        // Changing from no age to one has its own rule (`retention.rs`): only ages are changed here.
        let has_age = self.current[topic].is_some_and(|life| self.lives[life].age.is_some());
        let age = age.filter(|_| has_age);
        update.max_age = age.map(|age| age.map(Duration::from_secs));
        let updated = self.broker.update_topic(&name(topic), update);
        assert_eq!(updated.is_ok(), self.current[topic].is_some());
        if let Some(life) = self.current[topic] {
            let life = &mut self.lives[life];
            life.max_records = records.unwrap_or(life.max_records);
            life.indexed = indexed.unwrap_or(life.indexed);
            life.limit();
            if let Some(age) = age.filter(|&age| age != life.age) {
                life.age = age;
                life.expire(self.now);
            }
        }
    }

    fn delete(&mut self, topic: usize) {
        let deleted = self.broker.delete_topic(&name(topic));
        assert_eq!(deleted.is_ok(), self.current[topic].is_some());
        if let Some(life) = self.current[topic].take() {
            let life = &mut self.lives[life];
            if life.end() > life.oldest {
                (life.oldest, life.floor) = (life.end(), life.end());
            }
            life.deleted = true;
        }
    }

    fn last(&mut self, topic: usize, key: u8) {
        let found = self.broker.last_by_key(&name(topic), &[key]);
        let Some(life) = self.current[topic] else {
            return assert!(matches!(found, Err(LastByKeyError::UnknownTopic(_))));
        };
        let life = &mut self.lives[life];
        life.expire(self.now);
        if !life.indexed {
            return assert!(matches!(found, Err(LastByKeyError::NotIndexed { .. })));
        }
        let newest = (life.oldest..life.end())
            .rev()
            .find(|&i| life.records[i as usize].key == Some(key));
        let found = found.unwrap();
        assert_eq!(found.as_ref().map(Records::base_offset), newest);
        if let Some(found) = found {
            let record = found.iter().next().unwrap();
            assert_eq!((found.len(), found.epoch()), (1, life.epoch));
            assert_eq!(record.key, Some(&[key][..]));
        }
    }

    fn produce(
        &mut self,
        topic: usize,
        records: usize,
        bytes: usize,
        timestamp: Option<i64>,
        key: Option<u8>,
    ) {
        let Some(producer) = self.producers.get(&topic) else {
            return;
        };
        let value = |i: usize| vec![i as u8; bytes];
        let key = |i: usize| key.map(|key| key + (i % 3) as u8);
        let batch: Vec<Record> = (0..records)
            .map(|i| {
                let mut record = Record::new(value(i));
                if let Some(key) = key(i) {
                    record = record.with_key(vec![key]);
                }
                timestamp.map_or(record.clone(), |us| {
                    record.with_timestamp(us + i as i64 % 3)
                })
            })
            .collect();
        match (producer.produce_batch(&batch), self.current[topic]) {
            (Ok(produced), Some(life)) => {
                let life = &mut self.lives[life];
                assert!(!life.paused);
                life.expire(self.now);
                assert_eq!(produced.base_offset, life.end());
                assert_eq!(
                    (produced.epoch, produced.count as usize),
                    (life.epoch, records)
                );
                for i in 0..records {
                    let stamp = timestamp.map_or(self.wall, |us| us + i as i64 % 3);
                    let value = if bytes == 0 { 0 } else { 2 + bytes as u64 };
                    life.records.push(Stored {
                        // 0 is no timestamp: the wall clock's, if it is there.
                        timestamp: stamp,
                        bytes: 2 + 9 + value + key(i).map_or(0, |_| 3),
                        key: key(i),
                        at: self.now,
                    });
                }
                life.limit();
            }
            (Err(ProduceError::TopicDeleted { .. }), None) => {}
            (Err(ProduceError::TopicPaused { .. }), Some(life)) => {
                assert!(self.lives[life].paused);
            }
            (result, _) => panic!("{result:?}"),
        }
    }

    fn purge(&mut self, topic: usize, back: u64) {
        let end = self.current[topic].map_or(0, |life| self.lives[life].end());
        let before = (end + 2).saturating_sub(back);
        match self.broker.purge_topic(&name(topic), Some(before)) {
            Ok(_) => {
                let life = &mut self.lives[self.current[topic].unwrap()];
                if before > life.oldest {
                    (life.oldest, life.floor) = (before, before);
                }
            }
            Err(PurgeTopicError::OffsetOutOfRange { .. }) => assert!(before > end),
            Err(PurgeTopicError::UnknownTopic(_)) => assert_eq!(self.current[topic], None),
            Err(other) => panic!("{other}"),
        }
    }

    fn subscribe(
        &mut self,
        consumer: usize,
        topic: usize,
        start: Start,
        stop: Stop,
        filter: Option<Filter>,
    ) {
        let (consumer, following) = &mut self.consumers[consumer];
        let Some(life_index) = self.current[topic] else {
            let refused = consumer.subscribe(&name(topic), StartAt::Earliest);
            let followed = following.iter().any(|f| f.topic == topic);
            match refused {
                Err(SubscribeError::UnknownTopic(_)) => assert!(!followed),
                Err(SubscribeError::AlreadySubscribed { .. }) => assert!(followed),
                other => panic!("{other:?}"),
            }
            return;
        };
        let life = &self.lives[life_index];
        let (start, expected) = life.resolve(start);
        let (stop, stop_offset) = match stop {
            Stop::Never => (StopAt::Never, u64::MAX),
            Stop::End => (StopAt::End, life.end()),
            Stop::AfterEnd(n) => {
                let is_reset = matches!(expected, Some((_, Some(_))));
                let offset = life.end() + n;
                (
                    StopAt::Offset(offset),
                    if is_reset { life.end() } else { offset },
                )
            }
        };
        let mut options = SubscribeOptions::new(start).with_stop(stop);
        options.filter = filter.clone();
        let result = consumer.subscribe_with(&name(topic), options);
        if following.iter().any(|f| f.topic == topic) {
            assert!(matches!(
                result,
                Err(SubscribeError::AlreadySubscribed { .. })
            ));
            return;
        }
        match (result, expected) {
            (Ok(subscribed), Some((position, reset_from))) => {
                assert_eq!(
                    (subscribed.epoch, subscribed.next_offset),
                    (life.epoch, position)
                );
                assert_eq!(subscribed.stop_offset.unwrap_or(u64::MAX), stop_offset);
                following.push(Following {
                    topic,
                    life: life_index,
                    position,
                    stop: stop_offset,
                    filter,
                    reset_from,
                    laps: 0,
                    ended: false,
                    stopped: false,
                    paused: false,
                });
            }
            (Err(SubscribeError::OffsetOutOfRange { .. }), None) => {}
            (result, _) => panic!("{result:?}"),
        }
    }

    fn seek(&mut self, consumer: usize, topic: usize, start: Start) {
        let (consumer, following) = &mut self.consumers[consumer];
        let Some(followed) = following.iter_mut().find(|f| f.topic == topic) else {
            let refused = consumer.seek(&name(topic), StartAt::Earliest);
            assert!(matches!(refused, Err(SeekError::NotSubscribed(_))));
            return;
        };
        let life = &self.lives[followed.life];
        let (start, expected) = life.resolve(start);
        match (consumer.seek(&name(topic), start), expected) {
            (Err(SeekError::TopicDeleted { .. }), _) => assert!(life.deleted),
            (Ok(_), Some((position, reset_from))) => {
                assert!(!life.deleted);
                followed.position = position;
                followed.reset_from = reset_from;
                followed.laps = 0;
                followed.stopped = false;
            }
            (Err(SeekError::OffsetOutOfRange { .. }), None) => {}
            (result, _) => panic!("{result:?}"),
        }
    }

    /// Takes items, each of which must be what the model says comes next for its topic.
    fn poll(&mut self, consumer: usize, items: usize) {
        let now = self.now;
        let (consumer, following) = &mut self.consumers[consumer];
        for _ in 0..items {
            // The look itself forgets what is too old, in each topic that it looks at. Which those are
            // depends on whose turn it is, so all are brought up to date first.
            self.broker.expire();
            for life in self.current.into_iter().flatten() {
                self.lives[life].expire(now);
            }
            let Some(item) = consumer.try_poll() else {
                for followed in following.iter() {
                    let next = expected(followed, &self.lives, &self.current);
                    assert_eq!(next, Expected::Nothing, "of {}", name(followed.topic));
                }
                break;
            };
            let topic = item.topic().to_string();
            let followed = following
                .iter_mut()
                .find(|f| name(f.topic) == topic)
                .unwrap();
            let next = expected(followed, &self.lives, &self.current);
            accept(followed, &item, next, &self.lives);
        }
        for followed in following.iter() {
            let position = consumer.position(&name(followed.topic)).unwrap();
            assert_eq!(position.next_offset, followed.position);
            assert_eq!(position.epoch, self.lives[followed.life].epoch);
        }
    }
}
