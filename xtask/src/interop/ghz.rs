//! ghz: a load from outside. Its figures are printed; what is checked is that every call was answered and
//! every record is there.

use super::workshop;
use crate::{
    command::{self, command},
    server::{Server, footman},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// Unary calls, and the records in each.
const CALLS: u64 = 20_000;
const RECORDS: u64 = 16;
/// Subscriptions, each of a whole topic to its end.
const SUBSCRIPTIONS: u64 = 100;
const SUBSCRIBED: u64 = 10_000;

pub(super) fn run() -> Result<()> {
    let server = Server::start("debug", &[])?;
    let record = json!({ "value": "MDEyMzQ1Njc4OWFiY2RlZg==" }); // base64 of 16 bytes
    let produce = json!({ "topic": "load", "records": vec![record.clone(); RECORDS as usize] });
    let figures = ghz(&server, "ProduceBatch", &produce, CALLS)?;
    println!("ghz: ProduceBatch of {RECORDS} records, 64 calls in flight: {figures}");
    let appended = end_offset(&server, "load")?;
    ensure!(
        appended == CALLS * RECORDS,
        "{appended} records are there, not {}",
        CALLS * RECORDS
    );

    let fill = json!({ "topic": "fill", "records": vec![record; 100] });
    ghz(&server, "ProduceBatch", &fill, SUBSCRIBED / 100)?;
    let subscribe = json!({ "topics": [{ "topic": "fill", "earliest": true, "stopAtEnd": true }] });
    let figures = ghz(&server, "Subscribe", &subscribe, SUBSCRIPTIONS)?;
    println!("ghz: Subscribe to {SUBSCRIBED} records, 64 calls in flight: {figures}");
    server.stop()
}

/// Makes so many calls of one request; each must succeed.
fn ghz(server: &Server, method: &str, request: &Value, calls: u64) -> Result<String> {
    let mut ghz = command(workshop::go_tool("ghz")?);
    ghz.args(["--insecure", "--proto", "footman/v1/broker.proto"])
        .arg("--import-paths")
        .arg(workshop::protos())
        .args(["--call", &format!("footman.v1.Broker/{method}")])
        .args(["--data", &request.to_string()])
        .args(["--total", &calls.to_string(), "--concurrency", "64"])
        .args(["--connections", "4", "--format", "json"])
        .arg(server.address());
    let report: Value = serde_json::from_str(&command::output(&mut ghz)?)?;
    let answered = &report["statusCodeDistribution"];
    ensure!(
        answered["OK"] == calls,
        "of {calls} calls of {method}: {answered}, {}",
        report["errorDistribution"]
    );
    let at = |percentage: u64| {
        let latencies = report["latencyDistribution"].as_array();
        let mut latencies = latencies.into_iter().flatten();
        let found = latencies.find(|at| at["percentage"] == percentage);
        found
            .and_then(|at| at["latency"].as_f64())
            .unwrap_or(f64::NAN)
            / 1e6
    };
    Ok(format!(
        "{:.0} calls/s, p50 {:.2} ms, p99 {:.2} ms",
        report["rps"].as_f64().context("ghz reports no rps")?,
        at(50),
        at(99)
    ))
}

fn end_offset(server: &Server, topic: &str) -> Result<u64> {
    let mut describe = footman("debug");
    describe.args(["topics", "describe", topic, "--output", "json"]);
    describe.args(["--server", server.address()]);
    let topic: Value = serde_json::from_str(&command::output(&mut describe)?)?;
    topic["end_offset"].as_u64().context("a topic has an end")
}
