//! Waiting for a topic: who is to be woken when something was published.
//!
//! A consumer has one [`Signal`] (its task's waker). Before it sleeps it *arms* its follower, which leads to the
//! signal, in the [`WaitSet`] of each topic that it follows; who publishes drains the set and wakes all that were in
//! it. Nobody polls a timer, and a producer that finds nobody armed pays one fence and one load.
//!
//! ```text
//!   consumer                                producer
//!   register(waker)                         publish           (the ring's tail)
//!   arm: slots += follower, armed = 1   A1    fence SeqCst      P1
//!   fence SeqCst                      A2    armed == 0 ? done P2
//!   look again; nothing? sleep        A3    drain: slots -> list, generation += 1, armed = 0
//!                                           wake each of the list
//! ```
//!
//! # No wake-up is lost
//!
//! A consumer that goes to sleep did not see the publication at `A3`. The fences `A2` and `P1` are
//! totally ordered. If `P1` came first, `A3` would have seen what was published before it. So `A2` came
//! first, and `P2` reads `armed` as `A1` stored it or later: 1, and the producer drains and wakes; or 0,
//! because another producer drained between (removal by the consumer itself is no concern: it is
//! awake). That drain took the signal out of the slots under their lock and wakes it after. The wake
//! finds the waker that was registered before `A1`: the consumer runs again, arms again and looks again.
//!
//! A consumer that is still armed from an earlier wait does not arm twice: it knows by the set's
//! `generation`, without the lock. It may read an old generation and believe that it is armed although
//! a drain has just taken it out. Then that drain's wake has not happened before its `register` (a wake
//! and a register take the signal's lock in turn, and the drain's new generation came before the wake),
//! so the wake is still to come and finds the waker. It is the wake-up that the consumer relies on.
//!
//! # Bounds
//!
//! A subscription is in a set at most once, so a set has at most as many slots as there were
//! subscriptions armed at one time. Leaving is one swap of a slot: no scan. Waiting, giving up and
//! waiting again on an idle topic changes nothing.

use std::task::Waker;

use crate::follower::Follower;
use crate::slab::Slab;
use crate::sync::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering, fence, lock};

/// Where a consumer is woken, and what it calls itself.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waker: Option<Waker>,
    /// Boxed: few consumers have one, and each has the room for it.
    label: Option<Box<std::sync::Arc<str>>>,
}

