//! Which records are how old: a sparse index over a topic's log.
//!
//! Pure state under the topic's lock; it takes times, it never reads a clock. One entry stands for at
//! most [`SPAN`] records in a row, and for no longer than `age / 1024` (at least 1 ms) of appends, so an
//! age is kept to within that, and a topic with an age has at most about 1 024 entries more than
//! `records / 256`. An entry is 24 bytes: a tenth of a byte a record where many come.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Nanos, nanos};

/// Records that one entry stands for, at most.
const SPAN: u64 = 256;
/// A rate is that of so long, where so much is known.
const RATE_WINDOW: Nanos = 1_000_000_000;
/// A rate over less time than this would be that of a single batch.
const MIN_WINDOW: Nanos = 1_000_000;

/// The index of one topic.
#[derive(Debug, Default)]
pub(crate) struct TimeIndex {
    entries: VecDeque<Entry>,
    /// When the newest entry's first record was appended.
    opened: Nanos,
    /// The next record's offset.
    end: u64,
    /// How many records the newest entry can still stand for.
    room: u64,
    /// Whether no entry's newest timestamp is below that of an entry before it.
    sorted: bool,
    age: Option<Nanos>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    first: u64,
    /// When its newest record was appended, or later.
    last: Nanos,
    /// The largest timestamp in it.
    newest_us: i64,
}

impl TimeIndex {
    pub(crate) fn new(age: Option<Duration>) -> Self {
        Self {
            sorted: true,
            age: age.map(nanos),
            ..Self::default()
        }
    }

    /// Changes the age. `now` counts as the time of the records since the last time that was noted.
    pub(crate) fn set_age(&mut self, age: Option<Duration>, now: Nanos) {
        if self.age.is_none() {
            // Without an age nobody reads the clock at appends.
            if let Some(entry) = self.entries.back_mut() {
                entry.last = now;
            }
        }
        self.age = age.map(nanos);
    }

    /// Whether appends need the time.
    pub(crate) fn has_age(&self) -> bool {
        self.age.is_some()
    }

    /// Notes the next records, appended together. `now` is called only if the time is needed. Whether an entry was
    /// opened: only then there may be something to [trim](Self::trim), and its memory another.
    #[inline]
    pub(crate) fn note(&mut self, timestamps_us: &[i64], now: impl FnMut() -> Nanos) -> bool {
        let count = timestamps_us.len() as u64;
        let newest_us = timestamps_us.iter().copied().max();
        if self.age.is_none()
            && count <= self.room
            && let (Some(entry), Some(newest_us)) = (self.entries.back_mut(), newest_us)
        {
            entry.newest_us = entry.newest_us.max(newest_us);
            self.room -= count;
            self.end += count;
            return false;
        }
        self.note_by_entries(timestamps_us, now)
    }

    #[inline(never)] // once in many records where there is no age
    fn note_by_entries(&mut self, timestamps_us: &[i64], mut now: impl FnMut() -> Nanos) -> bool {
        let mut opened = false;
        let mut rest = timestamps_us;
        while !rest.is_empty() {
            let room = self.room as usize;
            let most = if room == 0 { SPAN as usize } else { room };
            let (noted, left) = rest.split_at(most.min(rest.len()));
            rest = left;
            let Some(newest_us) = noted.iter().copied().max() else {
                break;
            };
            let (first, count) = (self.end, noted.len() as u64);
            self.end += count;
            if room == 0 || !self.join(newest_us, &mut now) {
                self.open(first, newest_us, now());
                self.room = SPAN;
                opened = true;
            }
            self.room -= count;
        }
        opened
    }

    /// Counts records to the newest entry, unless they came too long after its first.
    #[inline]
    fn join(&mut self, newest_us: i64, now: &mut impl FnMut() -> Nanos) -> bool {
        let Some(entry) = self.entries.back_mut() else {
            return false;
        };
        if let Some(age) = self.age {
            let now = now();
            if now.saturating_sub(self.opened) >= grain(age) {
                return false;
            }
            entry.last = now;
        }
        entry.newest_us = entry.newest_us.max(newest_us);
        true
    }

    #[cold]
    fn open(&mut self, first: u64, timestamp_us: i64, now: Nanos) {
        if let Some(entry) = self.entries.back_mut() {
            if self.age.is_none() {
                entry.last = now;
            }
            // The entry before is complete: it can be compared with the one before it.
            let complete = entry.newest_us;
            let before = self
                .entries
                .len()
                .checked_sub(2)
                .and_then(|i| self.entries.get(i));
            self.sorted &= before.is_none_or(|before| before.newest_us <= complete);
        } else {
            self.sorted = true;
        }
        self.opened = now;
        self.entries.push_back(Entry {
            first,
            last: now,
            newest_us: timestamp_us,
        });
    }

