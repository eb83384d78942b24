//! A topic: a name, an epoch, a ring of encoded records, who follows it and who is to be woken.
//!
//! Readers go to the ring and take no lock. Appends, and all that changes what is kept, take the
//! topic's one lock, once per batch. Consumers are woken after it is released.

mod description;
mod followers;

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use crossbeam_utils::CachePadded;
use ringbuf_core::{ByteProducer, ByteRing, ByteRingOptions};

use crate::batch::{Layout, Prepared};
use crate::budget::Budget;
use crate::clock::{Clock, Nanos};
use crate::decoding::{read_body, record};
use crate::encoding::TIMESTAMP_BYTES;
use crate::epoch::Epoch;
use crate::error::{InvalidOptions, LastByKeyError, OutOfMemory, ProduceError};
use crate::idempotence::Idempotence;
use crate::last_by_key::{KEY_BYTES, LastByKey};
use crate::options::{ProduceOptions, TopicOptions, TopicUpdate};
use crate::producer::Produced;
use crate::records::Records;
use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::time_index::TimeIndex;

use followers::Followers;

/// What a record takes beyond its body as produced: frame and timestamp.
const OVERHEAD: u64 = 1 + 4 + TIMESTAMP_BYTES as u64;
/// Memory that a record takes beside its bytes: its end position in the ring.
const INDEX_BYTES: u64 = 4;

pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) epoch: Epoch,
    pub(crate) ring: ByteRing,
    /// How many topics the broker had created before.
    pub(crate) birth: u64,
    created: SystemTime,
    clock: Clock,
    budget: Arc<Budget>,
    /// The largest record's body. Follows the options.
    max_record: AtomicU32,
    /// When something will be past its age; `u64::MAX`: never.
    next_expiry: AtomicU64,
    /// What is below was purged, expired or deleted: nobody may be given it, also who holds a part of the
    /// ring in which it still lies.
    floor: AtomicU64,
    /// On cache lines of its own: readers that look for the next record share none with producers.
    appender: CachePadded<Mutex<Appender>>,
    pub(crate) followers: Followers,
}

/// What an append needs, under the topic's lock.
struct Appender {
    producer: ByteProducer,
    index: TimeIndex,
    idempotence: Idempotence,
    options: TopicOptions,
    appended_bytes: u64,
    /// What the budget was told that this topic holds, and what of it the ring held then.
    accounted: u64,
    ring_memory: u64,
    /// The newest record of each key, where that was asked for.
    last: Option<LastByKey>,
    paused: bool,
    deleted: bool,
}

