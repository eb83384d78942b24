//! What a case is, and how its server and the healthy peer are watched.

use super::{
    Flags, attack,
    healthy::{Fared, Healthy},
    odd, pause, stop, stuck,
};
use crate::{
    command::{self, cargo},
    server::Server,
};
use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::{
    fmt, fs,
    time::{Duration, Instant},
};

/// By how many MiB a server's memory may grow under attack.
const MEMORY_BAR: f64 = 32.0;
/// The longest that an attack, or a look before it, lasts when CI runs it.
const QUICK: Duration = Duration::from_secs(3);
/// What a healthy peer should keep of its rate.
const RATE_BAR: f64 = 0.8;
/// Descriptors that the peers of one case need.
const DESCRIPTORS: u64 = 12_000;

/// Runs a case; returns what it found, for people.
type Runs = dyn Fn(&Run) -> Result<String>;

/// One way to harm a server.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Whether it is over soon enough for `--quick`.
    pub(super) is_quick: bool,
    pub(super) run: Box<Runs>,
}

/// What all cases of a run share.
#[derive(Debug)]
pub(super) struct Run {
    profile: &'static str,
    pub(super) is_quick: bool,
    pub(super) repetitions: u32,
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    let chosen: Vec<_> = all()
        .into_iter()
        .filter(|case| {
            flags
                .case
                .as_deref()
                .is_none_or(|text| case.name.contains(text))
        })
        .filter(|case| !flags.quick || case.is_quick)
        .collect();
    ensure!(!chosen.is_empty(), "there is no such case");
    if flags.list {
        chosen
            .iter()
            .for_each(|case| println!("{:<16} {}", case.name, case.what));
        return Ok(());
    }
    let profile = if flags.is_debug() { "debug" } else { "release" };
    let mut build = cargo();
    build.args(["build", "--locked", "--package", "footman"]);
    command::run(build.args((!flags.is_debug()).then_some("--release")))?;
    raise_descriptor_limit()?;
    let run = Run {
        profile,
        is_quick: flags.quick,
        repetitions: flags.repetitions,
    };
    let mut failed = Vec::new();
    for case in &chosen {
        println!("\n{}: {}", case.name, case.what);
        let began = Instant::now();
        match (case.run)(&run) {
            Ok(found) => println!("{found}  holds, in {:.0?}", began.elapsed()),
            Err(error) => {
                println!("  FAILED: {error:#}");
                failed.push(case.name);
            }
        }
    }
    ensure!(failed.is_empty(), "hostile: failed: {}", failed.join(", "));
    println!("\nhostile: {} cases hold", chosen.len());
    Ok(())
}

fn all() -> Vec<Case> {
    let mut cases: Vec<_> = attack::all()
        .into_iter()
        .map(attack::Attack::into_case)
        .collect();
    cases.extend(stuck::cases());
    cases.extend(odd::cases());
    cases.extend(stop::cases());
    cases.extend(pause::cases());
    cases
}

fn raise_descriptor_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    limit.current = Some(most);
    setrlimit(Resource::Nofile, limit)?;
    ensure!(
        most >= DESCRIPTORS,
        "{DESCRIPTORS} descriptors are needed, and {most} allowed"
    );
    Ok(())
}

impl Run {
    /// A server with a small log, which fills while the case looks at it before the attack.
    pub(super) fn server(&self) -> Result<Server> {
        self.server_with(&["--records", "20000", "--bytes", "16MiB"])
    }

    pub(super) fn server_with(&self, args: &[&str]) -> Result<Server> {
        Server::start(self.profile, args)
    }

    /// The built server, for a start that is not like the others.
    pub(super) fn profile(&self) -> &'static str {
        self.profile
    }

    /// So long; a fifth of it when it must be quick.
    pub(super) fn seconds(&self, seconds: u64) -> Duration {
        let length = Duration::from_secs(seconds);
        match self.is_quick {
            true => (length / 5).min(QUICK),
            false => length,
        }
    }
}

/// A server and the healthy peer before and during an attack.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) server: Server,
    pub(super) healthy: Healthy,
    without: Fared,
    base: f64,
    memory_bar: f64,
}

impl Watched {
    /// Looks at both as long as nothing happens to them.
    pub(super) fn start(run: &Run) -> Result<Self> {
        let server = run.server()?;
        let healthy = Healthy::start(server.address())?;
        // Until the log and the buffers have what they will have.
        healthy.watch(run.seconds(2), || Ok(()))?;
        let without = healthy.watch(run.seconds(4), || Ok(()))?;
        let base = resident_mib(&server)?;
        Ok(Self {
            server,
            healthy,
            without,
            base,
            memory_bar: MEMORY_BAR,
        })
    }

    /// Allows the server to grow by so many MiB.
    pub(super) fn allowing(self, memory_bar: f64) -> Self {
        Self { memory_bar, ..self }
    }

    /// Looks at both under attack, for so long; then ends both, well.
    pub(super) fn under(self, length: Duration) -> Result<Found> {
        let (found, server) = self.during(length)?;
        server.stop()?;
        Ok(found)
    }

    /// The same, and gives the server back.
    pub(super) fn during(self, length: Duration) -> Result<(Found, Server)> {
        let Self {
            server,
            healthy,
            without,
            base,
            memory_bar,
        } = self;
        let mut peak = base;
        let with = healthy.watch(length, || {
            peak = peak.max(resident_mib(&server).context("the server has ended")?);
            Ok(())
        })?;
        let account = healthy.finish()?;
        let found = Found {
            base,
            grown: peak - base,
            memory_bar,
            without,
            with,
            lost: account.lost,
        };
        if found.grown > memory_bar {
            bail!("the server holds too much:\n{found}");
        }
        Ok((found, server))
    }
}

/// What an attack did.
#[derive(Debug)]
pub(super) struct Found {
    base: f64,
    grown: f64,
    memory_bar: f64,
    without: Fared,
    with: Fared,
    lost: u64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            base,
            grown,
            memory_bar,
            without,
            with,
            lost,
        } = self;
        writeln!(
            f,
            "  server up, {base:.1} MiB before, {grown:+.1} MiB at most (bar {memory_bar:+.0})"
        )?;
        let kept = with.rate / without.rate;
        let short = if kept < RATE_BAR { ", SHORT" } else { "" };
        writeln!(
            f,
            "  healthy peer {:.0} records/s, {:.0} before: {:.0} % (bar {:.0}{short}), {lost} lost; p99 {:.1?}, {:.1?} before",
            with.rate,
            without.rate,
            kept * 100.0,
            RATE_BAR * 100.0,
            with.p99,
            without.p99,
        )?;
        let (newcomers, slowest) = with.newcomers;
        writeln!(
            f,
            "  {newcomers} newcomers served, the slowest in {slowest:.1?}"
        )
    }
}

/// The server's memory that is in RAM.
pub(super) fn resident_mib(server: &Server) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("no VmRSS")?.trim().parse::<f64>()? / 1_024.0)
}
