//! Items that get a reply of their own: ours against the crates that batch requests. A producer keeps 1 024
//! calls in flight.

use super::{
    OURS, Shape,
    tally::{Process, Tally},
    tasks,
};
use crate::bench::{
    bench_run::{BenchRun, Contender},
    report::Better,
};
use anyhow::{Context as _, Result, anyhow, ensure};
use batch_aint_one::{BatchingPolicy, Limits, OnFull, Processor};
use footman_batcher::{AsyncBatcher, Batch};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt::Debug,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tower::{Service, ServiceExt as _};
use tower_batch::BatchControl;

const IN_FLIGHT: usize = 1024;

/// A handle through which an item gets its reply, which is the item.
pub(super) trait Submit: Clone + Send + 'static {
    /// Makes the call and waits for its reply.
    fn call(&mut self, item: u64) -> impl Future<Output = Result<u64>> + Send;

    /// Makes the calls of one producer, [`IN_FLIGHT`] at a time, and checks each reply.
    fn produce(self, each: u64) -> impl Future<Output = Result<()>> + Send;
}

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    for producers in [1, 4] {
        let group = if producers == 1 {
            "batcher/submit".to_owned()
        } else {
            format!("batcher/submit/{producers}p")
        };
        let items = if bench.quick() { 64_000 } else { 128_000 };
        let each = items / producers;
        bench.group(
            &group,
            ("M items/s", Better::Higher),
            vec![
                contender(OURS, ours, producers, each * 8),
                contender("tower-batch", tower, producers, each),
                contender("batch-aint-one", aint_one, producers, each),
            ],
        )?;
    }
    Ok(())
}

fn contender<S: Submit>(
    name: &str,
    start: fn(Shape, Process) -> Result<S>,
    producers: u64,
    each: u64,
) -> Contender<'static> {
    (name.into(), Box::new(move || run(start, producers, each)))
}

fn run<S: Submit>(
    start: fn(Shape, Process) -> Result<S>,
    producers: u64,
    each: u64,
) -> Result<f64> {
    let (tally, process) = Tally::new();
    let runtime = tasks::runtime()?;
    let seconds = runtime.block_on(async {
        // Nobody has to wait for room: all that is in flight fits.
        let shape = Shape {
            capacity: IN_FLIGHT * producers as usize,
            ..Shape::of(64, 1)
        };
        let submit = start(shape, process)?;
        let began = Instant::now();
        let producer = |_| tokio::spawn(submit.clone().produce(each));
        let producers: Vec<_> = (0..producers).map(producer).collect();
        for producer in producers {
            producer.await??;
        }
        anyhow::Ok(began.elapsed().as_secs_f64())
    })?;
    tally.check(each, producers, 2)?;
    Ok((each * producers) as f64 / seconds / 1e6)
}

/// Calls that are made as soon as they begin are collected in their order: replies come in that order, too.
async fn in_order<S: Send, B, R, E>(mut submit: S, each: u64, begin: B) -> Result<()>
where
    B: AsyncFn(&mut S, u64) -> Result<R>,
    R: Future<Output = Result<u64, E>>,
    E: Debug,
{
    let mut in_flight = VecDeque::with_capacity(IN_FLIGHT);
    for item in 0..each {
        if in_flight.len() == IN_FLIGHT {
            collect(&mut in_flight).await?;
        }
        in_flight.push_back((item, begin(&mut submit, item).await?));
    }
    while !in_flight.is_empty() {
        collect(&mut in_flight).await?;
    }
    Ok(())
}

async fn collect<R, E: Debug>(in_flight: &mut VecDeque<(u64, R)>) -> Result<()>
where
    R: Future<Output = Result<u64, E>>,
{
    let (item, reply) = in_flight.pop_front().context("nothing is in flight")?;
    let reply = reply.await.map_err(|error| anyhow!("{error:?}"))?;
    ensure!(reply == item, "{reply} is no reply to {item}");
    Ok(())
}

// Ours

#[derive(Clone)]
pub(super) struct Ours(AsyncBatcher<u64, u64>);

pub(super) fn ours(shape: Shape, process: Process) -> Result<Ours> {
    let batcher = AsyncBatcher::builder()
        .max_items(shape.batch)
        .linger(shape.linger)
        .workers(shape.workers)
        .capacity(shape.capacity)
        .start_tokio(move |batch: &mut Batch<u64>| {
            process(batch);
            let replies = batch.to_vec();
            Box::pin(async { Ok::<_, Infallible>(replies) })
        })?;
    Ok(Ours(batcher))
}

/// Its processor never ends a batch.
pub(super) fn stuck_ours(shape: Shape) -> Result<AsyncBatcher<u64, u64>> {
    let batcher = AsyncBatcher::builder()
        .max_items(shape.batch)
        .linger(shape.linger)
        .workers(shape.workers)
        .capacity(shape.capacity)
        .start_tokio(|_: &mut Batch<u64>| {
            Box::pin(std::future::pending::<Result<Vec<u64>, Infallible>>())
        })?;
    Ok(batcher)
}

