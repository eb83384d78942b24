//! Redis Streams: what is added is acknowledged and kept, up to a length.

use super::{
    load::{Load, Tally},
    peer::Peer,
    redis::Redis,
};
use ::redis::{AsyncCommands as _, Value};
use anyhow::{Result, bail};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Entries in one read, and the longest wait for one.
const COUNT: usize = 1_000;
const BLOCK_MS: usize = 100;

pub(super) struct RedisStreams(Redis);

impl RedisStreams {
    /// The same server's.
    pub(super) fn of(redis: &Redis) -> Self {
        Self(redis.clone_for_streams())
    }
}

impl Peer for RedisStreams {
    fn name(&self) -> &'static str {
        "redis-streams"
    }

    fn pid(&self) -> u32 {
        self.0.pid()
    }

    fn create<'a>(&'a self, _: &'a str, _: u64) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn delete<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let _: () = self.0.connect().await?.del(topic).await?;
            Ok(())
        })
    }

    fn publish<'a>(&'a self, topic: &'a str, load: Load) -> BoxFuture<'a, Result<()>> {
        let kept = load.records();
        Box::pin(self.0.send(load, move |pipeline, payload| {
            let add = pipeline.cmd("XADD").arg(topic);
            add.arg("MAXLEN")
                .arg("~")
                .arg(kept)
                .arg("*")
                .arg("v")
                .arg(payload);
            add.ignore();
        }))
    }

    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        records: u64,
        tally: Arc<Tally>,
    ) -> BoxFuture<'a, Result<BoxFuture<'static, Result<()>>>> {
        Box::pin(async move {
            let mut connection = self.0.connect().await?;
            let topic = topic.to_owned();
            let receive: BoxFuture<'static, Result<()>> = Box::pin(async move {
                let mut last = b"0".to_vec();
                while !tally.is_done(records) {
                    let mut read = ::redis::cmd("XREAD");
                    read.arg("COUNT").arg(COUNT).arg("BLOCK").arg(BLOCK_MS);
                    read.arg("STREAMS").arg(&topic).arg(&last);
                    let answer: Value = read.query_async(&mut connection).await?;
                    for_each_entry(&answer, |id, payload| {
                        last.clear();
                        last.extend_from_slice(id);
                        tally.take(payload)
                    })?;
                }
                Ok(())
            });
            Ok(receive)
        })
    }
}

/// Walks `[[stream, [[id, [field, value]], …]]]`, or nil where nothing came in time.
fn for_each_entry(answer: &Value, mut take: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
    let Value::Array(streams) = answer else {
        return Ok(());
    };
    for stream in streams {
        let Value::Array(stream) = stream else {
            bail!("{stream:?} is no stream")
        };
        let [_, Value::Array(entries)] = &stream[..] else {
            bail!("{stream:?} is no stream")
        };
        for entry in entries {
            let Value::Array(entry) = entry else {
                bail!("{entry:?} is no entry")
            };
            let [Value::BulkString(id), Value::Array(fields)] = &entry[..] else {
                bail!("{entry:?} is no entry")
            };
            let [_, Value::BulkString(payload)] = &fields[..] else {
                bail!("{fields:?} is not one field")
            };
            take(id, payload)?;
        }
    }
    Ok(())
}
