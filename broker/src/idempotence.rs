//! Which batches a topic has appended for whom, so that a repeat is answered and not appended.
//!
//! Pure state under the topic's lock. Per producer: its newest epoch, its next sequence, and the last
//! [`BATCHES`] batches with their offsets; per topic: the [`PRODUCERS`] used last. What is forgotten is
//! never guessed at: a producer that is not known starts anywhere, a repeat that is too old is an error.

use std::collections::{HashMap, VecDeque};

use crate::error::ProduceError;
use crate::options::ProducerSequence;

/// Batches remembered per producer.
pub(crate) const BATCHES: usize = 64;
/// Producers remembered per topic.
pub(crate) const PRODUCERS: usize = 1_024;

/// The producers of one topic.
#[derive(Debug, Default)]
pub(crate) struct Idempotence {
    producers: HashMap<u64, State>,
    /// Counts uses; a producer's is its turn in "least recently used".
    uses: u64,
    batches: usize,
}

#[derive(Debug)]
struct State {
    epoch: u32,
    next_sequence: u64,
    last_use: u64,
    batches: VecDeque<Batch>,
}

#[derive(Debug, Clone, Copy)]
struct Batch {
    first_sequence: u64,
    base_offset: u64,
    count: u32,
}

impl Batch {
    /// The offset of `count` records from `first_sequence` on, if this batch has all of them.
    fn offset_of(&self, first_sequence: u64, count: u32) -> Option<u64> {
        let skipped = first_sequence.checked_sub(self.first_sequence)?;
        let end = skipped.checked_add(u64::from(count))?;
        (end <= u64::from(self.count)).then(|| self.base_offset + skipped)
    }
}

impl Idempotence {
    /// Whether the batch is to be appended (`None`), or where it was appended before.
    pub(crate) fn check(
        &self,
        sequence: &ProducerSequence,
        count: u32,
    ) -> Result<Option<u64>, ProduceError> {
        let got = sequence.first_sequence;
        if got.checked_add(u64::from(count)).is_none() {
            return Err(ProduceError::SequenceGap { expected: 0, got });
        }
        let Some(state) = self.producers.get(&sequence.producer_id) else {
            return Ok(None);
        };
        if sequence.producer_epoch < state.epoch {
            return Err(ProduceError::Fenced {
                current_epoch: state.epoch,
            });
        }
        if sequence.producer_epoch > state.epoch || got == state.next_sequence {
            return Ok(None);
        }
        let gap = ProduceError::SequenceGap {
            expected: state.next_sequence,
            got,
        };
        if got > state.next_sequence {
            return Err(gap);
        }
        if let Some(offset) = state
            .batches
            .iter()
            .rev()
            .find_map(|b| b.offset_of(got, count))
        {
            return Ok(Some(offset));
        }
        match state.batches.front() {
            Some(oldest) if got < oldest.first_sequence => Err(ProduceError::DuplicateTooOld {
                got,
                oldest: oldest.first_sequence,
            }),
            _ => Err(gap),
        }
    }

    /// Remembers a batch that [`check`](Self::check) let through and that was appended.
    pub(crate) fn appended(&mut self, sequence: &ProducerSequence, count: u32, base_offset: u64) {
        self.uses += 1;
        let id = sequence.producer_id;
        if !self.producers.contains_key(&id) && self.producers.len() >= PRODUCERS {
            self.forget_one();
        }
        let state = self.producers.entry(id).or_insert_with(|| State {
            epoch: sequence.producer_epoch,
            next_sequence: 0,
            last_use: 0,
            batches: VecDeque::new(),
        });
        if state.epoch != sequence.producer_epoch {
            self.batches -= state.batches.len();
            state.batches.clear();
            state.epoch = sequence.producer_epoch;
        }
        if state.batches.len() == BATCHES {
            state.batches.pop_front();
            self.batches -= 1;
        }
        state.last_use = self.uses;
        state.next_sequence = sequence.first_sequence + u64::from(count);
        let first_sequence = sequence.first_sequence;
        state.batches.push_back(Batch {
            first_sequence,
            base_offset,
            count,
        });
        self.batches += 1;
    }

    fn forget_one(&mut self) {
        let oldest = self
            .producers
            .iter()
            .min_by_key(|(_, state)| state.last_use);
        if let Some(id) = oldest.map(|(id, _)| *id) {
            let forgotten = self.producers.remove(&id);
            self.batches -= forgotten.map_or(0, |state| state.batches.len());
        }
    }

