//! A `ByteRing` against a plain model: a deque of all records, and the rules of retention on it.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use ringbuf_core::{
    ByteBatch, ByteProducer, ByteReader, ByteRing, ByteRingOptions, OwnedByteRun,
    SharedByteProducer, TryReadError,
};

/// What the ring keeps, by the rules.
struct Model {
    records: VecDeque<Vec<u8>>,
    oldest: u64,
    max_records: u64,
    max_bytes: u64,
    closed: bool,
}

impl Model {
    fn tail(&self) -> u64 {
        self.oldest + self.records.len() as u64
    }

    fn bytes(&self) -> u64 {
        self.records.iter().map(|record| record.len() as u64).sum()
    }

    fn append(&mut self, records: &[Vec<u8>]) {
        self.records.extend(records.iter().cloned());
        self.retain();
    }

    fn retain(&mut self) {
        while self.records.len() as u64 > self.max_records || self.bytes() > self.max_bytes {
            self.trim(self.oldest + 1);
        }
    }

    fn trim(&mut self, oldest: u64) {
        while self.oldest < oldest && self.records.pop_front().is_some() {
            self.oldest += 1;
        }
    }

    fn get(&self, sequence: u64) -> &[u8] {
        &self.records[(sequence - self.oldest) as usize]
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Batch(Vec<usize>),
    Run(Vec<usize>),
    DropBatch(Vec<usize>),
    Trim(u64),
    Limits(u64, u64),
    Read {
        reader: usize,
        records: usize,
        bytes: usize,
        keep: bool,
    },
    Seek {
        reader: usize,
        back: u64,
    },
    Forget,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = || prop_oneof![10 => 0_usize..40, 2 => 40_usize..400, 1 => 400_usize..9_000];
    let lengths = move || prop::collection::vec(length(), 0..40);
    let limit = || prop_oneof![1_u64..50, 50_u64..5_000, Just(u64::MAX)];
    let step = prop_oneof![
        12 => length().prop_map(Step::Append),
        6 => lengths().prop_map(Step::Batch),
        6 => lengths().prop_map(Step::Run),
        2 => lengths().prop_map(Step::DropBatch),
        1 => (0_u64..60).prop_map(Step::Trim),
        1 => (limit(), limit()).prop_map(|(records, bytes)| Step::Limits(records, bytes)),
        14 => (0_usize..3, 0_usize..30, 0_usize..4_000, any::<bool>())
            .prop_map(|(reader, records, bytes, keep)| Step::Read { reader, records, bytes, keep }),
        2 => (0_usize..3, 0_u64..60).prop_map(|(reader, back)| Step::Seek { reader, back }),
        2 => Just(Step::Forget),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 1..80)
}

/// A record that knows its sequence, as far as it has room.
fn record(sequence: u64, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (sequence as usize).wrapping_mul(31).wrapping_add(at) as u8)
        .collect()
}

fn batch_of(next: u64, lengths: &[usize]) -> Vec<Vec<u8>> {
    (next..)
        .zip(lengths)
        .map(|(sequence, &length)| record(sequence, length))
        .collect()
}

/// The records' bytes back to back, and where each ends.
fn run_of(records: &[Vec<u8>]) -> (Vec<u8>, Vec<u32>) {
    let ends = records.iter().scan(0, |end, record| {
        *end += record.len() as u32;
        Some(*end)
    });
    (records.concat(), ends.collect())
}

/// The one producer, or a handle of many: they do the same.
enum Producer {
    Alone(Box<ByteProducer>),
    Shared(SharedByteProducer),
}

impl Producer {
    /// In place where the record's length is odd.
    fn append(&mut self, record: &[u8]) -> u64 {
        let fill = |bytes: &mut [u8]| bytes.copy_from_slice(record);
        match (self, record.len() % 2) {
            (Self::Alone(producer), 0) => producer.append(record),
            (Self::Alone(producer), _) => producer.append_with(record.len(), fill),
            (Self::Shared(producer), 0) => producer.append(record).unwrap(),
            (Self::Shared(producer), _) => producer.append_with(record.len(), fill).unwrap(),
        }
    }

