//! The orderings and checks on which the proof rests, by name.
//!
//! Each is what the headers of `pin.rs`, `chain.rs` and `wait.rs` say. In a build with `--cfg twins`, the environment
//! weakens exactly one of them (`FOOTMAN_TWIN=ringbuf-core:name`), and the model that `loom-twins.txt` pairs with that name
//! must then fail: a model that passes either way proves nothing. In every other build each is a constant.

use crate::sync::Ordering;

/// Whether this run is of the twin `name`.
#[cfg(twins)]
pub(crate) fn is(name: &str) -> bool {
    static TWIN: std::sync::OnceLock<std::string::String> = std::sync::OnceLock::new();
    let twin = TWIN.get_or_init(|| std::env::var("FOOTMAN_TWIN").unwrap_or_default());
    twin.strip_prefix("ringbuf-core:") == Some(name)
}

#[cfg(not(twins))]
#[inline(always)]
pub(crate) const fn is(_: &str) -> bool {
    false
}

#[inline(always)]
fn ordering(twin: &str, right: Ordering, weak: Ordering) -> Ordering {
    if is(twin) { weak } else { right }
}

/// `C3`: the published tail.
#[inline(always)]
pub(crate) fn tail_store() -> Ordering {
    ordering("tail_store_relaxed", Ordering::Release, Ordering::Relaxed)
}

/// `R1`: a reader's look at the tail.
#[inline(always)]
pub(crate) fn tail_load() -> Ordering {
    ordering("tail_load_relaxed", Ordering::Acquire, Ordering::Relaxed)
}

/// `C5`: the pointer to a directory.
#[inline(always)]
pub(crate) fn directory_store() -> Ordering {
    ordering(
        "directory_store_relaxed",
        Ordering::Release,
        Ordering::Relaxed,
    )
}

/// `R4`: a reader's look at it.
#[inline(always)]
pub(crate) fn directory_load() -> Ordering {
    ordering(
        "directory_load_relaxed",
        Ordering::Acquire,
        Ordering::Relaxed,
    )
}

/// `R2`: a reader's look for the end.
#[inline(always)]
pub(crate) fn closed_load() -> Ordering {
    ordering("closed_load_relaxed", Ordering::Acquire, Ordering::Relaxed)
}

/// `P1`: a reader takes a pin.
#[inline(always)]
pub(crate) fn pin() -> Ordering {
    ordering("pin_relaxed", Ordering::Acquire, Ordering::Relaxed)
}

/// `P2`: a reader gives its pin back.
#[inline(always)]
pub(crate) fn unpin() -> Ordering {
    ordering("unpin_relaxed", Ordering::Release, Ordering::Relaxed)
}

/// `P3`: the producer takes a segment back.
#[inline(always)]
pub(crate) fn take() -> Ordering {
    if is("take_acquire") {
        return Ordering::Acquire;
    }
    ordering("take_release", Ordering::AcqRel, Ordering::Release)
}

/// `P4`: the producer lets readers into a segment again.
#[inline(always)]
pub(crate) fn release() -> Ordering {
    ordering("release_relaxed", Ordering::Release, Ordering::Relaxed)
}

/// `C4`: no more records will come.
#[inline(always)]
pub(crate) fn closed_store() -> Ordering {
    ordering("closed_store_relaxed", Ordering::Release, Ordering::Relaxed)
}

/// `L1`: a producer among many takes the lock.
#[inline(always)]
pub(crate) fn lock() -> Ordering {
    ordering("lock_relaxed", Ordering::Acquire, Ordering::Relaxed)
}

/// `L2`: it gives it back.
#[inline(always)]
pub(crate) fn unlock() -> Ordering {
    ordering("unlock_relaxed", Ordering::Release, Ordering::Relaxed)
}

/// `W2`: a waiter looks at the tail again after it has announced itself.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) fn waiter_fence() -> bool {
    !is("no_waiter_fence")
}

/// `W1`: a producer looks for waiters after it has published.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) fn publish_fence() -> bool {
    !is("no_publish_fence")
}

/// A waiter that announced itself looks at the tail once more before it sleeps.
#[cfg(feature = "std")]
#[inline(always)]
pub(crate) fn recheck() -> bool {
    !is("no_recheck")
}

/// A reader believes a pin only if the segment still is of the sequence that it wants.
#[inline(always)]
pub(crate) fn check_base() -> bool {
    !is("no_base_check")
}

/// A reader counts itself into a segment before it reads there.
#[inline(always)]
pub(crate) fn count_pins() -> bool {
    !is("no_pin")
}

/// A reader that sees the end looks at the tail once more before it says so.
#[inline(always)]
pub(crate) fn look_again() -> bool {
    !is("closed_without_second_look")
}

/// A segment in which a reader stands is retired, not taken.
#[inline(always)]
pub(crate) fn retire_pinned() -> bool {
    !is("take_pinned")
}

/// The end of a segment is written before a record beyond it is published.
#[inline(always)]
pub(crate) fn seal() -> bool {
    !is("no_seal")
}

/// A slice, or a run of bytes, is appended under one lock.
#[inline(always)]
pub(crate) fn one_lock() -> bool {
    !is("slice_torn")
}

/// A producer among many looks for the end before it appends.
#[inline(always)]
pub(crate) fn look_for_end() -> bool {
    !is("append_after_close")
}
