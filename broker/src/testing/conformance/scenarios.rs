//! The scenarios themselves, each a sentence about what a broker does.

use std::fmt::Debug;

use super::{Appended, Client, Refusal, Subscriber};
use crate::epoch::Epoch;
use crate::item::{EndReason, Item};
use crate::options::{ProduceOptions, ProducerSequence, TopicOptions, TopicUpdate};
use crate::record::Record;
use crate::records::Records;
use crate::start::{OffsetQuery, Position, StartAt, StopAt, SubscribeOptions};
use crate::testing::Ledger;

pub(super) async fn run(client: &impl Client) {
    batches_are_dense_and_records_arrive_whole(client).await;
    every_start_is_where_it_says(client).await;
    a_subscription_ends_at_its_stop(client).await;
    what_is_gone_is_said_to_be_lost(client).await;
    a_purge_is_a_loss_and_offsets_go_on(client).await;
    smaller_limits_hold_at_once(client).await;
    a_deleted_topic_ends_and_its_successor_is_a_reset(client).await;
    a_deleted_topic_takes_nothing_from_the_others(client).await;
    a_repeat_is_answered_and_not_appended(client).await;
    a_paused_topic_takes_nothing_and_gives_what_it_has(client).await;
    the_newest_record_of_a_key_is_found(client).await;
    what_cannot_be_done_is_refused_with_its_reason(client).await;
    a_subscriber_too_slow_for_a_flood_can_account_for_every_record(client).await;
}

async fn batches_are_dense_and_records_arrive_whole(client: &impl Client) {
    let topic = "conformance.whole";
    let sent = vec![
        Record::new("plain").with_timestamp(1),
        Record::new("").with_timestamp(2),
        Record::new("an empty key is one")
            .with_key("")
            .with_timestamp(3),
        Record::new(&b"\xff\x00\xfe"[..])
            .with_key("k")
            .with_header("twice", "1")
            .with_header("twice", "")
            .with_timestamp(4),
        Record::new(vec![7; 300_000]).with_timestamp(-5),
    ];
    let mut subscriber = subscribe(client, &[(topic, StartAt::Earliest, StopAt::Never)]).await;
    let first = produce(client, topic, &sent[..2]).await;
    let second = produce(client, topic, &sent[2..]).await;
    assert_eq!(
        (first.base_offset, first.count, first.duplicate),
        (0, 2, false)
    );
    assert_eq!((second.base_offset, second.count), (2, 3));
    assert_eq!(first.epoch, second.epoch);
    let mut received = Vec::new();
    while received.len() < sent.len() {
        for record in &records(subscriber.next().await) {
            assert_eq!(record.offset, received.len() as u64);
            received.push(record.to_record());
        }
    }
    assert_eq!(received, sent);

    // A record without a timestamp gets the broker's.
    produce(client, topic, &[Record::new("now")]).await;
    let stamped = records(subscriber.next().await);
    let timestamp = stamped.iter().next().expect("one record").timestamp_us;
    assert!(timestamp > 1_000_000, "{timestamp}");
    expect(client.delete_topic(topic).await);
}

async fn every_start_is_where_it_says(client: &impl Client) {
    let topic = "conformance.starts";
    let batch: Vec<_> = (0..10)
        .map(|i| Record::new("x").with_timestamp(100 + i))
        .collect();
    let Appended { epoch, .. } = produce(client, topic, &batch).await;
    for (query, offset) in [
        (OffsetQuery::Earliest, 0),
        (OffsetQuery::Latest, 10),
        (OffsetQuery::Timestamp(104), 4),
        (OffsetQuery::Timestamp(9_000), 10),
    ] {
        assert_eq!(
            client.offset_for(topic, query).await,
            Ok((epoch, offset)),
            "{query:?}"
        );
    }
    let other = Epoch::new(u64::from(epoch) ^ 1).expect("an epoch is not 1 alone");
    for (start, first) in [
        (StartAt::Earliest, 0),
        (StartAt::Latest, 10),
        (StartAt::Offset(3), 3),
        (StartAt::OffsetIn { epoch, offset: 5 }, 5),
        (StartAt::Timestamp(107), 7),
        (StartAt::Last(4), 6),
        (StartAt::Last(400), 0),
        (
            StartAt::Resume {
                epoch,
                next_offset: 9,
            },
            9,
        ),
    ] {
        let subscriber = subscribe(client, &[(topic, start, StopAt::Never)]).await;
        let at = Position {
            epoch,
            next_offset: first,
        };
        assert_eq!(subscriber.position(topic), Some(at), "{start:?}");
    }
    let resume = StartAt::Resume {
        epoch: other,
        next_offset: 9,
    };
    let mut subscriber = subscribe(client, &[(topic, resume, StopAt::Never)]).await;
    match subscriber.next().await {
        Some(Item::Reset(reset)) => {
            assert_eq!(
                (reset.old_epoch, reset.new_epoch, reset.next_offset),
                (other, epoch, 0)
            );
        }
        item => panic!("a reset must come first, not {item:?}"),
    }
    assert_eq!(records(subscriber.next().await).base_offset(), 0);
    for (start, refusal) in [
        (StartAt::Offset(11), Refusal::OffsetOutOfRange),
        (
            StartAt::OffsetIn {
                epoch: other,
                offset: 0,
            },
            Refusal::EpochMismatch,
        ),
    ] {
        let refused = client.subscribe(&[(topic, start.into())]).await.err();
        assert_eq!(refused, Some(refusal), "{start:?}");
    }
    expect(client.delete_topic(topic).await);
}