    /// Forgets entries of which no record is left.
    pub(crate) fn trim(&mut self, oldest: u64) {
        while let Some(end) = self.front_end() {
            if end > oldest {
                break;
            }
            self.entries.pop_front();
        }
        if self.entries.is_empty() {
            self.room = 0;
        }
    }

    /// The end of the oldest entry.
    fn front_end(&self) -> Option<u64> {
        self.entries.front()?;
        Some(self.entries.get(1).map_or(self.end, |next| next.first))
    }

    /// The first record that is not past its age, if some are.
    pub(crate) fn expired(&self, now: Nanos) -> Option<u64> {
        let age = self.age?;
        let past = |entry: &Entry| now.saturating_sub(entry.last) >= age;
        let alive = self.entries.partition_point(past);
        match (alive, self.entries.get(alive)) {
            (0, _) => None,
            (_, Some(entry)) => Some(entry.first),
            (_, None) => Some(self.end),
        }
    }

    /// When the next records will be past their age; `u64::MAX` for never.
    pub(crate) fn next_expiry(&self) -> Nanos {
        match (self.age, self.entries.front()) {
            (Some(age), Some(entry)) => entry.last.saturating_add(age),
            _ => Nanos::MAX,
        }
    }

    /// Spans `[from, to)` in which a record with `timestamp_us` or later stands, the first one first:
    /// the first record that satisfies is in the first span of which some record does.
    pub(crate) fn spans_from(&self, timestamp_us: i64) -> impl Iterator<Item = (u64, u64)> + '_ {
        // The newest entry may be out of order without `sorted` knowing; all before it are not.
        let complete = self.entries.len().saturating_sub(1);
        let start = if self.sorted && complete > 0 {
            let (a, b) = self.entries.as_slices();
            let a = &a[..complete.min(a.len())];
            let b = &b[..complete - a.len()];
            let before = |entry: &Entry| entry.newest_us < timestamp_us;
            match a.partition_point(before) {
                at if at < a.len() => at,
                at => at + b.partition_point(before),
            }
        } else {
            0
        };
        (start..self.entries.len()).filter_map(move |i| {
            let entry = self.entries.get(i)?;
            let to = self.entries.get(i + 1).map_or(self.end, |next| next.first);
            (entry.newest_us >= timestamp_us).then_some((entry.first, to))
        })
    }

    /// About how many records a second are appended of late: over the last [`RATE_WINDOW`], or since an entry
    /// ended if none ended in it, or for as long as records are known of.
    pub(crate) fn rate(&self, now: Nanos) -> f64 {
        let (Some(front), Some(newest)) = (self.entries.front(), self.entries.back()) else {
            return 0.0;
        };
        let ended = |entry: &Entry| now.saturating_sub(entry.last) >= RATE_WINDOW;
        // The newest entry is still being filled: where it is the only one, when it began is known.
        let before = self
            .entries
            .partition_point(ended)
            .min(self.entries.len() - 1);
        let known = before.checked_sub(1).and_then(|i| self.entries.get(i));
        let (since, from) = match (known, self.entries.get(1)) {
            (Some(entry), _) => (entry.last, self.entries.get(before).unwrap_or(newest).first),
            (None, Some(second)) => (front.last, second.first),
            (None, None) => (self.opened, front.first),
        };
        // A topic that is younger than the window has not appended in all of it.
        let least = if front.first == 0 {
            RATE_WINDOW
        } else {
            MIN_WINDOW
        };
        let window = Duration::from_nanos(now.saturating_sub(since).max(least));
        (self.end - from) as f64 / window.as_secs_f64()
    }

    /// How long until the record at `offset` is past its age; of one that is yet to come, the whole age.
    pub(crate) fn time_left(&self, offset: u64, now: Nanos) -> Option<Duration> {
        let age = self.age?;
        let behind = self.entries.partition_point(|entry| entry.first <= offset);
        let entry = behind.checked_sub(1).and_then(|i| self.entries.get(i));
        let since = entry
            .filter(|_| offset < self.end)
            .map_or(now, |entry| entry.last);
        Some(Duration::from_nanos(
            since.saturating_add(age).saturating_sub(now),
        ))
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        (self.entries.capacity() * size_of::<Entry>()) as u64
    }
}

