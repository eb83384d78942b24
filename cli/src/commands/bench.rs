//! `footman bench`: a running server measured from outside, through the client that everybody uses.
//!
//! Whatever it measures it also counts: how many records were acknowledged, received and lost. Latencies go
//! into a histogram with three digits, whole microseconds.

mod latency;
mod load;
mod produce;
mod subscribe;

use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::args::ServerArgs;
use crate::args::bench::BenchCommand;
use crate::args::listing::Listing;
use crate::notice::show;
use crate::outcome::Outcome;
use crate::output::push_json_line;
use crate::quantity::{format_bytes, format_count, format_rate};
use crate::signal::Stop;
use crate::stdout::print;

/// The label that subscriptions of a bench carry.
const LABEL: &str = "footman bench";
/// The longest latency that a histogram tells apart: an hour.
const LONGEST_US: u64 = 3_600_000_000;

pub(crate) async fn run(server: &ServerArgs, command: BenchCommand) -> Result<Outcome> {
    let mut stop = Stop::listen()?;
    let output = match &command {
        BenchCommand::Subscribe { run, .. } => run.output,
        BenchCommand::Produce { load, .. } | BenchCommand::Latency { load, .. } => load.run.output,
    };
    let measure = async {
        match command {
            BenchCommand::Produce { load, producers } => {
                produce::measure(server, &load, producers).await
            }
            BenchCommand::Subscribe { run, subscribers } => {
                subscribe::measure(server, &run, subscribers).await
            }
            BenchCommand::Latency { load, subscribers } => {
                latency::measure(server, &load, subscribers).await
            }
        }
    };
    let progress = progress();
    let found = tokio::select! {
        found = measure => found,
        () = stop.asked() => return Ok(Outcome::Interrupted),
    };
    progress.finish_and_clear();
    let found = found?;
    print(&match output {
        Listing::Text => found.to_text().into_bytes(),
        Listing::Json => found.to_json(),
    })?;
    Ok(Outcome::Done)
}

/// A sign of life on a terminal; it moves once a second, so that it is not what is measured.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} measuring, {elapsed}");
    let style = style.expect("the template is well-formed");
    let bar = show(ProgressBar::no_length().with_style(style));
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

/// What a bench found.
#[derive(Debug, Serialize)]
struct Found {
    bench: &'static str,
    topic: String,
    seconds: f64,
    /// Records that were produced and acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<u64>,
    /// Records that all subscribers together received.
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<u64>,
    /// Records that they were told they lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    /// Bytes of the records that the rates are about: values when produced, as encoded when received.
    bytes: u64,
    records_per_second: f64,
    bytes_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<Latency>,
    /// What the latency is of.
    #[serde(skip)]
    latency_of: &'static str,
}

impl Found {
    /// What is there of every bench; `records` is what the rate is of.
    fn new(bench: &'static str, topic: &str, span: Duration, records: u64, bytes: u64) -> Found {
        let seconds = span.as_secs_f64().max(1e-9);
        Found {
            bench,
            topic: topic.to_owned(),
            seconds,
            acknowledged: None,
            received: None,
            lost: None,
            bytes,
            records_per_second: records as f64 / seconds,
            bytes_per_second: bytes as f64 / seconds,
            latency_us: None,
            latency_of: "",
        }
    }

    fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_json_line(&mut out, self);
        out
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<13} {value}");
        };
        line("topic", self.topic.clone());
        for (name, count) in [
            ("acknowledged", self.acknowledged),
            ("received", self.received),
            ("lost", self.lost),
        ] {
            if let Some(count) = count {
                line(name, format_count(count));
            }
        }
        line("time", format!("{:.3} s", self.seconds));
        let bytes = format_bytes(self.bytes_per_second as u64);
        let rate = format_rate(self.records_per_second);
        line("rate", format!("{rate} records, {bytes}/s"));
        if let Some(latency) = &self.latency_us {
            line(
                "latency of",
                format!("{} ({})", self.latency_of, format_count(latency.count)),
            );
            for (name, us) in latency.percentiles() {
                line(&format!("  {name}"), format_micros(us));
            }
        }
        text
    }
}

/// A latency's distribution, in microseconds.
#[derive(Debug, Serialize)]
struct Latency {
    count: u64,
    mean: f64,
    min: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    p9999: u64,
    max: u64,
}

impl Latency {
    /// `None` if nothing was measured.
    fn of(histogram: &Histogram<u64>) -> Option<Latency> {
        (!histogram.is_empty()).then(|| Latency {
            count: histogram.len(),
            mean: histogram.mean(),
            min: histogram.min(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            p9999: histogram.value_at_quantile(0.9999),
            max: histogram.max(),
        })
    }

    fn percentiles(&self) -> [(&'static str, u64); 7] {
        [
            ("min", self.min),
            ("p50", self.p50),
            ("p90", self.p90),
            ("p99", self.p99),
            ("p99.9", self.p999),
            ("p99.99", self.p9999),
            ("max", self.max),
        ]
    }
}

fn format_micros(us: u64) -> String {
    match us {
        0..10_000 => format!("{us} µs"),
        10_000..10_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LONGEST_US, 3).expect("an hour and three digits are within its bounds")
}

/// A latency as a histogram takes it.
fn micros(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).map_or(LONGEST_US, |us| us.min(LONGEST_US))
}

/// Waits for all tasks; the first error ends the others.
async fn join_all<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = Result<T>> + Send + 'static>,
) -> Result<Vec<T>> {
    let mut running: JoinSet<Result<T>> = tasks.into_iter().collect();
    let mut done = Vec::with_capacity(running.len());
    while let Some(ended) = running.join_next().await {
        done.push(ended??);
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_said_in_text_and_in_json() {
        let mut found = Found::new(
            "produce",
            "t",
            Duration::from_secs(2),
            1_000_000,
            128_000_000,
        );
        found.acknowledged = Some(1_000_000);
        let mut latencies = histogram();
        for us in 1..=1000 {
            latencies.record(us).expect("in range");
        }
        latencies
            .record(micros(Duration::from_secs(9_999)))
            .expect("cut to the longest");
        found.latency_us = Latency::of(&latencies);
        found.latency_of = "an acknowledgement";
        let text = found.to_text();
        for part in [
            "acknowledged  1 000 000",
            "500 k/s records, 61 MiB/s",
            "p50         501 µs",
            "max         3",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let json: serde_json::Value = serde_json::from_slice(&found.to_json()).expect("JSON");
        assert_eq!(json["records_per_second"], 500_000.0);
        assert_eq!(json["latency_us"]["count"], 1001);
        assert!(json.get("received").is_none());
    }

    #[test]
    fn a_histogram_of_nothing_says_nothing() {
        assert!(Latency::of(&histogram()).is_none());
    }
}
