//! No wake-up is lost: the header of `wait.rs`, checked in every interleaving.

use std::task::Waker;

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::follower::Follower;
use crate::wait::{Arming, WaitSet, fence_before_sleep};

/// Waits until `tail` reaches `wanted`, as a consumer does; a lost wake-up is a deadlock.
async fn reached(
    set: &WaitSet,
    follower: &Arc<Follower>,
    arming: &mut Arming,
    tail: &AtomicU64,
    wanted: u64,
) {
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        if tail.load(Ordering::Acquire) >= wanted {
            return Poll::Ready(());
        }
        follower.signal().register(cx.waker());
        set.arm(arming, follower);
        fence_before_sleep();
        if tail.load(Ordering::Acquire) >= wanted {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

fn publish(set: &WaitSet, tail: &AtomicU64, end: u64) {
    tail.store(end, Ordering::Release);
    set.notify();
}

#[test]
fn loom_a_waiter_sees_every_publication() {
    loom::model(|| {
        let set = Arc::new(WaitSet::new());
        let tail = Arc::new(AtomicU64::new(0));
        let producer = {
            let (set, tail) = (Arc::clone(&set), Arc::clone(&tail));
            thread::spawn(move || {
                publish(&set, &tail, 1);
                publish(&set, &tail, 2);
            })
        };
        let follower = Arc::new(Follower::default());
        let mut arming = Arming::default();
        block_on(async {
            reached(&set, &follower, &mut arming, &tail, 1).await;
            // Perhaps still armed from before: the generation says so, and it must be right.
            reached(&set, &follower, &mut arming, &tail, 2).await;
        });
        producer.join().unwrap();
    });
}

#[test]
fn loom_two_waiters_are_both_woken() {
    loom::model(|| {
        let set = Arc::new(WaitSet::new());
        let tail = Arc::new(AtomicU64::new(0));
        let waiter = {
            let (set, tail) = (Arc::clone(&set), Arc::clone(&tail));
            move || {
                let follower = Arc::new(Follower::default());
                let mut arming = Arming::default();
                block_on(reached(&set, &follower, &mut arming, &tail, 1));
                set.disarm(&mut arming);
            }
        };
        let other = thread::spawn(waiter.clone());
        let third = {
            let (set, tail) = (Arc::clone(&set), Arc::clone(&tail));
            thread::spawn(move || publish(&set, &tail, 1))
        };
        waiter();
        other.join().unwrap();
        third.join().unwrap();
        assert_eq!(set.armed(), 0);
    });
}

#[test]
fn loom_who_leaves_does_not_take_another_out() {
    loom::model(|| {
        let set = Arc::new(WaitSet::new());
        let tail = Arc::new(AtomicU64::new(0));
        let leaver = {
            let set = Arc::clone(&set);
            thread::spawn(move || {
                let follower = Arc::new(Follower::default());
                let mut arming = Arming::default();
                follower.signal().register(Waker::noop());
                set.arm(&mut arming, &follower);
                set.disarm(&mut arming);
                follower.signal().clear();
            })
        };
        let producer = {
            let (set, tail) = (Arc::clone(&set), Arc::clone(&tail));
            thread::spawn(move || publish(&set, &tail, 1))
        };
        let follower = Arc::new(Follower::default());
        let mut arming = Arming::default();
        block_on(reached(&set, &follower, &mut arming, &tail, 1));
        leaver.join().unwrap();
        producer.join().unwrap();
    });
}
