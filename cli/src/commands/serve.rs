//! `footman serve`: a server until a signal, then a drain.

use std::io::Write;

use anyhow::{Context, Result, bail};
use footman_broker::{BrokerOptions, TopicOptions};
use footman_broker_grpc::{Server, ServerOptions};

use crate::args::{ServeArgs, TopicLimits};
use crate::outcome::Outcome;
use crate::signal::Stop;

pub(crate) async fn run(args: ServeArgs) -> Result<Outcome> {
    let mut stop = Stop::listen()?;
    raise_descriptor_limit();
    let mut options = ServerOptions::default();
    options.broker = broker_options(&args)?;
    if let Some(timeout) = args.drain_timeout {
        options.drain_timeout = timeout;
    }
    let listen = args.listen;
    let server = Server::bind(listen, options).await.with_context(|| {
        format!("{listen} is not to be had (choose another address with --listen; port 0 takes a free one)")
    })?;
    // Scripts wait for this line; whoever started the server may have closed stderr, which is their choice.
    let _ = writeln!(
        std::io::stderr().lock(),
        "listening on {}",
        server.local_addr()
    );
    server.serve(async move { stop.asked().await }).await?;
    Ok(Outcome::Done)
}

/// Lets the process have as many descriptors as it may: a connection takes one, and what a login shell gives
/// (1024 is common) is meant for programs that wait with `select`.
fn raise_descriptor_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            limit.current = limit.maximum;
            if let Err(error) = setrlimit(Resource::Nofile, limit) {
                tracing::warn!(%error, "cannot raise the limit of open descriptors");
            }
        }
    }
}

fn broker_options(args: &ServeArgs) -> Result<BrokerOptions> {
    let mut options = BrokerOptions::default();
    options.auto_create = !args.no_auto_create;
    if let Some(topics) = args.max_topics {
        options.max_topics = usize::try_from(topics).context("--max-topics is too large")?;
    }
    if let Some(bytes) = args.memory {
        options.max_memory_bytes = bytes;
    }
    options.topic_defaults = with_limits(options.topic_defaults, &args.topic_defaults)?;
    Ok(options)
}

/// `options` with the limits that were given.
pub(crate) fn with_limits(mut options: TopicOptions, limits: &TopicLimits) -> Result<TopicOptions> {
    if let Some(records) = limits.records {
        options.max_records = records;
    }
    if let Some(bytes) = limits.bytes {
        options.max_bytes = bytes;
    }
    if let Some(age) = limits.age {
        options.max_age = age.0;
    }
    if let Some(bytes) = limits.max_record {
        options.max_record_bytes = max_record_bytes(bytes)?;
    }
    Ok(options)
}

/// `--max-record` as the broker takes it.
pub(crate) fn max_record_bytes(bytes: u64) -> Result<u32> {
    match u32::try_from(bytes) {
        Ok(bytes) => Ok(bytes),
        Err(_) => bail!("--max-record is {bytes} bytes; the most there can be is 3MiB"),
    }
}
