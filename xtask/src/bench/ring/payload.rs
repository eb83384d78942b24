//! What the records of a run hold, and how its number is read back from a record.

use std::sync::Arc;

/// A record's number: its producer's, then its place among that producer's records.
pub(crate) const PRODUCER_SHIFT: u32 = 48;

/// So many different values are behind the `Arc`s.
const SHARED_VALUES: u64 = 256;

pub(crate) trait Payload: Clone + Send + Sync + 'static {
    /// What a producer makes its records from.
    type Source: Send;

    fn source(producer: u64) -> Self::Source;

    fn make(source: &Self::Source, number: u64) -> Self;

    /// The number that a record shows: read from its first and its last word, so that a torn one is seen.
    fn number(&self) -> u64;

    /// What record `number` shows.
    fn shown(number: u64) -> u64 {
        number
    }
}

impl Payload for u64 {
    type Source = ();

    fn source(_producer: u64) {}

    #[inline]
    fn make(_source: &(), number: u64) -> Self {
        number
    }

    #[inline]
    fn number(&self) -> u64 {
        *self
    }
}

impl<const WORDS: usize> Payload for [u64; WORDS] {
    type Source = ();

    fn source(_producer: u64) {}

    #[inline]
    fn make(_source: &(), number: u64) -> Self {
        [number; WORDS]
    }

    #[inline]
    fn number(&self) -> u64 {
        // Equal words give the first; others, a number that is not.
        self[0].wrapping_add(self[0] ^ self[WORDS - 1])
    }
}

/// An `Arc` of 64 bytes. A producer clones those of a small set, as a server clones what it encoded once, so
/// that what is measured is the ring and the count, not the allocator.
impl Payload for Arc<[u64; 8]> {
    type Source = Vec<Self>;

    fn source(producer: u64) -> Vec<Self> {
        (0..SHARED_VALUES)
            .map(|number| Self::new([number | (producer << PRODUCER_SHIFT); 8]))
            .collect()
    }

    #[inline]
    fn make(source: &Vec<Self>, number: u64) -> Self {
        Self::clone(&source[(number % SHARED_VALUES) as usize])
    }

    #[inline]
    fn number(&self) -> u64 {
        self[0]
    }

    #[inline]
    fn shown(number: u64) -> u64 {
        ((number >> PRODUCER_SHIFT) << PRODUCER_SHIFT) | (number % SHARED_VALUES)
    }
}
