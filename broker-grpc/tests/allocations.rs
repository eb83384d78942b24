//! Nothing is allocated per record on the way from a producer's call through the server to the subscriber's caller.
#![expect(clippy::print_stdout, reason = "the figure is worth seeing")]

mod harness;

use footman_broker::{Item, Record, StartAt};
use footman_broker_grpc::ServerOptions;
use harness::{PATIENCE, Running};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use tokio::time::timeout;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Producer, server and subscriber are all in this process, and all of their allocations count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_records_cost_less_than_one_allocation() {
    const RECORDS: u64 = 200_000;
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let producer = client.producer("t").build();
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    let record = Record::new(vec![7; 128]).with_key("key");

    let region = Region::new(ALLOCATOR);
    for _ in 0..RECORDS {
        producer.enqueue(&record).await.unwrap();
    }
    producer.flush().await.unwrap();
    let (mut seen, mut bytes) = (0, 0);
    while seen < RECORDS {
        let item = timeout(PATIENCE, subscriber.next()).await.unwrap().unwrap();
        if let Some(Item::Records(records)) = item {
            for received in &records {
                assert_eq!(received.offset, seen);
                seen += 1;
                bytes += received.value.len();
            }
        }
    }
    let allocations = region.change().allocations + region.change().reallocations;
    assert_eq!(bytes as u64, RECORDS * 128);
    let each = allocations as f64 / RECORDS as f64;
    println!("{allocations} allocations, {each:.4} a record");
    assert!(each < 0.1, "{each} allocations a record");
    server.stop().await;
}
