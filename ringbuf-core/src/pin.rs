//! The pin word of a segment: how readers keep a segment, and how the producer gets it back.
//!
//! ```text
//!     bit W-1   bits W-2 .. 0
//!    ┌───────┬───────────────┐
//!    │ FLAG  │ pins          │     FLAG: the producer's alone     pins: readers that are inside, or
//!    └───────┴───────────────┘                                    just looked and are about to leave
//!
//!      take: 0 ──► FLAG   fails while a reader is inside: the producer retires the segment instead
//!      release: - FLAG    the segment has a new life; a reader that looks in finds its new base
//! ```
//!
//! # Invariants
//!
//! - **P-I1** From `take` to `release` no reader is inside: a pin that meets FLAG is given back at
//!   once and nothing is read under it.
//! - **P-I2** A pin that met no FLAG keeps FLAG away until it is given back (`take` wants exactly 0).
//! - **P-I3** Only the producer sets and clears FLAG.
//!
//! # Memory ordering
//!
//! One word, and every change of it a read-modify-write: each reads the latest value, so no fence
//! is needed between a pin and a take, and all later changes carry on the release sequence of the
//! earlier ones.
//!
//! | pair        | orders                                              | without it                        |
//! |-------------|-----------------------------------------------------|-----------------------------------|
//! | `P2` → `P3` | what a reader read before what the producer writes  | a record changes under a reader   |
//! | `P4` → `P1` | the segment's new base before a reader's look at it | a reader takes an old life's base |
//! | `P3` → `P1` | the oldest sequence, moved on before the take,      | a reader that met FLAG looks      |
//! |             | before that reader's next look                      | again without end                 |
//!
//! # Overflow
//!
//! Only leaked pins (`mem::forget` of a run) could fill the count: 2^63 of them, or 2^31 where a
//! `usize` has 32 bits. The word then reads as FLAG: new pins are refused and `take` still wants 0,
//! so the segment is kept until the ring goes, and no rule above is broken.

use crate::sync::AtomicUsize;
use crate::sync::Ordering::Relaxed;
use crate::twin;

const FLAG: usize = 1 << (usize::BITS - 1);

/// See the module's header.
#[derive(Debug)]
pub(crate) struct PinWord(AtomicUsize);

impl PinWord {
    /// A word that is the producer's.
    pub(crate) fn taken() -> Self {
        Self(AtomicUsize::new(FLAG))
    }

    /// Enters, unless the segment is the producer's. `true` must be answered by one [`unpin`](Self::unpin).
    #[inline]
    pub(crate) fn try_pin(&self) -> bool {
        if !twin::count_pins() {
            return self.0.load(twin::pin()) & FLAG == 0;
        }
        if self.0.fetch_add(1, twin::pin()) & FLAG == 0 {
            return true; // P1
        }
        self.0.fetch_sub(1, Relaxed); // nothing was read: nothing to order
        false
    }

    /// Leaves: what was read under the pin has been read.
    #[inline]
    pub(crate) fn unpin(&self) {
        if twin::count_pins() {
            let before = self.0.fetch_sub(1, twin::unpin()); // P2
            debug_assert!(before & !FLAG != 0, "a pin was given back that nobody had");
        }
    }

    /// Takes the segment for the producer, if no reader is inside.
    pub(crate) fn try_take(&self) -> bool {
        if !twin::retire_pinned() {
            return self.0.fetch_or(FLAG, twin::take()) & FLAG == 0;
        }
        self.0
            .compare_exchange(0, FLAG, twin::take(), Relaxed)
            .is_ok() // P3
    }

    /// Lets readers in again. Readers that only looked may be counted still: they leave by themselves.
    pub(crate) fn release(&self) {
        self.0.fetch_sub(FLAG, twin::release()); // P4
    }
}
