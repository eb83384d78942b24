//! `ringbuf-core` beside its peers, and the limits of the machine that both run on.
//!
//! Group names are `ring/PRODUCERStoCONSUMERS/PAYLOAD/bBATCH`; a quick run leaves out some of them. A
//! contender that has no batches appends and reads one by one in a loop; one that holds plain data only has no
//! `arc` cells, one that has one producer only no cells with several.

mod alone;
mod bytes;
mod flow;
mod limits;
mod payload;
mod peer;
mod peers;
mod ping_pong;
mod slow_readers;
mod tasks;

use super::{
    bench_run::{BenchRun, Contender},
    report::Better,
};
use alone::Side;
use anyhow::Result;
use flow::Shape;
use payload::Payload;
use peer::Peer;
use peers::{
    AsyncBroadcast, Crossbeam, DisruptorMany, DisruptorOne, GoStyle, Ours, OursShared, Photon,
    PhotonMany, Rtrb, RunStamps, TokioBroadcast,
};
use slow_readers::Crowd;
use std::{sync::Arc, time::Duration};

const RATE: (&str, Better) = ("M records/s", Better::Higher);
const COST: (&str, Better) = ("ns", Better::Lower);

pub(crate) fn measure(bench: &mut BenchRun) -> Result<()> {
    limits::measure(bench)?;
    ping_pong(bench)?;
    idle_readers(bench)?;
    slow_readers(bench)?;
    cost::<u64>(bench, "u64", plain_alone::<u64>)?;
    cost::<[u64; 8]>(bench, "64B", plain_alone::<[u64; 8]>)?;
    if !bench.quick() {
        cost::<[u64; 32]>(bench, "256B", plain_alone::<[u64; 32]>)?;
    }
    cost::<Arc<[u64; 8]>>(bench, "arc", any_alone::<Arc<[u64; 8]>>)?;
    for shape in ["1to1", "1to4", "1to16", "2to1", "4to4"] {
        flows::<u64>(bench, shape, "u64", numbers)?;
        flows::<[u64; 8]>(bench, shape, "64B", plain::<[u64; 8]>)?;
        if !bench.quick() {
            flows::<[u64; 32]>(bench, shape, "256B", plain::<[u64; 32]>)?;
        }
        flows::<Arc<[u64; 8]>>(bench, shape, "arc", any::<Arc<[u64; 8]>>)?;
    }
    many_producers(bench)?;
    free_running(bench)?;
    tasks(bench)?;
    bytes::measure(bench)
}

/// How long one run of a contender takes.
fn time(bench: &BenchRun) -> Duration {
    Duration::from_millis(if bench.quick() { 25 } else { 70 })
}

fn batches(bench: &BenchRun) -> &'static [usize] {
    if bench.quick() {
        &[1, 256]
    } else {
        &[1, 16, 256]
    }
}

fn flow<V: Payload, P: Peer<V>>(name: &str, shape: Shape) -> Contender<'static> {
    (name.into(), Box::new(move || flow::rate::<V, P>(shape)))
}

/// The contenders that take any payload.
fn any<V: Payload>(shape: Shape) -> Vec<Contender<'static>> {
    let mut contenders = if shape.producers == 1 {
        vec![
            flow::<V, Ours>("ringbuf-core", shape),
            flow::<V, OursShared>("ringbuf-core, shared", shape),
            flow::<V, DisruptorOne>("disruptor", shape),
            flow::<V, Rtrb>("rtrb", shape),
        ]
    } else {
        vec![
            flow::<V, OursShared>("ringbuf-core", shape),
            flow::<V, DisruptorMany>("disruptor", shape),
        ]
    };
    contenders.extend([
        flow::<V, TokioBroadcast>("tokio::broadcast", shape),
        flow::<V, AsyncBroadcast>("async-broadcast", shape),
        flow::<V, Crossbeam>("crossbeam-channel", shape),
        flow::<V, GoStyle>("Go-style", shape),
    ]);
    contenders
}

/// All contenders.
fn plain<V: Payload + photon_ring::Pod>(shape: Shape) -> Vec<Contender<'static>> {
    let mut contenders = any::<V>(shape);
    contenders.push(if shape.producers == 1 {
        flow::<V, Photon>("photon-ring", shape)
    } else {
        flow::<V, PhotonMany>("photon-ring", shape)
    });
    contenders
}

/// All contenders, and what a claim without a lock could reach.
fn numbers(shape: Shape) -> Vec<Contender<'static>> {
    let mut contenders = plain::<u64>(shape);
    if shape.producers > 1 {
        contenders.push(flow::<u64, RunStamps>("limit:run stamps", shape));
    }
    contenders
}

