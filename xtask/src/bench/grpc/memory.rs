//! What a subscriber costs the server that does nothing: who waits for records, and who never reads its socket.

use super::{
    client::{Call, Feeder, Payload, SUBSCRIBE, subscribe_request},
    contender::{Contender, cpu_seconds, resident_bytes},
    together,
    wire::Wire,
};
use crate::{
    bench::{bench_run::BenchRun, report::Better},
    server::Server,
};
use anyhow::Result;
use std::{
    thread,
    time::{Duration, Instant},
};

const SUBSCRIBERS: usize = 1_000;

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let groups = [
        ("grpc/idle".to_owned(), ("KiB each", Better::Lower)),
        ("grpc/idle-cpu".to_owned(), ("% of a core", Better::Lower)),
    ];
    let contenders = [Contender::Footman, Contender::Naive];
    let watched = Duration::from_secs(if bench.quick() { 1 } else { 5 });
    together(bench, &groups, &contenders, |contender| {
        let server = contender.start(65_536)?;
        Feeder::open(server.address())?.feed(&Payload::new(128, 1), 1, 1)?;
        let base = resident_bytes(&server)?;
        let mut calls = subscribers(&server)?;
        for call in &mut calls {
            call.next()?;
        }
        let kib = settled(&server)?.saturating_sub(base) as f64 / 1024.0 / SUBSCRIBERS as f64;
        let (cpu, start) = (cpu_seconds(&server)?, Instant::now());
        thread::sleep(watched);
        let cpu = (cpu_seconds(&server)? - cpu) / start.elapsed().as_secs_f64() * 100.0;
        Ok(vec![kib, cpu])
    })?;

    let groups = [("grpc/stuck".to_owned(), ("KiB each", Better::Lower))];
    together(bench, &groups, &[Contender::Footman], |contender| {
        let server = contender.start(65_536)?;
        Feeder::open(server.address())?.feed(&Payload::new(128, 100), 5_000, 32)?;
        let base = settled(&server)?;
        let calls = subscribers(&server)?;
        let kib = settled(&server)?.saturating_sub(base) as f64 / 1024.0 / SUBSCRIBERS as f64;
        drop(calls);
        Ok(vec![kib])
    })
}

/// Subscribers, each on its own connection, none of which has read anything yet.
fn subscribers(server: &Server) -> Result<Vec<Call>> {
    (0..SUBSCRIBERS)
        .map(|_| {
            let mut call = Call::open(server.address(), Wire::new(SUBSCRIBE))?;
            call.wire
                .message(call.stream, (&subscribe_request(), &[]), true);
            call.flush()?;
            Ok(call)
        })
        .collect()
}

/// The server's memory when it has stopped to grow, or after some seconds.
fn settled(server: &Server) -> Result<u64> {
    let mut before = 0;
    for _ in 0..20 {
        let now = resident_bytes(server)?;
        if now.abs_diff(before) < 64 * 1024 {
            return Ok(now);
        }
        before = now;
        thread::sleep(Duration::from_millis(200));
    }
    Ok(before)
}
