//! What a subscriber that nobody polls makes its own process hold.

mod harness;

use footman_broker::{Item, Record, StartAt, TopicOptions};
use footman_broker_grpc::ServerOptions;
use harness::{Running, next};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: usize = 1024 * 1024;

/// Records wait in the connection's windows, 8 MiB at most; what comes after them the server laps, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_is_not_polled_holds_no_more_than_its_window() {
    const RECORDS: u64 = 64 * 1024;
    let mut options = ServerOptions::default();
    options.broker.topic_defaults = TopicOptions::default().with_max_bytes(MIB as u64);
    let server = Running::start(options).await;
    let client = server.client().await;
    let producer = client.producer("t").buffer_bytes(MIB).build();
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();

    let region = Region::new(ALLOCATOR);
    let record = Record::new(vec![7; 1024]);
    for _ in 0..RECORDS {
        producer.enqueue(&record).await.unwrap();
    }
    producer.close().await.unwrap();
    let change = region.change();
    let held = change
        .bytes_allocated
        .saturating_sub(change.bytes_deallocated);
    assert!(
        held < 24 * MIB,
        "{held} bytes are held of 64 MiB, by the server with its log of 1 MiB too"
    );

    let (mut told, mut lost) = (0, 0);
    while told < RECORDS {
        told += match next(&mut subscriber).await {
            Item::Records(records) => records.len() as u64,
            Item::Lost(gap) => {
                lost += gap.to - gap.from;
                gap.to - gap.from
            }
            other => panic!("neither records nor a loss: {other:?}"),
        };
    }
    assert_eq!(told, RECORDS);
    assert!(lost > 0, "not all of it was held somewhere");
    server.stop().await;
}
