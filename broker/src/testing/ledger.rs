//! The ledger checker: one consumer's items, held against the promise.

use std::collections::HashMap;
use std::sync::Arc;

use crate::epoch::Epoch;
use crate::item::{EndReason, Item};
use crate::records::RecordRef;
use crate::start::Position;

/// Checks the promise on what one consumer is given: every record once and in order, every loss counted, and
/// what a filter passed over, nothing between them missing.
///
/// Tell it where each subscription starts, give it every item, and ask at the end. It panics at the
/// first item that breaks the promise, with a sentence that says how.
///
/// ```
/// use footman_broker::{testing::Ledger, Broker, BrokerOptions, Record, StartAt, TopicOptions};
///
/// let broker = Broker::new(BrokerOptions::default())?;
/// broker.create_topic("small", TopicOptions::default().with_max_records(10))?;
/// let mut consumer = broker.consumer();
/// let mut ledger = Ledger::new();
/// let start = consumer.subscribe("small", StartAt::Earliest)?;
/// ledger.starts("small", start.epoch, start.next_offset);
///
/// let producer = broker.producer("small")?;
/// for i in 0..35 {
///     producer.produce(&Record::new(format!("{i}")))?;
/// }
/// while let Some(item) = consumer.try_poll() {
///     ledger.take(&item);
/// }
/// let account = ledger.account("small");
/// assert_eq!((account.delivered, account.lost), (10, 25));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: HashMap<Arc<str>, Account>,
}

/// What one subscription was given since its ledger started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The topic's life.
    pub epoch: Epoch,
    /// Where it started, in this life.
    pub started_offset: u64,
    /// The next offset that must come.
    pub next_offset: u64,
    /// Records delivered, in this life.
    pub delivered: u64,
    /// Records reported lost, in this life.
    pub lost: u64,
    /// Records that its filter passed over, in this life.
    pub filtered: u64,
    /// Lives before this one that it was told the end of.
    pub resets: u64,
    /// It was told that this life is over.
    pub ended: Option<EndReason>,
}

impl Ledger {
    /// Without subscriptions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A subscription starts, or is moved.
    pub fn starts(&mut self, topic: &str, epoch: Epoch, next_offset: u64) {
        let account = Account {
            epoch,
            started_offset: next_offset,
            next_offset,
            delivered: 0,
            lost: 0,
            filtered: 0,
            resets: 0,
            ended: None,
        };
        self.accounts.insert(topic.into(), account);
    }

    /// Checks the next item.
    ///
    /// # Panics
    /// If it breaks the promise.
    pub fn take(&mut self, item: &Item) {
        self.take_with(item, |_| {});
    }

    /// Checks the next item, and gives each of its records to `check`.
    ///
    /// # Panics
    /// If it breaks the promise, or `check` does.
    pub fn take_with(&mut self, item: &Item, mut check: impl FnMut(RecordRef<'_>)) {
        let topic = item.topic();
        let Some(account) = self.accounts.get_mut(topic) else {
            panic!("{topic}: an item of a topic that is not followed: {item:?}");
        };
        let Account {
            epoch, next_offset, ..
        } = *account;
        let belongs = |item_epoch: Epoch, at: u64| {
            assert_eq!(
                item_epoch, epoch,
                "{topic}: an item of another epoch: {item:?}"
            );
            assert_eq!(at, next_offset, "{topic}: not what comes next: {item:?}");
        };
        match item {
            Item::Records(records) => {
                belongs(records.epoch(), records.base_offset());
                assert_eq!(account.ended, None, "{topic}: records behind the end");
                assert!(!records.is_empty(), "{topic}: no records");
                let mut offset = records.base_offset();
                for record in records {
                    assert_eq!(record.offset, offset, "{topic}: a record out of order");
                    offset += 1;
                    check(record);
                }
                assert_eq!(
                    offset,
                    records.next_offset(),
                    "{topic}: fewer records than said"
                );
                account.delivered += records.len() as u64;
                account.next_offset = offset;
            }
            Item::Lost(lost) => {
                belongs(lost.epoch, lost.from);
                assert_eq!(account.ended, None, "{topic}: a loss behind the end");
                assert!(lost.to > lost.from, "{topic}: a loss of nothing: {lost:?}");
                account.lost += lost.records();
                account.next_offset = lost.to;
            }
            Item::Filtered(filtered) => {
                belongs(filtered.epoch, filtered.from);
                assert_eq!(account.ended, None, "{topic}: passed over behind the end");
                assert!(
                    filtered.to > filtered.from,
                    "{topic}: passed over nothing: {filtered:?}"
                );
                account.filtered += filtered.records();
                account.next_offset = filtered.to;
            }
            Item::Reset(reset) => {
                assert_ne!(
                    reset.new_epoch, reset.old_epoch,
                    "{topic}: a reset to the same epoch"
                );
                let resets = account.resets + 1;
                self.starts(&reset.topic, reset.new_epoch, reset.next_offset);
                if let Some(account) = self.accounts.get_mut(&reset.topic) {
                    account.resets = resets;
                }
            }
            Item::End(end) => {
                belongs(end.epoch, end.next_offset);
                assert_eq!(account.ended, None, "{topic}: a second end");
                account.ended = Some(end.reason);
            }
        }
    }

    /// What a subscription was given so far.
    ///
    /// # Panics
    /// If the topic is not followed.
    #[must_use]
    pub fn account(&self, topic: &str) -> Account {
        match self.accounts.get(topic) {
            Some(account) => *account,
            None => panic!("{topic} is not followed"),
        }
    }

    /// The law: delivered + lost + filtered + unread = appended since the start, where the end is at `end_offset`.
    ///
    /// # Panics
    /// If it does not hold, or the consumer stands elsewhere than its items say.
    pub fn check(&self, topic: &str, position: Position, end_offset: u64) {
        let account = self.account(topic);
        assert_eq!(
            position.epoch, account.epoch,
            "{topic}: the consumer is in another epoch"
        );
        assert_eq!(
            position.next_offset, account.next_offset,
            "{topic}: not where its items end"
        );
        let unread = end_offset - position.next_offset;
        assert_eq!(
            account.delivered + account.lost + account.filtered + unread,
            end_offset - account.started_offset,
            "{topic}: the ledger does not add up: {account:?}"
        );
    }
}