fn flows<V: Payload>(
    bench: &mut BenchRun,
    shape: &str,
    payload: &str,
    contenders: fn(Shape) -> Vec<Contender<'static>>,
) -> Result<()> {
    let (producers, consumers) = shape.split_once("to").expect("a shape is XtoY");
    for &batch in batches(bench) {
        let shape_of_batch = Shape {
            producers: producers.parse()?,
            consumers: consumers.parse()?,
            batch,
            time: time(bench),
            lossless: true,
        };
        let group = format!("ring/{shape}/{payload}/b{batch}");
        bench.group(&group, RATE, contenders(shape_of_batch))?;
    }
    Ok(())
}

/// Eight producers on however few cores, and the same by two.
fn many_producers(bench: &mut BenchRun) -> Result<()> {
    for &batch in batches(bench) {
        let shape = |producers| Shape {
            producers,
            consumers: 1,
            batch,
            time: time(bench),
            lossless: true,
        };
        let contenders = vec![
            flow::<u64, OursShared>("ringbuf-core", shape(8)),
            flow::<u64, OursShared>("ringbuf-core, 2 producers", shape(2)),
            flow::<u64, DisruptorMany>("disruptor", shape(8)),
            flow::<u64, PhotonMany>("photon-ring", shape(8)),
            flow::<u64, TokioBroadcast>("tokio::broadcast", shape(8)),
            flow::<u64, RunStamps>("limit:run stamps", shape(8)),
        ];
        bench.group(&format!("ring/8producers/u64/b{batch}"), RATE, contenders)?;
    }
    Ok(())
}

fn alone<V: Payload, P: Peer<V>>(
    name: &str,
    side: Side,
    batch: usize,
    blocks: usize,
) -> Contender<'static> {
    (
        name.into(),
        Box::new(move || alone::cost::<V, P>(side, batch, blocks)),
    )
}

fn any_alone<V: Payload>(side: Side, batch: usize, blocks: usize) -> Vec<Contender<'static>> {
    vec![
        alone::<V, Ours>("ringbuf-core", side, batch, blocks),
        alone::<V, OursShared>("ringbuf-core, shared", side, batch, blocks),
        alone::<V, DisruptorOne>("disruptor", side, batch, blocks),
        alone::<V, Rtrb>("rtrb", side, batch, blocks),
        alone::<V, TokioBroadcast>("tokio::broadcast", side, batch, blocks),
        alone::<V, AsyncBroadcast>("async-broadcast", side, batch, blocks),
        alone::<V, Crossbeam>("crossbeam-channel", side, batch, blocks),
        alone::<V, GoStyle>("Go-style", side, batch, blocks),
    ]
}

fn plain_alone<V: Payload + photon_ring::Pod>(
    side: Side,
    batch: usize,
    blocks: usize,
) -> Vec<Contender<'static>> {
    let mut contenders = any_alone::<V>(side, batch, blocks);
    contenders.push(alone::<V, Photon>("photon-ring", side, batch, blocks));
    contenders
}

fn cost<V: Payload>(
    bench: &mut BenchRun,
    payload: &str,
    contenders: fn(Side, usize, usize) -> Vec<Contender<'static>>,
) -> Result<()> {
    let blocks = if bench.quick() { 200 } else { 1_000 };
    for &batch in batches(bench) {
        for (side, name) in [(Side::Append, "append"), (Side::Read, "read")] {
            let group = format!("ring/{name}/{payload}/b{batch}");
            bench.group(&group, COST, contenders(side, batch, blocks))?;
        }
    }
    Ok(())
}

fn ping_pong(bench: &mut BenchRun) -> Result<()> {
    fn trip<P: Peer<u64>>(name: &str, trips: u64) -> Contender<'static> {
        (
            name.into(),
            Box::new(move || ping_pong::round_trip::<P>(trips)),
        )
    }
    let trips = if bench.quick() { 10_000 } else { 50_000 };
    let contenders = vec![
        trip::<Ours>("ringbuf-core", trips),
        trip::<OursShared>("ringbuf-core, shared", trips),
        trip::<DisruptorOne>("disruptor", trips),
        trip::<Photon>("photon-ring", trips),
        trip::<Rtrb>("rtrb", trips),
        trip::<Crossbeam>("crossbeam-channel", trips),
        trip::<TokioBroadcast>("tokio::broadcast", trips),
        trip::<AsyncBroadcast>("async-broadcast", trips),
        trip::<GoStyle>("Go-style", trips),
        (
            "limit:line".into(),
            Box::new(move || Ok(ping_pong::line_round_trip(trips))),
        ),
    ];
    bench.group("ring/ping-pong", COST, contenders)
}

