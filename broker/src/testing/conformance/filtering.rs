//! What a filter lets through, and that what it does not is accounted for.

use super::scenarios::{expect, produce, start};
use super::{Client, Subscriber};
use crate::filter::Filter;
use crate::item::{EndReason, Item};
use crate::options::TopicOptions;
use crate::record::Record;
use crate::start::{StartAt, StopAt, SubscribeOptions};
use crate::testing::Ledger;

/// More than a segment of a topic holds.
const RECORDS: u64 = 6_000;

pub(super) async fn run(client: &impl Client) {
    a_filter_gives_what_matches_and_counts_the_rest(client).await;
    what_was_lost_is_lost_whether_it_matches_or_not(client).await;
    a_filter_outlives_its_topic(client).await;
}

/// Ten in a row have the same key; each fifth ten has none.
fn key(offset: u64) -> Option<String> {
    let number = offset / 10 % 5;
    (number < 4).then(|| format!("{}-{number}", if number < 2 { "user" } else { "order" }))
}

fn keyed(offsets: std::ops::Range<u64>) -> Vec<Record> {
    let record = |offset: u64| {
        let record = Record::new(vec![offset as u8; 100]);
        match key(offset) {
            Some(key) => record.with_key(key),
            None => record,
        }
    };
    offsets.map(record).collect()
}

/// Whether a record with this key is to be given.
type Wanted = fn(&str) -> bool;

fn filters() -> [(Filter, Wanted); 4] {
    [
        (Filter::Key("user-1".into()), |key| key == "user-1"),
        (Filter::KeyPrefix("order-".into()), |key| {
            key.starts_with("order-")
        }),
        (Filter::KeyPrefix("".into()), |_| true),
        (Filter::Key("user".into()), |_| false),
    ]
}

/// Takes an item, which must give what matches and pass over what does not.
fn take(ledger: &mut Ledger, item: &Item, wanted: Wanted) {
    let matches = |offset| key(offset).is_some_and(|key| wanted(&key));
    ledger.take_with(item, |record| {
        assert!(matches(record.offset), "{record:?} does not match");
        let key = key(record.offset);
        assert_eq!(record.key, key.as_ref().map(String::as_bytes));
    });
    if let Item::Filtered(filtered) = item {
        let missed = (filtered.from..filtered.to).find(|&offset| matches(offset));
        assert_eq!(missed, None, "a record that matches was passed over");
    }
}

async fn a_filter_gives_what_matches_and_counts_the_rest(client: &impl Client) {
    let topic = "conformance.filter";
    produce(client, topic, &keyed(0..RECORDS)).await;
    for (filter, wanted) in filters() {
        let matching = (0..RECORDS).filter(|&i| key(i).is_some_and(|key| wanted(&key)));
        let matching = matching.count() as u64;
        let options = SubscribeOptions::new(StartAt::Earliest);
        let options = options.with_stop(StopAt::End).with_filter(filter.clone());
        let mut subscriber = expect(client.subscribe(&[(topic, options)]).await);
        let mut ledger = Ledger::new();
        start(&mut ledger, &subscriber, topic);
        while let Some(item) = subscriber.next().await {
            take(&mut ledger, &item, wanted);
        }
        let account = ledger.account(topic);
        assert_eq!(
            (account.delivered, account.filtered, account.lost),
            (matching, RECORDS - matching, 0),
            "{filter:?}"
        );
        assert_eq!(account.ended, Some(EndReason::Stopped));
        let at = subscriber.position(topic).expect("it is followed");
        ledger.check(topic, at, RECORDS);
    }
    expect(client.delete_topic(topic).await);
}

async fn what_was_lost_is_lost_whether_it_matches_or_not(client: &impl Client) {
    let topic = "conformance.filter.lapped";
    let options = TopicOptions::default().with_max_records(100);
    expect(client.create_topic(topic, options).await);
    let options = SubscribeOptions::new(StartAt::Earliest);
    let options = options.with_stop(StopAt::Offset(RECORDS));
    let options = options.with_filter(Filter::KeyPrefix("order-".into()));
    let mut subscriber = expect(client.subscribe(&[(topic, options)]).await);
    let mut ledger = Ledger::new();
    start(&mut ledger, &subscriber, topic);
    let wanted = |key: &str| key.starts_with("order-");
    for batch in 0..RECORDS / 50 {
        produce(client, topic, &keyed(batch * 50..(batch + 1) * 50)).await;
        if batch % 40 == 7 {
            let item = subscriber.next().await.expect("it has not stopped");
            take(&mut ledger, &item, wanted);
        }
    }
    while let Some(item) = subscriber.next().await {
        take(&mut ledger, &item, wanted);
    }
    let account = ledger.account(topic);
    let sum = account.delivered + account.filtered + account.lost;
    assert_eq!(sum, RECORDS, "{account:?}");
    assert!(account.delivered >= 40, "of the last hundred: {account:?}");
    assert!(account.filtered >= 60, "of the last hundred: {account:?}");
    expect(client.delete_topic(topic).await);
}

async fn a_filter_outlives_its_topic(client: &impl Client) {
    let topic = "conformance.filter.lives";
    produce(client, topic, &keyed(0..20)).await;
    let options = SubscribeOptions::new(StartAt::Earliest);
    let options = options.with_filter(Filter::Key("user-1".into()));
    let mut subscriber = expect(client.subscribe(&[(topic, options)]).await);
    let mut ledger = Ledger::new();
    start(&mut ledger, &subscriber, topic);
    let wanted = |key: &str| key == "user-1";
    while ledger.account(topic).delivered < 10 {
        let item = subscriber.next().await.expect("it has no stop");
        take(&mut ledger, &item, wanted);
    }
    expect(client.delete_topic(topic).await);
    produce(client, topic, &keyed(0..20)).await;
    while ledger.account(topic).resets == 0 || ledger.account(topic).delivered < 10 {
        let item = subscriber.next().await.expect("it has no stop");
        take(&mut ledger, &item, wanted);
    }
    let account = ledger.account(topic);
    assert_eq!((account.filtered, account.next_offset), (10, 20));
    expect(client.delete_topic(topic).await);
}
