//! When a batch closes: by items, by bytes, or by linger.
//!
//! Pure: whoever owns an [`Assembly`] passes `now` in and keeps the items. It never reads a clock,
//! never waits and never touches an item, so every front (threads, tokio, a client's own loop)
//! decides by the same rules and a test needs no sleep.

use std::time::{Duration, Instant};

use crate::InvalidOptions;

/// When a batch closes.
///
/// A batch closes as soon as one limit is reached: it holds [`max_items`](Self::max_items) items,
/// it weighs [`max_bytes`](Self::max_bytes), or its first item was added
/// [`linger`](Self::linger) ago.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use footman_batcher::BatchLimits;
///
/// let limits = BatchLimits::new()
///     .with_max_items(500)
///     .with_max_bytes(1 << 20)
///     .with_linger(Duration::from_millis(5));
/// assert!(limits.validate().is_ok());
/// assert!(BatchLimits::new().with_max_items(0).validate().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchLimits {
    max_items: usize,
    max_bytes: usize,
    linger: Duration,
}

impl BatchLimits {
    /// 64 items, no limit in bytes, a linger of 5 ms.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_items: 64,
            max_bytes: usize::MAX,
            linger: Duration::from_millis(5),
        }
    }

    /// Sets the most items in one batch; `usize::MAX` for no limit. Must be at least 1.
    #[must_use]
    pub const fn with_max_items(mut self, items: usize) -> Self {
        self.max_items = items;
        self
    }

    /// Sets the most bytes in one batch; `usize::MAX` for no limit. Must be at least 1.
    ///
    /// A single item that is larger still goes through, as a batch of its own.
    #[must_use]
    pub const fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the longest wait for a batch to fill, counted from its first item.
    ///
    /// [`Duration::ZERO`] makes a batch due at once; [`Duration::MAX`] never closes one by time.
    #[must_use]
    pub const fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// The most items in one batch.
    #[must_use]
    pub const fn max_items(&self) -> usize {
        self.max_items
    }

    /// The most bytes in one batch, a single larger item apart.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// The longest wait for a batch to fill.
    #[must_use]
    pub const fn linger(&self) -> Duration {
        self.linger
    }

    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// [`InvalidOptions`] names the limit that is zero.
    pub const fn validate(&self) -> Result<(), InvalidOptions> {
        if self.max_items == 0 {
            return Err(InvalidOptions::ZeroMaxItems);
        }
        if self.max_bytes == 0 {
            return Err(InvalidOptions::ZeroMaxBytes);
        }
        Ok(())
    }
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// What adding an item means for the batch under assembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The item was added and the batch takes more.
    Open,
    /// The item was **not** added: it does not fit. Close what is there
    /// ([`Assembly::reset`]), then add it again; that second `add` never says `CloseBefore`.
    CloseBefore,
    /// The item was added and filled the batch: close it now.
    Close,
}

/// The state of one batch under assembly: how many items, how many bytes, since when.
///
/// The items themselves stay with the owner. Limits that [`BatchLimits::validate`] refuses are
/// taken as 1.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use footman_batcher::{Assembly, BatchLimits, Verdict};
///
/// let limits = BatchLimits::new().with_max_items(3).with_max_bytes(100);
/// let mut assembly = Assembly::new(limits.with_linger(Duration::from_millis(5)));
/// let start = Instant::now();
///
/// assert_eq!(assembly.add(60, start), Verdict::Open);
/// assert_eq!(assembly.add(60, start), Verdict::CloseBefore); // 120 bytes would be too many
/// assembly.reset();
/// assert_eq!(assembly.add(60, start), Verdict::Open);
/// assert_eq!(assembly.add(10, start + Duration::from_millis(3)), Verdict::Open);
/// assert_eq!(assembly.deadline(), Some(start + Duration::from_millis(5))); // the first item's
/// assert_eq!(assembly.add(10, start + Duration::from_millis(4)), Verdict::Close); // three items
/// ```
#[derive(Debug, Clone)]
pub struct Assembly {
    limits: BatchLimits,
    items: usize,
    bytes: usize,
    /// When the batch is due; `None` while it is empty or if its linger never ends.
    deadline: Option<Instant>,
}