/// How finely an age is kept.
fn grain(age: Nanos) -> Nanos {
    (age / 1024).max(1_000_000)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Nanos = 1_000_000;

    fn with_age(age_ms: u64) -> TimeIndex {
        TimeIndex::new(Some(Duration::from_millis(age_ms)))
    }

    #[test]
    fn a_record_is_past_its_age_when_the_age_has_passed() {
        let mut index = with_age(10);
        index.note(&[0], || 0);
        assert_eq!(index.next_expiry(), 10 * MS);
        assert_eq!(index.expired(10 * MS - 1), None);
        assert_eq!(index.expired(10 * MS), Some(1));
    }

    #[test]
    fn each_grain_of_time_expires_on_its_own() {
        let mut index = with_age(10);
        for ms in 0..5 {
            index.note(&[0], || ms * MS);
        }
        assert_eq!(index.expired(12 * MS), Some(3));
        index.trim(3);
        assert_eq!(index.next_expiry(), 13 * MS);
    }

    #[test]
    fn an_age_set_later_counts_from_then_at_the_latest() {
        let mut index = TimeIndex::new(None);
        index.note(&[0; 300], || 5 * MS);
        assert_eq!(index.expired(Nanos::MAX), None);
        index.set_age(Some(Duration::from_millis(10)), 100 * MS);
        // The first 256 were complete at 5 ms, the others are only known to be older than now.
        assert_eq!(index.expired(100 * MS), Some(256));
        assert_eq!(index.expired(110 * MS), Some(300));
    }

    #[test]
    fn it_stays_small_however_many_records_come() {
        let mut index = with_age(1_000);
        let (mut now, mut oldest) = (0, 0);
        for i in 0..1_000_000u64 {
            now += 10_000;
            index.note(&[i as i64], || now);
            if let Some(expired) = index.expired(now) {
                oldest = expired;
                index.trim(oldest);
            }
        }
        // 1 s at 100 000 records/s is 100 000 records: a grain is 1 ms, so 100 records an entry.
        assert!(index.end - oldest >= 100_000 && index.end - oldest <= 100_200);
        assert!(index.entries.len() <= 1_010, "{}", index.entries.len());
        assert!(index.memory_bytes() < 64 << 10);
    }

    #[test]
    fn the_rate_is_that_of_the_last_second() {
        let mut index = TimeIndex::new(None);
        assert_eq!(index.rate(0), 0.0);
        let mut now = 0;
        for _ in 0..10_000 {
            now += MS;
            index.note(&[0; 5], || now);
        }
        let rate = index.rate(now);
        assert!((4_700.0..5_300.0).contains(&rate), "{rate}");
        index.trim(49_000); // 1 000 records are left: a fifth of a second
        let rate = index.rate(now);
        assert!((4_000.0..6_000.0).contains(&rate), "{rate}");
        let rate = index.rate(now + 1_000_000 * MS);
        assert!(rate < 1.0, "{rate}: nothing came for long");
    }

    #[test]
    fn the_rate_of_a_first_batch_is_not_infinite() {
        let mut index = TimeIndex::new(None);
        index.note(&[0; 3_000], || 7);
        assert!(
            (2_500.0..=3_000.0).contains(&index.rate(7)),
            "{}",
            index.rate(7)
        );
    }

    #[test]
    fn the_time_left_is_that_of_the_record_asked_for() {
        let mut index = with_age(10);
        index.note(&[0], || 0);
        index.note(&[0], || 4 * MS);
        let left = |offset, now| {
            index
                .time_left(offset, now * MS)
                .map(|left| left.as_millis())
        };
        assert_eq!(
            (left(0, 4), left(1, 4), left(2, 4)),
            (Some(6), Some(10), Some(10))
        );
        assert_eq!(left(0, 60), Some(0));
        assert_eq!(TimeIndex::new(None).time_left(0, 0), None);
    }

    proptest! {
        #[test]
        fn the_first_record_at_a_time_is_in_the_first_span_that_has_one(
            timestamps in proptest::collection::vec(-50i64..50, 1..1500),
            sort in any::<bool>(),
            oldest in 0usize..1500,
            wanted in -60i64..60,
            batch in 1usize..700,
        ) {
            let mut timestamps = timestamps;
            if sort {
                timestamps.sort_unstable();
            }
            let mut index = TimeIndex::new(None);
            for batch in timestamps.chunks(batch) {
                index.note(batch, || 0);
            }
            prop_assert!(index.entries.len() <= timestamps.len().div_ceil(256));
            let oldest = oldest.min(timestamps.len());
            index.trim(oldest as u64);
            let expected = (oldest..timestamps.len()).find(|&i| timestamps[i] >= wanted);
            let found = index
                .spans_from(wanted)
                .flat_map(|(from, to)| (from as usize).max(oldest)..to as usize)
                .find(|&i| timestamps[i] >= wanted);
            prop_assert_eq!(found, expected);
        }
    }
}