    fn append_all(&mut self, step: &Step, records: &[Vec<u8>]) {
        let range = match (self, step) {
            (Self::Alone(producer), Step::Run(_)) => {
                let (bytes, ends) = run_of(records);
                producer.append_run(&bytes, &ends)
            }
            (Self::Shared(producer), Step::Run(_)) => {
                let (bytes, ends) = run_of(records);
                producer.append_run(&bytes, &ends).unwrap()
            }
            (Self::Alone(producer), _) => {
                let mut batch = producer.batch();
                add_in_parts(&mut batch, records);
                batch.publish()
            }
            (Self::Shared(producer), _) => producer.append_batch(records).unwrap(),
        };
        assert_eq!(range.end - range.start, records.len() as u64);
    }

    /// Only the one producer has batches that can be dropped.
    fn drop_batch(&mut self, records: &[Vec<u8>]) {
        if let Self::Alone(producer) = self {
            add_in_parts(&mut producer.batch(), records);
        }
    }

    fn trim(&mut self, oldest: u64) {
        match self {
            Self::Alone(producer) => producer.trim(oldest),
            Self::Shared(producer) => producer.trim(oldest),
        }
    }

    fn set_limits(&mut self, records: u64, bytes: u64) {
        match self {
            Self::Alone(producer) => producer.set_limits(records, bytes),
            Self::Shared(producer) => producer.set_limits(records, bytes),
        }
        .unwrap();
    }

    fn close(&mut self) {
        match self {
            Self::Alone(producer) => producer.close(),
            Self::Shared(producer) => producer.close(),
        }
    }
}

fn add_in_parts(batch: &mut ByteBatch<'_>, records: &[Vec<u8>]) {
    for record in records {
        let (head, rest) = record.split_at(record.len() / 2);
        batch.push(&[head, rest]);
    }
    assert_eq!(batch.len(), records.len());
}

/// One reader, with what the contract says of it.
struct Follower {
    reader: ByteReader,
    position: u64,
    laps_in_a_row: usize,
    /// Twice lapped: the next read is of this sequence whatever the ring keeps.
    kept: Option<(u64, Vec<u8>)>,
}

fn check_read(
    follower: &mut Follower,
    model: &Model,
    max_records: usize,
    max_bytes: usize,
) -> Option<OwnedByteRun> {
    let Follower {
        reader,
        position,
        laps_in_a_row,
        kept,
    } = follower;
    let answer = reader.try_read(max_records, max_bytes);
    let lapped = kept.is_none() && *position < model.oldest;
    let nothing = kept.is_none() && *position >= model.tail();
    let run = match answer {
        Err(TryReadError::Lapped { from, to }) => {
            assert!(
                lapped,
                "lapped at {position} of {}..{}",
                model.oldest,
                model.tail()
            );
            assert_eq!((from, to), (*position, model.oldest));
            *position = to;
            *laps_in_a_row += 1;
            if *laps_in_a_row >= 2 && to < model.tail() {
                *kept = Some((to, model.get(to).to_vec()));
            }
            None
        }
        Err(end) => {
            assert!(nothing);
            assert_eq!(
                end,
                if model.closed {
                    TryReadError::Closed
                } else {
                    TryReadError::Empty
                }
            );
            None
        }
        Ok(run) => {
            assert!(!lapped && !nothing);
            assert_eq!(run.base(), *position);
            assert!(run.len() <= max_records.max(1));
            assert!(run.bytes().len() <= max_bytes || run.len() == 1);
            if let Some((sequence, bytes)) = kept.take() {
                assert_eq!((run.base(), run.get(0)), (sequence, Some(&bytes[..])));
            }
            for (sequence, bytes) in (run.base()..).zip(run.iter()) {
                assert!(sequence < model.tail());
                if sequence >= model.oldest {
                    assert_eq!(bytes, model.get(sequence));
                }
            }
            *position += run.len() as u64;
            *laps_in_a_row = 0;
            Some(run.into_owned())
        }
    };
    assert_eq!(reader.position(), *position);
    assert_eq!(reader.lag(), model.tail().saturating_sub(*position));
    run
}

