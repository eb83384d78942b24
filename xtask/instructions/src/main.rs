//! `instructions LOOP RECORDS`: does one thing for so many records, in one thread. Two runs of different lengths under
//! callgrind tell what one record costs; everything else is in both.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "it lists its loops")]

use std::hint::black_box;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::BytesMut;
use footman_batcher::{Assembly, BatchLimits, Verdict};
use footman_broker::{
    Broker, BrokerOptions, Filter, InvalidOptions, ProduceOptions, Record, StartAt,
    SubscribeOptions, testing::ManualClock,
};
use ringbuf_core::{ByteRing, ByteRingOptions, Ring};

/// Records of a batch.
const BATCH: u64 = 256;
/// Bytes of a record's value.
const VALUE: usize = 128;

/// What it does for so many records.
type Loop = fn(u64) -> Result<()>;

const LOOPS: [(&str, Loop); 24] = [
    ("ring/append/b1", ring::<1, false>),
    ("ring/append/b256", ring::<BATCH, false>),
    ("ring/append+read/b1", ring::<1, true>),
    ("ring/append+read/b256", ring::<BATCH, true>),
    ("shared-ring/append/b1", |records| shared_ring(records, 1)),
    ("shared-ring/append/b256", |records| {
        shared_ring(records, BATCH)
    }),
    ("byte-ring/append/b1", |records| {
        byte_ring(records, 1, false)
    }),
    ("byte-ring/append/b256", |records| {
        byte_ring(records, BATCH, false)
    }),
    ("byte-ring/append+read/b1", |records| {
        byte_ring(records, 1, true)
    }),
    ("byte-ring/append+read/b256", |records| {
        byte_ring(records, BATCH, true)
    }),
    ("shared-byte-ring/append/b1", shared_byte_ring),
    ("record/encode", encode),
    ("broker/produce-one", |records| produce_one(records, false)),
    ("broker/produce-one+consume", |records| {
        produce_one(records, true)
    }),
    ("broker/produce-one+wait", produce_one_to_a_task),
    ("broker/produce/b1", |records| produce(records, 1)),
    ("broker/produce/b256", |records| produce(records, BATCH)),
    ("broker/produce-encoded/b1", |records| {
        produce_encoded(records, 1, false)
    }),
    ("broker/produce-encoded/b256", |records| {
        produce_encoded(records, BATCH, false)
    }),
    ("broker/produce-encoded+consume/b256", |records| {
        produce_encoded(records, BATCH, true)
    }),
    ("broker/consume/b256", consume),
    ("broker/consume/filtered-of-all", |records| {
        consume_filtered(records, 1)
    }),
    ("broker/consume/filtered-of-every-16th", |records| {
        consume_filtered(records, 16)
    }),
    ("batcher/assemble", assemble),
];

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let Some(name) = args.next() else {
        for (name, _) in LOOPS {
            println!("{name}");
        }
        return Ok(());
    };
    let records = args.next().context("how many records?")?.parse()?;
    let Some((_, run)) = LOOPS.iter().find(|(known, _)| *known == name) else {
        bail!("no loop is called {name}");
    };
    run(records)
}

/// A function for each loop: in one for all, what one call is compiled to moves the counts of the others.
fn ring<const BATCH: u64, const READ: bool>(records: u64) -> Result<()> {
    let (mut producer, ring) = Ring::<u64>::new(4_096)?;
    let mut reader = ring.reader(0);
    for first in (0..records).step_by(BATCH as usize) {
        if BATCH == 1 {
            producer.append(black_box(first));
        } else {
            producer.append_batch(black_box(first)..first + BATCH);
        }
        if READ {
            black_box(reader.read_batch(BATCH as usize)?);
        }
    }
    Ok(())
}

fn shared_ring(records: u64, batch: u64) -> Result<()> {
    let (producer, _ring) = Ring::<u64>::new(4_096)?;
    let producer = producer.share();
    let values: Vec<_> = (0..batch).collect();
    for first in (0..records).step_by(batch as usize) {
        let appended = if batch == 1 {
            producer.append(black_box(first)).is_ok()
        } else {
            producer.append_slice(black_box(&values)).is_ok()
        };
        anyhow::ensure!(appended, "the ring is open");
    }
    Ok(())
}

fn byte_ring(records: u64, batch: u64, read: bool) -> Result<()> {
    let options = ByteRingOptions::new().with_max_records(4_096);
    let (mut producer, ring) = ByteRing::new(options)?;
    let mut reader = ring.reader(0);
    let record = [7; VALUE];
    for _ in (0..records).step_by(batch as usize) {
        if batch == 1 {
            producer.append(black_box(&record));
        } else {
            let mut writing = producer.batch();
            for _ in 0..batch {
                writing.push(&[black_box(&record)]);
            }
            writing.publish();
        }
        let wanted = reader.position() + batch;
        while read && reader.position() < wanted {
            black_box(reader.try_read(batch as usize, usize::MAX)?.len()); // ends at a segment's end
        }
    }
    Ok(())
}

