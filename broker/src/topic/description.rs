//! What can be seen of a topic and of who follows it.

use std::sync::Arc;
use std::time::Duration;

use super::Topic;
use crate::info::{SubscriptionInfo, TopicInfo};
use crate::options::TopicOptions;

impl Topic {
    pub(crate) fn info(&self) -> TopicInfo {
        let (subscriptions, given) = self.followers.count();
        let appender = self.lock();
        TopicInfo {
            name: Arc::clone(&self.name),
            epoch: self.epoch,
            start_offset: self.ring.oldest(),
            end_offset: self.ring.tail(),
            retained_bytes: self.ring.retained_bytes(),
            memory_bytes: appender.accounted,
            appended_records: self.ring.tail(),
            appended_bytes: appender.appended_bytes,
            records_per_second: appender.index.rate(self.clock.monotonic()),
            delivered_records: given.delivered,
            lost_records: given.lost,
            filtered_records: given.filtered,
            paused: appender.paused,
            subscriptions,
            waiters: self.followers.waits.armed(),
            options: appender.options,
            created: self.created,
        }
    }

    pub(crate) fn subscriptions(&self, into: &mut Vec<SubscriptionInfo>) {
        let followers = self.followers.seen();
        let appender = self.lock();
        let (options, now) = (appender.options, self.clock.monotonic());
        let rate = appender.index.rate(now);
        for (id, reading, label) in followers {
            // A reader may have been told that it lost records which the next store of the end publishes.
            let end_offset = self.ring.tail().max(reading.next);
            let lag = end_offset - reading.next;
            let headroom_records = self.headroom(&options, reading.next, lag);
            let by_rate = (rate > 0.0).then(|| headroom_records as f64 / rate);
            let by_rate = by_rate.and_then(|s| Duration::try_from_secs_f64(s).ok());
            let by_age = appender.index.time_left(reading.next, now);
            into.push(SubscriptionInfo {
                id,
                topic: Arc::clone(&self.name),
                epoch: self.epoch,
                started_offset: reading.started,
                next_offset: reading.next,
                end_offset,
                delivered: reading.delivered(),
                lost: reading.lost,
                filtered: reading.filtered,
                lag,
                headroom_records,
                headroom: by_rate.into_iter().chain(by_age).min(),
                label,
            });
        }
    }

    fn headroom(&self, options: &TopicOptions, next: u64, lag: u64) -> u64 {
        if next < self.ring.oldest() {
            return 0;
        }
        let record_bytes = self.mean_record_bytes();
        let by_records = options.max_records.saturating_sub(lag);
        let room = options
            .max_bytes
            .saturating_sub(lag.saturating_mul(record_bytes));
        by_records.min(room / record_bytes)
    }

    /// Of the records kept, as encoded; at least 1.
    pub(crate) fn mean_record_bytes(&self) -> u64 {
        let records = self.ring.tail().saturating_sub(self.ring.oldest());
        self.ring
            .retained_bytes()
            .checked_div(records)
            .unwrap_or(0)
            .max(1)
    }
}
