//! A ring and a stream as sources: nothing lost but what the ring says, nothing taken past a stop.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use footman_batcher::{AsyncBatcher, Batch, Batcher, FeedEnd};
use ringbuf_core::Ring;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_ring_feeds_until_it_is_closed() {
    let (mut producer, ring) = Ring::<u64>::new(1 << 16).unwrap();
    let (enter, entered) = mpsc::channel();
    let batcher = Batcher::builder()
        .max_items(50)
        .workers(1)
        .capacity(100)
        .start(move |batch: &mut Batch<u64>| {
            enter.send(batch.to_vec()).ok();
            Ok::<(), Infallible>(())
        });
    let batcher = batcher.unwrap();
    let fed = thread::scope(|scope| {
        let feed = scope.spawn(|| batcher.feed_from_ring(&mut ring.reader(0)));
        for value in 0..10_000 {
            producer.append(value);
        }
        producer.close();
        feed.join().unwrap()
    });
    assert_eq!(
        (fed.accepted, fed.lost, fed.end),
        (10_000, 0, FeedEnd::Closed)
    );
    assert_eq!(batcher.safe_stop(LONG).processed, 10_000);
    drop(batcher);
    assert!(entered.iter().flatten().eq(0..10_000), "in order");
}

#[test]
fn a_lapped_source_says_how_many_it_lost() {
    let (mut producer, ring) = Ring::<u64>::new(64).unwrap();
    let mut reader = ring.reader(0);
    producer.append_batch(0..1000);
    producer.close();
    let batcher = Batcher::builder()
        .start(|_: &mut Batch<u64>| Ok::<(), Infallible>(()))
        .unwrap();
    let fed = batcher.feed_from_ring(&mut reader);
    assert_eq!(fed.accepted + fed.lost, 1000);
    assert_eq!(fed.accepted, 64);
}

#[test]
fn a_stop_leaves_the_reader_at_the_first_record_not_accepted() {
    let (mut producer, ring) = Ring::<u64>::new(1 << 12).unwrap();
    producer.append_batch(0..1000);
    let (enter, entered) = mpsc::channel();
    let (permit, permits) = mpsc::channel::<()>();
    let permits = std::sync::Mutex::new(permits);
    let batcher = Batcher::builder()
        .max_items(10)
        .workers(1)
        .capacity(30)
        .start(move |batch: &mut Batch<u64>| {
            enter.send(batch.len()).ok();
            permits.lock().unwrap().recv().ok();
            Ok::<(), Infallible>(())
        });
    let batcher = batcher.unwrap();
    let mut reader = ring.reader(0);
    let (fed, report) = thread::scope(|scope| {
        let feed = scope.spawn(|| batcher.feed_from_ring(&mut reader));
        assert_eq!(entered.recv(), Ok(10));
        drop(permit);
        let report = batcher.stop(LONG);
        (feed.join().unwrap(), report)
    });
    assert_eq!(fed.end, FeedEnd::Stopped);
    assert_eq!(fed.accepted, report.accepted);
    assert_eq!(reader.position(), fed.accepted);
    assert_eq!(
        report.processed + report.unprocessed.len() as u64,
        fed.accepted
    );
}

/// A stream of numbers that is pending before each.
struct Numbers(u64, bool);

impl futures_core::Stream for Numbers {
    type Item = u64;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<u64>> {
        self.1 = !self.1;
        if self.1 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.0 += 1;
        Poll::Ready((self.0 <= 1000).then_some(self.0))
    }
}

#[tokio::test]
async fn a_stream_feeds_until_its_end() {
    let batcher = AsyncBatcher::builder()
        .capacity(64)
        .start_tokio(|_: &mut Batch<u64>| Box::pin(async { Ok::<(), Infallible>(()) }))
        .unwrap();
    assert_eq!(batcher.feed_from_stream(Numbers(0, false)).await, Ok(1000));
    assert_eq!(batcher.safe_stop(LONG).await.processed, 1000);
    let refused = batcher
        .feed_from_stream(Numbers(0, false))
        .await
        .unwrap_err();
    assert_eq!((refused.accepted, refused.refused), (0, vec![1]));
}
