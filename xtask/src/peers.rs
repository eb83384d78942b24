//! The servers that `cargo xtask bench servers` measures beside ours, fetched by their registries' ordinary
//! clients into `target/peers`, where nothing else finds them.

use crate::command::{self, command, exists, root, target};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};

const NATS: &str = "github.com/nats-io/nats-server/v2@v2.15.2";

/// Debian's Redis, and the libraries that a machine without it may lack too.
const REDIS: [&str; 9] = [
    "redis-server",
    "redis-tools",
    "libatomic1",
    "libhiredis0.14",
    "libjemalloc2",
    "liblua5.1-0",
    "liblzf1",
    "lua-bitop",
    "lua-cjson",
];

/// Fetches the peers; with names, only those.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  cargo xtask peers nats redis")]
pub(crate) struct Flags {
    /// Peers to fetch (all without any): nats kafka redis
    peers: Vec<String>,
}

type Peer = (&'static str, fn(&Path) -> Result<()>);

const PEERS: [Peer; 3] = [("nats", nats), ("kafka", kafka), ("redis", redis)];

pub(crate) fn run(flags: &Flags) -> Result<()> {
    for name in &flags.peers {
        PEERS
            .iter()
            .find(|peer| peer.0 == name)
            .with_context(|| format!("no peer is called {name}"))?;
    }
    let mut missing = Vec::new();
    for (name, fetch) in PEERS {
        if !flags.peers.is_empty() && !flags.peers.iter().any(|wanted| wanted == name) {
            continue;
        }
        let folder = folder(name);
        fs::create_dir_all(&folder)?;
        match fetch(&folder) {
            Ok(()) => println!("peers: {name} is there"),
            Err(error) => {
                println!("peers: {name} cannot be had: {error:#}");
                missing.push(name);
            }
        }
    }
    ensure!(missing.is_empty(), "not to be had: {}", missing.join(", "));
    Ok(())
}

fn folder(peer: &str) -> PathBuf {
    target().join("peers").join(peer)
}

fn nats(folder: &Path) -> Result<()> {
    let mut install = command("go");
    command::run(install.args(["install", NATS]).env("GOBIN", folder))
}

fn kafka(folder: &Path) -> Result<()> {
    let mut copy = command("mvn");
    copy.args(["--quiet", "--batch-mode", "--file"])
        .arg(root().join("xtask/peers/kafka/pom.xml"))
        .arg("dependency:copy-dependencies")
        .arg(format!(
            "-DoutputDirectory={}",
            folder.join("lib").display()
        ));
    command::run(&mut copy)
}

fn redis(folder: &Path) -> Result<()> {
    if exists("redis-server") {
        return Ok(());
    }
    let mut download = command("apt-get");
    download.args(["--quiet=2", "download"]).args(REDIS);
    command::run(download.current_dir(folder)).context("`apt-get update` may help")?;
    for package in fs::read_dir(folder)? {
        let package = package?.path();
        if package.extension().is_some_and(|end| end == "deb") {
            command::run(command("dpkg").arg("--extract").arg(&package).arg(folder))?;
        }
    }
    Ok(())
}

/// The command that runs a peer, without arguments; says what to do where it was not fetched.
#[cfg(feature = "bench-servers")]
pub(crate) fn program(peer: &str) -> Result<std::process::Command> {
    let folder = folder(peer);
    let path = match peer {
        "nats" => folder.join("nats-server"),
        "kafka" => folder.join("lib"),
        "redis" if exists("redis-server") => PathBuf::from("redis-server"),
        "redis" => folder.join("usr/bin/redis-server"),
        _ => anyhow::bail!("no peer is called {peer}"),
    };
    ensure!(
        path.exists() || path.components().count() == 1,
        "`cargo xtask peers {peer}` fetches it"
    );
    Ok(match peer {
        "kafka" => {
            let mut java = command("java");
            java.arg("-cp").arg(path.join("*"));
            java
        }
        "redis" => {
            let mut redis = command(path);
            redis.env("LD_LIBRARY_PATH", folder.join("usr/lib/x86_64-linux-gnu"));
            redis
        }
        _ => command(path),
    })
}