/// The counts of readers take turns too, so that their ratios are of one time. The channels drop what nobody
/// listens to: they do less work without a reader, and are left out there.
fn idle_readers(bench: &mut BenchRun) -> Result<()> {
    type Cost = fn(usize, u64) -> Result<f64>;
    let contenders: [(&str, usize, Cost); 5] = [
        ("ringbuf-core", 0, alone::cost_with_idle_readers::<Ours>),
        ("photon-ring", 0, alone::cost_with_idle_readers::<Photon>),
        ("Go-style", 0, alone::cost_with_idle_readers::<GoStyle>),
        (
            "tokio::broadcast",
            1,
            alone::cost_with_idle_readers::<TokioBroadcast>,
        ),
        (
            "async-broadcast",
            1,
            alone::cost_with_idle_readers::<AsyncBroadcast>,
        ),
    ];
    let appends = if bench.quick() { 300_000 } else { 500_000 };
    let cells: Vec<_> = [0, 1, 64, 1000]
        .into_iter()
        .flat_map(|readers| contenders.map(|contender| (readers, contender)))
        .filter(|&(readers, (_, least, _))| {
            readers >= least && bench.wants(&format!("ring/idle-readers/{readers}"))
        })
        .collect();
    let mut runs = vec![Vec::new(); cells.len()];
    for _ in 0..bench.rounds() {
        for (&(readers, (_, _, cost)), runs) in cells.iter().zip(&mut runs) {
            runs.push(cost(readers, appends)?);
        }
    }
    for ((readers, (name, ..)), runs) in cells.into_iter().zip(runs) {
        bench.add(&format!("ring/idle-readers/{readers}"), name, COST, runs);
    }
    Ok(())
}

fn slow_readers(bench: &mut BenchRun) -> Result<()> {
    let time = time(bench) * 2;
    let crowd = |name: &str, crowd: Crowd| -> Contender<'static> {
        (
            name.into(),
            Box::new(move || slow_readers::producer_rate(crowd, time)),
        )
    };
    let contenders = vec![
        crowd(
            "ringbuf-core",
            Crowd {
                healthy: 100,
                slow: 400,
                stuck: 500,
            },
        ),
        crowd(
            "ringbuf-core, the 100 healthy alone",
            Crowd {
                healthy: 100,
                slow: 0,
                stuck: 0,
            },
        ),
    ];
    bench.group("ring/slow-readers/1000", RATE, contenders)
}

/// Nobody is held back: what lapping rings deliver and lose under a producer at full speed.
fn free_running(bench: &mut BenchRun) -> Result<()> {
    type Run = fn(Shape) -> Result<flow::Flow>;
    let contenders: [(&str, Run); 5] = [
        ("ringbuf-core", flow::run::<u64, Ours>),
        ("photon-ring", flow::run::<u64, Photon>),
        ("tokio::broadcast", flow::run::<u64, TokioBroadcast>),
        ("async-broadcast", flow::run::<u64, AsyncBroadcast>),
        ("Go-style", flow::run::<u64, GoStyle>),
    ];
    for consumers in [1, 4] {
        for &batch in batches(bench) {
            let case = format!("1to{consumers}/u64/b{batch}");
            let (group, group_of_loss) = (
                format!("ring/free/{case}"),
                format!("ring/free-lost/{case}"),
            );
            if !bench.wants(&group) && !bench.wants(&group_of_loss) {
                continue;
            }
            let shape = Shape {
                producers: 1,
                consumers,
                batch,
                time: time(bench),
                lossless: false,
            };
            let mut runs = vec![Vec::new(); contenders.len()];
            for _ in 0..bench.rounds() {
                for ((_, run), runs) in contenders.iter().zip(&mut runs) {
                    runs.push(run(shape)?);
                }
            }
            for ((name, _), runs) in contenders.iter().zip(runs) {
                let delivered = runs.iter().map(|flow| flow.delivered).collect();
                let lost = runs.iter().map(|flow| 100.0 * flow.lost).collect();
                bench.add(&group, name, RATE, delivered);
                bench.add(&group_of_loss, name, ("% lost", Better::Lower), lost);
            }
        }
    }
    Ok(())
}

fn tasks(bench: &mut BenchRun) -> Result<()> {
    let time = time(bench);
    for burst in [1, 64] {
        let contenders: Vec<Contender<'_>> = vec![
            (
                "ringbuf-core".into(),
                Box::new(move || tasks::ours(burst, time)),
            ),
            (
                "tokio::broadcast".into(),
                Box::new(move || tasks::tokio_broadcast(burst, time)),
            ),
            (
                "async-broadcast".into(),
                Box::new(move || tasks::async_broadcast(burst, time)),
            ),
        ];
        let group = format!("ring/tasks/{}/b{burst}", tasks::TASKS);
        bench.group(&group, RATE, contenders)?;
    }
    Ok(())
}
