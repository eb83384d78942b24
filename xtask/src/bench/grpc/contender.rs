//! The servers that are measured, each a process of its own, started for one run.

use crate::server::{Server, footman};
use anyhow::{Context as _, Result};
use std::{fs, process::Command};

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Contender {
    /// `footman serve`.
    Footman,
    /// What everyone writes: a message per record, through tokio's broadcast and a `ReceiverStream`, prost, tonic.
    Naive,
    /// The same with a produced batch as one message.
    Batched,
    /// No protocol at all: bytes over TCP.
    Tcp,
}

impl Contender {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Footman => "footman-broker-grpc",
            Self::Naive => "tonic, a message per record",
            Self::Batched => "tonic, prost batches",
            Self::Tcp => "limit:tcp",
        }
    }

    /// Starts it. A peer keeps `messages` for its subscribers; `footman serve` what it keeps by default.
    pub(super) fn start(self, messages: usize) -> Result<Server> {
        match self {
            Self::Footman => {
                Server::launch(footman("release").args(["serve", "--listen", "127.0.0.1:0"]))
            }
            _ => {
                let mut peer = Command::new(std::env::current_exe()?);
                let value = clap::ValueEnum::to_possible_value(&self)
                    .context("each contender has a name")?;
                Server::launch(peer.args(["bench-peer", value.get_name(), &messages.to_string()]))
            }
        }
    }
}

/// CPU seconds that all threads of a process took so far, from Linux's scheduler.
pub(super) fn cpu_seconds(server: &Server) -> Result<f64> {
    let mut nanos = 0_u64;
    for task in fs::read_dir(format!("/proc/{}/task", server.id()))? {
        // A thread may end while we look.
        let Ok(stat) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let running = stat.split(' ').next().context("schedstat is empty")?;
        nanos += running.parse::<u64>()?;
    }
    Ok(nanos as f64 / 1e9)
}

/// The memory of a process that is in RAM.
pub(super) fn resident_bytes(server: &Server) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("no VmRSS")?.trim().parse::<u64>()? * 1024)
}
