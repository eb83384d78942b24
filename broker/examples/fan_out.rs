//! One producer, a thousand connections: each connection's own task reads the topic at its own pace, and
//! the slow ones are told what they missed. Nobody waits for anybody.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::time::Duration;

use footman_broker::{Broker, BrokerOptions, Item, Record, StartAt, TopicOptions};

const CONNECTIONS: usize = 1_000;
const RECORDS: u64 = 50_000;

/// What a connection was sent, and what it was told that it missed.
#[derive(Default, Clone, Copy)]
struct Tally {
    delivered: u64,
    lost: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::new(BrokerOptions::default())?;
    broker.create_topic("chat", TopicOptions::default().with_max_records(10_000))?;

    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let mut consumer = broker.consumer();
        consumer.subscribe("chat", StartAt::Latest)?;
        connections.push(tokio::spawn(async move {
            let mut tally = Tally::default();
            while tally.delivered + tally.lost < RECORDS {
                match consumer.next().await {
                    // A real one writes `records.encoded()`, or each value, to its socket here.
                    Item::Records(records) => tally.delivered += records.len() as u64,
                    Item::Lost(lost) => tally.lost += lost.records(),
                    _ => break,
                }
                if number % 100 == 0 {
                    tokio::time::sleep(Duration::from_millis(300)).await; // a slow connection
                }
            }
            tally
        }));
    }

    let producer = broker.producer("chat")?;
    let batch = vec![Record::new("hello, everybody"); 500];
    for _ in 0..RECORDS / 500 {
        producer.produce_batch(&batch)?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let mut total = Tally::default();
    for connection in connections {
        let tally = connection.await?;
        assert_eq!(
            tally.delivered + tally.lost,
            RECORDS,
            "nothing goes missing without a word"
        );
        total.delivered += tally.delivered;
        total.lost += tally.lost;
    }
    let Tally { delivered, lost } = total;
    println!(
        "{CONNECTIONS} connections: {delivered} deliveries, {lost} lost by the slow, 0 untold"
    );
    Ok(())
}
