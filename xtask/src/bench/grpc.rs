//! The server, a process of its own, beside the two servers that one writes with tonic, and bare TCP as the limit.
//!
//! The clients are ours and as cheap as they get (`wire.rs`): they count and check what they receive, and decode no
//! record. A server is started for each run, so that none finds another's memory; its CPU is that of its threads.

mod client;
mod contender;
mod crowd;
mod memory;
mod peer;
mod unary;
mod wire;

pub(crate) use peer::{Flags, serve};

use super::{bench_run::BenchRun, report::Better};
use anyhow::{Context as _, Result, ensure};
use client::{Call, Feeder, PRODUCE, Payload, acknowledged, connect, drain_log};
use contender::{Contender, cpu_seconds};
use crowd::Crowd;
use peer::Order;
use std::{
    io::{Read as _, Write as _},
    thread,
    time::{Duration, Instant},
};
use wire::{Event, Messages, Wire};

const ALL: [Contender; 4] = [
    Contender::Footman,
    Contender::Naive,
    Contender::Batched,
    Contender::Tcp,
];
const SERVERS: [Contender; 3] = [Contender::Footman, Contender::Naive, Contender::Batched];

/// Records in a request that fills a log, and requests under way.
const FILL: (usize, usize) = (100, 32);

pub(crate) fn measure(bench: &mut BenchRun) -> Result<()> {
    for bytes in [128, 16] {
        for subscribers in [1, 8, 64] {
            subscribe(bench, bytes, subscribers)?;
        }
    }
    produce(bench)?;
    unary(bench, 1, 64)?;
    unary(bench, 16, 8)?;
    ack(bench)?;
    live(bench, "1khz", 1_000, 1)?;
    live(bench, "10khz/x64", 10_000, 64)?;
    memory::measure(bench)
}

/// What one run finds, a figure for each group.
type Figures = Vec<f64>;

