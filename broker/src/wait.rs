//! Waiting for a topic: who is to be woken when something was published.
//!
//! A consumer has one [`Signal`] (its task's waker). In the [`WaitSet`] of each topic that it follows it has a [`Seat`], a
//! bit of a row. Before it sleeps it *arms* its seats; who publishes takes the armed bits and wakes whose they were.
//! Nobody polls a timer, a consumer takes no lock that others take too, and a producer that finds nobody armed pays one
//! fence and one load.
//!
//! ```text
//!   consumer                                 producer
//!   register(waker)                          publish            (the ring's tail)
//!   arm: bit |= seat                  A1     fence SeqCst       P1
//!        fence SeqCst                 A2     any ? : done       P2
//!        any ? : any = true           A3     any = false        D1
//!   fence SeqCst                      A4     fence SeqCst       D2
//!   look again; nothing? sleep        A5     take each row's bits, wake whose they are   D3
//! ```
//!
//! # No wake-up is lost
//!
//! Fences are totally ordered, and what stands before one is seen by what stands behind a later one.
//!
//! **A bit that is set has `any` set, or a drain that will take it.** Let a drain clear `any` at `D1`, and a consumer set its
//! bit at `A1`. Is `A2` before `D2`, then `D3` sees the bit. Else `A3` sees `D1`, or what came after it, and sets `any`
//! unless it is set again.
//!
//! **Who sleeps is woken by the next publication.** A consumer that goes to sleep did not see it at `A5`, so `P1` did not come
//! before `A4`. Then `P2` reads `any` as `A3` left it or later. Is it set, the producer drains, and its `D3` finds the bit, unless
//! another drain has it already; is it cleared, then by a drain that will take the bit, or has taken it. Whoever takes the bit
//! wakes the waker that was registered before `A1`: the consumer runs again, arms again and looks again.
//!
//! A consumer whose seat is still armed from an earlier wait does nothing to arm it. It may see an old row and
//! believe that it is armed although a drain has just taken its bit. Then that drain has not yet taken its waker when it
//! `register`s (the two take the signal's lock in turn, and the bit was taken before the waker): the wake is still
//! to come and finds the waker. It is the wake-up that the consumer relies on.
//!
//! # Bounds
//!
//! A subscription has one seat from its beginning to its end; a seat that was left is given again. A drain looks at a word
//! for each 64 seats, and only when somebody is armed.

use std::task::Waker;

use crate::follower::Follower;
use crate::slab::Slab;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, fence, lock};
use crate::twin;

/// Bits of a row.
const SEATS_IN_A_ROW: u32 = 64;

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
        drop(self.take()); // user code, outside the lock
    }

    /// The waker of who waits; it is for the caller to wake it.
    fn take(&self) -> Option<Waker> {
        lock(&self.inner).waker.take()
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
    /// Whether somebody may be armed.
    any: AtomicBool,
    seats: Mutex<Seats>,
}

/// Who has which seat. A row goes with every 64 seats.
#[derive(Debug, Default)]
struct Seats {
    followers: Slab<Arc<Follower>>,
    rows: Vec<Arc<AtomicU64>>,
}

/// A follower's place in a set: where it says that it is to be woken.
#[derive(Debug)]
pub(crate) struct Seat {
    row: Arc<AtomicU64>,
    number: u32,
}

impl Seat {
    #[inline]
    fn bit(&self) -> u64 {
        1 << (self.number % SEATS_IN_A_ROW)
    }

    /// Whether the next publication wakes it. It was armed, and is not: somebody woke it since, or is about to.
    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        self.row.load(Ordering::Relaxed) & self.bit() != 0 // see the module's header, "believe"
    }

    /// It need not be woken.
    pub(crate) fn disarm(&self) {
        self.row.fetch_and(!self.bit(), Ordering::Relaxed); // a wake more or less is no matter
    }
}

impl WaitSet {
    pub(crate) fn new() -> Self {
        Self {
            any: AtomicBool::new(false),
            seats: Mutex::new(Seats::default()),
        }
    }

    /// Gives `follower` a seat, to be given back by [`leave`](Self::leave).
    pub(crate) fn join(&self, follower: &Arc<Follower>) -> Seat {
        let mut seats = lock(&self.seats);
        let number = seats.followers.insert(Arc::clone(follower));
        let row = (number / SEATS_IN_A_ROW) as usize;
        if row == seats.rows.len() {
            seats.rows.push(Arc::new(AtomicU64::new(0)));
        }
        let row = Arc::clone(&seats.rows[row]);
        Seat { row, number }
    }

    /// Frees a seat, and gives back whose it was.
    pub(crate) fn leave(&self, seat: &Seat) -> Option<Arc<Follower>> {
        let mut seats = lock(&self.seats);
        if twin::is("leave_row") {
            seat.row.store(0, Ordering::Relaxed);
        }
        seat.disarm(); // under the lock: whoever has the seat next is not woken for it
        seats.followers.remove(seat.number)
    }