fn run_against_the_model(start: u64, shared: bool, options: ByteRingOptions, steps: &[Step]) {
    let (producer, ring) = ByteRing::starting_at(start, options).unwrap();
    let mut producer = if shared {
        Producer::Shared(producer.share())
    } else {
        Producer::Alone(Box::new(producer))
    };
    let mut model = Model {
        records: VecDeque::new(),
        oldest: start,
        max_records: options.max_records,
        max_bytes: options.max_bytes,
        closed: false,
    };
    let mut followers: Vec<Follower> = (0..3)
        .map(|_| Follower {
            reader: ring.reader(start),
            position: start,
            laps_in_a_row: 0,
            kept: None,
        })
        .collect();
    let mut held: Vec<(OwnedByteRun, Vec<u8>)> = Vec::new();
    for step in steps {
        match step {
            Step::Append(_) | Step::Batch(_) | Step::Run(_) | Step::DropBatch(_)
                if model.closed => {}
            Step::Append(length) => {
                let bytes = record(model.tail(), *length);
                assert_eq!(producer.append(&bytes), model.tail());
                model.append(&[bytes]);
            }
            Step::Batch(lengths) | Step::Run(lengths) => {
                let records = batch_of(model.tail(), lengths);
                producer.append_all(step, &records);
                model.append(&records);
            }
            Step::DropBatch(lengths) => producer.drop_batch(&batch_of(1, lengths)),
            Step::Trim(more) => {
                producer.trim(model.oldest + more);
                model.trim(model.oldest + more);
            }
            Step::Limits(records, bytes) => {
                producer.set_limits(*records, *bytes);
                (model.max_records, model.max_bytes) = (*records, *bytes);
                model.retain();
            }
            Step::Read {
                reader,
                records,
                bytes,
                keep,
            } => {
                let run = check_read(&mut followers[*reader], &model, *records, *bytes);
                if let Some(run) = run.filter(|_| *keep) {
                    let bytes = run.bytes().to_vec();
                    held.push((run, bytes));
                }
            }
            Step::Seek { reader, back } => {
                let follower = &mut followers[*reader];
                follower.position = model.tail().saturating_sub(*back).max(start);
                follower.reader.seek(follower.position);
                (follower.laps_in_a_row, follower.kept) = (0, None);
            }
            Step::Forget => held.clear(),
            Step::Close => {
                producer.close();
                model.closed = true;
            }
        }
        assert_eq!((ring.oldest(), ring.tail()), (model.oldest, model.tail()));
        assert_eq!(ring.retained_bytes(), model.bytes());
        for (run, bytes) in &held {
            assert_eq!(run.bytes(), bytes, "a held run changed");
        }
    }
}

/// Half a million steps, 40 in a case; `FOOTMAN_MODEL_CASES` asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("FOOTMAN_MODEL_CASES").ok();
    ProptestConfig {
        cases: cases.and_then(|cases| cases.parse().ok()).unwrap_or(13_000),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_byte_ring_does_what_the_model_does(
        near_the_end: bool,
        shared: bool,
        max_records in prop_oneof![1_u64..40, Just(u64::MAX)],
        max_bytes in prop_oneof![1_u64..2_000, Just(u64::MAX)],
        segment_bytes in prop_oneof![64_usize..256, Just(4_096)],
        steps in steps(),
    ) {
        let start = if near_the_end { u64::MAX - 1_000_000 } else { 0 };
        let options = ByteRingOptions::new()
            .with_max_records(max_records)
            .with_max_bytes(max_bytes)
            .with_segment_bytes(segment_bytes);
        run_against_the_model(start, shared, options, &steps);
    }
}