async fn a_subscription_ends_at_its_stop(client: &impl Client) {
    let topic = "conformance.stops";
    produce(client, topic, &numbered(0..10)).await;
    for (stop, end) in [(StopAt::End, 10), (StopAt::Offset(7), 7)] {
        let mut subscriber = subscribe(client, &[(topic, StartAt::Offset(2), stop)]).await;
        let mut ledger = Ledger::new();
        start(&mut ledger, &subscriber, topic);
        produce(client, topic, &numbered(10..12)).await;
        while let Some(item) = subscriber.next().await {
            ledger.take(&item);
        }
        let account = ledger.account(topic);
        assert_eq!(
            (account.delivered, account.next_offset),
            (end - 2, end),
            "{stop:?}"
        );
        assert_eq!(account.ended, Some(EndReason::Stopped));
    }
    expect(client.delete_topic(topic).await);
}

async fn what_is_gone_is_said_to_be_lost(client: &impl Client) {
    let topic = "conformance.lost";
    let options = TopicOptions::default().with_max_records(10);
    expect(client.create_topic(topic, options).await);
    produce(client, topic, &numbered(0..35)).await;
    let state = expect(client.topic(topic).await);
    assert_eq!((state.start_offset, state.end_offset), (25, 35));
    let mut subscriber = subscribe(client, &[(topic, StartAt::Offset(4), StopAt::End)]).await;
    let mut ledger = Ledger::new();
    start(&mut ledger, &subscriber, topic);
    match subscriber.next().await {
        Some(Item::Lost(lost)) => {
            assert_eq!((lost.from, lost.to, lost.epoch), (4, 25, state.epoch));
        }
        item => panic!("the loss must come first, not {item:?}"),
    }
    let mut subscriber = subscribe(client, &[(topic, StartAt::Offset(4), StopAt::End)]).await;
    while let Some(item) = subscriber.next().await {
        ledger.take_with(&item, |record| check(record.offset, record.value));
    }
    let account = ledger.account(topic);
    assert_eq!((account.delivered, account.lost), (10, 21));
    expect(client.delete_topic(topic).await);
}

async fn a_purge_is_a_loss_and_offsets_go_on(client: &impl Client) {
    let topic = "conformance.purge";
    produce(client, topic, &numbered(0..10)).await;
    let state = expect(client.purge_topic(topic, Some(4)).await);
    assert_eq!((state.start_offset, state.end_offset), (4, 10));
    let beyond = client.purge_topic(topic, Some(11)).await;
    assert_eq!(beyond, Err(Refusal::OffsetOutOfRange));
    let state = expect(client.purge_topic(topic, None).await);
    assert_eq!((state.start_offset, state.end_offset), (10, 10));
    assert_eq!(
        produce(client, topic, &numbered(10..12)).await.base_offset,
        10
    );
    let mut subscriber = subscribe(client, &[(topic, StartAt::Offset(0), StopAt::End)]).await;
    let mut ledger = Ledger::new();
    start(&mut ledger, &subscriber, topic);
    while let Some(item) = subscriber.next().await {
        ledger.take_with(&item, |record| check(record.offset, record.value));
    }
    let account = ledger.account(topic);
    assert_eq!((account.lost, account.delivered), (10, 2));
    expect(client.delete_topic(topic).await);
}