impl Assembly {
    /// An empty batch under these limits.
    #[must_use]
    pub const fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            items: 0,
            bytes: 0,
            deadline: None,
        }
    }

    /// Adds one item of `bytes` at `now`; see [`Verdict`] for what to do next.
    ///
    /// Only the first item's `now` counts: it starts the linger.
    pub fn add(&mut self, bytes: usize, now: Instant) -> Verdict {
        self.add_at(bytes, || now)
    }

    /// [`add`](Self::add) that asks for the time only if it is the batch's first item.
    pub(crate) fn add_at(&mut self, bytes: usize, now: impl FnOnce() -> Instant) -> Verdict {
        let sum = self.bytes.saturating_add(bytes);
        if self.items == 0 {
            self.deadline = now().checked_add(self.limits.linger);
        } else if sum > self.limits.max_bytes {
            return Verdict::CloseBefore;
        }
        self.items += 1;
        self.bytes = sum;
        if self.items >= self.limits.max_items || sum >= self.limits.max_bytes {
            Verdict::Close
        } else {
            Verdict::Open
        }
    }

    /// Adds `items` items without weight at once. The caller keeps to [`room`](Self::room).
    pub(crate) fn add_weightless(
        &mut self,
        items: usize,
        now: impl FnOnce() -> Instant,
    ) -> Verdict {
        debug_assert!(
            items > 0 && items <= self.room(),
            "more items than the batch has room for"
        );
        if self.items == 0 {
            self.deadline = now().checked_add(self.limits.linger);
        }
        self.items += items;
        if self.items >= self.limits.max_items {
            Verdict::Close
        } else {
            Verdict::Open
        }
    }

    /// Counts items without weight that were added elsewhere, fewer than its [`room`](Self::room); the first of them
    /// at `begun` if it was the batch's first.
    pub(crate) fn catch_up(&mut self, items: usize, begun: Option<Instant>) {
        debug_assert!(
            items < self.room() && begun.is_some() == (self.items == 0),
            "the first item brings its time, and none fills the batch"
        );
        if let Some(begun) = begun {
            self.deadline = begun.checked_add(self.limits.linger);
        }
        self.items += items;
    }

    /// How many more weightless items the batch takes.
    pub(crate) fn room(&self) -> usize {
        self.limits.max_items.max(1) - self.items
    }

    /// When the batch must close, or `None` while it is empty or if its linger never ends.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the first item has waited for the whole linger. Never true of an empty batch.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Starts the next batch: empty, same limits.
    pub const fn reset(&mut self) {
        self.items = 0;
        self.bytes = 0;
        self.deadline = None;
    }

    /// Items in the batch.
    #[must_use]
    pub const fn items(&self) -> usize {
        self.items
    }

    /// Bytes in the batch, as told to [`add`](Self::add).
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the batch has no item.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The limits it closes by.
    #[must_use]
    pub const fn limits(&self) -> &BatchLimits {
        &self.limits
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits(items: usize, bytes: usize, linger_ms: u64) -> BatchLimits {
        BatchLimits::new()
            .with_max_items(items)
            .with_max_bytes(bytes)
            .with_linger(Duration::from_millis(linger_ms))
    }

    #[test]
    fn a_batch_of_one_closes_with_its_item() {
        let mut assembly = Assembly::new(limits(1, usize::MAX, 5));
        assert_eq!(assembly.add(0, Instant::now()), Verdict::Close);
    }

    #[test]
    fn the_linger_counts_from_the_first_item_and_later_items_do_not_move_it() {
        let start = Instant::now();
        let mut assembly = Assembly::new(limits(100, usize::MAX, 5));
        assert!(
            !assembly.is_due(start + Duration::from_secs(9)),
            "an empty batch is never due"
        );
        for ms in 0..5 {
            assert_eq!(
                assembly.add(1, start + Duration::from_millis(ms)),
                Verdict::Open
            );
        }
        assert_eq!(assembly.deadline(), Some(start + Duration::from_millis(5)));
        assert!(!assembly.is_due(start + Duration::from_nanos(4_999_999)));
        assert!(assembly.is_due(start + Duration::from_millis(5)));
        assembly.reset();
        assert_eq!(assembly.deadline(), None);
    }

    #[test]
    fn an_item_over_the_byte_limit_goes_alone() {
        let now = Instant::now();
        let mut assembly = Assembly::new(limits(100, 10, 5));
        assert_eq!(assembly.add(3, now), Verdict::Open);
        assert_eq!(assembly.add(50, now), Verdict::CloseBefore);
        assert_eq!(
            (assembly.items(), assembly.bytes()),
            (1, 3),
            "a refused item changes nothing"
        );
        assembly.reset();
        assert_eq!(assembly.add(50, now), Verdict::Close);
    }

    #[test]
    fn weights_that_overflow_saturate() {
        let now = Instant::now();
        let mut assembly = Assembly::new(limits(100, usize::MAX, 5));
        assert_eq!(assembly.add(usize::MAX - 1, now), Verdict::Open);
        assert_eq!(assembly.add(usize::MAX - 1, now), Verdict::Close);
    }

    #[test]
    fn a_linger_without_end_never_makes_a_batch_due() {
        let now = Instant::now();
        let mut assembly = Assembly::new(BatchLimits::new().with_linger(Duration::MAX));
        assert_eq!(assembly.add(1, now), Verdict::Open);
        assert_eq!(assembly.deadline(), None);
        assert!(!assembly.is_due(now + Duration::from_secs(1 << 30)));
    }

    #[test]
    fn limits_of_zero_are_refused_and_taken_as_one_by_an_assembly() {
        assert_eq!(
            limits(0, 1, 0).validate(),
            Err(InvalidOptions::ZeroMaxItems)
        );
        assert_eq!(
            limits(1, 0, 0).validate(),
            Err(InvalidOptions::ZeroMaxBytes)
        );
        let mut assembly = Assembly::new(limits(0, 0, 0));
        assert_eq!(assembly.add(7, Instant::now()), Verdict::Close);
    }

    /// The plain model: a list of (bytes, ms), closed by looking at all of it each time.
    #[derive(Default)]
    struct Model {
        open: Vec<(usize, u64)>,
        closed: Vec<Vec<(usize, u64)>>,
    }

    impl Model {
        fn close(&mut self) {
            if !self.open.is_empty() {
                self.closed.push(std::mem::take(&mut self.open));
            }
        }

        fn add(&mut self, item: (usize, u64), max_items: usize, max_bytes: usize) {
            let bytes: usize = self.open.iter().map(|i| i.0).sum();
            if bytes + item.0 > max_bytes {
                self.close();
            }
            self.open.push(item);
            let bytes: usize = self.open.iter().map(|i| i.0).sum();
            if self.open.len() == max_items || bytes >= max_bytes {
                self.close();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn closes_the_same_batches_as_a_plain_list(
            max_items in 1usize..12,
            max_bytes in 1usize..60,
            linger in 0u64..20,
            steps in prop::collection::vec((0usize..30, 0u64..8), 0..80),
        ) {
            let start = Instant::now();
            let mut assembly = Assembly::new(limits(max_items, max_bytes, linger));
            let mut model = Model::default();
            let (mut open, mut closed) = (Vec::new(), Vec::new());
            let mut ms = 0;
            for (bytes, pause) in steps {
                ms += pause;
                let now = start + Duration::from_millis(ms);
                let model_due = model.open.first().is_some_and(|first| ms >= first.1 + linger);
                prop_assert_eq!(assembly.is_due(now), model_due);
                if model_due {
                    model.close();
                    closed.push(std::mem::take(&mut open));
                    assembly.reset();
                }
                model.add((bytes, ms), max_items, max_bytes);
                let mut verdict = assembly.add(bytes, now);
                if verdict == Verdict::CloseBefore {
                    closed.push(std::mem::take(&mut open));
                    assembly.reset();
                    verdict = assembly.add(bytes, now);
                }
                prop_assert_ne!(verdict, Verdict::CloseBefore);
                open.push((bytes, ms));
                if verdict == Verdict::Close {
                    closed.push(std::mem::take(&mut open));
                    assembly.reset();
                }
                prop_assert_eq!(assembly.items(), model.open.len());
                prop_assert_eq!(assembly.bytes(), model.open.iter().map(|i| i.0).sum::<usize>());
            }
            prop_assert_eq!(open, model.open);
            prop_assert_eq!(closed, model.closed);
        }
    }
}