    /// Has the consumer in that seat woken by the next [`notify`](Self::notify). The caller then fences
    /// ([`fence_before_sleep`]), once for all its sets, and looks again before it sleeps.
    #[inline]
    pub(crate) fn arm(&self, seat: &Seat) {
        if seat.is_armed() {
            return;
        }
        seat.row.fetch_or(seat.bit(), Ordering::Release); // A1
        if !twin::is("arm_without_fence") {
            fence(Ordering::SeqCst); // A2
        }
        if !self.any.load(Ordering::Relaxed) {
            self.any.store(true, Ordering::Relaxed); // A3
        }
    }

    /// Wakes all that are armed. Call it after what they wait for has become visible.
    #[inline]
    pub(crate) fn notify(&self) {
        if !twin::is("notify_without_fence") {
            fence(Ordering::SeqCst); // P1
        }
        if self.any.load(Ordering::Relaxed) {
            // P2
            self.drain();
        }
    }

    #[cold]
    fn drain(&self) {
        if !twin::is("cleared_last") {
            self.any.store(false, Ordering::Relaxed); // D1
        }
        if !twin::is("drain_without_fence") {
            fence(Ordering::SeqCst); // D2
        }
        let mut woken = Vec::with_capacity(SEATS_IN_A_ROW as usize); // nothing is allocated under the lock
        let mut next = 0;
        loop {
            let seats = lock(&self.seats);
            let mut rows = seats.rows.iter().enumerate().skip(next);
            let armed = rows.find_map(|(row, bits)| {
                let armed = bits.load(Ordering::Relaxed) != 0;
                armed.then(|| (row, bits.swap(0, Ordering::Acquire))) // D3
            });
            let Some((row, mut bits)) = armed else {
                if twin::is("cleared_last") {
                    self.any.store(false, Ordering::Relaxed);
                }
                return;
            };
            next = row + 1;
            while bits != 0 {
                let number = row as u32 * SEATS_IN_A_ROW + bits.trailing_zeros();
                bits &= bits - 1;
                let follower = seats.followers.get(number);
                woken.extend(follower.and_then(|follower| follower.signal().take()));
            }
            drop(seats);
            // User code, outside the lock.
            woken.drain(..).for_each(Waker::wake);
        }
    }

    /// How many are armed now.
    pub(crate) fn armed(&self) -> usize {
        let rows = &lock(&self.seats).rows;
        let armed = |row: &Arc<AtomicU64>| row.load(Ordering::Relaxed).count_ones() as usize;
        rows.iter().map(armed).sum()
    }

    /// Looks at all who have a seat, each with its number.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Slab<Arc<Follower>>) -> R) -> R {
        look(&lock(&self.seats).followers)
    }
}

/// Orders "armed" before the look that follows: once, after all sets have been armed.
#[inline]
pub(crate) fn fence_before_sleep() {
    if !twin::is("sleep_without_fence") {
        fence(Ordering::SeqCst); // A4
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

    fn woken(counter: &Counter) -> usize {
        counter.0.load(Ordering::SeqCst)
    }

    #[test]
    fn everyone_armed_is_woken_once() {
        let set = WaitSet::new();
        let waiters: Vec<_> = (0..100).map(|_| counted()).collect();
        let seats: Vec<_> = waiters.iter().map(|(_, f)| set.join(f)).collect();
        seats.iter().skip(1).for_each(|seat| set.arm(seat));
        assert_eq!(set.armed(), 99);
        set.notify();
        set.notify();
        let times: Vec<_> = waiters.iter().map(|(counter, _)| woken(counter)).collect();
        assert_eq!((times[0], &times[1..]), (0, &[1; 99][..]));
        assert_eq!(set.armed(), 0);
    }

    #[test]
    fn who_left_is_not_woken() {
        let set = WaitSet::new();
        let (stays, leaves) = (counted(), counted());
        let (a, b) = (set.join(&stays.1), set.join(&leaves.1));
        set.arm(&a);
        set.arm(&b);
        assert!(
            set.leave(&b)
                .is_some_and(|left| Arc::ptr_eq(&left, &leaves.1))
        );
        assert_eq!(set.armed(), 1);
        let newcomer = counted();
        let c = set.join(&newcomer.1);
        assert_eq!(c.number, b.number, "a seat is given again");
        set.notify();
        let times = [&stays, &leaves, &newcomer].map(|(counter, _)| woken(counter));
        assert_eq!(times, [1, 0, 0]);
        set.arm(&c);
        set.notify();
        assert_eq!(woken(&newcomer.0), 1);
    }

    #[test]
    fn an_idle_set_does_not_grow_by_waiting_and_giving_up() {
        let set = WaitSet::new();
        let (_, follower) = counted();
        for _ in 0..10_000 {
            let seat = set.join(&follower);
            set.arm(&seat);
            set.arm(&seat);
            set.leave(&seat);
        }
        assert_eq!(set.armed(), 0);
        let rows = lock(&set.seats).rows.len();
        assert_eq!((rows, Arc::strong_count(&follower)), (1, 1));
    }
}