impl Topic {
    pub(crate) fn new(
        name: Arc<str>,
        birth: u64,
        options: TopicOptions,
        clock: Clock,
        budget: Arc<Budget>,
    ) -> Result<Self, InvalidOptions> {
        options.validate()?;
        let limits = ByteRingOptions::new()
            .with_max_records(options.max_records)
            .with_max_bytes(options.max_bytes);
        let (producer, ring) = ByteRing::new(limits).map_err(|_| InvalidOptions::Zero {
            option: "max_records",
        })?;
        let accounted = ring.memory_bytes();
        budget.change(0, accounted);
        Ok(Self {
            name,
            epoch: Epoch::random(),
            ring,
            birth,
            created: clock.wall(),
            clock,
            budget,
            max_record: AtomicU32::new(record_limit(&options)),
            next_expiry: AtomicU64::new(Nanos::MAX),
            floor: AtomicU64::new(0),
            appender: CachePadded::new(Mutex::new(Appender {
                producer,
                index: TimeIndex::new(options.max_age),
                idempotence: Idempotence::default(),
                options,
                appended_bytes: 0,
                accounted,
                ring_memory: accounted,
                last: options.last_by_key.then(LastByKey::default),
                paused: false,
                deleted: false,
            })),
            followers: Followers::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Appender> {
        self.appender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The largest record's body, in bytes.
    pub(crate) fn max_record_bytes(&self) -> usize {
        self.max_record.load(Ordering::Relaxed) as usize // a limit that orders nothing
    }

    /// Appends all of `batch` or nothing.
    pub(crate) fn append(
        &self,
        batch: &Prepared<'_>,
        options: &ProduceOptions,
    ) -> Result<Produced, ProduceError> {
        let count = batch.len() as u32;
        let produced = |base_offset, duplicate| Produced {
            epoch: self.epoch,
            base_offset,
            count,
            duplicate,
        };
        let mut guard = self.lock();
        let appender = &mut *guard;
        if appender.deleted {
            return Err(ProduceError::TopicDeleted {
                topic: Arc::clone(&self.name),
            });
        }
        if let Some(expected) = options.expected_epoch.filter(|&epoch| epoch != self.epoch) {
            return Err(ProduceError::EpochMismatch {
                expected,
                current: self.epoch,
            });
        }
        if let Some(sequence) = &options.sequence
            && let Some(base_offset) = appender.idempotence.check(sequence, count)?
        {
            return Ok(produced(base_offset, true));
        }
        if appender.paused {
            return Err(ProduceError::TopicPaused {
                topic: Arc::clone(&self.name),
            });
        }
        let mut monotonic = None;
        if appender.index.has_age() {
            let now = *monotonic.insert(self.clock.monotonic());
            self.expire_before(appender, now);
        }
        let bytes = batch.bytes;
        self.make_room(appender, bytes, u64::from(count))?;

        let base_offset = batch.publish(&mut appender.producer);
        let opened = appender.index.note(batch.timestamps, || {
            *monotonic.get_or_insert_with(|| self.clock.monotonic())
        });
        appender.appended_bytes += bytes;
        if let Some(last) = &mut appender.last {
            match batch.layout {
                Layout::One { key: None, .. } => {}
                Layout::One { key: Some(key), .. } => last.note(key, base_offset),
                Layout::Run { bytes, .. } => note_keys(last, bytes, base_offset),
            }
        }
        if let Some(sequence) = &options.sequence {
            appender.idempotence.appended(sequence, count, base_offset);
        }
        // Where nothing else is kept, there is something to settle only once in many records.
        if opened
            || appender.index.has_age()
            || appender.last.is_some()
            || options.sequence.is_some()
            || self.ring.memory_bytes() != appender.ring_memory
        {
            self.settle(appender);
        }
        drop(guard);
        self.followers.waits.notify();
        Ok(produced(base_offset, false))
    }

    /// Refuses a batch for which the broker has no memory.
    #[inline]
    fn make_room(
        &self,
        appender: &mut Appender,
        bytes: u64,
        count: u64,
    ) -> Result<(), OutOfMemory> {
        let mut needed = bytes + count * INDEX_BYTES;
        if appender.last.is_some() {
            needed += bytes + count * KEY_BYTES; // each record may bring a key
        }
        if self.budget.allows(needed) {
            return Ok(());
        }
        self.make_room_slowly(appender, bytes, count, needed)
    }

    #[cold]
    fn make_room_slowly(
        &self,
        appender: &mut Appender,
        bytes: u64,
        count: u64,
        needed: u64,
    ) -> Result<(), OutOfMemory> {
        let records = self.ring.tail() - self.ring.oldest();
        let at_limits = records.saturating_add(count) > appender.options.max_records
            || self.ring.retained_bytes().saturating_add(bytes) > appender.options.max_bytes;
        let allowed =
            || self.budget.allows(needed) || (at_limits && self.budget.allows_replacing(needed));
        if allowed() {
            return Ok(());
        }
        // Readers may have let go of segments since; a trim frees what they left.
        appender.producer.trim(self.ring.oldest());
        self.settle(appender);
        if allowed() {
            return Ok(());
        }
        Err(self.budget.exceeded())
    }

    /// Brings everything that follows from what is kept up to date.
    #[inline]
    fn settle(&self, appender: &mut Appender) {
        let oldest = self.ring.oldest();
        appender.index.trim(oldest);
        let mut keys = 0;
        if let Some(last) = &mut appender.last {
            last.trim(oldest);
            keys = last.memory_bytes();
        }
        // Relaxed: a hint for polls; what they do, they do under the lock. Stored only where it has changed:
        // each store takes the line from every reader that looks for a record.
        let next_expiry = appender.index.next_expiry();
        if next_expiry != self.next_expiry.load(Ordering::Relaxed) {
            self.next_expiry.store(next_expiry, Ordering::Relaxed);
        }
        appender.ring_memory = self.ring.memory_bytes();
        let held = appender.ring_memory
            + appender.index.memory_bytes()
            + appender.idempotence.memory_bytes()
            + keys;
        if held != appender.accounted {
            self.budget.change(appender.accounted, held);
            appender.accounted = held;
        }
    }

    fn forget_below(&self, appender: &mut Appender, oldest: u64) {
        // Before the trim: a reader that is told of a loss finds the floor behind it. Also where the ring has forgotten as much by
        // itself: a reader that was lapped twice keeps a part of it.
        if oldest > self.floor() && !crate::twin::is("purge_without_floor") {
            self.floor.store(oldest, Ordering::Release);
        }
        if oldest > self.ring.oldest() {
            appender.producer.trim(oldest);
        }
    }

    /// Nothing below this offset may be given to anybody.
    #[inline]
    pub(crate) fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    /// Forgets what is past its age at `now`.
    fn expire_before(&self, appender: &mut Appender, now: Nanos) {
        if let Some(oldest) = appender.index.expired(now) {
            self.forget_below(appender, oldest);
            self.settle(appender);
        }
    }

    /// Forgets what is past its age, if something is: for readers, who wait for nobody. Who holds the
    /// lock at this moment does it himself.
    #[inline]
    pub(crate) fn expire_if_due(&self) {
        let due = self.next_expiry.load(Ordering::Relaxed);
        if due != Nanos::MAX {
            let now = self.clock.monotonic();
            if now >= due
                && let Ok(mut appender) = self.appender.try_lock()
            {
                self.expire_before(&mut appender, now);
            }
        }
    }

    /// Forgets what is past its age, and counts memory that readers have let go.
    pub(crate) fn expire(&self) {
        let mut appender = self.lock();
        if appender.index.has_age() {
            self.expire_before(&mut appender, self.clock.monotonic());
        }
        self.settle(&mut appender);
    }

    /// Forgets the records below `before`; `Err` with the end if that is beyond it.
    pub(crate) fn purge(&self, before: Option<u64>) -> Result<(), u64> {
        let mut appender = self.lock();
        let end = self.ring.tail();
        let before = before.unwrap_or(end);
        if before > end {
            return Err(end);
        }
        self.forget_below(&mut appender, before);
        self.settle(&mut appender);
        Ok(())
    }

    /// Changes options; what is over the new limits is forgotten now.
    pub(crate) fn update(&self, update: &TopicUpdate) -> Result<(), InvalidOptions> {
        let mut appender = self.lock();
        let options = appender.options.updated(update);
        options.validate()?;
        appender
            .producer
            .set_limits(options.max_records, options.max_bytes)
            .map_err(|_| InvalidOptions::Zero {
                option: "max_records",
            })?;
        if options.max_age != appender.options.max_age {
            let now = self.clock.monotonic();
            appender.index.set_age(options.max_age, now);
            self.expire_before(&mut appender, now);
        }
        if options.last_by_key != appender.options.last_by_key {
            appender.last = options.last_by_key.then(|| self.index_keys());
        }
        appender.options = options;
        self.max_record
            .store(record_limit(&options), Ordering::Relaxed);
        self.settle(&mut appender);
        Ok(())
    }

    /// The newest record of each key, from the records that are kept. Under the lock.
    fn index_keys(&self) -> LastByKey {
        let mut last = LastByKey::default();
        let mut reader = self.ring.reader(self.ring.oldest());
        while let Ok(run) = reader.try_read(usize::MAX, usize::MAX) {
            note_keys(&mut last, run.bytes(), run.base());
        }
        last
    }

    /// The newest record kept of that key.
    pub(crate) fn last_by_key(&self, key: &[u8]) -> Result<Option<Records>, LastByKeyError> {
        let mut appender = self.lock();
        if appender.index.has_age() {
            self.expire_before(&mut appender, self.clock.monotonic());
        }
        let last = appender.last.as_ref();
        let last = last.ok_or_else(|| LastByKeyError::NotIndexed {
            topic: Arc::clone(&self.name),
        })?;
        // Under the lock: what is in the index is in the ring.
        let mut reader = last.find(key).map(|offset| self.ring.reader(offset));
        let run = reader
            .as_mut()
            .and_then(|reader| reader.try_read(1, usize::MAX).ok());
        Ok(run.map(|run| Records::from_run(Arc::clone(&self.name), self.epoch, run)))
    }

    /// Refuses appends until [`resume`](Self::resume).
    pub(crate) fn pause(&self) {
        self.lock().paused = true;
    }

    pub(crate) fn resume(&self) {
        self.lock().paused = false;
    }

    /// Ends this life of the topic: its records are forgotten, followers are told.
    pub(crate) fn delete(&self) {
        let mut appender = self.lock();
        appender.deleted = true;
        self.forget_below(&mut appender, self.ring.tail());
        appender.producer.close();
        appender.idempotence = Idempotence::default();
        appender.index = TimeIndex::new(None);
        self.settle(&mut appender);
        drop(appender);
        self.followers.waits.notify();
    }

    /// The first record kept whose timestamp is `timestamp_us` or later; the end, if there is none.
    pub(crate) fn offset_at(&self, timestamp_us: i64) -> u64 {
        // Under the lock: nothing is appended or forgotten meanwhile.
        let appender = self.lock();
        let oldest = self.ring.oldest();
        appender
            .index
            .spans_from(timestamp_us)
            .find_map(|(from, to)| self.first_at(timestamp_us, from.max(oldest), to))
            .unwrap_or_else(|| self.ring.tail())
    }

    fn first_at(&self, timestamp_us: i64, from: u64, to: u64) -> Option<u64> {
        let mut reader = self.ring.reader(from);
        while reader.position() < to {
            let run = reader.try_read((to - from) as usize, usize::MAX).ok()?;
            let mut rest = run.bytes();
            for i in 0..run.len() {
                let (body, behind) = record(rest).ok()?;
                rest = behind;
                if read_body(body).timestamp_us >= timestamp_us {
                    return Some(run.base() + i as u64).filter(|&offset| offset < to);
                }
            }
        }
        None
    }
}

/// Notes the keys of stored records, which begin at `offset`.
fn note_keys(last: &mut LastByKey, mut records: &[u8], mut offset: u64) {
    while let Ok((body, rest)) = record(records) {
        records = rest;
        if let Some(key) = read_body(body).key {
            last.note(key, offset);
        }
        offset += 1;
    }
}

/// The largest body, so that the record as stored fits into what is kept.
fn record_limit(options: &TopicOptions) -> u32 {
    let by_bytes = options.max_bytes.saturating_sub(OVERHEAD);
    u32::try_from(by_bytes)
        .unwrap_or(u32::MAX)
        .min(options.max_record_bytes)
}

impl Drop for Topic {
    fn drop(&mut self) {
        let appender = self
            .appender
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        self.budget.change(appender.accounted, 0);
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name)
            .field("epoch", &self.epoch)
            .field("start_offset", &self.ring.oldest())
            .field("end_offset", &self.ring.tail())
            .finish_non_exhaustive()
    }
}
