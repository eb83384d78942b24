//! A subscriber of the demo: it checks every record, may sleep until it is woken, and keeps count for others to see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use footman_broker::{Item, Records};
use footman_broker_grpc::Subscriber;
use tokio::sync::watch;

use crate::corpus::Corpus;

/// What a subscriber was given and lost, for others to watch.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) delivered: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) losses: AtomicU64,
    pub(super) asleep: AtomicBool,
}

/// A subscriber that checks all that it is given.
pub(super) struct Follower {
    pub(super) subscriber: Subscriber,
    pub(super) text: Arc<Corpus>,
    pub(super) tally: Arc<Tally>,
    /// When to stop reading, and what says to go on.
    pub(super) sleep: Option<(Instant, watch::Receiver<bool>)>,
}

impl Follower {
    /// Reads until all that `end` says was given or lost.
    pub(super) async fn follow(mut self, mut end: watch::Receiver<Option<u64>>) -> Result<()> {
        let mut next_offset = 0;
        while end.borrow_and_update().is_none_or(|end| next_offset < end) {
            if let Some((_, mut woken)) = self.sleep.take_if(|(from, _)| Instant::now() >= *from) {
                self.tally.asleep.store(true, Ordering::Relaxed);
                woken
                    .wait_for(|woken| *woken)
                    .await
                    .context("the demo ended while the sleeper slept")?;
                self.tally.asleep.store(false, Ordering::Relaxed);
            }
            let item = tokio::select! {
                item = self.subscriber.next() => item?,
                changed = end.changed() => {
                    changed.context("the demo ended before its subscribers")?;
                    continue;
                }
            };
            match item {
                Some(Item::Records(records)) => {
                    self.check(&records, next_offset)?;
                    next_offset = records.next_offset();
                    self.tally
                        .delivered
                        .fetch_add(records.len() as u64, Ordering::Relaxed);
                }
                Some(Item::Lost(lost)) => {
                    ensure!(
                        lost.from == next_offset,
                        "a loss from {} where {next_offset} was due",
                        lost.from
                    );
                    next_offset = lost.to;
                    self.tally.lost.fetch_add(lost.records(), Ordering::Relaxed);
                    self.tally.losses.fetch_add(1, Ordering::Relaxed);
                }
                other => bail!("this was not due: {other:?}"),
            }
        }
        Ok(())
    }

    /// The record at an offset is the text's line of that number, counted around.
    fn check(&self, records: &Records, due: u64) -> Result<()> {
        ensure!(
            records.base_offset() == due,
            "offset {} where {due} was due",
            records.base_offset()
        );
        let lines = &self.text.lines;
        let first = usize::try_from(due % lines.len() as u64).context("a line's number fits")?;
        for (record, line) in records.iter().zip(lines.iter().cycle().skip(first)) {
            ensure!(
                record.value == line,
                "the record at offset {} is not what was sent",
                record.offset
            );
        }
        Ok(())
    }
}
