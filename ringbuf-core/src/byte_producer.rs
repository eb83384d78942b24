//! The append side of a `ByteRing`: copies records in, publishes them, and forgets the oldest.
//!
//! Owned by one caller at a time (`&mut self`), or behind the lock of `shared.rs`; publishes a record, or a whole batch, by one store.
//! Never waits for a reader, never executes a read-modify-write while a segment has room.
//!
//! An append writes the record's own lines, a sixteenth of the line with its end position, and the line of the tail; it reads a
//! sixteenth of a line of the oldest segment's end positions. It does not look at a segment's header, whose line readers
//! take by their pins. So where the ring is larger than the caches, those lines are what it costs: `cargo xtask bench ring` has it below
//! a bare loop of copies over as much memory; within the caches it is at 1.1 to 1.7 times that loop.

mod batch;

use core::fmt;
use core::ops::Range;

use crate::byte_block::{ByteBlock, END, Places};
use crate::byte_options::{ByteRingOptions, check_limits, next_segment_bytes};
use crate::byte_ring::ByteRing;
use crate::error::InvalidOptions;
use crate::segment::Block;
use crate::shared_byte_producer::SharedByteProducer;
use crate::writer::Writer;

pub use batch::ByteBatch;
pub(crate) use batch::check_run;

/// Where the next record goes in the open segment.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    /// The next record's sequence.
    next: u64,
    /// Bytes of all records since the ring began.
    bytes: u64,
    /// Bytes and records in the open segment.
    used: usize,
    records: usize,
}

/// A segment that readers can find, as far as an append has to know it.
#[derive(Debug, Clone, Copy)]
struct Kept {
    places: Places,
    /// The first record's sequence, and the bytes of all records before it.
    base: u64,
    base_bytes: u64,
    /// The same of the next segment; the largest numbers if there is none.
    limit: u64,
    limit_bytes: u64,
}

impl Kept {
    const NONE: Self = Self {
        places: Places::NONE,
        base: u64::MAX,
        base_bytes: u64::MAX,
        limit: u64::MAX,
        limit_bytes: u64::MAX,
    };

    /// Whether the oldest record is to be in a later segment: not below `at_least`, and with so many bytes at most behind it.
    #[inline]
    fn is_passed(&self, at_least: u64, bytes: u64, max_bytes: u64) -> bool {
        self.limit <= at_least || bytes.saturating_sub(self.limit_bytes) > max_bytes
    }
}

/// The only append side of a [`ByteRing`], until it is [shared](Self::share). Dropping it closes the ring.
pub struct ByteProducer {
    ring: ByteRing,
    writer: Writer<ByteBlock>,
    /// Of the open segment's block.
    open: Places,
    /// The oldest segment that readers can find.
    front: Kept,
    options: ByteRingOptions,
    /// What is written: ahead of `published` while a batch is under way.
    cursor: Cursor,
    /// The published tail.
    published: u64,
    /// Where the batch under way began.
    batch_start: Cursor,
    oldest: u64,
    /// Bytes of all records before `oldest` since the ring began.
    oldest_bytes: u64,
    /// A block kept for the next segment.
    spare: Option<ByteBlock>,
}

// SAFETY: as if the open block were owned: it is in the chain, which the ring keeps.
unsafe impl Send for ByteProducer {}
// SAFETY: nothing changes through a shared producer.
unsafe impl Sync for ByteProducer {}

impl ByteProducer {
    pub(crate) fn new(ring: ByteRing, start: u64, options: ByteRingOptions) -> Self {
        let cursor = Cursor {
            next: start,
            ..Cursor::default()
        };
        let writer = Writer::new(ring.chain.clone());
        Self {
            ring,
            writer,
            open: Places::NONE,
            front: Kept::NONE,
            options,
            cursor,
            published: start,
            batch_start: cursor,
            oldest: start,
            oldest_bytes: 0,
            spare: None,
        }
    }