async fn smaller_limits_hold_at_once(client: &impl Client) {
    let topic = "conformance.limits";
    produce(client, topic, &numbered(0..10)).await;
    let mut update = TopicUpdate::new();
    update.max_records = Some(3);
    update.max_record_bytes = Some(100);
    let state = expect(client.update_topic(topic, update).await);
    assert_eq!((state.start_offset, state.end_offset), (7, 10));
    let large = [Record::new("fits"), Record::new(vec![0; 101])];
    let refused = client.produce(topic, &large, &ProduceOptions::new()).await;
    assert_eq!(refused, Err(Refusal::RecordTooLarge));
    let state = expect(client.topic(topic).await);
    assert_eq!(
        state.end_offset, 10,
        "nothing of a refused batch is appended"
    );
    let nothing = TopicOptions::default().with_max_records(0);
    let refused = client.create_topic("conformance.nothing", nothing).await;
    assert_eq!(refused, Err(Refusal::InvalidOptions));
    expect(client.delete_topic(topic).await);
}

async fn a_deleted_topic_ends_and_its_successor_is_a_reset(client: &impl Client) {
    let topic = "conformance.lives";
    let old = produce(client, topic, &numbered(0..3)).await.epoch;
    let mut subscriber = subscribe(client, &[(topic, StartAt::Latest, StopAt::Never)]).await;
    expect(client.delete_topic(topic).await);
    match subscriber.next().await {
        Some(Item::End(end)) => {
            assert_eq!(
                (end.epoch, end.next_offset, end.reason),
                (old, 3, EndReason::Deleted)
            );
        }
        item => panic!("the end must come, not {item:?}"),
    }
    let new = produce(client, topic, &numbered(0..2)).await;
    assert_eq!(new.base_offset, 0);
    assert_ne!(new.epoch, old);
    match subscriber.next().await {
        Some(Item::Reset(reset)) => assert_eq!(
            (reset.old_epoch, reset.new_epoch, reset.next_offset),
            (old, new.epoch, 0)
        ),
        item => panic!("a reset must come, not {item:?}"),
    }
    let first = records(subscriber.next().await);
    assert_eq!((first.epoch(), first.base_offset()), (new.epoch, 0));
    let expected = ProduceOptions::new().with_expected_epoch(old);
    let refused = client.produce(topic, &numbered(2..3), &expected).await;
    assert_eq!(refused, Err(Refusal::EpochMismatch));
    expect(client.delete_topic(topic).await);
}

async fn a_deleted_topic_takes_nothing_from_the_others(client: &impl Client) {
    let topics = ["conformance.a", "conformance.b", "conformance.c"];
    for topic in topics {
        expect(client.create_topic(topic, TopicOptions::default()).await);
    }
    let follow = topics.map(|topic| (topic, StartAt::Earliest, StopAt::Never));
    let mut subscriber = subscribe(client, &follow).await;
    let mut ledger = Ledger::new();
    for topic in topics {
        start(&mut ledger, &subscriber, topic);
    }
    for topic in topics {
        produce(client, topic, &numbered(0..500)).await;
    }
    expect(client.delete_topic(topics[1]).await);
    for topic in [topics[0], topics[2]] {
        produce(client, topic, &numbered(500..1_000)).await;
    }
    let done = |ledger: &Ledger| {
        let [a, b, c] = topics.map(|topic| ledger.account(topic));
        a.delivered == 1_000 && c.delivered == 1_000 && b.ended.is_some()
    };
    while !done(&ledger) {
        let item = subscriber.next().await.expect("it never stops");
        ledger.take_with(&item, |record| check(record.offset, record.value));
    }
    let deleted = ledger.account(topics[1]);
    assert_eq!(deleted.ended, Some(EndReason::Deleted));
    assert_eq!(deleted.delivered + deleted.lost, 500);
    for topic in [topics[0], topics[2]] {
        assert_eq!(ledger.account(topic).lost, 0);
        expect(client.delete_topic(topic).await);
    }
}

