//! Limits of a `ByteRing`.

use crate::byte_block::ByteBlock;
use crate::error::InvalidOptions;

/// The largest ordinary segment, unless said otherwise.
const SEGMENT_BYTES: usize = 256 * 1024;

/// What an ordinary segment has at least.
pub(crate) const MIN_SEGMENT_BYTES: usize = 4 * 1024;

/// Limits of a [`ByteRing`](crate::ByteRing). Retention is exact as readers see it: the newest
/// records within all limits.
///
/// ```
/// use ringbuf_core::ByteRingOptions;
///
/// let options = ByteRingOptions::new().with_max_records(1_000).with_max_bytes(64 * 1024);
/// assert_eq!(options.max_records, 1_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByteRingOptions {
    /// How many records are kept: at least 1, [`u64::MAX`] for no limit. Default: 65 536.
    pub max_records: u64,
    /// How many bytes of records are kept: at least 1, [`u64::MAX`] for no limit (the default). A
    /// record larger than this is lost as it is appended.
    pub max_bytes: u64,
    /// The largest ordinary segment in bytes, from 64 B to 1 GiB. Default: 256 KiB. Segments start at
    /// 4 KiB and grow with what the ring keeps; a record that is larger gets a segment of its own size.
    pub segment_bytes: usize,
    pub(crate) waiting: bool,
}

impl ByteRingOptions {
    /// The default limits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_records: 65_536,
            max_bytes: u64::MAX,
            segment_bytes: SEGMENT_BYTES,
            waiting: false,
        }
    }

    /// Keeps so many records.
    #[must_use]
    pub const fn with_max_records(mut self, records: u64) -> Self {
        self.max_records = records;
        self
    }

    /// Keeps so many bytes of records.
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Lets ordinary segments grow up to so many bytes.
    #[must_use]
    pub const fn with_segment_bytes(mut self, bytes: usize) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Lets readers sleep until a record comes. Each publication then costs a full fence and a look at
    /// a word; a ring without it pays nothing.
    #[cfg(feature = "std")]
    #[must_use]
    pub const fn with_waiting(mut self) -> Self {
        self.waiting = true;
        self
    }

    pub(crate) fn check(&self) -> Result<(), InvalidOptions> {
        check_limits(self.max_records, self.max_bytes)?;
        if !(64..=1 << 30).contains(&self.segment_bytes) {
            return Err(InvalidOptions::SegmentBytes {
                bytes: self.segment_bytes,
            });
        }
        Ok(())
    }
}

impl Default for ByteRingOptions {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn check_limits(max_records: u64, max_bytes: u64) -> Result<(), InvalidOptions> {
    match (max_records, max_bytes) {
        (0, _) => Err(InvalidOptions::NoRecords),
        (_, 0) => Err(InvalidOptions::NoBytes),
        _ => Ok(()),
    }
}

/// How large the next segment should be, for a record that needs `need` bytes (its end position
/// included) in a ring that keeps `kept` bytes (with end positions): about half of that, so that neither the
/// dead part of the oldest segment nor the free part of the newest dwarfs what is kept.
pub(crate) fn next_segment_bytes(
    kept: u64,
    max_bytes: u64,
    segment_bytes: usize,
    need: usize,
) -> usize {
    let by_kept = usize::try_from(kept / 2)
        .unwrap_or(usize::MAX)
        .min(segment_bytes);
    let by_limit = usize::try_from(max_bytes / 2)
        .unwrap_or(usize::MAX)
        .max(MIN_SEGMENT_BYTES);
    let ordinary = by_kept
        .next_power_of_two()
        .max(MIN_SEGMENT_BYTES)
        .min(by_limit)
        .min(segment_bytes);
    if need <= ordinary {
        ordinary
    } else if need <= segment_bytes {
        need.next_power_of_two().min(segment_bytes)
    } else {
        need.min(ByteBlock::MAX_CAPACITY + 1) // one above is refused where it is allocated
    }
}