    /// Appends and publishes one record, and says which sequence it has. The bytes are copied once.
    ///
    /// # Panics
    /// If the record is larger than 2 GiB less some bytes, or the ring is closed.
    #[inline]
    pub fn append(&mut self, record: &[u8]) -> u64 {
        self.append_parts(&[record])
    }

    /// Appends and publishes one record: the concatenation of `parts`, each of which is copied once.
    ///
    /// # Panics
    /// As [`append`](Self::append).
    #[inline]
    pub fn append_parts(&mut self, parts: &[&[u8]]) -> u64 {
        self.begin();
        let sequence = self.cursor.next;
        self.write(parts);
        self.publish();
        sequence
    }

    /// Appends and publishes one record of `length` bytes, which `fill` writes where they stay: they are 0 before. If
    /// `fill` panics, nothing was appended.
    ///
    /// ```
    /// use ringbuf_core::{ByteRing, ByteRingOptions};
    ///
    /// let (mut producer, ring) = ByteRing::new(ByteRingOptions::new())?;
    /// producer.append_with(8, |record| record[4..].copy_from_slice(b"tail"));
    /// assert_eq!(ring.reader(0).try_read(1, 100)?.bytes(), b"\0\0\0\0tail");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// As [`append`](Self::append).
    pub fn append_with(&mut self, length: usize, fill: impl FnOnce(&mut [u8])) -> u64 {
        self.begin();
        let sequence = self.cursor.next;
        self.make_room(length);
        let Cursor { used, records, .. } = self.cursor;
        // SAFETY: C-I2: the only producer, beyond what is published; there is room.
        unsafe {
            self.open.fill(used, length, fill);
            self.open.write_end(records, (used + length) as u32);
        }
        self.wrote(1, length);
        self.publish();
        sequence
    }

    /// Appends all of `records` and publishes them at once, and says which sequences they have. If the iterator
    /// panics, nothing was appended.
    ///
    /// ```
    /// use ringbuf_core::{ByteRing, ByteRingOptions};
    ///
    /// let (mut producer, ring) = ByteRing::new(ByteRingOptions::new())?;
    /// assert_eq!(producer.append_batch(["one", "two"]), 0..2);
    /// let mut reader = ring.reader(0);
    /// assert_eq!(reader.try_read(10, 100)?.iter().collect::<Vec<_>>(), [b"one", b"two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    /// As [`append`](Self::append).
    pub fn append_batch(
        &mut self,
        records: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Range<u64> {
        let mut batch = self.batch();
        for record in records {
            batch.push(&[record.as_ref()]);
        }
        batch.publish()
    }

    /// Appends many records that lie back to back in `bytes`, and publishes them at once: see [`ByteBatch::push_run`].
    ///
    /// # Panics
    /// As [`ByteBatch::push_run`], or the ring is closed.
    pub fn append_run(&mut self, bytes: &[u8], ends: &[u32]) -> Range<u64> {
        let mut batch = self.batch();
        batch.push_run(bytes, ends);
        batch.publish()
    }

    /// Begins a batch: records that are published together, or not at all.
    ///
    /// # Panics
    /// If the ring is closed.
    #[inline]
    pub fn batch(&mut self) -> ByteBatch<'_> {
        self.begin();
        self.batch_start = self.cursor;
        ByteBatch { producer: self }
    }

    /// Makes this one of many: handles that can be cloned, and used by several threads at once.
    #[must_use]
    pub fn share(self) -> SharedByteProducer {
        SharedByteProducer::new(self)
    }

