//! The orderings and checks on which the proof rests, by name.
//!
//! Each is what the headers of `pin.rs`, `chain.rs` and `wait.rs` say. Under loom, `--cfg loom_twin="name"` weakens exactly
//! one of them, and the model that `loom-twins.txt` pairs with that name must then fail: a model
//! that passes either way proves nothing.

use crate::sync::Ordering;

const fn ordering(weakened: bool, right: Ordering, weak: Ordering) -> Ordering {
    if weakened { weak } else { right }
}

/// `C3`: the published tail.
pub(crate) const TAIL_STORE: Ordering = ordering(
    cfg!(loom_twin = "tail_store_relaxed"),
    Ordering::Release,
    Ordering::Relaxed,
);
/// `R1`: a reader's look at the tail.
pub(crate) const TAIL_LOAD: Ordering = ordering(
    cfg!(loom_twin = "tail_load_relaxed"),
    Ordering::Acquire,
    Ordering::Relaxed,
);
/// `C5`: the pointer to a directory.
pub(crate) const DIRECTORY_STORE: Ordering = ordering(
    cfg!(loom_twin = "directory_store_relaxed"),
    Ordering::Release,
    Ordering::Relaxed,
);
/// `R4`: a reader's look at it.
pub(crate) const DIRECTORY_LOAD: Ordering = ordering(
    cfg!(loom_twin = "directory_load_relaxed"),
    Ordering::Acquire,
    Ordering::Relaxed,
);
/// `R2`: a reader's look for the end.
pub(crate) const CLOSED_LOAD: Ordering = ordering(
    cfg!(loom_twin = "closed_load_relaxed"),
    Ordering::Acquire,
    Ordering::Relaxed,
);
/// `P1`: a reader takes a pin.
pub(crate) const PIN: Ordering = ordering(
    cfg!(loom_twin = "pin_relaxed"),
    Ordering::Acquire,
    Ordering::Relaxed,
);
/// `P2`: a reader gives its pin back.
pub(crate) const UNPIN: Ordering = ordering(
    cfg!(loom_twin = "unpin_relaxed"),
    Ordering::Release,
    Ordering::Relaxed,
);
/// `P3`: the producer takes a segment back.
pub(crate) const TAKE: Ordering = if cfg!(loom_twin = "take_acquire") {
    Ordering::Acquire
} else {
    ordering(
        cfg!(loom_twin = "take_release"),
        Ordering::AcqRel,
        Ordering::Release,
    )
};
/// `P4`: the producer lets readers into a segment again.
pub(crate) const RELEASE: Ordering = ordering(
    cfg!(loom_twin = "release_relaxed"),
    Ordering::Release,
    Ordering::Relaxed,
);
/// `C4`: no more records will come.
pub(crate) const CLOSED_STORE: Ordering = ordering(
    cfg!(loom_twin = "closed_store_relaxed"),
    Ordering::Release,
    Ordering::Relaxed,
);

/// `L1`: a producer among many takes the lock.
pub(crate) const LOCK: Ordering = ordering(
    cfg!(loom_twin = "lock_relaxed"),
    Ordering::Acquire,
    Ordering::Relaxed,
);
/// `L2`: it gives it back.
pub(crate) const UNLOCK: Ordering = ordering(
    cfg!(loom_twin = "unlock_relaxed"),
    Ordering::Release,
    Ordering::Relaxed,
);

/// `W2`: a waiter looks at the tail again after it has announced itself.
#[cfg(feature = "std")]
pub(crate) const WAITER_FENCE: bool = !cfg!(loom_twin = "no_waiter_fence");
/// `W1`: a producer looks for waiters after it has published.
#[cfg(feature = "std")]
pub(crate) const PUBLISH_FENCE: bool = !cfg!(loom_twin = "no_publish_fence");
/// A waiter that announced itself looks at the tail once more before it sleeps.
#[cfg(feature = "std")]
pub(crate) const RECHECK: bool = !cfg!(loom_twin = "no_recheck");

/// A reader believes a pin only if the segment still is of the sequence that it wants.
pub(crate) const CHECK_BASE: bool = !cfg!(loom_twin = "no_base_check");
/// A reader counts itself into a segment before it reads there.
pub(crate) const COUNT_PINS: bool = !cfg!(loom_twin = "no_pin");
/// A reader that sees the end looks at the tail once more before it says so.
pub(crate) const LOOK_AGAIN: bool = !cfg!(loom_twin = "closed_without_second_look");
/// A segment in which a reader stands is retired, not taken.
pub(crate) const RETIRE_PINNED: bool = !cfg!(loom_twin = "take_pinned");
/// The end of a segment is written before a record beyond it is published.
pub(crate) const SEAL: bool = !cfg!(loom_twin = "no_seal");
/// A slice, or a run of bytes, is appended under one lock.
pub(crate) const ONE_LOCK: bool = !cfg!(loom_twin = "slice_torn");
/// A producer among many looks for the end before it appends.
pub(crate) const LOOK_FOR_END: bool = !cfg!(loom_twin = "append_after_close");
