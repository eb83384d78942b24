//! A `footman serve` of its own for one task: on a free loopback port, ended with the task.

use crate::command::{self, cargo, command, target};
use anyhow::{Context as _, Result, ensure};
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread,
};

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: String,
}

/// The `footman` that cargo built in this profile's folder (`debug`, `release`).
pub(crate) fn footman(profile: &str) -> Command {
    command(target().join(profile).join("footman"))
}

/// Builds the debug `footman` as the tests do, so that what those built serves again: a test among what is asked for
/// gives the dependencies the features that tests need.
pub(crate) fn build() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--locked", "--workspace"]);
    command::run(build.args(["--bin", "footman", "--test", "demo"]))
}

impl Server {
    /// Starts the built binary on a free port and waits until it says where it listens.
    pub(crate) fn start(profile: &str, args: &[&str]) -> Result<Self> {
        Self::start_at(profile, "127.0.0.1:0", args)
    }

    /// Starts the built binary at an address: the place of one that ended, say.
    pub(crate) fn start_at(profile: &str, listen: &str, args: &[&str]) -> Result<Self> {
        Self::launch(
            footman(profile)
                .args(["serve", "--listen", listen])
                .args(args),
        )
    }

    /// Starts any server that says where it listens as ours does.
    pub(crate) fn launch(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let address = lines.by_ref().find_map(|line| {
            line.ok()?
                .strip_prefix("listening on ")
                .map(|address| address.trim().to_owned())
        });
        // What the server says later goes to the terminal, and its pipe never fills.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                eprintln!("server: {line}");
            }
        });
        let Some(address) = address else {
            child.kill().ok();
            anyhow::bail!("{command:?} ended ({}) before it listened", child.wait()?);
        };
        Ok(Self { child, address })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the server as a crash would.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the server to stop, and expects a clean end.
    pub(crate) fn stop(mut self) -> Result<()> {
        let kill = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        ensure!(kill.success(), "the server could not be told to stop");
        let status = self.child.wait()?;
        ensure!(status.success(), "`footman serve` ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