/// Runs each contender once a round, for groups whose figures come from the same run.
fn together(
    bench: &mut BenchRun,
    groups: &[(String, (&'static str, Better))],
    contenders: &[Contender],
    mut once: impl FnMut(Contender) -> Result<Figures>,
) -> Result<()> {
    if !groups.iter().any(|(group, _)| bench.wants(group)) {
        return Ok(());
    }
    let mut runs: Vec<Vec<Figures>> = vec![Vec::new(); contenders.len()];
    let rounds = bench.rounds();
    for round in 1..=rounds {
        for (&contender, runs) in contenders.iter().zip(&mut runs) {
            let what = format!("{}: {}", groups[0].0, contender.name());
            bench.progress(&format!("{what}, round {round} of {rounds}"));
            runs.push(once(contender).context(what)?);
        }
    }
    for (place, (group, unit)) in groups.iter().enumerate() {
        for (contender, runs) in contenders.iter().zip(&runs) {
            let figures = runs.iter().map(|figures| figures[place]).collect();
            bench.add(group, contender.name(), *unit, figures);
        }
    }
    bench.show();
    Ok(())
}

/// A rate and the server's CPU for it.
fn rate_and_cpu(
    group: &str,
    case: &str,
    rate: &'static str,
    cpu: &'static str,
) -> [(String, (&'static str, Better)); 2] {
    [
        (format!("grpc/{group}/{case}"), (rate, Better::Higher)),
        (format!("grpc/{group}-cpu/{case}"), (cpu, Better::Lower)),
    ]
}

/// Subscribers take a log that is there, as fast as they can.
fn subscribe(bench: &mut BenchRun, bytes: usize, subscribers: usize) -> Result<()> {
    let deliveries = if bench.quick() { 3_000_000 } else { 16_000_000 };
    let records = (deliveries / subscribers).min(250_000);
    let passes = deliveries / subscribers / records;
    let requests = records / FILL.0;
    let payload = Payload::new(bytes, FILL.0);
    let groups = rate_and_cpu(
        "subscribe",
        &format!("{bytes}B/x{subscribers}"),
        "M records/s",
        "server s/M",
    );
    together(bench, &groups, &ALL, |contender| {
        let server = contender.start(records)?;
        let is_plain = contender == Contender::Tcp;
        let mut cpu = 0.0;
        let records = requests * FILL.0;
        let seconds = drain_log(
            (server.address(), is_plain),
            (subscribers, passes),
            (records as u64, payload.stored_bytes()),
            || match contender {
                Contender::Tcp => Ok(()),
                _ => Feeder::open(server.address())?.feed(&payload, requests, FILL.1),
            },
            || {
                cpu = cpu_seconds(&server)?;
                Ok(())
            },
        )?;
        let millions = (records * subscribers * passes) as f64 / 1e6;
        Ok(vec![
            millions / seconds,
            (cpu_seconds(&server)? - cpu) / millions,
        ])
    })
}

/// One stream of batches, 32 under way, into a topic that is full.
fn produce(bench: &mut BenchRun) -> Result<()> {
    let (bytes, batch) = (128, 100);
    let records = if bench.quick() { 1_500_000 } else { 6_000_000 };
    let payload = Payload::new(bytes, batch);
    let groups = rate_and_cpu("produce", "128B/b100", "M records/s", "server s/M");
    together(bench, &groups, &ALL, |contender| {
        let server = contender.start(65_536)?;
        let run = |feeder: &mut Option<Feeder>, records: usize| match feeder {
            Some(feeder) => feeder.feed(&payload, records / batch, 32),
            None => {
                let bytes = payload.records().len() / batch * records;
                let mut socket = connect(server.address())?;
                socket.write_all(&Order::Take(bytes as u64).to_bytes())?;
                let piece = vec![0; 64 * 1024];
                let mut left = bytes;
                while left > 0 {
                    let now = left.min(piece.len());
                    socket.write_all(&piece[..now])?;
                    left -= now;
                }
                Ok(socket.read_exact(&mut [0])?)
            }
        };
        let mut feeder = match contender {
            Contender::Tcp => None,
            _ => Some(Feeder::open(server.address())?),
        };
        run(&mut feeder, 1_100_000)?;
        let cpu = cpu_seconds(&server)?;
        let start = Instant::now();
        run(&mut feeder, records)?;
        let seconds = start.elapsed().as_secs_f64();
        let millions = records as f64 / 1e6;
        Ok(vec![
            millions / seconds,
            (cpu_seconds(&server)? - cpu) / millions,
        ])
    })
}

/// A record a call.
fn unary(bench: &mut BenchRun, connections: usize, in_flight: usize) -> Result<()> {
    let calls = if bench.quick() { 20_000 } else { 160_000 };
    let calls = calls / connections * connections;
    let payload = Payload::new(128, 1);
    let case = format!("{connections}x{in_flight}");
    let groups = rate_and_cpu("unary", &case, "k calls/s", "server s/M");
    together(
        bench,
        &groups,
        &[Contender::Footman, Contender::Naive],
        |contender| {
            let server = contender.start(65_536)?;
            unary::call(
                server.address(),
                (connections, in_flight),
                &payload,
                calls / 10,
            )?;
            let cpu = cpu_seconds(&server)?;
            let start = Instant::now();
            unary::call(server.address(), (connections, in_flight), &payload, calls)?;
            let seconds = start.elapsed().as_secs_f64();
            let cpu = cpu_seconds(&server)? - cpu;
            Ok(vec![calls as f64 / 1e3 / seconds, cpu / calls as f64 * 1e6])
        },
    )
}

/// A record a request on a Produce stream, the next when it is acknowledged.
fn ack(bench: &mut BenchRun) -> Result<()> {
    let rounds = if bench.quick() { 5_000 } else { 20_000 };
    let payload = Payload::new(128, 1);
    let groups = [
        ("grpc/ack".to_owned(), ("µs p50", Better::Lower)),
        ("grpc/ack-p99".to_owned(), ("µs p99", Better::Lower)),
    ];
    let contenders = [Contender::Footman, Contender::Naive, Contender::Tcp];
    together(bench, &groups, &contenders, |contender| {
        let server = contender.start(65_536)?;
        let mut micros = Vec::with_capacity(rounds);
        if contender == Contender::Tcp {
            let mut socket = connect(server.address())?;
            socket.write_all(&Order::Echo.to_bytes())?;
            for _ in 0..rounds {
                let start = Instant::now();
                socket.write_all(&[1])?;
                socket.read_exact(&mut [0])?;
                micros.push(start.elapsed().as_nanos() as f64 / 1e3);
            }
        } else {
            let mut call = Call::open(server.address(), Wire::new(PRODUCE))?;
            let mut answers = Messages::new(usize::MAX);
            for round in 0..rounds as u64 {
                let start = Instant::now();
                call.wire.message(
                    call.stream,
                    (&payload.head(round), payload.records()),
                    false,
                );
                let mut is_answered = false;
                while !is_answered {
                    if let Event::Data(at) = call.next()? {
                        answers.take(call.wire.bytes(at), |_, answer| {
                            ensure!(acknowledged(answer)?.0 == round, "another offset");
                            is_answered = true;
                            Ok(())
                        })?;
                    }
                }
                micros.push(start.elapsed().as_nanos() as f64 / 1e3);
            }
        }
        Ok(vec![
            percentile(&mut micros, 0.5),
            percentile(&mut micros, 0.99),
        ])
    })
}

/// A record at a time at a steady pace, to subscribers who are waiting.
fn live(bench: &mut BenchRun, case: &str, hertz: u64, subscribers: usize) -> Result<()> {
    let millis = if bench.quick() { 500 } else { 3_000 };
    let records = hertz * millis / 1_000;
    let groups = [
        (format!("grpc/live/{case}"), ("µs p50", Better::Lower)),
        (format!("grpc/live-p99/{case}"), ("µs p99", Better::Lower)),
        (
            format!("grpc/live-cpu/{case}"),
            ("server s/M", Better::Lower),
        ),
    ];
    together(bench, &groups, &SERVERS[..2], |contender| {
        let server = contender.start(65_536)?;
        let began = Instant::now();
        let mut payload = Payload::new(128, 1);
        let mut feeder = Feeder::open(server.address())?;
        let crowd = Crowd::follow(server.address(), subscribers, records, (&payload, began))?;
        let cpu = cpu_seconds(&server)?;
        let first = Instant::now();
        for number in 0..records {
            let due = first + Duration::from_nanos(1_000_000_000 / hertz * number);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            payload.stamp(began.elapsed().as_nanos() as u64);
            feeder.feed(&payload, 1, 1)?;
        }
        let mut micros: Vec<f64> = crowd.join()?.into_iter().map(f64::from).collect();
        let cpu = (cpu_seconds(&server)? - cpu) / micros.len() as f64 * 1e6;
        Ok(vec![
            percentile(&mut micros, 0.5),
            percentile(&mut micros, 0.99),
            cpu,
        ])
    })
}

fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part) as usize]
}
