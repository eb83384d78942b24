//! Real clients of other languages against the real server, each made from the `.proto` alone.
//!
//! Nothing here is needed to build or to test Footman in Rust: this is the promise to everybody else. What a
//! client needs comes by its language's own registry client, pinned, into `target/`; a tool that is not there
//! is named.

mod browser;
mod buf;
mod ghz;
mod go;
mod grpcurl;
mod h2spec;
mod java;
mod node;
mod proxy;
mod python;
mod scenario;
mod workshop;

use crate::server;
use anyhow::{Context as _, Result};
use std::time::Instant;

/// A name, and what runs that client.
type Client = (&'static str, fn() -> Result<()>);

const CLIENTS: [Client; 9] = [
    ("python", python::run),
    ("node", node::run),
    ("go", go::run),
    ("java", java::run),
    ("browser", browser::run),
    ("grpcurl", grpcurl::run),
    ("buf", buf::run),
    ("ghz", ghz::run),
    ("h2spec", h2spec::run),
];

/// Runs each language's client; with names, only those.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask interop
  cargo xtask interop python go")]
pub(crate) struct Flags {
    /// Clients to run (all without any): python node go java browser grpcurl buf ghz h2spec
    clients: Vec<String>,
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    for name in &flags.clients {
        CLIENTS
            .iter()
            .find(|client| client.0 == name)
            .with_context(|| format!("no client is called {name}"))?;
    }
    server::build()?;
    for (name, client) in CLIENTS {
        if flags.clients.is_empty() || flags.clients.iter().any(|wanted| wanted == name) {
            let began = Instant::now();
            client().with_context(|| format!("interop: {name}"))?;
            println!("interop: {name} holds, in {:.0?}", began.elapsed());
        }
    }
    Ok(())
}
