//! Memory grows with what waits: no more than 11 bytes of the process per queued `u64`, nothing for
//! the capacity.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stdout, reason = "the figure is worth seeing")]

use std::convert::Infallible;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use footman_batcher::{Batch, Batcher};

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

#[test]
fn a_queued_item_costs_its_own_size_and_little_more() {
    const ITEMS: u64 = 2_000_000;
    let before = resident();
    let (permit, permits) = mpsc::channel::<()>();
    let permits = Mutex::new(permits);
    let batcher = Batcher::builder()
        .workers(1)
        .capacity(100_000_000)
        .start(move |_: &mut Batch<u64>| {
            permits.lock().unwrap().recv().ok();
            Ok::<(), Infallible>(())
        })
        .unwrap();
    let permit = permit; // gone before the batcher where an assertion fails, or its drop would wait for ever
    let started = resident();
    assert!(
        started - before < 2 << 20,
        "started: {} bytes",
        started - before
    );
    assert_eq!(batcher.enqueue_many(0..ITEMS), Ok(ITEMS as usize));
    let each = (resident() - started) as f64 / ITEMS as f64;
    println!("{each:.2} bytes per queued u64, batches of 64");
    assert!(each < 11.0, "{each:.2} bytes per item");
    drop(permit);
    assert_eq!(batcher.safe_stop(Duration::from_secs(60)).processed, ITEMS);
}