async fn a_repeat_is_answered_and_not_appended(client: &impl Client) {
    let topic = "conformance.repeats";
    let batch = |producer_epoch, first_sequence| {
        ProduceOptions::new().with_sequence(ProducerSequence {
            producer_id: 42,
            producer_epoch,
            first_sequence,
        })
    };
    let records = numbered(0..5);
    let first = expect(client.produce(topic, &records, &batch(1, 0)).await);
    let repeat = expect(client.produce(topic, &records, &batch(1, 0)).await);
    assert!(!first.duplicate && repeat.duplicate);
    assert_eq!(
        (repeat.base_offset, repeat.count, repeat.epoch),
        (0, 5, first.epoch)
    );
    let gap = client.produce(topic, &records, &batch(1, 6)).await;
    assert_eq!(gap, Err(Refusal::SequenceGap));
    let next = expect(client.produce(topic, &records, &batch(2, 0)).await);
    assert_eq!((next.base_offset, next.duplicate), (5, false));
    let fenced = client.produce(topic, &records, &batch(1, 5)).await;
    assert_eq!(fenced, Err(Refusal::Fenced));
    assert_eq!(expect(client.topic(topic).await).end_offset, 10);
    expect(client.delete_topic(topic).await);
}

async fn a_paused_topic_takes_nothing_and_gives_what_it_has(client: &impl Client) {
    let topic = "conformance.paused";
    let sequence = ProducerSequence {
        producer_id: 43,
        producer_epoch: 1,
        first_sequence: 0,
    };
    let options = ProduceOptions::new().with_sequence(sequence);
    expect(client.produce(topic, &numbered(0..3), &options).await);
    assert!(!expect(client.topic(topic).await).paused);
    for _ in 0..2 {
        assert!(expect(client.pause_topic(topic).await).paused);
    }
    assert!(expect(client.topic(topic).await).paused);
    let refused = client
        .produce(topic, &numbered(3..4), &ProduceOptions::new())
        .await;
    assert_eq!(refused, Err(Refusal::TopicPaused));
    let repeat = expect(client.produce(topic, &numbered(0..3), &options).await);
    assert!(repeat.duplicate && repeat.base_offset == 0);
    let mut subscriber = subscribe(client, &[(topic, StartAt::Earliest, StopAt::Never)]).await;
    let mut wanted = 0;
    while wanted < 3 {
        wanted = records(subscriber.next().await).next_offset();
    }
    assert!(!expect(client.resume_topic(topic).await).paused);
    assert_eq!(produce(client, topic, &numbered(3..4)).await.base_offset, 3);
    assert_eq!(records(subscriber.next().await).base_offset(), 3);
    expect(client.delete_topic(topic).await);
}

async fn the_newest_record_of_a_key_is_found(client: &impl Client) {
    let topic = "conformance.keys";
    let options = TopicOptions::default();
    let options = options.with_max_records(4).with_last_by_key(true);
    let Appended { epoch, .. } = {
        expect(client.create_topic(topic, options).await);
        let keyed = [("a", "1"), ("b", "2"), ("a", "3"), ("", "4"), ("c", "5")];
        let keyed = keyed.map(|(key, value)| Record::new(value).with_key(key));
        produce(client, topic, &keyed).await
    };
    for (key, found) in [
        ("a", Some((2, "3"))),
        ("", Some((3, "4"))),
        ("c", Some((4, "5"))),
        ("d", None),
    ] {
        let last = expect(client.last_by_key(topic, key.as_bytes()).await);
        let last = last.as_ref().map(|records| {
            assert_eq!((records.epoch(), records.len()), (epoch, 1));
            let record = records.iter().next().expect("there is one");
            (record.offset, record.value)
        });
        let found = found.map(|(offset, value)| (offset, value.as_bytes()));
        assert_eq!(last, found, "{key:?}");
    }
    produce(client, topic, &numbered(5..7)).await;
    let lapped = expect(client.last_by_key(topic, b"a").await);
    assert!(lapped.is_none(), "what is overwritten is not found");
    let mut update = TopicUpdate::new();
    update.last_by_key = Some(false);
    expect(client.update_topic(topic, update).await);
    let refused = client.last_by_key(topic, b"c").await;
    assert_eq!(refused.err(), Some(Refusal::NotIndexed));
    expect(client.delete_topic(topic).await);
}

