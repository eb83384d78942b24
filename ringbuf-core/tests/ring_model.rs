//! A `Ring` against a plain model: all values ever, the window that is kept, and the runs that readers have begun.

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use ringbuf_core::{Producer, Reader, RingOptions, SharedProducer, TryReadError};

#[derive(Debug, Clone)]
enum Step {
    Append,
    Batch(usize),
    Slice(usize),
    Read { reader: usize, max: usize },
    Seek { reader: usize, back: u64 },
    Release(usize),
    Clone { from: usize, to: usize },
    Share,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => Just(Step::Append),
        4 => (0_usize..40).prop_map(Step::Batch),
        2 => (0_usize..10).prop_map(Step::Slice),
        20 => (0_usize..3, 0_usize..20).prop_map(|(reader, max)| Step::Read { reader, max }),
        2 => (0_usize..3, 0_u64..60).prop_map(|(reader, back)| Step::Seek { reader, back }),
        1 => (0_usize..3).prop_map(Step::Release),
        1 => (0_usize..3, 0_usize..3).prop_map(|(from, to)| Step::Clone { from, to }),
        1 => Just(Step::Share),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 1..120)
}

enum Appender {
    Single(Box<Producer<u64>>),
    Shared(SharedProducer<u64>),
    Gone,
}

impl Appender {
    fn append(&mut self, values: Vec<u64>, step: &Step) -> Option<u64> {
        let range = match (self, step) {
            (Self::Single(producer), Step::Append) => return Some(producer.append(values[0])),
            (Self::Single(producer), Step::Slice(_)) => producer.append_slice(&values),
            (Self::Single(producer), _) => producer.append_batch(values),
            (Self::Shared(producer), Step::Append) => return producer.append(values[0]).ok(),
            (Self::Shared(producer), Step::Slice(_)) => producer.append_slice(&values).ok()?,
            (Self::Shared(producer), _) => producer.append_batch(values).ok()?,
            (Self::Gone, _) => return None,
        };
        assert_eq!(range.end - range.start, step.records());
        Some(range.start)
    }
}

impl Step {
    fn records(&self) -> u64 {
        match self {
            Self::Append => 1,
            Self::Batch(records) | Self::Slice(records) => *records as u64,
            _ => 0,
        }
    }
}

/// What record `sequence` is worth.
fn value(sequence: u64) -> u64 {
    sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

struct Model {
    start: u64,
    tail: u64,
    capacity: u64,
    slots: u64,
    closed: bool,
}

impl Model {
    fn oldest(&self) -> u64 {
        self.tail.saturating_sub(self.capacity).max(self.start)
    }

    /// Where the run ends that a reader begins at `position` now.
    fn run_end(&self, position: u64) -> u64 {
        let segment_end = self.start + ((position - self.start) / self.slots + 1) * self.slots;
        segment_end.min(self.tail)
    }
}

struct Follower {
    reader: Reader<u64>,
    position: u64,
    /// What was looked at already is delivered, whatever the ring does.
    run_end: u64,
}

impl Follower {
    fn read(&mut self, model: &Model, max: usize) {
        let answer = self.reader.read_batch(max).map(<[u64]>::to_vec);
        if self.position >= self.run_end {
            if self.position < model.oldest() {
                let to = model.oldest();
                assert_eq!(
                    answer,
                    Err(TryReadError::Lapped {
                        from: self.position,
                        to
                    })
                );
                self.position = to;
                self.run_end = if to < model.tail {
                    model.run_end(to)
                } else {
                    0
                };
                return;
            }
            if self.position >= model.tail {
                let end = if model.closed {
                    TryReadError::Closed
                } else {
                    TryReadError::Empty
                };
                assert_eq!(answer, Err(end));
                self.run_end = 0;
                return;
            }
            self.run_end = model.run_end(self.position);
        }
        let end = self.run_end.min(self.position + max.max(1) as u64);
        let expected: Vec<u64> = (self.position..end).map(value).collect();
        assert_eq!(answer, Ok(expected));
        self.position = end;
    }
}

fn run_against_the_model(start: u64, capacity: usize, slots: usize, steps: &[Step]) {
    let (producer, ring) = RingOptions::new(capacity).build_at(start, slots).unwrap();
    let mut appender = Appender::Single(Box::new(producer));
    let mut model = Model {
        start,
        tail: start,
        capacity: capacity as u64,
        slots: slots as u64,
        closed: false,
    };
    let mut followers: Vec<Follower> = (0..3)
        .map(|_| Follower {
            reader: ring.reader(start),
            position: start,
            run_end: 0,
        })
        .collect();
    for step in steps {
        match step {
            Step::Append | Step::Batch(_) | Step::Slice(_) => {
                let end = model.tail + step.records();
                let first = appender.append((model.tail..end).map(value).collect(), step);
                assert_eq!(first, (!model.closed).then_some(model.tail));
                model.tail = first.map_or(model.tail, |_| end);
            }
            Step::Read { reader, max } => followers[*reader].read(&model, *max),
            Step::Seek { reader, back } => {
                let follower = &mut followers[*reader];
                follower.position = (model.tail + 5).saturating_sub(*back).max(start);
                follower.reader.seek(follower.position);
                follower.run_end = 0;
            }
            Step::Release(reader) => {
                followers[*reader].reader.release();
                followers[*reader].run_end = 0;
            }
            Step::Clone { from, to } => {
                let Follower {
                    reader, position, ..
                } = &followers[*from];
                followers[*to] = Follower {
                    reader: reader.clone(),
                    position: *position,
                    run_end: 0,
                };
            }
            Step::Share => {
                appender = match std::mem::replace(&mut appender, Appender::Gone) {
                    Appender::Single(producer) => Appender::Shared(producer.share()),
                    other => other,
                };
            }
            Step::Close => {
                match std::mem::replace(&mut appender, Appender::Gone) {
                    Appender::Single(producer) => producer.close(),
                    Appender::Shared(producer) => {
                        producer.close();
                        appender = Appender::Shared(producer);
                    }
                    Appender::Gone => {}
                }
                model.closed = true;
            }
        }
        assert_eq!((ring.oldest(), ring.tail()), (model.oldest(), model.tail));
        assert_eq!(ring.is_closed(), model.closed);
        for follower in &followers {
            assert_eq!(follower.reader.position(), follower.position);
            assert_eq!(
                follower.reader.lag(),
                model.tail.saturating_sub(follower.position)
            );
            let ready = follower.position < follower.run_end || follower.position < model.tail;
            assert_eq!(follower.reader.is_ready(), ready || model.closed);
        }
    }
}

/// Half a million steps, 60 in a case; `FOOTMAN_MODEL_CASES` asks for more.
fn config() -> ProptestConfig {
    let cases = std::env::var("FOOTMAN_MODEL_CASES").ok();
    ProptestConfig {
        cases: cases.and_then(|cases| cases.parse().ok()).unwrap_or(9_000),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_ring_does_what_the_model_does(
        near_the_end: bool,
        capacity in 1_usize..60,
        slots in 1_usize..20,
        steps in steps(),
    ) {
        let start = if near_the_end { u64::MAX - 1_000_000 } else { 0 };
        run_against_the_model(start, capacity, slots, &steps);
    }
}