    /// Forgets the records below `oldest` (all of them, if that is above the tail), and gives back the
    /// memory that this frees: whole segments below `oldest` in which no reader is, and segments that
    /// were evicted earlier while a reader was inside. One spare segment is kept for what comes next,
    /// unless the ring is empty then, or nothing was forgotten: `trim(0)` gives back all that can be
    /// had. Works on a closed ring too.
    pub fn trim(&mut self, oldest: u64) {
        self.roll_back();
        let oldest = oldest.clamp(self.oldest, self.published);
        let busy = oldest > self.oldest && oldest < self.published;
        self.advance_oldest(oldest);
        self.release_below_oldest();
        if self.oldest == self.published {
            while let Some(taken) = self.writer.evict_open(self.published) {
                self.keep_or_free(taken.cleared());
            }
            self.look_at_ends();
        }
        let mut looks = self.writer.all_looks();
        while let Some(taken) = self.writer.sweep(&mut looks) {
            self.keep_or_free(taken.cleared());
        }
        if !busy {
            self.free_spare();
        }
    }

    /// Changes the limits, and forgets at once what is over them.
    ///
    /// # Errors
    /// A limit of 0; nothing is changed.
    pub fn set_limits(&mut self, max_records: u64, max_bytes: u64) -> Result<(), InvalidOptions> {
        check_limits(max_records, max_bytes)?;
        self.roll_back();
        self.options.max_records = max_records;
        self.options.max_bytes = max_bytes;
        self.advance_oldest(self.oldest);
        self.release_below_oldest();
        self.free_spare();
        Ok(())
    }

    /// Closes the ring: readers read what is left, then see [`Closed`](crate::TryReadError::Closed).
    /// Appending panics from here on. Closing twice does nothing more.
    pub fn close(&mut self) {
        self.roll_back();
        self.ring.chain.close();
        self.ring.chain.wake();
    }

    /// The ring that this appends to.
    #[must_use]
    pub fn ring(&self) -> &ByteRing {
        &self.ring
    }

    /// Ready for records: what a leaked batch (`mem::forget`) left is taken back.
    #[inline]
    fn begin(&mut self) {
        assert!(!self.ring.is_closed(), "the ring is closed");
        self.roll_back();
    }

    /// Writes one record at the cursor, unpublished.
    #[inline]
    fn write(&mut self, parts: &[&[u8]]) {
        let length = parts
            .iter()
            .map(|part| part.len())
            .fold(0, usize::saturating_add);
        self.make_room(length);
        let mut used = self.cursor.used;
        // SAFETY: C-I2: the only producer, beyond what is published; the room was checked.
        unsafe {
            for part in parts {
                self.open.write(used, part);
                used += part.len();
            }
            self.open.write_end(self.cursor.records, used as u32);
        }
        self.wrote(1, length);
    }

    /// Moves the cursor past what was written.
    #[inline]
    fn wrote(&mut self, records: usize, bytes: usize) {
        self.cursor.used += bytes;
        self.cursor.records += records;
        self.cursor.next += records as u64;
        self.cursor.bytes += bytes as u64;
    }

    /// Writes many records that lie back to back, unpublished; `ends` have been checked.
    fn write_run(&mut self, bytes: &[u8], ends: &[u32]) {
        let mut start = 0; // of record `done` in `bytes`
        let mut done = 0;
        while done < ends.len() {
            self.make_room(ends[done] as usize - start);
            let open = self.open;
            let Cursor { used, records, .. } = self.cursor;
            let rest = &ends[done..];
            let fit = if open
                .room(used, records, rest.len())
                .is_some_and(|room| bytes.len() - start <= room)
            {
                rest.len()
            } else {
                let mut indices = (1, rest.len()); // so many fit, so many may not
                while indices.0 < indices.1 {
                    let middle = indices.1 - (indices.1 - indices.0) / 2;
                    let length = rest[middle - 1] as usize - start;
                    if open
                        .room(used, records, middle)
                        .is_some_and(|room| length <= room)
                    {
                        indices.0 = middle;
                    } else {
                        indices.1 = middle - 1;
                    }
                }
                indices.0
            };
            let end = rest[fit - 1] as usize;
            // SAFETY: C-I2: the only producer, beyond what is published; the room was checked.
            unsafe {
                open.write(used, &bytes[start..end]);
                for (index, &record_end) in rest[..fit].iter().enumerate() {
                    open.write_end(records + index, (used + record_end as usize - start) as u32);
                }
            }
            self.wrote(fit, end - start);
            start = end;
            done += fit;
        }
    }

