//! `footman info`: what a server is and holds.

use std::fmt::Write as _;

use anyhow::Result;
use footman_broker_grpc::ServerInfo;
use serde::Serialize;

use crate::args::listing::Listing;
use crate::args::{InfoArgs, ServerArgs};
use crate::commands::topics::{OptionsJson, limits_text, micros};
use crate::connection;
use crate::outcome::Outcome;
use crate::output::{format_time, push_json_line};
use crate::quantity::{format_bytes, format_count};
use crate::stdout::print;

pub(crate) async fn run(server: &ServerArgs, args: InfoArgs) -> Result<Outcome> {
    let client = connection::connect(server).await?;
    let info = client.server_info().await?;
    match args.output.output {
        Listing::Text => print(description(server, &info).as_bytes())?,
        Listing::Json => {
            let mut out = Vec::new();
            push_json_line(&mut out, &InfoJson::from(&info));
            print(&out)?;
        }
    }
    Ok(Outcome::Done)
}

fn description(server: &ServerArgs, info: &ServerInfo) -> String {
    let memory = format!(
        "{} of at most {}",
        format_bytes(info.memory_bytes),
        format_bytes(info.max_memory_bytes)
    );
    let topics = format!(
        "{} of at most {}",
        info.topics,
        format_count(info.max_topics.into())
    );
    let creation = if info.auto_create {
        "created on first use"
    } else {
        "created by hand only"
    };
    let lines = [
        (
            "server",
            format!("{}, version {}", server.address, info.version),
        ),
        ("started", format_time(micros(info.started))),
        ("topics", format!("{topics}, {creation}")),
        ("memory", memory),
        ("connections", info.connections.to_string()),
        ("subscriptions", info.subscriptions.to_string()),
        ("a topic keeps", limits_text(&info.topic_defaults)),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<15} {value}");
    }
    text
}

/// A server as JSON; times are microseconds since the Unix epoch.
#[derive(Debug, Serialize)]
struct InfoJson<'a> {
    version: &'a str,
    started: i64,
    now: i64,
    topics: u32,
    max_topics: u32,
    auto_create: bool,
    memory_bytes: u64,
    max_memory_bytes: u64,
    connections: u32,
    calls: u32,
    subscriptions: u32,
    max_request_bytes: u32,
    topic_defaults: OptionsJson,
}

impl<'a> From<&'a ServerInfo> for InfoJson<'a> {
    fn from(info: &'a ServerInfo) -> InfoJson<'a> {
        InfoJson {
            version: &info.version,
            started: micros(info.started),
            now: micros(info.now),
            topics: info.topics,
            max_topics: info.max_topics,
            auto_create: info.auto_create,
            memory_bytes: info.memory_bytes,
            max_memory_bytes: info.max_memory_bytes,
            connections: info.connections,
            calls: info.calls,
            subscriptions: info.subscriptions,
            max_request_bytes: info.max_request_bytes,
            topic_defaults: OptionsJson::from(&info.topic_defaults),
        }
    }
}