impl Signal {
    /// Has `waker` woken by whatever was armed or will be.
    pub(crate) fn register(&self, waker: &Waker) {
        match &mut lock(&self.inner).waker {
            Some(registered) => registered.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Lets go of the waker: nobody waits.
    pub(crate) fn clear(&self) {
        let waker = lock(&self.inner).waker.take();
        drop(waker); // user code, outside the lock
    }

    pub(crate) fn wake(&self) {
        let waker = lock(&self.inner).waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn label(&self) -> Option<std::sync::Arc<str>> {
        lock(&self.inner).label.as_deref().cloned()
    }

    pub(crate) fn set_label(&self, label: std::sync::Arc<str>) {
        lock(&self.inner).label = Some(Box::new(label));
    }
}

/// The consumers that one topic wakes at its next publication.
#[derive(Debug)]
pub(crate) struct WaitSet {
    /// How many are armed. Written under the lock.
    armed: AtomicUsize,
    /// Counts drains, from 1. Written under the lock.
    generation: AtomicU64,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    followers: Slab<Arc<Follower>>,
    /// Emptied by an earlier drain, to be used again.
    spare: Slab<Arc<Follower>>,
}

/// Where a subscription is armed, if it is: only with the set that it was armed in.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Arming {
    /// The set's generation then, in halves so that it aligns as they do; 0: never armed.
    generation: [u32; 2],
    slot: u32,
}

impl Arming {
    #[inline]
    fn generation(&self) -> u64 {
        let [high, low] = self.generation.map(u64::from);
        high << 32 | low
    }

    fn new(generation: u64, slot: u32) -> Self {
        let generation = [(generation >> 32) as u32, generation as u32];
        Self { generation, slot }
    }
}

impl WaitSet {
    pub(crate) fn new() -> Self {
        Self {
            armed: AtomicUsize::new(0),
            generation: AtomicU64::new(1),
            slots: Mutex::new(Slots::default()),
        }
    }

    /// Has `follower`'s consumer woken by the next [`notify`](Self::notify). The caller then fences
    /// ([`fence_before_sleep`]), once for all its sets, and looks again before it sleeps.
    pub(crate) fn arm(&self, arming: &mut Arming, follower: &Arc<Follower>) {
        // Acquire: see the module's header, "believe".
        if arming.generation() == self.generation.load(Ordering::Acquire) {
            return;
        }
        let mut slots = lock(&self.slots);
        let slot = slots.followers.insert(Arc::clone(follower));
        // Relaxed: generation changes under the lock alone; `armed` is ordered by the fences.
        *arming = Arming::new(self.generation.load(Ordering::Relaxed), slot);
        self.armed
            .store(self.armed.load(Ordering::Relaxed) + 1, Ordering::Relaxed); // A1
    }

    /// Takes the signal out, if it is still in.
    pub(crate) fn disarm(&self, arming: &mut Arming) {
        let arming = std::mem::take(arming);
        if arming.generation() == 0 {
            return;
        }
        let mut slots = lock(&self.slots);
        if arming.generation() != self.generation.load(Ordering::Relaxed)
            && !cfg!(loom_twin = "disarm_unchecked")
        {
            return; // drained since
        }
        if slots.followers.remove(arming.slot).is_some() {
            self.armed
                .store(self.armed.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        }
    }

    /// Wakes all that are armed. Call it after what they wait for has become visible.
    #[inline]
    pub(crate) fn notify(&self) {
        if !cfg!(loom_twin = "notify_without_fence") {
            fence(Ordering::SeqCst); // P1
        }
        if self.armed.load(Ordering::Relaxed) != 0 {
            // P2
            self.drain();
        }
    }

    #[cold]
    fn drain(&self) {
        let mut slots = lock(&self.slots);
        let spare = std::mem::take(&mut slots.spare);
        let mut followers = std::mem::replace(&mut slots.followers, spare);
        let drained = self.generation.load(Ordering::Relaxed);
        let next = if cfg!(loom_twin = "drain_unnoticed") {
            drained
        } else {
            drained + 1
        };
        self.generation.store(next, Ordering::Release); // with `arm`'s Acquire
        self.armed.store(0, Ordering::Relaxed);
        drop(slots);
        for follower in followers.drain() {
            follower.signal().wake();
        }
        let mut slots = lock(&self.slots);
        if followers.capacity() > slots.spare.capacity() {
            slots.spare = followers;
        }
    }

    /// How many are armed now.
    pub(crate) fn armed(&self) -> usize {
        self.armed.load(Ordering::Relaxed) // a count for display
    }

    #[cfg(all(test, not(any(loom, shuttle))))]
    fn slots(&self) -> usize {
        let slots = lock(&self.slots);
        slots.followers.capacity() + slots.spare.capacity()
    }
}

/// Orders "armed" before the look that follows: once, after all sets have been armed.
#[inline]
pub(crate) fn fence_before_sleep() {
    if !cfg!(loom_twin = "sleep_without_fence") {
        fence(Ordering::SeqCst); // A2
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize as Count;

    struct Counter(Count);

    impl std::task::Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counted() -> (Arc<Counter>, Arc<Follower>) {
        let counter = Arc::new(Counter(Count::new(0)));
        let follower = Arc::new(Follower::default());
        follower
            .signal()
            .register(&Waker::from(Arc::clone(&counter)));
        (counter, follower)
    }

    #[test]
    fn everyone_armed_is_woken_once() {
        let set = WaitSet::new();
        let waiters: Vec<_> = (0..100).map(|_| counted()).collect();
        for (_, follower) in &waiters {
            set.arm(&mut Arming::default(), follower);
        }
        assert_eq!(set.armed(), 100);
        set.notify();
        set.notify();
        assert!(
            waiters
                .iter()
                .all(|(counter, _)| counter.0.load(Ordering::SeqCst) == 1)
        );
        assert_eq!(set.armed(), 0);
    }

    #[test]
    fn who_left_is_not_woken() {
        let set = WaitSet::new();
        let (stays, leaves) = (counted(), counted());
        let (mut a, mut b) = (Arming::default(), Arming::default());
        set.arm(&mut a, &stays.1);
        set.arm(&mut b, &leaves.1);
        set.disarm(&mut b);
        set.disarm(&mut b);
        assert_eq!(set.armed(), 1);
        set.notify();
        assert_eq!(stays.0.0.load(Ordering::SeqCst), 1);
        assert_eq!(leaves.0.0.load(Ordering::SeqCst), 0);
        // `a` was drained: leaving now must not take out who has its place today.
        let newcomer = counted();
        set.arm(&mut Arming::default(), &newcomer.1);
        set.disarm(&mut a);
        set.notify();
        assert_eq!(newcomer.0.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn an_idle_set_does_not_grow_by_waiting_and_giving_up() {
        let set = WaitSet::new();
        let (_, follower) = counted();
        for _ in 0..100_000 {
            let mut arming = Arming::default();
            set.arm(&mut arming, &follower);
            set.arm(&mut arming, &follower);
            set.disarm(&mut arming);
        }
        assert_eq!(set.armed(), 0);
        assert!(set.slots() < 32, "{}", set.slots());
        assert_eq!(Arc::strong_count(&follower), 1);
    }
}