    /// Sees to it that a record of `length` bytes has room in the open segment.
    #[inline]
    fn make_room(&mut self, length: usize) {
        let Cursor { used, records, .. } = self.cursor;
        let room = self.open.room(used, records, 1);
        if room.is_none_or(|room| room < length) {
            self.open_segment(length);
        }
    }

    /// Begins a segment in which a record of `length` bytes has room.
    #[cold]
    fn open_segment(&mut self, length: usize) {
        let mut looks = self.writer.some_looks();
        while let Some(taken) = self.writer.sweep(&mut looks) {
            self.keep_or_free(taken.cleared());
        }
        let kept = (self.cursor.bytes - self.oldest_bytes)
            .saturating_add((self.cursor.next - self.oldest).saturating_mul(END as u64));
        let need = length.saturating_add(END);
        let ByteRingOptions {
            max_bytes,
            segment_bytes,
            ..
        } = self.options;
        let wanted = next_segment_bytes(kept, max_bytes, segment_bytes, need);
        // A sequence for each end position that the block could hold: checked once a segment.
        let most = (wanted.saturating_add(8) / END) as u64;
        assert!(
            self.cursor.next < u64::MAX - most,
            "the sequences are used up"
        );
        let fits =
            |block: &ByteBlock| (need..=wanted.saturating_mul(2)).contains(&block.capacity());
        let block = match self.spare.take() {
            Some(spare) if fits(&spare) => spare,
            other => {
                if let Some(unfit) = other {
                    self.free(unfit);
                }
                let block = ByteBlock::new(wanted);
                self.ring.chain.add_memory(block.memory());
                block
            }
        };
        self.writer
            .begin(block, self.cursor.next, self.cursor.bytes);
        self.look_at_ends();
        self.cursor.used = 0;
        self.cursor.records = 0;
    }

    /// Publishes what is written, and wakes those who wait for it.
    #[inline]
    fn publish(&mut self) {
        self.publish_only();
        self.ring.chain.wake();
    }

    /// Publishes what is written, and forgets what is over the limits. Wakes no one.
    #[inline]
    fn publish_only(&mut self) {
        if self.writer.has_pending() {
            self.commit();
        }
        self.published = self.cursor.next;
        self.advance_oldest(self.oldest);
        self.release_below_oldest();
    }

    /// Publishes, with the oldest sequence moved on to `at_least`, and further until the limits hold.
    #[inline]
    fn advance_oldest(&mut self, at_least: u64) {
        let Cursor {
            next: tail, bytes, ..
        } = self.cursor;
        let by_records = tail.saturating_sub(self.options.max_records).max(at_least);
        let over = bytes - self.oldest_bytes > self.options.max_bytes;
        if by_records > self.oldest || over {
            self.find_oldest(by_records);
        }
        self.ring
            .chain
            .set_retained_bytes(bytes - self.oldest_bytes);
        self.ring.chain.publish(tail, self.oldest);
    }

    /// Moves the oldest sequence on to the first, not below `at_least`, from which on the bytes are within the limit.
    #[inline(never)] // an append by which nothing falls out is shorter by ten instructions
    fn find_oldest(&mut self, at_least: u64) {
        let bytes = self.cursor.bytes;
        let max_bytes = self.options.max_bytes;
        let later;
        let segment = if self.front.is_passed(at_least, bytes, max_bytes) {
            later = self.last_passed(at_least);
            &later
        } else {
            &self.front
        };
        let mut oldest = self.oldest.max(at_least).max(segment.base);
        let mut before = self.oldest_bytes;
        let bytes_before = |sequence: u64| {
            let records = (sequence - segment.base) as usize;
            // SAFETY: written by this producer, and the segment still is what it was when it was looked at: `sequence` is in
            // it or at its end, for there the limit holds.
            segment.base_bytes + unsafe { segment.places.start(records) } as u64
        };
        if oldest != self.oldest {
            before = bytes_before(oldest);
        }
        while bytes - before > max_bytes {
            oldest += 1;
            before = bytes_before(oldest);
        }
        self.oldest = oldest;
        self.oldest_bytes = before;
    }

