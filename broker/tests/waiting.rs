//! Waiting: deadlines, wake-ups, and that whoever stops waiting loses nothing and leaves nothing.

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use footman_broker::{Item, Record, StartAt, StopAt, SubscribeOptions};
use support::{broker, drain_short, keeping, numbered, produce_numbered, short};

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (Arc::clone(&count), Waker::from(count))
}

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

#[test]
fn a_poll_gives_up_at_its_deadline_and_can_be_told_apart() {
    let (broker, _producer) = keeping(10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    let start = Instant::now();
    let timeout = consumer.poll(Duration::from_millis(30)).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(timeout.to_string(), "nothing came within 30ms");
    assert!(consumer.poll(Duration::ZERO).is_err());
    assert!(
        broker.consumer().poll(Duration::from_millis(1)).is_err(),
        "it follows nothing"
    );
}

#[test]
fn a_blocked_poll_is_woken_by_an_append() {
    let (broker, producer) = keeping(10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    let waiting = std::thread::spawn(move || consumer.poll(Duration::MAX).unwrap());
    wait_until(|| broker.topic("t").unwrap().waiters == 1);
    producer.produce(&numbered(0)).unwrap();
    assert_eq!(short(&waiting.join().unwrap()), "t 0..1");
}

#[test]
fn no_wake_up_is_lost_however_closely_waits_and_appends_follow() {
    let (broker, there) = keeping(10);
    let back = broker.producer("back").unwrap();
    std::thread::scope(|scope| {
        let mut echo = broker.consumer();
        echo.subscribe("t", StartAt::Earliest).unwrap();
        scope.spawn(move || {
            for _ in 0..20_000 {
                echo.poll(Duration::MAX).unwrap();
                back.produce(&Record::new("pong")).unwrap();
            }
        });
        let mut consumer = broker.consumer();
        consumer.subscribe("back", StartAt::Earliest).unwrap();
        for _ in 0..20_000 {
            there.produce(&Record::new("ping")).unwrap();
            consumer.poll(Duration::MAX).unwrap();
        }
    });
}

#[test]
fn a_dropped_wait_takes_nothing_and_lets_go_of_its_task() {
    let (broker, producer) = keeping(10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    for round in 0..100 {
        let (count, waker) = counter();
        {
            let mut next = pin!(consumer.next());
            assert!(
                next.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            producer.produce(&numbered(round)).unwrap();
            assert_eq!(count.0.load(Ordering::SeqCst), 1, "woken once");
        }
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1, "nobody keeps the task");
        assert_eq!(
            drain_short(&mut consumer),
            [format!("t {round}..{}", round + 1)]
        );
    }
    let (count, waker) = counter();
    {
        let mut next = pin!(consumer.next());
        assert!(
            next.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    drop(waker);
    assert_eq!(
        Arc::strong_count(&count),
        1,
        "nobody keeps a task that gave up"
    );
}

#[test]
fn a_batch_wakes_once_and_a_producer_that_nobody_waits_for_wakes_nobody() {
    let (broker, producer) = keeping(10_000);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    assert!(consumer.poll_next_item(&mut cx).is_pending());
    assert_eq!(broker.topic("t").unwrap().waiters, 1);
    producer
        .produce_batch(&(0..1_000).map(numbered).collect::<Vec<_>>())
        .unwrap();
    producer
        .produce_batch(&(0..1_000).map(numbered).collect::<Vec<_>>())
        .unwrap();
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert_eq!(broker.topic("t").unwrap().waiters, 0);
    while consumer.poll_next_item(&mut cx).is_ready() {}
    assert_eq!(broker.topic("t").unwrap().waiters, 1);
    drop(consumer);
    assert_eq!(broker.topic("t").unwrap().waiters, 0);
    produce_numbered(&producer, 2_000..2_001);
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
}

#[test]
fn a_wait_over_many_topics_is_ended_by_any_of_them() {
    let broker = broker();
    let mut consumer = broker.consumer();
    let names: Vec<_> = (0..50).map(|i| format!("t{i}")).collect();
    for name in &names {
        consumer.subscribe(name, StartAt::Latest).unwrap();
    }
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    for (i, name) in names.iter().enumerate() {
        assert!(consumer.poll_next_item(&mut cx).is_pending());
        broker
            .producer(name)
            .unwrap()
            .produce(&Record::new("x"))
            .unwrap();
        assert_eq!(count.0.load(Ordering::SeqCst), i + 1);
        let Poll::Ready(item) = consumer.poll_next_item(&mut cx) else {
            panic!()
        };
        assert_eq!(item.topic().as_ref(), name);
    }
}

#[test]
fn subscribing_waiting_and_leaving_an_idle_topic_leaves_nothing() {
    let (broker, producer) = keeping(10);
    let before = broker.memory_bytes();
    for _ in 0..20_000 {
        let mut consumer = broker.consumer();
        consumer.subscribe("t", StartAt::Latest).unwrap();
        assert!(
            consumer
                .poll_next_item(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
    let info = broker.topic("t").unwrap();
    assert_eq!((info.waiters, info.subscriptions), (0, 0));
    assert_eq!(broker.memory_bytes(), before);
    produce_numbered(&producer, 0..1);
}

#[tokio::test]
async fn a_task_waits_without_a_thread() {
    let (broker, producer) = keeping(10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    let waiting = tokio::spawn(async move { consumer.next().await });
    while broker.topic("t").unwrap().waiters == 0 {
        tokio::task::yield_now().await;
    }
    producer.produce(&numbered(0)).unwrap();
    assert_eq!(short(&waiting.await.unwrap()), "t 0..1");
}

#[tokio::test]
async fn a_select_that_another_branch_wins_loses_no_record() {
    let (broker, producer) = keeping(1_000_000);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    let producing = tokio::task::spawn_blocking(move || produce_numbered(&producer, 0..50_000));
    let mut next = 0;
    while next < 50_000 {
        tokio::select! {
            item = consumer.next() => match item {
                Item::Records(records) => {
                    assert_eq!(records.base_offset(), next);
                    next = records.next_offset();
                }
                other => panic!("{other:?}"),
            },
            () = tokio::task::yield_now() => {}
        }
    }
    producing.await.unwrap();
}

#[test]
fn a_stream_ends_when_every_subscription_has_reached_its_stop() {
    use futures_core::Stream;
    let broker = broker();
    let mut consumer = broker.consumer();
    for topic in ["a", "b"] {
        produce_numbered(&broker.producer(topic).unwrap(), 0..3);
        let options = SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::End);
        consumer.subscribe_with(topic, options).unwrap();
    }
    let mut cx = Context::from_waker(Waker::noop());
    let mut stream = pin!(consumer);
    let mut items = Vec::new();
    while let Poll::Ready(Some(item)) = stream.as_mut().poll_next(&mut cx) {
        items.push(short(&item));
    }
    assert_eq!(
        items,
        ["a 0..3", "b 0..3", "a end Stopped 3", "b end Stopped 3"]
    );
    assert!(matches!(
        stream.as_mut().poll_next(&mut cx),
        Poll::Ready(None)
    ));
}

#[test]
fn ten_thousand_consumers_of_one_topic_are_all_woken_and_all_served() {
    let (broker, producer) = keeping(1_000);
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    let mut consumers: Vec<_> = (0..10_000)
        .map(|_| {
            let mut consumer = broker.consumer();
            consumer.subscribe("t", StartAt::Latest).unwrap();
            consumer
        })
        .collect();
    for round in 0..3 {
        for consumer in &mut consumers {
            assert!(consumer.poll_next_item(&mut cx).is_pending());
        }
        assert_eq!(broker.topic("t").unwrap().waiters, 10_000);
        producer.produce(&numbered(round)).unwrap();
        assert_eq!(
            count.0.load(Ordering::SeqCst),
            10_000 * (round as usize + 1)
        );
        for consumer in &mut consumers {
            let Poll::Ready(Item::Records(records)) = consumer.poll_next_item(&mut cx) else {
                panic!("a consumer got nothing");
            };
            assert_eq!(records.base_offset(), round);
        }
    }
    assert_eq!(broker.subscriptions().len(), 10_000);
    assert!(
        broker
            .subscriptions()
            .iter()
            .all(|s| s.delivered == 3 && s.lag == 0)
    );
    drop(consumers);
    assert_eq!(broker.topic("t").unwrap().subscriptions, 0);
}

#[test]
fn who_has_left_its_first_topic_is_woken_by_the_others_and_each_keeps_its_own_ledger() {
    let broker = broker();
    let mut consumer = broker.consumer();
    consumer.set_label("three");
    for topic in ["a", "b"] {
        consumer.subscribe(topic, StartAt::Latest).unwrap();
    }
    let produce = |topic: &str| {
        broker
            .producer(topic)
            .unwrap()
            .produce(&numbered(0))
            .unwrap()
    };
    produce("a");
    assert_eq!(drain_short(&mut consumer), ["a 0..1"]);
    consumer.unsubscribe("a").unwrap();
    consumer.subscribe("c", StartAt::Latest).unwrap();
    let (count, waker) = counter();
    for (wakes, topic) in ["b", "c"].into_iter().enumerate() {
        assert!(
            consumer
                .poll_next_item(&mut Context::from_waker(&waker))
                .is_pending()
        );
        produce("a");
        assert_eq!(count.0.load(Ordering::SeqCst), wakes, "a was left");
        produce(topic);
        assert_eq!(count.0.load(Ordering::SeqCst), wakes + 1);
        assert_eq!(drain_short(&mut consumer), [format!("{topic} 0..1")]);
    }
    let ledgers: Vec<_> = broker
        .subscriptions()
        .into_iter()
        .map(|s| (s.topic.to_string(), s.delivered, s.label.is_some()))
        .collect();
    assert_eq!(ledgers, [("b".into(), 1, true), ("c".into(), 1, true)]);
    assert_eq!(broker.topic("a").unwrap().delivered_records, 1);
}
