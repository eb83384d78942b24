//! What a read and a set of options can answer.

use core::error::Error;
use core::fmt;

/// Why a read gave no record.
///
/// None of these is a failure of the ring: each says where the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TryReadError {
    /// The reader has read all that is published; more may come.
    Empty,
    /// Records were overwritten or trimmed before this reader got to them: exactly `from..to`, and
    /// the reader now stands at `to`. Read again to go on.
    Lapped {
        /// The first sequence that was lost: the reader's position before this read.
        from: u64,
        /// The sequence after the last one that was lost: the reader's position from here on.
        to: u64,
    },
    /// The ring is closed and the reader has read all that there ever will be.
    Closed,
}

impl TryReadError {
    /// How many records this answer says were lost: 0 unless it is [`Lapped`](Self::Lapped).
    #[must_use]
    pub fn lost(&self) -> u64 {
        match self {
            Self::Lapped { from, to } => to - from,
            Self::Empty | Self::Closed => 0,
        }
    }
}

impl fmt::Display for TryReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no record is ready"),
            Self::Lapped { from, to } => {
                write!(f, "lapped: records {from} to {to} (exclusive) are lost")
            }
            Self::Closed => f.write_str("the ring is closed and read to its end"),
        }
    }
}

impl Error for TryReadError {}

/// The ring is closed: nothing was appended, and what should have been is handed back.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Closed<T>(pub T);

impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed(..)")
    }
}

impl<T> fmt::Display for Closed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring is closed")
    }
}

impl<T> Error for Closed<T> {}

/// Options that no ring can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// A ring that keeps no record: the limit on records must be at least 1.
    NoRecords,
    /// A ring that keeps no byte: the limit on bytes must be at least 1.
    NoBytes,
    /// The largest segment must have from 64 bytes to 1 GiB.
    SegmentBytes {
        /// What was asked for.
        bytes: usize,
    },
    /// More records than memory can address.
    TooManyRecords {
        /// What was asked for.
        records: u64,
    },
}

impl fmt::Display for InvalidOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecords => f.write_str("the limit on records is 0: it must be at least 1"),
            Self::NoBytes => f.write_str("the limit on bytes is 0: it must be at least 1"),
            Self::SegmentBytes { bytes } => {
                write!(
                    f,
                    "segments of {bytes} bytes: from 64 bytes to 1 GiB are possible"
                )
            }
            Self::TooManyRecords { records } => {
                write!(
                    f,
                    "a capacity of {records} records is more than memory can address"
                )
            }
        }
    }
}

impl Error for InvalidOptions {}
