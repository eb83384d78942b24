//! Values are dropped exactly once, whoever is last.

use super::ring;
use crate::sync::Arc;

/// What a `loom::sync::Arc` would tell: the count at the end is what is held still.
type Value = Arc<()>;

#[test]
fn values_are_dropped_once() {
    loom::model(|| {
        let value = Value::new(());
        let (mut producer, ring) = ring(1, 1);
        let mut reader = ring.reader(0);
        let ours = value.clone();
        let thread = loom::thread::spawn(move || {
            for _ in 0..3 {
                producer.append(ours.clone());
            }
        });
        let _ = reader
            .try_read()
            .map(|seen| assert!(Arc::strong_count(seen) > 1));
        thread.join().unwrap();
        drop((reader, ring));
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn a_ring_dropped_under_its_reader_lives_until_the_reader_goes() {
    loom::model(|| {
        let value = Value::new(());
        let (mut producer, ring) = ring(2, 1);
        producer.append(value.clone());
        let mut reader = ring.reader(0);
        let thread = loom::thread::spawn(move || {
            reader
                .try_read()
                .map(|seen| assert!(Arc::strong_count(seen) > 1))
                .unwrap();
        });
        drop((producer, ring));
        thread.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}