async fn what_cannot_be_done_is_refused_with_its_reason(client: &impl Client) {
    let topic = "conformance.refused";
    let options = TopicOptions::default();
    let unknown = Err(Refusal::UnknownTopic);
    assert_eq!(client.topic(topic).await, unknown);
    assert_eq!(
        client.update_topic(topic, TopicUpdate::new()).await,
        unknown
    );
    assert_eq!(client.purge_topic(topic, None).await, unknown);
    assert_eq!(client.pause_topic(topic).await, unknown);
    assert_eq!(client.resume_topic(topic).await, unknown);
    let last = client.last_by_key(topic, b"k").await;
    assert_eq!(last.err(), Some(Refusal::UnknownTopic));
    assert_eq!(client.delete_topic(topic).await, Err(Refusal::UnknownTopic));
    let found = client.offset_for(topic, OffsetQuery::Latest).await;
    assert_eq!(found, Err(Refusal::UnknownTopic));
    let to_its_end = client
        .subscribe(&[(
            topic,
            SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::End),
        )])
        .await;
    assert_eq!(to_its_end.err(), Some(Refusal::UnknownTopic));
    assert_eq!(
        client.topic(topic).await,
        unknown,
        "reading does not create it"
    );
    // Not the empty name: over a wire it is none, and the request itself is refused.
    for name in [".", "..", "a/b", "ä", &"x".repeat(250)] {
        let refused = client.create_topic(name, options).await;
        assert_eq!(refused, Err(Refusal::InvalidName), "{name:?}");
        let refused = client
            .produce(name, &numbered(0..1), &ProduceOptions::new())
            .await;
        assert_eq!(refused, Err(Refusal::InvalidName), "{name:?}");
    }
    expect(client.create_topic(topic, options).await);
    assert_eq!(
        client.create_topic(topic, options).await,
        Err(Refusal::TopicExists)
    );
    let empty = client.produce(topic, &[], &ProduceOptions::new()).await;
    assert_eq!(empty, Err(Refusal::EmptyBatch));
    expect(client.delete_topic(topic).await);
}

async fn a_subscriber_too_slow_for_a_flood_can_account_for_every_record(client: &impl Client) {
    const RECORDS: u64 = 20_000;
    let topic = "conformance.flood";
    let options = TopicOptions::default().with_max_records(100);
    expect(client.create_topic(topic, options).await);
    let follow = (topic, StartAt::Earliest, StopAt::Offset(RECORDS));
    let mut subscriber = subscribe(client, &[follow]).await;
    let mut ledger = Ledger::new();
    start(&mut ledger, &subscriber, topic);
    for batch in 0..RECORDS / 50 {
        produce(client, topic, &numbered(batch * 50..(batch + 1) * 50)).await;
        if batch % 40 == 7 {
            let item = subscriber.next().await.expect("it has not stopped");
            ledger.take_with(&item, |record| check(record.offset, record.value));
        }
    }
    while let Some(item) = subscriber.next().await {
        ledger.take_with(&item, |record| check(record.offset, record.value));
    }
    let account = ledger.account(topic);
    assert_eq!(account.delivered + account.lost, RECORDS, "{account:?}");
    assert!(
        account.delivered >= 100,
        "the last ones are there: {account:?}"
    );
    let at = subscriber.position(topic).expect("it is followed");
    ledger.check(topic, at, RECORDS);
    expect(client.delete_topic(topic).await);
}

/// Records that say which they are.
fn numbered(numbers: std::ops::Range<u64>) -> Vec<Record> {
    numbers
        .map(|number| Record::new(number.to_le_bytes().to_vec()))
        .collect()
}

fn check(offset: u64, value: &[u8]) {
    assert_eq!(value, offset.to_le_bytes(), "the value of {offset}");
}

pub(super) fn expect<T, E: Debug>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
}

pub(super) async fn produce(client: &impl Client, topic: &str, records: &[Record]) -> Appended {
    expect(client.produce(topic, records, &ProduceOptions::new()).await)
}

async fn subscribe<C: Client>(client: &C, topics: &[(&str, StartAt, StopAt)]) -> C::Subscriber {
    let with_options =
        |&(topic, start, stop)| (topic, SubscribeOptions::new(start).with_stop(stop));
    let topics: Vec<_> = topics.iter().map(with_options).collect();
    expect(client.subscribe(&topics).await)
}

/// The ledger starts where the subscriber does.
pub(super) fn start(ledger: &mut Ledger, subscriber: &impl Subscriber, topic: &str) {
    let at = subscriber.position(topic);
    let Position { epoch, next_offset } = at.expect("it is followed");
    ledger.starts(topic, epoch, next_offset);
}

fn records(item: Option<Item>) -> Records {
    match item {
        Some(Item::Records(records)) => records,
        item => panic!("records must come, not {item:?}"),
    }
}
