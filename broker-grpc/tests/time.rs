//! The wall clock jumps, as operators and time services make it: nobody's records live shorter, and nobody is disturbed.

mod harness;

use std::time::Duration;

use footman_broker::testing::ManualClock;
use footman_broker::{Item, Record, StartAt, TopicOptions};
use footman_broker_grpc::ServerOptions;
use harness::{Running, next};

const YEAR_US: i64 = 366 * 24 * 3_600 * 1_000_000;

#[tokio::test]
async fn jumps_of_the_wall_clock_change_stamps_and_nothing_else() {
    let clock = ManualClock::new();
    let age = Duration::from_secs(3_600);
    let mut options = ServerOptions::default();
    options.broker = options.broker.with_manual_clock(&clock);
    options.broker.topic_defaults = TopicOptions::default().with_max_age(age);
    let server = Running::start(options).await;
    let client = server.client().await;
    let producer = client.producer("t").build();
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    let start = clock.wall_us();
    let jumps = [0, YEAR_US, -YEAR_US, -2 * start, 0];
    for (offset, jump) in (0..).zip(jumps) {
        clock.set_wall_us(start + jump);
        server.broker.expire();
        let sent = producer.send(&Record::new("v")).await.unwrap();
        assert_eq!(sent.offset, offset);
        let Item::Records(records) = next(&mut subscriber).await else {
            panic!("records, and nothing between them");
        };
        let stamps: Vec<_> = records.iter().map(|record| record.timestamp_us).collect();
        assert_eq!(stamps, [start + jump]);
    }
    let kept = || server.broker.topic("t").unwrap().start_offset;
    assert_eq!(kept(), 0, "all are younger than their age");
    clock.advance(age);
    server.broker.expire();
    assert_eq!(kept(), jumps.len() as u64, "and now all are older");
    server.stop().await;
}
