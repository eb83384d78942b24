//! A batch of byte records: written behind what is published, and published at once or taken back.

use core::fmt;
use core::ops::Range;

use super::ByteProducer;

/// Panics unless `ends` are where records in `bytes` can end.
#[inline]
pub(crate) fn check_run(bytes: &[u8], ends: &[u32]) {
    let last = ends.last().map_or(0, |&end| end as usize);
    assert!(
        last == bytes.len(),
        "the last record must end where the bytes do"
    );
    assert!(ends.is_sorted(), "a record must not end before it starts");
}

/// Records on their way into a ring, unseen until [`publish`](Self::publish); dropped without it, none is ever visible.
pub struct ByteBatch<'p> {
    pub(super) producer: &'p mut ByteProducer,
}

impl ByteBatch<'_> {
    /// Adds one record: the concatenation of `parts`.
    ///
    /// # Panics
    /// If the record is larger than 2 GiB less some bytes.
    #[inline]
    pub fn push(&mut self, parts: &[&[u8]]) {
        self.producer.write(parts);
    }

    /// Adds many records that lie back to back in `bytes`; record `i` ends before `ends[i]`. One copy for each segment touched.
    ///
    /// # Panics
    /// If `ends` goes back, or does not end at `bytes.len()`, or a record is larger than 2 GiB less some bytes.
    pub fn push_run(&mut self, bytes: &[u8], ends: &[u32]) {
        check_run(bytes, ends);
        self.push_checked_run(bytes, ends);
    }

    /// Adds a run that was [checked](check_run).
    #[inline]
    pub(crate) fn push_checked_run(&mut self, bytes: &[u8], ends: &[u32]) {
        self.producer.write_run(bytes, ends);
    }

    /// How many records the batch has so far.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.producer.cursor.next - self.producer.published) as usize
    }

    /// Whether the batch has no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Publishes the batch at once, and says which sequences its records have.
    pub fn publish(self) -> Range<u64> {
        let first = self.producer.published;
        self.producer.publish();
        first..self.producer.published
    }
}

impl Drop for ByteBatch<'_> {
    fn drop(&mut self) {
        self.producer.roll_back(); // nothing is left to take back after `publish`
    }
}

impl fmt::Debug for ByteBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteBatch")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