    /// The segment in which the oldest record will be.
    #[cold]
    fn last_passed(&self, at_least: u64) -> Kept {
        let (bytes, max_bytes) = (self.cursor.bytes, self.options.max_bytes);
        let live = self.writer.live();
        let passed = live
            .partition_point(|live| live.base <= at_least || bytes - live.base_bytes > max_bytes);
        self.kept(passed - 1) // at least the second one is
    }

    /// Takes back the segments that are wholly below the oldest sequence.
    #[inline]
    fn release_below_oldest(&mut self) {
        if self.oldest >= self.front.limit {
            self.release_front();
        }
    }

    #[cold]
    fn release_front(&mut self) {
        while let Some(taken) = self.writer.evict(self.oldest) {
            self.keep_or_free(taken.cleared());
        }
        self.look_at_ends();
    }

    /// Lets readers into the segments that were begun.
    #[cold]
    fn commit(&mut self) {
        self.writer.commit();
        self.look_at_ends();
    }

    /// After a segment came or went.
    fn look_at_ends(&mut self) {
        let open = self.writer.open();
        self.open = open.map_or(Places::NONE, |open| self.writer.block(open).places());
        self.front = if self.writer.live().is_empty() {
            Kept::NONE
        } else {
            self.kept(0)
        };
    }

    /// What there is to know of one of the segments that readers can find.
    fn kept(&self, index: usize) -> Kept {
        let live = self.writer.live();
        let next = live.get(index + 1);
        Kept {
            places: self.writer.block(&live[index]).places(),
            base: live[index].base,
            base_bytes: live[index].base_bytes,
            limit: next.map_or(u64::MAX, |next| next.base),
            limit_bytes: next.map_or(u64::MAX, |next| next.base_bytes),
        }
    }

    /// Appends the records that `write` adds to a batch, and publishes them. Wakes no one.
    #[inline]
    pub(crate) fn append_only(&mut self, write: impl FnOnce(&mut ByteBatch<'_>)) -> Range<u64> {
        let mut batch = self.batch();
        write(&mut batch);
        let first = batch.producer.published;
        batch.producer.publish_only();
        first..batch.producer.published
    }

    /// Drops what is written and not published.
    #[inline]
    fn roll_back(&mut self) {
        if self.cursor.next != self.published {
            self.abandon();
        }
    }

    #[cold]
    fn abandon(&mut self) {
        while let Some(block) = self.writer.abandon() {
            self.keep_or_free(block);
        }
        self.look_at_ends();
        self.cursor = self.batch_start;
    }

    /// One spare block is kept, the larger one, if it is not above the ordinary.
    fn keep_or_free(&mut self, block: ByteBlock) {
        if block.capacity() > self.options.segment_bytes.next_multiple_of(8) {
            self.free(block);
            return;
        }
        match self.spare.take() {
            Some(spare) if spare.capacity() >= block.capacity() => {
                self.spare = Some(spare);
                self.free(block);
            }
            other => {
                self.spare = Some(block);
                if let Some(smaller) = other {
                    self.free(smaller);
                }
            }
        }
    }

    fn free_spare(&mut self) {
        if let Some(spare) = self.spare.take() {
            self.free(spare);
        }
    }

    fn free(&self, block: ByteBlock) {
        self.ring.chain.sub_memory(block.memory());
    }
}

impl Drop for ByteProducer {
    fn drop(&mut self) {
        self.close();
        self.free_spare();
    }
}

impl fmt::Debug for ByteProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteProducer")
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}
