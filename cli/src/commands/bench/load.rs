//! What a bench produces: records of one size, as fast as they are taken or when each is due.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use footman_broker::Record;
use footman_broker_grpc::{Client, Producer};
use tokio::time::{Instant, sleep_until};

use crate::args::bench::LoadArgs;

/// How long a bench without another end goes on.
pub(super) const SPAN: Duration = Duration::from_secs(10);
/// Records between two looks at the clock where nothing else makes a producer look.
const STRIDE: u64 = 64;

/// When a producer has produced enough, and when each record is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    started: Instant,
    records: u64,
    until: Instant,
    /// Between two records; `None`: as fast as they are taken.
    gap: Option<Duration>,
}

impl Plan {
    /// Part `number`, from 0, of `parts` equal ones of what the arguments ask for, at `rate` in all; the first
    /// takes what does not divide.
    pub(super) fn part(
        args: &LoadArgs,
        rate: Option<u64>,
        number: u16,
        parts: u16,
    ) -> Result<Plan> {
        ensure!(rate != Some(0), "a rate must be above zero");
        let of = u64::from(parts);
        let share = |records: u64| records / of + if number == 0 { records % of } else { 0 };
        let started = Instant::now();
        let endless = Duration::from_secs(u64::from(u32::MAX));
        let span = match (args.run.duration, args.run.records) {
            (Some(span), _) => span.min(endless),
            (None, Some(_)) => endless,
            (None, None) => SPAN,
        };
        Ok(Plan {
            started,
            records: args.run.records.map_or(u64::MAX, share),
            until: started + span,
            gap: rate.map(|rate| Duration::from_secs_f64(f64::from(parts) / rate as f64)),
        })
    }

    /// Waits until record `number` is due; gives the time from which its latency counts, `None` if there are
    /// no more. A record that is late through no fault of the timer counts from when it was due.
    pub(super) async fn due(&self, number: u64) -> Option<Instant> {
        if number >= self.records {
            return None;
        }
        let Some(gap) = self.gap else {
            let now = Instant::now();
            let is_over = number.is_multiple_of(STRIDE) && now >= self.until;
            return (!is_over).then_some(now);
        };
        let due = self.started + gap.mul_f64(number as f64);
        if due >= self.until {
            return None;
        }
        if due <= Instant::now() {
            return Some(due);
        }
        sleep_until(due).await;
        Some(Instant::now())
    }
}

/// A producer as the arguments want it, on a connection of its own.
pub(super) fn producer(client: &Client, args: &LoadArgs) -> Producer {
    let builder = client.producer(&args.run.topic);
    match args.linger {
        Some(linger) => builder.linger(linger).build(),
        None => builder.build(),
    }
}

/// A value of the size asked for, whose bytes are not all alike.
pub(super) fn value(args: &LoadArgs) -> Result<Vec<u8>> {
    let size = usize::try_from(args.size)?;
    ensure!(size <= 3 << 20, "no topic takes a record above 3 MiB");
    Ok((0..size).map(|i| b'a' + (i % 26) as u8).collect())
}

/// A record with that value, copied by nobody.
pub(super) fn record(value: &Bytes) -> Record {
    Record::new(value.clone())
}