impl Submit for Ours {
    async fn call(&mut self, item: u64) -> Result<u64> {
        Ok(self.0.submit(item).await?.await?)
    }

    async fn produce(self, each: u64) -> Result<()> {
        in_order(self, each, async |ours: &mut Self, item| {
            Ok(ours.0.submit(item).await?)
        })
        .await
    }
}

// tower-batch

/// The service behind it: it keeps the items and is told when the batch is complete.
pub(super) struct Sink {
    items: Vec<u64>,
    process: Process,
    /// Never ends a flush: for those who measure what waits.
    stuck: bool,
}

impl Service<BatchControl<u64>> for Sink {
    type Response = u64;
    type Error = tower_batch::BoxError;
    type Future = futures_util::future::Either<
        Ready<Result<u64, Self::Error>>,
        std::future::Pending<Result<u64, Self::Error>>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, control: BatchControl<u64>) -> Self::Future {
        use futures_util::future::Either::{Left, Right};
        match control {
            BatchControl::Item(item) => {
                self.items.push(item);
                Left(ready(Ok(item)))
            }
            BatchControl::Flush if self.stuck => Right(std::future::pending()),
            BatchControl::Flush => {
                (self.process)(&self.items);
                self.items.clear();
                Left(ready(Ok(0)))
            }
        }
    }
}

pub(super) type Tower = tower_batch::Batch<Sink, u64>;

/// To be called inside of a runtime.
pub(super) fn tower(shape: Shape, process: Process) -> Result<Tower> {
    Ok(tower_over(shape, process, false))
}

pub(super) fn stuck_tower(shape: Shape, process: Process) -> Tower {
    tower_over(shape, process, true)
}

fn tower_over(shape: Shape, process: Process, stuck: bool) -> Tower {
    let sink = Sink {
        items: Vec::with_capacity(shape.batch),
        process,
        stuck,
    };
    tower_batch::Batch::new(sink, shape.batch, shape.linger)
}

impl Submit for Tower {
    async fn call(&mut self, item: u64) -> Result<u64> {
        let ready = self.ready().await.map_err(|error| anyhow!(error))?;
        let reply = Service::call(ready, item).await;
        reply.map_err(|error| anyhow!(error))
    }

    async fn produce(self, each: u64) -> Result<()> {
        in_order(self, each, async |tower: &mut Self, item| {
            let ready = tower.ready().await.map_err(|error| anyhow!(error))?;
            Ok(Service::call(ready, item))
        })
        .await
    }
}

// batch-aint-one

#[derive(Clone)]
pub(super) struct Same {
    process: Process,
    stuck: bool,
}

impl Processor for Same {
    type Key = ();
    type Input = u64;
    type Output = u64;
    type Error = String;
    type Resources = ();

    async fn acquire_resources(&self, (): ()) -> Result<(), String> {
        Ok(())
    }

    async fn process(
        &self,
        (): (),
        items: impl Iterator<Item = u64> + Send,
        (): (),
    ) -> Result<Vec<u64>, String> {
        let items: Vec<u64> = items.collect();
        (self.process)(&items);
        if self.stuck {
            std::future::pending::<()>().await;
        }
        Ok(items)
    }
}

pub(super) type AintOne = Arc<batch_aint_one::Batcher<Same>>;

/// To be called inside of a runtime.
pub(super) fn aint_one(shape: Shape, process: Process) -> Result<AintOne> {
    Ok(aint_one_over(shape, process, false))
}

pub(super) fn stuck_aint_one(shape: Shape, process: Process) -> AintOne {
    aint_one_over(shape, process, true)
}

fn aint_one_over(shape: Shape, process: Process, stuck: bool) -> AintOne {
    let limits = Limits::builder()
        .max_batch_size(shape.batch)
        .max_key_concurrency(shape.workers)
        // All that the producers may have in flight: it refuses what is more.
        .max_key_queued_items(shape.capacity.max(8 * IN_FLIGHT))
        .build();
    let batcher = batch_aint_one::Batcher::builder()
        .name("bench")
        .processor(Same { process, stuck })
        .limits(limits)
        .batching_policy(BatchingPolicy::Duration(shape.linger, OnFull::Process))
        .build();
    Arc::new(batcher)
}

impl Submit for AintOne {
    async fn call(&mut self, item: u64) -> Result<u64> {
        let reply = self.add((), item).await;
        reply.map_err(|error| anyhow!("{error:?}"))
    }

    /// Its calls are made by waiting for them, so all that are in flight have to be waited for together.
    async fn produce(self, each: u64) -> Result<()> {
        let call = |item| {
            let mut batcher = Arc::clone(&self);
            async move { (item, batcher.call(item).await) }
        };
        let mut in_flight = FuturesUnordered::new();
        for item in 0..each {
            if in_flight.len() == IN_FLIGHT {
                let (item, reply) = in_flight.next().await.context("nothing is in flight")?;
                ensure!(reply? == item, "another item's reply");
            }
            in_flight.push(call(item));
        }
        while let Some((item, reply)) = in_flight.next().await {
            ensure!(reply? == item, "another item's reply");
        }
        Ok(())
    }
}
