//! Corners of the core that the public interface reaches only by chance.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::batch::BatchLimits;
use crate::core::{Core, Placement};
use crate::queue::{Queue, Settled};

#[test]
fn an_evicted_item_comes_back_also_from_a_queue_filled_beyond_its_capacity() {
    let limits = BatchLimits::new()
        .with_max_items(2)
        .with_linger(Duration::MAX);
    let placement = Placement {
        weigher: None,
        key: Some((
            Box::new(|item: &u64, _| *item),
            std::hash::RandomState::new(),
        )),
        lanes: 2,
    };
    let core = Core::<u64, ()>::new(Queue::new(&limits, 4, Some(2), false), placement);
    let core = Arc::new(core);
    core.hire(2);
    for item in [0, 2, 1, 3] {
        core.try_enqueue(item).unwrap();
    }
    let even = core.next(None).unwrap();
    let mut odd = core.next(None).unwrap();
    assert_eq!(
        (&even.items[..], &odd.items[..]),
        (&[0, 2][..], &[1, 3][..])
    );
    for item in [5, 7, 9, 11] {
        core.try_enqueue(item).unwrap(); // full, behind the odd batch in process
    }
    let other = Arc::clone(&core);
    let late = Instant::now() + Duration::from_secs(3600);
    let worker = thread::spawn(move || other.next(Some(Settled::Retry(even, late))).is_none());
    while core.counters().retries == 0 {
        thread::yield_now();
    }
    assert_eq!(core.counters().queued, 6, "the retry came on top");
    assert_eq!(core.enqueue_or_evict(13).unwrap(), Some(5));
    assert_eq!(core.stop_now(), [0, 2, 7, 9, 11, 13]);
    assert!(worker.join().unwrap());
    odd.items.clear(); // as a worker does
    assert!(core.next(Some(Settled::Processed(odd))).is_none());
    let c = core.counters();
    assert_eq!(c.accepted, c.processed + c.evicted + c.returned);
}