    /// About how much memory this takes: a peer can make it grow, so it counts.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let producer = size_of::<(u64, State)>() + 16;
        // A deque doubles: up to twice its batches are allocated.
        (self.producers.len() * producer + self.batches * size_of::<Batch>() * 2) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(producer_id: u64, producer_epoch: u32, first_sequence: u64) -> ProducerSequence {
        ProducerSequence {
            producer_id,
            producer_epoch,
            first_sequence,
        }
    }

    /// A topic's end, and who appended what.
    #[derive(Default)]
    struct Log {
        state: Idempotence,
        end: u64,
    }

    impl Log {
        /// The offset and whether it is a repeat.
        fn append(&mut self, s: ProducerSequence, count: u32) -> Result<(u64, bool), ProduceError> {
            if let Some(offset) = self.state.check(&s, count)? {
                return Ok((offset, true));
            }
            let base = self.end;
            self.end += u64::from(count);
            self.state.appended(&s, count, base);
            Ok((base, false))
        }
    }

    #[test]
    fn a_repeat_is_answered_with_its_offset() {
        let mut log = Log::default();
        assert_eq!(log.append(sequence(1, 0, 0), 3), Ok((0, false)));
        assert_eq!(log.append(sequence(2, 0, 0), 1), Ok((3, false)));
        assert_eq!(log.append(sequence(1, 0, 3), 2), Ok((4, false)));
        assert_eq!(log.append(sequence(1, 0, 0), 3), Ok((0, true)));
        assert_eq!(log.append(sequence(1, 0, 3), 2), Ok((4, true)));
        assert_eq!(log.append(sequence(1, 0, 4), 1), Ok((5, true)));
        assert_eq!(log.end, 6);
    }

    #[test]
    fn what_is_neither_next_nor_a_repeat_is_a_gap() {
        let mut log = Log::default();
        assert_eq!(log.append(sequence(1, 0, 100), 5), Ok((0, false)));
        let gap = |got| Err(ProduceError::SequenceGap { expected: 105, got });
        assert_eq!(log.append(sequence(1, 0, 106), 1), gap(106));
        assert_eq!(log.append(sequence(1, 0, 104), 2), gap(104));
        assert_eq!(log.append(sequence(1, 0, 105), 1), Ok((5, false)));
    }

    #[test]
    fn an_older_life_is_fenced_and_a_newer_one_starts_anywhere() {
        let mut log = Log::default();
        assert_eq!(log.append(sequence(1, 3, 0), 1), Ok((0, false)));
        assert_eq!(
            log.append(sequence(1, 2, 1), 1),
            Err(ProduceError::Fenced { current_epoch: 3 })
        );
        assert_eq!(log.append(sequence(1, 4, 50), 1), Ok((1, false)));
        assert_eq!(
            log.append(sequence(1, 4, 0), 1),
            Err(ProduceError::DuplicateTooOld { got: 0, oldest: 50 })
        );
    }

    #[test]
    fn a_repeat_of_long_ago_is_an_error_and_not_appended_again() {
        let mut log = Log::default();
        for i in 0..BATCHES as u64 + 1 {
            assert_eq!(log.append(sequence(1, 0, i), 1), Ok((i, false)));
        }
        assert_eq!(
            log.append(sequence(1, 0, 0), 1),
            Err(ProduceError::DuplicateTooOld { got: 0, oldest: 1 })
        );
        assert_eq!(log.append(sequence(1, 0, 1), 1), Ok((1, true)));
    }

    #[test]
    fn sequences_that_would_overflow_are_refused() {
        let mut log = Log::default();
        let got = u64::MAX;
        let gap = Err(ProduceError::SequenceGap { expected: 0, got });
        assert_eq!(log.append(sequence(1, 0, got), 1), gap);
        assert_eq!(log.append(sequence(1, 0, got - 1), 1), Ok((0, false)));
    }

    #[test]
    fn memory_is_bounded_and_the_least_recently_used_producer_goes_first() {
        let mut log = Log::default();
        for id in 0..PRODUCERS as u64 {
            log.append(sequence(id, 0, 0), 1).unwrap();
        }
        log.append(sequence(0, 0, 1), 1).unwrap();
        for id in 0..50_000 {
            log.append(sequence(1_000_000 + id, 0, 0), 1).unwrap();
            log.append(sequence(0, 0, 2 + id), 1).unwrap();
        }
        assert_eq!(log.state.producers.len(), PRODUCERS);
        assert!(
            log.state.producers.contains_key(&0),
            "it was used all the time"
        );
        assert!(!log.state.producers.contains_key(&1));
        let batches: usize = log.state.producers.values().map(|s| s.batches.len()).sum();
        assert_eq!(log.state.batches, batches);
        assert!(log.state.memory_bytes() < 200_000);
    }
}