fn shared_byte_ring(records: u64) -> Result<()> {
    let options = ByteRingOptions::new().with_max_records(4_096);
    let (producer, _ring) = ByteRing::new(options)?;
    let producer = producer.share();
    let record = [7; VALUE];
    for _ in 0..records {
        anyhow::ensure!(
            producer.append(black_box(&record)).is_ok(),
            "the ring is open"
        );
    }
    Ok(())
}

fn record() -> Record {
    Record::new(vec![7; VALUE])
        .with_key("a key")
        .with_timestamp(1)
}

fn encode(records: u64) -> Result<()> {
    let record = record();
    let mut buffer = BytesMut::new();
    for _ in 0..records {
        buffer.clear();
        black_box(&record).encode_framed(&mut buffer);
        black_box(&buffer);
    }
    Ok(())
}

/// On a clock that stands still: how often the processor's counter is looked at until its rate is known, and the system asked for the
/// time, depends on how fast it all runs.
fn broker() -> Result<Broker, InvalidOptions> {
    Broker::new(BrokerOptions::new().with_manual_clock(&ManualClock::new()))
}

/// A record as most are: a value, stamped by the broker.
fn produce_one(records: u64, consume: bool) -> Result<()> {
    let broker = broker()?;
    let producer = broker.producer("t")?;
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest)?;
    let record = Record::new(vec![7; VALUE]);
    for _ in 0..records {
        producer.produce(black_box(&record))?;
        if consume {
            black_box(consumer.try_poll());
        }
    }
    Ok(())
}

/// To a task that waits for each of them.
fn produce_one_to_a_task(records: u64) -> Result<()> {
    let broker = broker()?;
    let producer = broker.producer("t")?;
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest)?;
    let record = Record::new(vec![7; VALUE]);
    let mut task = Context::from_waker(Waker::noop());
    for _ in 0..records {
        anyhow::ensure!(
            consumer.poll_next_item(&mut task).is_pending(),
            "nothing is there"
        );
        producer.produce(black_box(&record))?;
        anyhow::ensure!(
            black_box(consumer.poll_next_item(&mut task)).is_ready(),
            "it is there"
        );
    }
    Ok(())
}

/// The same records again and again: nothing is appended meanwhile.
fn consume(records: u64) -> Result<()> {
    let broker = broker()?;
    let producer = broker.producer("t")?;
    producer.produce_batch(&vec![Record::new(vec![7; VALUE]); BATCH as usize])?;
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest)?;
    for _ in (0..records).step_by(BATCH as usize) {
        consumer.seek("t", StartAt::Earliest)?;
        while let Some(item) = consumer.try_poll() {
            for record in &item.into_records().context("nothing is lost")? {
                black_box((record.offset, record.value));
            }
        }
    }
    Ok(())
}

/// Likewise through a filter, which one record in so many matches.
fn consume_filtered(records: u64, every: usize) -> Result<()> {
    let broker = broker()?;
    let producer = broker.producer("t")?;
    let key = |i: usize| {
        if i.is_multiple_of(every) {
            "wanted"
        } else {
            "others"
        }
    };
    let keyed = |i| Record::new(vec![7; VALUE]).with_key(key(i));
    producer.produce_batch(&(0..BATCH as usize).map(keyed).collect::<Vec<_>>())?;
    let mut consumer = broker.consumer();
    let wanted = SubscribeOptions::new(StartAt::Earliest).with_filter(Filter::Key("wanted".into()));
    consumer.subscribe_with("t", wanted)?;
    for _ in (0..records).step_by(BATCH as usize) {
        consumer.seek("t", StartAt::Earliest)?;
        while let Some(item) = consumer.try_poll() {
            black_box(item);
        }
    }
    Ok(())
}

fn produce(records: u64, batch: u64) -> Result<()> {
    let broker = broker()?;
    let producer = broker.producer("t")?;
    let batch = vec![record(); batch as usize];
    for _ in (0..records).step_by(batch.len()) {
        producer.produce_batch(black_box(&batch))?;
    }
    Ok(())
}

fn produce_encoded(records: u64, batch: u64, consume: bool) -> Result<()> {
    let broker = broker()?;
    let producer = broker.producer("t")?;
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest)?;
    let mut framed = BytesMut::new();
    record().encode_framed(&mut framed);
    let body = &framed[3..]; // tag, and a length of two bytes
    let bodies = vec![body; batch as usize];
    for _ in (0..records).step_by(batch as usize) {
        producer.produce_encoded(black_box(&bodies), &ProduceOptions::new())?;
        while consume && let Some(item) = consumer.try_poll() {
            let records = item.into_records().context("nothing is lost")?;
            for record in &records {
                black_box(record);
            }
        }
    }
    Ok(())
}

fn assemble(records: u64) -> Result<()> {
    let limits = BatchLimits::new()
        .with_max_items(BATCH as usize)
        .with_linger(Duration::from_millis(1));
    let mut assembly = Assembly::new(limits);
    let now = Instant::now();
    for _ in 0..records {
        if black_box(assembly.add(black_box(VALUE), now)) == Verdict::Close {
            assembly.reset();
        }
    }
    Ok(())
}
