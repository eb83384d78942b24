//! No wake-up is lost: the header of `wait.rs`, checked in every interleaving.

use std::task::{Poll, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::follower::Follower;
use crate::wait::{Seat, WaitSet, fence_before_sleep};

/// A topic: how much was published, and who waits for more.
struct Topic {
    tail: AtomicU64,
    set: WaitSet,
}

impl Topic {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            tail: AtomicU64::new(0),
            set: WaitSet::new(),
        })
    }

    fn publish(&self, more: u64) {
        self.tail.fetch_add(more, Ordering::Release);
        self.set.notify();
    }
}

/// Has somebody publish so much more.
fn spawn_producer(topic: &Arc<Topic>, more: u64) -> thread::JoinHandle<()> {
    let topic = Arc::clone(topic);
    thread::spawn(move || topic.publish(more))
}

struct Waiter {
    topic: Arc<Topic>,
    follower: Arc<Follower>,
    seat: Seat,
}

impl Waiter {
    fn new(topic: &Arc<Topic>) -> Self {
        let (topic, follower) = (Arc::clone(topic), Arc::new(Follower::default()));
        let seat = topic.set.join(&follower);
        Self {
            topic,
            follower,
            seat,
        }
    }

    /// Waits as a consumer does, until all of `wanted` is there; a lost wake-up is a deadlock.
    async fn wait(&self, wanted: u64) {
        let reached = || self.topic.tail.load(Ordering::Acquire) & wanted == wanted;
        std::future::poll_fn(|cx| {
            if reached() {
                return Poll::Ready(());
            }
            self.follower.signal().register(cx.waker());
            self.topic.set.arm(&self.seat);
            fence_before_sleep();
            if reached() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn leave(&self) {
        self.topic.set.leave(&self.seat);
    }
}

#[test]
fn loom_a_waiter_sees_every_publication() {
    loom::model(|| {
        let topic = Topic::new();
        let waiter = Waiter::new(&topic);
        let producer = {
            let topic = Arc::clone(&topic);
            thread::spawn(move || {
                topic.publish(1);
                topic.publish(2);
            })
        };
        block_on(async {
            waiter.wait(1).await;
            // Perhaps still armed from before: its seat says so, and it must be right.
            waiter.wait(3).await;
        });
        producer.join().unwrap();
    });
}

#[test]
fn loom_a_drain_for_others_does_not_hide_who_is_armed_meanwhile() {
    loom::model(|| {
        let topic = Topic::new();
        let waiter = Waiter::new(&topic);
        topic.set.arm(&waiter.seat);
        waiter.seat.disarm(); // there is nobody to be found, but a drain looks
        let producers = [1, 2].map(|more| spawn_producer(&topic, more));
        block_on(waiter.wait(3));
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

#[test]
fn loom_two_waiters_are_both_woken() {
    loom::model(|| {
        let topic = Topic::new();
        let [one, other] = [(); 2].map(|()| Waiter::new(&topic));
        let producer = spawn_producer(&topic, 1);
        let other = thread::spawn(move || {
            block_on(other.wait(1));
            other.leave();
        });
        block_on(one.wait(1));
        one.leave();
        other.join().unwrap();
        producer.join().unwrap();
        assert_eq!(topic.set.armed(), 0);
    });
}

#[test]
fn loom_who_leaves_does_not_take_another_out() {
    loom::model(|| {
        let topic = Topic::new();
        let [waiter, leaver] = [(); 2].map(|()| Waiter::new(&topic));
        let leaver = thread::spawn(move || {
            leaver.follower.signal().register(Waker::noop());
            leaver.topic.set.arm(&leaver.seat);
            leaver.leave();
            leaver.follower.signal().clear();
        });
        let producer = spawn_producer(&topic, 1);
        block_on(waiter.wait(1));
        leaver.join().unwrap();
        producer.join().unwrap();
    });
}
