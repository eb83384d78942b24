//! What is published, and what a subscriber makes of it.

use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Nanoseconds since the first call: the clock of all clients, which are in this process.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).expect("a run is shorter than 500 years")
}

/// The records of one run, each with its number and, where their age matters, the time.
#[derive(Debug, Clone)]
pub(super) struct Load {
    payload: Vec<u8>,
    next: u64,
    records: u64,
    pace: Option<Pace>,
}

#[derive(Debug, Clone, Copy)]
struct Pace {
    rate: u64,
    started: Option<Instant>,
}

impl Load {
    /// So many records of so many bytes (at least 16), as fast as the client takes them.
    pub(super) fn flat_out(records: u64, bytes: usize) -> Self {
        Self {
            payload: (0..bytes).map(|i| b' ' + (i % 95) as u8).collect(),
            next: 0,
            records,
            pace: None,
        }
    }

    /// The same, so many a second, each with the time when it was made.
    pub(super) fn paced(rate: u64, seconds: f64, bytes: usize) -> Self {
        Self {
            pace: Some(Pace {
                rate,
                started: None,
            }),
            ..Self::flat_out((rate as f64 * seconds) as u64, bytes)
        }
    }

    pub(super) fn records(&self) -> u64 {
        self.records
    }

    pub(super) fn is_paced(&self) -> bool {
        self.pace.is_some()
    }

    /// The next record; blocks the thread until it is due.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        if self.next == self.records {
            return None;
        }
        if let Some(pace) = &mut self.pace {
            let started = *pace.started.get_or_insert_with(Instant::now);
            let due = started + Duration::from_nanos(self.next * 1_000_000_000 / pace.rate);
            if let Some(early) = due.checked_duration_since(Instant::now()) {
                thread::sleep(early);
            }
            self.payload[8..16].copy_from_slice(&now().to_le_bytes());
        }
        self.payload[..8].copy_from_slice(&self.next.to_le_bytes());
        self.next += 1;
        Some(&self.payload)
    }
}

/// What one subscriber received. It writes, and the run looks on.
#[derive(Debug)]
pub(super) struct Tally {
    bytes: usize,
    next: AtomicU64,
    received: AtomicU64,
    told: AtomicU64,
    over: AtomicBool,
    ages: Option<Mutex<Histogram<u64>>>,
}

impl Tally {
    /// For a subscriber of this load.
    pub(super) fn of(load: &Load) -> Result<Arc<Self>> {
        let ages = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
        Ok(Arc::new(Self {
            bytes: load.payload.len(),
            next: AtomicU64::new(0),
            received: AtomicU64::new(0),
            told: AtomicU64::new(0),
            over: AtomicBool::new(false),
            ages: load.is_paced().then(|| Mutex::new(ages)),
        }))
    }

    /// Takes a record: it must be whole, and later than those before.
    pub(super) fn take(&self, payload: &[u8]) -> Result<()> {
        let head = payload.first_chunk::<16>();
        let (Some(head), true) = (head, payload.len() == self.bytes) else {
            bail!("a record of {} bytes arrived", payload.len());
        };
        let number = u64::from_le_bytes(*head.first_chunk().expect("16 is more than 8"));
        // One writer: no need of a read-modify-write.
        if number < self.next.load(Ordering::Relaxed) {
            bail!("record {number} arrived late or twice");
        }
        self.next.store(number + 1, Ordering::Relaxed);
        let received = self.received.load(Ordering::Relaxed);
        self.received.store(received + 1, Ordering::Relaxed);
        if let Some(ages) = &self.ages {
            let made = u64::from_le_bytes(*head.last_chunk().expect("16 is more than 8"));
            let age = now().saturating_sub(made);
            ages.lock()
                .expect("no holder panics")
                .saturating_record(age);
        }
        Ok(())
    }

    /// The subscriber was told that it lost so many.
    pub(super) fn lost(&self, records: u64) {
        self.told.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Records that it was told it lost.
    pub(super) fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Whether it has seen the last record of so many, or was told of its loss.
    pub(super) fn is_done(&self, records: u64) -> bool {
        self.next.load(Ordering::Relaxed) >= records || self.received() + self.told() >= records
    }

    /// Tells a subscriber that blocks a thread to end.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Adds the ages that it saw, in nanoseconds.
    pub(super) fn add_ages_to(&self, all: &mut Histogram<u64>) -> Result<()> {
        if let Some(ages) = &self.ages {
            all.add(&*ages.lock().expect("no holder panics"))?;
        }
        Ok(())
    }
}
